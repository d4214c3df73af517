"""A text with placeholders says what is wrong with it, and no value can change its form."""

from __future__ import annotations

import html
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clinic_dispatch_plugin.channels.text import (
    Condition,
    EmptyPlaceholder,
    Literal,
    Placeholder,
    SyntaxFault,
    TemplateSyntaxProblem,
    clean_value,
    parse,
    placeholder_name,
    single_line,
)
from clinic_dispatch_plugin.channels.text_filters import FILTERS
from clinic_dispatch_plugin.channels.text_problems import MESSAGES


def rendered(source: str, *, locale: str = "de", **values: str) -> str:
    return parse(source).render(values, locale=locale)


def problem(source: str) -> TemplateSyntaxProblem:
    with pytest.raises(TemplateSyntaxProblem) as caught:
        parse(source)
    return caught.value


def test_text_without_placeholders_is_sent_as_it_stands() -> None:
    source = "100 % } %} }} { {# x #} $name ${name} %s <b>\n"
    assert rendered(source) == source


def test_a_placeholder_is_replaced_wherever_it_stands() -> None:
    assert rendered("{{ a }}{{b}} und {{   a\t}}.", a="1", b="2") == "12 und 1."


def test_names_may_have_umlauts_cyrillic_letters_and_digits() -> None:
    assert rendered("{{ Ärztin_2 }} {{ Имя }} {{ _x }}", Ärztin_2="a", Имя="б", _x="c") == "a б c"


def test_a_name_typed_with_separate_accents_is_the_same_name() -> None:
    assert parse("{{ A\u0308rztin }}").names == {"Ärztin"}


def test_a_value_is_never_read_as_a_placeholder() -> None:
    assert rendered("{{ a }}", a="{{ b }}{% if c %}", b="secret") == "{{ b }}{% if c %}"


def test_line_ends_become_newlines() -> None:
    assert rendered("a\r\nb\rc\n") == "a\nb\nc\n"


@pytest.mark.parametrize("value", ["", " ", "\n\t ", "\u00a0", "\x00", "\u202e"])
@pytest.mark.parametrize("source", ["x {{ a }}", "x {{ a | upper }}"])
def test_a_blank_value_stops_the_message(source: str, value: str) -> None:
    with pytest.raises(EmptyPlaceholder) as caught:
        rendered(source, a=value)
    assert caught.value.name == "a"
    assert str(caught.value) == "The value a is empty for this recipient."


def test_a_missing_value_stops_the_message() -> None:
    with pytest.raises(EmptyPlaceholder):
        rendered("{{ a }}{{ b }}", a="1")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a\x00b\x1bc\x7fd\x9fe", "abcde"),
        ("a\r\nb\rc\nd\te", "a\nb\nc\nd\te"),
        ("a\u202eb\u2066c\u2069d\u202ae", "abcde"),
        ("a\ud83db\udc80", "a\ufffdb\ufffd"),
        ("Ünï Имя 😀", "Ünï Имя 😀"),
    ],
)
def test_values_lose_what_cannot_be_sent(value: str, expected: str) -> None:
    assert clean_value(value) == expected
    assert rendered("{{ a }}", a=value) == expected
    assert rendered('{{ a | default: "-" }}', a=value) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ d | date }}", "02.03.2026"),
        ('{{ d | date: "short" }}', "02.03.26"),
        ('{{ d | date: "long" }}', "2. März 2026"),
        ('{{ d | date: "weekday" }}', "Montag, 2. März 2026"),
        ("{{ t | date }}", "02.03.2026"),
        ("{{ t | time }}", "14:05"),
        ("{{ z | time }}", "23:30"),
        ("{{ z | date }}", "02.03.2026"),
        ("{{ clock | time }}", "09:30"),
        ('{{ m | money: "EUR" }}', "1.234,50 €"),
        ("{{ n | upper }}", "ANNA-LENA O'NEILL"),
        ("{{ n | lower }}", "anna-lena o'neill"),
        ("{{ n | title }}", "Anna-Lena O'neill"),
        ("{{ n | upper | title | lower }}", "anna-lena o'neill"),
        ('{{ n | truncate: "8" }}', "anna-..."),
        ('{{ n | truncate: "3" }}', "ann"),
        ('{{ n | truncate: "200" }}', "anna-LENA o'neill"),
        ('{{ n|truncate:"7"|upper }}', "ANNA..."),
    ],
)
def test_filters_write_german(source: str, expected: str) -> None:
    values = {
        "d": "2026-03-02",
        "t": "2026-03-02T14:05:00",
        "z": "2026-03-02 23:30:00+02:00",
        "clock": "09:30",
        "m": "1234.5",
        "n": "anna-LENA o'neill",
    }
    assert parse(source).render(values, locale="de") == expected


