-- Reviews in app stores with the sign of their sentiment.
-- kind: view
-- time: said_at
-- column: said_at = when [UTC]
-- column: rating = stars [score 1-5]
-- column: device = kind of device, else the store
-- column: sentiment = positive, neutral or negative; NULL where not known
SELECT said_at, rating, device, sentiment
FROM opinions
WHERE source = 'app_review'
