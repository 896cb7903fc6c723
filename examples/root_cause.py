"""Why did revenue fall? The smallest set of slices that accounts for it, out of all combinations of five dimensions.

    python examples/root_cause.py

Makes two weeks of orders and breaks one thing in the second: payments by wallet on Android fail half of the time.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa

import prodsense as ps

CHOICES = {
    "country": ["DE", "FR", "IT", "ES"], "platform": ["ios", "android", "web"],
    "payment": ["card", "wallet", "invoice"], "channel": ["direct", "search", "social"],
    "category": ["books", "toys", "food", "garden"],
}  # fmt: skip


def orders(n: int = 60_000) -> pa.Table:
    dice = np.random.default_rng(3)
    columns = {name: dice.choice(values, n) for name, values in CHOICES.items()}
    day = dice.integers(0, 14, n)
    broken = (day >= 7) & (columns["platform"] == "android") & (columns["payment"] == "wallet")
    paid = np.where(broken, dice.random(n) < 0.5, True)
    start = datetime(2024, 3, 4)
    return pa.table({
        "at": [start + timedelta(days=int(d)) for d in day], **columns,
        "revenue": np.where(paid, dice.gamma(3.0, 12.0, n), 0.0),
    })


def main() -> None:
    answer = ps.explain(
        orders(), value="revenue", time="at", dims=list(CHOICES),
        before="2024-03-04..2024-03-10", after="2024-03-11..2024-03-17",
    )  # fmt: skip
    answer.print()


if __name__ == "__main__":
    main()
