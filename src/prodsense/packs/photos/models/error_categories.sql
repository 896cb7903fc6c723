-- What each error code in the data means. The table error_codes goes before the rules, which read the words and the HTTP
-- status in a code; what neither knows is other.
-- key: error_code
-- column: error_code = code as logged
-- column: error_category = network_timeout, server_error, media_format_unsupported, out_of_storage, permission_denied or other
WITH logged AS (
    SELECT error_code FROM upload_events WHERE error_code IS NOT NULL
    UNION ALL
    SELECT error_code FROM upload_attempts WHERE error_code IS NOT NULL
),
codes AS (
    SELECT DISTINCT error_code, REPLACE(REPLACE(LOWER(TRIM(error_code)), '-', '_'), ' ', '_') AS code
    FROM logged
)
SELECT
    c.error_code,
    COALESCE(k.error_category, CASE
        WHEN c.code LIKE '%permission%' OR c.code LIKE '%denied%' OR c.code LIKE '%forbidden%'
            OR c.code LIKE '%unauthori%' OR c.code LIKE '%eacces%' OR c.code LIKE '%401' OR c.code LIKE '%403'
            THEN 'permission_denied'
        WHEN c.code LIKE '%storage%' OR c.code LIKE '%no_space%' OR c.code LIKE '%enospc%' OR c.code LIKE '%disk%'
            OR c.code LIKE '%quota%' OR c.code LIKE '%507'
            THEN 'out_of_storage'
        WHEN c.code LIKE '%format%' OR c.code LIKE '%unsupported%' OR c.code LIKE '%codec%' OR c.code LIKE '%415'
            THEN 'media_format_unsupported'
        WHEN c.code LIKE '%timeout%' OR c.code LIKE '%timed_out%' OR c.code LIKE '%time_out%' OR c.code LIKE '%network%'
            OR c.code LIKE '%connection%' OR c.code LIKE '%econn%' OR c.code LIKE '%offline%' OR c.code LIKE '%dns%'
            OR c.code LIKE '%408'
            THEN 'network_timeout'
        WHEN c.code LIKE '%server%' OR c.code LIKE '%internal_error%' OR c.code LIKE '%unavailable%'
            OR c.code LIKE '%bad_gateway%' OR c.code LIKE '5__' OR c.code LIKE 'http%5__'
            THEN 'server_error'
        ELSE 'other'
    END) AS error_category
FROM codes AS c
LEFT JOIN error_codes AS k ON k.error_code = c.error_code
