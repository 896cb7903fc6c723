-- Carpool riders less satisfied than those of Regular rides by more than `margin`, of at least `min_answers` answers each.
-- param: margin number = 0.5, most that the mean score may be lower
-- param: min_answers integer = 100, fewest answers of each
WITH scores AS (
    SELECT
        mean(score) FILTER (WHERE is_carpool) AS carpool,
        mean(score) FILTER (WHERE LOWER(ride_type) IN ('regular', 'standard')) AS standard,
        COUNT(score) FILTER (WHERE is_carpool) AS carpool_answers,
        COUNT(score) FILTER (WHERE LOWER(ride_type) IN ('regular', 'standard')) AS standard_answers
    FROM answers
    WHERE respondent = 'rider' AND kind = 'satisfaction' AND topic = 'overall'
)
SELECT 'Carpool riders are less satisfied than the margin allows' AS violation, carpool, standard
FROM scores
WHERE carpool < standard - :margin AND carpool_answers >= :min_answers AND standard_answers >= :min_answers
