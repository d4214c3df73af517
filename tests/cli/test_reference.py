"""``dispatch reference``: look up, describe, change, exchange."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Typed, typing_in
from tests.clinic.host import make_clinic
from tests.clinic.mailbag import MAILBOX_FULL, STRANGE, UNKNOWN_USER, Mailbag

EXPLAINED = {
    "entry",
    "matched",
    "category",
    "permanence",
    "note",
    "what_happened",
    "what_helps",
    "who",
    "policy",
}


def _json(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_an_answer_is_explained_without_being_gathered(typed: Typed) -> None:
    arguments = ("reference", "explain", "smtp", "550", "550 5.1.1 <a@b.example>: User unknown")
    (said,) = _json(typed(*arguments, "--json", "--lang", "en").stdout)
    assert set(said) >= EXPLAINED
    assert said["category"] == "unknown_recipient"
    assert said["entry"]["system"] == "smtp"
    assert said["policy"]["action"] == "fail"
    assert [near["code"] for near in said["near"]][-3:] == ["5.1.x", "550", "5xx"]
    assert "note" in typed(*arguments).stdout
    unheard = ("reference", "explain", "smtp", "599", "599 Zorgon", "--json")
    assert _json(typed(*unheard).stdout)[0]["matched"] != "exact"
    assert typed("reference", "drafts", "--json").stdout == ""


def test_the_shipped_packs_are_brought_up_to_date(typed: Typed) -> None:
    assert typed("reference", "update").stdout == "everything is up to date\n"


def test_many_answers_come_on_standard_input_and_each_gets_its_line(typed: Typed) -> None:
    lines = [
        {"system": "smtp", "code": "5.1.1", "text": "550 5.1.1 no such user"},
        {"system": "smtp", "code": 452},
        {"system": "carrier", "code": "x", "text": None},
    ]
    text = "\n".join(json.dumps(line) for line in lines)
    found = typed("reference", "explain", "--stdin", "--json", stdin=text + "\n\n")
    assert found.exit_code == 0, found.stderr
    said = _json(found.stdout)
    assert len(said) == 3
    assert all(set(each) >= EXPLAINED for each in said)
    assert said[1]["permanence"] == "temporary"
    assert (said[2]["matched"], said[2]["entry"]) == ("none", None)


@pytest.mark.parametrize(
    "line",
    [
        b"rubbish",
        b"[1]",
        b"{}",
        b'"text"',
        b"null",
        b"\xff\xfe",
        b'{"system": "smtp"}',
        b"[" * 100_000,
    ],
)
def test_a_line_that_is_none_is_named(typed: Typed, line: bytes) -> None:
    good = b'{"system": "smtp", "code": "550"}\n'
    found = typed("reference", "explain", "--stdin", "--json", stdin=good + line + b"\n" + good)
    assert found.exit_code == 1
    assert "line 2 of standard input: write {" in found.stderr
    before, wrong, after = _json(found.stdout)
    assert wrong["line"] == 2 and wrong["error"].startswith('write {"system": "smtp"')
    assert before == after and before["permanence"] == "permanent"


@pytest.mark.parametrize("text", ["\0", "\ud800", "x" * 1_000_000, "\u202e", "'; DROP TABLE"])
def test_strange_words_of_a_provider_are_looked_up_like_any_others(typed: Typed, text: str) -> None:
    line = json.dumps({"system": "smtp", "code": "550", "text": text})
    found = typed("reference", "explain", "--stdin", "--json", stdin=line + "\n")
    assert found.exit_code == 0, found.stderr
    assert _json(found.stdout)[0]["permanence"] == "permanent"


def test_a_described_draft_explains_the_messages_that_were_there_before(
    typed: Typed, mailbag: Mailbag
) -> None:
    mailing = mailbag.mailing()
    for _ in range(2):
        mailbag.message(mailing, "undelivered", answer=STRANGE, attempt="refused")
    (draft,) = _json(typed("reference", "drafts", "--json").stdout)
    assert (draft["system"], draft["code"], draft["count"]) == ("smtp", "5.9.9", 2)
    assert "4711000" not in draft["sample"], "numbers may be a patient's"

    given = ("--system", "smtp", "--code", "5.9.9", "--short", "Zorgon streikt", "--lang", "de")
    added = typed(
        "reference", "add", *given, "--what-helps", "Warten.", "--category", "gateway_fault"
    )
    assert added.exit_code == 0, added.stderr
    assert typed("reference", "drafts", "--json").stdout == ""
    messages = _json(typed("messages", "--json", "--lang", "de").stdout)
    assert {each["note"] for each in messages} == {"Zorgon streikt"}
    assert {each["category"] for each in messages} == {"gateway_fault"}

    again = typed("reference", "add", *given)
    assert again.exit_code == 1
    assert "reference set smtp 5.9.9" in again.stderr


def test_what_is_changed_can_be_seen_and_taken_back(typed: Typed) -> None:
    shipped = _json(typed("reference", "show", "smtp", "5.1.1", "--json").stdout)[0]
    changed = typed(
        "reference", "set", "smtp", "5.1.1", "--short", "Gibt es nicht", "--lang", "de",
        "--policy", "tries=2", "--policy", "block=no", "--json",
    )  # fmt: skip
    assert changed.exit_code == 0, changed.stderr
    said = _json(changed.stdout)[0]
    assert (said["policy"]["tries"], said["policy"]["block"]) == (2, False)
    listed = _json(typed("reference", "list", "--changed", "--json", "--lang", "de").stdout)
    assert [each["note"] for each in listed] == ["Gibt es nicht"]
    assert typed("reference", "set", "smtp", "5.1.1", "--restore").exit_code == 0
    assert _json(typed("reference", "show", "smtp", "5.1.1", "--json").stdout)[0] == shipped
    shown = typed("reference", "show", "smtp", "5.1.1").stdout
    assert "action=fail" in shown and "<" not in shown


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["show", "smtp", "9.9.9"],
            "no entry smtp 9.9.9; add one with: flask dispatch reference add",
        ),
        (["explain", "smtp"], "Give SYSTEM and CODE"),
        (["add", "--system", "smtp", "--code", "1", "--short", "x", "--pattern", "("], "--pattern"),
        (["add", "--system", "smtp", "--code", "1", "--short", " "], "--short: Write the note"),
        (["add", "--system", "smtp", "--code", "1", "--short", "x" * 500], "--short: At most 60"),
        (["add", "--system", "x" * 50, "--code", "1", "--short", "x"], "--system: Name the system"),
        (["add", "--system", "smtp", "--code", "", "--short", "x"], "--code: Give the provider's"),
        (
            ["add", "--system", "s", "--code", "1", "--short", "x", "--category", "fun"],
            "--category",
        ),
        (["set", "smtp", "5.1.1"], "Say what to change"),
        (["set", "smtp", "5.1.1", "--policy", "tries"], "write NAME=VALUE with one of: action"),
        (["set", "smtp", "5.1.1", "--policy", "colour=red"], "NAME=VALUE with one of: action"),
        (["set", "smtp", "5.1.1", "--policy", "tries=many"], "--policy tries: Give a number"),
        (["set", "smtp", "5.1.1", "--policy", "action=dance"], "the action is one of: retry"),
        (["set", "smtp", "5.1.1", "--policy", "block=perhaps"], "write yes or no"),
        (["set", "smtp", "5.1.1", "--restore", "--short", "x"], "give it alone"),
        (["set", "smtp", "9.9.9", "--short", "x"], "no entry smtp 9.9.9"),
        (["export", "/nowhere/words.json"], "/nowhere/words.json: no such file"),
        (["import", "/nowhere/words.json"], "/nowhere/words.json: no such file"),
    ],
)
def test_what_is_wrong_is_said(typed: Typed, arguments: list[str], said: str) -> None:
    before = typed("reference", "list", "--changed", "--json").stdout
    found = typed("reference", *arguments)
    assert found.exit_code in (1, 2)
    assert said in found.stderr
    assert typed("reference", "list", "--changed", "--json").stdout == before


def test_the_reference_can_be_carried_to_another_installation(typed: Typed, tmp_path: Path) -> None:
    typed("reference", "set", "smtp", "5.1.1", "--short", "Gibt es nicht", "--lang", "de")
    typed("reference", "add", "--system", "smtp", "--code", "5.9.9", "--short", "Zorgon")
    file, sheet = tmp_path / "words.jsonl", tmp_path / "words.csv"
    assert typed("reference", "export", file).exit_code == 0
    assert typed("reference", "export", sheet, "--own", "--lang", "ru").exit_code == 0
    on_screen = typed("reference", "export").stdout
    assert on_screen == file.read_text(encoding="utf-8")
    own = typed("reference", "export", "--own").stdout
    assert [each.get("code") for each in _json(own)] == [None, "5.1.1", "5.9.9"]
    assert len(sheet.read_text(encoding="utf-8-sig").splitlines()) == 3

    (tmp_path / "other").mkdir()
    there = typing_in(make_clinic(tmp_path / "other"))
    looked = there("reference", "import", file, "--dry-run", "--json")
    said = _json(looked.stdout)[0]
    counts = {name: said[name] for name in ("added", "changed", "unchanged", "refused")}
    assert counts == {
        "added": 1,
        "changed": 1,
        "unchanged": len(on_screen.splitlines()) - 3,
        "refused": 0,
    }
    assert said["rows"][0]["changes"][0]["then"] == "Gibt es nicht"
    assert there("reference", "export", "--own").stdout != own, "it was only looked at"
    read = there("reference", "import", file)
    assert "changed: smtp 5.1.1 (short.de)" in read.stdout
    assert there("reference", "export").stdout == on_screen
    again = there("reference", "import", "-", stdin=on_screen)
    assert "0 added, 0 changed" in again.stdout
    assert "0 added, 0 changed, 2 unchanged" in there("reference", "import", sheet).stdout

    number = read.stderr.strip().rpartition(" ")[2]
    assert there("reference", "undo-import").stdout.startswith(f"{number}  ")
    assert there("reference", "undo-import", number).stdout == "2 entries taken back\n"
    assert there("reference", "list", "--changed", "--json").stdout == ""
    assert "2 taken back" in there("reference", "undo-import").stdout
    assert there("reference", "undo-import", "zz").exit_code == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{}", "no file of the reference"),
        (b"\xff\xfe\x00rubbish", "Nothing was imported."),
        (b"PK\x03\x04", "save it as \u201cCSV UTF-8\u201d"),
        (b"name;email\n", "no columns of the reference"),
    ],
)
def test_a_foreign_file_changes_nothing(
    typed: Typed, tmp_path: Path, content: bytes, said: str
) -> None:
    file = tmp_path / "words.json"
    file.write_bytes(content)
    read = typed("reference", "import", file)
    assert read.exit_code == 1
    assert said in read.stderr
    assert typed("reference", "list", "--changed", "--json").stdout == ""


def test_where_a_row_is_refused_nothing_is_imported_unless_asked(
    typed: Typed, tmp_path: Path
) -> None:
    good = {"origin": "clinic", "system": "smtp", "code": "5.9.1", "own": {"short.en": "fine"}}
    old = {"origin": "shipped", "system": "smtp", "code": "5.250.1", "own": {"policy.tries": 3}}
    head = {"format": "clinic-dispatch-reference", "version": 2}
    file = tmp_path / "words.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in (head, old, good)))
    read = typed("reference", "import", file)
    assert read.exit_code == 1
    assert "line 2: smtp 5.250.1: code: The program installed here does not ship" in read.stderr
    assert "--skip-refused imports the other rows" in read.stderr
    assert typed("reference", "list", "--changed", "--json").stdout == ""
    said = _json(typed("reference", "import", file, "--dry-run", "--json").stdout)[0]
    assert [(each["line"], each["cell"]) for each in said["refusals"]] == [(2, "code")]
    assert typed("reference", "import", file, "--skip-refused").exit_code == 0
    listed = _json(typed("reference", "list", "--changed", "--json").stdout)
    assert [each["code"] for each in listed] == ["5.9.1"]


def test_the_state_of_the_reference_in_words_and_as_json(typed: Typed, mailbag: Mailbag) -> None:
    nothing = _json(typed("reference", "health", "--json").stdout)[0]
    assert (nothing["failures"], nothing["share"], nothing["causes"]) == (0, None, [])
    mailing = mailbag.mailing()
    for answer in (STRANGE, UNKNOWN_USER, UNKNOWN_USER, UNKNOWN_USER):
        mailbag.message(mailing, "undelivered", answer=answer, attempt="refused")
    said = _json(typed("reference", "health", "--json").stdout)[0]
    assert (said["failures"], said["share"], said["goal"], said["drafts"]) == (4, 0.75, 0.95, 1)
    assert [(each["count"], each["explained"]) for each in said["causes"]] == [
        (3, True),
        (1, False),
    ]
    text = typed("reference", "health").stdout
    assert "75.0% of 4 failures of the last 30 days had an explanation and an action" in text
    assert "1 answers wait for a description" in text


def test_the_list_can_be_narrowed_to_one_system(typed: Typed, mailbag: Mailbag) -> None:
    mailbag.message(mailbag.mailing(), "undelivered", answer=UNKNOWN_USER, attempt="refused")
    codes = {
        each["code"]
        for each in _json(typed("reference", "list", "--system", "dispatch", "--json").stdout)
    }
    assert codes >= {
        "no_address", "malformed_address", "blocked", "not_agreed", "duplicate", "empty_placeholder",
        "expired", "cancelled", "connection_lost", "authentication", "no_route", "harmful",
    }  # fmt: skip


def test_a_command_counts_what_waits_and_applies_a_policy_to_it_when_told(
    typed: Typed, mailbag: Mailbag
) -> None:
    mailing = mailbag.mailing()
    for _ in range(2):
        mailbag.message(mailing, "queued", answer=MAILBOX_FULL, attempt="refused", due_in=3_600)
    system, code = MAILBOX_FULL.system, MAILBOX_FULL.code
    explained = typed("reference", "explain", system, code, MAILBOX_FULL.text, "--json").stdout
    entry = json.loads(explained)["entry"]
    words = ("reference", "set", entry["system"], entry["code"])
    alone = typed(*words, "--policy", "action=fail")
    assert "2 messages wait because of it (2 would be given up)" in alone.stderr
    assert "--yes" in alone.stderr and "waiting" not in alone.stdout
    assert typed(*words, "--restore").exit_code == 0
    told = typed(*words, "--policy", "action=fail", "--yes")
    assert told.exit_code == 0
    assert "2 waiting messages given up" in told.stderr
    assert "wait because" not in typed(*words, "--restore").stderr, "nothing waits any more"
