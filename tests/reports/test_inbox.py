"""Reports of gateways move the one message they speak of, in whatever order and however often they come."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import insert, update

from clinic_dispatch_plugin.accounts import service as accounts
from clinic_dispatch_plugin.channels.types import DeliveryReport
from clinic_dispatch_plugin.database.base import db_now
from clinic_dispatch_plugin.error_reference.answers import explained
from clinic_dispatch_plugin.host.types import Confirmed
from clinic_dispatch_plugin.messages.rules import new_key
from clinic_dispatch_plugin.messages.tables import Attempt, Message
from clinic_dispatch_plugin.reports import inbox
from clinic_dispatch_plugin.reports.said import whole
from tests.clinic.mailbag import LOST
from tests.reports.gateway import Desk, make_desk, said


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """One on SQLite for all tests that need no other database."""
    made = make_desk(tmp_path_factory.mktemp("office"))
    yield made
    made.dispatch.database.dispose()


@pytest.fixture(autouse=True)
def nothing_heard(request: pytest.FixtureRequest) -> None:
    """Each test begins with an empty inbox."""
    for name in ("desk", "office"):
        if name in request.fixturenames:
            request.getfixturevalue(name).forget_reports()


def hear(desk: Desk, *reports: DeliveryReport, account: int | None = None) -> int:
    inbox.keep(
        desk.dispatch,
        reports,
        channel="fake",
        account_id=account or desk.account(),
        source="callback",
    )
    return inbox.process(desk.dispatch)


def test_each_word_moves_its_message_and_no_other(desk: Desk) -> None:
    other = desk.sent(provider_id="other")
    expected = {
        "accepted": ("sent", None),
        "under_way": ("sent", None),
        "no_report": ("sent", "no_report"),
        "failed": ("undelivered", "failed"),
        "delivered": ("delivered", "delivered"),
    }
    found = {}
    for status in expected:
        message_id = desk.sent(provider_id=f"id-{status}")
        code = "unknown" if status == "failed" else ""
        assert hear(desk, said(status, provider_id=f"id-{status}", code=code)) == 1
        found[status] = desk.state(message_id)
        assert desk.reports()[-1]["message_id"] == message_id
    assert found == expected
    assert desk.state(other) == ("sent", None)


def test_a_message_that_was_read_says_so_and_a_later_delivered_does_not_unsay_it(
    desk: Desk,
) -> None:
    message_id = desk.sent(provider_id="r")
    hear(desk, said("delivered", provider_id="r", state="read"))
    assert desk.state(message_id) == ("delivered", "read")
    hear(desk, said("delivered", provider_id="r", state="delivered"))
    assert desk.state(message_id) == ("delivered", "read")


def test_a_failure_is_explained_by_the_reference(desk: Desk) -> None:
    message_id = desk.sent(provider_id="f")
    hear(desk, said("failed", provider_id="f", code="unknown"))
    answer_id = desk.bag.row(message_id)["answer_id"]
    with desk.dispatch.database.begin() as connection:
        answer = explained(desk.dispatch, connection, [answer_id])[answer_id]
    assert (answer.system, answer.code, answer.category) == ("fake", "unknown", "unknown_recipient")
    assert desk.reports()[0]["answer_id"] == answer_id


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_in_any_order_and_three_times_over_the_end_is_the_same(
    office: Desk, order: tuple[int, ...]
) -> None:
    name = f"order{order}"
    message_id = office.sent(provider_id=name)
    several = [
        said("under_way", provider_id=name),
        said("failed", provider_id=name, code="full"),
        said("delivered", provider_id=name),
    ]
    for place in order * 3:
        hear(office, several[place])
    assert office.state(message_id) == ("delivered", "delivered")
    mine = [each for each in office.reports() if each["message_id"] == message_id]
    assert len(mine) == 3


def test_a_report_without_its_message_is_kept_until_the_id_appears(desk: Desk) -> None:
    assert hear(desk, said("delivered", provider_id="early")) == 0
    message_id = desk.sent(provider_id="early")
    desk.hurry()
    assert inbox.process(desk.dispatch) == 1
    assert desk.state(message_id)[0] == "delivered"


def test_a_report_that_comes_while_its_message_is_handed_over_waits(desk: Desk) -> None:
    message_id = desk.sent("sending", attempt="open")
    report = said("delivered", key=desk.key(message_id), provider_id="soon")
    assert hear(desk, report) == 0
    with desk.dispatch.database.begin() as connection:
        connection.execute(
            update(Attempt)
            .where(Attempt.message_id == message_id)
            .values(state="accepted", closed_at=db_now())
        )
    desk.hurry()
    assert inbox.process(desk.dispatch) == 1
    assert desk.attempt(message_id)["report"] == "delivered"


def test_an_unknown_id_is_forgotten_after_a_day_and_not_before(desk: Desk) -> None:
    hear(desk, said("delivered", provider_id="nobody's"))
    desk.hurry(seconds=80_000)
    inbox.process(desk.dispatch)
    assert len(desk.reports()) == 1
    desk.hurry(seconds=90_000)
    inbox.process(desk.dispatch)
    assert desk.reports() == []


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("under_way", ("sent", None, "accepted")),
        ("delivered", ("delivered", "delivered", "accepted")),
        ("failed", ("undelivered", "failed", "accepted")),
    ],
)
def test_a_report_that_names_our_key_settles_what_was_uncertain(
    desk: Desk, status: str, expected: tuple[str, str | None, str]
) -> None:
    message_id = desk.sent("uncertain", attempt="uncertain", answer=LOST)
    code = "full" if status == "failed" else ""
    hear(desk, said(status, key=desk.key(message_id), provider_id=f"found {status}", code=code))
    attempt = desk.attempt(message_id)
    assert (*desk.state(message_id), attempt["state"]) == expected
    assert attempt["provider_id"] == f"found {status}"


def test_an_id_that_belongs_to_another_message_is_never_tied(desk: Desk) -> None:
    first, second = desk.sent(provider_id="hers"), desk.sent()
    hear(desk, said("delivered", key=desk.key(second), provider_id="hers"))
    assert desk.state(first) == desk.state(second) == ("sent", None)
    assert [each["state"] for each in desk.reports()] == ["strange"]


def test_an_id_that_two_messages_have_is_tied_to_neither(desk: Desk) -> None:
    several = [desk.sent(provider_id="twice"), desk.sent(provider_id="twice")]
    hear(desk, said("failed", provider_id="twice", code="full"))
    assert [desk.state(each)[0] for each in several] == ["sent", "sent"]


def test_a_report_speaks_of_its_own_accounts_messages_alone(desk: Desk) -> None:
    message_id = desk.sent(provider_id="x")
    other = desk.dispatch.database.run(lambda c: accounts.account_id(c, "fake", "second"))
    hear(
        desk,
        said("failed", provider_id="x", code="full"),
        said("failed", key=desk.key(message_id), code="full"),
        account=other,
    )
    assert desk.state(message_id) == ("sent", None)


def test_other_spellings_of_an_id_find_its_message(desk: Desk) -> None:
    message_id = desk.sent(provider_id="7b")
    hear(desk, said("delivered", provider_id="123", also="0123 7b"))
    assert desk.state(message_id)[0] == "delivered"


def test_a_message_of_several_parts_arrived_when_all_of_them_did(desk: Desk) -> None:
    message_id = desk.sent(provider_id="a..b..c")
    for part in "ab":
        hear(desk, said("delivered", provider_id=part))
    assert desk.state(message_id) == ("sent", None)
    hear(desk, said("delivered", provider_id="0c", also="c"))
    assert desk.state(message_id) == ("delivered", "delivered")


def test_a_message_of_several_parts_failed_when_one_did(desk: Desk) -> None:
    message_id = desk.sent(provider_id="d..e")
    hear(desk, said("delivered", provider_id="d"), said("failed", provider_id="e", code="full"))
    assert desk.state(message_id) == ("undelivered", "failed")


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"a": ["delivered"], "b": ["read"]}, "delivered"),
        ({"a": ["read"], "b": ["read", "delivered"]}, "read"),
        ({"a": ["delivered", "failed"], "b": ["delivered"]}, "delivered"),
        ({"a": ["failed"], "b": ["delivered"]}, "failed"),
        ({"a": ["under_way"]}, "under_way"),
        ({}, "under_way"),
    ],
)
def test_what_is_true_of_the_whole(told: dict[str, list[str]], expected: str) -> None:
    assert whole(["a", "b"], told) == expected


def test_late_word_of_an_earlier_attempt_stays_on_it(desk: Desk) -> None:
    """Sent again by a person meanwhile: the message follows its newest attempt alone."""
    message_id = desk.sent(provider_id="old")
    first = desk.attempt(message_id)
    with desk.dispatch.database.begin() as connection:
        row = {**first, "id": first["id"] + 1, "number": 2, "key": new_key(), "provider_id": "new"}
        connection.execute(insert(Attempt).values(**row))
        connection.execute(
            update(Message).where(Message.id == message_id).values(attempt_id=row["id"])
        )
    hear(desk, said("failed", provider_id="old", code="unknown"))
    assert desk.bag.row(message_id)["state"] == "sent"
    assert [each["report"] for each in desk.bag.attempts(message_id)] == ["failed", None]


def test_a_report_that_breaks_something_does_not_keep_the_others_waiting(
    office: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = office.sent(provider_id="breaks"), office.sent(provider_id="works")
    real = inbox._apply

    def breaking(*args: object) -> int | None:
        if args[2]["provider_id"] == "breaks":  # type: ignore[index]
            raise ValueError("no")
        return real(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(inbox, "_apply", breaking)
    several = [said("delivered", provider_id=each) for each in ("breaks", "works")]
    assert hear(office, *several) == 1
    assert (office.state(first)[0], office.state(second)[0]) == ("sent", "delivered")
    monkeypatch.undo()
    office.hurry()
    inbox.process(office.dispatch)
    assert office.state(first)[0] == "delivered"


def test_the_inbox_is_bounded(office: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    for each in range(5):
        hear(office, said("delivered", provider_id=f"unknown {each}"))
    monkeypatch.setattr(inbox, "MOST_UNKNOWN", 3)
    inbox.process(office.dispatch)
    waiting = [each["provider_id"] for each in office.reports() if each["state"] == "waiting"]
    assert waiting == ["unknown 2", "unknown 3", "unknown 4"]
    monkeypatch.setattr(inbox, "MOST_WAITING", 3)
    with pytest.raises(inbox.InboxFull):
        hear(office, said("delivered", provider_id="one too many"))
    assert "one too many" not in [each["provider_id"] for each in office.reports()]


def test_whatever_a_channel_says_can_be_kept(office: Desk) -> None:
    odd = said("failed", provider_id="\0" + "é" * 400, key="k" * 300, code="c" * 90, note="\ud800")
    assert hear(office, odd) == 0
    assert office.reports()[-1]["provider_id"] == "é" * 255


PRESSED = {"state": "confirmed", "key": "2"}


def test_a_key_that_confirms_is_told_to_the_host_after_it_is_kept(
    office: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Confirmed] = []
    monkeypatch.setattr(office.dispatch.host, "confirmed", told.append)
    message_id = office.sent(provider_id="call-1", ref="P-7")
    hear(office, said("delivered", provider_id="call-1", seconds="9"))
    assert told == []
    report = replace(said("delivered", provider_id="call-1"), details=PRESSED)
    assert hear(office, report, report) == 1
    (confirmed,) = told
    assert (confirmed.ref, confirmed.channel, confirmed.key) == ("P-7", "fake", "2")
    assert confirmed.message_id == message_id


def test_a_host_that_cannot_be_told_keeps_no_report_from_being_heard(
    office: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def raises(confirmed: Confirmed) -> None:
        raise ZeroDivisionError(f"patient {confirmed.ref}")

    monkeypatch.setattr(office.dispatch.host, "confirmed", raises)
    message_id = office.sent(provider_id="call-2", ref="P-8")
    assert hear(office, replace(said("delivered", provider_id="call-2"), details=PRESSED)) == 1
    assert office.state(message_id) == ("delivered", "delivered")
    assert "P-8" not in caplog.text
    assert "could not be told" in caplog.text
