"""Hundreds of single messages that wait must not make every turn of a worker slow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import event

from clinic_dispatch_plugin.engine.tender import _mend_mailings
from clinic_dispatch_plugin.messages import store as messages
from tests.engine.dispatching import Desk, open_desk


def statements(desk: Desk, work: Any) -> int:
    """How many statements the database sees."""
    seen: list[str] = []

    def note(*facts: Any) -> None:
        seen.append(str(facts[2]))

    event.listen(desk.dispatch.database.engine, "before_cursor_execute", note)
    work()
    event.remove(desk.dispatch.database.engine, "before_cursor_execute", note)
    return len(seen)


def test_what_is_due_is_asked_for_in_one_statement_however_many_mailings_wait(
    tmp_path: Path,
) -> None:
    desk = open_desk(f"sqlite:///{tmp_path / 'clinic.sqlite'}", tmp_path)
    ids = [desk.mailing([f"p{number}@example.org"]) for number in range(20)]

    def ask() -> None:
        with desk.dispatch.database.begin() as connection:
            assert sorted(found for found, *_ in messages.due_work(connection)) == ids

    assert statements(desk, ask) == 1
    assert statements(desk, lambda: _mend_mailings(desk.dispatch)) < 15
    desk.settle()
    assert desk.states() == {"sent": 20}
    desk.dispatch.database.dispose()
