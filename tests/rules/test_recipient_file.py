"""A recipient file is read to its last good row, and what is bad in it is named with its line."""

from __future__ import annotations

import codecs
import csv
import io
import tracemalloc
import zipfile
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clinic_dispatch_plugin.mailings.recipient_file import (
    BadRow,
    FileEncoding,
    FileLimits,
    FileProblem,
    RecipientFile,
    RecipientFileError,
    RecipientRow,
    Role,
    RowProblem,
    open_recipients,
)
from clinic_dispatch_plugin.mailings.recipient_problems import FILE_TEXTS, ROW_TEXTS
from clinic_dispatch_plugin.mailings.recipient_records import LONGEST_RECORD


def opened(
    content: bytes | str, *, channel_key: str = "email", limits: FileLimits | None = None
) -> RecipientFile:
    data = content.encode() if isinstance(content, str) else content
    return open_recipients(io.BytesIO(data), channel_key=channel_key, limits=limits)


def rows(content: bytes | str, *, channel_key: str = "email") -> list[RecipientRow | BadRow]:
    return list(opened(content, channel_key=channel_key).rows())


def good(content: bytes | str) -> list[RecipientRow]:
    return [row for row in rows(content) if isinstance(row, RecipientRow)]


def bad(content: bytes | str) -> list[BadRow]:
    return [row for row in rows(content) if isinstance(row, BadRow)]


def problems(content: bytes | str) -> list[tuple[int, RowProblem]]:
    return [(row.line, row.problem) for row in bad(content)]


def refusal(
    content: bytes | str, *, channel_key: str = "email", limits: FileLimits | None = None
) -> RecipientFileError:
    with pytest.raises(RecipientFileError) as caught:
        list(opened(content, channel_key=channel_key, limits=limits).rows())
    return caught.value


def test_every_column_finds_its_meaning() -> None:
    file = opened("email;ref;name;locale;Datum des Termins\na@example.de;P1;Ada;de_at;morgen\n")
    assert [column.role for column in file.columns] == [
        Role.ADDRESS,
        Role.REF,
        Role.NAME,
        Role.LOCALE,
        Role.VALUE,
    ]
    assert file.placeholders == ("Datum_des_Termins",)
    assert list(file.rows()) == [
        RecipientRow(
            line=2,
            address="a@example.de",
            ref="P1",
            name="Ada",
            locale="de-AT",
            values={"Datum_des_Termins": "morgen"},
        )
    ]


def test_blank_optional_cells_are_none_and_blank_values_stay() -> None:
    assert good("email,ref,name,locale,room\na@example.de,, ,,\n") == [
        RecipientRow(
            line=2, address="a@example.de", ref=None, name=None, locale=None, values={"room": ""}
        )
    ]


@pytest.mark.parametrize(
    ("header", "channel_key"),
    [
        ("EMAIL", "email"),
        ("  E-Mail ", "email"),
        ("e-mail", "email"),
        ("Mail", "email"),
        ("E-Mail-Adresse", "email"),
        ("Электронная почта", "email"),
        ("phone", "sms"),
        ("SMS", "sms"),
        ("Telefon", "sms"),
        ("Handy", "voice"),
        ("Телефон", "viber"),
        ("pager", "pager"),
    ],
)
def test_the_address_column_goes_by_many_names(header: str, channel_key: str) -> None:
    file = opened(f"other;{header}\nx;address\n", channel_key=channel_key)
    assert [column.role for column in file.columns] == [Role.VALUE, Role.ADDRESS]
    assert [row.address for row in file.rows() if isinstance(row, RecipientRow)] == ["address"]


def test_a_mobile_number_is_preferred_and_the_other_number_is_a_value() -> None:
    (row,) = rows("Telefon;Handy;email\n1;2;a@example.de\n", channel_key="sms")
    assert isinstance(row, RecipientRow)
    assert (row.address, row.values) == (
        "2",
        {"Telefon": "1", "Handy": "2", "email": "a@example.de"},
    )


