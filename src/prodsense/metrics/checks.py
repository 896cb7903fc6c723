"""Policies: rules that must hold, each proved by a SELECT of its violations or by a check in Python."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from prodsense.contracts.vocabulary import Policy, Query

if TYPE_CHECKING:
    from prodsense.metrics.result import Rows
    from prodsense.metrics.scope import Scope


@dataclass(frozen=True)
class PolicyResult:
    """Whether a policy holds, and the rows that break it.

    `state` is ``holds`` or ``broken``; `violations` has one row for each breach.
    """

    pack: str
    name: str
    says: str
    level: Literal["error", "warning"]
    violations: Rows

    @property
    def holds(self) -> bool:
        return not self.violations.rows

    @property
    def state(self) -> str:
        return "holds" if self.holds else "broken"

    def to_dict(self) -> dict[str, Any]:
        """For JSON: pack, policy, holds, level, says, violations."""
        return {
            "pack": self.pack, "policy": self.name, "holds": self.holds, "level": self.level, "says": self.says,
            "violations": self.violations.rows,
        }


def check_policy(warehouse: Any, policy: Policy, params: Mapping[str, Any], scope: Scope) -> PolicyResult:
    """Run one policy with `params` over its defaults."""
    from prodsense.metrics.queries import coerce_params, run_query
    from prodsense.metrics.result import Rows

    if policy.sql:
        query = Query(policy.name, policy.says, policy.sql, policy.params, policy.as_of, f"policies/{policy.name}.sql")
        violations = run_query(warehouse.engine, query, params, scope)
    else:
        assert policy.check is not None
        given = coerce_params(policy.params, params, policy.name)
        violations = Rows.from_rows(list(policy.check(warehouse, **given)), title=policy.name)
    return PolicyResult(scope.pack, policy.name, policy.says, policy.level, violations)
