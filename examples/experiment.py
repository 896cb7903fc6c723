"""A test of a new checkout, read out: the split first, then effects with intervals, then ship, hold or stop and why.

    python examples/experiment.py [FILE.html]

Makes the users of a test itself, with a planted effect of +2 points on conversion and none on latency; what the readout
says can be held against that.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa

import prodsense as ps


def users(n: int = 40_000, lift: float = 0.02) -> pa.Table:
    """One row a user: arm, spend before the test, whether they bought, what they spent, how long pages took."""
    dice = np.random.default_rng(11)
    treated = dice.random(n) < 0.5
    before = dice.gamma(2.0, 10.0, n)
    bought = dice.random(n) < 0.10 + lift * treated
    return pa.table({
        "user_id": np.arange(n),
        "arm": np.where(treated, "new", "old"),
        "spend_before": before,
        "bought": bought,
        "spend": np.where(bought, 0.5 * before + dice.gamma(2.0, 10.0, n), 0.0),
        "seconds": dice.gamma(4.0, 0.5, n),
    })


def main(page: Path | None) -> None:
    print("Units that a test needs to find two points on ten per cent:")
    ps.power(rate=0.10, effect=0.02).print()
    print()
    readout = ps.experiment(
        users(), arm="arm", control="old", metrics=["bought", "spend"], guardrails={"seconds": "2%"},
        lower_is_better=["seconds"], covariates={"spend": "spend_before"},
    )  # fmt: skip
    readout.print()
    if page:
        readout.save(page)
        print(f"\nThe readout as a page: {page}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