def test_a_mail_channel_does_not_take_phone_numbers_for_addresses() -> None:
    assert refusal("phone\n1\n").problem is FileProblem.NO_ADDRESS_COLUMN


def test_russian_and_german_headers_become_placeholder_names() -> None:
    file = opened("email;Имя;Ärztin (Name);2. Termin;№\na@b.de;Иван;Dr. Öz;heute;7\n")
    (row,) = file.rows()
    assert isinstance(row, RecipientRow)
    assert row.name == "Иван"
    assert row.values == {
        "Имя": "Иван",
        "Ärztin_Name": "Dr. Öz",
        "_2_Termin": "heute",
        "column_5": "7",
    }


@pytest.mark.parametrize("header", ["reference", "Referenz", "patient_ref", "Reference"])
def test_no_other_word_is_the_patients_ref(header: str) -> None:
    file = opened(f"email,name,{header}\na@b.de,Ada,B-17\n")
    (row,) = file.rows()
    assert isinstance(row, RecipientRow)
    assert (row.ref, row.values) == (None, {header: "B-17"})


@pytest.mark.parametrize(
    ("header", "cell", "locale"),
    [("language", "ru", "ru"), ("Sprache", "de_at", "de-AT"), ("lang", "Deutsch", None)],
)
def test_a_word_that_stands_in_for_the_locale_stays_a_value(
    header: str, cell: str, locale: str | None
) -> None:
    file = opened(f"email,{header}\na@b.de,{cell}\n")
    (row,) = file.rows()
    assert isinstance(row, RecipientRow)
    assert (row.locale, row.values, file.placeholders) == (locale, {header: cell}, (header,))


def test_beside_the_real_column_the_other_words_are_values_alone() -> None:
    file = opened("email,Имя,name,fullname,lang,locale\na@b.de,Ада,Ada,Ada K.,welche,ru\n")
    (row,) = file.rows()
    assert isinstance(row, RecipientRow)
    assert (row.name, row.locale) == ("Ada", "ru")
    assert row.values == {"Имя": "Ада", "fullname": "Ada K.", "lang": "welche"}


def test_a_value_that_stands_in_for_a_name_may_have_two_lines() -> None:
    (row,) = good('email;Имя\na@b.de;"Ада\nЛавлейс"\n')
    assert row.values == {"Имя": "Ада\nЛавлейс"}


def test_an_address_column_with_a_word_of_its_own_is_a_value_too() -> None:
    (row,) = rows("Handy\n0171 1\n", channel_key="sms")
    assert isinstance(row, RecipientRow)
    assert (row.address, row.values) == ("0171 1", {"Handy": "0171 1"})


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_delimiter_is_found_in_the_header(delimiter: str) -> None:
    file = opened(f'email{delimiter}"a,b;c\td,,;;"\nx@y.de{delimiter}1\n')
    assert file.delimiter == delimiter
    assert [row.values for row in file.rows() if isinstance(row, RecipientRow)] == [
        {"a_b_c_d": "1"}
    ]


def test_the_delimiter_that_frees_the_address_column_wins() -> None:
    file = opened("email;name, first, last\nx@y.de;Ada\n")
    assert file.delimiter == ";"


def test_excels_separator_line_is_obeyed_and_counted() -> None:
    file = opened("sep=|\r\nemail|name\r\nx@y.de|Ada\r\n")
    assert file.header_line == 2
    (row,) = file.rows()
    assert isinstance(row, RecipientRow)
    assert (row.line, row.name) == (3, "Ada")


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_all_three_line_ends_count_lines_alike(ending: str) -> None:
    lines = ["email;note", "a@b.de;1", "", 'c@d.de;"two', 'lines"', "e@f.de;3"]
    found = good(ending.join(lines))
    assert [(row.line, row.values["note"]) for row in found] == [
        (2, "1"),
        (4, "two\nlines"),
        (6, "3"),
    ]


