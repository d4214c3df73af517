"""The relay is strict where the standard is: capabilities, order, grammar, content."""

from __future__ import annotations

import smtplib
from collections.abc import Callable
from email.message import EmailMessage
from email.policy import SMTPUTF8
from pathlib import Path
from typing import Any

import pytest

from clinic_dispatch_plugin.simulators.smtp import (
    SmtpSimulator,
    read_ledger,
)

Start = Callable[..., SmtpSimulator]
Connect = Callable[..., Any]


# Capabilities


def test_everything_is_offered_by_default(relay: SmtpSimulator, connect: Connect) -> None:
    offered = {"ENHANCEDSTATUSCODES", "PIPELINING", "8BITMIME", "SMTPUTF8", "DSN", "SIZE 10240000"}
    assert set(connect(relay).ehlo()) == offered


def test_what_is_switched_off_is_neither_offered_nor_taken(
    start_relay: Start, connect: Connect
) -> None:
    relay = start_relay(
        pipelining=False, eightbitmime=False, smtputf8=False, dsn=False, size_limit=None
    )
    client = connect(relay)
    assert client.ehlo() == ["ENHANCEDSTATUSCODES"]
    for option in ("BODY=8BITMIME", "SMTPUTF8", "ENVID=x", "RET=HDRS", "SIZE=10", "AUTH=<>"):
        keyword = option.partition("=")[0]
        expected = f"555 5.5.4 Unsupported option: {keyword}"
        assert client.ask(f"MAIL FROM:<a@example.org> {option}") == expected
    client.ask("MAIL FROM:<a@example.org>")
    refusal = client.ask("RCPT TO:<b@example.org> NOTIFY=NEVER")
    assert refusal == "555 5.5.4 Unsupported option: NOTIFY"
    assert client.ask("STARTTLS") == "503 5.5.1 Error: TLS is not available"
    assert client.ask("AUTH PLAIN") == "503 5.5.1 Error: authentication not enabled"


def test_after_helo_there_are_no_parameters(relay: SmtpSimulator, connect: Connect) -> None:
    client = connect(relay)
    assert client.ask("HELO client.example") == "250 relay.example"
    assert client.ask("MAIL FROM:<a@example.org> SIZE=1").startswith("555 5.5.4")


# Order and grammar


def test_commands_out_of_order_get_503(relay: SmtpSimulator, connect: Connect) -> None:
    client = connect(relay)
    assert client.ask("MAIL FROM:<a@example.org>") == "503 5.5.1 Error: send HELO/EHLO first"
    client.ehlo()
    assert client.ask("RCPT TO:<b@example.org>") == "503 5.5.1 Error: need MAIL command"
    assert client.ask("DATA") == "503 5.5.1 Error: need MAIL command"
    assert client.ask("mail from:<a@example.org>") == "250 2.1.0 Ok"
    assert client.ask("MAIL FROM:<a@example.org>") == "503 5.5.1 Error: nested MAIL command"
    assert client.ask("DATA") == "554 5.5.1 Error: no valid recipients"
    assert client.ask("RSET") == "250 2.0.0 Ok"
    assert client.ask("RCPT TO:<b@example.org>") == "503 5.5.1 Error: need MAIL command"
    assert client.ask("BDAT 10 LAST") == "502 5.5.1 Error: command not implemented"
    assert client.ask("HELLO there") == "500 5.5.2 Error: command not recognized"
    assert client.ask("VRFY postmaster").startswith("252")
    assert client.ask("HELP").startswith("214")
    assert client.ask("QUIT now") == "501 5.5.4 Syntax: QUIT"
    assert client.ask("QUIT") == "221 2.0.0 Bye"
    assert client.reply() == []


def test_a_second_ehlo_ends_the_transaction(relay: SmtpSimulator, connect: Connect) -> None:
    client = connect(relay)
    client.ehlo()
    client.ask("MAIL FROM:<a@example.org>")
    client.ehlo()
    assert client.ask("RCPT TO:<b@example.org>") == "503 5.5.1 Error: need MAIL command"


