"""Proves that each server of the test equipment really works, so that a green run elsewhere means something."""

from __future__ import annotations

import imaplib
import os
import signal
import smtplib
import ssl
import subprocess
import sys
import time
from email.message import EmailMessage
from pathlib import Path

import pytest
import redis
from playwright.sync_api import Page
from sqlalchemy import NullPool, create_engine, inspect, text

from tests.servers import found as equipment
from tests.servers.dovecot import PASSWORD, USER, Dovecot
from tests.servers.postfix import SIZE_LIMIT, Postfix
from tests.servers.smtp_sink import SmtpSink

VERSION = {"sqlite": "SELECT sqlite_version()"}

#: Starts a server as another user where it can, tells its process id once it really runs, and stays.
A_RUN_WITH_A_SERVER = """
import sys, time
from pathlib import Path
from tests.servers import process

user = process.unprivileged("nobody")
server = process.start(["sleep", "600"], folder=Path(sys.argv[1]), user=user)
command_line = Path(f"/proc/{server.process.pid}/cmdline")
server.wait_until(lambda: command_line.read_bytes().startswith(b"sleep"))
print(server.process.pid, flush=True)
time.sleep(600)
"""


LEFT_OUT_TESTS = """
from tests.servers.found import look_for, require


def test_sending():
    require(look_for("Teleprinter", ["baudotd"]))


def test_receiving():
    require(look_for("Teleprinter", ["baudotd"]))
"""


def a_mail(to: str, *, text: str = "Ihr Termin ist morgen um 9 Uhr.") -> EmailMessage:
    mail = EmailMessage()
    mail["From"] = "praxis@clinic.example"
    mail["To"] = to
    mail["Subject"] = "Übermorgen"
    mail.set_content(text)
    return mail


def refusal(relay: Postfix, address: str) -> tuple[int, bytes]:
    with smtplib.SMTP("127.0.0.1", relay.port, timeout=30) as client:
        client.ehlo()
        client.mail("praxis@clinic.example")
        return client.rcpt(address)


def test_the_imap_server_shows_its_mail_with_tls_alone(imap: Dovecot) -> None:
    imap.deliver(b"Subject: hello\n\nworld\n")
    context = ssl.create_default_context(cafile=str(imap.certificate))
    with imaplib.IMAP4_SSL("127.0.0.1", imap.port, ssl_context=context, timeout=30) as server:
        server.login(USER, PASSWORD)
        assert server.select("INBOX") == ("OK", [b"1"])


def test_a_database_answers_and_is_empty(database_url: str) -> None:
    engine = create_engine(database_url, poolclass=NullPool)
    with engine.connect() as connection:
        version = connection.scalar(text(VERSION.get(engine.dialect.name, "SELECT version()")))
        assert version
    assert inspect(engine).get_table_names() == []


@pytest.mark.parametrize("attempt", [1, 2])
def test_a_database_keeps_nothing_of_the_test_before(database_url: str, attempt: int) -> None:
    engine = create_engine(database_url, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE left_behind (attempt INTEGER)"))
        connection.execute(text("INSERT INTO left_behind VALUES (:attempt)"), {"attempt": attempt})
        assert connection.scalar(text("SELECT count(*) FROM left_behind")) == 1


def test_a_database_finds_cyrillic_and_umlauts_whatever_their_case(database_url: str) -> None:
    # SQLite's own lower() knows ASCII only.
    name = "юäß" if database_url.startswith("sqlite") else "ЮÄß"
    engine = create_engine(database_url, poolclass=NullPool)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT lower(:name)"), {"name": name}) == "юäß"


def test_redis_answers_and_forgets(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert client.ping()
        assert client.dbsize() == 0
        client.set("left", "behind")


def test_redis_is_empty_for_the_next_test(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0
        client.set("left", "behind")


def test_a_mail_through_postfix_lands_in_its_mailbox(postfix: Postfix) -> None:
    with smtplib.SMTP("127.0.0.1", postfix.port, timeout=30) as client:
        client.send_message(a_mail("anna@patients.example"))
    (mail,) = postfix.wait_for_mail("anna@patients.example")
    assert mail["Subject"] == "Übermorgen"
    assert mail.get_content().strip() == "Ihr Termin ist morgen um 9 Uhr."


@pytest.mark.parametrize(
    ("address", "code", "status"),
    [
        ("unknown.person@patients.example", 550, b"5.1.1"),
        ("full@patients.example", 552, b"5.2.2"),
        ("disabled@patients.example", 550, b"5.2.1"),
        ("busy@patients.example", 450, b"4.2.0"),
        ("anna@elsewhere.test", 554, b"5.7.1"),
    ],
)
def test_postfix_refuses_as_relays_do(
    postfix: Postfix, address: str, code: int, status: bytes
) -> None:
    answered, words = refusal(postfix, address)
    assert answered == code
    assert words.startswith(status)


def test_postfix_refuses_a_mail_that_is_too_big(postfix: Postfix) -> None:
    too_big = a_mail("anna@patients.example", text="x" * 70 + "\n" + "y" * SIZE_LIMIT)
    with (
        smtplib.SMTP("127.0.0.1", postfix.port, timeout=30) as client,
        pytest.raises(smtplib.SMTPSenderRefused) as caught,
    ):
        client.send_message(too_big)
    assert caught.value.smtp_code == 552


def test_the_sink_keeps_what_it_took(smtp_sink: SmtpSink) -> None:
    with smtplib.SMTP("127.0.0.1", smtp_sink.port, timeout=30) as client:
        client.send_message(a_mail("anna@patients.example"))
    (mail,) = smtp_sink.messages()
    assert mail["Subject"] == "Übermorgen"


def test_chromium_opens_a_local_page(page: Page, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text(
        "<title>Versand</title><p>…</p>"
        "<script>document.querySelector('p').textContent = navigator.language</script>",
        encoding="utf-8",
    )
    page.goto(file.as_uri())
    assert page.title() == "Versand"
    assert page.text_content("p") == "de-DE"


def test_a_missing_part_is_named_by_what_lacks() -> None:
    answer = equipment.look_for("Teleprinter", ["baudotd"])
    assert str(answer) == "Teleprinter (baudotd not found)"


def test_a_missing_part_fails_where_everything_must_be_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(equipment.WANT_EVERYTHING, "1")
    with pytest.raises(pytest.fail.Exception, match="Teleprinter"):
        equipment.require(equipment.look_for("Teleprinter", ["baudotd"]))


@pytest.mark.parametrize("jobs", ["0", "2"])
def test_what_is_left_out_is_named_however_many_tests_run_at_once(
    tmp_path: Path, jobs: str
) -> None:
    (tmp_path / "conftest.py").write_text("from tests.conftest import pytest_terminal_summary\n")
    (tmp_path / "test_lines.py").write_text(LEFT_OUT_TESTS)
    root = Path(__file__).parents[2]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-n", jobs, "-p", "no:cacheprovider", "-q", str(tmp_path)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root), equipment.WANT_EVERYTHING: ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "Left out on this machine: Teleprinter (baudotd not found): 2 tests\n" in run.stdout


@pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux's kernel ends the children of the killed"
)
def test_a_server_does_not_outlive_a_killed_run(tmp_path: Path) -> None:
    command = [sys.executable, "-c", A_RUN_WITH_A_SERVER, str(tmp_path)]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE) as run:
        assert run.stdout is not None
        server = int(run.stdout.readline())
        assert runs(server)
        os.kill(run.pid, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while runs(server) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not runs(server)


def runs(pid: int) -> bool:
    """Tell whether it is a living process; one that has ended has no command line any more."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() != b""
    except FileNotFoundError:
        return False
