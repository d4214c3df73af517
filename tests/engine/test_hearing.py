"""What a gateway reports by itself while messages go out: each kept before the next, and sending goes on."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from clinic_dispatch_plugin.channels.types import Account, DeliveryReport, ReportStatus
from clinic_dispatch_plugin.engine import hearing
from clinic_dispatch_plugin.reports import inbox
from clinic_dispatch_plugin.reports.tables import Report
from clinic_dispatch_plugin.testing import FakeChannel, FakeHost
from tests.engine.dispatching import Desk, make_dispatch


class Talking(FakeChannel):
    """A gateway that reports each message as soon as the next one goes out, and the last one when all are through."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[str] = []
        self.held: list[str] = []

    @contextmanager
    def open(self, account: Account) -> Iterator[object]:  # type: ignore[override]
        with super().open(account) as sender:
            sender.reports = self.reports  # type: ignore[attr-defined]
            yield sender

    def reports(self) -> Generator[DeliveryReport, None, None]:
        self.held = [f"fake-{each.attempt_id}" for each in self.handed]
        for each in [each for each in self.held if each not in self.kept]:
            yield DeliveryReport(status=ReportStatus.DELIVERED, provider_id=each)
            self.kept.append(each)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    channel, host = Talking(), FakeHost()
    url = f"sqlite:///{tmp_path / 'clinic.db'}"
    dispatch = make_dispatch(url, tmp_path, channel=channel, host=host)
    yield Desk(dispatch=dispatch, channel=channel, host=host)
    dispatch.database.dispose()


PEOPLE = [f"anna{number}@example.org" for number in range(30)]


def kept(desk: Desk) -> int:
    with desk.dispatch.database.begin() as connection:
        return len(connection.scalars(select(Report.id)).all())


def test_every_report_is_kept_and_moves_its_message(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hearing, "EVERY_SECONDS", 0.0)
    monkeypatch.setattr(hearing, "AT_ONCE", 2)
    desk.mailing(PEOPLE)
    desk.settle()
    assert kept(desk) == len(PEOPLE)
    inbox.process(desk.dispatch)
    assert {desk.message(each)["state"] for each in PEOPLE} == {"delivered"}


def test_what_cannot_be_kept_is_not_acknowledged_and_messages_go_out_all_the_same(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise OperationalError("INSERT", {}, Exception("away"))

    monkeypatch.setattr(desk.dispatch, "hear", away, raising=True)
    desk.mailing(PEOPLE[:5])
    desk.settle()
    assert {desk.message(each)["state"] for each in PEOPLE[:5]} == {"sent"}
    assert isinstance(desk.channel, Talking)
    assert desk.channel.held
    assert desk.channel.kept == []


def test_a_sender_that_breaks_when_asked_what_it_heard_still_sends(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks() -> Iterator[DeliveryReport]:
        raise ValueError("no")

    monkeypatch.setattr(desk.channel, "reports", breaks)
    desk.mailing(PEOPLE[:3])
    desk.settle()
    assert {desk.message(each)["state"] for each in PEOPLE[:3]} == {"sent"}