@pytest.mark.parametrize(
    ("locale", "expected"),
    [
        ("ru", "2 марта 2026 г. 14:05 5,00 €"),
        ("en", "March 2, 2026 2:05 PM €5.00"),
        ("en-GB", "2 March 2026 14:05 €5.00"),
        ("de_AT", "2. März 2026 14:05 € 5,00"),
        ("de-XX", "2. März 2026 14:05 5,00 €"),
        ("nonsense", "March 2, 2026 2:05 PM €5.00"),
        ("", "March 2, 2026 2:05 PM €5.00"),
    ],
)
def test_dates_times_and_money_follow_the_recipients_language(locale: str, expected: str) -> None:
    source = '{{ d | date: "long" }} {{ d | time }} {{ m | money: "EUR" }}'
    assert rendered(source, locale=locale, d="2026-03-02T14:05", m="5") == expected


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("{{ a | date }}", "nächsten Montag"),
        ("{{ a | date }}", "2026-02-30"),
        ("{{ a | time }}", "2026-03-02"),
        ("{{ a | time }}", "25:00"),
        ('{{ a | money: "EUR" }}', "12,50 Euro"),
        ('{{ a | money: "EUR" }}', "NaN"),
        ('{{ a | money: "EUR" }}', "1e999999"),
        ('{{ a | money: "EUR" }}', "9" * 5000),
    ],
)
def test_what_a_filter_cannot_read_stays_as_it_was_written(source: str, value: str) -> None:
    assert rendered(source, a=value) == value


def test_default_takes_the_place_of_a_blank_value() -> None:
    template = parse('{{ a | default: "Patient" }}!')
    assert template.render({}, locale="de") == "Patient!"
    assert template.render({"a": " "}, locale="de") == "Patient!"
    assert template.render({"a": "Ada"}, locale="de") == "Ada!"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('{{ a | upper | default: "x" }}', "x"),
        ('{{ a | default: "x" | upper }}', "X"),
        ('{{ a | date | time | title | lower | truncate: "3" | default: "x" }}', "x"),
        ('{{ a | money: "EUR" | default: "-" }}', "-"),
        ('[{{ a | default: "" }}]', "[]"),
        ('{{ a | default: "}} | {{" }}', "}} | {{"),
    ],
)
def test_default_works_anywhere_among_the_filters(source: str, expected: str) -> None:
    assert rendered(source) == expected


def test_a_condition_chooses_by_whether_the_value_is_there() -> None:
    source = "{% if a %}yes {{ a }}{% else %}no{% endif %}.{% if not a %} none{%endif%}"
    assert rendered(source, a="1") == "yes 1."
    assert rendered(source) == "no. none"
    assert rendered(source, a=" \x00") == "no. none"


def test_not_with_else_takes_the_other_part() -> None:
    source = "{% if not a %}no{% else %}{{ a }}{% endif %}"
    assert rendered(source, a="1") == "1"
    assert rendered(source) == "no"


def test_conditions_nest_five_deep_and_no_deeper() -> None:
    def nested(depth: int) -> str:
        return "{% if a %}" * depth + "x" + "{% endif %}" * depth

    assert rendered(nested(5), a="1") == "x"
    assert rendered(nested(5)) == ""
    assert problem(nested(6)).fault is SyntaxFault.TOO_DEEP


def test_names_and_required_names_tell_what_a_text_needs() -> None:
    template = parse(
        '{{ a }} {{ b | default: "x" }}{% if c %}{{ c }}{{ d }}{% else %}{{ e | upper }}{% endif %}'
    )
    assert template.names == {"a", "b", "c", "d", "e"}
    assert template.required_names == {"a"}


