"""A message that does not arrive through one channel goes on by the next: every pair of answers, on two ledgers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Connection, select, text

from clinic_dispatch_plugin.database.base import db_now
from clinic_dispatch_plugin.engine import claims, stream
from clinic_dispatch_plugin.engine.tender import tend
from clinic_dispatch_plugin.error_reference.editing import add_entry
from clinic_dispatch_plugin.error_reference.tables import AnswerRow
from clinic_dispatch_plugin.host.types import Recipient
from clinic_dispatch_plugin.mailings.order import checked_silences
from clinic_dispatch_plugin.mailings.problems import MailingProblem
from clinic_dispatch_plugin.mailings.sending import send
from clinic_dispatch_plugin.messages.fingerprints import fingerprint
from clinic_dispatch_plugin.messages.mailing_tables import Mailing
from clinic_dispatch_plugin.messages.reported_store import attempts_of_message
from clinic_dispatch_plugin.messages.routes import Route
from clinic_dispatch_plugin.messages.rules import MOVES
from clinic_dispatch_plugin.messages.store import block
from clinic_dispatch_plugin.messages.tables import Attempt, Block, Message
from clinic_dispatch_plugin.reports import effects, inbox, silence
from clinic_dispatch_plugin.reports.rules import MailKind, ReadMail, Reported, ReportedAction
from clinic_dispatch_plugin.testing import FakeChannel, FakeHost
from clinic_dispatch_plugin.testing.fake_channel import (
    Say,
    accept,
    break_off,
    leave_uncertain,
    refuse,
)
from tests.engine.conftest import _SEEN, TRIGGERS, moves_seen
from tests.engine.dispatching import Desk, make_dispatch

#: What a gateway may do with a message, by name: what it says, time after time.
ANSWERS: Mapping[str, tuple[Say, ...]] = {
    "taken": (accept,),
    "unknown": (refuse("unknown"),),
    "full": (refuse("full"),),
    "busy": (refuse("busy"), refuse("busy"), refuse("busy")),
    "broken": (break_off, accept),
    "silent": (leave_uncertain,),
    "none": (),
}
#: Given up for a reason that another channel does not share.
GOES_ON = {"unknown", "full"}
ENDS = {
    "taken": "sent",
    "broken": "sent",
    "silent": "uncertain",
    "unknown": "undelivered",
    "full": "undelivered",
    "busy": "undelivered",
}


@pytest.fixture
def desk(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A dispatch with the channels ``chat`` and ``post``; every move must stand in the one table of moves."""
    monkeypatch.setattr(stream, "PAUSE_AFTER_FAILURE", 0.0)
    chat, post, host = FakeChannel(key="chat"), FakeChannel(key="post"), FakeHost()
    dispatch = make_dispatch(database_url, tmp_path, channel=chat, host=host, others=[post])
    made = Desk(dispatch=dispatch, channel=chat, host=host)
    name = dispatch.database.engine.dialect.name
    with dispatch.database.begin() as connection:
        for statement in (_SEEN, *TRIGGERS["mysql" if name == "mariadb" else name]):
            connection.execute(text(statement))
    yield made
    assert moves_seen(made) <= set(MOVES)
    dispatch.database.dispose()


def post_of(desk: Desk) -> FakeChannel:
    found = desk.dispatch.channels["post"]
    assert isinstance(found, FakeChannel)
    return found


def person(name: str, **addresses: str) -> Recipient:
    """A patient the host knows, with these addresses."""
    return Recipient(
        ref=name, name=name, addresses={**addresses}, consent={}, values={}, locale="de"
    )


def start(desk: Desk, *people: Recipient, **more: Any) -> int:
    """A mailing by chat, then by post."""
    desk.host.add(*people)
    return send(
        desk.dispatch,
        to=list(people),
        channels=["chat", "post"],
        subject="Hallo",
        text="Per Chat, {{ name }}",
        texts={"post": "Per Post, {{ name }}"},
        **more,
    )


def row_of(desk: Desk, ref: str) -> dict[str, Any]:
    """The one message of a patient, with the code that explains it."""
    query = (
        select(Message.__table__, AnswerRow.code)
        .outerjoin(AnswerRow, AnswerRow.id == Message.answer_id)
        .where(Message.ref == ref)
    )
    with desk.dispatch.database.begin() as connection:
        return dict(connection.execute(query).mappings().one())


