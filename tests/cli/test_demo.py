"""The demo as a newcomer meets it: one command, a first mailing, and nothing left behind."""

from __future__ import annotations

import json
import re
import shutil
import signal
import stat
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from tests.cli.conftest import Demo
from tests.cli.programs import (
    CLINIC_DISPATCH,
    Program,
    Shell,
    alive,
    counts_of,
    descendants,
    wait_until,
)

MESSAGE_KEYS = [
    *("id", "mailing", "recipient", "channel", "address", "status", "note", "group", "category"),
    *("entry", "answer", "provider_id", "attempts", "created_at", "sent_at", "final_at"),
    "line",
]


def test_the_first_mailing_ends_as_its_scenario_foresees(demo: Demo) -> None:
    assert demo.ended.status == 0, demo.ended.err
    said = demo.ended.last
    assert list(said) == ["url", "mailing", "counts", "causes", "ways"]
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", said["url"])
    assert sum(said["counts"].values()) >= 150
    assert set(counts_of(said)) == {"sent", "undelivered", "uncertain", "skipped"}
    assert all(set(cause) == {"key", "note", "count"} for cause in said["causes"])
    failed = sum(count for state, count in said["counts"].items() if state != "sent")
    assert sum(cause["count"] for cause in said["causes"]) == failed
    assert "Traceback" not in demo.ended.err


def test_the_second_mailing_takes_every_way_there_is(demo: Demo) -> None:
    ways = {each["channel"]: each for each in demo.ended.last["ways"]["channels"]}
    assert list(ways) == ["viber", "sms", "voice", "email"]
    for channel, kinds in (
        ("viber", ("read", "delivered")),
        ("sms", ("delivered", "no_report", "failed")),
        ("voice", ("delivered",)),
        ("email", ("no_report",)),
    ):
        assert all(ways[channel][kind] for kind in kinds), ways[channel]
    assert not ways["viber"]["fell_back"]
    assert all(ways[channel]["fell_back"] for channel in ("sms", "voice", "email"))
    assert not [each for each in ways.values() if each["waiting"]]
    found = demo.shell.ours(
        "messages", "--mailing", str(demo.ended.last["ways"]["mailing"]), "--json"
    )
    assert len(found.lines) == sum(each["messages"] for each in ways.values()) == 60
    assert (
        "Telefon ist aus"
        in demo.shell.ours("reference", "explain", "smsc_delivery", "6", "--lang", "de").out
    )


def test_standard_output_holds_the_json_alone(demo: Demo) -> None:
    assert len(demo.ended.out.splitlines()) == 1
    assert "Preparing" in demo.ended.err


def test_bare_commands_work_on_the_demo_clinic(demo: Demo) -> None:
    found = demo.shell.ours("messages", "--mailing", "1", "--json")
    assert found.status == 0, found.err
    assert len(found.lines) == sum(demo.ended.last["counts"].values())
    assert all(list(line) == MESSAGE_KEYS for line in found.lines)
    assert [line["id"] for line in found.lines] == sorted(line["id"] for line in found.lines)


def test_flask_knows_the_same_commands_by_the_factory(demo: Demo) -> None:
    arguments = ("--app", "clinic_dispatch_plugin.demo", "dispatch", "messages")
    found = demo.shell.run(
        sys.executable, "-m", "flask", *arguments, "--status", "uncertain", "--lang", "ru", "--json"
    )
    assert found.status == 0, found.err
    (message,) = found.lines
    assert message["entry"] == {"system": "dispatch", "code": "connection_lost", "matched": "exact"}
    assert re.search("[а-я]", message["note"])


def test_a_bare_command_names_itself_in_what_it_advises(demo: Demo) -> None:
    found = demo.shell.ours("check")
    assert found.status == 1
    assert "start one: clinic-dispatch worker" in found.out
    by_flask = demo.shell.run(
        sys.executable, "-m", "flask", "--app", "clinic_dispatch_plugin.demo", "dispatch", "check"
    )
    assert "start one: flask --app clinic_dispatch_plugin.demo dispatch worker" in by_flask.out


