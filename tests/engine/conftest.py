"""A desk on each database; each test begins with empty tables, and every move a message makes is looked at."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from clinic_dispatch_plugin.engine import stream
from clinic_dispatch_plugin.messages.rules import MOVES, MessageState
from tests.engine.dispatching import Desk, open_desk

_SEEN = "CREATE TABLE moves_seen (source VARCHAR(16), target VARCHAR(16))"
_NOTE = "INSERT INTO moves_seen VALUES (OLD.state, NEW.state)"
#: The database itself notes each change of a message's state.
TRIGGERS = {
    "sqlite": [
        "CREATE TRIGGER note_move AFTER UPDATE OF state ON dispatch_message "
        f"WHEN OLD.state <> NEW.state BEGIN {_NOTE}; END"
    ],
    "postgresql": [
        "CREATE FUNCTION note_move() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN {_NOTE}; RETURN NULL; END $$",
        "CREATE TRIGGER note_move AFTER UPDATE OF state ON dispatch_message FOR EACH ROW "
        "WHEN (OLD.state <> NEW.state) EXECUTE FUNCTION note_move()",
    ],
    "mysql": [
        "CREATE TRIGGER note_move AFTER UPDATE ON dispatch_message FOR EACH ROW "
        f"BEGIN IF OLD.state <> NEW.state THEN {_NOTE}; END IF; END"
    ],
}


@pytest.fixture
def desk(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A dispatch with a fake channel and a fake host, on each kind of database.

    After the test every move that any statement made must stand in the one table of moves.
    """
    monkeypatch.setattr(stream, "PAUSE_AFTER_FAILURE", 0.0)
    made = open_desk(database_url, tmp_path)
    name = made.dispatch.database.engine.dialect.name
    with made.dispatch.database.begin() as connection:
        for statement in (_SEEN, *TRIGGERS["mysql" if name == "mariadb" else name]):
            connection.execute(text(statement))
    yield made
    assert moves_seen(made) <= set(MOVES)
    made.dispatch.database.dispose()


def moves_seen(desk: Desk) -> set[tuple[MessageState, MessageState]]:
    """The moves messages made since the beginning of the test."""
    with desk.dispatch.database.begin() as connection:
        rows = connection.execute(text("SELECT DISTINCT source, target FROM moves_seen")).all()
    return {(MessageState(source), MessageState(target)) for source, target in rows}
