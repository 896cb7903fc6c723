-- What people say outside of the product: reviews in app stores and mentions on social media, each with the sign of its
-- sentiment. An undated one counts at the newest moment of its table.
-- kind: view
-- time: said_at
-- column: source = app_review or social_mention
-- column: said_at = when [UTC]
-- column: rating = stars, of a review [score 1-5]
-- column: device = kind of device, of a review; else its store
-- column: sentiment = positive, neutral or negative; NULL where not known
WITH moments AS (
    SELECT
        (SELECT COALESCE(MAX(created_at), CAST('2000-01-01' AS TIMESTAMP)) FROM app_reviews) AS reviewed,
        (SELECT COALESCE(MAX(mentioned_at), CAST('2000-01-01' AS TIMESTAMP)) FROM social_mentions) AS mentioned
),
said AS (
    SELECT
        'app_review' AS source,
        COALESCE(r.created_at, m.reviewed) AS said_at,
        r.rating,
        COALESCE(r.device, r.platform) AS device,
        LOWER(TRIM(r.sentiment)) AS words
    FROM app_reviews AS r
    CROSS JOIN moments AS m
    UNION ALL
    SELECT 'social_mention', COALESCE(s.mentioned_at, m.mentioned), NULL, NULL, LOWER(TRIM(s.sentiment))
    FROM social_mentions AS s
    CROSS JOIN moments AS m
)
SELECT
    source,
    said_at,
    rating,
    device,
    CASE
        WHEN words IS NULL THEN NULL
        WHEN words IN ('positive', 'pos') THEN 'positive'
        WHEN words IN ('negative', 'neg') THEN 'negative'
        WHEN words IN ('neutral', 'mixed') THEN 'neutral'
        WHEN words LIKE '%a%' OR words LIKE '%e%' OR words LIKE '%i%' OR words LIKE '%o%' OR words = '' THEN NULL
        WHEN REPLACE(REPLACE(REPLACE(words, '0', ''), '.', ''), '-', '') = '' THEN 'neutral'
        WHEN words LIKE '-%' THEN 'negative'
        ELSE 'positive'
    END AS sentiment
FROM said
