"""Pure rules of a reference that grows: differences by words, two people at one form, patterns that cannot hang."""

from __future__ import annotations

import pytest

from clinic_dispatch_plugin.channels.types import Answer
from clinic_dispatch_plugin.error_reference.checking import (
    MOST_APART,
    ReferenceProblem,
    check_pattern,
    checked_content,
)
from clinic_dispatch_plugin.error_reference.differences import by_words
from clinic_dispatch_plugin.error_reference.foresight import MOST_STEPS, could_meet
from clinic_dispatch_plugin.error_reference.normalising import TEXT_LIMIT, answer_digest
from clinic_dispatch_plugin.error_reference.overtaking_rules import joined, token, version_in
from clinic_dispatch_plugin.error_reference.rules import (
    KnownEntry,
    Matched,
    Reference,
    compile_pattern,
)
from clinic_dispatch_plugin.error_reference.trying import is_mail

#: What makes backtracking engines run for ages, and what makes an automaton large.
HOSTILE = (
    r"(x+x+)+y",
    r"(a|a)*$",
    r"(a|aa)+$",
    r"(.*)*.*=.*(.*)*;",
    r"^(([a-z])+.)+[A-Z]([a-z])+$",
    r"(.{0,30}){0,30}x",
    r"((a?){1,30}){1,30}$",
    r"(.?){1,1000}zz",
    r"[\s\S]{1,900}[\s\S]{1,900}y",
    r"(?:a|b|ab){1,400}c",
)


def entry(number: int, code: str, *, pattern: str = "", apart: str = "") -> KnownEntry:
    return KnownEntry(
        id=number,
        origin="clinic",
        system="smtp",
        code=code,
        pattern=pattern,
        content={"short.de": str(number)},
        changed=True,
        apart=frozenset(apart.split()),
    )


@pytest.mark.parametrize("pattern", HOSTILE)
@pytest.mark.parametrize("text", ["a" * TEXT_LIMIT, "x" * TEXT_LIMIT, "ж " * (TEXT_LIMIT // 2)])
def test_no_pattern_hangs(pattern: str, text: str) -> None:
    """Backtracking would need longer than the world is old; an automaton needs a moment, or is refused."""
    check_pattern("pattern", pattern)
    compile_pattern(pattern).search(text)


@pytest.mark.parametrize(
    "pattern",
    [
        r"(a)\1",
        r"(?=a)b",
        r"(?<=a)b",
        r"a{1,1001}",
        r"(\pL{1,30}){1,30}z",
        "(" * 600,
        "[z-a]",
        "(?P<",
    ],
)
def test_what_cannot_be_bounded_is_refused_with_a_sentence(pattern: str) -> None:
    with pytest.raises(ReferenceProblem) as refused:
        check_pattern("pattern", pattern)
    assert refused.value.field == "pattern"


def test_a_slow_pattern_is_known_by_its_steps_not_by_a_clock() -> None:
    assert compile_pattern(r"(.?){1,1000}zz").programsize > MOST_STEPS
    assert compile_pattern(r"mailbox .{0,40}(?:full|over quota)").programsize < MOST_STEPS / 2


def test_differences_are_whole_words_and_give_both_texts_back() -> None:
    before, now = "Das Postfach ist voll. Bitte später.", "Das Postfach bleibt voll. Bitte morgen."
    pieces = by_words(before, now)
    assert [(each.kind, each.text) for each in pieces if each.kind != "same"] == [
        ("gone", "ist"),
        ("new", "bleibt"),
        ("gone", "später"),
        ("new", "morgen"),
    ]
    assert "".join(each.text for each in pieces if each.kind != "new") == before
    assert "".join(each.text for each in pieces if each.kind != "gone") == now


@pytest.mark.parametrize(
    ("before", "now", "kinds"),
    [
        ("", "", []),
        ("", "neu", ["new"]),
        ("weg", "", ["gone"]),
        ("eins zwei drei", "vier fünf drei", ["gone", "new", "same"]),
        ("a\nb", "a b", ["same", "gone", "new", "same"]),
    ],
)
def test_neighbouring_changes_are_read_as_one(before: str, now: str, kinds: list[str]) -> None:
    pieces = by_words(before, now)
    assert [each.kind for each in pieces] == kinds
    assert all(each.text for each in pieces)


def test_what_the_second_did_not_touch_is_the_firsts() -> None:
    shown = {"short.de": "alt", "what_helps.de": "", "policy.tries": "5"}
    carried = token("v1", shown)
    typed = {**shown, "what_helps.de": "Anrufen.", "pattern": "kept"}
    stored = {**shown, "short.de": "neu", "policy.tries": "3"}
    values, differing = joined(carried, typed, stored)
    assert version_in(carried) == "v1"
    assert values == {**stored, "what_helps.de": "Anrufen.", "pattern": "kept"}
    assert differing == {"what_helps.de"}


@pytest.mark.parametrize("carried", ["", "v1", "v1.", "v1.abc", "\0", "x" * 5_000])
def test_without_knowing_what_was_shown_nothing_typed_is_dropped(carried: str) -> None:
    typed, stored = {"short.de": "meins"}, {"short.de": "deins"}
    assert joined(carried, typed, stored) == (typed, {"short.de"})


def test_an_answer_taken_out_passes_its_entry_by_and_no_other_answer_does() -> None:
    out = Answer(system="smtp", code="5.9.9", text="550 5.9.9 red")
    stays = Answer(system="smtp", code="5.9.9", text="550 5.9.9 blue")
    apart = answer_digest(out.system, out.code, out.text)
    known = Reference([entry(1, "5.9.9", apart=apart), entry(2, "*")])
    assert known.explain(stays).matched is Matched.EXACT
    found = known.explain(out)
    assert (found.matched, found.entry) == (Matched.DEFAULT, known.entries[2])
    by_words_alone = Reference([entry(1, "*", pattern="red|blue", apart=apart)])
    assert by_words_alone.explain(out).matched is Matched.NONE
    assert by_words_alone.explain(stays).matched is Matched.PATTERN


def test_only_fingerprints_can_be_taken_out_and_not_without_end() -> None:
    one = "a" * 64
    assert checked_content({"apart": f"{one} {one}"}, complete=False) == {"apart": one}
    for wrong in ("x", one[:-1], one + "!"):
        with pytest.raises(ReferenceProblem):
            checked_content({"apart": wrong}, complete=False)
    many = " ".join(f"{number:064x}" for number in range(MOST_APART + 1))
    with pytest.raises(ReferenceProblem, match="At most"):
        checked_content({"apart": many}, complete=False)


@pytest.mark.parametrize("code", ["5.9.9", "5.9.x", "5.x.x", "550", "5xx", "*"])
def test_the_quick_look_never_misses_an_entry_that_explains(code: str) -> None:
    answer = Answer(system="smtp", code="5.9.9", text="550 5.9.9 odd")
    new = entry(1, code)
    assert Reference([new]).explain(answer).entry is new
    assert could_meet(new, answer)
    assert not could_meet(entry(2, "4.1.1"), answer)


def test_a_whole_mail_is_told_from_a_sentence() -> None:
    assert is_mail("Return-Path: <>\nReceived: from x\n\tby y\nSubject: Undelivered\n\nbody")
    assert is_mail("\n\nFrom: a@b.example\nTo: c@d.example\n\nbody")
    assert not is_mail("550 5.1.1 To: nobody here\nFrom: x")
    assert not is_mail("Subject: full")
    assert not is_mail("")