@pytest.mark.parametrize("name", ["", "two words", "-bad-", "[127.0.0.1", "a..b", "<x>"])
def test_a_greeting_needs_a_name(relay: SmtpSimulator, connect: Connect, name: str) -> None:
    assert connect(relay).ask(f"EHLO {name}") == "501 Syntax: EHLO hostname"


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("<b@example.org>", "250 2.1.5"),
        ('<"b c\\"d"@example.org>', "250 2.1.5"),
        ("<b@[127.0.0.1]>", "250 2.1.5"),
        ("<b@[IPv6:::1]>", "250 2.1.5"),
        ("<@hop.example,@hop2.example:b@example.org>", "250 2.1.5"),
        ("<Postmaster>", "250 2.1.5"),
        (f"<{'l' * 64}@example.org>", "250 2.1.5"),
        (f"<{'l' * 65}@example.org>", "501 5.1.3"),
        (f"<b@{'.'.join(['d' * 63] * 4)}>", "501 5.1.3"),
        ("<>", "501 5.1.3"),
        ("<b>", "501 5.1.3"),
        ("<b@>", "501 5.1.3"),
        ("<@example.org>", "501 5.1.3"),
        ("<b@@example.org>", "501 5.1.3"),
        ("<b..c@example.org>", "501 5.1.3"),
        ("<.b@example.org>", "501 5.1.3"),
        ("<b c@example.org>", "501 5.1.3"),
        ("<b@example.org", "501 5.1.3"),
        ("<b@example.org>x", "501 5.1.3"),
        ("<b@exa mple.org>", "501 5.1.3"),
        ("<b@-example.org>", "501 5.1.3"),
        ("b@example.org", "501 5.5.4"),
        (" <b@example.org>", "501 5.5.4"),
        ("<b@example.org> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;b+2Bc@example.org", "250 2.1.5"),
        ("<b@example.org> notify=never", "250 2.1.5"),
        ("<b@example.org> NOTIFY=NEVER,DELAY", "501 5.5.4"),
        ("<b@example.org> NOTIFY=DELAY,DELAY", "501 5.5.4"),
        ("<b@example.org> NOTIFY", "501 5.5.4"),
        ("<b@example.org> ORCPT=b@example.org", "501 5.5.4"),
        ("<b@example.org> ORCPT=rfc822;b+zz", "501 5.5.4"),
        ("<b@example.org> NOTIFY=DELAY NOTIFY=DELAY", "501 5.5.4"),
        ("<b@example.org> =", "501 5.5.4"),
        ("<b@example.org> SIZE=1", "555 5.5.4"),
        ("<бета@example.org>", "553 5.6.7"),
    ],
)
def test_recipients_are_read_as_the_grammar_says(
    relay: SmtpSimulator, connect: Connect, path: str, code: str
) -> None:
    client = connect(relay)
    client.ehlo()
    assert client.ask("MAIL FROM:<>") == "250 2.1.0 Ok"
    assert client.ask(f"RCPT TO:{path}")[:9] == code


@pytest.mark.parametrize(
    ("rest", "code"),
    [
        ("<>", "250 2.1.0"),
        ("<a@example.org> SIZE=10240000 BODY=8BITMIME SMTPUTF8", "250 2.1.0"),
        ("<a@example.org> size=12 body=7bit ret=full envid=a+2Bb", "250 2.1.0"),
        ("<альфа@пример.example> SMTPUTF8", "250 2.1.0"),
        ("<альфа@example.org>", "553 5.6.7"),
        ("<a@example.org> SIZE=10240001", "552 5.3.4"),
        ("<a@example.org> SIZE=-1", "501 5.5.4"),
        ("<a@example.org> SIZE=\u0661", "501 5.5.4"),
        (f"<a@example.org> SIZE={'9' * 21}", "501 5.5.4"),
        ("<a@example.org> BODY=BINARYMIME", "501 5.5.4"),
        ("<a@example.org> SMTPUTF8=yes", "501 5.5.4"),
        ("<a@example.org> RET=SOME", "501 5.5.4"),
        ("<a@example.org> ENVID", "501 5.5.4"),
        ("<a@example.org> ENVID=a=b", "501 5.5.4"),
        ("<a@example.org> ENVID=a+0D+0Ab", "501 5.5.4"),
        (f"<a@example.org> ENVID={'e' * 101}", "501 5.5.4"),
        (f"<a@example.org> ENVID={'e' * 100}", "250 2.1.0"),
        ("<a@example.org> FROB=1", "555 5.5.4"),
        ("<a b@example.org>", "501 5.1.7"),
        ("a@example.org", "501 5.5.4"),
        (f"<a@example.org> {'x' * 2100}", "500 5.5.2"),
    ],
)
def test_senders_are_read_as_the_grammar_says(
    relay: SmtpSimulator, connect: Connect, rest: str, code: str
) -> None:
    client = connect(relay)
    client.ehlo()
    assert client.ask(f"MAIL FROM:{rest}")[:9] == code


