"""One question of one side, in a process of its own: rounds, CPU seconds of each, and the answer.

    python worker.py PEER QUESTION FOLDER LAST ROUNDS OUT

PEER `project` with QUESTION `prepare` builds what the project keeps.
"""

from __future__ import annotations

import importlib
import os
import pickle
import resource
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(helper: int) -> float:
    """CPU seconds of this process, those that it waited for, and the process `helper` (0: none)."""
    total = 0.0
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        used = resource.getrusage(who)
        total += used.ru_utime + used.ru_stime
    if helper:
        fields = Path(f"/proc/{helper}/stat").read_text().rpartition(")")[2].split()
        total += (int(fields[11]) + int(fields[12])) / _TICKS
    return total


def peak_megabytes(helper: int) -> float:
    """Of this process and of the helper. Not from getrusage: there a child begins with its parent's peak."""
    peak = 0.0
    for who in ("self", *([str(helper)] if helper else [])):
        for line in Path(f"/proc/{who}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                peak += int(line.split()[1]) / 1024
    return peak


def timed(work: Callable[[], Any], helper: int) -> tuple[float, float, Any]:
    wall, cpu = time.perf_counter(), cpu_seconds(helper)
    found = work()
    return cpu_seconds(helper) - cpu, time.perf_counter() - wall, found


def main() -> None:
    name, question, folder, last, rounds, out = sys.argv[1:]
    peer: Any = importlib.import_module(f"peers.{name}")
    result: dict[str, Any] = {}
    if question == "prepare":
        steps: dict[str, tuple[float, float]] = {}

        def measured(step: str, work: Callable[[], Any]) -> Any:
            cpu, wall, found = timed(work, 0)
            steps[step] = (cpu, wall)
            return found

        peer.prepare(Path(folder), measured)
        result = {"steps": steps, "megabytes": peak_megabytes(0)}
    else:
        work, told = peer.open_(Path(folder), question, date.fromisoformat(last))
        helper = peer.helper() if hasattr(peer, "helper") else 0
        found = work()  # what is loaded and compiled at first is in nobody's time
        runs = []
        for _ in range(int(rounds)):
            del found
            cpu, wall, found = timed(work, helper)
            runs.append((cpu, wall))
        result = {"runs": runs, "megabytes": peak_megabytes(helper), "answer": told(found)}
    Path(out).write_bytes(pickle.dumps(result))


if __name__ == "__main__":
    main()
