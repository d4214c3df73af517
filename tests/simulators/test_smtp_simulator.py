"""The relay with real clients: its answers, its memory, and the command that runs it."""

from __future__ import annotations

import io
import json
import mailbox
import os
import signal
import smtplib
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from clinic_dispatch_plugin.simulators.smtp import (
    RelaySettings,
    ScriptedBehaviour,
    SmtpSimulator,
    read_ledger,
    run_simulator,
    verdict_of,
)
from clinic_dispatch_plugin.simulators.smtp.behaviours import Scenario
from clinic_dispatch_plugin.simulators.smtp.ledger import LedgerDamagedError
from tests.servers.found import look_for, require
from tests.simulators.raw_client import client_of, send, wait_until

Start = Callable[..., SmtpSimulator]
Connect = Callable[..., Any]


# Recipients


@pytest.mark.parametrize(
    ("tag", "answer"),
    [
        (
            "unknown",
            "550 5.1.1 <{}>: Recipient address rejected: User unknown in virtual mailbox table",
        ),
        ("full", "552 5.2.2 <{}>: Mailbox is over quota"),
        ("full_temporary", "452 4.2.2 <{}>: Mailbox is over quota"),
        ("disabled", "550 5.2.1 <{}>: Recipient address rejected: The account is disabled"),
        ("moved", "551 5.1.6 <{}>: User not local; please try <anna@new.example.org>"),
        (
            "greylist",
            "450 4.2.0 <{}>: Recipient address rejected: Greylisted, please try again later",
        ),
        ("spam", "550 5.7.1 Message rejected as spam by content filter"),
        ("toobig", "552 5.3.4 Message size exceeds fixed limit"),
        ("strange", "554 5.9.87 Frobnication 7Q"),
    ],
)
def test_a_tag_in_the_address_chooses_the_refusal(
    relay: SmtpSimulator, tmp_path: Path, tag: str, answer: str
) -> None:
    address = f"anna+{tag}@example.org"
    with client_of(relay) as client:
        client.ehlo()
        code, words = send(client, to=address)
        assert f"{code} {words.decode()}" == answer.format(address)
        assert send(client, to="anna@example.org")[0] == 250, "the connection goes on"
    assert [line.recipient for line in read_ledger(tmp_path / "ledger")] == ["anna@example.org"]
    assert relay.counters.scenarios[tag] == 1


def test_an_accepted_mail_gets_a_queue_id_and_a_line_in_the_ledger(
    relay: SmtpSimulator, tmp_path: Path
) -> None:
    with client_of(relay) as client:
        client.ehlo()
        client.mail("clinic@example.org", ["ENVID=attempt+2B7"])
        client.rcpt("anna@example.org", ["NOTIFY=FAILURE"])
        content = "Subject: x\r\nMessage-Id:\r\n <17.3@example.org>\r\n\r\nMessage-ID: <no>\r\n"
        code, words = client.data(content)
        (line,) = read_ledger(tmp_path / "ledger")
    assert (code, words.decode()) == (250, f"2.0.0 Ok: queued as {line.queue_id}")
    assert len(line.queue_id) == 10 and int(line.queue_id, 16)
    assert (line.envid, line.message_id) == ("attempt+7", "<17.3@example.org>")
    assert (line.sender, line.recipient) == ("clinic@example.org", "anna@example.org")
    assert (line.scenario, line.accepted, line.size) == ("accepted", True, len(content))
    assert line.at.utcoffset() is not None


def test_the_table_goes_before_the_tag_and_ignores_case(start_relay: Start, tmp_path: Path) -> None:
    table = tmp_path / "table.json"
    table.write_text(
        json.dumps({"Anna+full@example.org": "unknown", "olga@example.org": "strange"})
    )
    relay = start_relay(behaviour=ScriptedBehaviour.from_file(table))
    with client_of(relay) as client:
        client.ehlo()
        assert send(client, to="anna+FULL@example.org")[1].startswith(b"5.1.1")
        assert send(client, to="Olga@Example.org") == (554, b"5.9.87 Frobnication 7Q")


