"""The reference as a spreadsheet for people: a row an entry, a column for each text in each language; and back."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from clinic_dispatch_plugin.error_reference import sheet_columns as columns
from clinic_dispatch_plugin.error_reference.bytes_read import MOST_ROWS, FileFault, too_many
from clinic_dispatch_plugin.error_reference.carried_lines import (
    check_own,
    checked_key,
    not_shipped,
)
from clinic_dispatch_plugin.error_reference.carrying import Here, Key, Refused, Standing, Wanted
from clinic_dispatch_plugin.error_reference.checking import (
    ReferenceProblem,
    check_has_note,
    checked_content,
)
from clinic_dispatch_plugin.error_reference.policy import PolicyAction, usual
from clinic_dispatch_plugin.error_reference.rules import TEXT_FIELDS
from clinic_dispatch_plugin.web.i18n import N_

BOM = "\ufeff"
_SEPARATORS = ";,\t"
#: What Excel makes of a code such as 5.1.1.
_DATE = re.compile(r"\d{1,2}[./]\d{1,2}[./]\d{4}$|\d{4}-\d{2}-\d{2}$")
#: What is left of Russian letters where a file was saved in an old encoding.
_LOST = re.compile(r"\?{3,}")
_AS_EXPORTED = N_("Choose a file that was exported on this page, or keep its first line as it was.")


def written(here: Here, language: str, *, own_only: bool = False) -> Iterator[str]:
    """The file, row by row; German and Russian spreadsheets want semicolons."""
    separator = "," if language == "en" else ";"
    yield BOM + _row([column.heading(language) for column in columns.COLUMNS], separator)
    for each in here.in_order(own_only=own_only):
        said = _cells(each, here, language)
        yield _row([said[column.name] for column in columns.COLUMNS], separator)


def _row(cells: Sequence[str], separator: str) -> str:
    held = io.StringIO()
    csv.writer(held, delimiter=separator, lineterminator="\r\n").writerow(
        [columns.guarded(each) for each in cells]
    )
    return held.getvalue()


def _cells(each: Standing, here: Here, language: str) -> dict[str, str]:
    """Every cell of an entry's row."""
    same = here.by_id.get(each.same_as or 0)
    content = each.entry.content
    return {
        **{c.name: columns.cell(c, content.get(c.name), language) for c in columns.COLUMNS},
        "system": each.key.system,
        # With its system before it no spreadsheet takes 5.1.1 for a date.
        "code": f"{each.key.system} {each.key.code}",
        "pattern": each.key.pattern,
        "unless": each.key.unless,
        "origin": columns.choice("origin", each.key.origin, language),
        "retired": columns.switch(True, language) if each.retired else "",
        "same_as": same.key.label if same else "",
    }


def read(lines: Iterable[str], here: Here) -> Iterator[Wanted | Refused]:
    """What each row wants; a row that cannot be taken is refused by itself.

    :raises FileFault: the file is not of this kind.
    """
    several = iter(lines)
    first = next((line for line in several if line.strip("\ufeff\r\n ")), "")
    separator = max(_SEPARATORS, key=first.count)
    reader = csv.reader(_with(first, several), delimiter=separator, strict=True)
    try:
        names = _header(next(reader, []))
        start, rows, file = reader.line_num + 1, 0, _File(here)
        for cells in reader:
            if any(each.strip() for each in cells):
                rows += 1
                if rows > MOST_ROWS:
                    raise too_many()
                yield _read_row(start, names, cells, file)
            start = reader.line_num + 1
    except csv.Error:
        raise FileFault(
            N_(
                "From line {line} on the file cannot be read: a quotation mark is missing or too many."
            ),
            N_("Open it in your spreadsheet program and save it as “CSV UTF-8” again."),
            line=reader.line_num,
        ) from None


def _with(first: str, others: Iterator[str]) -> Iterator[str]:
    yield first.removeprefix(BOM)
    yield from others


def _header(cells: Sequence[str]) -> list[str]:
    known = columns.headings()
    found = [known.get(columns.unguarded(each).strip().casefold()) for each in cells]
    names = [column.name if column is not None else "" for column in found]
    if not all(name in names for name in columns.NEEDED):
        raise FileFault(N_("The first line has no columns of the reference."), _AS_EXPORTED)
    twice = next((name for name in names if name and names.count(name) > 1), None)
    if twice is not None:
        raise FileFault(
            N_("The column “{column}” is there twice."),
            N_("Delete one of the two."),
            column=cells[names.index(twice)],
        )
    return names