def test_every_pair_of_answers_ends_where_it_should_and_nothing_is_lost_or_doubled(
    desk: Desk,
) -> None:
    pairs = list(product(ANSWERS, repeat=2))
    people = []
    for first, second in pairs:
        addresses = {
            key: f"{first}.{second}@{key}.example"
            for key, answer in (("chat", first), ("post", second))
            if answer != "none"
        }
        for key, answer in (("chat", first), ("post", second)):
            channel = desk.dispatch.channels[key]
            assert isinstance(channel, FakeChannel)
            channel.will(f"{first}.{second}@{key}.example", *ANSWERS[answer])
        people.append(person(f"{first}.{second}", **addresses))
    mailing_id = start(desk, *people)
    desk.settle()

    for first, second in pairs:
        row = row_of(desk, f"{first}.{second}")
        assert (row["channel"], row["state"], row["code"]) == expected(first, second), row
    # A third of the first answers said "no such recipient": a way that was left harms no mailing.
    assert desk.state_of_mailing(mailing_id)["state"] == "finished"
    _compare_ledgers(desk, people)
    assert {each.content.text.split(",")[0] for each in desk.channel.handed} == {"Per Chat"}
    assert {each.content.text.split(",")[0] for each in post_of(desk).handed} == {"Per Post"}


def expected(first: str, second: str) -> tuple[str, str, str | None]:
    """Channel, state and code at the end, by the words of the design alone."""
    if first == second == "none":
        return "chat", "skipped", "no_address"
    goes_on = first == "none" or (first in GOES_ON and second != "none")
    channel, last = ("post", second) if goes_on else ("chat", first)
    state = ENDS[last]
    code = {"sent": None, "uncertain": "connection_lost"}.get(state, last)
    return channel, state, code


def _compare_ledgers(desk: Desk, people: list[Recipient]) -> None:
    """What the gateways got is what the attempts say, message by message."""
    ledger = Counter(
        (message.message_key, message.attempt_key)
        for channel in (desk.channel, post_of(desk))
        for message in channel.handed
    )
    assert set(ledger.values()) == {1}
    query = select(Message.key, Attempt.key, Attempt.channel, Attempt.state).join(
        Message, Message.id == Attempt.message_id
    )
    with desk.dispatch.database.begin() as connection:
        attempts = {(row[0], row[1]): (row[2], row[3]) for row in connection.execute(query)}
        messages = connection.execute(select(Message.key, Message.state)).all()
    assert set(attempts) == set(ledger)
    assert len(messages) == len(people)
    for key, state in messages:
        states = [said for (message, _), (_, said) in attempts.items() if message == key]
        taken = sum(said in ("accepted", "uncertain") for said in states)
        assert taken == (1 if state in ("sent", "uncertain") else 0)


def test_what_a_message_left_behind_stays_readable_and_its_tries_begin_anew(desk: Desk) -> None:
    desk.channel.will("eva@chat.example", refuse("unknown"))
    post_of(desk).will("eva@post.example", refuse("busy"))
    start(desk, person("eva", chat="eva@chat.example", post="eva@post.example"))
    desk.pump()
    row = row_of(desk, "eva")
    assert (row["channel"], row["state"], row["tries"], row["attempts"]) == (
        "post",
        "queued",
        1,
        2,
    )
    route = Route.read(row["route"])
    assert [each.channel for each in route.passed] == ["chat"]
    desk.settle()
    tried = desk.attempts_of("eva@post.example")
    assert [(each["number"], each["channel"], each["state"]) for each in tried] == [
        (1, "chat", "refused"),
        (2, "post", "refused"),
        (3, "post", "accepted"),
    ]
    # The next mailing does not knock in vain: the address is blocked on its channel alone.
    start(desk, person("eva", chat="eva@chat.example", post="eva@post.example"))
    assert desk.count(Block, Block.channel == "chat") == 1
    assert desk.count(Message, Message.channel == "post", Message.state == "queued") == 1


def test_the_last_look_goes_on_by_what_the_card_says_then(desk: Desk) -> None:
    start(
        desk,
        person("moved", chat="moved@chat.example", post="old@post.example"),
        person("gone", chat="gone@chat.example", post="gone@post.example"),
        person("blocked", chat="blocked@chat.example", post="blocked@post.example"),
    )
    desk.host.add(
        person("moved", post="new@post.example"),
        person("gone"),
    )
    digest = fingerprint(desk.dispatch, "chat", "blocked@chat.example")
    desk.dispatch.database.run(
        lambda connection: block(connection, channel="chat", digest=digest, answer_id=None)
    )
    desk.settle()
    assert (row_of(desk, "moved")["address"], row_of(desk, "moved")["state"]) == (
        "new@post.example",
        "sent",
    )
    assert (row_of(desk, "gone")["code"], row_of(desk, "gone")["state"]) == (
        "no_address",
        "skipped",
    )
    assert (row_of(desk, "blocked")["channel"], row_of(desk, "blocked")["state"]) == (
        "post",
        "sent",
    )
    assert desk.channel.handed == []


