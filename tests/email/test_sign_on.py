"""Encryption and sign-in: what is proved before a password or a message leaves."""

from __future__ import annotations

import base64
import errno
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from clinic_dispatch_email.problems import reason_of
from clinic_dispatch_email.replies import Reply
from clinic_dispatch_email.settings import FROM, URL, load_settings
from clinic_dispatch_email.sign_on import own_name, sign_on
from clinic_dispatch_plugin.api import (
    Accepted,
    AccountError,
    Answer,
    ChannelError,
    ConnectionFailed,
    Sender,
)
from clinic_dispatch_plugin.simulators.smtp import Mode, RelaySettings, SmtpSimulator
from clinic_dispatch_plugin.testing.batches import ListBatch
from tests.email.conftest import (
    SENDER,
    channel_for,
    make_certificate,
    messages,
    server_context,
)
from tests.email.scripted import Peer, ScriptedRelay

SenderFor = Callable[[str], Sender]
LOGIN = "anna%40klinik.example:p%3Aw%20%D1%8F@"
USER, PASSWORD = "anna@klinik.example", "p:w я"


def connect(url: str) -> None:
    """What the doctor does."""
    channel = channel_for(url)
    channel.connect(channel.accounts()[0])


def refusal(url: str) -> ChannelError:
    with pytest.raises(ChannelError) as caught:
        connect(url)
    assert PASSWORD not in f"{caught.value!r} {caught.value.answer}"
    return caught.value


def decoded(text: str) -> str:
    return base64.b64decode(text).decode()


# Real TLS


@pytest.mark.parametrize("implicit", [True, False], ids=["from the first byte", "STARTTLS"])
def test_mails_go_encrypted_and_signed_in(
    sender_for: SenderFor, certificate: Path, implicit: bool
) -> None:
    settings = RelaySettings(
        tls=server_context(certificate),
        implicit_tls=implicit,
        username=USER,
        password=PASSWORD,
        auth_requires_tls=True,
    )
    with SmtpSimulator(settings) as relay:
        sender = sender_for(f"{relay.url}?ca_file={certificate}")
        results = list(sender.send(ListBatch(messages(300))))
        assert relay.counters.accepted == 300
        assert relay.counters.protocol_errors == 0
    assert {type(each) for each in results} == {Accepted}


@pytest.mark.parametrize("implicit", [True, False], ids=["from the first byte", "STARTTLS"])
def test_an_unknown_certificate_stops_the_account(certificate: Path, implicit: bool) -> None:
    settings = RelaySettings(
        tls=server_context(certificate), implicit_tls=implicit, username=USER, password=PASSWORD
    )
    with SmtpSimulator(settings) as relay:
        error = refusal(relay.url)
    assert isinstance(error, AccountError)
    assert (error.answer.system, error.answer.code) == ("dispatch", "tls_failed")
    assert "certificate refused: self-signed certificate" in error.answer.text


def test_a_certificate_of_another_host_stops_the_account(tmp_path: Path) -> None:
    other = make_certificate(tmp_path / "other.pem", address="127.0.0.9")
    with SmtpSimulator(RelaySettings(tls=server_context(other))) as relay:
        error = refusal(f"{relay.url}?ca_file={other}")
    assert isinstance(error, AccountError)
    assert "IP address mismatch" in error.answer.text


def test_a_relay_that_speaks_plainly_where_tls_is_due_is_a_failed_connection() -> None:
    with ScriptedRelay(lambda peer: peer.say("220 plain")) as relay:
        error = refusal(relay.url(scheme="smtps"))
    assert isinstance(error, ConnectionFailed)
    assert error.answer.code == "tls_failed"


def test_a_handshake_that_is_cut_is_a_failed_connection() -> None:
    with ScriptedRelay(lambda peer: peer.reset()) as relay:
        error = refusal(relay.url(scheme="smtps"))
    assert isinstance(error, ConnectionFailed)


def test_without_the_offer_of_starttls_nothing_more_is_said() -> None:
    heard = []

    def script(peer: Peer) -> None:
        peer.greet("PIPELINING", "AUTH PLAIN")
        heard.append(peer.has_more(0.2))

    with ScriptedRelay(script) as relay:
        error = refusal(relay.url(scheme="smtp+starttls", login=LOGIN))
    assert isinstance(error, AccountError)
    assert error.answer.code == "tls_failed"


