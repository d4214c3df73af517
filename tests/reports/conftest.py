"""A clinic on each database with messages that went out, and mails that speak of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, RowMapping, insert, select, text, update

from clinic_dispatch_plugin.messages.rules import new_key
from clinic_dispatch_plugin.messages.tables import Attempt, Audit, Block, Message
from clinic_dispatch_plugin.registry import Dispatch
from clinic_dispatch_plugin.reports.tables import Bounce
from tests.clinic.full import EMAIL
from tests.clinic.host import Clinic, make_clinic
from tests.clinic.mailbag import Mailbag
from tests.conftest import DATABASES
from tests.reports.gateway import Desk, make_desk
from tests.reports.making import ATTEMPT, MESSAGE


@dataclass(frozen=True, kw_only=True)
class Post:
    """A clinic, and what is asked of its tables."""

    clinic: Clinic
    bag: Mailbag

    @property
    def dispatch(self) -> Dispatch:
        return self.clinic.dispatch

    def sent(self, state: str = "sent", *, attempt: str = "accepted", **values: Any) -> int:
        """A message that went out."""
        mailing = values.pop("mailing_id", None) or self.bag.mailing()
        return self.bag.message(mailing, state, attempt=attempt, **values)

    def message(self, message_id: int) -> RowMapping:
        return self._one(select(Message.__table__).where(Message.id == message_id))

    def attempts(self, message_id: int) -> list[RowMapping]:
        query = select(Attempt.__table__).where(Attempt.message_id == message_id)
        with self.dispatch.database.begin() as connection:
            return list(connection.execute(query.order_by(Attempt.number)).mappings())

    def another_attempt(self, message_id: int, *, address: str, hours: float) -> int:
        """The message was sent once more, so many hours later."""
        first = self.attempts(message_id)[-1]

        def work(connection: Connection) -> int:
            row = {
                **first,
                "id": first["id"] + 1_000_000,
                "number": first["number"] + 1,
                "key": new_key(),
                "address": address,
                "opened_at": first["opened_at"] + timedelta(hours=hours),
            }
            connection.execute(insert(Attempt).values(**row))
            connection.execute(
                update(Message)
                .where(Message.id == message_id)
                .values(attempt_id=row["id"], last_number=row["number"], address=address)
            )
            return int(row["id"])

        return self.dispatch.database.run(work)

    def began(self, message_id: int, at: datetime) -> None:
        """When the message's attempts were begun."""
        with self.dispatch.database.begin() as connection:
            connection.execute(
                update(Attempt).where(Attempt.message_id == message_id).values(opened_at=at)
            )

    def mail(self, raw: bytes, message_id: int, number: int = 1) -> bytes:
        """A shape's mail with the keys of this message."""
        attempt = self.attempts(message_id)[number - 1]
        key = self.message(message_id)["key"]
        done = raw.replace(ATTEMPT.encode(), attempt["key"].encode())
        done = done.replace(MESSAGE.encode(), key.encode())
        done = done.replace(MESSAGE.upper().encode(), key.upper().encode())
        return done.replace(b"anna@example.org", attempt["address"].encode())

    def bounces(self) -> list[RowMapping]:
        with self.dispatch.database.begin() as connection:
            query = select(Bounce.__table__).order_by(Bounce.id)
            return list(connection.execute(query).mappings())

    def blocks(self) -> list[tuple[str, str]]:
        with self.dispatch.database.begin() as connection:
            query = select(Block.address_digest, Block.scope)
            return [(row.address_digest, row.scope) for row in connection.execute(query)]

    def trail(self, action: str) -> list[RowMapping]:
        with self.dispatch.database.begin() as connection:
            query = select(Audit.__table__).where(Audit.action == action)
            return list(connection.execute(query).mappings())

    def everything(self) -> list[Any]:
        """Rows that a mail may change."""
        with self.dispatch.database.begin() as connection:
            return [
                connection.execute(text(f"SELECT * FROM dispatch_{name} ORDER BY id")).all()
                for name in ("message", "attempt", "block", "bounce", "audit", "answer", "mailing")
            ]

    def _one(self, query: Any) -> RowMapping:
        with self.dispatch.database.begin() as connection:
            return connection.execute(query).mappings().one()


@pytest.fixture
def post(database_url: str, tmp_path: Path) -> Iterator[Post]:
    if database_url.startswith("sqlite"):
        clinic = make_clinic(tmp_path, config=EMAIL)
    else:
        config = {**EMAIL, "SQLALCHEMY_DATABASE_URI": database_url}
        clinic = make_clinic(tmp_path, config=config)
    yield Post(clinic=clinic, bag=Mailbag(clinic.dispatch))
    clinic.dispatch.database.dispose()


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Post]:
    """The same on SQLite alone, for pages and commands."""
    clinic = make_clinic(tmp_path, config=EMAIL)
    yield Post(clinic=clinic, bag=Mailbag(clinic.dispatch))
    clinic.dispatch.database.dispose()


#: When the returned mail of all shapes says it was written.
WRITTEN = datetime(2026, 11, 24, 6, 0, 2, tzinfo=UTC)


@pytest.fixture(scope="module", params=DATABASES)
def desk(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Desk]:
    """One clinic in each kind of database, for all tests of a module."""
    folder = tmp_path_factory.mktemp("desk")
    if request.param == "sqlite":
        made = make_desk(folder)
        yield made
        made.dispatch.database.dispose()
        return
    with request.getfixturevalue(f"{request.param}_server").fresh_database() as url:
        made = make_desk(folder, url=url)
        yield made
        made.dispatch.database.dispose()