def test_a_table_with_an_invented_scenario_is_refused() -> None:
    with pytest.raises(ValueError, match="'vanished' is no scenario; there are: accepted, unknown"):
        ScriptedBehaviour({"anna@example.org": "vanished"})


def test_every_scenario_has_an_answer_of_its_own() -> None:
    verdicts = {verdict_of(scenario, recipient="a@example.org") for scenario in Scenario}
    assert len(verdicts) == len(Scenario)


def test_a_greylisted_pair_is_taken_when_it_comes_back_later() -> None:
    behaviour = ScriptedBehaviour(greylist_seconds=60)

    def answer(sender: str, now: float) -> str | None:
        recipient = "anna+greylist@example.org"
        return behaviour.verdict(sender=sender, recipient=recipient, now=now).at_rcpt

    refusals = [
        answer("a@x.example", 0.0),
        answer("a@x.example", 59.0),
        answer("b@x.example", 60.0),
    ]
    assert all(refusal is not None and refusal.startswith("450 4.2.0") for refusal in refusals)
    assert answer("a@x.example", 60.0) is None
    assert answer("a@x.example", 61.0) is None


def test_a_greylisted_mail_arrives_over_the_wire_at_the_second_try(
    start_relay: Start, tmp_path: Path
) -> None:
    relay = start_relay(behaviour=ScriptedBehaviour(greylist_seconds=0))
    with client_of(relay) as client:
        client.ehlo()
        assert send(client, to="anna+greylist@example.org")[0] == 450
        assert send(client, to="anna+greylist@example.org")[0] == 250
    assert [line.scenario for line in read_ledger(tmp_path / "ledger")] == ["greylist"]


def test_a_lost_mail_is_in_the_ledger_though_nobody_said_so(
    relay: SmtpSimulator, tmp_path: Path
) -> None:
    with client_of(relay) as client:
        client.ehlo()
        with pytest.raises(smtplib.SMTPServerDisconnected):
            send(client, to="anna+lost@example.org")
    (line,) = read_ledger(tmp_path / "ledger")
    assert (line.recipient, line.scenario, line.accepted) == (
        "anna+lost@example.org",
        "lost",
        False,
    )


def test_a_mail_lost_before_the_dot_is_nowhere(
    relay: SmtpSimulator, connect: Connect, tmp_path: Path
) -> None:
    client = connect(relay)
    client.ehlo()
    client.ask("MAIL FROM:<a@example.org>")
    client.ask("RCPT TO:<anna+lost_before_dot@example.org>")
    assert client.ask("DATA").startswith("354")
    assert client.ask("Subject: half of it") == ""
    assert read_ledger(tmp_path / "ledger") == []


def test_a_relay_that_shuts_down_says_so_and_goes(relay: SmtpSimulator, connect: Connect) -> None:
    client = connect(relay)
    client.ehlo()
    client.say("MAIL FROM:<a@example.org>", "RCPT TO:<anna+close_421@example.org>", "DATA")
    assert client.reply() == ["250 2.1.0 Ok"]
    assert client.reply() == ["421 4.3.2 Service shutting down"]
    assert client.reply() == []