def test_a_promotion_never_goes_on_to_a_channel_without_consent(desk: Desk) -> None:
    def agreed(name: str, **consent: str) -> Recipient:
        addresses = {"chat": f"{name}@chat.example", "post": f"{name}@post.example"}
        said = {key.replace("_", "."): value for key, value in consent.items()}
        return Recipient(ref=name, name=name, addresses=addresses, consent=said)

    people = [
        agreed("all", promotion="yes"),
        agreed("chat-only", promotion="yes", promotion_post="no"),
        agreed("post-only", promotion_post="yes"),
        agreed("withdrawn", promotion="yes"),
        agreed("unsubscribed", promotion="yes"),
        agreed("named", promotion="yes", promotion_post="yes"),
    ]
    for each in ("all", "chat-only", "withdrawn"):
        desk.channel.will(f"{each}@chat.example", refuse("unknown"))
    start(desk, *people, purpose="promotion")
    for each in ("unsubscribed", "named"):
        digest = fingerprint(desk.dispatch, "chat", f"{each}@chat.example")
        desk.dispatch.database.run(
            lambda connection, digest=digest: block(  # type: ignore[misc]
                connection, channel="chat", digest=digest, answer_id=None, scope="promotion"
            )
        )
    desk.channel.before = lambda message: desk.host.add(
        agreed("withdrawn", promotion="yes", promotion_post="no")
    )
    desk.settle()
    found = {each.ref: row_of(desk, each.ref) for each in people}
    assert {ref: (row["channel"], row["state"], row["code"]) for ref, row in found.items()} == {
        "all": ("post", "sent", None),
        # Given up with the answer of the last gateway, which says more than "no other way".
        "chat-only": ("chat", "undelivered", "unknown"),
        "post-only": ("post", "sent", None),
        "withdrawn": ("post", "undelivered", "not_agreed"),
        "unsubscribed": ("chat", "skipped", "not_agreed"),
        "named": ("post", "sent", None),
    }
    assert {each.address.split("@")[0] for each in post_of(desk).handed} == {
        "all",
        "post-only",
        "named",
    }


def _reported(desk: Desk, ref: str, action: ReportedAction) -> None:
    """A report about the first attempt of a message."""

    def work(connection: Connection) -> None:
        row = connection.execute(select(Message.id).where(Message.ref == ref)).one()
        attempt = attempts_of_message(connection, row.id)[0]
        said = Reported(
            address=attempt["address"], action=action, code="5.1.1", answer="no such user"
        )
        read = ReadMail(kind=MailKind.BOUNCE, recipients=[said])
        effects.apply(desk.dispatch, connection, read, effects.Tie(attempt=attempt))

    desk.dispatch.database.run(work)


def test_late_reports_send_on_once_and_break_nothing(desk: Desk) -> None:
    names = ["fails", "doubted", "arrives", "twice", "old", "single"]
    people = [
        person(each, chat=f"{each}@chat.example", post=f"{each}@post.example") for each in names
    ]
    people[-1] = person("single", chat="single@chat.example")
    desk.channel.will("doubted@chat.example", leave_uncertain)
    desk.channel.will("arrives@chat.example", refuse("unknown"))
    desk.channel.will("twice@chat.example", refuse("unknown"))
    content = {"short.en": "Unknown", "category": "unknown_recipient", "permanence": "permanent"}
    add_entry(desk.dispatch, system="smtp", code="5.1.1", content=content, by="A. Kern")
    start(desk, *people)
    desk.pump()
    assert row_of(desk, "fails")["state"] == "sent"

    for _ in range(3):
        _reported(desk, "fails", ReportedAction.FAILED)
    row = row_of(desk, "fails")
    assert (row["channel"], row["state"], row["code"]) == ("post", "queued", "5.1.1")
    _reported(desk, "doubted", ReportedAction.FAILED)
    assert row_of(desk, "doubted")["channel"] == "post"
    _reported(desk, "single", ReportedAction.FAILED)
    assert row_of(desk, "single")["state"] == "undelivered"

    # Made too long ago: nobody is reminded of last week.
    desk.change(Message, Message.ref == "old", created_at=db_now(-2 * 86_400.0))
    _reported(desk, "old", ReportedAction.FAILED)
    assert (row_of(desk, "old")["channel"], row_of(desk, "old")["state"]) == ("chat", "undelivered")

    # It arrived through the first after all, while it waits for the second.
    _reported(desk, "doubted", ReportedAction.DELIVERED)
    row = row_of(desk, "doubted")
    assert (row["channel"], row["state"], row["address"]) == (
        "chat",
        "delivered",
        "doubted@chat.example",
    )
    assert Route.read(row["route"]).passed == ()

    # What was sent by the second already stays there, whatever is heard of the first.
    _reported(desk, "twice", ReportedAction.DELIVERED)
    _reported(desk, "twice", ReportedAction.FAILED)
    row = row_of(desk, "twice")
    assert (row["channel"], row["state"]) == ("post", "sent")
    desk.settle()
    assert post_of(desk).counts == {
        "arrives@post.example": 1,
        "twice@post.example": 1,
        "fails@post.example": 1,
    }
    assert row_of(desk, "fails")["state"] == "sent"


