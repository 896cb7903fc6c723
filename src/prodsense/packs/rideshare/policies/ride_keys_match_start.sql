-- Rides whose date_key or time_key tells another day or hour than their start.
SELECT
    CASE WHEN d.full_date <> date_of(r.start_timestamp) THEN 'date_key is not the day of the start'
        ELSE 'time_key is not the hour of the start' END AS violation,
    r.ride_id,
    r.start_timestamp,
    d.full_date,
    t.hour
FROM fact_rides AS r
LEFT JOIN dim_date AS d ON d.date_key = r.date_key
LEFT JOIN dim_time AS t ON t.time_key = r.time_key
WHERE d.full_date <> date_of(r.start_timestamp) OR t.hour <> hour_of(r.start_timestamp)
ORDER BY r.ride_id