def test_a_behaviour_that_fails_ends_the_connection_and_not_the_relay(
    start_relay: Start, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        def verdict(self, **_: object) -> Any:
            raise ZeroDivisionError

    relay = start_relay(behaviour=Broken())
    client = connect(relay)
    assert client.ask("HELO client.example") == "250 relay.example"
    assert client.ask("MAIL FROM:<a@example.org>") == "250 2.1.0 Ok"
    assert client.ask("RCPT TO:<b@example.org>") == "421 4.3.0 Error: internal error"
    assert client.reply() == []
    assert connect(relay).ask("NOOP") == "250 2.0.0 Ok"
    (record,) = [r for r in caplog.records if r.name.startswith("clinic_dispatch_plugin")]
    record.expected = True


# What is kept


def test_two_recipients_of_one_mail_are_two_lines_of_the_ledger(
    relay: SmtpSimulator, tmp_path: Path
) -> None:
    with client_of(relay) as client:
        refused = client.sendmail(
            "clinic@example.org",
            ["a@example.org", "b+unknown@example.org", "c@example.org"],
            "Subject: x\r\n\r\nx\r\n",
        )
    assert set(refused) == {"b+unknown@example.org"}
    lines = read_ledger(tmp_path / "ledger")
    assert [line.recipient for line in lines] == ["a@example.org", "c@example.org"]
    assert lines[0].queue_id == lines[1].queue_id
    assert lines[0].message_id is None


def test_the_folder_holds_each_accepted_mail_byte_by_byte(
    start_relay: Start, tmp_path: Path
) -> None:
    relay = start_relay(mailbox=tmp_path / "mails")
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = "Größe", "c@example.org", "a@example.org"
    message.set_content(".eine Zeile mit Punkt\n", cte="quoted-printable")
    with client_of(relay) as client:
        client.send_message(message)
        client.ehlo()
        assert send(client, to="anna+spam@example.org")[0] == 550
    (line,) = read_ledger(tmp_path / "ledger")
    (file,) = (tmp_path / "mails").iterdir()
    assert file.name == f"{line.queue_id}.eml"
    content = file.read_bytes()
    assert b"\r\n\r\n.eine Zeile mit Punkt\r\n" in content and len(content) == line.size


def test_an_mbox_gives_back_what_was_sent(start_relay: Start, tmp_path: Path) -> None:
    relay = start_relay(mailbox=tmp_path / "sent.mbox")
    with client_of(relay) as client:
        client.ehlo()
        send(client, to="a@example.org", text="From here on\r\n")
        send(client, to="b@example.org")
    with closing(mailbox.mbox(tmp_path / "sent.mbox")) as box:
        first, second = list(box)
    assert first["Message-ID"] == "<for-a@example.org>"
    assert str(first.get_payload()).startswith(">From here on\n")
    assert second["Message-ID"] == "<for-b@example.org>"


def test_a_ledger_that_cannot_be_written_turns_mails_away(
    start_relay: Start, caplog: pytest.LogCaptureFixture
) -> None:
    relay = start_relay(ledger=Path("/dev/full"))
    with client_of(relay) as client:
        client.ehlo()
        code, words = send(client, to="a@example.org")
    assert (code, words) == (451, b"4.3.0 Error: queue file write error")
    for record in caplog.records:
        record.expected = True


def test_a_half_written_last_line_is_left_out_and_a_damaged_one_is_not(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    assert read_ledger(ledger) == []
    ledger.write_text('{"at": "2030-01-01T10:00:00+00:')
    assert read_ledger(ledger) == []
    ledger.write_text('{"at": 1}\n')
    with pytest.raises(LedgerDamagedError, match="line 1"):
        read_ledger(ledger)


def test_every_nth_answer_is_cut_off_while_the_mail_is_taken(
    start_relay: Start, tmp_path: Path
) -> None:
    relay = start_relay(cut_after_dot_every=2, ledger_fsync=True)
    for number in (1, 2, 3, 4):
        with client_of(relay) as client:
            client.ehlo()
            if number % 2:
                assert send(client, to="a@example.org")[0] == 250
            else:
                with pytest.raises(smtplib.SMTPServerDisconnected):
                    send(client, to="a@example.org")
    assert [line.accepted for line in read_ledger(tmp_path / "ledger")] == [True] * 4
    assert (relay.counters.accepted, relay.counters.unanswered) == (4, 2)


def test_the_ledger_is_written_before_a_slow_answer(
    start_relay: Start, connect: Connect, tmp_path: Path
) -> None:
    relay = start_relay(latency=60)
    client = connect(relay)
    client.ehlo()
    client.say("MAIL FROM:<a@example.org>", "RCPT TO:<b@example.org>", "DATA")
    assert [client.reply()[0][:3] for _ in range(3)] == ["250", "250", "354"]
    client.say("Subject: x", "", "x", ".")
    wait_until(lambda: len(read_ledger(tmp_path / "ledger")) == 1)
    client.socket.settimeout(0.2)
    with pytest.raises(TimeoutError):
        client.socket.recv(1)


def test_delayed_answers_come_complete_and_in_order(start_relay: Start, connect: Connect) -> None:
    relay = start_relay(latency=0.05, delay_before_reply=0.05)
    client = connect(relay)
    client.ehlo()
    client.say("MAIL FROM:<a@example.org>", "RCPT TO:<b@example.org>", "DATA")
    assert [client.reply()[0][:9] for _ in range(3)] == ["250 2.1.0", "250 2.1.5", "354 End d"]
    client.say("x", ".", "MAIL FROM:<a@example.org>", "RCPT TO:<b+unknown@example.org>", "QUIT")
    got = [client.reply()[0][:9] for _ in range(4)]
    assert got == ["250 2.0.0", "250 2.1.0", "550 5.1.1", "221 2.0.0"]


# The program


@pytest.mark.postfix
def test_postfix_delivers_two_hundred_mails(relay: SmtpSimulator, tmp_path: Path) -> None:
    smtp_source = require(look_for("Postfix's smtp-source", ["smtp-source"])).program("smtp-source")
    command = [smtp_source, "-s", "5", "-m", "200", "-l", "2000", "-f", "a@example.org"]
    subprocess.run([*command, "-t", "b@example.org", relay.address], check=True, timeout=60)
    lines = read_ledger(tmp_path / "ledger")
    assert len(lines) == len({line.queue_id for line in lines}) == 200
    assert relay.counters.accepted == 200


def test_a_taken_port_is_told_at_the_start(relay: SmtpSimulator) -> None:
    with pytest.raises(OSError, match="in use"):
        SmtpSimulator(RelaySettings(port=relay.port)).start()
    out = io.StringIO()
    assert run_simulator(RelaySettings(port=relay.port), out=out) == 1
    assert out.getvalue().startswith(f"The relay cannot start on 127.0.0.1:{relay.port}: ")


def test_a_relay_stops_with_clients_in_every_state_and_starts_again(
    start_relay: Start, connect: Connect
) -> None:
    relay = start_relay(latency=60)
    silent, talking, writing, waiting = (connect(relay) for _ in range(4))
    talking.ehlo()
    for client in (writing, waiting):
        client.ehlo()
        client.ask("MAIL FROM:<a@example.org>")
        client.ask("RCPT TO:<b@example.org>")
        client.ask("DATA")
    writing.say("half")
    waiting.say("x", ".")
    wait_until(lambda: relay.counters.messages == 1)
    relay.stop()
    relay.stop()
    for client in (silent, talking, writing, waiting):
        assert client.reply() == []
    assert "smtp-simulator" not in {thread.name for thread in threading.enumerate()}
    relay.start()
    assert connect(relay).ask("NOOP") == "250 2.0.0 Ok"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_stays_until_it_is_told_to_go(tmp_path: Path, number: int) -> None:
    script = (
        "import sys, pathlib; from clinic_dispatch_plugin.simulators.smtp import *;"
        "sys.exit(run_simulator(RelaySettings(mode_file=pathlib.Path('mode')), out=sys.stdout))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=tmp_path
    )
    with process:
        assert process.stdout is not None
        address = process.stdout.readline().removeprefix("SMTP relay listening on ").strip()
        assert process.stdout.readline().startswith("It follows mode: normal, relaying_denied")
        host, port = address.split(":")
        with smtplib.SMTP(host, int(port), timeout=10) as client:
            client.ehlo()
            assert send(client, to="a@example.org")[0] == 250
            os.kill(process.pid, number)
            assert process.stdout.read().startswith("1 messages: 1 accepted, 0 refused")
        assert process.wait(10) == 0