def test_missing_names_are_those_that_rendering_would_need() -> None:
    template = parse("{{ a }}{{ a }}{% if c %}{{ d }}{% else %}{{ e }}{% endif %}{{ f }}")
    assert template.missing({}) == ("a", "e", "f")
    assert template.missing({"c": "1", "a": "1", "f": "1"}) == ("d",)
    assert template.missing({"c": "1", "a": "1", "f": "1", "d": "1"}) == ()


def test_the_tree_is_open_to_readers() -> None:
    first, second, third = parse("x{{ a }}{% if b %}y{% endif %}").segments
    assert first == Literal(text="x")
    assert isinstance(second, Placeholder)
    assert (second.name, second.line, second.column) == ("a", 1, 2)
    assert isinstance(third, Condition)
    assert (third.filled, third.blank) == ((Literal(text="y"),), ())


def test_values_are_escaped_and_the_text_is_not() -> None:
    template = parse('<b title="x">{{ a }}</b>{{ b | upper }}{% if a %}<i>{{ a }}</i>{% endif %}')
    assert template.render({"a": "<&'\"", "b": "<x>"}, locale="de", escape=html.escape) == (
        '<b title="x">&lt;&amp;&#x27;&quot;</b>&lt;X&gt;<i>&lt;&amp;&#x27;&quot;</i>'
    )
    plain = parse("<b>{{ a }}</b>").render({"a": "<"}, locale="de", escape=html.escape)
    assert plain == "<b>&lt;</b>"


@pytest.mark.parametrize("source", ["Hallo {{ a }}", "Hallo {{ a | title }}", "Hallo\n\n{{ a }}"])
def test_one_line_leaves_no_way_into_a_header(source: str) -> None:
    text = parse(source).render({"a": "X \r\nBcc:\tAll\u2028Z\n"}, locale="de", one_line=True)
    assert text == "Hallo X Bcc: All Z"
    assert text.splitlines() == [text]


def test_a_subject_of_one_line_is_accepted_unchanged() -> None:
    assert single_line("Ihr Termin, {{ name }}") == "Ihr Termin, {{ name }}"


@pytest.mark.parametrize("character", list("\r\n\x00\x0b\x0c\x85\u2028\u2029"))
def test_a_subject_with_a_line_break_or_nul_is_refused(character: str) -> None:
    with pytest.raises(TemplateSyntaxProblem) as caught:
        single_line(f"abc{character}Bcc: x")
    assert (caught.value.line, caught.value.column) == (1, 4)


