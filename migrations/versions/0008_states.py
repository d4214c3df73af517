"""The database refuses more of what the states forbid; what an older version left otherwise is put right before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

MESSAGE = {
    "queued_is_due": "state <> 'queued' OR due_at IS NOT NULL",
    "sending_has_run": "state <> 'sending' OR run_id IS NOT NULL",
    "run_in_hand": "run_id IS NULL OR state IN ('leased', 'sending')",
    "sent_has_attempt": "state <> 'sent' OR attempt_id IS NOT NULL",
    "settled_has_time": "state IN ('queued', 'leased', 'sending') OR final_at IS NOT NULL",
    "open_is_not_final": "state NOT IN ('queued', 'leased', 'sending') OR final_at IS NULL",
    "failure_is_explained": (
        "state NOT IN ('undelivered', 'uncertain', 'skipped') OR answer_id IS NOT NULL"
    ),
}
ATTEMPT = {
    "open_is_not_closed": "state <> 'open' OR closed_at IS NULL",
    "result_has_time": "state = 'open' OR closed_at IS NOT NULL",
}
CHECKS = {"dispatch_message": MESSAGE, "dispatch_attempt": ATTEMPT}


def upgrade() -> None:
    _put_right()
    for table, checks in CHECKS.items():
        named = {f"ck_{table}_{name}": words for name, words in checks.items()}
        if op.get_bind().dialect.name == "sqlite":
            _make_anew(table, {**_checks_of(table), **named})
        else:
            for name, words in named.items():
                op.create_check_constraint(op.f(name), table, words)


def downgrade() -> None:
    for table, checks in CHECKS.items():
        names = [f"ck_{table}_{name}" for name in checks]
        if op.get_bind().dialect.name == "sqlite":
            kept = {name: words for name, words in _checks_of(table).items() if name not in names}
            _make_anew(table, kept)
        else:
            for name in names:
                op.drop_constraint(op.f(name), table, type_="check")


def _put_right() -> None:
    for words in (
        "UPDATE dispatch_message SET due_at = created_at WHERE state = 'queued' AND due_at IS NULL",
        "UPDATE dispatch_message SET run_id = NULL "
        "WHERE run_id IS NOT NULL AND state NOT IN ('leased', 'sending')",
        "UPDATE dispatch_message SET final_at = NULL "
        "WHERE final_at IS NOT NULL AND state IN ('queued', 'leased', 'sending')",
        "UPDATE dispatch_message SET final_at = COALESCE(sent_at, created_at) "
        "WHERE final_at IS NULL AND state NOT IN ('queued', 'leased', 'sending')",
        "UPDATE dispatch_attempt SET closed_at = NULL "
        "WHERE state = 'open' AND closed_at IS NOT NULL",
        "UPDATE dispatch_attempt SET closed_at = opened_at "
        "WHERE state <> 'open' AND closed_at IS NULL",
    ):
        op.execute(sa.text(words))


def _checks_of(table: str) -> dict[str, str]:
    found = sa.inspect(op.get_bind()).get_check_constraints(table)
    return {str(each["name"]): each["sqltext"] for each in found}


def _make_anew(table: str, checks: Mapping[str, str]) -> None:
    """SQLite adds no check to a table that is there: the table is copied into a new one, with all it has."""
    constraints = tuple(
        sa.CheckConstraint(words, name=op.f(name)) for name, words in checks.items()
    )
    with (
        _without_foreign_keys(),
        op.batch_alter_table(table, recreate="always", table_args=constraints),
    ):
        pass


@contextmanager
def _without_foreign_keys() -> Iterator[None]:
    """Dropping the old table would be refused while others point at it; the switch works between transactions alone."""
    bind = op.get_bind()
    there = bind.connection.dbapi_connection
    assert there is not None
    there.commit()
    was = bind.exec_driver_sql("PRAGMA foreign_keys").scalar()
    bind.exec_driver_sql("PRAGMA foreign_keys = OFF")
    try:
        yield
    finally:
        there.commit()
        bind.exec_driver_sql(f"PRAGMA foreign_keys = {int(was or 0)}")
