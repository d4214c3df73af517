"""Looking answers up, gathering those nobody foresaw, and editing what they mean."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from clinic_dispatch_plugin.channels.reference import LANGUAGES, ReferencePack
from clinic_dispatch_plugin.channels.types import Answer
from clinic_dispatch_plugin.error_reference import store
from clinic_dispatch_plugin.error_reference.rules import (
    GROUPS,
    PATTERN_LIMIT,
    TEXT_FIELDS,
    WHO,
    Explanation,
    KnownEntry,
    Matched,
    Reference,
    anonymous,
    answer_digest,
    compile_pattern,
    flat,
    pattern_digest,
)
from clinic_dispatch_plugin.registry import Dispatch

_CACHE = "reference"


class ReferenceProblem(ValueError):
    """An entry cannot be saved: ``field`` says which of its fields, the text says why (English, for translation)."""

    def __init__(self, field: str, message: str, **fields: object) -> None:
        super().__init__(message.format_map(fields))
        self.field = field
        #: With named fields, as catalogues have it.
        self.message = message
        self.fields = fields


def reference(dispatch: Dispatch, connection: Connection) -> Reference:
    """The reference as it holds now; read again only when something changed."""
    revision = store.revision(connection)
    cached = dispatch.cache.get(_CACHE)
    if isinstance(cached, Reference) and cached.revision == revision:
        return cached
    made = _read(connection, revision)
    dispatch.cache[_CACHE] = made
    return made


def _read(connection: Connection, revision: int = 0) -> Reference:
    """Read without keeping: inside a change, which may yet be rolled back."""
    return Reference(map(store.known, store.entries(connection)), revision=revision)


def explain(dispatch: Dispatch, answer: Answer) -> Explanation:
    """What the reference says of an answer; gathers nothing."""
    with dispatch.database.begin() as connection:
        found = reference(dispatch, connection).explain(answer)
        if found.matched is Matched.NONE and _seen(connection, answer):
            return Explanation(entry=found.entry, matched=Matched.DRAFT)
        return found


def _seen(connection: Connection, answer: Answer) -> bool:
    digest = answer_digest(answer.system, answer.code, anonymous(answer.text))
    return store.answer_by_digest(connection, digest) is not None


def note_answer(
    dispatch: Dispatch, connection: Connection, answer: Answer, *, channel: str = ""
) -> tuple[int, Explanation]:
    """Write an answer down once, with what explains it; one nobody described becomes a draft.

    :returns: the id messages point to, and the explanation that decides what happens next.
    """
    found = reference(dispatch, connection).explain(answer)
    sample = anonymous(answer.text) if answer.system != "dispatch" else ""
    digest = answer_digest(answer.system, answer.code, sample)
    known = store.answer_by_digest(connection, digest)
    if known is not None:
        return int(known["id"]), found
    matched = Matched.DRAFT if found.matched is Matched.NONE else found.matched
    values = {
        "system": answer.system[:32],
        "code": answer.code[:64],
        "sample": sample,
        "digest": digest,
        "channel": channel,
        "entry_id": found.entry.id if found.entry else None,
        "matched": matched.value,
        "draft": not matched.described,
    }
    try:
        with connection.begin_nested():
            return store.add_answer(connection, values), found
    except IntegrityError:  # another worker met the same answer at the same moment
        known = store.answer_by_digest(connection, digest)
        assert known is not None
        return int(known["id"]), found


def install_packs(dispatch: Dispatch) -> dict[str, int]:
    """Bring in every pack that is new or newer; the clinic's words stay, field by field.

    :returns: entries written by pack.
    """
    found = dispatch.reference_packs()

    def work(connection: Connection) -> dict[str, int]:
        store.bump(connection)
        there = store.packs(connection)
        done = {}
        for pack in found:
            mark = {"version": pack.version, "digest": _digest(pack)}
            if there.get(pack.key) != mark:
                done[pack.key] = _install(connection, pack)
                there[pack.key] = mark
        if done:
            store.set_packs(connection, there)
            _explain_again(connection)
        return done

    return dispatch.database.run(work)


def packs_are_current(dispatch: Dispatch, connection: Connection) -> bool:
    """Whether every installed pack is in the database."""
    there = store.packs(connection)
    return all(
        there.get(pack.key) == {"version": pack.version, "digest": _digest(pack)}
        for pack in dispatch.reference_packs()
    )


def _digest(pack: ReferencePack) -> str:
    said = [(entry.code, entry.pattern, entry.unless, flat(entry)) for entry in pack.entries]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _install(connection: Connection, pack: ReferencePack) -> int:
    rows = {
        (row["code"], row["pattern_digest"]): row
        for row in store.entries(connection, withdrawn=True)
        if row["origin"] == "shipped" and row["system"] == pack.system and row["pack"] == pack.key
    }
    for position, entry in enumerate(pack.entries):
        row = rows.pop((entry.code, pattern_digest(entry.pattern, entry.unless)), None)
        content = flat(entry)
        if row is None:
            store.add_entry(
                connection,
                {
                    "origin": "shipped",
                    "system": pack.system,
                    "code": entry.code,
                    "pattern": entry.pattern,
                    "unless": entry.unless,
                    "position": position,
                    "shipped": content,
                    "pack": pack.key,
                    "withdrawn": False,
                    "updated_by": "",
                },
            )
        elif row["shipped"] != content or row["position"] != position or row["withdrawn"]:
            change = {"shipped": content, "position": position, "withdrawn": False}
            store.change_entry(connection, row["id"], change)
    for row in rows.values():  # the pack no longer brings these; the clinic's words are kept
        if not row["own"]:
            store.change_entry(connection, row["id"], {"withdrawn": True})
    return len(pack.entries)


def _explain_again(connection: Connection) -> Reference:
    """After a change every answer is looked up again: what was described once explains itself everywhere."""
    now = _read(connection)
    for row in store.answers(connection):
        answer = Answer(system=row["system"], code=row["code"], text=row["sample"])
        found = now.explain(answer)
        if found.matched is Matched.NONE:
            found = Explanation(entry=found.entry, matched=Matched.DRAFT)
        draft = not found.matched.described and not row["settled"]
        entry_id = found.entry.id if found.entry else None
        if (entry_id, found.matched.value, draft) != (
            row["entry_id"],
            row["matched"],
            row["draft"],
        ):
            store.explain_answer(connection, row["id"], found, draft=draft)
    return now


def add_entry(
    dispatch: Dispatch,
    *,
    system: str,
    code: str,
    content: Mapping[str, Any],
    pattern: str = "",
    unless: str = "",
    by: str,
) -> KnownEntry:
    """Add an entry of the clinic's; every earlier message with this answer follows at once.

    :param content: flat, checked by :func:`checked_content`.
    :raises ReferenceProblem: the clinic has such an entry already, or a field is wrong.
    """
    system, code = system.strip(), code.strip()
    if not system or len(system) > 32:
        raise ReferenceProblem("system", "Name the system, such as smtp; at most 32 characters.")
    if not code or len(code) > 64 or not (code.isascii() and code.isprintable()):
        raise ReferenceProblem(
            "code",
            "Give the provider's code: at most 64 letters, digits and signs without accents.",
        )
    _check_pattern("pattern", pattern)
    _check_pattern("unless", unless)
    values = {
        "origin": "clinic",
        "system": system,
        "code": code,
        "pattern": pattern,
        "unless": unless,
        "own": checked_content(content, complete=True),
        "pack": "",
        "position": 0,
        "withdrawn": False,
        "updated_by": by,
    }

    def work(connection: Connection) -> KnownEntry:
        store.bump(connection)
        for row in store.entries(connection):
            same = (row["origin"], row["system"], row["code"]) == ("clinic", system, code)
            if same and row["pattern_digest"] == pattern_digest(pattern, unless):
                raise ReferenceProblem(
                    "code", "The clinic has an entry for this already: change that one."
                )
        entry_id = store.add_entry(connection, values)
        return _explain_again(connection).entries[entry_id]

    return dispatch.database.run(work)


def change_entry(
    dispatch: Dispatch, entry_id: int, *, content: Mapping[str, Any], by: str
) -> KnownEntry:
    """Change fields of an entry; a field equal to the pack's is the pack's again.

    :raises ReferenceProblem: a field is wrong.
    :raises LookupError: there is no such entry.
    """
    wanted = checked_content(content, complete=False)

    def work(connection: Connection) -> KnownEntry:
        store.bump(connection)
        row = store.entry(connection, entry_id)
        if row is None:
            raise LookupError(entry_id)
        shipped = row["shipped"] or {}
        own = {**(row["own"] or {}), **wanted}
        if row["origin"] == "shipped":
            own = {name: value for name, value in own.items() if shipped.get(name) != value}
        base = {name: shipped.get(name) for name in own}
        change = {"own": own or None, "base": base or None, "updated_by": by}
        store.change_entry(connection, entry_id, change)
        return _explain_again(connection).entries[entry_id]

    return dispatch.database.run(work)


def restore_entry(dispatch: Dispatch, entry_id: int, *, by: str) -> bool:
    """Give a shipped entry the pack's words again; an entry of the clinic's own is removed.

    :returns: False where the entry was removed.
    :raises LookupError: there is no such entry.
    """

    def work(connection: Connection) -> bool:
        store.bump(connection)
        row = store.entry(connection, entry_id)
        if row is None:
            raise LookupError(entry_id)
        if row["origin"] == "shipped":
            store.change_entry(connection, entry_id, {"own": None, "base": None, "updated_by": by})
        else:
            store.remove_entry(connection, entry_id)
        _explain_again(connection)
        return bool(row["origin"] == "shipped")

    return dispatch.database.run(work)


def settle(dispatch: Dispatch, answer_ids: Sequence[int]) -> None:
    """Say that the general description of these drafts will do."""
    dispatch.database.run(lambda connection: store.settle_drafts(connection, answer_ids))


def checked_content(content: Mapping[str, Any], *, complete: bool) -> dict[str, Any]:
    """Flat content with every field checked.

    :param complete: an entry of its own: it needs a short text in some language; what else it lacks gets a safe value.
    :raises ReferenceProblem: names the field.
    """
    done = {name: value for name, value in content.items() if value is not None}
    for name, value in done.items():
        head, _, tail = name.partition(".")
        if head in TEXT_FIELDS and tail in LANGUAGES:
            done[name] = _text(name, str(value))
        elif head == "policy":
            done[name] = _policy_value(name, tail, value)
    for name, allowed in (
        ("group", GROUPS),
        ("who", WHO),
        ("permanence", ("temporary", "permanent", "unknown")),
    ):
        if name in done and done[name] not in allowed:
            raise ReferenceProblem(name, "Choose one of: {choices}.", choices=", ".join(allowed))
    if complete:
        if not any(done.get(f"short.{language}") for language in LANGUAGES):
            raise ReferenceProblem("short", "Write the note that stands beside the message.")
        done = {
            "category": "unknown",
            "permanence": "unknown",
            "group": "sending",
            "who": "administration",
            **done,
        }
    return done


def _text(name: str, value: str) -> str:
    limit = 120 if name.startswith("short") else 2_000
    cleaned = "".join(c for c in value if c == "\n" or c >= " ").strip()
    cleaned = cleaned.encode("utf-8", "replace").decode()
    if len(cleaned) > limit:
        raise ReferenceProblem(name, "At most {limit} characters.", limit=limit)
    return cleaned


def _policy_value(name: str, field: str, value: Any) -> Any:
    if field == "action":
        if value not in {"retry", "fail", "stop_account", "suspect_account"}:
            raise ReferenceProblem(name, "Choose what the program does.")
        return value
    if field == "block":
        return bool(value)
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ReferenceProblem(name, "Give a number.") from None
    limits = {"tries": (1, 50), "pause_share": (0, 1)}.get(field, (0, 30 * 86_400))
    if not limits[0] <= number <= limits[1]:
        raise ReferenceProblem(
            name, "Give a number from {lowest} to {highest}.", lowest=limits[0], highest=limits[1]
        )
    return int(number) if field == "tries" else number


def _check_pattern(field: str, pattern: str) -> None:
    if len(pattern) > PATTERN_LIMIT:
        raise ReferenceProblem(field, "At most {limit} characters.", limit=PATTERN_LIMIT)
    try:
        compile_pattern(pattern)
    except ValueError as error:
        raise ReferenceProblem(
            field, "This pattern cannot be used: {reason}", reason=str(error)
        ) from None
