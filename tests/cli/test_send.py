"""``dispatch send``: files of every kind, sentences for what is wrong, and mailings that really arrive."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flask import Flask

from clinic_dispatch_plugin import ClinicDispatch
from clinic_dispatch_plugin.host.types import Audience, FilterField, Recipient
from clinic_dispatch_plugin.simulators.smtp import RelaySettings, SmtpSimulator, read_ledger
from tests.cli.conftest import Typed, typing_in
from tests.cli.programs import (
    CLINIC_DISPATCH,
    Shell,
    alive,
    counts_of,
    descendants,
    wait_until,
)
from tests.clinic.full import EMAIL
from tests.clinic.host import Clinic, TinyHost, make_clinic

NOBODY = "No worker is running"


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """Give a file with a text that has one placeholder."""
    path = tmp_path / "text.txt"
    path.write_text("Guten Tag {{ name }}.\n", encoding="utf-8")
    return path


def _list(folder: Path, content: str, encoding: str = "utf-8") -> Path:
    path = folder / "list.csv"
    path.write_bytes(content.encode(encoding))
    return path


def _send(typed: Typed, to: Path, text: Path, *more: object) -> Result:
    return typed("send", "--to", to, "--text", text, "--subject", "Termin", *more)


def _messages(typed: Typed, *arguments: object) -> list[dict[str, Any]]:
    return [
        json.loads(line) for line in typed("messages", "--json", *arguments).stdout.splitlines()
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_german_list_is_read_as_it_was_meant(
    typed: Typed, tmp_path: Path, text: Path, encoding: str, separator: str
) -> None:
    rows = [["email", "name"], ["jo@example.org", "Jörg Müßig"], ["ada@example.org", "Ada Groß"]]
    content = "\r\n".join(separator.join(row) for row in rows)
    sent = _send(typed, _list(tmp_path, content, encoding), text, "--json")
    assert sent.exit_code == 0
    assert json.loads(sent.stdout)["counts"] == {"queued": 2}
    assert [each["recipient"] for each in _messages(typed)] == ["Jörg Müßig", "Ada Groß"]


@pytest.mark.parametrize("encoding", ["cp1251", "utf-16", "utf-8"])
def test_a_russian_list_is_read_as_it_was_meant(
    typed: Typed, tmp_path: Path, text: Path, encoding: str
) -> None:
    content = "email;name\nivan@example.org;Иван Петров\nolga@example.org;Ольга Ёлкина\n"
    assert _send(typed, _list(tmp_path, content, encoding), text).exit_code == 0
    assert [each["recipient"] for each in _messages(typed)] == ["Иван Петров", "Ольга Ёлкина"]


def test_bad_rows_are_named_and_good_rows_are_sent(
    typed: Typed, tmp_path: Path, text: Path
) -> None:
    content = 'email;name\nanna@example.org;Anna\nkein-@;Bert\n;Clara\nemil@example.org;"Emil\n'
    sent = _send(typed, _list(tmp_path, content), text, "--json")
    assert sent.exit_code == 0
    said = json.loads(sent.stdout)
    assert said["bad_rows"] == 2
    assert said["counts"]["queued"] == 1
    assert re.search(r"Line 4: the column email is empty\. Enter", sent.stderr)
    assert "Line 5" in sent.stderr
    by_address = {each["address"]: each for each in _messages(typed)}
    assert by_address["anna@example.org"]["status"] == "queued"
    assert by_address["kein-@"]["entry"]["code"] == "malformed_address"
    assert by_address[""]["entry"]["code"] == "no_address", "it can be put right later"


def test_every_bad_row_is_named_with_its_cell_and_what_to_do(
    typed: Typed, tmp_path: Path, text: Path
) -> None:
    bad = [f"{number}@example.org;{number}\x1b[31m{'x' * 300}" for number in range(300)]
    rows = ["email;name", "anna@example.org;Anna", *bad, "not an address;Bert"]
    sent = _send(typed, _list(tmp_path, "\n".join(rows)), text, "--json")
    assert sent.exit_code == 0
    said = [line for line in sent.stderr.splitlines() if line.startswith("Line ")]
    assert [int(line.split()[1].rstrip(":")) for line in said] == list(range(3, 304))
    assert "There stands: “0�[31mxxx" in said[0] and "Type the cell anew" in said[0]
    assert max(map(len, said)) < 250 and "\x1b" not in sent.stderr
    assert "no valid address. There stands: “not an address”. Correct the address" in said[-1]
    assert [each["line"] for each in _messages(typed)] == [2, 303]


def test_the_result_has_the_promised_keys_and_nothing_else_stands_beside_it(
    typed: Typed, tmp_path: Path, text: Path
) -> None:
    sent = _send(typed, _list(tmp_path, "email,name\nanna@example.org,Anna\n"), text, "--json")
    said = json.loads(sent.stdout)
    assert {"mailing", "recipients", "skipped", "first_pass", "finished", "counts"} <= set(said)
    assert (said["recipients"], said["skipped"]) == (1, 0)
    assert (said["first_pass"], said["finished"]) == (False, False)


def test_without_a_worker_it_is_kept_and_said(typed: Typed, tmp_path: Path, text: Path) -> None:
    file = _list(tmp_path, "email,name\nanna@example.org,Anna\n")
    sent = _send(typed, file, text, "--wait", "0.3")
    assert sent.exit_code == 0
    assert NOBODY in sent.stderr and "dispatch worker" in sent.stderr
    assert "Traceback" not in sent.stderr
    assert [each["status"] for each in _messages(typed)] == ["queued"]


def test_the_same_key_sends_once(typed: Typed, tmp_path: Path, text: Path) -> None:
    file = _list(tmp_path, "email,name\nanna@example.org,Anna\n")
    first = _send(typed, file, text, "--idempotency-key", "2026-11", "--json")
    again = _send(typed, file, text, "--idempotency-key", "2026-11")
    assert json.loads(first.stdout)["mailing"] == 1
    assert "nothing was sent now" in again.stdout
    assert len(_messages(typed)) == 1


def test_a_service_message_to_a_patient_s_ref_asks_no_consent_of_a_stranger(
    typed: Typed, tmp_path: Path, text: Path
) -> None:
    # Rows without a ref are not looked up in the host; nobody is asked about them.
    _send(typed, _list(tmp_path, "email,name\nanna@example.org,Anna\n"), text)
    file = _list(tmp_path, "email,name\nanna@example.org,Anna\n")
    _send(typed, file, text, "--purpose", "promotion")
    service, promotion = _messages(typed)
    assert service["status"] == "queued"
    assert promotion["status"] == "skipped"
    assert promotion["entry"]["code"] == "not_agreed"


def test_a_mailing_whose_moment_has_passed_sends_nothing(
    typed: Typed, tmp_path: Path, text: Path
) -> None:
    file = _list(tmp_path, "email,name\nanna@example.org,Anna\n")
    _send(typed, file, text, "--not-after", "2020-01-01T07:00+01:00")
    (message,) = _messages(typed)
    assert (message["status"], message["entry"]["code"]) == ("skipped", "expired")


WRONG = [
    (["--to", "missing.csv"], "--to missing.csv: there is no such file"),
    (["--to", "."], "this is a folder; name a CSV file"),
    ([], "either --to FILE.csv or --audience NAME"),
    (["--to", "list.csv", "--audience", "all"], "either --to FILE.csv or --audience NAME"),
    (["--to", "list.csv", "--filter", "day=1"], "--filter belongs to --audience"),
    (["--to", "list.csv", "--text", "none.txt"], "--text none.txt: no such file"),
    (["--to", "list.csv", "--text", "."], "--text .: is a directory"),
    (["--to", "list.csv", "--html", "none.html"], "--html none.html: no such file"),
    (["--to", "list.csv", "--text", "latin.txt"], "not UTF-8; save the file as UTF-8"),
    (["--to", "list.csv", "--subject", ""], "subject: Write a subject"),
    (["--to", "list.csv", "--subject", "a\nBcc: b@example.org"], "subject: Line 1"),
    (["--to", "list.csv", "--subject", "x" * 5_000], "longer than"),
    (
        ["--to", "list.csv", "--channel", "pigeon"],
        "'pigeon': there is no such channel; there are: email",
    ),
    (["--to", "list.csv", "--purpose", "fun"], "'fun' is not one of"),
    (["--to", "list.csv", "--not-after", "soon"], "'soon': write ISO 8601 with a zone"),
    (["--to", "list.csv", "--not-after", "2026-11-24T07:00"], "has no time zone"),
    (["--to", "list.csv", "--wait", "-1"], "--wait"),
    (["--audience", "nobody"], "There is no audience nobody; there are: tomorrow"),
    (["--audience", "tomorrow", "--filter", "day"], "--filter 'day': write NAME=VALUE"),
    (["--audience", "tomorrow", "--filter", "room=1"], "has no such filter; there are: day"),
    (["--audience", "tomorrow", "--filter", "day="], "needs --filter day=VALUE (Tag)"),
    (["--audience", "tomorrow", "--filter", "day=noon"], "noon is no day"),
    (["--to", "empty.csv"], "The file is empty"),
    (["--to", "binary.csv"], "not a text file"),
    (["--to", "nameless.csv"], "None of the columns is known to hold the addresses"),
]


class PickyHost(TinyHost):
    """Takes no other day than a date."""

    def recipients(self, audience: str, filters: Any) -> Any:
        if "-" not in filters["day"]:
            raise ValueError(f"{filters['day']} is no day.")
        return super().recipients(audience, filters)


@pytest.mark.parametrize(("arguments", "said"), WRONG)
def test_what_is_wrong_is_said_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("list.csv").write_text("email\nanna@example.org\n")
    Path("empty.csv").write_text("")
    Path("binary.csv").write_bytes(bytes(range(256)) * 20)
    Path("nameless.csv").write_text("colour\nred\n")
    Path("text.txt").write_text("Guten Tag")
    Path("latin.txt").write_bytes("Grüße".encode("latin-1"))
    host = PickyHost()
    day = FilterField(key="day", label="Tag", kind="date", required=True)
    host.audience_list = [Audience(key="tomorrow", label="Morgen", filters=[day])]
    typed = typing_in(make_clinic(tmp_path, config=EMAIL, host=host))
    result = typed("send", "--subject", "Termin", "--text", "text.txt", *arguments)
    assert result.exit_code in (1, 2)
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    assert _messages(typed) == []
    assert json.loads(typed("status", "--json").stdout)["running"] == 0


@pytest.mark.parametrize("name", ["x" * 300, "folder.csv", "link.csv"])
def test_a_list_that_cannot_be_read_is_a_sentence(
    typed: Typed, tmp_path: Path, text: Path, name: str
) -> None:
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "link.csv").symlink_to("link.csv")
    sent = _send(typed, tmp_path / name, text)
    assert sent.exit_code == 1
    assert sent.stderr.startswith("Error: ") and len(sent.stderr) < 500
    assert name[:50] in sent.stderr and sent.stderr.count("\n") == 1


def test_a_folder_for_lists_that_cannot_be_used_is_a_sentence(
    clinic: Clinic, typed: Typed, tmp_path: Path, text: Path
) -> None:
    place = clinic.dispatch.settings.data_dir / "uploads"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("in the way")
    sent = _send(typed, _list(tmp_path, "email,name\nanna@example.org,Anna\n"), text)
    assert sent.exit_code == 1
    assert f"{place}: file exists. Check the name" in sent.stderr
    assert _messages(typed) == []


@pytest.mark.parametrize("command", [["status"], ["db", "upgrade"]])
def test_a_database_in_a_folder_that_cannot_be_made_is_a_sentence(
    tmp_path: Path, command: list[str]
) -> None:
    (tmp_path / "taken").write_text("")
    config = {"CLINIC_DISPATCH_DATABASE_URL": f"sqlite:///{tmp_path}/taken/deeper/clinic.db"}
    app = Flask("clinic", instance_path=str(tmp_path))
    app.config.update(config)
    ClinicDispatch().init_app(app, host=TinyHost())
    found = app.test_cli_runner().invoke(args=["dispatch", *command])
    assert found.exit_code == 1
    assert f"{tmp_path}/taken/deeper: not a directory. Check the name" in found.stderr


def test_an_audience_gets_what_the_page_would_fill_in(
    clinic: Clinic, typed: Typed, text: Path
) -> None:
    host = clinic.host
    day = FilterField(key="day", label="Tag", kind="date", default="2026-11-25", required=True)
    host.audience_list = [
        Audience(key="tomorrow", label="Morgen", filters=[day], placeholders=["name"])
    ]
    host.patients = {
        "p1": Recipient(ref="p1", name="Anna", addresses={"email": "anna@example.org"})
    }
    sent = typed("send", "--audience", "tomorrow", "--subject", "Termin", "--text", text, "--json")
    assert sent.exit_code == 0, sent.stderr
    assert [each["recipient"] for each in _messages(typed)] == ["p1"]


def test_of_a_large_audience_nothing_is_said_that_is_not_known(
    clinic: Clinic, typed: Typed, text: Path
) -> None:
    clinic.host.audience_list = [Audience(key="all", label="Alle", placeholders=["name"])]
    clinic.host.patients = {
        f"p{n}": Recipient(ref=f"p{n}", name="A", addresses={"email": f"p{n}@example.org"})
        for n in range(5_001)
    }
    send = ("send", "--audience", "all", "--subject", "Termin", "--text", text)
    said = typed(*send, "--json")
    found = json.loads(said.stdout)
    assert (found["recipients"], found["skipped"], found["counts"]) == (None, None, None)
    assert "A worker writes the messages" in said.stderr and "messages --mailing 1" in said.stderr
    assert "mailing 2: recipients not counted yet\n" in typed(*send).stdout


@pytest.mark.parametrize(
    ("config", "lacking"),
    [
        ({}, "CLINIC_DISPATCH_BASE_URL and CLINIC_DISPATCH_SECRET_KEYS"),
        ({"CLINIC_DISPATCH_SECRET_KEYS": "k" * 40}, "CLINIC_DISPATCH_BASE_URL"),
    ],
)
def test_a_promotion_without_a_link_to_unsubscribe_is_said(
    tmp_path: Path, text: Path, config: dict[str, str], lacking: str
) -> None:
    nothing = {"CLINIC_DISPATCH_BASE_URL": "", "CLINIC_DISPATCH_SECRET_KEYS": ""}
    typed = typing_in(make_clinic(tmp_path, config={**EMAIL, **nothing, **config}))
    file = _list(tmp_path, "email,name\nanna@example.org,Anna\n")
    sent = _send(typed, file, text, "--purpose", "promotion")
    assert f"Without {lacking} the mails carry no link to unsubscribe" in sent.stderr
    assert "unsubscribe" not in _send(typed, file, text).stderr


def test_many_mails_from_a_free_mailbox_are_warned_of(tmp_path: Path, text: Path) -> None:
    free = {**EMAIL, "CLINIC_DISPATCH_EMAIL_FROM": "praxis@gmail.com"}
    typed = typing_in(make_clinic(tmp_path, config=free))
    rows = "".join(f"anna{number}@example.org,Anna {number}\n" for number in range(60))
    many = _send(typed, _list(tmp_path, f"email,name\n{rows}"), text)
    assert "Expected trouble: Many mails from a free mailbox" in many.stderr
    few = _send(typed, _list(tmp_path, "email,name\nanna@example.org,Anna\n"), text)
    assert "Expected trouble" not in few.stderr


def test_a_channel_without_an_account_fails_this_command_alone(tmp_path: Path, text: Path) -> None:
    typed = typing_in(make_clinic(tmp_path))
    sent = _send(typed, _list(tmp_path, "email,name\nanna@example.org,Anna\n"), text)
    assert sent.exit_code == 1
    assert "CLINIC_DISPATCH_EMAIL_URL" in sent.stderr
    assert typed("status").exit_code == 0


# -- with a worker, for real ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmtpSimulator]:
    """Give a mail relay that writes down what it took."""
    folder = tmp_path_factory.mktemp("relay")
    with SmtpSimulator(RelaySettings(ledger=folder / "ledger.jsonl")) as running:
        yield running


@pytest.fixture(scope="module")
def shell(relay: SmtpSimulator, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """Give a shell in which the demo clinic sends through the relay."""
    place = tmp_path_factory.mktemp("shell")
    (place / "text.txt").write_text("Guten Tag {{ name }}")
    rows = [
        "anna@example.org,Anna",
        "bert+unknown@example.org,Bert",
        "c+greylist@example.org,Clara",
    ]
    (place / "list.csv").write_text("\n".join(["email,name", *rows]) + "\n")
    return Shell(
        place,
        {
            "CLINIC_DISPATCH_DATA_DIR": str(place / "state"),
            "CLINIC_DISPATCH_EMAIL_URL": relay.url,
            "CLINIC_DISPATCH_EMAIL_FROM": "Klinik <praxis@clinic.example>",
            "CLINIC_DISPATCH_RETRY_SCALE": "0.005",
        },
    )


SEND = ("send", "--to", "list.csv", "--text", "text.txt", "--subject", "Termin", "--json")


def test_a_burst_sends_what_is_due_and_ends(shell: Shell, relay: SmtpSimulator) -> None:
    sent = shell.ours(*SEND)
    assert sent.status == 0 and NOBODY in sent.err
    assert sent.last["counts"] == {"queued": 3}
    burst = shell.ours("worker", "--burst")
    assert (burst.status, burst.out) == (0, ""), burst.err
    found = shell.ours("messages", "--mailing", sent.last["mailing"], "--json")
    by_name = {each["recipient"]: each for each in found.lines}
    assert by_name["Anna"]["status"] == "sent" and by_name["Anna"]["sent_at"]
    assert by_name["Bert"]["category"] == "unknown_recipient"
    assert by_name["Bert"]["answer"].startswith("550 5.1.1")
    ledger = relay.settings.ledger
    assert ledger is not None
    assert [line.recipient for line in read_ledger(ledger)].count("anna@example.org") == 1


def test_a_worker_sends_while_somebody_waits_and_ends_in_order(shell: Shell) -> None:
    with shell.running(*CLINIC_DISPATCH, "worker", name="worker") as program:
        wait_until(
            lambda: len(shell.ours("status", "--json").last["workers"]) == 1, "no worker is seen"
        )
        sent = shell.ours(*SEND, "--wait", "60")
        assert sent.status == 0 and sent.err == ""
        assert sent.last["first_pass"] is True
        assert counts_of(sent.last)["sent"] >= 1
        assert shell.ours("status", "--json").last["queue"] == {"reachable": True, "embedded": True}
        checked = shell.ours("check", "--connect", "--json")
        assert checked.status == 0, checked.out
        assert "gateway email/default" in {each["subject"] for each in checked.last["findings"]}
        started = descendants(program.process.pid)
        assert program.end(signal.SIGTERM) == 0
    assert alive(started) == set()
    assert shell.ours("status", "--json").last["workers"] == []
