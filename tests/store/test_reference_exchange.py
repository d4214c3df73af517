"""The reference as a file: out and in again without a loss, nothing done that was not shown, all of it taken back."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, update

from clinic_dispatch_plugin.api import Answer
from clinic_dispatch_plugin.error_reference import (
    bytes_read,
    editing,
    history,
    importing,
    service,
    sheet_columns,
)
from clinic_dispatch_plugin.error_reference.bytes_read import FileFault
from clinic_dispatch_plugin.error_reference.carrying import Plan, Verb
from clinic_dispatch_plugin.error_reference.checking import ReferenceProblem
from clinic_dispatch_plugin.error_reference.rules import KnownEntry, Matched
from clinic_dispatch_plugin.error_reference.tables import AnswerRow, Entry, EntryChange
from clinic_dispatch_plugin.registry import Dispatch
from tests.clinic.host import make_clinic
from tests.store.pigeons import Pigeons

LANGUAGES = ("de", "en", "ru")
FEW = {"CLINIC_DISPATCH_BLOCKED_PLUGINS": "email,sms,viber,voice"}
STRANGE = Answer(system="pigeon", code="9", text="the loft is on fire")


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Dispatch, Dispatch]]:
    """Give two clinics with the same small packs."""
    made = [
        make_clinic(tmp_path_factory.mktemp(name), config=FEW, plugins=[Pigeons()])
        for name in ("one", "other")
    ]
    yield made[0].dispatch, made[1].dispatch
    for each in made:
        each.dispatch.database.dispose()


def emptied(dispatch: Dispatch) -> Dispatch:
    """The clinic as it was installed."""
    with dispatch.database.begin() as connection:
        connection.execute(delete(EntryChange))
        connection.execute(delete(AnswerRow))
        connection.execute(delete(Entry).where(Entry.origin == "clinic"))
        connection.execute(update(Entry).values(own=None, base=None, same_as=None, retired_at=None))
    dispatch.cache.pop("reference", None)
    return dispatch


@pytest.fixture
def here(two: tuple[Dispatch, Dispatch]) -> Dispatch:
    """Give a clinic that has changed nothing yet."""
    return emptied(two[0])


@pytest.fixture
def there(two: tuple[Dispatch, Dispatch]) -> Dispatch:
    """Give another one."""
    return emptied(two[1])


def exported(dispatch: Dispatch, kind: str = "jsonl", **options: Any) -> bytes:
    return "".join(importing.exported(dispatch, kind, **options)).encode()


def planned(dispatch: Dispatch, content: bytes) -> Plan:
    return importing.planned(dispatch, io.BytesIO(content))


def imported(dispatch: Dispatch, content: bytes) -> Plan:
    plan = planned(dispatch, content)
    return importing.apply(dispatch, io.BytesIO(content), by="A. Kern", shown=plan.digest)


def known(dispatch: Dispatch, code: str, system: str = "pigeon") -> KnownEntry:
    with dispatch.database.begin() as connection:
        found = service.reference(dispatch, connection).find(system, code)
    assert found is not None
    return found


def added(dispatch: Dispatch, code: str, **content: Any) -> KnownEntry:
    said = {"short.de": "Ein Hinweis", **content}
    return editing.add_entry(dispatch, system="pigeon", code=code, content=said, by="A. Kern")


def some_of_everything(dispatch: Dispatch) -> None:
    """Own words, changed ones, a pattern, an alias, one out of use, a policy, three languages."""
    own = editing.add_entry(
        dispatch,
        system="pigeon",
        code="7",
        pattern=" loft.*fire ",
        unless="-drill",
        content={
            "short.de": "=Brand",
            "short.en": "+Fire",
            "short.ru": "Пожар\nдва",
            "policy.tries": 7,
        },
        by="A. Kern",
    )
    editing.add_same_as(dispatch, system="pigeon", code="8", same_as=own.id, by="A. Kern")
    editing.add_same_as(
        dispatch, system="pigeon", code="8b", same_as=known(dispatch, "1").id, by="A. Kern"
    )
    gone = added(dispatch, "10", **{"policy.base": 100.0, "policy.block": True})
    editing.restore_entry(dispatch, gone.id, by="A. Kern")
    changed = {"short.de": "'=Greifvogel", "what_helps.ru": "", "policy.pause_share": 0.15}
    editing.change_entry(dispatch, known(dispatch, "1").id, content=changed, by="A. Kern")


# Out and in again

WORDS = st.text(max_size=30)
CODES = st.text(st.characters(codec="ascii", exclude_categories=["C"]), min_size=1, max_size=8)
CONTENT = st.fixed_dictionaries(
    {"short.de": WORDS, "short.ru": WORDS},
    optional={
        **{f"{name}.{language}": WORDS for name in ("what_happened", "what_helps") for language in LANGUAGES},
        "who": st.sampled_from(["recipient", "reception", "nobody"]),
        "group": st.sampled_from(["service", "sending", "delivery"]),
        "category": st.sampled_from(["busy", "balance", "unknown"]),
        "policy.action": st.sampled_from(["retry", "fail", "stop_account"]),
        "policy.base": st.floats(0, 86_400, allow_nan=False),
        "policy.tries": st.integers(1, 50),
        "policy.block": st.booleans(),
    },
)  # fmt: skip
PATTERNS = st.sampled_from(["", "", "loft", "-fire", "=x", " a b ", "'", '"', "[a-z]+;", "ё"])
DEEDS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), CODES, PATTERNS, CONTENT),
        st.tuples(st.just("same"), CODES, PATTERNS, st.integers(0, 70)),
        st.tuples(st.just("change"), st.integers(0, 70), CONTENT),
        st.tuples(st.just("restore"), st.integers(0, 70)),
    ),
    max_size=8,
)


def done(dispatch: Dispatch, deeds: Sequence[Any]) -> None:
    for name, *rest in deeds:
        with dispatch.database.begin() as connection:
            ids = sorted(service.reference(dispatch, connection).entries)
        try:
            if name == "add":
                code, pattern, content = rest
                editing.add_entry(
                    dispatch, system="pigeon", code=code, pattern=pattern, content=content, by="x"
                )
            elif name == "same":
                code, pattern, place = rest
                target = ids[-1 - place % len(ids)]
                editing.add_same_as(
                    dispatch, system="pigeon", code=code, pattern=pattern, same_as=target, by="x"
                )
            elif name == "change":
                editing.change_entry(
                    dispatch, ids[-1 - rest[0] % len(ids)], content=rest[1], by="x"
                )
            else:
                editing.restore_entry(dispatch, ids[-1 - rest[0] % len(ids)], by="x")
        except (ReferenceProblem, LookupError):
            continue


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(deeds=DEEDS)
def test_what_goes_out_comes_in_again_to_the_byte(
    two: tuple[Dispatch, Dispatch], deeds: Sequence[Any]
) -> None:
    here, there = map(emptied, two)
    done(here, deeds)
    content = exported(here)
    first = imported(there, content)
    assert first.refused == []
    assert exported(there) == content
    assert planned(there, content).counts["unchanged"] == len(content.splitlines()) - 1
    as_sheet = exported(here, "csv", language="de")
    assert planned(here, as_sheet).deeds == []
    assert planned(here, as_sheet).refused == []


def test_some_of_everything_survives_on_every_database(dispatch: Dispatch, here: Dispatch) -> None:
    some_of_everything(here)
    content = exported(here)
    # The pages' own installation has all packs: only what the clinic wrote is carried to it.
    own = exported(here, own_only=True)
    plan = imported(dispatch, own)
    assert plan.counts == {"added": 4, "changed": 1, "unchanged": 0, "refused": 0}
    assert exported(dispatch, own_only=True) == own
    assert len(own) < len(content)
    [latest] = importing.last_imports(dispatch)
    assert importing.take_back(dispatch, latest.number, by="B. Lang").entries == 5


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_spreadsheet_comes_in_again_in_every_language(
    here: Dispatch, there: Dispatch, language: str
) -> None:
    some_of_everything(here)
    content = exported(here, "csv", language=language)
    assert content.startswith(b"\xef\xbb\xbf")
    plan = imported(there, content)
    assert plan.refused == []
    assert plan.counts["added"] == 4
    assert exported(there, "csv", language=language) == content
    assert planned(there, content).counts["unchanged"] == len(rows_of(content)) - 1


def rows_of(content: bytes) -> list[list[str]]:
    text = content.decode("utf-8-sig")
    separator = ";" if ";" in text.splitlines()[0] else ","
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=separator))


def as_csv(
    rows: Sequence[Sequence[str]], *, encoding: str = "utf-8-sig", separator: str = ";"
) -> bytes:
    held = io.StringIO(newline="")
    csv.writer(held, delimiter=separator).writerows(rows)
    return held.getvalue().encode(encoding)


def test_no_cell_is_a_formula_and_no_code_a_date(here: Dispatch) -> None:
    some_of_everything(here)
    cells = [cell for row in rows_of(exported(here, "csv")) for cell in row]
    assert [cell for cell in cells if cell[:1] in "=+-@\t\r" and cell] == []
    assert {"'=Brand", "'+Fire", "''=Greifvogel", "'-drill"} <= set(cells)
    assert "pigeon 1" in cells


@pytest.mark.parametrize("text", ["=1", "'=1", "''@x", "'plain", "-", "+49", "\tx", "'", ""])
def test_guarding_a_cell_is_reversed(text: str) -> None:
    assert sheet_columns.unguarded(sheet_columns.guarded(text)) == text


def test_words_of_choices_are_told_apart_in_every_language() -> None:
    for name in ("group", "who", "category", "permanence", "policy.action", "origin"):
        for key in sheet_columns._choices(name):
            for language in LANGUAGES:
                word = sheet_columns.choice(name, key, language)
                assert sheet_columns.choice_meant(name, word) == key
    headings = [column.heading("de") for column in sheet_columns.COLUMNS]
    assert len(set(headings)) == len(headings)


# What a person changed in the spreadsheet


def edited(dispatch: Dispatch, entry_code: str, /, **cells: str) -> bytes:
    """The spreadsheet of a clinic with some cells of one row changed; columns are named by their fields."""
    rows = rows_of(exported(dispatch, "csv"))
    names = [sheet_columns.headings()[heading.casefold()].name for heading in rows[0]]
    row = next(row for row in rows if row[1] == f"pigeon {entry_code}")
    for name, cell in cells.items():
        row[names.index(name)] = cell
    return as_csv([rows[0], row])


def test_changed_cells_change_their_fields_alone(here: Dispatch) -> None:
    content = edited(here, "1", **{"short.de": "Greifvogel", "policy.tries": "7", "who": "Empfang"})
    plan = planned(here, content)
    [deed] = plan.of(Verb.CHANGED)
    assert [(each.field, each.now, each.then) for each in deed.changes] == [
        ("policy.tries", None, 7),
        ("short.de", "Falke", "Greifvogel"),
        ("who", "nobody", "reception"),
    ]
    imported(here, content)
    entry = known(here, "1")
    assert entry.own == {"policy.tries", "short.de", "who"}
    assert (entry.policy.tries, entry.who) == (7, "reception")


def test_the_shipped_word_written_back_is_the_packs_again(here: Dispatch) -> None:
    before = edited(here, "1")
    editing.change_entry(
        here, known(here, "1").id, content={"short.de": "Greif", "policy.tries": 7}, by="x"
    )
    imported(here, before)
    assert not known(here, "1").changed


def test_an_emptied_text_is_emptied_and_an_emptied_choice_stays(here: Dispatch) -> None:
    imported(here, edited(here, "1", **{"what_helps.de": "", "who": ""}))
    entry = known(here, "1")
    assert (entry.content["what_helps.de"], entry.who) == ("", "nobody")
    assert entry.own == {"what_helps.de"}


@pytest.mark.parametrize("separator", [",", "\t"])
def test_a_row_that_a_person_added_by_hand_is_an_entry(here: Dispatch, separator: str) -> None:
    rows = [["Dienst", "Kennzahl", "SHORT.DE", "Meine Notizen"], ["pigeon", "77", "Sturm", "x"]]
    plan = imported(here, as_csv(rows, encoding="utf-16", separator=separator))
    assert plan.counts == {"added": 1, "changed": 0, "unchanged": 0, "refused": 0}
    assert known(here, "77").text("short", "de") == "Sturm"


@pytest.mark.parametrize(
    ("cells", "field", "said"),
    [
        ({"short.de": "x" * 200}, "short.de", "At most"),
        ({"policy.tries": "many"}, "policy.tries", "Give a number."),
        ({"policy.tries": "99"}, "policy.tries", "from 1 to 50"),
        ({"policy.base": "nan"}, "policy.base", "Give a number."),
        ({"category": "rubbish"}, "category", "Choose one of"),
        ({"policy.block": "maybe"}, "policy.block", "yes or no"),
        ({"short.ru": "???? ??????"}, "short.ru", "Letters were lost"),
        ({"origin": "theirs"}, "origin", "Choose one of"),
        ({"same_as": "pigeon 404"}, "same_as", "There is no entry pigeon 404"),
        ({"retired": "bald"}, "retired", "yes or no"),
        ({"code": "pigeon 404"}, "code", "does not ship this entry"),
        ({"code": ""}, "code", "Give the provider's code"),
        ({"code": "smtp 05.01.2001", "system": "smtp"}, "code", "made a date"),
        ({"code": "9", "origin": "", "pattern": "("}, "pattern", "cannot be used"),
        ({"code": "9", "origin": "", "short.de": "", "short.en": "", "short.ru": ""}, "short", "note"),
    ],
)  # fmt: skip
def test_a_cell_that_cannot_be_is_refused_with_line_and_reason(
    here: Dispatch, cells: dict[str, str], field: str, said: str
) -> None:
    before = exported(here)
    plan = imported(here, edited(here, "1", **cells))
    [refused] = plan.refused
    assert (refused.line, refused.why.field) == (2, field)
    assert said in str(refused.why)
    assert plan.deeds == []
    assert exported(here) == before


def test_the_line_of_a_refused_row_is_the_files(here: Dispatch) -> None:
    rows = [
        ["system", "code", "short.de", "what_helps.de"],
        ["pigeon", "70", "a", "one\ntwo\nthree"],
        ["pigeon", "71", "", ""],
        ["pigeon", "70", "b", ""],
    ]
    plan = planned(here, as_csv(rows))
    assert [(each.line, str(each.why)) for each in plan.refused] == [
        (5, "Write the note that stands beside the message."),
        (6, "This entry stands in line 2 already."),
    ]


# JSON Lines that somebody wrote

HEAD = b'{"format": "clinic-dispatch-reference", "version": 2}\n'
GOOD = {"origin": "clinic", "system": "pigeon", "code": "70", "own": {"short.de": "gut"}}


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ("rubbish", "row"),
        ("[1]", "row"),
        ("[" * 100_000, "row"),
        ('{"origin": NaN}', "row"),
        ({**GOOD, "colour": "red"}, "colour"),
        ({**GOOD, "origin": "us"}, "origin"),
        ({**GOOD, "code": 7}, "code"),
        ({**GOOD, "code": "ö"}, "code"),
        ({**GOOD, "system": "x" * 50}, "system"),
        ({**GOOD, "pattern": "("}, "pattern"),
        ({**GOOD, "pattern": "a\0b"}, "pattern"),
        ({**GOOD, "unless": "x" * 501}, "unless"),
        ({**GOOD, "pattern": "\ud800"}, "pattern"),
        ({**GOOD, "own": [1]}, "own"),
        ({**GOOD, "own": {"colour": "red"}}, "colour"),
        ({**GOOD, "own": {"short.de": 5}}, "short.de"),
        ({**GOOD, "own": {"category": "unknown"}}, "short"),
        ({**GOOD, "own": {"short.de": "x", "category": "fun"}}, "category"),
        ({**GOOD, "own": {"short.de": "x", "who": "you"}}, "who"),
        ({**GOOD, "own": {"short.de": "x", "policy.tries": "x"}}, "policy.tries"),
        ({**GOOD, "own": {"short.de": "x", "policy.tries": 10**400}}, "policy.tries"),
        ({**GOOD, "own": {"short.de": "x", "policy.block": "yes"}}, "policy.block"),
        ({**GOOD, "own": {"short.de": "x", "provider": "a\nb"}}, "provider"),
        ({**GOOD, "base": {"short.de": [1]}}, "short.de"),
        ({**GOOD, "retired": "yes"}, "retired"),
        ({**GOOD, "same_as": "5.1.1"}, "same_as"),
        ({**GOOD, "same_as": {**GOOD, "code": "404"}}, "same_as"),
        ({**GOOD, "same_as": GOOD}, "same_as"),
        ({**GOOD, "origin": "shipped", "code": "404"}, "code"),
    ],
)  # fmt: skip
def test_a_line_that_cannot_be_is_refused_and_the_others_go_in(
    here: Dispatch, line: Any, field: str
) -> None:
    text = line if isinstance(line, str) else json.dumps(line)
    other = json.dumps({**GOOD, "code": "71"})
    plan = imported(here, HEAD + f"{text}\n{other}\n".encode())
    [refused] = plan.refused
    assert (refused.line, refused.why.field) == (2, field)
    assert known(here, "71").text("short", "de") == "gut"
    assert plan.counts["added"] == 1


def test_what_a_file_does_not_mention_stays(here: Dispatch, there: Dispatch) -> None:
    content = exported(there)
    added(here, "70")
    editing.change_entry(here, known(here, "1").id, content={"short.en": "Raptor"}, by="x")
    before = exported(here)
    assert imported(here, content).deeds == []
    assert exported(here) == before


# Whole files that are none

FOREIGN = {
    "empty": (b"", "empty"),
    "blank": (b"\xef\xbb\xbf \r\n", "empty"),
    "excel": (b"PK\x03\x04[Content_Types].xml", "spreadsheet file"),
    "old excel": (b"\xd0\xcf\x11\xe0\xa1\xb1", "spreadsheet file"),
    "pdf": (b"%PDF-1.7", "PDF"),
    "gzip": (b"\x1f\x8b\x08", "archive"),
    "html": (b"<!DOCTYPE html><table>", "web page"),
    "xml": (b"\xef\xbb\xbf<?xml version='1.0'?>", "web page"),
    "nul": (b"system;code\n\0", "no text file"),
    "late nul": (HEAD + b" " * 5_000 + b"\n{\0}", "no text file"),
    "binary": (bytes(range(256)) * 20, "no text file"),
    "latin": ("Dienst;Kennzahl;Kurz\nä;1;ö".encode("cp1252"), "CSV UTF-8"),
    "utf-32": ("system;code".encode("utf-32"), "CSV UTF-8"),
    "other csv": (b"email;name\na@example.org;Anna\n", "no columns of the reference"),
    "other json": (b'{"patients": [1]}', "no file of the reference"),
    "json list": (b"[" * 100_000, "no file of the reference"),
    "other version": (HEAD.replace(b"2", b"3"), "another version"),
    "twice": (b"system;code;code\n", "twice"),
    "open quote": (b'system;code;short.de\npigeon;"70;a\nb;c\n' * 9, "quotation mark"),
    "long line": (HEAD + b"x" * 300_000, "Line 2 of the file is longer"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_foreign_file_changes_nothing_and_says_what_to_do(here: Dispatch, name: str) -> None:
    content, said = FOREIGN[name]
    before = exported(here)
    with pytest.raises(FileFault, match=said) as fault:
        importing.apply(here, io.BytesIO(content), by="x")
    assert fault.value.advice
    assert exported(here) == before


def test_a_huge_file_is_left_before_it_is_read_whole(
    here: Dispatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bytes_read, "MOST_BYTES", 1_000_000)
    endless = Endless()
    with pytest.raises(FileFault, match="larger"):
        planned_stream(here, endless)
    assert endless.given < 2_000_000


class Endless(io.RawIOBase):
    """A spreadsheet without an end."""

    def __init__(self) -> None:
        self.given = 0
        self._head = b"system;code;short.de\n"

    def readable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self.given = 0
        return 0

    def read(self, size: int = -1) -> bytes:
        line = b"pigeon;1;" + b"x" * 200 + b"\n" if self.given else self._head
        portion = (line * (max(size, 0) // len(line) + 1))[:size] if self.given else line
        self.given += len(portion)
        return portion


def planned_stream(dispatch: Dispatch, stream: Any) -> Plan:
    return importing.planned(dispatch, stream)


def test_too_many_rows_are_too_many(here: Dispatch, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("carried_lines", "sheet"):
        monkeypatch.setattr(f"clinic_dispatch_plugin.error_reference.{module}.MOST_ROWS", 1)
    rows = [["system", "code"], ["pigeon", "1"], ["pigeon", "2"]]
    for content in (as_csv(rows), HEAD + b"{}\n{}\n"):
        with pytest.raises(FileFault, match="rows"):
            planned(here, content)


# Applying exactly what was shown, and taking it back


def test_what_changed_since_it_was_shown_is_shown_again(here: Dispatch, there: Dispatch) -> None:
    added(there, "70")
    editing.change_entry(there, known(there, "1").id, content={"short.de": "Greif"}, by="x")
    content = exported(there)
    shown = planned(here, content).digest
    editing.change_entry(here, known(here, "1").id, content={"short.de": "Habicht"}, by="B. Lang")
    with pytest.raises(importing.Overtaken) as overtaken:
        importing.apply(here, io.BytesIO(content), by="A. Kern", shown=shown)
    assert known(here, "1").text("short", "de") == "Habicht"
    now = overtaken.value.plan
    assert [each.now for deed in now.of(Verb.CHANGED) for each in deed.changes] == ["Habicht"]
    importing.apply(here, io.BytesIO(content), by="A. Kern", shown=now.digest)
    assert known(here, "1").text("short", "de") == "Greif"


def test_earlier_messages_explain_themselves_after_an_import_and_not_after_it_is_taken_back(
    here: Dispatch, there: Dispatch
) -> None:
    added(there, "9", **{"short.de": "Brand"})
    answer_id = here.database.run(lambda c: service.note_answer(here, c, STRANGE)[0])
    imported(here, exported(there, own_only=True))
    assert service.explain(here, STRANGE).matched is Matched.EXACT
    with here.database.begin() as connection:
        row = connection.execute(AnswerRow.__table__.select()).mappings().one()
    assert (row["id"], row["draft"], row["entry_id"]) == (answer_id, False, known(here, "9").id)
    [latest] = importing.last_imports(here)
    importing.take_back(here, latest.number, by="B. Lang")
    assert service.explain(here, STRANGE).matched is Matched.DRAFT


def test_one_undo_takes_a_whole_import_back_and_leaves_what_was_changed_since(
    here: Dispatch, there: Dispatch
) -> None:
    some_of_everything(there)
    before = exported(here)
    imported(here, exported(there))
    [latest] = importing.last_imports(here)
    assert (latest.by, latest.entries, latest.taken_back) == ("A. Kern", 5, 0)
    seven = known(here, "8").same_as
    assert seven is not None
    editing.change_entry(here, seven, content={"who": "reception"}, by="B. Lang")
    done = importing.take_back(here, latest.number, by="B. Lang")
    assert (done.entries, done.left) == (4, 1)
    assert importing.take_back(here, latest.number, by="B. Lang").entries == 0
    assert importing.last_imports(here)[0].taken_back == 4
    kept = [json.loads(line) for line in exported(here, own_only=True).splitlines()[1:]]
    assert [(row["code"], row["retired"]) for row in kept if row["origin"] == "shipped"] == []
    assert {row["code"]: row["retired"] for row in kept} == {
        "7": False,
        "8": True,
        "8b": True,
        "10": True,
    }
    assert len(before.splitlines()) == len(exported(here).splitlines()) - 4
    assert history.history(here, seven)[0].by == "B. Lang"
    again = imported(here, exported(there))
    assert again.counts["added"] == 2
    assert known(here, "8").same_as == seven


def test_an_import_that_does_nothing_leaves_no_trace(here: Dispatch) -> None:
    imported(here, exported(here))
    assert importing.last_imports(here) == []
    with pytest.raises(LookupError):
        importing.take_back(here, "zzz", by="x")


def test_an_entry_in_use_is_retired_and_never_deleted(here: Dispatch) -> None:
    own = added(here, "9")
    here.database.run(lambda c: service.note_answer(here, c, STRANGE))
    imported(here, edited(here, "9", retired="ja"))
    with here.database.begin() as connection:
        row = (
            connection.execute(Entry.__table__.select().where(Entry.id == own.id)).mappings().one()
        )
    assert row["retired_at"] is not None
    assert history.history(here, own.id)[0].can_be_undone