def test_a_quoted_delimiter_stays_in_its_cell() -> None:
    (row,) = good('email,name\na@b.de,"Müller, Ada ""die Erste"""\n')
    assert row.name == 'Müller, Ada "die Erste"'


def test_a_quote_inside_an_unquoted_cell_is_a_letter() -> None:
    (row,) = good('email,size\na@b.de,5" screen\n')
    assert row.values == {"size": '5" screen'}


def test_spaces_around_a_quoted_cell_do_no_harm() -> None:
    (row,) = good('email, size ,name\na@b.de,  "1,5" , "Ada"\n')
    assert (row.values, row.name) == ({"size": "1,5"}, "Ada")


def test_delimiters_at_the_end_of_a_line_are_forgiven() -> None:
    assert [row.address for row in good("email;name;\na@b.de;Ada;\nc@d.de;Bo;;;\n")] == [
        "a@b.de",
        "c@d.de",
    ]


def test_rows_without_any_content_are_left_out() -> None:
    assert [row.line for row in rows('email;name\n\n;\n   \n"";""\na@b.de;x\n')] == [6]


def test_too_few_and_too_many_cells_name_both_numbers() -> None:
    few, many = bad("email;name;room\na@b.de;x\nc@d.de;y;1\ne@f.de;z;1;2\n")
    assert (few.line, few.problem, few.column) == (2, RowProblem.TOO_FEW_CELLS, None)
    assert few.fields == {"line": 2, "found": 2, "expected": 3}
    assert (many.line, many.problem) == (4, RowProblem.TOO_MANY_CELLS)
    assert many.message.format_map(many.fields) == "Line 4: 4 cells, but the first line has 3."


def test_an_empty_address_names_the_column_as_the_file_calls_it() -> None:
    (row,) = bad("E-Mail;name\n  ;Ada\n")
    assert row.message.format_map(row.fields) == "Line 2: the column E-Mail is empty."
    assert row.advice
    assert row.advice_key == "empty_address"


def test_a_row_that_lacks_only_its_address_keeps_everything_else() -> None:
    (row,) = bad("email;ref;name;locale;room\n;P1;Ada;de;5\n")
    assert row.rest == RecipientRow(
        line=2, address="", ref="P1", name="Ada", locale="de", values={"room": "5"}
    )


def test_a_zero_byte_costs_its_row_only() -> None:
    content = "email;name\na@b.de;x\nc@d.de;y\x00z\ne@f.de;z\n"
    assert problems(content) == [(3, RowProblem.CONTROL_CHARACTER)]
    (row,) = bad(content)
    assert row.cell == "y\ufffdz"
    assert row.fields["character"] == "U+0000"
    assert [found.address for found in good(content)] == ["a@b.de", "e@f.de"]


@pytest.mark.parametrize("cell", ["a\tb", "a\x1bb", "a\x7fb"])
def test_invisible_characters_in_a_name_are_refused(cell: str) -> None:
    assert problems(f"email;name\na@b.de;{cell}\n") == [(2, RowProblem.CONTROL_CHARACTER)]


def test_tabs_and_line_breaks_are_allowed_in_values() -> None:
    (row,) = good('email;note\na@b.de;"a\tb\r\nc\rd"\n')
    assert row.values == {"note": "a\tb\nc\nd"}


@pytest.mark.parametrize("column", ["email", "name", "ref", "locale"])
def test_a_line_break_inside_what_becomes_a_header_is_refused(column: str) -> None:
    header = ["email", "name", "ref", "locale"]
    cells = {"email": "a@b.de", "name": "Ada", "ref": "1", "locale": "de"}
    cells[column] = '"x\r\nBcc: all@b.de"'
    content = ";".join(header) + "\r\n" + ";".join(cells[name] for name in header) + "\r\n"
    (row,) = bad(content)
    assert (row.line, row.problem, row.column) == (2, RowProblem.LINE_BREAK, column)


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85", "\x0b"])
def test_unusual_line_separators_in_a_name_are_refused(separator: str) -> None:
    assert problems(f"email;name\na@b.de;x{separator}y\n") == [(2, RowProblem.LINE_BREAK)]


