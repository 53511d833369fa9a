"""The soak test works, and a small one finds nothing wrong."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SOAK = Path(__file__).resolve().parent.parent / "scripts" / "soak.py"


@pytest.mark.e2e
@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc, and listens on 127.0.0.2")
def test_two_hundred_calls() -> None:
    command = [sys.executable, str(SOAK), "--requests", "200", "--concurrency", "32"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300)

    assert run.returncode == 0, run.stderr
    rows = [line.strip("| ").split(" | ") for line in run.stdout.splitlines() if re.match(r"\| \S", line)]
    kinds = [row for row in rows if len(row) == 4 and row[2].isdigit() and row[3].isdigit()]
    assert sum(int(count) for *_, count, _ in kinds) >= 200
    assert run.stderr == ""
