"""``flask dispatch reference add|set``: describe what nobody foresaw, and change what is unclear."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from functools import partial
from typing import Any

import click
from flask.cli import AppGroup

from clinic_dispatch_plugin.channels.reference import GROUPS, LANGUAGES, WHO
from clinic_dispatch_plugin.cli.base import (
    SYSTEM,
    fail,
    guarded,
    json_option,
    print_json,
    ready,
    typed,
)
from clinic_dispatch_plugin.cli.reference import entries, entry_json, find_entry, reference
from clinic_dispatch_plugin.cli.waiting import changed, yes_option
from clinic_dispatch_plugin.error_reference import editing
from clinic_dispatch_plugin.error_reference.checking import ReferenceProblem
from clinic_dispatch_plugin.error_reference.policy import SWITCHES, Policy, PolicyAction
from clinic_dispatch_plugin.error_reference.rules import KnownEntry
from clinic_dispatch_plugin.error_reference.wording import CATEGORIES, PERMANENCES
from clinic_dispatch_plugin.registry import Dispatch

_SWITCH = {"yes": True, "true": True, "no": False, "false": False}
_LONGEST_CODE = 64


def register(group: AppGroup) -> None:
    """Add the commands to those of ``reference``."""
    reference.add_command(add)
    reference.add_command(set_entry)


@click.command("add")
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
@yes_option
@json_option
@guarded
def add(
    system: str,
    code: str,
    pattern: str,
    unless: str,
    lang: str | None,
    yes: bool,
    as_json: bool,
    **given: str | None,
) -> None:
    """Add an entry of the clinic's own; it describes the draft of this answer, and explains all earlier messages."""
    dispatch = ready()
    deed = partial(
        editing.add_entry,
        dispatch,
        system=system,
        code=code,
        pattern=pattern,
        unless=unless,
        content=_content(given, lang or dispatch.settings.locale),
        by=SYSTEM.name,
    )
    try:
        entry = changed(dispatch, deed, yes=yes)
    except ReferenceProblem as error:
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


@click.command("set")
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
@yes_option
@json_option
@guarded
def set_entry(
    system: str,
    code: str,
    pattern: str,
    lang: str | None,
    policies: tuple[str, ...],
    restore: bool,
    yes: bool,
    as_json: bool,
    **given: str | None,
) -> None:
    """Change an entry; what is not given stays."""
    dispatch = ready()
    entry = find_entry(dispatch, system, code, pattern)
    content = {**_content(given, lang or dispatch.settings.locale), **_policies(policies)}
    if restore:
        if content:
            fail("--restore takes back what the clinic wrote; give it alone.")
        _restore(dispatch, entry, lang or dispatch.settings.locale, as_json, yes=yes)
        return
    if not content:
        fail("Say what to change, such as --short TEXT or --policy tries=3; or --restore.")
    deed = partial(editing.change_entry, dispatch, entry.id, content=content, by=SYSTEM.name)
    try:
        made = changed(dispatch, deed, yes=yes)
    except ReferenceProblem as error:
        fail(f"{_option(error.field)}: {error}")
    _say(made, lang or dispatch.settings.locale, as_json)


def _restore(
    dispatch: Dispatch, entry: KnownEntry, language: str, as_json: bool, *, yes: bool
) -> None:
    deed = partial(editing.restore_entry, dispatch, entry.id, by=SYSTEM.name)
    kept = changed(dispatch, deed, yes=yes)
    if as_json:
        found = {known.id: known for known in entries(dispatch)}.get(entry.id)
        print_json(entry_json(found, language) if found else {"id": entry.id, "removed": True})
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
        if name in SWITCHES and value not in _SWITCH:
            fail(f"--policy {item!r}: write yes or no.")
        content[f"policy.{name}"] = _SWITCH[value] if name in SWITCHES else value
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
        print_json(entry_json(entry, language))
    else:
        click.echo(f"{entry.key}: {entry.text('short', language)}")
