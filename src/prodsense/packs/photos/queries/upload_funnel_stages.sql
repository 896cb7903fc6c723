-- The six stages of the upload funnel: uploads that reached each, how many of them skipped it, and who dropped before the next. Of
-- a segment where one is named.
-- param: file_size_band text = null, only files of this size band
-- param: network_type text = null, only this network
-- param: region text = null, only this region
-- param: device text = null, only this device
WITH chosen AS (
    SELECT upload_id, place, stage
    FROM upload_stages
    WHERE (CAST(:file_size_band AS VARCHAR) IS NULL OR file_size_band = :file_size_band)
        AND (CAST(:network_type AS VARCHAR) IS NULL OR network_type = :network_type)
        AND (CAST(:region AS VARCHAR) IS NULL OR region = :region)
        AND (CAST(:device AS VARCHAR) IS NULL OR device = :device)
),
entered AS (
    SELECT DISTINCT s.upload_id, p.stage AS place
    FROM upload_steps AS s
    JOIN phases AS p ON p.phase = s.phase
    WHERE s.is_entered
),
counted AS (
    SELECT
        c.place,
        c.stage,
        COUNT(*) AS uploads,
        COUNT(CASE WHEN e.upload_id IS NULL THEN 1 END) AS skipped
    FROM chosen AS c
    LEFT JOIN entered AS e ON e.upload_id = c.upload_id AND e.place = c.place
    GROUP BY c.place, c.stage
)
SELECT
    place,
    stage,
    uploads,
    skipped,
    ratio(uploads, FIRST_VALUE(uploads) OVER (ORDER BY place)) AS of_first,
    ratio(uploads, LAG(uploads) OVER (ORDER BY place)) AS of_step,
    LAG(uploads) OVER (ORDER BY place) - uploads AS dropped
FROM counted
ORDER BY place
