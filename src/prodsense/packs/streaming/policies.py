"""Rules for reading viewing honestly, each with the query or check that proves it.

Those about the registry read the newest version of each metric in metric_registry. `registry_rows` of the pack's module
`registry` is a registry to start from; the simulator loads it. Without a registry there is nothing to break.
"""

from __future__ import annotations

from functools import partial

from prodsense.contracts.vocabulary import Policy
from prodsense.packs.computed import PackFunction

_check = partial(PackFunction, __package__, "registry")

POLICIES = (
    Policy(
        "view_definition_consistency",
        "One registered definition of a view: every metric of the registry that counts views states the same rule, and"
        " the views counted are just those that the rule makes so, for every type of content.",
        check=_check("one_definition_of_a_view"),
    ),
    Policy(
        "view_attribution_rule",
        "Each view is credited once, to the episode and series it was of and to a profile of the account that watched.",
    ),
    Policy(
        "single_metric_overoptimization_guard",
        "No decision on one metric alone: each metric of time watched in the registry names satisfaction, completion"
        " and retention beside it (counter_metrics), all registered, and a page that leads with one shows them too.",
        check=_check("hours_are_not_alone"),
    ),
    Policy(
        "episode_and_series_linkage",
        "Sessions of episodes name the episode and the series that it is of.",
    ),
)
