-- session_facts without internal users, each with the time since the user's session before.
-- kind: view
-- time: started_at
-- references: user_id members
-- column: session_id = session
-- column: user_id = whose
-- column: session_date = day of its start [day]
-- column: started_at = start [UTC]
-- column: ended_at = end [UTC]
-- column: duration_seconds = length [seconds]
-- column: platform = client
-- column: device = kind of device
-- column: tenure_days = days since signup [days]
-- column: hours_since_previous = from the end of what came before to this start; 0 where they overlap, NULL of a first session and where the end before is not known [hours]
WITH ordered AS (
    SELECT
        s.*,
        days_between(m.signup_date, s.session_date) AS tenure_days,
        LAG(s.ended_at) OVER (PARTITION BY s.user_id ORDER BY s.started_at, s.session_id) AS last_end,
        MAX(s.ended_at) OVER (
            PARTITION BY s.user_id ORDER BY s.started_at, s.session_id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS latest_end
    FROM session_facts AS s
    LEFT JOIN members AS m ON m.user_id = s.user_id
    WHERE NOT COALESCE(m.is_internal, FALSE)
)
SELECT
    session_id,
    user_id,
    session_date,
    started_at,
    ended_at,
    duration_seconds,
    platform,
    device,
    tenure_days,
    CASE
        WHEN last_end IS NULL THEN NULL
        WHEN latest_end > started_at THEN 0
        ELSE hours_between(latest_end, started_at)
    END AS hours_since_previous
FROM ordered
