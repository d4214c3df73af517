"""``flask dispatch reference``: what answers mean, which entries there are, and which are missing."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import click
from flask.cli import AppGroup
from sqlalchemy import RowMapping

from clinic_dispatch_plugin.channels.types import Answer
from clinic_dispatch_plugin.cli.base import (
    fail,
    guarded,
    json_option,
    language_option,
    print_json,
    print_table,
    ready,
    typed,
)
from clinic_dispatch_plugin.error_reference import service, store
from clinic_dispatch_plugin.error_reference.policy import policy_of
from clinic_dispatch_plugin.error_reference.rules import (
    Explanation,
    KnownEntry,
    permanence_said,
)
from clinic_dispatch_plugin.messages.causes import count_by_answer
from clinic_dispatch_plugin.registry import Dispatch

#: What ``explain --stdin`` reads, a line.
_EXAMPLE = '{"system": "smtp", "code": "5.1.1", "text": "…"}'


def register(group: AppGroup) -> None:
    """Add the commands."""
    group.add_command(reference)


reference = AppGroup(
    "reference", help="What each provider's answer means, and what is done about it."
)


def entries(dispatch: Dispatch) -> list[KnownEntry]:
    """Every entry as it holds now, by system and place."""
    with dispatch.database.begin() as connection:
        found = service.reference(dispatch, connection).entries.values()
    return sorted(found, key=lambda entry: (entry.system, entry.position, entry.code))


def stored_entries(dispatch: Dispatch) -> list[RowMapping]:
    """The entries as they are kept: the pack's content and the clinic's apart."""
    with dispatch.database.begin() as connection:
        return list(store.entries(connection))


def entry_json(entry: KnownEntry, language: str) -> dict[str, Any]:
    """An entry as commands print it."""
    return {
        "id": entry.id,
        "system": entry.system,
        "code": entry.code,
        "pattern": entry.pattern,
        "origin": entry.origin,
        "changed": entry.changed,
        "group": entry.group,
        "category": entry.category,
        "permanence": entry.permanence.value,
        "who": entry.who,
        "note": entry.text("short", language),
        "what_happened": entry.text("what_happened", language),
        "what_helps": entry.text("what_helps", language),
        "policy": asdict(entry.policy),
    }


@reference.command("list")
@click.option("--system", help="Only of this system, such as smtp.")
@click.option("--changed", is_flag=True, help="Only what the clinic wrote or changed.")
@json_option
@language_option
@guarded
def list_entries(system: str | None, changed: bool, as_json: bool, lang: str | None) -> None:
    """List the entries."""
    dispatch = ready()
    language = lang or dispatch.settings.locale
    rows = [
        entry_json(entry, language)
        for entry in entries(dispatch)
        if (system is None or entry.system == system) and (entry.changed or not changed)
    ]
    if as_json:
        for row in rows:
            print_json(row)
        return
    print_table(
        ([row["system"], row["code"], row["category"], row["note"]] for row in rows),
        ["system", "code", "category", "note"],
    )


@reference.command("show")
@click.argument("system")
@click.argument("code")
@json_option
@language_option
@guarded
def show(system: str, code: str, as_json: bool, lang: str | None) -> None:
    """Show one entry in full."""
    dispatch = ready()
    row = entry_json(find_entry(dispatch, system, code, ""), lang or dispatch.settings.locale)
    if as_json:
        print_json(row)
        return
    policy = ", ".join(f"{name}={_plain(value)}" for name, value in row.pop("policy").items())
    for name, value in [*row.items(), ("policy", policy)]:
        click.echo(f"{name:14} {_plain(value)}")


def _plain(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def find_entry(dispatch: Dispatch, system: str, code: str, pattern: str) -> KnownEntry:
    """The entry of this code, or an end that says how to add one; the clinic's own stands before the shipped one."""
    found = [
        entry
        for entry in entries(dispatch)
        if (entry.system, entry.code) == (system, code) and pattern in ("", entry.pattern)
    ]
    found.sort(key=lambda entry: (bool(entry.pattern), entry.origin == "shipped"))
    if not found:
        add = typed(f"reference add --system {system} --code {code} --short TEXT")
        fail(f"The reference has no entry {system} {code}; add one with: {add}")
    return found[0]


