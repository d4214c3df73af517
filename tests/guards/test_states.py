"""Nothing writes a state but conditional updates in the stores, and the database refuses what no state may hold."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from clinic_dispatch_plugin.messages import tables
from clinic_dispatch_plugin.messages.mailing_rules import MOVES as MAILING_MOVES
from clinic_dispatch_plugin.messages.mailing_rules import MailingState
from clinic_dispatch_plugin.messages.rules import MOVES, MessageState, Mover, may_move, sources
from migrations.versions import __path__ as migrations

CORE = Path(tables.__file__).parents[1]
PLUGINS = CORE.parent / "plugins"
#: Rows that stand in a state, and where statements that change it may be written.
STATEFUL = {
    "Message": "messages",
    "Attempt": "messages",
    "Mailing": "",
    "Run": "engine",
    "AccountRow": "accounts",
}


@cache
def functions() -> list[tuple[Path, str, str]]:
    """Every function that ships and may change rows: file, name, source."""
    return list(_functions())


def _functions() -> Iterator[tuple[Path, str, str]]:
    for path in sorted([*CORE.rglob("*.py"), *PLUGINS.rglob("*.py")]):
        source = path.read_text()
        if not any(f"update({table})" in source for table in STATEFUL):
            continue
        lines = source.splitlines()
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef):
                yield path, node.name, "\n".join(lines[node.lineno - 1 : node.end_lineno])


def writes_state(source: str, table: str) -> bool:
    """Whether a function changes rows of a table, and their state among it as far as can be seen."""
    if f"update({table})" not in source:
        return False
    return bool(re.search(r"[( ]state=|\"state\":|\.values\(\*\*|execute\(query\.values", source))


def unconditional(source: str, table: str) -> bool:
    """Whether it does so without a word about the state they come from."""
    return writes_state(source, table) and f"{table}.state" not in source


@pytest.mark.parametrize("table", STATEFUL)
def test_every_change_of_a_state_names_the_states_it_comes_from(table: str) -> None:
    seen = [(path, name) for path, name, source in functions() if writes_state(source, table)]
    assert seen, "the look-out sees nothing any more"
    assert [
        f"{path.relative_to(CORE.parent)}:{name}"
        for path, name, source in functions()
        if unconditional(source, table)
    ] == []


@pytest.mark.parametrize(("table", "folder"), STATEFUL.items())
def test_states_are_changed_in_the_stores_alone(table: str, folder: str) -> None:
    homes = {path for path, _, source in functions() if f"update({table})" in source}
    assert homes
    for path in homes:
        assert path.stem.endswith("store"), path
        assert not folder or path.parent.name == folder, path


def test_no_statement_in_plain_sql_changes_our_rows() -> None:
    for path in CORE.rglob("*.py"):
        assert not re.search(r"UPDATE dispatch_|\.update\(\)\.values", path.read_text()), path


def test_a_careless_change_would_be_found() -> None:
    careless = 'connection.execute(update(Message).where(Message.id == 1).values(state="sent"))'
    assert unconditional(careless, "Message")


def test_the_table_of_moves_is_whole_and_final_is_final() -> None:
    assert {source for source, _ in MOVES} | {target for _, target in MOVES} == set(MessageState)
    assert all(MOVES.values()), "a move that nobody makes is none"
    assert not any(source is MessageState.DELIVERED for source, _ in MOVES), "arrived stays arrived"
    for target in MessageState:
        for mover in Mover:
            for source in MessageState:
                assert may_move(source, target, mover) == (source in sources(target, mover))
    # Whatever was handed over, or may have been, waits again only by a person's order, a proof or a report.
    handed = {MessageState.SENT, MessageState.DELIVERED, MessageState.SENDING}
    assert not any(
        Mover.PERSON in movers
        for (source, target), movers in MOVES.items()
        if source in handed and target is MessageState.QUEUED
    )
    assert MAILING_MOVES[MailingState.CANCELLED] == frozenset()


def test_the_classes_and_the_migration_have_the_same_checks() -> None:
    """What the comparison of tables cannot see."""
    words = Path(migrations[0], "0008_states.py").read_text()
    first = Path(migrations[0], "0001_the_first_tables.py").read_text()
    for checks in (tables.MESSAGE_CHECKS, tables.ATTEMPT_CHECKS):
        for name, said in checks.items():
            assert name in words or name in first, name
            assert said in words or said in first, name
