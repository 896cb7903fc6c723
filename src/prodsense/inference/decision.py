"""Ship, hold or stop: the rule of Schultzberg, Ankargren and Frånberg (arXiv 2402.11609), stated beforehand.

Ship if and only if at least one primary metric is significantly better, every guardrail is shown to be no worse than
its margin, no metric is significantly worse, and the checks of quality pass. Stop where the split is broken, a metric
got significantly worse, or a guardrail is shown to be passed. Else hold: what is missing is said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

RULE = (
    "ship: a primary metric is better (adjusted p below alpha), all guardrails within their margins, no metric worse,"
    " checks pass; stop: the split is broken, a metric is worse or a guardrail is passed; else hold"
)


def decide(
    rows: Sequence[Mapping[str, Any]], blocking: Sequence[str], broken: Sequence[str], alpha: float,
    waiting: Sequence[str] = (),
) -> tuple[str, list[str], dict[str, str]]:
    """(decision, reasons, decision by arm) for the rows of a readout.

    `broken` are failed checks after which no number can be trusted (stop), `blocking` those that keep from
    shipping (hold), `waiting` what a plan says must be awaited. Of several treatments each is judged by itself:
    ship says that at least one may, stop that all must.
    """
    arms = list(dict.fromkeys(row["arm"] for row in rows))
    judged = {arm: _arm([row for row in rows if row["arm"] == arm], alpha) for arm in arms}
    if broken:
        return "stop", list(broken), dict.fromkeys(arms, "stop")
    held = [*blocking, *waiting]
    by_arm = {arm: "hold" if held and found == "ship" else found for arm, (found, _) in judged.items()}
    verdicts = set(by_arm.values())
    decision = "ship" if "ship" in verdicts else "stop" if verdicts == {"stop"} else "hold"
    reasons = list(held)
    for arm, (_, why) in judged.items():
        reasons += why if len(arms) == 1 else [f"{by_arm[arm]} {arm}: {'; '.join(why)}"]
    return decision, reasons, by_arm


def _arm(rows: Sequence[Mapping[str, Any]], alpha: float) -> tuple[str, list[str]]:
    """The decision on one treatment and its reasons."""
    harm: list[str] = []
    good: list[str] = []
    missing: list[str] = []
    said: list[str] = []
    for row in rows:
        what = row["metric"]
        if row.get("refused"):
            if row["role"] != "secondary":
                missing.append(f"{what} has no result: {row['refused']}")
            continue
        if row["role"] == "guardrail":
            if row["guardrail"] == "harmed":
                harm.append(f"guardrail {what} is worse by more than its margin {row['margin']}")
            elif row["guardrail"] == "not shown":
                missing.append(f"guardrail {what} is not shown to stay within its margin {row['margin']}"
                               f" (p = {row['p_margin']:.3g})")
            elif row["verdict"] == "worse":
                # Its margin was granted beforehand; that it is used is said, and weighed by people.
                said.append(f"guardrail {what} is worse, within its margin {row['margin']}")
        elif row["role"] == "primary" and row["verdict"] in ("better", "worse"):
            line = f"{what} is {row['verdict']} by {abs(row['effect']):.4g} (adjusted p = {row['p_adjusted']:.3g})"
            (good if row["verdict"] == "better" else harm).append(line)
    if harm:
        return "stop", harm
    if not good:
        missing.insert(0, f"no primary metric is better at the level {alpha:g}")
    if missing:
        return "hold", [*good, *missing, *said]
    if any(row["role"] == "guardrail" for row in rows):
        good.append("all guardrails are within their margins")
    return "ship", [*good, *said]