def _cell(name: str, text: str) -> str:
    """A cell as it was before it was written; blanks at the ends matter in patterns alone."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return columns.unguarded(text if name in ("pattern", "unless") else text.strip())


@dataclass(slots=True)
class _File:
    """What is known while a file is read: the reference here, and the rows before, by their names."""

    here: Here
    coming: dict[str, Wanted] = field(default_factory=dict)

    def content_of(self, key: Key) -> Mapping[str, Any]:
        """The words of an entry that another one shares."""
        there = self.here.find(key)
        coming = self.coming.get(key.label)
        return there.entry.content if there is not None else coming.own if coming else {}


def _read_row(
    line: int, names: Sequence[str], cells: Sequence[str], file: _File
) -> Wanted | Refused:
    said = {name: _cell(name, each) for name, each in zip(names, cells, strict=False) if name}
    label = said.get("code", "")[:100] or said.get("system", "")[:100]
    try:
        if len(cells) > len(names) and any(each.strip() for each in cells[len(names) :]):
            raise ReferenceProblem("row", "The row has more cells than the first line has columns.")
        key = _key(said, file.here)
        label = key.label
        there = file.here.find(key)
        if there is None and key.origin == "shipped":
            raise not_shipped()
        wanted = _new(line, key, said, file) if there is None else _changed(line, there, said, file)
        file.coming[label] = wanted
        return wanted
    except ReferenceProblem as why:
        return Refused(line=line, label=label, why=why)


def _key(said: Mapping[str, str], here: Here) -> Key:
    system = said.get("system", "").strip()
    code = said.get("code", "").strip().removeprefix(f"{system} ")
    if _DATE.match(code) and system == "smtp":
        raise ReferenceProblem(
            "code", "The spreadsheet program made a date of this code. Write it as “smtp 5.1.1”."
        )
    named = said.get("origin", "")
    rest = {name: said.get(name, "") for name in ("pattern", "unless")}
    several = ("clinic", "shipped") if not named else (columns.choice_meant("origin", named),)
    keys = [checked_key(origin=each, system=system, code=code, **rest) for each in several]
    return next((key for key in keys if here.find(key) is not None), keys[0])


def _same_as(said: Mapping[str, str], file: _File, kept: Key | None) -> Key | None:
    """The entry whose words it shares; a file without that column leaves it as it is."""
    if "same_as" not in said:
        return kept
    label = said["same_as"]
    if not label:
        return None
    if kept is not None and label == kept.label:
        return kept
    coming = file.coming.get(label)
    found = coming.key if coming is not None else file.here.named(label)
    if found is None:
        raise ReferenceProblem("same_as", "There is no entry {name} here.", name=label[:100])
    return found


def _new(line: int, key: Key, said: Mapping[str, str], file: _File) -> Wanted:
    same_as = _same_as(said, file, None)
    words = file.content_of(same_as) if same_as is not None else {}
    own: dict[str, Any] = {}
    for column, cell in _fields(said):
        if cell and not _says(column, cell, words.get(column.name)):
            own[column.name] = _meant(column, cell, "")
    check_own(own, file.here)
    if same_as is None:
        check_has_note(own)
    own = checked_content(own, complete=same_as is None)
    retired = columns.yes_or_no("retired", said.get("retired", ""))
    return Wanted(line=line, key=key, own=own, same_as=same_as, retired=retired)


def _fields(said: Mapping[str, str]) -> Iterator[tuple[columns.Column, str]]:
    for name, cell in said.items():
        column = columns.BY_NAME[name]
        if column.kind != "key":
            yield column, cell


def _changed(line: int, there: Standing, said: Mapping[str, str], file: _File) -> Wanted:
    """The entry with what differs from what an export writes of it now."""
    kept = file.here.by_id.get(there.same_as or 0)
    changed: dict[str, Any] = {}
    for column, cell in _fields(said):
        now = there.entry.content.get(column.name)
        if not _says(column, cell, now):
            changed[column.name] = _new_value(column, cell, now, there)
    meant = {name: value for name, value in changed.items() if value is not None}
    check_own(meant, file.here)
    meant = checked_content(meant, complete=False)
    own = {**{name: v for name, v in there.own.items() if name not in changed}, **meant}
    if there.key.origin == "shipped":
        own = {
            name: value
            for name, value in own.items()
            if name not in changed or there.shipped.get(name) != value
        }
    elif not there.same_as and changed:
        check_has_note(own)
    base = {
        n: there.shipped.get(n) if n in changed else there.base.get(n) for n in own if there.shipped
    }
    retired = columns.yes_or_no("retired", said["retired"]) if "retired" in said else there.retired
    return Wanted(
        line=line,
        key=there.key,
        own=own,
        base=base,
        same_as=_same_as(said, file, kept.key if kept else None),
        retired=retired,
    )


def _says(column: columns.Column, cell: str, now: Any) -> bool:
    """Whether a cell says what holds now, in whichever language it was exported."""
    if column.kind in ("text", "word"):
        return cell == ("" if now is None else str(now))
    if column.kind == "choice" and not cell and not column.name.startswith("policy"):
        return True  # nothing chosen: it stays
    if now is None or not cell:
        return now is None and not cell
    if column.kind == "number":
        shown = columns.number_meant(column.name, columns.number(column.name, now, "en"))
        return columns.number_meant(column.name, cell) == shown
    if column.kind == "switch":
        return columns.yes_or_no(column.name, cell) == bool(now)
    return columns.choice_meant(column.name, cell, also=str(now)) == str(now)


def _new_value(column: columns.Column, cell: str, now: Any, there: Standing) -> Any:
    """What a changed cell means; None: the clinic says nothing of its own any more."""
    if cell:
        return _meant(column, cell, "" if now is None else str(now))
    if column.name.partition(".")[0] in TEXT_FIELDS:
        return ""
    if column.name not in there.shipped:
        return None
    # The pack has its own number here: what is usual for the kind has to be said in so many words.
    fallback = usual(there.entry.category, there.entry.permanence.value)
    value = getattr(fallback, column.name.partition(".")[2])
    return value.value if isinstance(value, PolicyAction) else value


def _meant(column: columns.Column, cell: str, now: str) -> Any:
    if _LOST.search(cell) and not _LOST.search(now):
        raise ReferenceProblem(
            column.name, "Letters were lost when the file was saved. Save it as “CSV UTF-8”."
        )
    if column.kind == "number":
        return columns.number_meant(column.name, cell)
    if column.kind == "switch":
        return columns.yes_or_no(column.name, cell)
    if column.kind == "choice":
        return columns.choice_meant(column.name, cell, also=now)
    return cell
