-- Milestones that sessions reached: the rows of playback_milestones_reached, and of sessions without any, those up to the
-- furthest position played.
-- kind: view
-- completes: playback_milestones_reached
-- key: session_id, milestone_pct
-- column: session_id = session
-- column: milestone_pct = milestone: 1, 5, 25, 50, 75, 90, 100 [percent]
WITH milestones AS (
    SELECT 1 AS milestone_pct
    UNION ALL SELECT 5
    UNION ALL SELECT 25
    UNION ALL SELECT 50
    UNION ALL SELECT 75
    UNION ALL SELECT 90
    UNION ALL SELECT 100
)
SELECT session_id, milestone_pct
FROM playback_milestones_reached
UNION ALL
SELECT s.session_id, m.milestone_pct
FROM session_facts AS s
JOIN milestones AS m ON s.completion_percentage >= m.milestone_pct
WHERE NOT EXISTS (SELECT 1 FROM playback_milestones_reached AS r WHERE r.session_id = s.session_id)