@pytest.mark.parametrize(
    ("reply", "kind"),
    [("454 4.7.0 TLS not available", ConnectionFailed), ("502 5.5.1 No TLS", AccountError)],
)
def test_a_refused_starttls_never_falls_back_to_plain_text(
    reply: str, kind: type[ChannelError]
) -> None:
    def script(peer: Peer) -> None:
        peer.greet("STARTTLS", "AUTH PLAIN")
        peer.expect("STARTTLS")
        peer.say(reply)
        peer.wait_for_the_end()

    with ScriptedRelay(script) as relay:
        error = refusal(relay.url(scheme="smtp+starttls", login=LOGIN))
    assert isinstance(error, kind)
    assert error.answer.text == reply


def test_what_is_slipped_in_behind_starttls_is_nobodys_word(
    sender_for: SenderFor, certificate: Path
) -> None:
    heard = []

    def script(peer: Peer) -> None:
        peer.greet("STARTTLS")
        peer.expect("STARTTLS")
        peer.say("220 Go on", "250-forged.example", "250-PIPELINING", "250 AUTH PLAIN")
        peer.connection = server_context(certificate).wrap_socket(peer.connection, server_side=True)
        heard.extend(peer.expect("EHLO"))
        peer.say("250-relay", "250 AUTH LOGIN")
        heard.extend(peer.expect("AUTH LOGIN"))
        peer.say("334 VXNlcm5hbWU6")
        peer.line()
        peer.say("334 UGFzc3dvcmQ6")
        peer.line()
        peer.say("235 2.7.0 Welcome")
        peer.expect("MAIL")
        peer.say("250 Ok")
        peer.expect("RCPT")
        peer.say("250 Ok")
        peer.expect("DATA")
        peer.say("354 Go on")
        peer.accept()
        peer.serve()

    with ScriptedRelay(script) as relay:
        url = relay.url(f"ca_file={certificate}", scheme="smtp+starttls", login=LOGIN)
        results = list(sender_for(url).send(ListBatch(messages(1))))
    assert [type(each) for each in results] == [Accepted]
    assert heard[1] == "AUTH LOGIN"


# AUTH


def test_plain_gives_user_and_password_in_one_line() -> None:
    heard = []

    def script(peer: Peer) -> None:
        peer.greet("AUTH LOGIN PLAIN")
        heard.extend(peer.expect("AUTH PLAIN "))
        peer.say("235 2.7.0 Welcome")
        peer.expect("QUIT")
        peer.say("221 Bye")

    with ScriptedRelay(script) as relay:
        connect(relay.url(login=LOGIN))
    assert decoded(heard[0].removeprefix("AUTH PLAIN ")) == f"\0{USER}\0{PASSWORD}"


def test_a_long_password_is_given_on_a_line_of_its_own() -> None:
    heard = []

    def script(peer: Peer) -> None:
        peer.greet("AUTH PLAIN")
        heard.append(peer.line())
        peer.say("334 ")
        heard.append(peer.line())
        peer.say("235 2.7.0 Welcome")
        peer.serve()

    with ScriptedRelay(script) as relay:
        connect(relay.url(login=f"anna:{'x' * 600}@"))
    assert heard[0] == "AUTH PLAIN"
    assert decoded(heard[1]) == f"\0anna\0{'x' * 600}"


def test_login_is_used_where_plain_is_not_offered_or_not_known() -> None:
    heard = []

    def script(peer: Peer) -> None:
        peer.greet("AUTH PLAIN LOGIN")
        peer.expect("AUTH PLAIN")
        peer.say("504 5.5.4 Unrecognized authentication type")
        peer.expect("AUTH LOGIN")
        peer.say("334 VXNlcm5hbWU6")
        heard.append(peer.line())
        peer.say("334 UGFzc3dvcmQ6")
        heard.append(peer.line())
        peer.say("235 Welcome")
        peer.serve()

    with ScriptedRelay(script) as relay:
        connect(relay.url(login=LOGIN))
    assert [decoded(each) for each in heard] == [USER, PASSWORD]


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        ("535 5.7.8 Username and Password not accepted", AccountError),
        ("534 5.7.9 Application-specific password required", AccountError),
        ("525 5.7.13 Account disabled", AccountError),
        ("454 4.7.0 Temporary authentication failure", ConnectionFailed),
        ("421 4.7.0 Too many attempts", ConnectionFailed),
    ],
)
def test_a_refused_sign_in_stops_or_rests_the_account(
    sender_for: SenderFor, reply: str, kind: type[ChannelError]
) -> None:
    def script(peer: Peer) -> None:
        peer.greet("AUTH PLAIN LOGIN")
        peer.expect("AUTH PLAIN")
        peer.say(reply)
        peer.wait_for_the_end()

    batch = ListBatch(messages(100))
    with ScriptedRelay(script) as relay:
        with pytest.raises(kind) as caught:
            list(sender_for(relay.url(login=LOGIN)).send(batch))
        # One try alone: ten at once would lock the account.
        assert relay.connections == 1
    assert caught.value.answer == Answer(system="smtp", code=reply.split()[1], text=reply)
    assert batch.taken == []