# Content


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (b".\r\n", b""),
        (b"\r\n.\r\n", b"\r\n"),
        (b"..\r\n.\r\n", b".\r\n"),
        (b"a\r\n..\r\n...b\r\n.c\r\n.\r\n", b"a\r\n.\r\n..b\r\nc\r\n"),
        (b"x" * 998 + b"\r\n." + b"." + b"y" * 997 + b"\r\n.\r\n", None),
    ],
)
def test_dots_are_taken_away_as_they_were_added(
    start_relay: Start, connect: Connect, tmp_path: Path, sent: bytes, kept: bytes | None
) -> None:
    relay = start_relay(mailbox=tmp_path / "mails")
    client = connect(relay)
    client.ehlo()
    for command in ("MAIL FROM:<a@example.org>", "RCPT TO:<b@example.org>", "DATA"):
        client.ask(command)
    for byte in sent[:20]:
        client.socket.sendall(bytes([byte]))  # the end may come in pieces
    client.socket.sendall(sent[20:])
    assert client.reply()[0].startswith("250 2.0.0 Ok: queued as ")
    (file,) = (tmp_path / "mails").iterdir()
    expected = b"x" * 998 + b"\r\n." + b"y" * 997 + b"\r\n" if kept is None else kept
    assert file.read_bytes() == expected


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"a\nb", "550 5.6.0"),
        (b"a\rb", "550 5.6.0"),
        (b"a\n.\r\nMAIL FROM:<evil@example.org>", "550 5.6.0"),
        (b"a\r\n.\nMAIL FROM:<evil@example.org>", "550 5.6.0"),
        (b"a\r.\r", "550 5.6.0"),
        (b"a\0b", "550 5.6.0"),
        (b"x" * 999, "500 5.6.0"),
        (b"Subject: x\r\n\r\n" + "ä".encode(), "554 5.6.3"),
        ("Subject: ä\r\n\r\nx".encode(), "554 5.6.9"),
    ],
)
def test_content_that_breaks_the_rules_is_refused_and_the_session_stays_in_step(
    relay: SmtpSimulator, connect: Connect, tmp_path: Path, content: bytes, code: str
) -> None:
    client = connect(relay)
    client.ehlo()
    assert client.mail(content)[-1][:9] == code
    assert client.ask("NOOP") == "250 2.0.0 Ok"
    assert client.mail("Subject: x", "", "x")[-1].startswith("250 2.0.0")
    assert len(read_ledger(tmp_path / "ledger")) == 1


def test_eight_bit_text_passes_when_it_was_announced(
    relay: SmtpSimulator, connect: Connect
) -> None:
    client = connect(relay)
    client.ehlo()
    replies = client.mail("Subject: x", "", "Grüße", parameters=" BODY=8BITMIME")
    assert replies[-1].startswith("250 2.0.0")


def test_an_internationalised_mail_of_the_standard_library_arrives(
    relay: SmtpSimulator, tmp_path: Path
) -> None:
    message = EmailMessage(policy=SMTPUTF8)
    message["Subject"], message["From"] = "Приём", "clinic@example.org"
    message["To"] = "анна@example.org"
    message.set_content("Здравствуйте")
    with smtplib.SMTP("127.0.0.1", relay.port, timeout=10) as client:
        client.send_message(message)
    (line,) = read_ledger(tmp_path / "ledger")
    assert line.recipient == "анна@example.org"


def test_content_over_the_limit_is_read_to_its_end_and_refused(
    start_relay: Start, connect: Connect
) -> None:
    relay = start_relay(size_limit=10_000)
    client = connect(relay)
    client.ehlo()
    line = "x" * 98
    assert client.mail(*[line] * 100)[-1].startswith("250 2.0.0"), "10,000 octets exactly"
    assert client.mail(*[line] * 100, "y")[-1] == "552 5.3.4 Error: message file too big"
    assert client.mail(*[line] * 20_000)[-1] == "552 5.3.4 Error: message file too big"
    assert client.mail("x")[-1].startswith("250 2.0.0")
