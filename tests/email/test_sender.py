"""Sending that goes well: through real relays, in few connections, nothing taken before its time."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clinic_dispatch_email import connection as connection_module
from clinic_dispatch_plugin.api import (
    Accepted,
    Attachment,
    Content,
    NotSent,
    Refused,
    Sender,
    Uncertain,
)
from clinic_dispatch_plugin.channels import faults
from clinic_dispatch_plugin.simulators.smtp import RelaySettings, SmtpSimulator, read_ledger
from clinic_dispatch_plugin.testing.batches import ListBatch
from tests.email.conftest import a_message, messages
from tests.email.scripted import Peer, ScriptedRelay, ordinary
from tests.servers.postfix import Postfix
from tests.servers.smtp_sink import SmtpSink

SenderFor = Callable[[str], Sender]


@pytest.fixture
def start_relay(tmp_path: Path) -> Iterator[Callable[..., SmtpSimulator]]:
    """Start a relay simulator with a ledger."""
    with ExitStack() as stack:

        def start(**changed: Any) -> SmtpSimulator:
            settings = replace(RelaySettings(ledger=tmp_path / "ledger"), **changed)
            return stack.enter_context(SmtpSimulator(settings))

        yield start


def deliveries(tmp_path: Path) -> Counter[str]:
    return Counter(line.recipient for line in read_ledger(tmp_path / "ledger"))


# Real relays


@pytest.mark.parametrize("options", ["", "pipelining=off", "connections=1&depth=1"])
def test_smtp_sink_gets_every_one_of_2000_mails_once(
    sender_for: SenderFor, smtp_sink: SmtpSink, options: str
) -> None:
    batch = ListBatch(messages(2_000))
    results = list(sender_for(f"{smtp_sink.url}?{options}").send(batch))
    assert Counter(type(result) for result in results) == {Accepted: 2_000}
    assert {result.attempt_id for result in results} == set(range(1, 2_001))
    received = Counter(str(mail["Message-ID"]) for mail in smtp_sink.messages())
    assert received == Counter(f"<{message.message_key}@klinik.example>" for message in batch.taken)


@pytest.mark.parametrize(
    "relay",
    [
        {},
        {"pipelining": False},
        {"eightbitmime": False, "smtputf8": False, "dsn": False, "size_limit": None},
        {"data_without_recipients": True},
        {"data_without_recipients": True, "pipelining": False},
        {"messages_per_connection": 7},
        {"delay_before_reply": 0.002},
    ],
    ids=str,
)
def test_every_kind_of_relay_gets_each_mail_once_and_never_a_wrong_command(
    sender_for: SenderFor,
    start_relay: Callable[..., SmtpSimulator],
    tmp_path: Path,
    relay: dict[str, Any],
) -> None:
    simulator = start_relay(**relay)
    tags = ["", "", "+unknown", "+spam", "+full", "", "+greylist", "+strange", "+toobig", ""]
    batch = [
        a_message(
            number,
            address=f"p{number}{tags[number % 10]}@patient.example",
            content=Content(text="Grüße\n.\nЖ", html="<p>Grüße</p>" if number % 3 else ""),
        )
        for number in range(1, 201)
    ]
    results = {}
    waiting = batch
    while waiting:  # what was not sent is due again at once
        sent = list(sender_for(simulator.url).send(ListBatch(waiting)))
        results.update({each.attempt_id: each for each in sent if not isinstance(each, NotSent)})
        assert len(sent) == len(waiting)
        waiting = [each for each in waiting if each.attempt_id not in results]
    expected = {each.attempt_id: Refused if "+" in each.address else Accepted for each in batch}
    assert {key: type(result) for key, result in results.items()} == expected
    accepted = [each.address for each in batch if "+" not in each.address]
    assert deliveries(tmp_path) == Counter(accepted)
    assert simulator.counters.protocol_errors == 0


def test_the_relays_words_and_queue_ids_come_with_the_result(
    sender_for: SenderFor, start_relay: Callable[..., SmtpSimulator], tmp_path: Path
) -> None:
    simulator = start_relay()
    batch = [a_message(1), a_message(2, address="p2+strange@patient.example")]
    results = {each.attempt_id: each for each in sender_for(simulator.url).send(ListBatch(batch))}
    (line,) = read_ledger(tmp_path / "ledger")
    assert isinstance(results[1], Accepted) and isinstance(results[2], Refused)
    assert results[1].provider_id == line.queue_id
    assert line.envid == batch[0].attempt_key
    assert results[2].answer.text == "554 5.9.87 Frobnication 7Q"
    assert results[2].retryable is None


def test_connections_lost_here_and_there_leave_doubt_only_where_the_ledger_agrees(
    sender_for: SenderFor, start_relay: Callable[..., SmtpSimulator], tmp_path: Path
) -> None:
    simulator = start_relay(cut_after_dot_every=20)
    waiting = messages(300)
    uncertain, accepted = set(), set()
    sender = sender_for(simulator.url)
    while waiting:
        results = list(sender.send(ListBatch(waiting)))
        uncertain |= {each.attempt_id for each in results if isinstance(each, Uncertain)}
        accepted |= {each.attempt_id for each in results if isinstance(each, Accepted)}
        waiting = [each for each in waiting if each.attempt_id not in uncertain | accepted]
    assert simulator.counters.unanswered == len(uncertain) > 0
    assert set(deliveries(tmp_path).values()) == {1}
    assert len(deliveries(tmp_path)) == 300


def test_a_large_file_goes_through_whole(sender_for: SenderFor, smtp_sink: SmtpSink) -> None:
    data = bytes(range(256)) * 8_000
    file = Attachment(filename="Röntgen.bin", media_type="application/octet-stream", data=data)
    content = Content(text="anbei", attachments=(file,))
    batch = [a_message(number, content=content) for number in range(1, 6)]
    results = list(sender_for(smtp_sink.url).send(ListBatch(batch)))
    assert [type(each) for each in results] == [Accepted] * 5
    for mail in smtp_sink.messages():
        (part,) = mail.iter_attachments()
        assert (part.get_filename(), part.get_payload(decode=True)) == ("Röntgen.bin", data)


def test_postfix_delivers_what_it_took_and_says_why_it_did_not(
    sender_for: SenderFor, postfix: Postfix
) -> None:
    batch = [
        a_message(
            number, address="anna@klinik.example", content=Content(text=f"Nummer {number}\n.\nЖ")
        )
        for number in range(1, 51)
    ]
    batch.append(a_message(51, address="unknown@klinik.example"))
    results = {each.attempt_id: each for each in sender_for(postfix.url).send(ListBatch(batch))}
    refused = results.pop(51)
    assert isinstance(refused, Refused)
    assert refused.answer.code == "5.1.1"
    assert {type(each) for each in results.values()} == {Accepted}
    assert all(isinstance(each, Accepted) and each.provider_id for each in results.values())
    mails = postfix.wait_for_mail("anna@klinik.example", count=50)
    texts = sorted(mail.get_content().replace("\r\n", "\n") for mail in mails)
    assert texts == sorted(f"{each.content.text}\n" for each in batch[:50])


# Connections


def test_few_messages_open_few_connections(
    sender_for: SenderFor, start_relay: Callable[..., SmtpSimulator]
) -> None:
    simulator = start_relay()
    list(sender_for(simulator.url).send(ListBatch(messages(1))))
    assert simulator.counters.connections == 1


def test_no_more_connections_are_opened_than_allowed(
    sender_for: SenderFor, start_relay: Callable[..., SmtpSimulator]
) -> None:
    simulator = start_relay(latency=0.01)
    list(sender_for(f"{simulator.url}?connections=4").send(ListBatch(messages(200))))
    assert simulator.counters.connections == 4


def test_connections_are_kept_over_batches(
    sender_for: SenderFor, start_relay: Callable[..., SmtpSimulator]
) -> None:
    simulator = start_relay()
    sender = sender_for(simulator.url)
    for number in range(1, 6):
        (result,) = sender.send(ListBatch([a_message(number)]))
        assert isinstance(result, Accepted)
    assert simulator.counters.connections == 1


def test_a_connection_that_ended_between_two_batches_costs_nothing(sender_for: SenderFor) -> None:
    gone = threading.Event()

    def script(peer: Peer) -> None:
        peer.greet()
        peer.envelope()
        peer.accept()
        peer.say("421 4.4.2 Idle for too long")
        peer.connection.close()
        gone.set()

    with ScriptedRelay(script, ordinary) as relay:
        sender = sender_for(relay.url())
        assert [type(each) for each in sender.send(ListBatch([a_message(1)]))] == [Accepted]
        assert gone.wait(10)
        assert [type(each) for each in sender.send(ListBatch([a_message(2)]))] == [Accepted]
        assert relay.connections == 2


@pytest.mark.parametrize("alive", [True, False])
def test_an_old_connection_is_asked_before_a_message_is_entrusted_to_it(
    sender_for: SenderFor, monkeypatch: pytest.MonkeyPatch, alive: bool
) -> None:
    heard = []

    def script(peer: Peer) -> None:
        peer.greet()
        peer.envelope()
        peer.accept()
        heard.extend(peer.expect("NOOP"))
        if alive:
            peer.say("250 Ok")
            peer.envelope()
            peer.accept()
            peer.serve()

    monkeypatch.setattr(connection_module, "STALE_AFTER", 0.5)
    with ScriptedRelay(script, ordinary) as relay:
        sender = sender_for(relay.url())
        assert [type(each) for each in sender.send(ListBatch([a_message(1)]))] == [Accepted]
        time.sleep(0.6)
        assert [type(each) for each in sender.send(ListBatch([a_message(2)]))] == [Accepted]
        assert relay.connections == (1 if alive else 2)
    assert heard == ["NOOP"]


def test_a_connection_is_ended_in_good_order_after_the_messages_it_may_carry(
    sender_for: SenderFor,
) -> None:
    ended = []

    def script(peer: Peer) -> None:
        peer.greet()
        peer.envelope()
        peer.text()
        peer.expect("MAIL", "RCPT", "DATA")
        peer.say("250 Ok", "250 Ok", "250 Ok", "354 Go on")
        peer.accept()
        ended.extend(peer.expect("QUIT"))
        peer.say("221 Bye")

    with ScriptedRelay(script, script, ordinary) as relay:
        sender = sender_for(relay.url("connections=1&per_connection=2"))
        results = list(sender.send(ListBatch(messages(5))))
        assert relay.connections == 3
    assert [type(each) for each in results] == [Accepted] * 5
    assert ended == ["QUIT", "QUIT"]


def test_closing_says_goodbye(sender_for: SenderFor) -> None:
    heard = []

    def script(peer: Peer) -> None:
        peer.greet()
        peer.envelope()
        peer.accept()
        heard.extend(peer.expect("QUIT"))
        peer.say("221 Bye")

    with ScriptedRelay(script) as relay:
        sender = sender_for(relay.url())
        list(sender.send(ListBatch(messages(1))))
        sender.close()  # type: ignore[attr-defined]
    assert heard == ["QUIT"]


# Taking


@pytest.mark.parametrize(("options", "in_hand"), [("", 2), ("depth=1", 1), ("pipelining=off", 1)])
def test_a_message_is_taken_only_when_its_bytes_go_next(
    sender_for: SenderFor, options: str, in_hand: int
) -> None:
    def script(peer: Peer) -> None:
        peer.greet()
        for reply in ("250 Ok", "250 Ok", "354 Go on"):
            peer.line()
            peer.say(reply)
        peer.wait_for_the_end()

    batch = ListBatch(messages(50))
    with ScriptedRelay(script) as relay:
        sender = sender_for(relay.url(f"connections=1&data_timeout=0.3&{options}"))
        first = next(iter(sender.send(batch)))
    assert isinstance(first, Uncertain)
    assert len(batch.taken) == in_hand


def test_nothing_is_taken_while_no_connection_works(sender_for: SenderFor, free_port: int) -> None:
    batch = ListBatch(messages(3))
    with pytest.raises(Exception, match="connect_failed"):
        list(sender_for(f"smtp://127.0.0.1:{free_port}").send(batch))
    assert batch.taken == []


def test_messages_that_come_later_are_sent_too(
    sender_for: SenderFor, start_relay: Callable[..., SmtpSimulator]
) -> None:
    simulator = start_relay()
    batch = ListBatch([a_message(1)], closed=False)
    found = []
    for result in sender_for(simulator.url).send(batch):
        found.append(result.attempt_id)
        if result.attempt_id < 5:
            batch.add(a_message(result.attempt_id + 1))
        else:
            batch.close()
    assert found == [1, 2, 3, 4, 5]


def test_a_stopped_batch_ends_with_what_was_taken(
    sender_for: SenderFor, start_relay: Callable[..., SmtpSimulator], tmp_path: Path
) -> None:
    simulator = start_relay()
    batch = ListBatch(messages(500))
    results = []
    for result in sender_for(simulator.url).send(batch):
        results.append(result)
        batch.stop()
    assert len(results) == len(batch.taken) < 500
    assert sum(deliveries(tmp_path).values()) == len(batch.taken)


def test_a_batch_that_is_left_half_way_does_not_answer_into_the_next(
    sender_for: SenderFor, start_relay: Callable[..., SmtpSimulator]
) -> None:
    simulator = start_relay(latency=0.01)
    sender = sender_for(simulator.url)
    left = sender.send(ListBatch(messages(100)))
    next(iter(left))
    left.close()  # type: ignore[attr-defined]
    results = list(sender.send(ListBatch([a_message(number) for number in range(1_001, 1_031)])))
    assert sorted(each.attempt_id for each in results) == list(range(1_001, 1_031))
    assert {type(each) for each in results} == {Accepted}


def test_messages_this_relay_cannot_take_are_refused_unsent_and_the_others_go(
    sender_for: SenderFor, start_relay: Callable[..., SmtpSimulator], tmp_path: Path
) -> None:
    simulator = start_relay(smtputf8=False, size_limit=5_000)
    batch = messages(6)
    batch[1] = a_message(2, address="p2@patient.example\r\nRCPT TO:<x@y.example>")
    batch[2] = a_message(3, address="анна@patient.example")
    batch[3] = a_message(4, content=Content(text="x" * 6_000))
    batch[4] = a_message(5, content=Content(text=None))  # type: ignore[arg-type]
    results = {each.attempt_id: each for each in sender_for(simulator.url).send(ListBatch(batch))}
    codes = {
        key: (each.answer.system, each.answer.code)
        for key, each in results.items()
        if isinstance(each, Refused)
    }
    assert codes == {
        2: ("dispatch", "malformed_address"),
        3: ("smtp", "5.6.7"),
        4: ("smtp", "5.3.4"),
        5: ("dispatch", "harmful"),
    }
    assert set(deliveries(tmp_path)) == {"p1@patient.example", "p6@patient.example"}
    assert simulator.counters.protocol_errors == 0


def test_the_point_after_the_bytes_is_passed_once_the_dot_has_left(
    sender_for: SenderFor,
    start_relay: Callable[..., SmtpSimulator],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    simulator = start_relay()
    monkeypatch.setenv(faults.ALLOWED, "1")
    monkeypatch.setenv(faults.FAIL_AT, "send.after_bytes:raise:3")
    monkeypatch.setattr(faults, "_passed", {})
    batch = ListBatch(messages(10))
    found = []
    with pytest.raises(faults.InjectedFault):
        for result in sender_for(f"{simulator.url}?connections=1").send(batch):
            found.append(result.attempt_id)
    assert found == [1, 2]
    assert len(batch.taken) == 4  # the third's text has left, the fourth's envelope behind it