def test_a_cell_of_ten_thousand_characters_is_the_longest() -> None:
    content = f"email;note\na@b.de;{'x' * 10_000}\nc@d.de;{'y' * 10_001}\ne@f.de;z\n"
    assert problems(content) == [(3, RowProblem.CELL_TOO_LONG)]
    (row,) = bad(content)
    assert row.fields["limit"] == 10_000
    assert len(row.cell) <= 200
    assert [found.line for found in good(content)] == [2, 4]


@pytest.mark.parametrize("over", [1, 1000, 65_536, 200_000, 1_000_000])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_an_endless_line_costs_its_row_only(over: int, ending: str) -> None:
    long = "x" * (LONGEST_RECORD + over)
    content = ending.join(["email;note", f"a@b.de;{long}", "c@d.de;y", ""])
    assert problems(content) == [(2, RowProblem.ROW_TOO_LONG)]
    assert [(row.line, row.address) for row in good(content)] == [(3, "c@d.de")]


def test_an_unknown_form_of_locale_is_named() -> None:
    content = "email;Locale\na@b.de;Deutsch\nc@d.de;RU\ne@f.de;zh_hant-tw\ng@h.de;de_DE.UTF-8\n"
    assert problems(content) == [(2, RowProblem.UNKNOWN_LOCALE), (5, RowProblem.UNKNOWN_LOCALE)]
    assert [row.locale for row in good(content)] == ["ru", "zh-Hant-TW"]


def test_text_after_a_closing_quote_is_never_glued_together() -> None:
    content = 'email;name\na@b.de;"Hans "Hansi" Meier"\nc@d.de;Bo\n'
    (row,) = bad(content)
    assert (row.line, row.problem, row.column) == (2, RowProblem.STRAY_QUOTE, "name")
    assert row.cell == '"Hans "Hansi" Meier"'
    assert [found.address for found in good(content)] == ["c@d.de"]


def test_a_quote_never_closed_costs_its_row_only() -> None:
    content = 'email;name\na@b.de;Ada\nc@d.de;"Bo\n' + "".join(
        f"p{n}@b.de;P{n}\n" for n in range(20_000)
    )
    assert problems(content) == [(3, RowProblem.UNCLOSED_QUOTE)]
    assert len(good(content)) == 20_001
    (row,) = bad(content)
    assert (row.column, row.cell) == ("name", '"Bo')


def test_an_unclosed_quote_is_not_closed_by_a_later_row() -> None:
    content = 'email;name\nc@d.de;"Bo\ne@f.de;Ce\ng@h.de;"De"\ni@j.de;Eh\n'
    assert problems(content) == [(2, RowProblem.UNCLOSED_QUOTE)]
    assert [row.address for row in good(content)] == ["e@f.de", "g@h.de", "i@j.de"]


def test_a_forgotten_quote_that_swallows_whole_rows_gives_them_back() -> None:
    content = 'email;name;room\nc@d.de;"Bo;1\ne@f.de;Ce;2\ng@h.de;De";3\ni@j.de;Eh;4\n'
    # The name would hold a line break, so it is bad anyway; what it swallowed is not.
    assert (2, RowProblem.UNCLOSED_QUOTE) in problems(content)
    assert [row.address for row in good(content)] == ["e@f.de", "g@h.de", "i@j.de"]


def test_the_line_of_an_unclosed_quote_is_where_it_was_opened() -> None:
    content = 'email;note;more\na@b.de;"one\ntwo";"three\nc@d.de;x;y\n'
    assert problems(content) == [(3, RowProblem.UNCLOSED_QUOTE)]
    assert [row.line for row in good(content)] == [4]


