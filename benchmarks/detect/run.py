"""Anomalies in real series: the NAB score, false alarms on clean seasonal series, labelled KPIs, planted stories.

    python benchmarks/detect/run.py --data FOLDER

FOLDER holds `nab/`, `seasonal_series/`, `donut_kpi/` and `clickstream_ecom/`; what is absent is left out.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

import prodsense as ps
from prodsense.engines.duckdb import DuckDBEngine
from prodsense.inference.detect_series import QUIET_FINE, SURPRISE
from prodsense.inference.surprise import alerts, surprise

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from known import data_option, folder_of

#: NAB's standard profile: what a false alarm costs against a window found, and how much of a series is not scored.
FALSE_ALARM, PROBATION, MOST_PROBATION = 0.11, 0.15, 750


def read(sql: str) -> dict[str, Any]:
    """Columns of a query over files, as numpy arrays."""
    engine = DuckDBEngine()
    try:
        table = engine.raw(sql, fetch=True)
        return {name: table.column(name).to_numpy(zero_copy_only=False) for name in table.column_names}
    finally:
        engine.close()


def sigmoid(position: float) -> float:
    """NAB's scaled sigmoid: 1 at the start of a window, 0 at its end, towards -1 behind it."""
    return -1.0 if position > 3 else 2 / (1 + np.exp(5 * position)) - 1


def series_score(found: list[int], length: int, windows: list[tuple[int, int]]) -> float:
    """The raw NAB score of alerts in one series (Lavin and Ahmad 2015); windows are index pairs, both inside."""
    probation = min(int(PROBATION * length), MOST_PROBATION)
    hits: dict[int, float] = {}
    score = 0.0
    for at in found:
        if at < probation:
            continue
        inside = next((i for i, (a, b) in enumerate(windows) if a <= at <= b), None)
        if inside is not None:
            a, b = windows[inside]
            hits[inside] = max(hits.get(inside, -9.0), sigmoid(-(b - at + 1) / (b - a + 1)) / sigmoid(-1.0))
            continue
        before = [(a, b) for a, b in windows if b < at]
        score += FALSE_ALARM * (sigmoid((at - before[-1][1]) / (before[-1][1] - before[-1][0])) if before else -1.0)
    return score + sum(hits.values()) - (len(windows) - len(hits))


def nab(folder: Path, threshold: float = SURPRISE) -> tuple[float, int, int]:
    """NAB score over all series of a folder, windows found, alerts outside of windows."""
    data = read(f"SELECT series, timestamp, value FROM '{folder}/series.parquet' ORDER BY series, timestamp")
    wins = read(f"SELECT series, window_start, window_end FROM '{folder}/windows.csv' ORDER BY series, window_start")
    stamps = data["timestamp"].astype("datetime64[s]")
    raw, total, hit, false = 0.0, 0, 0, 0
    for name in np.unique(data["series"]):
        mine = data["series"] == name
        at, values = stamps[mine], data["value"][mine].astype(float)
        a_day = round(86_400 / float(np.median(np.diff(at).astype(float))))
        found = alerts(surprise(values, a_day), threshold, QUIET_FINE)
        own = wins["series"] == name
        first = np.searchsorted(at, wins["window_start"][own].astype("datetime64[s]"))
        last = np.searchsorted(at, wins["window_end"][own].astype("datetime64[s]"), "right") - 1
        windows = list(zip(first.tolist(), last.tolist(), strict=True))
        raw += series_score(found, len(values), windows)
        total += len(windows)
        hit += sum(any(a <= i <= b for i in found) for a, b in windows)
        false += sum(not any(a <= i <= b for a, b in windows) for i in found)
    return 100 * (raw + total) / (2 * total), hit, false


def false_alarms(folder: Path) -> dict[str, tuple[int, float]]:
    """Alerts in series without anomalies, and how many months they span."""
    calls = ps.detect(folder / "bank_calls_5min.parquet", time="DateTime", value="Calls")
    power = ps.detect(folder / "elecdaily.csv", time="date", value="Demand")
    return {"bank_calls_5min": (len(calls), 7.75), "elecdaily": (len(power), 12.0)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    data_option(parser)
    folder = folder_of(parser.parse_args())
    if (folder / "nab").is_dir():
        start = time.process_time()
        score, hit, false = nab(folder / "nab")
        print(f"nab              score {score:.1f} at {SURPRISE}, {hit} windows found, {false} alerts outside,"
              f" {time.process_time() - start:.1f} CPU s")  # fmt: skip
    if (folder / "seasonal_series").is_dir():
        for name, (count, months) in false_alarms(folder / "seasonal_series").items():
            print(f"{name:16} {count} false alarms in {months} months")
    if (folder / "donut_kpi").is_dir():
        for path in sorted((folder / "donut_kpi").glob("*.parquet")):
            data = read(f"SELECT * FROM '{path}' ORDER BY timestamp")
            label = data["label"].astype(int)
            found = alerts(surprise(data["value"].astype(float), 288), SURPRISE, QUIET_FINE)
            starts = np.flatnonzero(np.diff(label, prepend=0) == 1)
            ends = np.flatnonzero(np.diff(label, append=0) == -1)
            hit = sum(any(a <= i <= b + 12 for i in found) for a, b in zip(starts, ends, strict=True))
            print(f"{path.stem[:16]:16} {hit} of {len(starts)} labelled stretches, {len(found)} alerts")
    if (folder / "clickstream_ecom").is_dir():
        clicks = folder / "clickstream_ecom" / "ecom.parquet"
        for row in ps.detect(clicks, time="timestamp", by=["event", "platform"]).rows:
            print(f"ecom             {row['subject']} {row['period']}..{row['until']} score {row['score']:.0f}")


if __name__ == "__main__":
    main()
