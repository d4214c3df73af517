"""How the databases look for what a list shows: along an index or a bounded span of ids, never through all messages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Select, text

from clinic_dispatch_plugin.messages.causes_store import count_query, occurred_query
from clinic_dispatch_plugin.messages.lists_store import Segment, page_query
from clinic_dispatch_plugin.registry import Dispatch
from tests.clinic.host import make_clinic
from tests.clinic.mailbag import STRANGE, UNKNOWN_USER, Mailbag
from tests.store.letters import LetterPlugin

#: What people filter by; searches and channels look at a span of ids, as wide as one statement may be.
SEGMENTS = {
    "everything": Segment(),
    "state": Segment(state="undelivered"),
    "cause": Segment(answer_ids=(1,)),
    "joined causes": Segment(answer_ids=(1, 2)),
    "state and cause": Segment(state="undelivered", answer_ids=(1,)),
    "mailing": Segment(mailing_id=1, state="undelivered"),
    "mailing and cause": Segment(mailing_id=1, state="undelivered", answer_ids=(1, 2)),
    "channel": Segment(channel="letter", first_id=100, last_id=200),
    "search": Segment(words=("anna", "berger"), first_id=100, last_id=200),
    "search in a state": Segment(state="sent", words=("anna",), first_id=100, last_id=200),
}
STATEMENTS: dict[str, Select[Any]] = {
    f"{name}, {'up' if newer else 'down'}": page_query(segment, beyond=150, limit=51, newer=newer)
    for name, segment in SEGMENTS.items()
    for newer in (False, True)
}
STATEMENTS |= {"causes that occurred": occurred_query(300), "their counts": count_query([1, 2])}


@pytest.fixture
def dispatch(database_url: str, tmp_path: Path) -> Iterator[Dispatch]:
    config = {"SQLALCHEMY_DATABASE_URI": database_url, "CLINIC_DISPATCH_BLOCKED_PLUGINS": "email"}
    clinic = make_clinic(tmp_path, config=config, plugins=[LetterPlugin()])
    bag = Mailbag(clinic.dispatch, channel="letter")
    first, second = bag.mailing(), bag.mailing()
    for number in range(300):
        answer = UNKNOWN_USER if number % 2 else STRANGE
        bad = number % 10 == 0
        bag.message(
            first if number % 3 else second,
            "undelivered" if bad else "sent",
            answer=answer if bad else None,
        )
    with clinic.dispatch.database.begin() as connection:
        if connection.dialect.name == "mysql":
            connection.execute(text("ANALYZE TABLE dispatch_message"))
        else:
            connection.execute(text("ANALYZE"))
    yield clinic.dispatch
    clinic.dispatch.database.dispose()


def walks(connection: Connection, query: Select[Any]) -> list[str]:
    """Steps of the plan that read the whole table of messages."""
    name = connection.dialect.name
    said = str(query.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True}))
    if name == "sqlite":
        steps = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {said}")]
        if "SEARCH" not in " ".join(
            steps
        ):  # a walk along ids ends with the page, one that sorts does not
            steps = [step for step in steps if "TEMP B-TREE" in step]
        sorts = "UNION ALL" not in said  # of several parts each is a page at most: little to sort
        return [
            step
            for step in steps
            if step == "SCAN dispatch_message" or (sorts and "TEMP B-TREE" in step)
        ]
    if name == "postgresql":
        # A table this small is read whole unless it is told not to be: asked is whether another way exists.
        connection.execute(text("SET LOCAL enable_seqscan = off"))
        lines = [row[0] for row in connection.exec_driver_sql(f"EXPLAIN {said.replace('%', '%%')}")]
        return [line for line in lines if "Seq Scan on dispatch_message" in line]
    rows = connection.exec_driver_sql(f"EXPLAIN {said}".replace("%", "%%")).mappings().all()
    return [
        f"{row['table']}: {row['type']} {row['Extra']}"
        for row in rows
        if row["table"] == "dispatch_message" and row["type"] == "ALL"
    ]


def test_no_list_reads_all_messages(dispatch: Dispatch) -> None:
    found = {}
    for name, query in STATEMENTS.items():
        with dispatch.database.begin() as connection:
            if steps := walks(connection, query):
                found[name] = steps
    assert found == {}


def test_a_list_without_an_index_would_be_found(dispatch: Dispatch) -> None:
    query = page_query(Segment(words=("anna",)), beyond=None, limit=51, newer=False)
    query = query.order_by(None).order_by(text("name"))
    with dispatch.database.begin() as connection:
        assert walks(connection, query)


#: Messages without any failure that are newer than all that failed.
NEWER = 20_000


def add_good_ones(connection: Connection) -> None:
    """Many more messages, all of them newer and sent."""
    quoted = connection.dialect.identifier_preparer.quote("key")
    new_key = {
        "sqlite": "lower(hex(randomblob(13)))",
        "postgresql": "substr(md5(random()::text), 1, 26)",
    }.get(connection.dialect.name, "left(uuid(), 26)")
    columns = (
        "mailing_id, account_id, channel, ref, name, locale, address, data, state, attempt_id, attempts, "
        "last_number, tries, lost_runs, created_at, sent_at, final_at"
    )
    held = 0
    while held < NEWER:
        done = connection.execute(
            text(
                f"INSERT INTO dispatch_message ({quoted}, {columns}) SELECT {new_key}, {columns} "
                f"FROM dispatch_message WHERE state = 'sent' ORDER BY id LIMIT 5000"
            )
        )
        held += done.rowcount
    if connection.dialect.name != "mysql":
        connection.execute(text("ANALYZE"))


def rows_read(connection: Connection, query: Select[Any]) -> float:
    """About how many rows the database looked at for a statement's answer."""
    name = connection.dialect.name
    if name == "sqlite":
        ticks: list[int] = []
        raw: Any = connection.connection.driver_connection
        raw.set_progress_handler(lambda: ticks.append(1), 100)
        connection.execute(query).all()
        raw.set_progress_handler(None, 0)
        return len(ticks) * 100 / 10  # a row that is passed over costs about ten steps
    if name == "postgresql":
        said = query.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True})
        explained = connection.exec_driver_sql(
            f"EXPLAIN (ANALYZE, FORMAT JSON) {said}".replace("%", "%%")
        ).scalar_one()
        return _looked_at(explained[0]["Plan"])
    before = _handler_reads(connection)
    connection.execute(query).all()
    return _handler_reads(connection) - before


