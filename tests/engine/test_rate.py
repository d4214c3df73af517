"""One rate for all workers: never more than it says, also while Redis goes and comes back."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from clinic_dispatch_plugin.accounts import rate as rates
from clinic_dispatch_plugin.accounts import service as accounts
from tests.engine.children import start, wait
from tests.engine.dispatching import Desk, open_desk
from tests.servers import redis as valkey
from tests.servers.found import require

RATE, PROCESSES = 200.0, 4


#: Seconds a stretch lasts at least, and within which the rate has to be used.
STRETCH, PATIENCE = 2.0, 30.0


def take_until_over(desk: Desk, row_id: int, notes: Path) -> Callable[[], None]:
    """What a worker does: take small portions until it is told to end, and note when each was taken."""

    def work() -> None:
        with (notes / f"{os.getpid()}.taken").open("w", buffering=1) as lines:
            while not (notes / "over").exists():
                wait_for = accounts.take_rate(desk.dispatch, row_id, number=5, rate=RATE)
                if wait_for:
                    time.sleep(min(wait_for, 0.05))
                else:
                    lines.write(f"{time.monotonic()} 5\n")

    return work


def taken_since(notes: Path, moment: float) -> int:
    """How many were taken after a moment, by all of them; a line that is being written does not count."""
    lines = [
        line.split()
        for file in notes.glob("*.taken")
        for line in file.read_text().splitlines(keepends=True)
        if line.endswith("\n")
    ]
    return sum(int(number) for at, number in lines if float(at) >= moment)


def used_for_a_stretch(notes: Path) -> None:
    """From now on the rate is used, not merely kept; a busy machine may need longer to show it."""
    since = time.monotonic()
    while True:
        time.sleep(0.1)
        lasted = time.monotonic() - since
        used = taken_since(notes, since)
        if lasted >= STRETCH and used >= RATE * lasted * 0.4:
            return
        assert lasted < PATIENCE, used


def test_four_processes_keep_one_rate_while_redis_vanishes_and_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten seconds: some with Redis, then without, and with a new and empty one at the end."""
    monkeypatch.setattr(rates, "AWAY_SECONDS", 1.0)
    found = require(valkey.find())
    with valkey.running(found) as server:
        desk = open_desk(f"sqlite:///{tmp_path / 'clinic.sqlite'}", tmp_path, REDIS_URL=server.url)
        row_id = desk.dispatch.database.run(
            lambda connection: accounts.account_id(connection, "fake", "default")
        )
        began = time.monotonic()
        children = [start(desk, take_until_over(desk, row_id, tmp_path)) for _ in range(PROCESSES)]
        used_for_a_stretch(tmp_path)
    used_for_a_stretch(tmp_path)
    with valkey.running(found, port=server.port):
        used_for_a_stretch(tmp_path)
        time.sleep(max(0.0, began + 10.0 - time.monotonic()))
        (tmp_path / "over").touch()
        assert [wait(child) for child in children] == [0] * PROCESSES
        lasted = time.monotonic() - began
        assert server.answers()
    assert taken_since(tmp_path, began) <= RATE * lasted * 1.02 + 5
