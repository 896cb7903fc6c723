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
    SELECT user_id, tier
    FROM subscriptions
    WHERE user_id IS NOT NULL AND tier IS NOT NULL
    QUALIFY ROW_NUMBER() OVER (
        PARTITION BY user_id
        ORDER BY COALESCE(started_at, trial_started_at) DESC NULLS LAST, ended_at DESC NULLS FIRST, subscription_id, tier
    ) = 1
),
arms AS (
    SELECT user_id, experiment_id, arm
    FROM experiment_assignments
    WHERE user_id IS NOT NULL
    QUALIFY ROW_NUMBER() OVER (PARTITION BY user_id ORDER BY assigned_at DESC NULLS LAST, experiment_id, arm) = 1
),
others AS (
    SELECT user_id FROM tiers
    UNION
    SELECT user_id FROM arms
),
everyone AS (
    SELECT user_key, user_id, account_id, age_group, region, is_internal
    FROM people
    UNION ALL
    SELECT key_of(o.user_id), o.user_id, NULL, NULL, NULL, NULL
    FROM others AS o
    WHERE NOT EXISTS (SELECT 1 FROM people AS p WHERE p.user_id = o.user_id)
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
FROM everyone AS e
LEFT JOIN tiers AS t ON t.user_id = e.user_id
LEFT JOIN arms AS a ON a.user_id = e.user_id
