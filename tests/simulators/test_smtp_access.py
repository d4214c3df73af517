"""Who gets in: the modes that a person switches, sign-in, and TLS, with real clients."""

from __future__ import annotations

import base64
import smtplib
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clinic_dispatch_plugin.simulators.smtp import (
    SmtpSimulator,
    read_ledger,
    write_mode_file,
)
from tests.simulators.raw_client import client_of, send, wait_until

Start = Callable[..., SmtpSimulator]
Connect = Callable[..., Any]


def refuses_connections(relay: SmtpSimulator) -> bool:
    try:
        socket.create_connection(("127.0.0.1", relay.port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


# Modes


def test_relaying_denied_is_said_at_each_recipient_until_normal_again(relay: SmtpSimulator) -> None:
    with client_of(relay) as client:
        client.ehlo()
        relay.switch("relaying_denied")
        assert send(client, to="a@example.org") == (
            554,
            b"5.7.1 <a@example.org>: Relay access denied",
        )
        relay.switch("normal")
        assert send(client, to="a@example.org")[0] == 250


def test_a_wrong_password_is_told_at_sign_in_and_without_one_at_mail(start_relay: Start) -> None:
    relay = start_relay(username="clinic", password="right")
    relay.switch("wrong_password")
    with client_of(relay) as client:
        with pytest.raises(smtplib.SMTPAuthenticationError) as refusal:
            client.login("clinic", "right")
        assert (refusal.value.smtp_code, str(refusal.value.smtp_error)[2:7]) == (535, "5.7.8")
        assert client.mail("a@example.org") == (530, b"5.7.0 Authentication required")


def test_in_mode_slow_greeting_and_answer_wait_and_the_mail_still_arrives(
    start_relay: Start, connect: Connect, tmp_path: Path
) -> None:
    relay = start_relay(slow_seconds=60)
    client = connect(relay)
    client.ehlo()
    relay.switch("slow")
    client.say("MAIL FROM:<a@example.org>", "RCPT TO:<b@example.org>", "DATA")
    assert [client.reply()[0][:3] for _ in range(3)] == ["250", "250", "354"]
    client.say("x", ".")
    wait_until(lambda: len(read_ledger(tmp_path / "ledger")) == 1)
    for waiting in (client, connect(relay, greeted=False)):
        waiting.socket.settimeout(0.2)
        with pytest.raises(TimeoutError):
            waiting.socket.recv(1)


def test_down_cuts_connections_refuses_new_ones_and_keeps_its_port(
    relay: SmtpSimulator, connect: Connect
) -> None:
    client, port = connect(relay), relay.port
    client.ehlo()
    relay.switch("down")
    assert client.reply() == []
    assert refuses_connections(relay)
    relay.switch("normal")
    assert relay.port == port
    assert connect(relay).ask("NOOP") == "250 2.0.0 Ok"


def test_a_file_switches_the_mode_from_another_process(
    start_relay: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "mode"
    write_mode_file(file, "down")
    relay = start_relay(mode_file=file)
    assert refuses_connections(relay), "the file counts from the start"
    script = (
        "import sys, pathlib; from clinic_dispatch_plugin.simulators.smtp import write_mode_file;"
        "write_mode_file(pathlib.Path(sys.argv[1]), 'relaying_denied')"
    )
    subprocess.run([sys.executable, "-c", script, str(file)], check=True)
    wait_until(lambda: not refuses_connections(relay))
    with client_of(relay) as client:
        client.ehlo()
        assert send(client, to="a@example.org")[0] == 554
        file.write_text("no such mode")
        wait_until(lambda: any("is no mode" in r.getMessage() for r in caplog.records))
        assert send(client, to="a@example.org")[0] == 554, "nonsense changes nothing"
        file.unlink()
        wait_until(lambda: send(client, to="a@example.org")[0] == 250)
        write_mode_file(file, "down")
        wait_until(lambda: refuses_connections(relay))


def test_an_invented_mode_is_refused(relay: SmtpSimulator, tmp_path: Path) -> None:
    with pytest.raises(ValueError):
        relay.switch("sideways")
    with pytest.raises(ValueError):
        write_mode_file(tmp_path / "mode", "sideways")


# Sign-in and TLS


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_sign_in_opens_the_door(start_relay: Start, mechanism: str) -> None:
    relay = start_relay(username="clinic", password="right")
    with client_of(relay) as client:
        client.ehlo()
        assert client.esmtp_features["auth"].split() == ["PLAIN", "LOGIN"]
        assert client.mail("a@example.org") == (530, b"5.7.0 Authentication required")
        client.esmtp_features["auth"] = mechanism
        with pytest.raises(smtplib.SMTPAuthenticationError):
            client.login("clinic", "wrong")
        assert client.login("clinic", "right")[0] == 235
        assert client.docmd("AUTH", "PLAIN AGZvbwBiYXI=")[0] == 503, "one sign-in is enough"
        assert send(client, to="a@example.org")[0] == 250


def test_a_sign_in_can_be_given_up_and_be_nonsense(start_relay: Start, connect: Connect) -> None:
    relay = start_relay(username="клиника", password="pass wörd")
    assert relay.url == (
        f"smtp://%D0%BA%D0%BB%D0%B8%D0%BD%D0%B8%D0%BA%D0%B0:pass%20w%C3%B6rd@127.0.0.1:{relay.port}"
    )
    client = connect(relay)
    assert client.ask("AUTH PLAIN") == "503 5.5.1 Error: send EHLO first"
    client.ehlo()
    assert client.ask("AUTH") == "501 5.5.4 Syntax: AUTH mechanism"
    assert client.ask("AUTH CRAM-MD5").startswith("504 5.5.4")
    assert client.ask("AUTH PLAIN") == "334 "
    assert client.ask("*") == "501 5.7.0 Authentication aborted"
    assert client.ask("AUTH PLAIN %%%") == "501 5.5.2 Error: cannot decode the response"
    assert client.ask("AUTH PLAIN =") == "501 5.5.2 Malformed authentication data"
    assert client.ask("AUTH LOGIN") == "334 VXNlcm5hbWU6"
    assert client.ask("A" * 13_000) == "500 5.5.6 Authentication exchange line is too long"
    secret = base64.b64encode("\0клиника\0pass wörd".encode()).decode()
    assert client.ask(f"AUTH PLAIN {secret}") == "235 2.7.0 Authentication successful"


def test_after_three_wrong_passwords_the_connection_ends(
    start_relay: Start, connect: Connect
) -> None:
    client = connect(start_relay(username="clinic", password="right"))
    client.ehlo()
    assert [client.ask("AUTH PLAIN AGZvbwBiYXI=")[:9] for _ in range(3)] == ["535 5.7.8"] * 3
    assert client.reply() == []


def test_starttls_hides_the_rest_and_forgets_what_was_said_before(
    start_relay: Start, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    relay = start_relay(tls=server_tls, username="clinic", password="right", auth_requires_tls=True)
    assert relay.url.startswith("smtp+starttls://clinic:right@")
    with client_of(relay) as client:
        client.ehlo()
        assert "auth" not in client.esmtp_features
        assert client.docmd("AUTH", "PLAIN AGZvbwBiYXI=")[:1] == (538,)
        assert client.starttls(context=client_tls)[0] == 220
        assert client.docmd("MAIL FROM:<a@example.org>") == (
            503,
            b"5.5.1 Error: send HELO/EHLO first",
        )
        client.ehlo()
        assert "starttls" not in client.esmtp_features
        client.login("clinic", "right")
        assert send(client, to="a@example.org")[0] == 250


def test_bytes_slipped_in_behind_starttls_are_thrown_away(
    start_relay: Start, connect: Connect, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    client = connect(start_relay(tls=server_tls))
    client.ehlo()
    client.say("STARTTLS", "NOOP", "RSET")
    assert client.reply() == ["220 2.0.0 Ready to start TLS"]
    with client_tls.wrap_socket(client.socket, server_hostname="127.0.0.1") as secure:
        secure.sendall(b"QUIT\r\n")
        assert secure.makefile("rb").readline() == b"221 2.0.0 Bye\r\n"


def test_tls_from_the_first_byte(
    start_relay: Start, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, tmp_path: Path
) -> None:
    relay = start_relay(tls=server_tls, implicit_tls=True)
    assert relay.url == f"smtps://{relay.address}"
    with smtplib.SMTP_SSL("127.0.0.1", relay.port, context=client_tls, timeout=10) as client:
        client.ehlo()
        assert send(client, to="a@example.org", text="x" * 70 + "\r\n")[0] == 250
        with pytest.raises(smtplib.SMTPServerDisconnected):
            send(client, to="a+lost@example.org")
    assert len(read_ledger(tmp_path / "ledger")) == 2


@pytest.mark.parametrize("implicit", [True, False])
def test_a_client_that_speaks_no_tls_leaves_nothing_behind(
    start_relay: Start, connect: Connect, server_tls: ssl.SSLContext, implicit: bool
) -> None:
    relay = start_relay(tls=server_tls, implicit_tls=implicit)
    client = connect(relay, greeted=not implicit)
    if not implicit:
        assert client.ask("STARTTLS").startswith("220")
    client.socket.sendall(b"this is no handshake\r\n" * 20)
    while client.socket.recv(4096):
        pass
    wait_until(lambda: relay.counters.connections_open == 0)