def test_a_forgotten_quote_is_found_before_a_later_one() -> None:
    content = 'email;a;b\nc@d.de;"x;1\ne@f.de;y;2\ng@h.de;z";"3\ni@j.de;w;4\n'
    assert problems(content) == [(2, RowProblem.UNCLOSED_QUOTE), (4, RowProblem.UNCLOSED_QUOTE)]
    assert [row.address for row in good(content)] == ["e@f.de", "i@j.de"]
    assert [row.cell for row in bad(content)] == ['"x;1', '"3']


def test_quotes_made_to_be_read_again_and_again_end_with_an_error() -> None:
    # Begun afresh, the first line leaves a quote open; inside a quote it closes one, opens another.
    error = refusal("email;note\n" + '";x";"\na@b.de;y\n' * 5_000)
    assert error.problem is FileProblem.BROKEN_QUOTES


NAMES = "email;name;Ort\nmueller@example.de;Jürgen Müller;Köln\nx@example.de;Ada Weiß;Übach\n"
RUSSIAN = "email;Имя;Город\nivan@example.ru;Иван Петров;Москва\nx@example.ru;Ян;Уфа\n"


@pytest.mark.parametrize(
    ("content", "encoding", "expected"),
    [
        (NAMES, "utf-8", FileEncoding.UTF_8),
        (NAMES, "utf-8-sig", FileEncoding.UTF_8),
        (NAMES, "utf-16", FileEncoding.UTF_16_LE),
        (NAMES, "utf-16-le", FileEncoding.UTF_16_LE),
        (NAMES, "utf-16-be", FileEncoding.UTF_16_BE),
        (NAMES, "cp1252", FileEncoding.WINDOWS_1252),
        (RUSSIAN, "utf-8", FileEncoding.UTF_8),
        (RUSSIAN, "utf-8-sig", FileEncoding.UTF_8),
        (RUSSIAN, "utf-16", FileEncoding.UTF_16_LE),
        (RUSSIAN, "utf-16-le", FileEncoding.UTF_16_LE),
        (RUSSIAN, "utf-16-be", FileEncoding.UTF_16_BE),
        (RUSSIAN, "cp1251", FileEncoding.WINDOWS_1251),
        ("email;name\na@b.de;Öz\n", "cp1252", FileEncoding.WINDOWS_1252),
        ("email;name\na@b.de;BÄR\nb@b.de;groß\n", "cp1252", FileEncoding.WINDOWS_1252),
        ("email;name\na@b.de;Renée\nb@b.de;François\n", "cp1252", FileEncoding.WINDOWS_1252),
        ("email;name\na@b.de;Пётр Семёнов\n", "cp1251", FileEncoding.WINDOWS_1251),
        ("email;name\na@b.de;Ия\n", "cp1251", FileEncoding.WINDOWS_1251),
        ("email;name\na@b.de;Київ\n", "cp1251", FileEncoding.WINDOWS_1251),
        ("email;name\na@b.de;ИВАНОВ «ЁЖ»\n", "cp1251", FileEncoding.WINDOWS_1251),
    ],
)
def test_the_encoding_is_found(content: str, encoding: str, expected: FileEncoding) -> None:
    file = opened(content.encode(encoding))
    assert file.encoding is expected
    assert list(file.rows()) == rows(content)


@pytest.mark.parametrize("mark", [codecs.BOM_UTF16_BE])
def test_a_big_endian_mark_is_understood(mark: bytes) -> None:
    assert rows(mark + RUSSIAN.encode("utf-16-be")) == rows(RUSSIAN)


def test_a_wrong_byte_late_in_a_utf8_file_costs_its_row_only() -> None:
    lines = [f"p{n}@example.de;Jürgen {n}" for n in range(5000)]
    content = (
        "email;name\n" + "\n".join(lines)
    ).encode() + b"\nlate@example.de;M\xfcller\nz@z.de;Z\n"
    assert problems(content) == [(5002, RowProblem.UNREADABLE)]
    (row,) = bad(content)
    assert (row.column, row.cell) == ("name", "M\ufffdller")
    assert len(good(content)) == 5001


