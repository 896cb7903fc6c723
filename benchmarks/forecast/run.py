"""M4 hourly: the error of the forecasts, beside the seasonal naive rule and the published figures.

    python benchmarks/forecast/run.py [--data FOLDER]

FOLDER holds ``m4_hourly/`` with ``train.parquet`` and ``test.parquet`` (series_id, t, y; 414 series, 48 values ahead).
Prints sMAPE and MASE as the competition defines them, the share of values inside the 95% intervals, and CPU seconds.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

import prodsense as ps
from prodsense.metrics.reading import read_file

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from known import data_option, folder_of

HORIZON, SEASON = 48, 24
PUBLISHED = (("winner of M4 (ES-RNN)", 9.328, 0.893), ("best on hourly series", 8.913, 0.801), ("Theta", 18.138, 2.455))


def columns(path: Path) -> dict[str, Any]:
    """Values of each series, in the order of time."""
    table = read_file(path).sort_by([("series_id", "ascending"), ("t", "ascending")])
    names, first = np.unique(table["series_id"].to_numpy(zero_copy_only=False).astype(str), return_index=True)
    return dict(zip(names, np.split(table["y"].to_numpy().astype(float), first[1:]), strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data_option(parser)
    folder = folder_of(parser.parse_args(), "m4_hourly")
    train, test = columns(folder / "train.parquet"), columns(folder / "test.parquet")
    began = time.process_time()
    found = ps.forecast(
        folder / "train.parquet", time="t", value="y", by="series_id", seasons=[SEASON, 168], horizon=HORIZON
    )
    spent = time.process_time() - began
    rows = found.arrow.sort_by([("series_id", "ascending"), ("time", "ascending")])
    names = sorted(train)
    shape = (len(names), HORIZON)
    ours, naive, low, high = (rows[name].to_numpy().reshape(shape) for name in ("forecast", "baseline", "low", "high"))
    actual = np.stack([test[name] for name in names])
    scale = np.array([np.abs(train[name][SEASON:] - train[name][:-SEASON]).mean() for name in names])
    print(f"{'':28}{'sMAPE':>9}{'MASE':>9}")
    for title, guess in (("prodsense forecast", ours), (f"seasonal naive {SEASON}", naive)):
        size = np.abs(actual) + np.abs(guess)
        smape = float((200 * np.abs(actual - guess) / size).mean())
        mase = float((np.abs(actual - guess).mean(axis=1) / scale).mean())
        print(f"{title:28}{smape:9.3f}{mase:9.3f}")
    for title, smape, mase in PUBLISHED:
        print(f"{title:28}{smape:9.3f}{mase:9.3f}  (published)")
    print(f"95% intervals hold {((actual >= low) & (actual <= high)).mean():.1%}; {spent:.1f} CPU seconds")


if __name__ == "__main__":
    main()
