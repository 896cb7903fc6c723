"""From a CSV of clicks under its own names to numbers, retention and a dashboard, in one file each.

    python examples/own_csv.py [FOLDER]

Writes a small CSV such as a product's log might be, maps its columns to the stickiness pack's event table, and answers
from it. FOLDER (default: own_csv) gets the CSV and the page.
"""

from __future__ import annotations

import csv
import random
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow.csv

import prodsense as ps

#: The log's own column → that of the contract (`prodsense schema stickiness` lists all of them).
COLUMNS = {"uid": "user_id", "at": "timestamp", "what": "event_type", "client": "platform"}


def write_log(path: Path, people: int = 200, days: int = 28) -> None:
    """Clicks of `people` who come back the less, the later: half of them every other day, half of them seldom."""
    dice = random.Random(5)
    start = datetime(2024, 1, 1, 8)
    with path.open("w", newline="") as file:
        log = csv.writer(file)
        log.writerow(COLUMNS)
        for person in range(people):
            client, often = dice.choice(["ios", "android", "web"]), person % 2
            for day in range(person % 7, days):
                if day == person % 7 or dice.random() < (0.5 if often else 0.1):
                    at = start + timedelta(days=day, minutes=dice.randrange(600))
                    for step, what in enumerate(["app_open", "content_view", "like"][: dice.randint(1, 3)]):
                        log.writerow([f"p{person}", at + timedelta(seconds=30 * step), what, client])


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / "clicks.csv"
    write_log(source)
    log = pyarrow.csv.read_csv(source)
    log = log.rename_columns([COLUMNS[name] for name in log.column_names])
    with ps.open(":memory:") as wh:
        print(wh.ingest(log, table="stickiness.user_events"))
        wh.build("stickiness")
        print("\nActive users and how sticky they are, by week:")
        wh.metric("stickiness.daily_active_users", "stickiness.dau_mau_ratio", grain="week").print()
        print("\nWho comes back, by client:")
        events = wh.events("stickiness.user_events", "user_id", "timestamp", "event_type")
        ps.retention(events, days=7, grain="all", by="platform").print()
        page = folder / "stickiness_overview.html"
        wh.dashboard("stickiness.stickiness_overview").save(page)
        print(f"\nThe dashboard: {page}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "own_csv"))
