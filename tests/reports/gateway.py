"""A clinic whose gateway reports later, in the plainest way: JSON that proves itself by a word in its header."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import RowMapping, delete, func, select, update

from clinic_dispatch_plugin.accounts import service as accounts
from clinic_dispatch_plugin.api import (
    Account,
    Answer,
    CallbackRefused,
    Capabilities,
    DeliveryReport,
    ReportStatus,
    Sender,
    SentMessage,
)
from clinic_dispatch_plugin.engine.tables import Lock
from clinic_dispatch_plugin.messages.tables import Attempt, Message
from clinic_dispatch_plugin.registry import Dispatch
from clinic_dispatch_plugin.reports.tables import Asking, Report
from clinic_dispatch_plugin.testing.fake_channel import FakeChannel, FakePlugin
from tests.clinic.host import Clinic, make_clinic
from tests.clinic.mailbag import Mailbag

WORD = "canary-word"
WINDOW = 2 * 86_400


def said(
    status: str,
    *,
    key: str | None = None,
    provider_id: str | None = None,
    code: str = "",
    **details: str,
) -> DeliveryReport:
    """A report."""
    answer = Answer(system="fake", code=code, text=f"{code} later") if code else None
    return DeliveryReport(
        status=ReportStatus(status),
        attempt_key=key,
        provider_id=provider_id,
        answer=answer,
        details=details,
    )


class Reporting(FakeChannel):
    """Takes callbacks, and answers when it is asked."""

    capabilities = Capabilities(report_window=WINDOW, query_by_our_id=True, callbacks=True)

    def __init__(self, *, key: str = "fake") -> None:
        super().__init__(key=key)
        self.keys: tuple[str, ...] = ("default",)
        #: What it says of an attempt, by key; an exception is raised.
        self.fates: dict[str, DeliveryReport] = {}
        self.trouble: Exception | None = None
        #: Every question, with the keys it was about.
        self.asked: list[list[str]] = []

    def accounts(self) -> Sequence[Account]:
        return [Account(channel=self.key, key=each, label="nowhere") for each in self.keys]

    def parse_callback(
        self, account: Account, headers: Mapping[str, str], body: bytes
    ) -> Sequence[DeliveryReport]:
        if headers.get("X-Word") != WORD or f"/{account.key}" not in headers[":path"]:
            raise CallbackRefused("it does not know the word")
        return [said(**each) for each in json.loads(body)]

    @contextmanager
    def open(self, account: Account) -> Iterator[Sender]:
        with super().open(account) as sender:
            sender.check = self._check  # type: ignore[method-assign]
            yield sender

    def _check(self, sent: Sequence[SentMessage]) -> Iterator[DeliveryReport]:
        self.asked.append([each.attempt_key for each in sent])
        for each in sent:
            if each.attempt_key in self.fates:
                yield self.fates[each.attempt_key]
        if self.trouble is not None:
            raise self.trouble


@dataclass(kw_only=True)
class Desk:
    """The clinic, and what is asked of its tables."""

    clinic: Clinic
    channel: Reporting
    bag: Mailbag = field(init=False)

    def __post_init__(self) -> None:
        self.bag = Mailbag(self.dispatch, channel=self.channel.key)

    @property
    def dispatch(self) -> Dispatch:
        return self.clinic.dispatch

    def sent(
        self, state: str = "sent", *, attempt: str = "accepted", ago: float = 600, **values: Any
    ) -> int:
        """A message handed over so many seconds ago; ``provider_id`` is its attempt's."""
        provider_id = values.pop("provider_id", None)
        mailing = values.pop("mailing_id", None) or self.bag.mailing()
        message_id = self.bag.message(mailing, state, attempt=attempt, **values)
        at = datetime.now(tz=UTC) - timedelta(seconds=ago)
        with self.dispatch.database.begin() as connection:
            connection.execute(
                update(Attempt)
                .where(Attempt.message_id == message_id)
                .values(
                    opened_at=at,
                    closed_at=None if attempt == "open" else at,
                    provider_id=provider_id,
                )
            )
        return message_id

    def state(self, message_id: int) -> tuple[str, str | None]:
        """Of the message, and what was reported of its last attempt."""
        return str(self.bag.row(message_id)["state"]), self.attempt(message_id)["report"]

    def attempt(self, message_id: int) -> RowMapping:
        return self.bag.attempts(message_id)[-1]

    def key(self, message_id: int) -> str:
        return str(self.attempt(message_id)["key"])

    def account(self) -> int:
        """The account's row."""
        return self.dispatch.database.run(
            lambda connection: accounts.account_id(connection, self.channel.key, "default")
        )

    def reports(self) -> list[RowMapping]:
        with self.dispatch.database.begin() as connection:
            return list(connection.execute(select(Report.__table__).order_by(Report.id)).mappings())

    def forget_reports(self) -> None:
        """Nothing was heard, and nobody asked."""
        with self.dispatch.database.begin() as connection:
            connection.execute(delete(Asking))
            connection.execute(delete(Report))

    def free(self) -> None:
        """Every gateway takes a question again."""
        with self.dispatch.database.begin() as connection:
            past = datetime.now(tz=UTC) - timedelta(seconds=5)
            connection.execute(update(Lock).values(live_until=past))

    def forget_messages(self) -> None:
        """No attempt is open any more."""
        with self.dispatch.database.begin() as connection:
            connection.execute(update(Attempt).values(report="delivered"))

    def hurry(self, seconds: float = 0.0) -> None:
        """What waits is due; what came is so much older."""
        with self.dispatch.database.begin() as connection:
            now = datetime.now(tz=UTC)
            connection.execute(
                update(Report)
                .where(Report.look_at.is_not(None))
                .values(look_at=now - timedelta(seconds=1))
            )
            if seconds:
                connection.execute(
                    update(Report).values(received_at=now - timedelta(seconds=seconds))
                )

    def count(self, table: type[Message] | type[Attempt] | type[Report]) -> int:
        with self.dispatch.database.begin() as connection:
            return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def make_desk(folder: Path, *, url: str | None = None, protect_forms: bool = False) -> Desk:
    """A clinic with such a gateway."""
    channel = Reporting()
    config = {"SQLALCHEMY_DATABASE_URI": url} if url else {}
    clinic = make_clinic(
        folder, config=config, plugins=[FakePlugin(channel)], protect_forms=protect_forms
    )
    return Desk(clinic=clinic, channel=channel)