def test_a_relay_without_a_way_to_sign_in_stops_the_account() -> None:
    def script(peer: Peer) -> None:
        peer.greet("AUTH CRAM-MD5")
        peer.wait_for_the_end()

    with ScriptedRelay(script) as relay:
        error = refusal(relay.url(login=LOGIN))
    assert isinstance(error, AccountError)
    assert error.answer.code == "authentication"
    assert "CRAM-MD5" in error.answer.text


def test_results_under_way_come_before_a_refused_sign_in_is_told(sender_for: SenderFor) -> None:
    def good(peer: Peer) -> None:
        peer.greet("PIPELINING", "AUTH PLAIN")
        peer.expect("AUTH")
        peer.say("235 Welcome")
        peer.envelope()
        peer.text()
        refused.wait()
        peer.expect("MAIL", "RCPT", "DATA")
        peer.say("250 Ok: queued as Q1", "250 Ok", "250 Ok", "354 Go on")
        peer.accept()
        peer.serve()

    def bad(peer: Peer) -> None:
        peer.greet("PIPELINING", "AUTH PLAIN")
        peer.expect("AUTH")
        peer.say("535 5.7.8 Wrong password")
        peer.wait_for_the_end()
        refused.set()

    refused = threading.Event()
    batch = ListBatch(messages(50))
    found = []
    with ScriptedRelay(good, bad) as relay, pytest.raises(AccountError):
        for result in sender_for(relay.url("connections=2", login=LOGIN)).send(batch):
            found.append(result)
    assert [type(each) for each in found] == [Accepted, Accepted]
    assert len(batch.taken) == 2


def test_no_password_goes_to_another_machine_without_tls() -> None:
    settings = load_settings({URL: "smtp://anna:geheim@localhost", FROM: SENDER})
    assert settings is not None
    dialogue = sign_on(settings, local_address="10.0.0.1", peer_is_loopback=False)
    next(dialogue)
    dialogue.send(Reply(220, (b"hi",)))
    with pytest.raises(AccountError) as caught:
        dialogue.send(Reply(250, (b"relay", b"AUTH PLAIN")))
    assert caught.value.answer.code == "authentication"


def test_the_simulators_wrong_password_mode_stops_the_account(certificate: Path) -> None:
    settings = RelaySettings(tls=server_context(certificate), username=USER, password=PASSWORD)
    with SmtpSimulator(settings) as relay:
        connect(f"{relay.url}?ca_file={certificate}")
        relay.switch(Mode.WRONG_PASSWORD)
        error = refusal(f"{relay.url}?ca_file={certificate}")
    assert isinstance(error, AccountError)
    assert error.answer.code.startswith("5.7.")


# The doctor, and our name


def test_the_doctor_signs_in_and_out_and_sends_nothing() -> None:
    heard = []

    def script(peer: Peer) -> None:
        peer.greet()
        heard.extend(peer.expect("QUIT"))
        peer.say("221 Bye")

    with ScriptedRelay(script) as relay:
        connect(relay.url())
        assert relay.connections == 1
    assert heard == ["QUIT"]


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (socket.gaierror(socket.EAI_NONAME, "x"), "this host name is not known"),
        (socket.gaierror(socket.EAI_AGAIN, "x"), "the host name could not be looked up"),
        (OSError(errno.EHOSTUNREACH, "No route to host"), "no route to host"),
        (OSError("odd"), "odd"),
        (OSError(), "OSError"),
    ],
)
def test_the_systems_errors_are_told_in_plain_words(problem: OSError, words: str) -> None:
    assert reason_of(problem) == words


@pytest.mark.parametrize("helo", ["", "klinik.example"])
def test_we_call_ourselves_as_wished_or_by_an_address(helo: str) -> None:
    heard = []

    def script(peer: Peer) -> None:
        peer.say("220 Hi")
        heard.extend(peer.expect("EHLO"))
        peer.say("250 Hello")
        peer.serve()

    with ScriptedRelay(script) as relay:
        connect(relay.url(f"helo={helo}" if helo else ""))
    assert heard == [f"EHLO {helo or own_name('127.0.0.1')}"]


def test_a_machine_without_a_full_name_uses_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "praxis")
    assert own_name("192.0.2.7") == "[192.0.2.7]"
    assert own_name("2001:db8::7%eth0") == "[IPv6:2001:db8::7]"
    monkeypatch.setattr("socket.gethostname", lambda: "mail.klinik.example")
    assert own_name("192.0.2.7") == "mail.klinik.example"