def test_help_needs_no_clinic(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    assert "Usage" in shell.ours("send", "--help").out
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def second(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """Give a copy of the finished demo that tests may start again."""
    return _copied(demo, tmp_path_factory.mktemp("second"))


def _copied(demo: Demo, place: Path) -> Demo:
    folder = place / "state"
    shutil.copytree(demo.folder, folder)
    shell = Shell(place, {"CLINIC_DISPATCH_DATA_DIR": str(folder)})
    return Demo(ended=demo.ended, shell=shell, folder=folder)


def test_ctrl_c_ends_everything_it_started(second: Demo) -> None:
    arguments = ("demo", "--json", "--port", "0", "--data-dir", second.folder)
    with second.shell.running(*CLINIC_DISPATCH, *arguments) as program:
        program.wait_for_output("\n")
        said = json.loads(program.out.read_text())
        assert said["mailing"] == second.ended.last["mailing"], "a second start goes on"
        assert said["counts"] == second.ended.last["counts"], "and sends nothing twice"
        with pytest.raises(urllib.error.HTTPError, match="401") as asked:
            urllib.request.urlopen(said["url"])
        with asked.value as page:
            assert "Klinik" in page.read().decode(), "the sign-in form"
        _check_that_nobody_else_gets_in(second, said["url"])
        started = _everything(program)
        assert program.end(signal.SIGINT) == 0
        assert alive(started) == set()


def _everything(program: Program) -> set[int]:
    """The worker, its two children, the queue's server and who watches it."""
    program.wait_for(lambda: len(descendants(program.process.pid)) >= 5)
    return descendants(program.process.pid)


def _check_that_nobody_else_gets_in(second: Demo, url: str) -> None:
    busy = second.shell.ours("demo", "--port", "0", "--data-dir", second.folder)
    assert busy.status == 1
    assert "running on" in busy.err and "--data-dir" in busy.err
    port = url.rpartition(":")[2]
    taken = second.shell.ours("demo", "--port", port, "--data-dir", second.shell.folder / "other")
    assert taken.status == 1
    assert f"Port {port} cannot be used" in taken.err and "--port 0" in taken.err


def test_a_later_start_says_where_it_is_whatever_became_of_the_first_mailing(
    demo: Demo, tmp_path: Path
) -> None:
    later = _copied(demo, tmp_path)
    (later.folder / "relay-mode").write_text("relaying_denied")
    account = {
        "CLINIC_DISPATCH_EMAIL_URL": "smtp://127.0.0.1:1",
        "CLINIC_DISPATCH_EMAIL_FROM": "Klinik <praxis@clinic.example>",
    }
    assert "16 messages" in later.shell.ours("resend", "1", **account).out
    with later.shell.running(*CLINIC_DISPATCH, "demo", "--port", "0") as program:
        program.wait_for_output("Ctrl-C ends everything")
        said = program.out.read_text()
        url = re.search(r"Open (http://127\.0\.0\.1:\d+) and sign in, password demo", said)
        assert url is not None
        names = re.findall(r"^  (\w+)  ", said, re.MULTILINE)
        assert {"empfang", "marketing", "verwaltung", "gast"} <= set(names)
        for name in ("empfang", "marketing", "verwaltung", "gast"):
            assert "<h1>" in _signed_in(url[1], name), name
        assert program.end(signal.SIGINT) == 0
    assert "not as foreseen" not in program.err.read_text()


def _signed_in(url: str, name: str) -> str:
    """The page somebody sees after signing in; fails where the form comes again."""
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    with browser.open(f"{url}/sign-in") as page:
        token = re.search(r'name="form_token" value="([^"]+)"', page.read().decode())
    assert token is not None
    form = {"form_token": token[1], "username": name, "password": "demo", "next": ""}
    with browser.open(f"{url}/sign-in", urllib.parse.urlencode(form).encode()) as page:
        return str(page.read().decode())


def test_a_command_beside_the_running_demo_sends_through_its_relay(
    demo: Demo, tmp_path: Path
) -> None:
    later = _copied(demo, tmp_path)
    (tmp_path / "list.csv").write_text("email,name\nanna@example.org,Anna\n")
    (tmp_path / "text.txt").write_text("Guten Tag {{ name }}")
    send = ("send", "--to", "list.csv", "--text", "text.txt", "--subject", "Termin", "--json")
    with later.shell.running(*CLINIC_DISPATCH, "demo", "--json", "--port", "0") as program:
        program.wait_for_output("\n")
        sent = later.shell.ours(*send, "--wait", "60")
        assert sent.status == 0 and sent.err == "", sent.err
        assert counts_of(sent.last) == {"sent": 1}
        assert stat.S_IMODE((later.folder / "running.json").stat().st_mode) == 0o600
        program.end(signal.SIGINT)
    assert not (later.folder / "running.json").exists()
    assert "no account" in later.shell.ours(*send).err


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody is told that a parent died")
def test_a_demo_that_is_killed_takes_its_worker_along(second: Demo) -> None:
    arguments = ("demo", "--json", "--port", "0", "--data-dir", second.folder)
    with second.shell.running(*CLINIC_DISPATCH, *arguments) as program:
        program.wait_for_output("\n")
        started = _everything(program)
        program.end(signal.SIGKILL)
        wait_until(lambda: not alive(started), "the worker outlived the demo")


def test_fresh_begins_anew_and_touches_no_stranger_s_folder(second: Demo, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("four years")
    shell = Shell(tmp_path)
    refused = shell.ours("demo", "--fresh", "--port", "0", "--data-dir", tmp_path)
    assert refused.status == 1
    assert "was not made by the demo" in refused.err
    assert (tmp_path / "thesis.txt").read_text() == "four years"

    (second.folder / "relay-ledger.jsonl").write_text("{}\n" * 3)
    arguments = ("demo", "--fresh", "--exit-when-done", "--port", "0", "--lang", "en")
    anew = shell.ours(*arguments, "--data-dir", second.folder)
    assert anew.status == 0, anew.err
    assert "By status" in anew.out and "No such mailbox" in anew.out
    assert "{}" not in (second.folder / "relay-ledger.jsonl").read_text()


@pytest.mark.parametrize("folder", ["/dev/null", "/proc/nowhere"])
@pytest.mark.parametrize("command", [["demo", "--port", "0"], ["status"]])
def test_a_folder_that_cannot_be_used_is_named(
    tmp_path: Path, folder: str, command: list[str]
) -> None:
    found = Shell(tmp_path).ours(*command, CLINIC_DISPATCH_DATA_DIR=folder)
    assert found.status == 1
    assert f"CLINIC_DISPATCH_DATA_DIR is '{folder}'" in found.err
    assert "Traceback" not in found.err
