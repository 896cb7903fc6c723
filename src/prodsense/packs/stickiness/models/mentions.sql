-- Mentions on social media with the sign of their sentiment.
-- kind: view
-- time: said_at
-- column: said_at = when [UTC]
-- column: sentiment = positive, neutral or negative; NULL where not known
SELECT said_at, sentiment
FROM opinions
WHERE source = 'social_mention'