def test_one_mailing_serves_its_channels_in_turn(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow first channel does not keep the second from sending what went on to it."""
    monkeypatch.setattr(claims, "TURN", 1)
    monkeypatch.setattr(claims, "CLAIM", 5)
    monkeypatch.setattr(stream, "CLAIM", 5)
    order: list[str] = []
    desk.channel.before = lambda message: order.append("chat")
    post_of(desk).before = lambda message: order.append("post")
    people = [person(f"c{n:02}", chat=f"c{n:02}@chat.example") for n in range(20)]
    people += [person(f"p{n:02}", post=f"p{n:02}@post.example") for n in range(20)]
    start(desk, *people)
    assert desk.pump() == 40
    assert order.index("post") < 20 - 5
    assert Counter(order) == {"chat": 20, "post": 20}


def _age(desk: Desk, seconds: float, *refs: str) -> None:
    """Time passes since these were taken."""
    desk.change(Message, Message.ref.in_(refs), sent_at=db_now(-seconds))


def _forget(desk: Desk) -> None:
    """Look at everything afresh, as another process would."""
    desk.dispatch.cache.pop("silence", None)


def _listen_in_vain(desk: Desk) -> None:
    """A round of reports in which none comes, and what a worker does then."""
    inbox.go_round(desk.dispatch)
    tend(desk.dispatch)


def test_whoever_is_not_heard_of_in_time_gets_it_by_the_next_channel_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(silence, "PORTION", 2)
    names = ["silent", "delayed", "arrived", "failed", "doubted", "young", "nowhere", "stays"]
    silent = ["silent", "delayed", "nowhere", "stays"]
    desk.channel.will("doubted@chat.example", leave_uncertain)
    people = [
        person(each, chat=f"{each}@chat.example", post=f"{each}@post.example") for each in names
    ]
    people[6] = person("nowhere", chat="nowhere@chat.example")
    people[7] = person("stays", chat="stays@chat.example", post="stays@post.example")
    digest = fingerprint(desk.dispatch, "post", "stays@post.example")
    desk.dispatch.database.run(
        lambda connection: block(connection, channel="post", digest=digest, answer_id=None)
    )
    mailing_id = start(desk, *people, silences={"chat": 60})
    desk.pump()
    tend(desk.dispatch)
    assert desk.state_of_mailing(mailing_id)["state"] == "finished"
    _reported(desk, "delayed", ReportedAction.DELAYED)
    _reported(desk, "arrived", ReportedAction.DELIVERED)
    _reported(desk, "failed", ReportedAction.FAILED)
    _age(desk, 3_500.0, *names)
    _listen_in_vain(desk)
    assert desk.count(Message, Message.channel == "post") == 0
    _age(desk, 3_700.0, *(set(names) - {"young"}))
    _listen_in_vain(desk)
    for ref in ("silent", "delayed"):
        row = row_of(desk, ref)
        assert (row["channel"], row["state"], row["code"]) == ("post", "queued", "no_report"), ref
    assert {ref: row_of(desk, ref)["state"] for ref in set(names) - {"silent", "delayed"}} == {
        "arrived": "delivered",
        "failed": "undelivered",
        "doubted": "uncertain",
        "young": "sent",
        "nowhere": "sent",
        "stays": "sent",
    }
    assert desk.state_of_mailing(mailing_id)["state"] == "running"
    desk.settle()
    _forget(desk)
    _age(desk, 7_400.0, *silent)
    _listen_in_vain(desk)
    desk.settle()
    assert post_of(desk).counts == {"silent@post.example": 1, "delayed@post.example": 1}
    assert row_of(desk, "silent")["state"] == "sent"


def test_word_from_the_first_channel_keeps_the_second_from_sending(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["queued", "leased", "late", "retried"]
    post_of(desk).will("retried@post.example", refuse("busy"))
    start(
        desk,
        *(person(each, chat=f"{each}@chat.example", post=f"{each}@post.example") for each in names),
        silences={"chat": 60},
    )
    desk.pump()
    _age(desk, 3_700.0, *names)
    _listen_in_vain(desk)
    assert desk.count(Message, Message.channel == "post", Message.state == "queued") == 4
    _reported(desk, "queued", ReportedAction.DELIVERED)
    # At the last moment: a worker has taken it, and looks at the card.
    asked: list[str] = []
    card = desk.host.recipients_now

    def meanwhile(refs: Sequence[str]) -> Mapping[str, Recipient]:
        if "leased" in refs and not asked:
            asked.extend(refs)
            assert row_of(desk, "leased")["state"] == "leased"
            _reported(desk, "leased", ReportedAction.DELIVERED)
        return card(refs)

    monkeypatch.setattr(desk.host, "recipients_now", meanwhile)
    desk.pump()
    assert "leased" in asked
    # It waits for another try when word comes; and what was sent twice is not undone.
    _reported(desk, "retried", ReportedAction.DELIVERED)
    _reported(desk, "late", ReportedAction.DELIVERED)
    desk.settle()
    found = {each: row_of(desk, each) for each in names}
    assert {each: (row["channel"], row["state"]) for each, row in found.items()} == {
        "queued": ("chat", "delivered"),
        "leased": ("chat", "delivered"),
        "retried": ("chat", "delivered"),
        "late": ("post", "sent"),
    }
    assert all(found[each]["run_id"] is None for each in names)
    assert post_of(desk).counts == {"late@post.example": 1, "retried@post.example": 1}


@pytest.mark.sqlite
def test_silence_sends_nothing_on_that_is_paused_late_or_unwanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat, post, host = FakeChannel(key="chat"), FakeChannel(key="post"), FakeHost()
    url = f"sqlite:///{tmp_path / 'clinic.db'}"
    dispatch = make_dispatch(url, tmp_path, channel=chat, host=host, others=[post])
    desk = Desk(dispatch=dispatch, channel=chat, host=host)

    def began(ref: str, **more: Any) -> int:
        one = person(ref, chat=f"{ref}@chat.example", post=f"{ref}@post.example")
        return start(desk, one, **{"silences": {"chat": 60}, **more})

    names = ("paused", "cancelled", "late", "old", "refuses", "left", "moved")
    mailings = {ref: began(ref, purpose="reminder") for ref in names}
    began("for ever", silences={"chat": 0})
    began("usual", silences={})
    desk.pump()
    tend(dispatch)
    desk.change(Mailing, Mailing.id == mailings["paused"], state="paused")
    desk.change(Mailing, Mailing.id == mailings["cancelled"], state="cancelled")
    desk.change(Mailing, Mailing.id == mailings["late"], not_after=db_now(-1.0))
    desk.change(Mailing, Mailing.id == mailings["old"], started_at=db_now(-3 * 86_400.0))
    _age(desk, 4_000.0, *mailings, "for ever", "usual")
    # The card says no by the time the next way is asked for: the message stays with the channel that has it.
    refusing = {"consent": {"reminder.post": "no"}}
    for ref, more in (("refuses", refusing), ("left", {"active": False}), ("moved", {})):
        addresses = {} if ref == "moved" else {"post": f"{ref}@post.example"}
        host.add(Recipient(ref=ref, name=ref, addresses=addresses, **more))
    _listen_in_vain(desk)
    desk.settle()
    assert post.handed == []
    assert {row_of(desk, ref)["state"] for ref in mailings} == {"sent"}
    host.broken = RuntimeError("away")
    _forget(desk)
    _listen_in_vain(desk)
    host.broken = None
    # A channel that is silent by nature says so itself.
    monkeypatch.setattr(FakeChannel, "silence_minutes", 60)
    _forget(desk)
    began("later", silences={})
    desk.pump()
    _age(desk, 4_000.0, "later")
    _listen_in_vain(desk)
    desk.settle()
    assert post.counts == {"later@post.example": 1}
    dispatch.database.dispose()


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("silences", "words"),
    [
        ({"post": 5}, "No way follows post"),
        ({"fax": 5}, "No way follows fax"),
        ({"chat": 1_441}, "Wait for 1 to 1440 minutes"),
        ({"chat": -1}, "Wait for 1 to 1440 minutes"),
    ],
)
def test_a_wait_that_makes_no_sense_is_refused(silences: dict[str, int], words: str) -> None:
    known = {key: FakeChannel(key=key) for key in ("chat", "post")}
    with pytest.raises(MailingProblem, match=words):
        checked_silences(SimpleNamespace(channels=known), ["chat", "post"], silences)  # type: ignore[arg-type]
