"""What each way of failing means for the message: refused, in doubt, or provably not sent."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Sequence

import pytest

from clinic_dispatch_email.names import Names
from clinic_dispatch_plugin.api import (
    Accepted,
    AccountError,
    Answer,
    Attachment,
    ConnectionFailed,
    Content,
    NotSent,
    OutgoingMessage,
    Refused,
    Sender,
    SendResult,
    Uncertain,
)
from clinic_dispatch_plugin.testing.batches import ListBatch
from tests.email.conftest import a_message, messages
from tests.email.scripted import Peer, ScriptedRelay, ordinary

SenderFor = Callable[[str], Sender]

LARGE = Content(
    text="x",
    attachments=(Attachment(filename="a.bin", media_type="a/b", data=b"x" * 20_000_000),),
)


def send(sender: Sender, batch: Sequence[OutgoingMessage]) -> dict[int, SendResult]:
    """Send it all; exactly one result each."""
    results = list(sender.send(ListBatch(batch)))
    found = {result.attempt_id: result for result in results}
    assert len(found) == len(results)
    return found


def until_error(
    sender: Sender, batch: Sequence[OutgoingMessage]
) -> tuple[dict[int, SendResult], AccountError | ConnectionFailed]:
    """Send until the sender gives up."""
    found: dict[int, SendResult] = {}
    with pytest.raises((AccountError, ConnectionFailed)) as caught:
        for result in sender.send(ListBatch(batch)):
            found[result.attempt_id] = result
    assert isinstance(caught.value, (AccountError, ConnectionFailed))
    return found, caught.value


def kinds(results: dict[int, SendResult]) -> list[str]:
    return [type(results[key]).__name__ for key in sorted(results)]


def answer_of(result: SendResult) -> Answer:
    assert isinstance(result, (Refused, Uncertain, NotSent))
    assert result.answer is not None
    return result.answer


# One message refused


def test_each_of_a_pipeline_gets_its_own_answer(sender_for: SenderFor) -> None:
    def script(peer: Peer) -> None:
        peer.greet()
        peer.expect("MAIL", "RCPT", "DATA")
        peer.say(
            "250 Ok", "550 5.1.1 <p1@patient.example>: User unknown", "503 5.5.1 No recipients"
        )
        peer.expect("RSET", "MAIL", "RCPT", "DATA")
        peer.say("250 Ok", "250 Ok", "452 4.2.2 Mailbox full", "554 5.5.1 No valid recipients")
        peer.expect("RSET", "MAIL", "RCPT", "DATA")
        peer.say("250 Ok", "250 Ok", "250 Ok", "354 Go on")
        peer.accept("Q3")
        peer.serve()

    with ScriptedRelay(script) as relay:
        results = send(sender_for(relay.url("connections=1")), messages(3))
    assert results[1] == Refused(
        attempt_id=1,
        answer=Answer(
            system="smtp", code="5.1.1", text="550 5.1.1 <p1@patient.example>: User unknown"
        ),
    )
    assert answer_of(results[2]).code == "4.2.2"
    assert results[3] == Accepted(attempt_id=3, provider_id="Q3", text="250 2.0.0 Ok: queued as Q3")


def test_a_text_granted_for_nobody_is_only_a_dot(sender_for: SenderFor) -> None:
    seen = []

    def script(peer: Peer) -> None:
        peer.greet()
        peer.expect("MAIL", "RCPT", "DATA")
        peer.say("250 Ok", "550 5.1.1 User unknown", "354 Go on all the same")
        seen.append(peer.text())
        peer.say("554 5.5.1 No valid recipients")
        peer.expect("MAIL", "RCPT", "DATA")
        peer.say("250 Ok", "250 Ok", "354 Go on")
        peer.accept()
        peer.serve()

    with ScriptedRelay(script) as relay:
        results = send(sender_for(relay.url("connections=1")), messages(2))
    assert seen == [b""]
    assert kinds(results) == ["Refused", "Accepted"]
    assert answer_of(results[1]).code == "5.1.1"


@pytest.mark.parametrize("pipelining", ["on", "off"])
def test_a_sender_refused_at_mail_is_the_messages_answer(
    sender_for: SenderFor, pipelining: str
) -> None:
    def script(peer: Peer) -> None:
        peer.greet()
        peer.expect("MAIL")
        if pipelining == "on":
            peer.expect("RCPT", "DATA")
            peer.say("553 5.1.8 Bad sender", "503 No MAIL", "503 No MAIL")
        else:
            peer.say("553 5.1.8 Bad sender")
            assert not peer.has_more() or peer.expect("RSET")
        peer.wait_for_the_end()

    with ScriptedRelay(script) as relay:
        sender = sender_for(relay.url(f"pipelining={pipelining}&connections=1"))
        results = send(sender, messages(1))
    assert answer_of(results[1]) == Answer(system="smtp", code="5.1.8", text="553 5.1.8 Bad sender")


def test_a_refusal_after_the_text_belongs_to_that_text(sender_for: SenderFor) -> None:
    def script(peer: Peer) -> None:
        peer.greet()
        peer.envelope()
        peer.text()
        peer.say("550 5.7.1 Message rejected as spam")
        peer.envelope()
        peer.accept()
        peer.serve()

    with ScriptedRelay(script) as relay:
        results = send(sender_for(relay.url("connections=1")), messages(2))
    assert kinds(results) == ["Refused", "Accepted"]
    assert answer_of(results[1]).code == "5.7.1"


def test_a_refusal_in_the_middle_of_the_text_counts(sender_for: SenderFor) -> None:
    def script(peer: Peer) -> None:
        peer.greet("PIPELINING")
        peer.envelope()
        peer.line()
        peer.say("552 5.3.4 Message too big")
        peer.wait_for_the_end()

    with ScriptedRelay(script, ordinary) as relay:
        results = send(sender_for(relay.url("connections=1")), [a_message(1, content=LARGE)])
    assert kinds(results) == ["Refused"]
    assert answer_of(results[1]).code == "5.3.4"


# The connection ends


def test_a_connection_cut_after_the_dot_leaves_one_in_doubt_and_the_next_unsent(
    sender_for: SenderFor,
) -> None:
    def script(peer: Peer) -> None:
        peer.greet()
        peer.envelope()
        peer.text()
        peer.expect("MAIL", "RCPT", "DATA")

    with ScriptedRelay(script, ordinary) as relay:
        found, error = until_error(sender_for(relay.url("connections=1")), messages(3))
        assert kinds(found) == ["Uncertain", "NotSent"]
        assert answer_of(found[1]) == Answer(
            system="dispatch",
            code="connection_lost",
            text="connection closed after the message text was handed over",
        )
        assert isinstance(error, ConnectionFailed)


def test_a_connection_that_worked_before_is_replaced_without_a_word(sender_for: SenderFor) -> None:
    def script(peer: Peer) -> None:
        peer.greet()
        peer.envelope()
        peer.accept()
        peer.envelope()
        peer.text()
        peer.reset()

    with ScriptedRelay(script, ordinary) as relay:
        results = send(sender_for(relay.url("connections=1")), messages(5))
        assert relay.connections == 2
    assert kinds(results) == ["Accepted", "Uncertain", "NotSent", "Accepted", "Accepted"]


@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_connection_cut_inside_the_text_leaves_nothing_in_doubt(
    sender_for: SenderFor, how: str
) -> None:
    def script(peer: Peer) -> None:
        peer.greet("PIPELINING")
        peer.envelope()
        peer.line()
        if how == "reset":
            peer.reset()

    with ScriptedRelay(script) as relay:
        found, error = until_error(
            sender_for(relay.url("connections=1")), [a_message(1, content=LARGE), a_message(2)]
        )
    assert kinds(found) == ["NotSent", "NotSent"]
    assert answer_of(found[1]).code == "connect_failed"
    assert isinstance(error, ConnectionFailed)


def test_421_after_ten_messages_leaves_the_rest_for_the_next_connection(
    sender_for: SenderFor,
) -> None:
    def script(peer: Peer) -> None:
        peer.greet()
        peer.envelope()
        for _ in range(9):
            text = peer.text()
            peer.expect("MAIL", "RCPT", "DATA")
            assert text
            peer.say("250 Ok: queued as Q", "250 Ok", "250 Ok", "354 Go on")
        peer.text()
        peer.expect("MAIL", "RCPT", "DATA")
        peer.say("250 Ok: queued as Q", "421 4.7.0 Too many messages on this connection")

    with ScriptedRelay(script, ordinary) as relay:
        results = send(sender_for(relay.url("connections=1")), messages(25))
        assert relay.connections == 2
    unsent = [key for key, result in results.items() if isinstance(result, NotSent)]
    assert unsent == [11]
    assert answer_of(results[11]) == Answer(
        system="smtp", code="4.7.0", text="421 4.7.0 Too many messages on this connection"
    )
    assert sum(isinstance(result, Accepted) for result in results.values()) == 24


def test_421_as_the_answer_to_the_dot_is_a_refusal(sender_for: SenderFor) -> None:
    def script(peer: Peer) -> None:
        peer.greet()
        peer.envelope()
        peer.text()
        peer.expect("MAIL", "RCPT", "DATA")
        peer.say("421 4.3.2 Shutting down")

    with ScriptedRelay(script, ordinary) as relay:
        results = send(sender_for(relay.url("connections=1")), messages(3))
    assert kinds(results) == ["Refused", "NotSent", "Accepted"]
    assert answer_of(results[1]).text == "421 4.3.2 Shutting down"


def test_421_to_a_recipient_is_that_recipients_answer(sender_for: SenderFor) -> None:
    def script(peer: Peer) -> None:
        peer.greet()
        peer.expect("MAIL", "RCPT", "DATA")
        peer.say("250 Ok", "421 4.7.28 Too fast for this recipient")

    with ScriptedRelay(script, ordinary) as relay:
        results = send(sender_for(relay.url("connections=1")), messages(2))
    assert kinds(results) == ["Refused", "Accepted"]


def test_421_to_the_first_mail_of_a_new_connection_is_a_failed_connection(
    sender_for: SenderFor,
) -> None:
    def script(peer: Peer) -> None:
        peer.greet()
        peer.expect("MAIL", "RCPT", "DATA")
        peer.say("421 4.7.0 Not now")

    with ScriptedRelay(script) as relay:
        found, error = until_error(sender_for(relay.url()), messages(1))
        assert relay.connections == 1
    assert kinds(found) == ["NotSent"]
    assert isinstance(error, ConnectionFailed)
    assert error.answer.code == "4.7.0"


# Silence


def test_silence_before_the_text_leaves_the_message_unsent(sender_for: SenderFor) -> None:
    def script(peer: Peer) -> None:
        peer.greet()
        peer.wait_for_the_end()

    with ScriptedRelay(script) as relay:
        found, error = until_error(sender_for(relay.url("timeout=0.3")), messages(1))
    assert kinds(found) == ["NotSent"]
    assert answer_of(found[1]).code == "timeout"
    assert answer_of(found[1]).text.endswith("did not answer MAIL within 0.3 s")
    assert isinstance(error, ConnectionFailed)


def test_silence_after_the_dot_leaves_the_message_in_doubt(sender_for: SenderFor) -> None:
    def script(peer: Peer) -> None:
        peer.greet()
        peer.envelope()
        peer.wait_for_the_end()

    with ScriptedRelay(script) as relay:
        found, _ = until_error(sender_for(relay.url("data_timeout=0.3")), messages(1))
    assert kinds(found) == ["Uncertain"]
    assert answer_of(found[1]).code == "connection_lost"
    assert "did not answer the message text within 0.3 s" in answer_of(found[1]).text


def test_a_relay_that_stops_reading_leaves_the_message_unsent(sender_for: SenderFor) -> None:
    def script(peer: Peer) -> None:
        peer.greet("PIPELINING")
        peer.envelope()
        while not relay_may_go.wait(0.05):
            pass

    relay_may_go = threading.Event()
    with ScriptedRelay(script) as relay:
        batch = [a_message(1, content=LARGE)]
        found, error = until_error(sender_for(relay.url("timeout=0.4")), batch)
        relay_may_go.set()
    assert kinds(found) == ["NotSent"]
    assert error.answer.text.endswith("took no more bytes for 0.4 s")


@pytest.mark.parametrize(
    ("script", "awaited"),
    [
        (lambda peer: peer.wait_for_the_end(), "the greeting"),
        (lambda peer: (peer.say("220 Hi"), peer.wait_for_the_end()), "the answer to EHLO"),
    ],
    ids=["no greeting", "no answer to EHLO"],
)
def test_silence_at_the_door_is_a_failed_connection(
    sender_for: SenderFor, script: Callable[[Peer], None], awaited: str
) -> None:
    batch = ListBatch(messages(1))
    with ScriptedRelay(script) as relay:
        with pytest.raises(ConnectionFailed) as caught:
            list(sender_for(relay.url("timeout=0.3")).send(batch))
        assert caught.value.answer.text == (
            f"127.0.0.1:{relay.port}: {awaited} did not come within 0.3 s"
        )
    assert batch.taken == []


def test_replies_that_drip_do_not_hold_a_message_for_ever(sender_for: SenderFor) -> None:
    def one_long_line(peer: Peer) -> None:
        peer.greet()
        peer.expect("MAIL", "RCPT", "DATA")
        peer.say_bytes(b"250 ")
        while not peer.has_more(0.02):
            peer.say_bytes(b"x")

    with ScriptedRelay(one_long_line) as relay:
        found, _ = until_error(sender_for(relay.url("timeout=0.4")), messages(1))
    assert answer_of(found[1]).code == "timeout"


# Rubbish


@pytest.mark.parametrize(
    ("where", "kind"), [("mail", "NotSent"), ("data", "NotSent"), ("dot", "Uncertain")]
)
def test_rubbish_ends_the_connection_by_the_same_rule(
    sender_for: SenderFor, where: str, kind: str
) -> None:
    def script(peer: Peer) -> None:
        peer.greet()
        peer.expect("MAIL", "RCPT", "DATA")
        if where == "mail":
            peer.say("<html>Welcome to the proxy</html>")
        elif where == "data":
            peer.say("250 Ok", "250 Ok", "250 What text?")
        else:
            peer.say("250 Ok", "250 Ok", "354 Go on")
            peer.text()
            peer.say("354 More, please")
        peer.wait_for_the_end()

    with ScriptedRelay(script) as relay:
        found, error = until_error(sender_for(relay.url()), messages(1))
    assert kinds(found) == [kind]
    assert isinstance(error, ConnectionFailed)


def test_a_dot_that_was_answered_counts_whatever_comes_behind(sender_for: SenderFor) -> None:
    def script(peer: Peer) -> None:
        peer.greet()
        peer.envelope()
        peer.text()
        peer.say("250 Ok: queued as Q1", "and now for something completely different")
        peer.wait_for_the_end()

    with ScriptedRelay(script, ordinary) as relay:
        results = send(sender_for(relay.url("connections=1")), messages(1))
    assert kinds(results) == ["Accepted"]


def test_another_protocol_is_named_as_such(sender_for: SenderFor) -> None:
    with ScriptedRelay(lambda peer: peer.say("SSH-2.0-OpenSSH_9.2")) as relay:
        found, error = until_error(sender_for(relay.url()), messages(1))
    assert found == {}
    assert "does not speak SMTP" in error.answer.text


# Opening


def test_a_name_service_that_hangs_is_a_failed_connection(
    sender_for: SenderFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    woken = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: woken.wait(30))
    sender = sender_for("smtp://mail.example:25?connect_timeout=0.3")
    began = time.monotonic()
    found, error = until_error(sender, messages(1))
    woken.set()
    assert time.monotonic() - began < 5
    assert found == {}
    assert "the host name was not looked up within 0.3 s" in error.answer.text


def test_a_name_service_that_hangs_holds_up_no_open_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = Names("127.0.0.1", 25, timeout=20.0)
    first = names.addresses(wait=True)
    woken = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: woken.wait(30) and [*first, *first])
    names.forget()
    began = time.monotonic()
    assert names.addresses(wait=False) == first, "the old ones do meanwhile"
    assert time.monotonic() - began < 5
    woken.set()
    assert names.addresses(wait=True) == [*first, *first]


@pytest.mark.parametrize(
    ("greeting", "code"),
    [("554 5.3.2 No service here", "5.3.2"), ("421 Too busy", "421"), ("450 Later", "450")],
)
def test_a_relay_that_does_not_want_us_is_a_failed_connection(
    sender_for: SenderFor, greeting: str, code: str
) -> None:
    with ScriptedRelay(lambda peer: peer.say(greeting)) as relay:
        found, error = until_error(sender_for(relay.url()), messages(3))
        assert relay.connections == 1
    assert found == {}
    assert isinstance(error, ConnectionFailed)
    assert error.answer == Answer(system="smtp", code=code, text=greeting)


def test_a_port_nobody_listens_on_is_a_failed_connection(
    sender_for: SenderFor, free_port: int
) -> None:
    batch = ListBatch(messages(3))
    with pytest.raises(ConnectionFailed) as caught:
        list(sender_for(f"smtp://127.0.0.1:{free_port}").send(batch))
    assert caught.value.answer == Answer(
        system="dispatch",
        code="connect_failed",
        text=f"127.0.0.1:{free_port}: connection refused",
    )
    assert batch.taken == []


def test_a_relay_that_takes_two_connections_gets_everything_over_two(
    sender_for: SenderFor,
) -> None:
    def too_many(peer: Peer) -> None:
        peer.say("421 4.7.0 Too many connections from you")

    with ScriptedRelay(ordinary, ordinary, too_many) as relay:
        results = send(sender_for(relay.url("connections=8")), messages(300))
    assert set(kinds(results)) == {"Accepted"}
    assert len(results) == 300


def test_a_relay_that_only_knows_helo_is_greeted_so(sender_for: SenderFor) -> None:
    def script(peer: Peer) -> None:
        peer.say("220-Welcome", "220 to the past")
        peer.expect("EHLO")
        peer.say("502 What?")
        peer.expect("HELO")
        peer.say("250 Hello")
        for command in ("MAIL", "RCPT", "DATA"):
            assert peer.expect(command) != []
            assert not peer.has_more()
            peer.say("354 Go on" if command == "DATA" else "250 Ok")
        peer.accept()
        peer.serve()

    with ScriptedRelay(script) as relay:
        results = send(sender_for(relay.url()), messages(1))
    assert kinds(results) == ["Accepted"]


def test_a_relay_that_wants_a_sign_in_stops_the_account(sender_for: SenderFor) -> None:
    def script(peer: Peer) -> None:
        peer.greet()
        peer.expect("MAIL", "RCPT", "DATA")
        peer.say("530 5.7.0 Authentication required", "503 No MAIL", "503 No MAIL")
        peer.wait_for_the_end()

    with ScriptedRelay(script) as relay:
        found, error = until_error(sender_for(relay.url()), messages(5))
    assert kinds(found) == ["NotSent"]
    assert isinstance(error, AccountError)
    assert error.answer.code == "5.7.0"


def test_replies_come_together_however_they_are_cut(sender_for: SenderFor) -> None:
    def script(peer: Peer) -> None:
        def drip(*lines: str) -> None:
            for byte in "".join(f"{line}\r\n" for line in lines).encode():
                peer.say_bytes(bytes([byte]))

        drip("220-relay", "220 ESMTP")
        peer.expect("EHLO")
        drip("250-relay", "250-PIPELINING", "250 8BITMIME")
        peer.expect("MAIL", "RCPT", "DATA")
        drip("250-Sender", "250 Ok", "250 Ok", "354 Go on")
        peer.text()
        peer.expect("MAIL", "RCPT", "DATA")
        drip("250 Ok: queued as Q1", "250 Ok", "550-5.1.1 No", "550 5.1.1 body", "554 None")
        peer.serve()

    with ScriptedRelay(script) as relay:
        results = send(sender_for(relay.url("connections=1")), messages(2))
    assert kinds(results) == ["Accepted", "Refused"]
    assert answer_of(results[2]).text == "550 5.1.1 No body"
