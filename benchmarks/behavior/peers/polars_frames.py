"""Polars on Parquet, with its streaming engine."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from questions import COUNTED, GAP_US, STEPS, WINDOW_US

MISSING = "" if importlib.util.find_spec("polars") else "polars is not installed"
TITLE = "Polars"


def open_(folder: Path, question: str, last: date) -> tuple[Callable[[], Any], Callable[[Any], Any]]:
    import polars as pl

    c = pl.col

    def events() -> Any:
        return pl.scan_parquet(folder / "events.parquet")

    def days() -> Any:
        return events().select("user_id", c("ts").dt.date().alias("d")).unique()

    def collected(frame: Any) -> Any:
        return frame.collect(engine="streaming")

    def rolling() -> Any:
        ud = days().sort("user_id", "d").with_columns(c("d").shift(-1).over("user_id").alias("next"))
        gap = (c("next") - c("d")).dt.total_days().clip(upper_bound=28).fill_null(28).cast(pl.Int32)
        cells = collected(ud.group_by("d", gap.alias("gap")).agg(pl.len().cast(pl.Int64).alias("n")))
        parts = [cells.select("d", c("n").alias("a"), c("n").alias("b"), c("n").alias("c"))]
        for k, name in ((1, "a"), (7, "b"), (28, "c")):
            left = c("d") + pl.duration(days=pl.min_horizontal("gap", pl.lit(k)))
            counts = ((-c("n") if name == other else pl.lit(0, pl.Int64)).alias(other) for other in "abc")
            parts.append(cells.select(left.cast(pl.Date).alias("d"), *counts))
        steps = pl.concat(parts).group_by("d").agg(pl.sum("a", "b", "c")).sort("d")
        return steps.with_columns(c("a", "b", "c").cum_sum()).filter(c("d") <= last)

    def l28() -> Any:
        start = last - timedelta(days=27)
        window = events().filter(c("ts") >= pl.lit(start).cast(pl.Datetime("us")))
        ud = window.select("user_id", c("ts").dt.date().alias("d")).unique()
        return collected(ud.group_by("user_id").agg(pl.len().alias("days")).group_by("days").agg(pl.len()))

    def retention() -> Any:
        ud = days()
        first = ud.group_by("user_id").agg(c("d").min().alias("f"))
        n = (c("d") - c("f")).dt.total_days().alias("n")
        joined = ud.join(first, on="user_id").with_columns(n).filter((c("n") <= 30) & (c("d") < last))
        return collected(joined.group_by("f", "n").agg(pl.len()))

    def lifecycle() -> Any:
        ud = days().sort("user_id", "d").with_columns(
            (c("d") - c("d").shift(1).over("user_id")).dt.total_days().alias("away")
        )
        found = collected(ud.group_by("d").agg(
            pl.len().cast(pl.Int64).alias("active"), c("away").is_null().sum().cast(pl.Int64).alias("new"),
            (c("away") == 1).sum().cast(pl.Int64).alias("retained"),
            (c("away") > 1).sum().cast(pl.Int64).alias("resurrected"),
        )).sort("d")  # fmt: skip
        return found.select(
            "d", "new", "retained", "resurrected",
            (c("active").shift(1).fill_null(0) - c("retained")).alias("churned"),
            (c("new").cum_sum() - c("active")).alias("dormant"),
        )

    def funnel() -> Any:
        frame = events().filter(c("event").is_in(STEPS)).select("user_id", c("ts").to_physical().alias("t"), "event")
        frame = frame.sort("user_id", "t")
        held = pl.when(c("event") == "view").then(c("t")).forward_fill().over("user_id").alias("c1")
        frame = frame.with_columns(held)
        for i, name in enumerate(STEPS[1:], 2):
            before = c(f"c{i - 1}")
            near = pl.when((c("event") == name) & (c("t") - before <= WINDOW_US)).then(before)
            frame = frame.with_columns(near.forward_fill().over("user_id").alias(f"c{i}"))
        found = frame.group_by("user_id").agg(c("c1", "c2", "c3", "c4").is_not_null().any())
        return collected(found.select(c("c1", "c2", "c3", "c4").sum().cast(pl.Int64)))

    def sessions() -> Any:
        frame = events().select("user_id", c("ts").to_physical().alias("t")).sort("user_id", "t")
        new = (c("t").diff().over("user_id") >= GAP_US).fill_null(True)
        frame = frame.with_columns(new.cast(pl.Int64).cum_sum().alias("s"))
        return collected(frame.group_by("s").agg(
            c("user_id").first(), c("t").min().alias("began"), c("t").max().alias("ended"),
            pl.len().cast(pl.Int64).alias("events"),
        ))  # fmt: skip

    def transitions() -> Any:
        frame = events().select("user_id", "event", c("ts").to_physical().alias("t")).sort("user_id", "t")
        frame = frame.with_columns(
            c("event").shift(1).over("user_id").alias("before"), c("t").diff().over("user_id").alias("away")
        )
        return collected(frame.filter(c("away") < GAP_US).group_by("before", "event").agg(pl.len()))

    def metrics() -> Any:
        pays = c("event") == "pay"
        found = collected(events().group_by(c("ts").dt.date().alias("d"), "country", "platform").agg(
            pl.len().alias("events"), c("user_id").n_unique().alias("users"),
            *((c("event") == name).sum().alias(name) for name in COUNTED),
            c("user_id").filter(pays).n_unique().alias("payers"),
            c("amount").cast(pl.Int64).sum().fill_null(0).alias("revenue"),
        ))  # fmt: skip
        return found.with_columns((c("revenue") * 1000 // c("users")).alias("each"))

    def told(found: Any) -> Any:
        mixed = (c("user_id") % 10007) * (c("began") % 1000003) + c("events") * (c("ended") % 10007)
        return found.select(
            pl.len(), c("events").sum(), (c("ended") - c("began")).sum().alias("s"), mixed.sum().alias("m")
        ).rows()

    work = {f.__name__: f for f in (rolling, l28, retention, lifecycle, funnel, sessions, transitions, metrics)}
    return work[question], told if question == "sessions" else lambda found: found.rows()