@reference.command("explain")
@click.argument("system", required=False)
@click.argument("code", required=False)
@click.argument("text", default="")
@click.option(
    "--stdin", "from_stdin", is_flag=True, help='Lines {"system","code","text"} on standard input.'
)
@json_option
@language_option
@guarded
def explain(
    system: str | None,
    code: str | None,
    text: str,
    from_stdin: bool,
    as_json: bool,
    lang: str | None,
) -> None:
    """Say what an answer means, without gathering it."""
    dispatch = ready()
    language = lang or dispatch.settings.locale
    if from_stdin:
        _explain_lines(dispatch, language)
        return
    if system is None or code is None:
        fail("Give SYSTEM and CODE, and the provider's words if there are any; or --stdin.")
    found = _explained(dispatch, _answer_of(system, code, text), language)
    if as_json:
        print_json(found)
        return
    for name in ("note", "what_happened", "what_helps", "who", "category", "permanence", "matched"):
        click.echo(f"{name:14} {found[name]}")


def _explain_lines(dispatch: Dispatch, language: str) -> None:
    """An answer to each line of standard input; one that is none costs no other its answer."""
    wrong = []
    for number, line in enumerate(sys.stdin.buffer, start=1):
        if not line.strip():
            continue
        answer = _answer(line)
        if answer is not None:
            print_json(_explained(dispatch, answer, language))
            continue
        wrong.append(number)
        print_json({"error": f"write {_EXAMPLE}", "line": number})
    if wrong:
        others = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        fail(f"line {wrong[0]} of standard input{others}: write {_EXAMPLE}.")


def _answer(line: bytes) -> Answer | None:
    """The answer a line describes; None: it describes none."""
    try:
        said = json.loads(line.decode("utf-8"))
        return _answer_of(said["system"], said["code"], said.get("text") or "")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _answer_of(*said: object) -> Answer:
    """An answer of texts that can be looked up: half a character (a lone surrogate) is none."""
    system, code, text = (str(each).encode("utf-8", "replace").decode() for each in said)
    return Answer(system=system, code=code, text=text)


def _explained(dispatch: Dispatch, answer: Answer, language: str) -> Mapping[str, Any]:
    return {
        **explanation_json(service.explain(dispatch, answer), answer, language),
        "near": [
            {"system": step.entry.system, "code": step.entry.code, "matched": step.matched.value}
            for step in service.near(dispatch, answer)
            if step.entry is not None
        ],
    }


def explanation_json(found: Explanation, answer: Answer, language: str) -> Mapping[str, Any]:
    """An explanation as commands print it; of unknown permanence: the SMTP reply's first digit decides."""
    entry = found.entry
    permanence = entry.permanence.value if entry else "unknown"
    if not (entry and "permanence" in entry.own):
        permanence = permanence_said(answer) or permanence
    known = found.matched.value != "none"
    return {
        "entry": {"system": entry.system, "code": entry.code} if entry and known else None,
        "matched": found.matched.value,
        "category": entry.category if entry else "unknown",
        "permanence": permanence,
        "group": entry.group if entry else "sending",
        "note": entry.text("short", language) if entry else "",
        "what_happened": entry.text("what_happened", language) if entry else "",
        "what_helps": entry.text("what_helps", language) if entry else "",
        "who": entry.who if entry else "administration",
        "policy": asdict(
            entry.policy_for(answer) if entry else policy_of({}, permanence=permanence)
        ),
    }


@reference.command("drafts")
@json_option
@guarded
def drafts(as_json: bool) -> None:
    """List answers nobody has described yet, and how many messages each explains, most first."""
    dispatch = ready()
    with dispatch.database.begin() as connection:
        rows = list(store.drafts(connection))
        counts = count_by_answer(connection, [row["id"] for row in rows])
    rows.sort(key=lambda row: (-counts.get(row["id"], 0), row["id"]))
    if as_json:
        names = ("id", "system", "code", "sample", "channel", "matched")
        times = ("first_seen_at", "last_seen_at")
        for row in rows:
            said = {name: row[name] for name in (*names, *times)}
            print_json({**said, "count": counts.get(row["id"], 0)})
        return
    print_table(
        ([counts.get(row["id"], 0), row["system"], row["code"], row["sample"]] for row in rows),
        ["count", "system", "code", "sample"],
    )
