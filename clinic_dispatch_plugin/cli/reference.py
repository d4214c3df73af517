"""``flask dispatch reference``: look up, describe, exchange."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from flask.cli import AppGroup

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
)
from clinic_dispatch_plugin.error_reference import service, store
from clinic_dispatch_plugin.error_reference.policy import policy_of
from clinic_dispatch_plugin.error_reference.rules import (
    GROUPS,
    WHO,
    Explanation,
    KnownEntry,
    codes_of,
)
from clinic_dispatch_plugin.registry import Dispatch

_FORMAT = "clinic-dispatch-reference-1"


def register(group: AppGroup) -> None:
    """Add the commands."""
    group.add_command(reference)


reference = AppGroup("reference", help="What each provider's answer means, and what is done about it.")


def _entries(dispatch: Dispatch) -> list[KnownEntry]:
    with dispatch.database.begin() as connection:
        found = service.reference(dispatch, connection).entries.values()
    return sorted(found, key=lambda entry: (entry.system, entry.position, entry.code))


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
    else:
        for name, value in row.items():
            click.echo(f"{name:14} {value}")


def _find(dispatch: Dispatch, system: str, code: str, pattern: str) -> KnownEntry:
    found = [
        entry
        for entry in _entries(dispatch)
        if (entry.system, entry.code) == (system, code) and pattern in ("", entry.pattern)
    ]
    found.sort(key=lambda entry: (bool(entry.pattern), entry.origin == "shipped"))
    if not found:
        fail(f"The reference has no entry {system} {code}; add one with: reference add.")
    return found[0]


@reference.command("explain")
@click.argument("system", required=False)
@click.argument("code", required=False)
@click.argument("text", default="")
@click.option("--stdin", "from_stdin", is_flag=True, help='Lines {"system","code","text"} on standard input.')
@json_option
@language_option
@guarded
def explain(
    system: str | None, code: str | None, text: str, from_stdin: bool, as_json: bool, lang: str | None
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
        fail(f'line {number} of standard input: write {{"system": "smtp", "code": "5.1.1", "text": "…"}}.')


def _explained(dispatch: Dispatch, answer: Answer, language: str) -> dict[str, Any]:
    found = service.explain(dispatch, answer)
    return {**explanation_json(found, answer, language)}


def explanation_json(found: Explanation, answer: Answer, language: str) -> Mapping[str, Any]:
    """An explanation as commands print it; an entry of unknown permanence takes it from the SMTP reply's first digit."""
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
@click.option("--lang", type=click.Choice(["de", "en", "ru"]), help="Language of the texts given.")
@click.option("--short", required=True, help="The note beside the message.")
@click.option("--what-happened", default=None)
@click.option("--what-helps", default=None)
@click.option("--category", default=None)
@click.option("--group", type=click.Choice(GROUPS), default=None)
@click.option("--who", type=click.Choice(WHO), default=None)
@click.option("--permanence", type=click.Choice(["temporary", "permanent", "unknown"]), default=None)
@json_option
@guarded
def add(system: str, code: str, pattern: str, unless: str, lang: str | None, as_json: bool, **given: str | None) -> None:
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
        fail(f"{error.field}: {error}")
    _say(entry, lang or dispatch.settings.locale, as_json)


@reference.command("set")
@click.argument("system")
@click.argument("code")
@click.option("--pattern", default="", help="Where several entries have this code: the one with this pattern.")
@click.option("--lang", type=click.Choice(["de", "en", "ru"]), help="Language of the texts given.")
@click.option("--short", default=None)
@click.option("--what-happened", default=None)
@click.option("--what-helps", default=None)
@click.option("--category", default=None)
@click.option("--group", type=click.Choice(GROUPS), default=None)
@click.option("--who", type=click.Choice(WHO), default=None)
@click.option("--permanence", type=click.Choice(["temporary", "permanent", "unknown"]), default=None)
@click.option("--policy", "policies", multiple=True, metavar="NAME=VALUE", help="Such as tries=3 or action=fail.")
@click.option("--restore", is_flag=True, help="Back to the shipped text; an entry of the clinic's own is removed.")
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
    if restore:
        service.restore_entry(dispatch, entry.id, by=SYSTEM.name)
        click.echo(f"{entry.key}: shipped text restored", err=as_json)
        return
    content = _content(given, lang or dispatch.settings.locale)
    for item in policies:
        name, _, value = item.partition("=")
        content[f"policy.{name}"] = value
    try:
        changed = service.change_entry(dispatch, entry.id, content=content, by=SYSTEM.name)
    except service.ReferenceProblem as error:
        fail(f"{error.field}: {error}")
    _say(changed, lang or dispatch.settings.locale, as_json)


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
    """List answers nobody has described yet."""
    dispatch = ready()
    with dispatch.database.begin() as connection:
        rows = store.drafts(connection)
    if as_json:
        for row in rows:
            print_json(
                {
                    "id": row["id"],
                    "system": row["system"],
                    "code": row["code"],
                    "sample": row["sample"],
                    "channel": row["channel"],
                    "matched": row["matched"],
                    "first_seen_at": row["first_seen_at"],
                    "last_seen_at": row["last_seen_at"],
                }
            )
        return
    print_table(([r["system"], r["code"], r["sample"]] for r in rows), ["system", "code", "sample"])


@reference.command("export")
@click.argument("file", type=click.Path(path_type=Path), default="-")
@click.option("--all", "everything", is_flag=True, help="Shipped entries too, not only the clinic's words.")
@guarded
def export(file: Path, everything: bool) -> None:
    """Write the clinic's entries and changes as JSON, to standard output by default."""
    dispatch = ready()
    with dispatch.database.begin() as connection:
        rows = [
            {
                "origin": row["origin"],
                "system": row["system"],
                "code": row["code"],
                "pattern": row["pattern"],
                "unless": row["unless"],
                "own": row["own"],
                **({"shipped": row["shipped"]} if everything else {}),
            }
            for row in store.entries(connection)
            if row["own"] or everything
        ]
    text = json.dumps({"format": _FORMAT, "entries": rows}, ensure_ascii=False, indent=1)
    if str(file) == "-":
        click.echo(text)
    else:
        file.write_text(text + "\n", encoding="utf-8")


@reference.command("import")
@click.argument("file", type=click.File("r", encoding="utf-8"))
@guarded
def import_entries(file: Any) -> None:
    """Read what `export` wrote: entries that are there are changed, others added."""
    dispatch = ready()
    try:
        said = json.load(file)
        rows = said["entries"] if said["format"] == _FORMAT else None
    except (ValueError, KeyError, TypeError):
        rows = None
    if not isinstance(rows, list):
        fail("This is no file that `reference export` wrote.")
    done = sum(_import_one(dispatch, row) for row in rows)
    click.echo(f"{done} entries read")


def _import_one(dispatch: Dispatch, row: Mapping[str, Any]) -> int:
    wanted = (row.get("origin"), row.get("system"), row.get("code"), row.get("pattern") or "")
    own = row.get("own") or {}
    if not own:
        return 0
    try:
        for entry in _entries(dispatch):
            if (entry.origin, entry.system, entry.code, entry.pattern) == wanted:
                service.change_entry(dispatch, entry.id, content=own, by=SYSTEM.name)
                return 1
        service.add_entry(
            dispatch,
            system=str(wanted[1]),
            code=str(wanted[2]),
            pattern=wanted[3],
            unless=row.get("unless") or "",
            content=own,
            by=SYSTEM.name,
        )
    except service.ReferenceProblem as error:
        fail(f"{wanted[1]} {wanted[2]}, {error.field}: {error}")
    return 1