def test_a_wrong_byte_after_a_utf8_mark_costs_its_row_only() -> None:
    content = codecs.BOM_UTF8 + b"email;name\na@b.de;M\xfcller\nc@d.de;x\n"
    assert problems(content) == [(2, RowProblem.UNREADABLE)]
    assert [row.address for row in good(content)] == ["c@d.de"]


@pytest.mark.parametrize("tail", [b"\x00", b"\xd8", b"\x3d\xd8", b"\x3d\xd8\x41"])
def test_half_a_character_at_the_end_of_utf16_is_unreadable(tail: bytes) -> None:
    content = codecs.BOM_UTF16_LE + "email;name\na@b.de;x\nc@d.de;y".encode("utf-16-le") + tail
    assert problems(content) == [(3, RowProblem.UNREADABLE)]
    assert [row.address for row in good(content)] == ["a@b.de"]


def test_a_letter_lost_by_another_program_is_unreadable() -> None:
    assert problems("email;name\na@b.de;M\ufffdller\n") == [(2, RowProblem.UNREADABLE)]


def test_a_declared_encoding_goes_before_guessing() -> None:
    data = "email;name\na@b.de;ÄÖ\n".encode("cp1251", "replace") + "c@d.de;Яя\n".encode("cp1251")
    file = open_recipients(io.BytesIO(data), encoding=FileEncoding.WINDOWS_1252)
    assert [row.name for row in file.rows() if isinstance(row, RecipientRow)] == ["??", "ßÿ"]


def _zip(*names: str) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name in names:
            archive.writestr(name, "application/vnd.oasis.opendocument.spreadsheet")
    return target.getvalue()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", FileProblem.EMPTY),
        (b"\n\r\n \n", FileProblem.EMPTY),
        (codecs.BOM_UTF8, FileProblem.EMPTY),
        (codecs.BOM_UTF16_LE, FileProblem.EMPTY),
        (b"\n" * 10_000, FileProblem.EMPTY),
        (_zip("mimetype"), FileProblem.SPREADSHEET),
        (b"PK\x03\x04 [Content_Types].xml xl/workbook.xml", FileProblem.EXCEL),
        (b"PK\x03\x04 [Content_Types].xml word/document.xml", FileProblem.ARCHIVE),
        (b"PK\x03\x04 people.csv", FileProblem.ARCHIVE),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, FileProblem.EXCEL),
        (b"%PDF-1.7\n", FileProblem.PDF),
        (b"\x1f\x8b\x08\x00", FileProblem.ARCHIVE),
        (b"<html><table><tr><td>email</td></tr>", FileProblem.WEB_PAGE),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\1\0", FileProblem.NOT_TEXT),
        (bytes(5000), FileProblem.NOT_TEXT),
        (
            b"email\x00;name\na@b.de;x\n" + b"c@d.de;some longer text here\n" * 9,
            FileProblem.NOT_TEXT,
        ),
        (b"x" * 300_000, FileProblem.NOT_TEXT),
        (b";;;\na@b.de;1;2;3\n", FileProblem.NO_HEADER),
        (b'email;"name\na@b.de;x\n', FileProblem.HEADER_QUOTES),
        (codecs.BOM_UTF8 + b"email;n\xfcme\na@b.de;x\n", FileProblem.UNREADABLE_HEADER),
        (b"email;Room;room\na@b.de;1;2\n", FileProblem.DUPLICATE_HEADER),
        (b"email;E-Mail\na@b.de;b@b.de\n", FileProblem.DUPLICATE_HEADER),
        (b"email;a b;a_b\na@b.de;1;2\n", FileProblem.DUPLICATE_HEADER),
        (b"email" + b";x" * 600, FileProblem.TOO_MANY_COLUMNS),
        (b"email;" + b"x" * 201, FileProblem.LONG_HEADER),
    ],
)
def test_a_file_that_cannot_be_used_says_what_it_is(content: bytes, problem: FileProblem) -> None:
    assert refusal(content).problem is problem


