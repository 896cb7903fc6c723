"""A build killed at any moment leaves the old or the new version of each model, never half of one."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import pytest
from build_shop import Shop

from prodsense.build import build, verify

MOMENTS = 20

#: Loads a new day and late rows, builds, and says when it begins each step.
WORKER = """
import sys
sys.path.insert(0, {folder!r})
from datetime import date
from build_shop import Shop
from prodsense.build import build
shop = Shop({location!r})
turn = int(sys.argv[1])
rows = [(turn * 3000 + i, i % 3 + 1, date(2024, 1, 1 + (i + turn) % 28), turn) for i in range(3000)]
shop.load("orders", rows)
print("loaded", flush=True)
build(shop.engine, shop.models, shop.tables, full=turn % 3 == 0)
print("built", flush=True)
"""


@pytest.mark.slow
def test_kill_9_at_random_moments_leaves_whole_models(tmp_path):
    location = str(tmp_path / "shop.duckdb")
    script = WORKER.format(folder=str(Path(__file__).parent), location=location)
    shop = Shop(location)
    shop.load("customers", [(1, "new"), (2, "old"), (3, None)])
    shop.load("orders", [(-1, 1, date(2024, 1, 1), 1)])
    started = time.perf_counter()
    assert build(shop.engine, shop.models, shop.tables).ok
    span = 1.5 * (time.perf_counter() - started)
    shop.engine.close()
    rng = random.Random(20240115)
    killed = 0
    for turn in range(1, MOMENTS + 1):
        worker = subprocess.Popen([sys.executable, "-c", script, str(turn)], stdout=subprocess.PIPE, text=True)
        assert worker.stdout is not None
        assert worker.stdout.readline() == "loaded\n"
        time.sleep(rng.uniform(0.0, span))
        worker.send_signal(signal.SIGKILL)
        killed += worker.wait() == -signal.SIGKILL
        shop = Shop(location)
        # Each turn adds 3,000 orders of its own amount: a model shows the state before this turn or after it.
        before, after = (1 + 3000 * sum(range(1, t + 1)) for t in (turn - 1, turn))
        for name in ("daily", "by_segment", "settled"):
            total = shop.engine.query(f"SELECT SUM(amount) AS total FROM shop.{name}")["total"][0].as_py()
            assert total in (before, after), name
        assert not {"prodsense.stage", "prodsense.before"} & set(shop.engine.relations("prodsense"))
        assert build(shop.engine, shop.models, shop.tables).ok
        assert verify(shop.engine, shop.models, shop.tables) == {}
        shop.engine.close()
    assert killed >= MOMENTS // 4
