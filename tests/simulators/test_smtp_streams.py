"""The relay as a stream of bytes: groups of commands, rubbish, and clients that vanish."""

from __future__ import annotations

import contextlib
import random
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clinic_dispatch_plugin.simulators.smtp import (
    SmtpSimulator,
    read_ledger,
)
from tests.simulators.raw_client import wait_until

Start = Callable[..., SmtpSimulator]
Connect = Callable[..., Any]


# Groups


def test_a_pipelined_group_is_answered_in_order(
    relay: SmtpSimulator, connect: Connect, tmp_path: Path
) -> None:
    client = connect(relay)
    client.ehlo()
    group = [
        "MAIL FROM:<a@example.org>",
        "RCPT TO:<one+unknown@example.org>",
        "RCPT TO:<two@example.org>",
        "RCPT TO:<three+full@example.org>",
        "DATA",
    ]
    client.say(*group)
    expected = ["250 2.1.0", "550 5.1.1", "250 2.1.5", "552 5.2.2", "354 End d"]
    assert [client.reply()[0][:9] for _ in expected] == expected
    for _ in range(50):
        client.say("Subject: x", "", "x", ".", *group)
        got = [client.reply()[0][:9] for _ in range(6)]
        assert got == ["250 2.0.0", *expected]
    client.say(".", "QUIT")
    assert [client.reply()[0][:3] for _ in range(2)] == ["250", "221"]
    assert {line.recipient for line in read_ledger(tmp_path / "ledger")} == {"two@example.org"}
    assert relay.counters.accepted == 51


def test_the_answers_of_a_group_come_in_one_piece(relay: SmtpSimulator, connect: Connect) -> None:
    client = connect(relay)
    client.ehlo()
    client.say("MAIL FROM:<a@example.org>", "RCPT TO:<b@example.org>", "RCPT TO:<c@example.org>")
    together = b"250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n250 2.1.5 Ok\r\n"
    assert client.socket.recv(4096) == together


@pytest.mark.parametrize("cut_at", range(1, 60, 7))
def test_it_does_not_matter_how_the_bytes_are_cut_up(
    relay: SmtpSimulator, connect: Connect, cut_at: int
) -> None:
    client = connect(relay)
    client.ehlo()
    client.say("MAIL FROM:<a@example.org>", "RCPT TO:<b@example.org>", "DATA")
    assert [client.reply()[0][:3] for _ in range(3)] == ["250", "250", "354"]
    stream = b"x\r\n..\r\n.\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nRSET\r\n"
    for start in range(0, len(stream), cut_at):
        client.socket.sendall(stream[start : start + cut_at])
    codes = [client.reply()[0][:9] for _ in range(4)]
    assert codes == ["250 2.0.0", "250 2.1.0", "250 2.1.5", "250 2.0.0"]


def test_data_without_recipients_may_get_354_and_is_refused_after_the_dot(
    start_relay: Start, connect: Connect, tmp_path: Path
) -> None:
    client = connect(start_relay(data_without_recipients=True))
    client.ehlo()
    client.say("MAIL FROM:<a@example.org>", "RCPT TO:<b+unknown@example.org>", "DATA")
    assert [client.reply()[0][:3] for _ in range(3)] == ["250", "550", "354"]
    assert client.ask(".") == "554 5.5.1 Error: no valid recipients"
    assert read_ledger(tmp_path / "ledger") == []


def test_groups_are_refused_where_pipelining_is_not_offered(
    start_relay: Start, connect: Connect
) -> None:
    relay = start_relay(pipelining=False)
    client = connect(relay)
    client.ehlo()
    assert client.mail("x")[-1].startswith("250 2.0.0"), "one at a time is fine"
    client.say("MAIL FROM:<a@example.org>", "RCPT TO:<b@example.org>")
    assert client.reply() == ["503 5.5.0 Error: improper use of SMTP command pipelining"]
    assert client.reply() == []


def test_content_before_the_354_is_refused(
    relay: SmtpSimulator, connect: Connect, tmp_path: Path
) -> None:
    client = connect(relay)
    client.ehlo()
    client.say("MAIL FROM:<a@example.org>", "RCPT TO:<b@example.org>", "DATA", "too early", ".")
    codes = [client.reply()[0][:9] for _ in range(3)]
    assert codes == ["250 2.1.0", "250 2.1.5", "503 5.5.0"]
    assert client.reply() == []
    assert read_ledger(tmp_path / "ledger") == []