def test_a_missing_address_column_is_explained_with_the_headers_found() -> None:
    error = refusal("name;Straße\nAda;Ring 1\n")
    assert error.problem is FileProblem.NO_ADDRESS_COLUMN
    assert "“name”, “Straße”" in error.message.format_map(error.fields)
    assert "“email”" in error.advice.format_map(error.fields)


def test_a_file_of_more_bytes_than_allowed_is_refused() -> None:
    content = "email\n" + "a@b.de\n" * 200_000
    error = refusal(content, limits=FileLimits(most_bytes=1024 * 1024))
    assert (error.problem, error.fields) == (FileProblem.TOO_LARGE, {"limit": 1})


def test_the_row_after_the_last_allowed_one_is_an_error() -> None:
    limits = FileLimits(most_rows=3)
    assert len(list(opened("email\na\nb\n\nc\n", limits=limits).rows())) == 3
    error = refusal("email\na\nb\n\nc\nd\n", limits=limits)
    assert (error.problem, error.fields) == (FileProblem.TOO_MANY_ROWS, {"limit": 3})


def test_a_file_of_line_breaks_is_refused_before_long() -> None:
    error = refusal("email\na@b.de\n" + "\n" * 2_000_000)
    assert error.problem is FileProblem.TOO_MANY_LINES


def test_a_path_can_be_read_twice(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_bytes(NAMES.encode("utf-16"))
    file = open_recipients(path)
    assert list(file.rows()) == list(file.rows()) == rows(NAMES)


def test_a_stream_is_read_from_where_it_stands() -> None:
    stream = io.BytesIO(b"skip me\n" + NAMES.encode())
    stream.seek(len(b"skip me\n"))
    assert list(open_recipients(stream).rows()) == rows(NAMES)


class _Pipe(io.RawIOBase):
    """Gives a few bytes at a time and cannot be rewound."""

    def __init__(self, content: bytes) -> None:
        self._content = io.BytesIO(content)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]
        piece = self._content.read(min(7, len(view)))
        view[: len(piece)] = piece
        return len(piece)


def test_a_stream_that_cannot_be_rewound_is_read_as_well() -> None:
    stream: BinaryIO = _Pipe(NAMES.encode("cp1252"))  # type: ignore[assignment]
    with open_recipients(stream) as file:
        assert list(file.rows()) == list(file.rows()) == rows(NAMES)


def test_a_stream_that_cannot_be_rewound_is_refused_when_too_large() -> None:
    stream: BinaryIO = _Pipe(NAMES.encode())  # type: ignore[assignment]
    with pytest.raises(RecipientFileError) as caught:
        open_recipients(stream, limits=FileLimits(most_bytes=20))
    assert caught.value.problem is FileProblem.TOO_LARGE


def test_every_problem_has_words() -> None:
    assert set(ROW_TEXTS) == set(RowProblem)
    assert set(FILE_TEXTS) == set(FileProblem)


CELLS = st.text(
    st.one_of(
        st.sampled_from('",;\t\n\r "äöüßПетр'),
        st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufffd\ufeff"),
    ),
    max_size=20,
)


def _line_ends(cell: str) -> str:
    return cell.strip().replace("\r\n", "\n").replace("\r", "\n")


@given(
    table=st.lists(st.tuples(CELLS, CELLS), max_size=8),
    delimiter=st.sampled_from(",;\t"),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    ending=st.sampled_from(["\r\n", "\n", "\r"]),
    all_quoted=st.booleans(),
)
@settings(max_examples=200, deadline=None)
def test_what_a_csv_writer_writes_is_read_back(
    table: list[tuple[str, str]], delimiter: str, encoding: str, ending: str, all_quoted: bool
) -> None:
    target = io.StringIO()
    # With a terminator of one character the writer leaves the other line ends unquoted.
    writer = csv.writer(
        target,
        delimiter=delimiter,
        lineterminator=ending,
        quoting=csv.QUOTE_ALL if all_quoted or ending != "\r\n" else csv.QUOTE_MINIMAL,
    )
    writer.writerow(["first", "email", "second"])
    for number, (first, second) in enumerate(table):
        writer.writerow([first, f"p{number}@example.de", second])
    found = rows(target.getvalue().encode(encoding))
    assert [(row.address, row.values) for row in found if isinstance(row, RecipientRow)] == [
        (f"p{number}@example.de", {"first": _line_ends(first), "second": _line_ends(second)})
        for number, (first, second) in enumerate(table)
    ]


