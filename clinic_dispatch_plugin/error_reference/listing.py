"""The list of the reference: which entries it shows, in which order, and how often each occurred."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from markupsafe import Markup
from sqlalchemy import Connection, RowMapping

from clinic_dispatch_plugin.channels.reference import GROUPS, LANGUAGES
from clinic_dispatch_plugin.error_reference import known_store, reading, reading_store, store
from clinic_dispatch_plugin.error_reference.occurring import Occurred, counts, occurrences
from clinic_dispatch_plugin.error_reference.rules import KnownEntry, Reference
from clinic_dispatch_plugin.error_reference.service import reference
from clinic_dispatch_plugin.registry import Dispatch

#: Rows under each heading before somebody asks for all of that heading, and rows of a page of it.
PORTION, PAGE = 20, 50
#: Rows under a heading of which nothing occurred here.
FIRST = 5

#: Whose codes go over which channel; a third party's say it by their name, such as ``fax_send``.
CHANNELS: Mapping[str, Sequence[str]] = {
    "email": ("smtp",),
    "sms": ("smsc", "twilio", "infobip", "vonage", "smpp", "gsm"),
    "voice": ("twilio_call", "sip", "q850", "asterisk", "call"),
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
    #: False: nobody counts how often an entry occurred.
    counted: bool
    #: Only what the reader may see is, of the last days.
    partly: bool
    index: Index


@dataclass(frozen=True, slots=True)
class _Line:
    """What an entry is searched by; made once for each revision of the reference, ordered by service and code."""

    entry: KnownEntry
    words: str
    missing: frozenset[str]
    #: Asked for every line at every look at the list.
    group: str
    changed: bool


@dataclass(slots=True)
class Index:
    """One revision of the reference, ready for the list."""

    reference: Reference
    lines: Sequence[_Line]
    systems: Sequence[str]
    changed: int
    #: Rows as they were rendered, by what is seen of them.
    rows: dict[tuple[Any, ...], Markup] = field(default_factory=dict)
    #: All lines in order, and what they were put in order by.
    ordered: tuple[Mapping[int, Occurred], list[_Line]] | None = None


def overview(
    dispatch: Dispatch,
    wanted: Wanted,
    *,
    all_drafts: bool = False,
    seen: Mapping[int, int] | None = None,
) -> Overview:
    """The list: entries by heading, the most frequent first, and the drafts.

    :param seen: where the host hides patients, what :func:`seen_by` found.
    """
    with dispatch.database.begin() as connection:
        known = reference(dispatch, connection)
        index = _index(dispatch, known)
        occurred = occurrences(dispatch, connection, seen)
        found = _found(connection, index, wanted, occurred)
        sections = [
            _section(connection, group, lines, wanted, occurred)
            for group, lines in _by_group(found).items()
            if lines
        ]
        latest = store.drafts(connection, None if all_drafts else reading.FIRST_DRAFTS)
        fitting = _fitting_drafts(connection, wanted)
        return Overview(
            sections=sections,
            drafts=reading.drafts_of(dispatch, connection, known, latest),
            draft_total=store.draft_count(connection),
            fitting=reading.drafts_of(dispatch, connection, known, fitting),
            total=len(index.lines),
            changed=index.changed,
            found=len(found),
            pages=-(-len(found) // PAGE) if wanted.heading else 1,
            counted=counts(dispatch),
            partly=seen is not None,
            index=index,
        )


def _found(
    connection: Connection, index: Index, wanted: Wanted, occurred: Mapping[int, Occurred]
) -> list[_Line]:
    lines = _retired(connection) if wanted.whose == "retired" else index.lines
    if wanted.filtered:
        lines = [line for line in lines if _fits(line, wanted, occurred)]
        return _in_order(lines, index, occurred)
    if index.ordered is None or index.ordered[0] is not occurred:
        index.ordered = occurred, _in_order(lines, index, occurred)
    return index.ordered[1]


def notable(dispatch: Dispatch, *, seen_only: bool) -> dict[str, list[Listed]]:
    """What occurred here and, on demand, what the clinic wrote or changed: by heading, the most frequent first."""
    with dispatch.database.begin() as connection:
        index = _index(dispatch, reference(dispatch, connection))
        occurred = occurrences(dispatch, connection)
    lines = [
        line
        for line in index.lines
        if line.entry.id in occurred or (line.entry.changed and not seen_only)
    ]
    in_order = _in_order(lines, index, occurred)
    return {
        group: [Listed(entry=each.entry, occurred=occurred.get(each.entry.id)) for each in several]
        for group, several in _by_group(in_order).items()
    }


def _in_order(
    lines: Sequence[_Line], index: Index, occurred: Mapping[int, Occurred]
) -> list[_Line]:
    """The most frequent first, then what the clinic changed, then services in use here, our program, all others."""
    here = {entry.system for number in occurred if (entry := index.reference.entries.get(number))}
    frequent: list[_Line] = []
    changed: list[_Line] = []
    near: list[_Line] = []
    others: list[_Line] = []
    for line in lines:
        entry = line.entry
        if entry.id in occurred:
            frequent.append(line)
        elif line.changed:
            changed.append(line)
        else:
            (near if entry.system in here else others).append(line)
    frequent.sort(key=lambda line: occurred[line.entry.id].frequency, reverse=True)
    return [*frequent, *changed, *near, *others]


def _by_group(lines: Sequence[_Line]) -> dict[str, list[_Line]]:
    found: dict[str, list[_Line]] = {group: [] for group in GROUPS}
    for line in lines:
        found.setdefault(line.group, []).append(line)
    return found


def listed(
    dispatch: Dispatch,
    entry: KnownEntry,
    *,
    retired: bool = False,
    seen: Mapping[int, int] | None = None,
) -> Listed:
    """One entry as the list shows it."""
    with dispatch.database.begin() as connection:
        occurred = occurrences(dispatch, connection, seen)
        return _listed(connection, [entry], occurred, retired=retired)[0]


def _listed(
    connection: Connection,
    entries: Sequence[KnownEntry],
    occurred: Mapping[int, Occurred],
    *,
    retired: bool,
) -> list[Listed]:
    uncounted = [e.id for e in entries if (said := occurred.get(e.id)) and said.ever is None]
    last = reading_store.last_seen(connection, uncounted) if uncounted else {}
    found = []
    for entry in entries:
        said = occurred.get(entry.id)
        if said is not None and entry.id in last:
            said = said._replace(last_seen_at=last[entry.id])
        found.append(Listed(entry=entry, occurred=said, retired=retired))
    return found


def _section(
    connection: Connection,
    group: str,
    lines: Sequence[_Line],
    wanted: Wanted,
    occurred: Mapping[int, Occurred],
) -> Section:
    if wanted.heading:
        first, last = (wanted.page - 1) * PAGE, wanted.page * PAGE
    else:
        # What occurred or was changed stands in front: the many that never happened here are one click away.
        standing_out = sum(line.entry.id in occurred or line.entry.changed for line in lines)
        first, last = 0, PORTION if wanted.filtered else min(PORTION, max(FIRST, standing_out))
    shown = [line.entry for line in lines[first:last]]
    rows = _listed(connection, shown, occurred, retired=wanted.whose == "retired")
    return Section(group=group, rows=rows, total=len(lines))


def _index(dispatch: Dispatch, known: Reference) -> Index:
    kept = dispatch.cache.get(_CACHE)
    if isinstance(kept, Index) and kept.reference is known:
        return kept
    entries = sorted(known.entries.values(), key=_place)
    made = Index(
        reference=known,
        lines=[_line(entry) for entry in entries],
        systems=sorted({entry.system for entry in entries}),
        changed=sum(entry.changed for entry in entries),
    )
    dispatch.cache[_CACHE] = made
    return made


def _place(entry: KnownEntry) -> tuple[Any, ...]:
    parts = _NATURAL.findall(entry.code)
    natural = tuple((not p.isdecimal(), int(p) if p.isdecimal() else 0, p) for p in parts)
    return (entry.system != "dispatch", entry.system, bool(entry.pattern), natural, entry.id)


def _line(entry: KnownEntry) -> _Line:
    lacking = (
        code
        for code in LANGUAGES
        if not all(entry.content.get(f"{name}.{code}") for name in MAIN_TEXTS)
    )
    return _Line(entry, words_of(entry), frozenset(lacking), entry.group, entry.changed)


def words_of(entry: KnownEntry) -> str:
    """What a search looks through, in small letters."""
    said = (str(v) for name, v in entry.content.items() if not name.startswith("policy."))
    return " ".join((entry.key, entry.code, entry.pattern, *said)).casefold()


#: Texts without which an entry says too little in a language.
MAIN_TEXTS = ("short", "what_happened", "what_helps")


def _retired(connection: Connection) -> list[_Line]:
    """Entries out of use: they explain nothing, and are kept."""
    entries = [
        known_store.known(row, store.entry(connection, row["same_as"]) if row["same_as"] else None)
        for row in reading_store.out_of_use(connection)
    ]
    return [_line(entry) for entry in sorted(entries, key=_place)]


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


def _fitting_drafts(connection: Connection, wanted: Wanted) -> Sequence[RowMapping]:
    if not wanted.q:
        return []
    fitting = [row for row in store.drafts(connection) if _draft_fits(wanted, row)]
    return fitting[: reading.FIRST_DRAFTS]


def _draft_fits(wanted: Wanted, row: RowMapping) -> bool:
    said = f"{row['system']}:{row['code']} {row['code']} {row['sample']}".casefold()
    return has_words(wanted.q, said) and wanted.system in ("", row["system"])
