"""``flask dispatch reference``: look up, describe, exchange."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

import click
from flask.cli import AppGroup
from sqlalchemy import RowMapping

from clinic_dispatch_plugin.channels.reference import LANGUAGES
from clinic_dispatch_plugin.channels.types import Answer
from clinic_dispatch_plugin.cli.base import (
    SYSTEM,
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
from clinic_dispatch_plugin.error_reference.policy import Policy, PolicyAction, policy_of
from clinic_dispatch_plugin.error_reference.rules import (
    GROUPS,
    WHO,
    Explanation,
    KnownEntry,
    codes_of,
)
from clinic_dispatch_plugin.error_reference.wording import CATEGORIES, PERMANENCES
from clinic_dispatch_plugin.messages.causes import count_by_answer
from clinic_dispatch_plugin.registry import Dispatch

_SWITCH = {"yes": True, "true": True, "no": False, "false": False}
_LONGEST_CODE = 64


def register(group: AppGroup) -> None:
    """Add the commands."""
    group.add_command(reference)


reference = AppGroup(
    "reference", help="What each provider's answer means, and what is done about it."
)


def _entries(dispatch: Dispatch) -> list[KnownEntry]:
    with dispatch.database.begin() as connection:
        found = service.reference(dispatch, connection).entries.values()
    return sorted(found, key=lambda entry: (entry.system, entry.position, entry.code))


def stored_entries(dispatch: Dispatch) -> list[RowMapping]:
    """The entries as they are kept: the pack's content and the clinic's apart."""
    with dispatch.database.begin() as connection:
        return list(store.entries(connection))


def _row(entry: KnownEntry, language: str) -> dict[str, Any]:
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
        _row(entry, language)
        for entry in _entries(dispatch)
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
    row = _row(_find(dispatch, system, code, ""), lang or dispatch.settings.locale)
    if as_json:
        print_json(row)
        return
    policy = ", ".join(f"{name}={_plain(value)}" for name, value in row.pop("policy").items())
    for name, value in [*row.items(), ("policy", policy)]:
        click.echo(f"{name:14} {_plain(value)}")


def _plain(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _find(dispatch: Dispatch, system: str, code: str, pattern: str) -> KnownEntry:
    found = [
        entry
        for entry in _entries(dispatch)
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
        for number, line in enumerate(sys.stdin, start=1):
            if line.strip():
                print_json(_explained(dispatch, _answer(line, number), language))
        return
    if system is None or code is None:
        fail("Give SYSTEM and CODE, and the provider's words if there are any; or --stdin.")
    found = _explained(dispatch, Answer(system=system, code=code, text=text), language)
    if as_json:
        print_json(found)
        return
    for name in ("note", "what_happened", "what_helps", "who", "category", "permanence", "matched"):
        click.echo(f"{name:14} {found[name]}")


def _answer(line: str, number: int) -> Answer:
    try:
        said = json.loads(line)
        return Answer(
            system=str(said["system"]), code=str(said["code"]), text=str(said.get("text") or "")
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        fail(
            f'line {number} of standard input: write {{"system": "smtp", "code": "5.1.1", "text": "…"}}.'
        )


def _explained(dispatch: Dispatch, answer: Answer, language: str) -> Mapping[str, Any]:
    return explanation_json(service.explain(dispatch, answer), answer, language)


def explanation_json(found: Explanation, answer: Answer, language: str) -> Mapping[str, Any]:
    """An explanation as commands print it; of unknown permanence: the SMTP reply's first digit decides."""
    entry = found.entry
    permanence = entry.permanence.value if entry else "unknown"
    if answer.system == "smtp" and permanence == "unknown":
        first = (codes_of(answer)[1] or answer.code)[:1]
        permanence = {"4": "temporary", "5": "permanent"}.get(first, "unknown")
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
        "policy": asdict(policy_of(entry.content if entry else {}, permanence=permanence)),
    }


@reference.command("add")
@click.option("--system", required=True)
@click.option("--code", required=True)
@click.option("--pattern", default="", help="RE2; only answers whose words match it.")
@click.option("--unless", default="", help="RE2; not those whose words match this.")
@click.option("--lang", type=click.Choice(LANGUAGES), help="Language of the texts given.")
@click.option("--short", required=True, help="The note beside the message.")
@click.option("--what-happened", default=None)
@click.option("--what-helps", default=None)
@click.option("--category", type=click.Choice(sorted(CATEGORIES)), default=None)
@click.option("--group", type=click.Choice(GROUPS), default=None)
@click.option("--who", type=click.Choice(WHO), default=None)
@click.option("--permanence", type=click.Choice(list(PERMANENCES)), default=None)
@json_option
@guarded
def add(
    system: str,
    code: str,
    pattern: str,
    unless: str,
    lang: str | None,
    as_json: bool,
    **given: str | None,
) -> None:
    """Add an entry of the clinic's own; it describes the draft of this answer, and explains all earlier messages."""
    dispatch = ready()
    try:
        entry = service.add_entry(
            dispatch,
            system=system,
            code=code,
            pattern=pattern,
            unless=unless,
            content=_content(given, lang or dispatch.settings.locale),
            by=SYSTEM.name,
        )
    except service.ReferenceProblem as error:
        hint = ""
        if error.field == "code" and len(code) <= _LONGEST_CODE and code.strip():
            hint = f" Use: {typed(f'reference set {system} {code} …')}"
        fail(f"{_option(error.field)}: {error}{hint}")
    _say(entry, lang or dispatch.settings.locale, as_json)