@pytest.mark.parametrize(
    ("source", "fault", "place", "says"),
    [
        ("Hallo {{ name", SyntaxFault.NOT_CLOSED, (1, 7), "{{ name }}"),
        ("{{", SyntaxFault.NOT_CLOSED, (1, 1), "{{ name }}"),
        ("{{ a | ", SyntaxFault.NOT_CLOSED, (1, 1), "{{ name | upper }}"),
        ('{{ a | default: "x', SyntaxFault.UNEXPECTED, (1, 17), "default"),
        ("{%", SyntaxFault.NOT_CLOSED, (1, 1), "{% if name %}"),
        ("{% if a", SyntaxFault.NOT_CLOSED, (1, 1), "{% if name %}"),
        ("x\n\n {{ }}", SyntaxFault.NO_NAME, (3, 2), "{{ name }}"),
        ("{{ 1a }}", SyntaxFault.NOT_A_NAME, (1, 4), "begin with a letter"),
        ("{{ {{ a }} }}", SyntaxFault.NOT_A_NAME, (1, 4), "{{ name }}"),
        ("{{ a.b }}", SyntaxFault.ONLY_A_NAME, (1, 5), "{{ a }}"),
        ("{{ a[0] }}", SyntaxFault.ONLY_A_NAME, (1, 5), "{{ a }}"),
        ("{{ a() }}", SyntaxFault.ONLY_A_NAME, (1, 5), "{{ a }}"),
        ("{{ a + b }}", SyntaxFault.ONLY_A_NAME, (1, 6), "{{ a }}"),
        ("{{ first name }}", SyntaxFault.ONLY_A_NAME, (1, 10), "{{ first }}"),
        ("{{ a | upper() }}", SyntaxFault.UNEXPECTED, (1, 13), "{{ a }}"),
        ("{{ a | }}", SyntaxFault.UNEXPECTED, (1, 8), "{{ name | upper }}"),
        ("{{ a | shout }}", SyntaxFault.UNKNOWN_FILTER, (1, 8), "date, time, default, upper"),
        ("{{ a | default }}", SyntaxFault.FILTER_NEEDS_VALUE, (1, 8), "default:"),
        ('{{ a | upper: "x" }}', SyntaxFault.FILTER_TAKES_NO_VALUE, (1, 8), "{{ name | upper }}"),
        ("{{ a | default: “x” }}", SyntaxFault.STRAIGHT_QUOTES, (1, 17), 'default: "patient"'),
        ("{{ a | default: 'x' }}", SyntaxFault.STRAIGHT_QUOTES, (1, 17), 'default: "patient"'),
        ("{{ a | truncate: 20 }}", SyntaxFault.STRAIGHT_QUOTES, (1, 18), 'truncate: "20"'),
        ('{{ a | truncate: "0" }}', SyntaxFault.FILTER_VALUE, (1, 8), '"0"'),
        ('{{ a | truncate: "²" }}', SyntaxFault.FILTER_VALUE, (1, 8), 'truncate: "20"'),
        ('{{ a | truncate: "99999" }}', SyntaxFault.FILTER_VALUE, (1, 8), '"99999"'),
        ('{{ a | money: "Euro" }}', SyntaxFault.FILTER_VALUE, (1, 8), 'money: "EUR"'),
        ('{{ a | date: "%Y" }}', SyntaxFault.FILTER_VALUE, (1, 8), '"weekday"'),
        ("{% for a in b %}", SyntaxFault.UNKNOWN_TAG, (1, 1), "{% endif %}"),
        ("{% elif a %}", SyntaxFault.UNKNOWN_TAG, (1, 1), "elif"),
        ("{%- if a %}", SyntaxFault.UNKNOWN_TAG, (1, 1), "-"),
        ("{% if %}", SyntaxFault.IF_FORM, (1, 7), "{% if name %}"),
        ("{% if not %}", SyntaxFault.IF_FORM, (1, 11), "{% if not name %}"),
        ("{% if a or b %}", SyntaxFault.IF_FORM, (1, 12), "{% if name %}"),
        ("{% if a.b %}", SyntaxFault.IF_FORM, (1, 8), "{% if name %}"),
        ('{% if a == "x" %}', SyntaxFault.IF_FORM, (1, 9), "{% if name %}"),
        ("a\n{% if a %}\nb", SyntaxFault.IF_NOT_CLOSED, (2, 1), "{% endif %}"),
        ("a {% endif %}", SyntaxFault.ENDIF_WITHOUT_IF, (1, 3), "{% if name %}"),
        ("a {% else %}", SyntaxFault.ELSE_WITHOUT_IF, (1, 3), "{% if name %}"),
        ("{% if a %}{% else %}{% else %}", SyntaxFault.SECOND_ELSE, (1, 21), "delete"),
        ("{% else a %}", SyntaxFault.UNEXPECTED, (1, 9), "{% else %}"),
        ("a\nb\x00", SyntaxFault.FORBIDDEN_CHARACTER, (2, 2), "U+0000"),
        ("a\r\nb\ud800", SyntaxFault.FORBIDDEN_CHARACTER, (2, 2), "U+D800"),
        ("{{ a }}\n" * 201, SyntaxFault.TOO_MANY_PLACEHOLDERS, (201, 1), "200"),
        ("ü" * 32 * 1024 + "x", SyntaxFault.TOO_LONG, (1, 1), "64 KiB"),
    ],
)
def test_a_mistake_names_its_place_and_what_to_write(
    source: str, fault: SyntaxFault, place: tuple[int, int], says: str
) -> None:
    found = problem(source)
    assert found.fault is fault
    assert (found.line, found.column) == place
    assert says in str(found)
    assert found.message_template.format_map(found.fields) == str(found)


def test_the_largest_text_allowed_is_accepted() -> None:
    source = "{{ a }}" * 200
    source += "x" * (64 * 1024 - len(source))
    assert len(parse(source).segments) == 201


def test_an_unknown_name_is_refused_and_the_nearest_named() -> None:
    with pytest.raises(TemplateSyntaxProblem) as caught:
        parse("{{ name }}\n {{ vornahme }}", known={"name", "vorname"})
    assert caught.value.fault is SyntaxFault.UNKNOWN_NAME_SIMILAR
    assert (caught.value.line, caught.value.column) == (2, 2)
    assert "{{ vorname }}" in str(caught.value)