def test_a_connection_may_be_worn_out(start_relay: Start, connect: Connect) -> None:
    client = connect(start_relay(messages_per_connection=2))
    client.ehlo()
    assert client.mail("x")[-1].startswith("250")
    assert client.mail("x")[-1].startswith("250")
    assert client.mail("x") == ["421 4.7.0 Too many messages on this connection"]
    assert client.reply() == []


# Rubbish


@pytest.mark.parametrize(
    "rubbish", [b"NOOP\n", b"NO\rOP\r\n", b"NOOP\r\r\n", b"NO\0OP\r\n", b"\xff\xfe\r\n", b"\r\n"]
)
def test_a_broken_command_line_gets_500_and_the_next_one_counts(
    relay: SmtpSimulator, connect: Connect, rubbish: bytes
) -> None:
    client = connect(relay)
    client.socket.sendall(rubbish)
    assert client.reply()[0].startswith("500 5.5.2 Error: ")
    assert client.ask("NOOP") == "250 2.0.0 Ok"
    assert client.ask("N" * 600) == "500 5.5.2 Error: line too long"


@pytest.mark.parametrize("in_data", [False, True])
def test_a_line_without_end_ends_the_connection(
    relay: SmtpSimulator, connect: Connect, in_data: bool
) -> None:
    client = connect(relay)
    if in_data:
        client.ehlo()
        for command in ("MAIL FROM:<a@example.org>", "RCPT TO:<b@example.org>", "DATA"):
            client.ask(command)
    client.socket.sendall(b"x" * 70_000)
    assert client.reply() == ["500 5.5.2 Error: line too long"]
    assert client.reply() == []


def test_a_client_that_talks_nothing_but_nonsense_is_sent_away(
    relay: SmtpSimulator, connect: Connect
) -> None:
    client = connect(relay)
    client.ehlo()
    client.say(*["nonsense"] * 200)
    replies = [client.reply()[0] for _ in range(101)]
    assert replies[-1] == "421 4.7.0 Error: too many errors"
    assert client.reply() == []


def test_a_silent_client_is_sent_away(start_relay: Start, connect: Connect) -> None:
    client = connect(start_relay(idle_seconds=0.3))
    assert client.reply() == ["421 4.4.2 relay.example Error: timeout exceeded"]
    assert client.reply() == []


def test_noise_and_sudden_ends_in_any_state_leave_a_relay_that_works(
    relay: SmtpSimulator, connect: Connect, tmp_path: Path
) -> None:
    chance = random.Random(7)
    script = (
        b"EHLO x\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n"
        b"Subject: x\r\n\r\nx\r\n.\r\nQUIT\r\n"
    )
    for _ in range(150):
        client = connect(relay, greeted=chance.random() < 0.5)
        said = bytearray(script[: chance.randrange(len(script))])
        for _ in range(chance.randrange(4)):
            said.insert(chance.randrange(len(said) + 1), chance.choice(b"\0\r\n.<>\xff: "))
        try:
            for line in bytes(said).splitlines(keepends=True):
                client.socket.sendall(line)
                if chance.random() < 0.5:
                    client.socket.settimeout(0.005)
                    with contextlib.suppress(TimeoutError):
                        client.socket.recv(4096)
        except OSError:
            pass
        if chance.random() < 0.5:
            reset = struct.pack("ii", 1, 0)
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
        client.close()
    wait_until(lambda: relay.counters.connections_open == 0)
    client = connect(relay)
    client.ehlo()
    assert client.mail("x")[-1].startswith("250 2.0.0")


def test_a_client_that_never_reads_cannot_fill_the_memory(
    relay: SmtpSimulator, connect: Connect
) -> None:
    client = connect(relay)
    client.ehlo()
    client.socket.settimeout(1)
    with pytest.raises(TimeoutError):
        for _ in range(2000):
            client.socket.sendall(b"NOOP\r\n" * 10_000)
    assert connect(relay).ask("NOOP") == "250 2.0.0 Ok"


def test_who_hangs_up_half_way_still_gets_the_answers(start_relay: Start, connect: Connect) -> None:
    client = connect(start_relay(delay_before_reply=0.05))
    client.say("NOOP", "NOOP")
    client.socket.shutdown(socket.SHUT_WR)
    # Before EHLO a group is one too many, but even that is said.
    assert client.reply() == ["503 5.5.0 Error: improper use of SMTP command pipelining"]
    assert client.reply() == []
