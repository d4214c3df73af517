"""A dispatch on any database, and mailings written straight into its tables: nothing but the engine is tried."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import Connection, func, insert, select, update

from clinic_dispatch_plugin.accounts.service import account_id
from clinic_dispatch_plugin.accounts.tables import AccountRow
from clinic_dispatch_plugin.database.base import db_now
from clinic_dispatch_plugin.engine.pump import pump
from clinic_dispatch_plugin.engine.tables import Run
from clinic_dispatch_plugin.engine.tender import tend
from clinic_dispatch_plugin.error_reference.tables import AnswerRow
from clinic_dispatch_plugin.extension import ClinicDispatch
from clinic_dispatch_plugin.messages.mailing_tables import Mailing, Revision
from clinic_dispatch_plugin.messages.rules import new_key
from clinic_dispatch_plugin.messages.tables import Attempt, Message
from clinic_dispatch_plugin.registry import Dispatch
from clinic_dispatch_plugin.testing import FakeChannel, FakeHost, FakePlugin
from tests.servers.filled import fill


def make_dispatch(
    url: str,
    folder: Path,
    *,
    channel: FakeChannel,
    host: FakeHost | None = None,
    tables: bool = True,
    others: Sequence[FakeChannel] = (),
    **settings: Any,
) -> Dispatch:
    """A dispatch with one fake channel; the app is kept in its database.

    :param others: further channels beside it.
    :param settings: more of ``CLINIC_DISPATCH_*``, without the prefix.
    """
    app = Flask("engine")
    config = {
        "DATABASE_URL": url,
        "DATA_DIR": str(folder / "data"),
        "BLOCKED_PLUGINS": "email",
        "REDIS_URL": "unix:///nowhere.sock",
        **settings,
    }
    app.config.update({f"CLINIC_DISPATCH_{name}": value for name, value in config.items()})
    dispatch = ClinicDispatch().init_app(
        app, host=host or FakeHost(), plugins=[FakePlugin(channel, *others)]
    )
    if tables:
        fill(dispatch)
    return dispatch


@dataclass(frozen=True, kw_only=True)
class Desk:
    """Writes mailings and reads what became of them."""

    dispatch: Dispatch
    channel: FakeChannel
    host: FakeHost

    def mailing(
        self,
        people: int | Sequence[str] = 3,
        *,
        body: str = "Guten Tag {{ name }}",
        purpose: str = "service",
        refs: Sequence[str] = (),
        priority: int = 0,
        not_after: float | None = None,
        data: Mapping[str, Mapping[str, str]] | None = None,
        state: str = "running",
    ) -> int:
        """A running mailing to so many people, or to these addresses; returns its id.

        :param refs: the people in the host, in the order of the addresses.
        :param not_after: seconds from now.
        :param data: placeholders by address, over ``name``.
        """
        addresses = (
            [f"p{n}@example.org" for n in range(people)] if isinstance(people, int) else people
        )

        def work(connection: Connection) -> int:
            revision = _insert(
                connection,
                Revision,
                channel=self.channel.key,
                subject="Hallo {{ name }}",
                body=body,
                html="",
                created_at=db_now(),
                created_by="",
            )
            mailing_id = _insert(
                connection,
                Mailing,
                name="Mailing",
                purpose=purpose,
                channel=self.channel.key,
                state=state,
                revision_id=revision,
                created_at=db_now(),
                started_at=db_now(),
                pause_reason="",
                pause_text="",
                selection={},
                source="code",
                priority=priority,
                not_after=None if not_after is None else db_now(not_after),
            )
            account = account_id(connection, self.channel.key, "default")
            # A moment ago, so that due is due on every clock's last digit.
            due = connection.execute(select(db_now(-1.0))).scalar_one()
            rows = [
                {
                    "key": new_key(),
                    "mailing_id": mailing_id,
                    "account_id": account,
                    "channel": self.channel.key,
                    "name": f"P{number}",
                    "ref": refs[number] if refs else "",
                    "locale": "de",
                    "address": address,
                    "data": {"name": f"P{number}", **(data or {}).get(address, {})},
                    "state": "queued",
                    "due_at": due + timedelta(microseconds=number),
                    "created_at": due,
                }
                for number, address in enumerate(addresses)
            ]
            if rows:
                connection.execute(insert(Message), rows)
            return mailing_id

        return self.dispatch.database.run(work)

    def pump(self) -> int:
        """One run in this process."""
        return pump(self.dispatch)

    def settle(self, *, rounds: int = 60) -> None:
        """Tend and pump until nothing waits for anything; as often as a worker would in a few minutes."""
        for _ in range(rounds):
            tend(self.dispatch)
            self.pump()
            if not self.count(Message, Message.state.in_(["queued", "leased", "sending"])):
                return
            self.make_due()

    def make_due(self) -> None:
        """Time passes: what waits for another try is due, and what rests has rested."""
        self.change(Message, Message.state == "queued", due_at=db_now(-1.0))
        self.change(AccountRow, AccountRow.state == "resting", rest_until=db_now(-1.0))

    def states(self, mailing_id: int | None = None) -> dict[str, int]:
        """Messages by state."""
        query = select(Message.state, func.count().label("number")).group_by(Message.state)
        if mailing_id is not None:
            query = query.where(Message.mailing_id == mailing_id)
        with self.dispatch.database.begin() as connection:
            return {row.state: row.number for row in connection.execute(query)}

    def attempts(self) -> dict[str, int]:
        """Attempts by state."""
        query = select(Attempt.state, func.count().label("number")).group_by(Attempt.state)
        with self.dispatch.database.begin() as connection:
            return {row.state: row.number for row in connection.execute(query)}

    def message(self, address: str) -> Mapping[str, Any]:
        """The one message to an address, with the ``system`` and ``code`` that explain it."""
        query = (
            select(Message.__table__, AnswerRow.system, AnswerRow.code)
            .outerjoin(AnswerRow, AnswerRow.id == Message.answer_id)
            .where(Message.address == address)
        )
        with self.dispatch.database.begin() as connection:
            return dict(connection.execute(query).mappings().one())

    def attempts_of(self, address: str) -> list[Mapping[str, Any]]:
        """The attempts of the one message to an address, first one first."""
        query = (
            select(Attempt.__table__)
            .join(Message, Message.id == Attempt.message_id)
            .where(Message.address == address)
            .order_by(Attempt.number)
        )
        with self.dispatch.database.begin() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def state_of_mailing(self, mailing_id: int) -> Mapping[str, Any]:
        """One mailing's row."""
        with self.dispatch.database.begin() as connection:
            query = select(Mailing.__table__).where(Mailing.id == mailing_id)
            return dict(connection.execute(query).mappings().one())

    def account(self) -> Mapping[str, Any]:
        """The one account's row."""
        with self.dispatch.database.begin() as connection:
            query = select(AccountRow.__table__).where(AccountRow.channel == self.channel.key)
            return dict(connection.execute(query).mappings().one())

    def runs(self) -> list[Mapping[str, Any]]:
        """All runs, first one first."""
        with self.dispatch.database.begin() as connection:
            query = select(Run.__table__).order_by(Run.id)
            return [dict(row) for row in connection.execute(query).mappings()]

    def count(self, table: Any, *where: Any) -> int:
        """Rows that fit."""
        query = select(func.count()).select_from(table).where(*where)
        with self.dispatch.database.begin() as connection:
            return int(connection.execute(query).scalar_one())

    def change(self, table: Any, *where: Any, **values: Any) -> int:
        """Change rows behind the engine's back."""
        return self.dispatch.database.run(
            lambda connection: (
                connection.execute(update(table).where(*where).values(**values)).rowcount
            )
        )

    def journals(self) -> list[Path]:
        """Journals that lie in the spool."""
        return sorted(self.dispatch.settings.spool_dir.glob("*.[jn]*"))


def _insert(connection: Connection, table: Any, **values: Any) -> int:
    done = connection.execute(insert(table).values(**values))
    assert done.inserted_primary_key is not None
    return int(done.inserted_primary_key[0])


def open_desk(
    url: str,
    folder: Path,
    *,
    people: Iterable[Any] = (),
    channel: FakeChannel | None = None,
    **more: Any,
) -> Desk:
    """A desk with everything of its own."""
    chosen = channel or FakeChannel()
    host = FakeHost(people)
    dispatch = make_dispatch(url, folder, channel=chosen, host=host, **more)
    return Desk(dispatch=dispatch, channel=chosen, host=host)