def _option(field: str) -> str:
    """The option a field of an entry is given by."""
    head = field.partition(".")[0]
    return (
        f"--policy {field.partition('.')[2]}" if head == "policy" else f"--{head.replace('_', '-')}"
    )


@reference.command("set")
@click.argument("system")
@click.argument("code")
@click.option(
    "--pattern", default="", help="Where several entries have this code: the one with this pattern."
)
@click.option("--lang", type=click.Choice(LANGUAGES), help="Language of the texts given.")
@click.option("--short", default=None)
@click.option("--what-happened", default=None)
@click.option("--what-helps", default=None)
@click.option("--category", type=click.Choice(sorted(CATEGORIES)), default=None)
@click.option("--group", type=click.Choice(GROUPS), default=None)
@click.option("--who", type=click.Choice(WHO), default=None)
@click.option("--permanence", type=click.Choice(list(PERMANENCES)), default=None)
@click.option(
    "--policy",
    "policies",
    multiple=True,
    metavar="NAME=VALUE",
    help="Such as tries=3 or action=fail.",
)
@click.option(
    "--restore",
    is_flag=True,
    help="Back to the shipped text; an entry of the clinic's own is removed.",
)
@json_option
@guarded
def set_entry(
    system: str,
    code: str,
    pattern: str,
    lang: str | None,
    policies: tuple[str, ...],
    restore: bool,
    as_json: bool,
    **given: str | None,
) -> None:
    """Change an entry; what is not given stays."""
    dispatch = ready()
    entry = _find(dispatch, system, code, pattern)
    content = {**_content(given, lang or dispatch.settings.locale), **_policies(policies)}
    if restore:
        if content:
            fail("--restore takes back what the clinic wrote; give it alone.")
        _restore(dispatch, entry, lang or dispatch.settings.locale, as_json)
        return
    if not content:
        fail("Say what to change, such as --short TEXT or --policy tries=3; or --restore.")
    try:
        changed = service.change_entry(dispatch, entry.id, content=content, by=SYSTEM.name)
    except service.ReferenceProblem as error:
        fail(f"{_option(error.field)}: {error}")
    _say(changed, lang or dispatch.settings.locale, as_json)


def _restore(dispatch: Dispatch, entry: KnownEntry, language: str, as_json: bool) -> None:
    kept = service.restore_entry(dispatch, entry.id, by=SYSTEM.name)
    if as_json:
        found = {known.id: known for known in _entries(dispatch)}.get(entry.id)
        print_json(_row(found, language) if found else {"id": entry.id, "removed": True})
    else:
        done = "shipped text restored" if kept else "the clinic's own entry is removed"
        click.echo(f"{entry.key}: {done}")


def _policies(given: tuple[str, ...]) -> dict[str, Any]:
    """``NAME=VALUE`` as fields of an entry."""
    names = [item.name for item in fields(Policy)]
    content: dict[str, Any] = {}
    for item in given:
        name, sign, value = item.partition("=")
        if not sign or name not in names:
            fail(f"--policy {item!r}: write NAME=VALUE with one of: {', '.join(names)}.")
        if name == "action" and value not in list(PolicyAction):
            fail(f"--policy {item!r}: the action is one of: {', '.join(PolicyAction)}.")
        if name == "block" and value not in _SWITCH:
            fail(f"--policy {item!r}: write yes or no.")
        content[f"policy.{name}"] = _SWITCH[value] if name == "block" else value
    return content


def _content(given: Mapping[str, str | None], language: str) -> dict[str, Any]:
    texts = ("short", "what_happened", "what_helps")
    return {
        f"{name}.{language}" if name in texts else name: value
        for name, value in given.items()
        if value is not None
    }


def _say(entry: KnownEntry, language: str, as_json: bool) -> None:
    if as_json:
        print_json(_row(entry, language))
    else:
        click.echo(f"{entry.key}: {entry.text('short', language)}")


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
