"""The small form of the long run: twenty seconds of everything that breaks, on PostgreSQL."""

from __future__ import annotations

import pytest

from tests.servers import postgresql
from tests.servers.found import require
from tests.soak.running import Order, run

pytestmark = [pytest.mark.slow, pytest.mark.postgresql]


def test_a_clinic_under_fire_keeps_its_promises() -> None:
    require(postgresql.find())
    said: list[str] = []
    order = Order(seconds=20, seed=4, most=2_000, singles=0.5, pace=1.5)
    assert run(order, say=said.append), "\n".join(said)