@given(
    names=st.lists(
        st.text(st.sampled_from("abcABC äöüÄÖÜß.-"), max_size=12), min_size=1, max_size=8
    )
)
@settings(max_examples=100, deadline=None)
def test_german_names_in_windows_1252_are_read_back(names: list[str]) -> None:
    content = "email;name\n" + "".join(f"a@b.de;M{name}r\n" for name in ["ü", *names])
    found = good(content.encode("cp1252"))
    assert [row.name for row in found] == [f"M{name}r" for name in ["ü", *names]]


@given(
    names=st.lists(
        st.text(st.sampled_from("абвгдеёжзийклмнопрстуфхцчшщъыьэюяАБ "), max_size=12),
        min_size=1,
        max_size=8,
    )
)
@settings(max_examples=100, deadline=None)
def test_russian_names_in_windows_1251_are_read_back(names: list[str]) -> None:
    content = "email;name\n" + "".join(f"a@b.de;Иван {name}н\n" for name in names)
    found = good(content.encode("cp1251"))
    assert [row.name for row in found] == [f"Иван {name}н" for name in names]


FRAGMENTS = st.sampled_from(
    [
        *(bytes([n]) for n in b'";,\t\r\n \x00a@'),
        b'""',
        b'"\n',
        b"\r\n",
        b"a@b.de;x;y\n",
        b"\xfc",
        "ü".encode(),
        "Иван".encode("cp1251"),
        b"\x3d\xd8",
        b"\xed\xa0\x80",
    ]
)
HEADS = st.sampled_from(
    [b"", b"email;a;b\n", b"email\n", b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf", b"e\0m\0a\0i\0l\0"]
)


@given(head=HEADS, rest=st.one_of(st.binary(max_size=400), st.lists(FRAGMENTS).map(b"".join)))
@settings(max_examples=400, deadline=None)
def test_any_bytes_give_rows_or_a_clear_refusal(head: bytes, rest: bytes) -> None:
    try:
        found = rows(head + rest)
    except RecipientFileError:
        return
    lines = [row.line for row in found]
    assert lines == sorted(lines)
    for row in found:
        if isinstance(row, RecipientRow):
            assert row.address.strip()
            assert not set("\r\n\x00") & set(row.address + (row.name or ""))
            "".join([row.address, *row.values.values()]).encode()
        else:
            row.cell.encode()
            assert row.message.format_map(row.fields).startswith(f"Line {row.line}:")


@given(
    rest=st.lists(
        st.sampled_from(['"', '""', "a;b;c\n", "\n", '"x\n', ';"y"\n', 'k;"l', " "]), max_size=60
    ).map("".join)
)
@settings(max_examples=300, deadline=None)
def test_rows_after_any_damage_are_still_found(rest: str) -> None:
    sentinel = "last@example.de;plain;row\n"
    found = rows(f"email;a;b\n{rest}\n{sentinel}")
    assert isinstance(found[-1], RecipientRow)
    assert found[-1].address == "last@example.de"


def test_two_hundred_thousand_rows_do_not_fill_the_memory(tmp_path: Path) -> None:
    path = tmp_path / "large.csv"
    with path.open("w", encoding="utf-8") as file:
        file.write("email;name;Termin;note\n")
        for number in range(200_000):
            file.write(f"patient{number}@example.de;Jürgen {number};2026-03-01;Zimmer {number}\n")
    tracemalloc.start()
    try:
        count = sum(isinstance(row, RecipientRow) for row in open_recipients(path).rows())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 200_000
    assert peak < 3 * 1024 * 1024
