"""Mailings and messages in every state, written straight into the tables: what workers would have left there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from sqlalchemy import Connection, RowMapping, insert, select, update

from clinic_dispatch_plugin.accounts import service as accounts
from clinic_dispatch_plugin.accounts.tables import AccountRow
from clinic_dispatch_plugin.channels.types import Answer
from clinic_dispatch_plugin.error_reference.service import note_answer
from clinic_dispatch_plugin.messages.mailing_tables import Mailing, Revision
from clinic_dispatch_plugin.messages.rules import new_key
from clinic_dispatch_plugin.messages.tables import Attempt, Audit, Message
from clinic_dispatch_plugin.registry import Dispatch

UNKNOWN_USER = Answer(
    system="smtp",
    code="5.1.1",
    text="550 5.1.1 <anna@example.org>: Recipient address rejected: User unknown",
)
MAILBOX_FULL = Answer(system="smtp", code="4.2.2", text="452 4.2.2 The mailbox is over quota")
STRANGE = Answer(system="smtp", code="5.9.9", text="599 5.9.9 Zorgon says no to 4711000")
LOST = Answer(
    system="dispatch", code="connection_lost", text="connection closed after the final dot"
)


@dataclass
class Mailbag:
    """Fills a clinic's tables; each method commits."""

    dispatch: Dispatch
    channel: str = "email"
    _numbers: count[int] = field(default_factory=lambda: count(1))

    def mailing(self, name: str = "Terminerinnerung", **values: Any) -> int:
        """A mailing that runs, with a text that names ``name``."""

        def work(connection: Connection) -> int:
            now = datetime.now(tz=UTC)
            revision = connection.execute(
                insert(Revision).values(
                    channel=self.channel,
                    subject="Ihr Termin",
                    body="Guten Tag {{ name }}, bis morgen.",
                    html="<p>Guten Tag {{ name }}</p>",
                    created_at=now,
                )
            )
            assert revision.inserted_primary_key is not None
            usual = {
                "name": name,
                "purpose": "reminder",
                "channel": self.channel,
                "state": "running",
                "revision_id": revision.inserted_primary_key[0],
                "created_by": "admin",
                "created_by_name": "A. Kern",
                "created_at": now,
                "started_at": now,
            }
            done = connection.execute(insert(Mailing).values(**{**usual, **values}))
            assert done.inserted_primary_key is not None
            return int(done.inserted_primary_key[0])

        return self.dispatch.database.run(work)

    def message(
        self,
        mailing_id: int,
        state: str = "sent",
        *,
        answer: Answer | None = None,
        attempt: str | None = None,
        due_in: float = 0.0,
        **values: Any,
    ) -> int:
        """A message; with ``attempt`` one handing-over in that state, by which it came there."""

        def work(connection: Connection) -> int:
            number = next(self._numbers)
            now = datetime.now(tz=UTC)
            said = answer or _usual_answer(state)
            answer_id = note_answer(self.dispatch, connection, said)[0] if said else None
            account = accounts.account_id(connection, self.channel, "default")
            name = values.get("name", f"Berger, Anna {number}")
            usual = {
                "key": new_key(),
                "mailing_id": mailing_id,
                "account_id": account,
                "channel": self.channel,
                "ref": f"p{number}",
                "name": name,
                "locale": "de",
                "address": f"anna{number}@example.org",
                "data": {"name": name},
                "state": state,
                "due_at": now + timedelta(seconds=due_in) if state == "queued" else None,
                "attempts": 1 if attempt and attempt != "withdrawn" else 0,
                "last_number": 1 if attempt else 0,
                "tries": 1 if attempt else 0,
                "answer_id": answer_id,
                "created_at": now,
                "sent_at": now if state in ("sent", "delivered") else None,
                "final_at": None if state in ("queued", "leased", "sending") else now,
                "lost_runs": 0,
                "run_id": 1 if state in ("leased", "sending") else None,
                "attempt_id": 0 if state in ("sending", "sent") else None,
            }
            done = connection.execute(insert(Message).values(**{**usual, **values}))
            assert done.inserted_primary_key is not None
            message_id = int(done.inserted_primary_key[0])
            if attempt:
                self._attempt(connection, message_id, attempt, answer, answer_id, account)
            return message_id

        return self.dispatch.database.run(work)

    def _attempt(
        self,
        connection: Connection,
        message_id: int,
        state: str,
        answer: Answer | None,
        answer_id: int | None,
        account: int,
    ) -> None:
        row = self.row(message_id, connection)
        attempt_id = message_id * 1_000
        connection.execute(
            insert(Attempt).values(
                id=attempt_id,
                message_id=message_id,
                number=1,
                key=new_key(),
                channel=self.channel,
                address=row["address"],
                account_id=account,
                run_id=1,
                state=state,
                answer_id=answer_id,
                answer_text=answer.text if answer else "250 2.0.0 Ok: queued",
                opened_at=datetime.now(tz=UTC),
                closed_at=None if state == "open" else datetime.now(tz=UTC),
            )
        )
        connection.execute(
            update(Message).where(Message.id == message_id).values(attempt_id=attempt_id)
        )

    def stop_account(self, answer: Answer, state: str = "stopped") -> int:
        """The channel's account stops for this reason."""

        def work(connection: Connection) -> int:
            account = accounts.account_id(connection, self.channel, "default")
            answer_id, _ = note_answer(self.dispatch, connection, answer)
            connection.execute(
                update(AccountRow)
                .where(AccountRow.id == account)
                .values(state=state, answer_id=answer_id, answer_text=answer.text)
            )
            return account

        return self.dispatch.database.run(work)

    def row(self, message_id: int, connection: Connection | None = None) -> RowMapping:
        """A message's row as it is now."""
        query = select(Message.__table__).where(Message.id == message_id)
        if connection is not None:
            return connection.execute(query).mappings().one()
        with self.dispatch.database.begin() as fresh:
            return fresh.execute(query).mappings().one()

    def mailing_row(self, mailing_id: int) -> RowMapping:
        """A mailing's row as it is now."""
        with self.dispatch.database.begin() as connection:
            query = select(Mailing.__table__).where(Mailing.id == mailing_id)
            return connection.execute(query).mappings().one()

    def attempts(self, message_id: int) -> Sequence[RowMapping]:
        """A message's attempts."""
        with self.dispatch.database.begin() as connection:
            query = select(Attempt.__table__).where(Attempt.message_id == message_id)
            return connection.execute(query).mappings().all()

    def trail(self, message_id: int | None = None) -> Sequence[RowMapping]:
        """The audit trail, of one message where it is named."""
        with self.dispatch.database.begin() as connection:
            query = select(Audit.__table__).order_by(Audit.id)
            if message_id is not None:
                query = query.where(Audit.message_id == message_id)
            return connection.execute(query).mappings().all()


def _usual_answer(state: str) -> Answer | None:
    """What explains a failure of which a test says no more: the database takes none without."""
    code = {"undelivered": "gave_up", "skipped": "cancelled", "uncertain": "connection_lost"}.get(
        state
    )
    return Answer(system="dispatch", code=code) if code else None