def _looked_at(plan: dict[str, Any]) -> float:
    mine = 0.0
    if "Scan" in plan["Node Type"]:
        mine = plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)
    return mine + sum(_looked_at(part) for part in plan.get("Plans", ()))


def _handler_reads(connection: Connection) -> float:
    rows = connection.exec_driver_sql("SHOW SESSION STATUS LIKE 'Handler_read%%'")
    return float(sum(int(row[1]) for row in rows if "tmp" not in row[0]))


@pytest.mark.parametrize(
    "segment",
    [
        Segment(answer_ids=(1,)),
        Segment(answer_ids=(1, 2)),
        Segment(state="undelivered"),
        Segment(state="undelivered", answer_ids=(1, 2)),
        Segment(mailing_id=1, state="undelivered", answer_ids=(1, 2)),
    ],
    ids=["cause", "joined causes", "state", "state and causes", "mailing"],
)
def test_what_failed_long_ago_is_found_without_passing_all_that_came_later(
    dispatch: Dispatch, segment: Segment
) -> None:
    dispatch.database.run(add_good_ones)
    with dispatch.database.begin() as connection:
        query = page_query(segment, beyond=None, limit=51, newer=False)
        assert len(connection.execute(query).all()) > 5
        assert rows_read(connection, query) < NEWER / 8
