"""The list of the reference: which entries it shows, in which order, and how often each occurred."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping

from clinic_dispatch_plugin.channels.reference import GROUPS, LANGUAGES
from clinic_dispatch_plugin.error_reference import reading, reading_store, store
from clinic_dispatch_plugin.error_reference.rules import KnownEntry, Reference
from clinic_dispatch_plugin.error_reference.service import reference
from clinic_dispatch_plugin.registry import Dispatch

#: Messages by answer, ever and of the last days; brought by the concern that holds messages.
CountOccurrences = Callable[[Connection, int], Mapping[int, tuple[int, int]]]
#: What "lately" means in the list.
LATELY_DAYS = 30
#: Rows under each heading before somebody asks for all of that heading, and rows of a page of it.
PORTION, PAGE = 20, 50
#: Rows under a heading of which nothing occurred here.
FIRST = 5

#: Whose codes go over which channel; a third party's say it by their name, such as ``fax_send``.
CHANNELS: Mapping[str, Sequence[str]] = {
    "email": ("smtp",),
    "sms": ("smsc", "twilio", "infobip", "vonage", "smpp", "gsm"),
    "voice": ("twilio_call", "sip", "q850", "asterisk"),
    "viber": ("viber",),
}
_NATURAL = re.compile(r"\d+|\D+")
_CACHE = "reference.list"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What somebody looks for; the address of the page holds it."""

    #: Words that all have to occur in code, pattern or texts, in any language.
    q: str = ""
    channel: str = ""
    system: str = ""
    #: One of the three headings.
    heading: str = ""
    #: ``occurred``, ``never``, or empty for both.
    show: str = ""
    #: ``changed`` (also own ones), ``own``, ``shipped`` (unchanged), ``retired``, or empty for all in use.
    whose: str = ""
    #: Entries whose texts in this language are missing or not whole; ``any`` of them.
    missing: str = ""
    page: int = 1

    @property
    def filtered(self) -> bool:
        """Whether anything is left out."""
        return replace(self, page=1) != Wanted()

    def address(self, **changes: Any) -> dict[str, Any]:
        """The arguments of the address that say this, changed where asked."""
        then = replace(self, **changes)
        values = {item.name: getattr(then, item.name) for item in fields(Wanted)}
        return {name: value for name, value in values.items() if value != getattr(_NOTHING, name)}


