"""The benchmark works: what it measures on a busy machine means nothing, that it can measure does."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parent.parent / "scripts" / "bench.py"


@pytest.mark.e2e
@pytest.mark.skipif(sys.platform != "linux", reason="the benchmark reads /proc")
def test_every_line_of_the_table_has_its_numbers() -> None:
    run = subprocess.run([sys.executable, str(BENCH), "--tiny"], capture_output=True, text=True, timeout=120)

    assert run.returncode == 0, run.stderr
    rows = [line.strip("| ").split(" | ") for line in run.stdout.splitlines() if re.match(r"\| \S", line)]
    compared = [row for row in rows if len(row) == 4]
    alone = [row for row in rows if len(row) == 2]
    assert len(compared) == 9
    assert all(float(ratio) > 0 for *_, ratio in compared)
    assert all(re.fullmatch(r"[\d.]+ (µs|ms)", value) for _, value in alone[1:])
    assert run.stderr == ""