@pytest.mark.parametrize("source", ["{% if x %}{% endif %}", "{% if a %}{{ x }}{% endif %}"])
def test_unknown_names_are_found_in_conditions_too(source: str) -> None:
    with pytest.raises(TemplateSyntaxProblem) as caught:
        parse(source, known=["a"])
    assert caught.value.fault is SyntaxFault.UNKNOWN_NAME
    assert caught.value.fields["known"] == "a"


def test_known_names_are_accepted() -> None:
    assert parse("{{ a }}{% if b %}{% endif %}", known={"a", "b", "c"}).names == {"a", "b"}


@pytest.mark.parametrize(
    ("heading", "name"),
    [
        ("Datum des Termins", "Datum_des_Termins"),
        (" Preis (€) ", "Preis"),
        ("Grüße", "Grüße"),
        ("Дата рождения", "Дата_рождения"),
        ("2. Termin", "_2_Termin"),
        ("²x", "²x"),
        ("№", ""),
    ],
)
def test_a_heading_becomes_a_name(heading: str, name: str) -> None:
    assert placeholder_name(heading) == name


@given(st.text(max_size=60))
def test_every_name_made_from_a_heading_can_be_used(heading: str) -> None:
    name = placeholder_name(heading)
    if name:
        assert parse(f"{{{{ {name} }}}}").names == {name}


def test_every_fault_has_words_and_every_example_is_right() -> None:
    assert set(MESSAGES) == set(SyntaxFault)
    assert len(FILTERS) == 8
    for kind in FILTERS.values():
        parse(kind.example)


PIECES = st.sampled_from(
    [
        "{{",
        "}}",
        "{%",
        "%}",
        "|",
        ":",
        '"',
        " ",
        "\n",
        "name",
        "if",
        "not",
        "else",
        "endif",
        "upper",
        'default: "x"',
        'truncate: "3"',
        "{{ a }}",
        "{% if a %}",
        "{% else %}",
        "{% endif %}",
        "\ud800",
        "<",
    ]
)
SOURCES = st.one_of(st.text(max_size=200), st.lists(PIECES, max_size=40).map("".join))
VALUES = st.text(st.one_of(st.characters(), st.sampled_from("<>&\"'\r\n\x00\u202e\ud800")))


@given(source=SOURCES, value=VALUES)
@settings(max_examples=500, deadline=None)
def test_any_text_is_rendered_or_refused_in_words(source: str, value: str) -> None:
    try:
        template = parse(source)
    except TemplateSyntaxProblem:
        return
    values = dict.fromkeys(template.names, value)
    missing = template.missing(values)
    if missing:
        with pytest.raises(EmptyPlaceholder) as caught:
            template.render(values, locale="de", one_line=True)
        assert caught.value.name == missing[0]
        return
    text = template.render(values, locale="de", one_line=True)
    assert text.splitlines() in ([], [text])
    text.encode()


FILTER_CHAINS = st.lists(
    st.sampled_from(
        [
            "date",
            'date: "long"',
            "time",
            'default: "<x>"',
            "upper",
            "lower",
            "title",
            'truncate: "5"',
            'money: "EUR"',
        ]
    ),
    max_size=3,
)


@given(value=VALUES, chain=FILTER_CHAINS, locale=st.one_of(st.text(), st.just("de")))
@settings(max_examples=300, deadline=None)
def test_no_value_brings_markup_or_reading_tricks_into_a_page(
    value: str, chain: list[str], locale: str
) -> None:
    source = "".join(["before {{ ", " | ".join(["a", *chain]), " }} after"])
    template = parse(source)
    try:
        text = template.render({"a": value}, locale=locale, escape=html.escape)
    except EmptyPlaceholder:
        return
    assert not set("<>\"'") & set(text)
    assert not {chr(n) for n in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))} & set(text)
    assert not {c for c in text if c < " " and c not in "\n\t"}
    text.encode()


@given(st.text(string.ascii_letters + " \n.,{}%", max_size=300))
def test_what_is_no_placeholder_comes_out_unchanged(text: str) -> None:
    source = text.replace("{{", "{ ").replace("{%", "{ ")
    assert rendered(source) == source