_NOTHING = Wanted()


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurred:
    """How often an entry explained something."""

    last_seen_at: datetime
    #: None: nobody counts.
    ever: int | None = None
    lately: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """An entry in the list."""

    entry: KnownEntry
    occurred: Occurred | None = None
    retired: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One of the three headings with its first entries, or a page of them."""

    group: str
    rows: Sequence[Listed]
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """The list page."""

    sections: Sequence[Section]
    #: What nobody described, whatever is looked for.
    drafts: Sequence[reading.Draft]
    draft_total: int
    #: Of those, what fits the search.
    fitting: Sequence[reading.Draft]
    total: int
    changed: int
    found: int
    pages: int
    systems: Sequence[str]


@dataclass(frozen=True, slots=True)
class _Line:
    """What an entry is searched and put in order by; made once for each revision of the reference."""

    entry: KnownEntry
    words: str
    missing: frozenset[str]
    place: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class _Index:
    reference: Reference
    lines: Sequence[_Line]
    systems: Sequence[str]
    changed: int


def overview(dispatch: Dispatch, wanted: Wanted, *, all_drafts: bool = False) -> Overview:
    """The list: entries by heading, the most frequent first, and the drafts."""
    with dispatch.database.begin() as connection:
        known = reference(dispatch, connection)
        index = _index(dispatch, known)
        retired = wanted.whose == "retired"
        lines = _retired(connection) if retired else index.lines
        occurred = _occurrences(dispatch, connection)
        fresh = store.drafts(connection)
        fitting = [row for row in fresh if _draft_fits(wanted, row)] if wanted.q else []
        shown = fresh if all_drafts else fresh[: reading.FIRST_DRAFTS]
        drafts = reading.drafts_of(dispatch, connection, known, shown)
        fits = reading.drafts_of(dispatch, connection, known, fitting[: reading.FIRST_DRAFTS])
    found = [line for line in lines if _fits(line, wanted, occurred)]
    here = {line.entry.system for line in lines if line.entry.id in occurred}
    found.sort(key=lambda line: _order(line, occurred.get(line.entry.id), here))
    by_group: dict[str, list[_Line]] = {group: [] for group in GROUPS}
    for line in found:
        by_group.setdefault(line.entry.group, []).append(line)
    return Overview(
        sections=[
            _section(group, lines, wanted, occurred, retired=retired)
            for group, lines in by_group.items()
            if lines
        ],
        drafts=drafts,
        draft_total=len(fresh),
        fitting=fits,
        total=len(index.lines),
        changed=index.changed,
        found=len(found),
        pages=-(-len(found) // PAGE) if wanted.heading else 1,
        systems=index.systems,
    )


def listed(dispatch: Dispatch, entry: KnownEntry, *, retired: bool = False) -> Listed:
    """One entry as the list shows it."""
    with dispatch.database.begin() as connection:
        occurred = _occurrences(dispatch, connection).get(entry.id)
    return Listed(entry=entry, occurred=occurred, retired=retired)


def _section(
    group: str,
    lines: Sequence[_Line],
    wanted: Wanted,
    occurred: Mapping[int, Occurred],
    *,
    retired: bool,
) -> Section:
    if wanted.heading:
        first, last = (wanted.page - 1) * PAGE, wanted.page * PAGE
    else:
        # What occurred or was changed stands in front: the many that never happened here are one click away.
        standing_out = sum(line.entry.id in occurred or line.entry.changed for line in lines)
        first, last = 0, PORTION if wanted.filtered else min(PORTION, max(FIRST, standing_out))
    rows = [
        Listed(entry=line.entry, occurred=occurred.get(line.entry.id), retired=retired)
        for line in lines[first:last]
    ]
    return Section(group=group, rows=rows, total=len(lines))


def _index(dispatch: Dispatch, known: Reference) -> _Index:
    kept = dispatch.cache.get(_CACHE)
    if isinstance(kept, _Index) and kept.reference is known:
        return kept
    made = _Index(
        reference=known,
        lines=[_line(entry) for entry in known.entries.values()],
        systems=sorted({entry.system for entry in known.entries.values()}),
        changed=sum(entry.changed for entry in known.entries.values()),
    )
    dispatch.cache[_CACHE] = made
    return made


def _line(entry: KnownEntry) -> _Line:
    said = (str(v) for name, v in entry.content.items() if not name.startswith("policy."))
    parts = _NATURAL.findall(entry.code)
    natural = tuple((not p.isdecimal(), int(p) if p.isdecimal() else 0, p) for p in parts)
    lacking = (
        code
        for code in LANGUAGES
        if not all(entry.content.get(f"{name}.{code}") for name in MAIN_TEXTS)
    )
    return _Line(
        entry=entry,
        words=" ".join((entry.key, entry.code, entry.pattern, *said)).casefold(),
        missing=frozenset(lacking),
        place=(entry.system != "dispatch", entry.system, bool(entry.pattern), natural, entry.id),
    )


#: Texts without which an entry says too little in a language.
MAIN_TEXTS = ("short", "what_happened", "what_helps")


def _retired(connection: Connection) -> list[_Line]:
    """Entries out of use: they explain nothing, and are kept."""
    rows = reading_store.out_of_use(connection)
    return [
        _line(store.known(row, store.entry(connection, row["same_as"]) if row["same_as"] else None))
        for row in rows
    ]


def _fits(line: _Line, wanted: Wanted, occurred: Mapping[int, Occurred]) -> bool:
    entry = line.entry
    if wanted.system and entry.system != wanted.system:
        return False
    if wanted.channel and channel_of(entry.system) != wanted.channel:
        return False
    if wanted.heading and entry.group != wanted.heading:
        return False
    if wanted.show and (entry.id in occurred) != (wanted.show == "occurred"):
        return False
    if not _is_whose(entry, wanted.whose):
        return False
    if wanted.missing and not (
        line.missing if wanted.missing == "any" else wanted.missing in line.missing
    ):
        return False
    return has_words(wanted.q, line.words)


def _is_whose(entry: KnownEntry, whose: str) -> bool:
    match whose:
        case "own":
            return entry.origin == "clinic"
        case "changed":
            return entry.changed
        case "shipped":
            return not entry.changed
        case _:
            return True


def channel_of(system: str) -> str:
    """The channel whose services answer with these codes; empty: of none or of all."""
    heads = [
        (head, channel)
        for channel, several in CHANNELS.items()
        for head in several
        if system == head or system.startswith(f"{head}_")
    ]
    return max(heads, key=lambda pair: len(pair[0]))[1] if heads else system.partition("_")[0]


def has_words(query: str, text: str) -> bool:
    """Whether every word of a search occurs; ``text`` has small letters."""
    return all(word in text for word in query.casefold().split())


def _draft_fits(wanted: Wanted, row: RowMapping) -> bool:
    said = f"{row['system']}:{row['code']} {row['code']} {row['sample']}".casefold()
    return has_words(wanted.q, said) and wanted.system in ("", row["system"])


def _order(line: _Line, occurred: Occurred | None, here: Collection[str]) -> tuple[Any, ...]:
    """The most frequent first, then what the clinic changed, then services in use here, our program, all others."""
    lately = (occurred.lately or 0) if occurred else 0
    ever = (occurred.ever or 0) if occurred else 0
    entry = line.entry
    return (
        -lately,
        -ever,
        occurred is None,
        not entry.changed,
        entry.system not in here,
        line.place,
    )


def _occurrences(dispatch: Dispatch, connection: Connection) -> dict[int, Occurred]:
    count: CountOccurrences | None = dispatch.cache.get("count_occurrences")
    counted = count(connection, LATELY_DAYS) if count is not None else None
    found: dict[int, Occurred] = {}
    for row in reading_store.explained(connection):
        ever, lately = (counted or {}).get(row.id, (0, 0))
        before = found.get(row.entry_id)
        one = Occurred(
            last_seen_at=row.last_seen_at,
            ever=None if counted is None else ever,
            lately=None if counted is None else lately,
        )
        found[row.entry_id] = _together([one] if before is None else [before, one])
    return found


def _together(several: Iterable[Occurred]) -> Occurred:
    each = list(several)
    if len(each) == 1:
        return each[0]
    counted = each[0].ever is not None
    return Occurred(
        last_seen_at=max(one.last_seen_at for one in each),
        ever=sum(one.ever or 0 for one in each) if counted else None,
        lately=sum(one.lately or 0 for one in each) if counted else None,
    )
