"""What a file says of entries, and what that would change here: pure, before anything is written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from clinic_dispatch_plugin.error_reference.checking import ReferenceProblem
from clinic_dispatch_plugin.error_reference.rules import KnownEntry

#: Stands for a field that a person's words never had.
_NOTHING = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """Which entry: the same in every installation."""

    origin: str
    system: str
    code: str
    pattern: str = ""
    unless: str = ""

    @property
    def identity(self) -> tuple[str, str, str, str, str]:
        """Codes that differ in capitals alone are one to MariaDB, so they are one everywhere."""
        return self.origin, self.system.casefold(), self.code.casefold(), self.pattern, self.unless

    @property
    def label(self) -> str:
        """How people and other rows name it."""
        said = f"{self.system} {self.code}"
        said += f" ~ {self.pattern}" if self.pattern else ""
        said += f" !~ {self.unless}" if self.unless else ""
        return f"{said} (clinic)" if self.origin == "clinic" else said


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """An entry as it stands here."""

    id: int
    key: Key
    shipped: Mapping[str, Any]
    own: Mapping[str, Any]
    base: Mapping[str, Any]
    same_as: int | None
    retired: bool
    position: int
    #: With the words of the entry it shares.
    entry: KnownEntry


class Here:
    """The whole reference as it stands, by key and by id; also what is out of use."""

    def __init__(self, standing: Iterable[Standing]) -> None:
        self.by_id = {each.id: each for each in standing}
        self._by_key = {each.key.identity: each for each in self.by_id.values()}
        self._by_label = {each.key.label: each.key for each in self.by_id.values()}
        self.categories = {each.entry.category for each in self.by_id.values()}

    def find(self, key: Key) -> Standing | None:
        """The entry of this key."""
        return self._by_key.get(key.identity)

    def named(self, label: str) -> Key | None:
        """The entry that rows name so."""
        return self._by_label.get(label)

    def in_order(self, *, own_only: bool = False) -> list[Standing]:
        """As files hold them: the packs' in their order, then the clinic's in theirs, which their patterns need."""
        wanted = [each for each in self.by_id.values() if not own_only or _of_the_clinic(each)]
        return sorted(wanted, key=_place)


def _of_the_clinic(each: Standing) -> bool:
    return each.key.origin == "clinic" or bool(each.own or each.same_as or each.retired)


def _place(each: Standing) -> tuple[Any, ...]:
    key = each.key
    if key.origin == "clinic":
        return 1, "", each.position, each.id
    return 0, key.system, each.position, key.code, key.pattern, key.unless


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What one row of a file wants an entry to be."""

    line: int
    key: Key
    own: Mapping[str, Any] = field(default_factory=dict)
    base: Mapping[str, Any] = field(default_factory=dict)
    same_as: Key | None = None
    retired: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A row that cannot be taken, with its cell and the reason."""

    line: int
    label: str
    why: ReferenceProblem


class Verb(StrEnum):
    """What becomes of a row."""

    ADDED = "added"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A field of an entry now and then."""

    field: str
    now: Any
    then: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """A row that would be taken."""

    verb: Verb
    wanted: Wanted
    there: Standing | None
    changes: Sequence[Change]
    #: The note of an entry that is added, by language.
    notes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything a file would do."""

    deeds: Sequence[Deed]
    refused: Sequence[Refused]
    unchanged: int

    def of(self, verb: Verb) -> list[Deed]:
        """The rows that are added, or those that change something."""
        return [deed for deed in self.deeds if deed.verb is verb]

    @property
    def counts(self) -> dict[str, int]:
        """How many rows become what."""
        return {
            "added": len(self.of(Verb.ADDED)),
            "changed": len(self.of(Verb.CHANGED)),
            "unchanged": self.unchanged,
            "refused": len(self.refused),
        }

    @property
    def digest(self) -> str:
        """Another one, another plan: what was shown and what is done can be compared."""
        said: list[Any] = [self.counts]
        for deed in self.deeds:
            wanted = deed.wanted
            said.append([wanted.line, deed.verb, wanted.key.label, wanted.own, wanted.base])
            said.append([wanted.same_as.label if wanted.same_as else "", wanted.retired])
            said.append([[each.field, each.now, each.then] for each in deed.changes])
        said += [[each.line, each.label, each.why.field, str(each.why)] for each in self.refused]
        text = json.dumps(said, sort_keys=True, default=str)
        return hashlib.sha256(text.encode(errors="replace")).hexdigest()


def plan(here: Here, rows: Iterable[Wanted | Refused]) -> Plan:
    """Compare each row with what stands here; a row is refused alone, the others go on."""
    refused: list[Refused] = []
    wanted = [
        each
        for each in _each_once(rows)
        if not (isinstance(each, Refused) and _keep(refused, each))
    ]
    taken = [each for each in wanted if isinstance(each, Wanted)]
    taken = list(_with_targets(here, taken, refused))
    deeds, unchanged = [], 0
    for each in taken:
        deed = _deed(here, each)
        if deed is None:
            unchanged += 1
        else:
            deeds.append(deed)
    refused.sort(key=lambda each: each.line)
    return Plan(deeds=deeds, refused=refused, unchanged=unchanged)


def _keep(refused: list[Refused], each: Refused) -> bool:
    refused.append(each)
    return True


def _each_once(rows: Iterable[Wanted | Refused]) -> Iterator[Wanted | Refused]:
    first: dict[Any, int] = {}
    for each in rows:
        if isinstance(each, Wanted):
            before = first.setdefault(each.key.identity, each.line)
            if before != each.line:
                why = ReferenceProblem(
                    "code", "This entry stands in line {line} already.", line=before
                )
                yield Refused(line=each.line, label=each.key.label, why=why)
                continue
        yield each


def _with_targets(here: Here, rows: Sequence[Wanted], refused: list[Refused]) -> Iterator[Wanted]:
    """Rows whose "the same as" exists, here or in the file itself."""
    coming = {each.key.identity for each in rows}
    for each in rows:
        same = each.same_as
        if same is not None and same.identity == each.key.identity:
            why = ReferenceProblem("same_as", "An entry cannot be the same as itself.")
        elif same is not None and same.identity not in coming and here.find(same) is None:
            why = ReferenceProblem(
                "same_as", "The entry {name} is neither here nor in the file.", name=same.label
            )
        else:
            yield each
            continue
        refused.append(Refused(line=each.line, label=each.key.label, why=why))


def _deed(here: Here, wanted: Wanted) -> Deed | None:
    """What a row does; None: nothing."""
    there = here.find(wanted.key)
    if there is None:
        return Deed(verb=Verb.ADDED, wanted=wanted, there=None, changes=(), notes=_notes(wanted))
    same = here.by_id.get(there.same_as or 0)
    changes = [
        *_field_changes(there, wanted),
        *_other("same_as", same.key.label if same else "", _label(wanted.same_as)),
        *_other("retired", there.retired, wanted.retired),
    ]
    if not changes:
        return None
    again = there.retired and not wanted.retired
    verb = Verb.ADDED if again else Verb.CHANGED
    return Deed(verb=verb, wanted=wanted, there=there, changes=changes, notes=_notes(wanted))


def _notes(wanted: Wanted) -> dict[str, str]:
    return {
        name.partition(".")[2]: str(value)
        for name, value in wanted.own.items()
        if name.startswith("short.") and value
    }


def _label(key: Key | None) -> str:
    return key.label if key is not None else ""


def _other(name: str, now: Any, then: Any) -> list[Change]:
    return [Change(field=name, now=now, then=then)] if now != then else []


def _field_changes(there: Standing, wanted: Wanted) -> Iterator[Change]:
    """Fields in which the clinic's words differ; what is read there now and then."""
    for name in sorted({*there.own, *wanted.own}):
        if there.own.get(name, _NOTHING) == wanted.own.get(name, _NOTHING):
            continue
        then = wanted.own.get(name, there.shipped.get(name))
        yield Change(field=name, now=there.entry.content.get(name), then=then)
