"""Every field of an entry has a bound, and whoever goes beyond it is told which field and why, in three languages."""

from __future__ import annotations

from typing import Any

import pytest

from clinic_dispatch_plugin.error_reference.checking import (
    CODE_LIMIT,
    LONG_LIMIT,
    PLAIN_LIMIT,
    SHORT_LIMIT,
    SYSTEM_LIMIT,
    ReferenceProblem,
    check_key,
    check_pattern,
    checked_content,
)
from clinic_dispatch_plugin.error_reference.policy import LIMITS
from clinic_dispatch_plugin.error_reference.rules import PATTERN_LIMIT
from clinic_dispatch_plugin.web.i18n import catalogue

DAY = 86_400

#: Field, the most it may hold, and a value just beyond.
BOUNDS: list[tuple[str, Any, Any]] = [
    *(
        (f"{name}.{language}", "x" * limit, "x" * (limit + 1))
        for language in ("de", "en", "ru")
        for name, limit in (
            ("short", SHORT_LIMIT),
            ("what_happened", LONG_LIMIT),
            ("what_helps", LONG_LIMIT),
            ("tell_patient", LONG_LIMIT),
        )
    ),
    *((name, "x" * PLAIN_LIMIT, "x" * (PLAIN_LIMIT + 1)) for name in ("provider", "source")),
    *((f"policy.{name}", highest, highest + 1) for name, (_lowest, highest, _) in LIMITS.items()),
    *((f"policy.{name}", lowest, lowest - 0.01) for name, (lowest, _highest, _) in LIMITS.items()),
]
#: Field and a value that is none.
RUBBISH: list[tuple[str, Any]] = [
    ("short.fr", "bonjour"),
    ("short", "which language?"),
    ("what_helps.", "x"),
    ("group", "elsewhere"),
    ("who", "the king"),
    ("permanence", "perhaps"),
    ("category", "two words"),
    ("category", "x" * 41),
    ("category", ""),
    ("policy.action", "explode"),
    ("policy.block", "perhaps"),
    ("policy.block", 7),
    ("policy.tries", "many"),
    ("policy.tries", "nan"),
    ("policy.base", "inf"),
    ("policy.deadline", 10**400),
    ("policy.cap", [1]),
    ("policy.colour", 1),
    ("policy.", 1),
    ("unheard_of", "x"),
]


def refused(name: str, value: Any) -> ReferenceProblem:
    with pytest.raises(ReferenceProblem) as caught:
        checked_content({name: value}, complete=False)
    return caught.value


def is_said_in_all_languages(problem: ReferenceProblem) -> bool:
    return all(problem.message in catalogue(language) for language in ("de", "ru"))


@pytest.mark.parametrize(("name", "most", "beyond"), BOUNDS)
def test_each_field_takes_its_bound_and_nothing_beyond(name: str, most: Any, beyond: Any) -> None:
    assert checked_content({name: most}, complete=False)[name] == most
    problem = refused(name, beyond)
    assert problem.field == name
    assert is_said_in_all_languages(problem)


@pytest.mark.parametrize(("name", "value"), RUBBISH)
def test_what_is_no_value_of_a_field_is_refused_with_a_sentence(name: str, value: Any) -> None:
    problem = refused(name, value)
    assert problem.field == name
    assert is_said_in_all_languages(problem)
    assert str(problem).endswith((".", "}"))


@pytest.mark.parametrize(
    ("system", "code", "field"),
    [
        ("", "1", "system"),
        ("x" * (SYSTEM_LIMIT + 1), "1", "system"),
        ("smtß", "1", "system"),
        ("sm\ntp", "1", "system"),
        ("smtp", "", "code"),
        ("smtp", "1" * (CODE_LIMIT + 1), "code"),
        ("smtp", "5\u00b71", "code"),
        ("smtp", "5\t1", "code"),
    ],
)
def test_system_and_code_are_short_and_plain(system: str, code: str, field: str) -> None:
    with pytest.raises(ReferenceProblem) as caught:
        check_key(system, code)
    assert caught.value.field == field
    assert is_said_in_all_languages(caught.value)


@pytest.mark.parametrize(
    "pattern", ["x" * (PATTERN_LIMIT + 1), "(", "[z-a]", r"(a)\1", "(?=a)", "a{2000}{2000}"]
)
def test_a_pattern_that_cannot_be_used_is_refused_with_a_sentence(pattern: str) -> None:
    with pytest.raises(ReferenceProblem) as caught:
        check_pattern("pattern", pattern)
    assert is_said_in_all_languages(caught.value)


def test_key_and_pattern_take_their_bounds() -> None:
    assert check_key(" " + "s" * SYSTEM_LIMIT, "c" * CODE_LIMIT) == (
        "s" * SYSTEM_LIMIT,
        "c" * CODE_LIMIT,
    )
    check_pattern("pattern", "x" * PATTERN_LIMIT)


def test_yes_and_no_are_understood_in_words_too() -> None:
    for value, meant in ((True, True), (False, False), ("yes", True), ("no", False)):
        assert checked_content({"policy.block": value}, complete=False) == {"policy.block": meant}
