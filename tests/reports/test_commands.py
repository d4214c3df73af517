"""``flask dispatch bounces``: a line a mail, kept by default, only read on request."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from tests.cli.conftest import typing_in
from tests.reports.conftest import Post
from tests.reports.shapes_standard import OTHERS, STANDARD
from tests.reports.shapes_words import WORDS

Typed = Callable[..., Result]


@pytest.fixture
def typed(office: Post) -> Typed:
    return typing_in(office.clinic)


@pytest.fixture
def folder(office: Post, tmp_path: Path) -> tuple[Path, int]:
    """A folder with a report of a message, one of nobody's, a complaint, a reply and something else."""
    message_id = office.sent()
    made = tmp_path / "mails"
    made.mkdir()
    mails = {
        "1-report": office.mail(STANDARD[0].raw, message_id),
        "2-foreign": WORDS[0].raw,
        "3-complaint": OTHERS[0].raw,
        "4-reply": OTHERS[4].raw,
        "5-other": OTHERS[-2].raw,
    }
    for name, raw in mails.items():
        (made / f"{name}.eml").write_bytes(raw)
    return made, message_id


def lines(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_each_mail_is_a_line_of_json(office: Post, typed: Typed, folder: tuple[Path, int]) -> None:
    place, message_id = folder
    found = lines(typed("bounces", "read", place, "--json", "--lang", "de"))
    assert [Path(line["file"]).stem[0] for line in found] == list("12345")
    kinds = ["bounce", "bounce", "complaint", "auto-reply", "other"]
    assert [line["kind"] for line in found] == kinds
    (said,) = found[0]["recipients"]
    assert said == {
        "address": office.message(message_id)["address"],
        "action": "failed",
        "code": "5.1.1",
        "answer": said["answer"],
        "entry": said["entry"],
        "category": "unknown_recipient",
        "note": said["note"],
        "message": message_id,
    }
    assert set(said["entry"]) == {"system", "code", "matched"}
    assert said["entry"]["matched"] == "pattern"
    assert "gibt es nicht" in said["note"] or "unbekannt" in said["note"].lower()
    assert found[1]["recipients"][0]["message"] is None
    assert found[2]["recipients"][0]["entry"] is None
    assert found[4]["recipients"] == []
    assert office.message(message_id)["state"] == "undelivered"
    assert len(office.bounces()) == 5


def test_a_dry_run_keeps_nothing(office: Post, typed: Typed, folder: tuple[Path, int]) -> None:
    place, message_id = folder
    before = office.everything()
    found = lines(typed("bounces", "read", place, "--json", "--dry-run"))
    assert found[0]["recipients"][0]["message"] == message_id
    assert office.everything() == before


def test_lines_for_people_say_what_was_here_already(typed: Typed, folder: tuple[Path, int]) -> None:
    place, message_id = folder
    first = typed("bounces", "read", place / "1-report.eml", place / "5-other.eml").stdout
    assert f"→ message {message_id}" in first
    assert "5-other.eml: other: nothing found" in first
    assert "was here already" in typed("bounces", "read", place / "1-report.eml").stdout


def test_what_cannot_be_read_is_named(typed: Typed, tmp_path: Path) -> None:
    result = typed("bounces", "read", tmp_path / "missing.eml")
    assert result.exit_code == 1
    assert "missing.eml: no such file or directory." in result.stderr


def test_fetching_without_a_mailbox_says_which_setting_is_missing(typed: Typed) -> None:
    result = typed("bounces", "fetch")
    assert result.exit_code == 1
    assert "CLINIC_DISPATCH_BOUNCES_URL" in result.stderr


def test_fetching_reads_the_mailbox(office: Post, typed: Typed, tmp_path: Path) -> None:
    box = tmp_path / "box"
    for name in ("new", "cur", "tmp"):
        (box / name).mkdir(parents=True)
    (box / "new" / "1").write_bytes(office.mail(STANDARD[0].raw, office.sent()))
    settings = dataclasses.replace(office.dispatch.settings, bounces_url=f"maildir://{box}")
    office.dispatch.settings = settings
    assert lines(typed("bounces", "fetch", "--json")) == [{"read": 1, "new": 1, "tied": 1}]
    assert "0 read" in typed("bounces", "fetch").stdout
