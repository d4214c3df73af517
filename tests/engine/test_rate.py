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


def take_for(desk: Desk, row_id: int, seconds: float, notes: Path) -> Callable[[], None]:
    """What a worker does: take small portions for so long, and note when each was taken."""

    def work() -> None:
        end, lines = time.monotonic() + seconds, []
        while time.monotonic() < end:
            wait_for = accounts.take_rate(desk.dispatch, row_id, number=5, rate=RATE)
            if wait_for:
                time.sleep(min(wait_for, 0.05))
            else:
                lines.append(f"{time.monotonic()} 5\n")
        (notes / f"{os.getpid()}.taken").write_text("".join(lines))

    return work


def test_four_processes_keep_one_rate_while_redis_vanishes_and_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten seconds: three with Redis, then without, and with a new and empty one at the end."""
    monkeypatch.setattr(rates, "AWAY_SECONDS", 1.0)
    found = require(valkey.find())
    with valkey.running(found) as server:
        desk = open_desk(f"sqlite:///{tmp_path / 'clinic.sqlite'}", tmp_path, REDIS_URL=server.url)
        row_id = desk.dispatch.database.run(
            lambda connection: accounts.account_id(connection, "fake", "default")
        )
        began = time.monotonic()
        children = [start(desk, take_for(desk, row_id, 10.0, tmp_path)) for _ in range(PROCESSES)]
        time.sleep(3.0)
    time.sleep(2.0)
    with valkey.running(found, port=server.port):
        assert [wait(child) for child in children] == [0] * PROCESSES
        lasted = time.monotonic() - began
        assert server.answers()
    taken = sorted(
        (float(at), int(number))
        for file in tmp_path.glob("*.taken")
        for at, number in (line.split() for line in file.read_text().splitlines())
    )
    total = sum(number for _, number in taken)
    assert total <= RATE * min(lasted, 10.5) * 1.02 + 5
    # It is used, too: with Redis, without it, and again with it.
    for first, last in ((0.5, 2.5), (4.5, 6.0), (8.0, 9.5)):
        used = sum(number for at, number in taken if first <= at - began < last)
        assert used >= RATE * (last - first) * 0.4, (first, used)
