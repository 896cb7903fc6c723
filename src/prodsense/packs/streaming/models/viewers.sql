-- Everyone known by the users, subscriptions or experiments, with what slices need: the tier of the user's newest
-- subscription and the arm of the newest assignment.
-- key: user_key
-- column: user_key = user
-- column: user_id = the user's id in events and operational tables
-- column: account_id = account
-- column: age_group = age band
-- column: region = region
-- column: is_internal = staff or test user
-- column: subscription_tier = tier of the newest subscription
-- column: experiment_id = experiment that the user was last assigned to
-- column: experiment_arm = arm in it
WITH people AS (
    SELECT user_key, COALESCE(user_id, text_of(user_key)) AS user_id, account_id, age_group, region, is_internal
    FROM dim_users
),
tiers AS (
    SELECT COALESCE(p.user_key, key_of(s.user_id)) AS user_key, s.user_id, s.tier
    FROM subscriptions AS s
    LEFT JOIN people AS p ON p.user_id = s.user_id
    WHERE s.user_id IS NOT NULL AND s.tier IS NOT NULL
    QUALIFY ROW_NUMBER() OVER (
        PARTITION BY COALESCE(p.user_key, key_of(s.user_id))
        ORDER BY COALESCE(s.started_at, s.trial_started_at) DESC NULLS LAST, s.ended_at DESC NULLS FIRST,
            s.subscription_id, s.tier
    ) = 1
),
arms AS (
    SELECT COALESCE(p.user_key, key_of(a.user_id)) AS user_key, a.user_id, a.experiment_id, a.arm
    FROM experiment_assignments AS a
    LEFT JOIN people AS p ON p.user_id = a.user_id
    WHERE a.user_id IS NOT NULL
    QUALIFY ROW_NUMBER() OVER (
        PARTITION BY COALESCE(p.user_key, key_of(a.user_id))
        ORDER BY a.assigned_at DESC NULLS LAST, a.experiment_id, a.arm
    ) = 1
),
-- One row a user: who is in dim_users is known by it, whatever the others call them.
everyone AS (
    SELECT user_key, user_id, account_id, age_group, region, is_internal, 1 AS rank
    FROM people
    UNION ALL
    SELECT user_key, user_id, NULL, NULL, NULL, NULL, 2 FROM tiers
    UNION ALL
    SELECT user_key, user_id, NULL, NULL, NULL, NULL, 3 FROM arms
),
users AS (
    SELECT user_key, user_id, account_id, age_group, region, is_internal
    FROM everyone
    QUALIFY ROW_NUMBER() OVER (PARTITION BY user_key ORDER BY rank) = 1
)
SELECT
    e.user_key,
    e.user_id,
    COALESCE(e.account_id, e.user_id) AS account_id,
    e.age_group,
    e.region,
    COALESCE(e.is_internal, FALSE) AS is_internal,
    LOWER(t.tier) AS subscription_tier,
    a.experiment_id,
    a.arm AS experiment_arm
FROM users AS e
LEFT JOIN tiers AS t ON t.user_key = e.user_key
LEFT JOIN arms AS a ON a.user_key = e.user_key
