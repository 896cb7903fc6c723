-- People as riders: what slices need of them.
-- kind: view
-- key: rider_user_key
-- column: rider_user_key = rider
-- column: created_at = when the account was made [UTC]
-- column: demographics = age band and gender in one, '?' for what is not known; NULL where neither is
-- column: price_sensitivity = price sensitivity segment
-- column: is_price_sensitive = the segment says so: high, sensitive, price_sensitive
-- column: is_internal = staff or test account
SELECT
    user_key AS rider_user_key,
    created_at,
    CASE WHEN age_band IS NOT NULL OR gender IS NOT NULL
        THEN COALESCE(age_band, '?') || ', ' || COALESCE(gender, '?')
    END AS demographics,
    price_sensitivity_segment AS price_sensitivity,
    LOWER(REPLACE(REPLACE(price_sensitivity_segment, '-', '_'), ' ', '_'))
        IN ('high', 'sensitive', 'price_sensitive', 'high_sensitivity', 'very_sensitive') AS is_price_sensitive,
    COALESCE(is_internal, FALSE) OR COALESCE(is_test, FALSE)
        OR LOWER(COALESCE(user_type, '')) IN ('internal', 'test') AS is_internal
FROM dim_users
