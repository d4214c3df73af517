"""Nothing wakes a patient: what would go out in quiet hours waits, wherever the moment came from."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from clinic_dispatch_plugin.host.types import Recipient
from clinic_dispatch_plugin.mailings.sending import send
from clinic_dispatch_plugin.messages.mailing_tables import Mailing
from clinic_dispatch_plugin.testing import FakeChannel, FakeHost
from clinic_dispatch_plugin.testing.fake_channel import refuse
from tests.engine.dispatching import Desk, make_dispatch, open_desk

#: It is quiet from two hours ago to two hours ahead, on the clinic's clock; elsewhere it is noon.
ELSEWHERE = "Etc/GMT+11"


def quiet_now() -> str:
    at = datetime.now(UTC)
    return f"{at - timedelta(hours=2):%H:%M}-{at + timedelta(hours=2):%H:%M}"


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("quiet")
    made = open_desk(
        f"sqlite:///{folder / 'clinic.sqlite'}",
        Path(folder),
        QUIET_HOURS=f"service={quiet_now()}, promotion={quiet_now()}",
    )
    made.host.add(
        *(
            Recipient(
                ref=ref,
                addresses={"fake": f"{ref}@example.org"},
                consent={"promotion": "yes"},
                timezone=zone,
            )
            for ref, zone in (("here", ""), ("there", ELSEWHERE), ("lost", "Mars/Olympus"))
        )
    )
    yield made
    made.dispatch.database.dispose()


def sent(desk: Desk) -> list[str]:
    return [message.address for message in desk.channel.handed]


def due_in(desk: Desk, address: str) -> float:
    due: datetime = desk.message(address)["due_at"]
    return (due - datetime.now(UTC)).total_seconds() / 3_600


def test_a_message_due_in_quiet_hours_is_put_off_just_before_its_window_opens(desk: Desk) -> None:
    addresses = ["here@example.org", "there@example.org", "lost@example.org", "file@example.org"]
    mailing_id = desk.mailing(addresses, refs=["here", "there", "lost", ""])
    desk.pump()
    assert sent(desk) == ["there@example.org"]
    assert desk.states(mailing_id) == {"queued": 3, "sent": 1}
    for address in ("here@example.org", "lost@example.org", "file@example.org"):
        found = desk.message(address)
        assert (found["system"], found["code"], found["tries"]) == ("dispatch", "quiet_hours", 0)
        assert 1.9 < due_in(desk, address) < 2.3
    assert desk.state_of_mailing(mailing_id)["first_pass_at"] is None
    desk.change(Mailing, Mailing.id == mailing_id, state="cancelled")


def test_a_plan_puts_off_at_once_and_a_tick_for_one_person_overrules(desk: Desk) -> None:
    desk.channel.handed.clear()

    def one(address: str, **more: object) -> None:
        person = Recipient(
            ref=address, addresses={"fake": f"{address}@example.org"}, consent={"promotion": "yes"}
        )
        desk.host.add(person)
        send(desk.dispatch, to=person, channel="fake", subject="S", text="T", **more)  # type: ignore[arg-type]

    one("waits")
    one("urgent", any_hour=True)
    one("offer", any_hour=True, purpose="promotion")
    one("trial", trial=True, purpose="promotion")
    assert due_in(desk, "waits@example.org") > 1.9
    desk.pump()
    assert sorted(sent(desk)) == ["trial@example.org", "urgent@example.org"]
    assert desk.message("offer@example.org")["code"] == "quiet_hours"


def test_another_try_that_is_due_in_quiet_hours_waits_for_their_end(desk: Desk) -> None:
    desk.channel.handed.clear()

    def person(zone: str) -> Recipient:
        return Recipient(ref="moves", addresses={"fake": "moves@example.org"}, timezone=zone)

    desk.host.add(person(ELSEWHERE))
    desk.channel.will("moves@example.org", refuse("busy"))
    mailing_id = desk.mailing(["moves@example.org"], refs=["moves"])
    desk.pump()
    assert desk.message("moves@example.org")["code"] == "busy"
    desk.host.add(person(""))  # by now it is night where they are
    desk.make_due()
    desk.pump()
    found = desk.message("moves@example.org")
    assert (found["state"], found["code"], found["tries"]) == ("queued", "quiet_hours", 1)
    assert due_in(desk, "moves@example.org") > 1.9
    assert sent(desk) == ["moves@example.org"], "it was not tried again"
    desk.change(Mailing, Mailing.id == mailing_id, state="cancelled")


def test_what_goes_on_to_a_channel_that_is_quiet_now_waits_for_the_morning(
    tmp_path: Path,
) -> None:
    """A chat may ring at night where the clinic says so; the call that follows it may not."""
    loud, quiet, host = FakeChannel(key="chat"), FakeChannel(key="call"), FakeHost()
    dispatch = make_dispatch(
        f"sqlite:///{tmp_path / 'clinic.sqlite'}",
        tmp_path,
        channel=loud,
        host=host,
        others=[quiet],
        QUIET_HOURS=f"call={quiet_now()}",
    )
    desk = Desk(dispatch=dispatch, channel=loud, host=host)
    both = Recipient(ref="both", addresses={"chat": "c@example.org", "call": "p@example.org"})
    host.add(both)
    loud.will("c@example.org", refuse("unknown"))
    send(dispatch, to=[both], channels=["chat", "call"], subject="S", text="T")
    desk.pump()
    desk.make_due()
    desk.pump()
    assert quiet.handed == []
    found = desk.message("p@example.org")
    assert (found["channel"], found["state"], found["code"]) == ("call", "queued", "quiet_hours")
    assert due_in(desk, "p@example.org") > 1.9
    dispatch.database.dispose()
