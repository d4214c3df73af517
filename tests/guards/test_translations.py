"""Keeps every text of ours readable in three languages: nothing missing, nothing left over, no field lost."""

from __future__ import annotations

import ast
import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from babel.messages.pofile import read_po
from jinja2 import Environment, nodes

from clinic_dispatch_plugin.channels import text_problems
from clinic_dispatch_plugin.mailings import recipient_problems

PACKAGE = Path(__file__).parents[2] / "clinic_dispatch_plugin"
TEMPLATES = PACKAGE / "templates" / "clinic_dispatch"
TRANSLATIONS = PACKAGE / "translations"
#: Forms a counted text has (CLDR for whole numbers).
FORMS = {"de": 2, "ru": 3}

ONE = {"_", "N_", "translate"}
MANY = {"n_", "translate_many"}
#: Classes whose words reach the page: the argument that holds the English text, by place and by name.
PROBLEMS = {"Problem": (0, ("message", "advice")), "ReferenceProblem": (1, ("message",))}
#: The demo clinic stands for a host, with words and catalogues of its own.
NOT_OURS = {"demo", "simulators", "testing"}


@dataclass(frozen=True, slots=True)
class Text:
    """An English text as the code has it."""

    one: str
    #: The form for many; None: a text that counts nothing.
    many: str | None
    where: str


def python_files() -> list[Path]:
    return [
        path
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.relative_to(PACKAGE).parts[0] not in NOT_OURS
    ]


def constant(node: ast.expr | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def constants(node: ast.expr | None) -> list[str]:
    """The text, or both of ``"this" if so else "that"``."""
    if isinstance(node, ast.IfExp):
        return [*constants(node.body), *constants(node.orelse)]
    return [one] if (one := constant(node)) else []


def name_of(call: ast.Call) -> str:
    if isinstance(call.func, ast.Name):
        return call.func.id
    return call.func.attr if isinstance(call.func, ast.Attribute) else ""


def texts_of_python(source: str, where: str) -> Iterator[Text]:
    tree = ast.parse(source)
    for scope in ast.walk(tree):
        # Commands speak English; what is wrong is translated for pages.
        if isinstance(scope, ast.FunctionDef) and not where.startswith("cli/"):
            yield from texts_of_problems(scope, where)
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call):
            continue
        place = f"{where}:{call.lineno}"
        if name_of(call) in ONE and call.args:
            yield from (Text(one, None, place) for one in constants(call.args[0]))
        elif name_of(call) in MANY and len(call.args) > 1:
            one, many = constant(call.args[0]), constant(call.args[1])
            if one and many:
                yield Text(one, many, place)


def texts_of_problems(scope: ast.AST, where: str) -> Iterator[Text]:
    """What is wrong with an entered value: the text itself, or a name that was given one in the same function."""
    for call in ast.walk(scope):
        if not isinstance(call, ast.Call) or name_of(call) not in PROBLEMS:
            continue
        for given in problem_texts(call):
            found = constants(given)
            if isinstance(given, ast.Name):
                found = assigned(scope, given.id, until=call.lineno)
            yield from (Text(one, None, f"{where}:{call.lineno}") for one in found)


def problem_texts(call: ast.Call) -> list[ast.expr]:
    place, keywords = PROBLEMS[name_of(call)]
    found = [given.value for given in call.keywords if given.arg in keywords]
    return found or call.args[place : place + 1]


def assigned(scope: ast.AST, name: str, *, until: int) -> list[str]:
    """The text the name got last before a line."""
    found = [
        (node.lineno, one)
        for node in ast.walk(scope)
        if isinstance(node, ast.Assign)
        and node.lineno <= until
        and any(isinstance(target, ast.Name) and target.id == name for target in node.targets)
        and (one := constants(node.value))
    ]
    return max(found)[1] if found else []


def texts_of_template(source: str, where: str) -> Iterator[Text]:
    for call in Environment().parse(source).find_all(nodes.Call):
        if not isinstance(call.node, nodes.Name):
            continue
        given = [each.value for each in call.args if isinstance(each, nodes.Const)]
        place = f"{where}:{call.lineno}"
        if call.node.name == "_" and given:
            yield Text(given[0], None, place)
        elif call.node.name == "n_" and len(given) > 1:
            yield Text(given[0], given[1], place)


def texts_of_tables() -> Iterator[Text]:
    for message in (*text_problems.MESSAGES.values(), text_problems.EMPTY_MESSAGE):
        yield Text(message, None, "channels/text_problems.py")
    for table in (recipient_problems.ROW_TEXTS, recipient_problems.FILE_TEXTS):
        for text in table.values():
            yield Text(text.message, None, "mailings/recipient_problems.py")
            yield Text(text.advice, None, "mailings/recipient_problems.py")


@cache
def texts() -> tuple[Text, ...]:
    found = list(texts_of_tables())
    for path in python_files():
        where = path.relative_to(PACKAGE).as_posix()
        found += texts_of_python(path.read_text(encoding="utf-8"), where)
    for path in sorted(TEMPLATES.rglob("*.html")):
        where = path.relative_to(PACKAGE).as_posix()
        found += texts_of_template(path.read_text(encoding="utf-8"), where)
    return tuple(found)


@cache
def catalogue(language: str) -> Mapping[str, tuple[str, tuple[str, ...], str]]:
    """Each id with its form for many, its translations and its file."""
    found: dict[str, tuple[str, tuple[str, ...], str]] = {}
    for path in sorted((TRANSLATIONS / language).glob("*.po")):
        with path.open("rb") as stream:
            for message in read_po(stream, locale=language, abort_invalid=True):
                if not message.id:
                    continue
                where = f"{language}/{path.name}"
                one, *more = _several(message.id)
                many = more[0] if more else ""
                said = _several(message.string)
                assert not message.fuzzy, f"{where}: {one!r} is only guessed"
                known = found.get(one)
                assert known is None or known[1] == said, (
                    f"{where} and {known[2]} say different things for {one!r}"
                )
                found[one] = (many, said, where)
    return found


def _several(texts: object) -> tuple[str, ...]:
    """What a catalogue says of one id: a text, or the forms of a counted one."""
    found = texts if isinstance(texts, tuple | list) else (texts,)
    return tuple(str(each or "") for each in found)


def fields(text: str) -> set[str]:
    return {name for _text, name, _spec, _conversion in string.Formatter().parse(text) if name}


def test_texts_are_found_where_they_stand() -> None:
    found = {text.one for text in texts()}
    assert {
        "You may not do this",  # a table of Python, marked
        "Please fill this in.",  # a call
        "Choose who gets the message.",  # a problem with a field
        "What helps?",  # a template
        "The file is empty.",  # a table of files of recipients
    } <= found


def test_a_text_given_to_a_name_first_is_found() -> None:
    source = 'def f():\n    message = "Old."\n    message = "New."\n    raise X(Problem(field="a", message=message))\n'
    assert [text.one for text in texts_of_python(source, "x.py")] == ["New."]


@pytest.mark.parametrize("language", FORMS)
def test_every_text_is_translated(language: str) -> None:
    known = catalogue(language)
    missing = {
        text.one: text.where
        for text in texts()
        if not (found := known.get(text.one)) or not all(found[1])
    }
    assert missing == {}


@pytest.mark.parametrize("language", FORMS)
def test_every_counted_text_has_all_forms(language: str) -> None:
    known = catalogue(language)
    wrong = []
    for text in texts():
        many, said, where = known.get(text.one, (text.many or "", (), ""))
        forms = FORMS[language] if text.many is not None else 1
        if where and (many != (text.many or "") or len(said) != forms):
            wrong.append(f"{where}: {text.one!r} of {text.where}")
    assert wrong == []


@pytest.mark.parametrize("language", FORMS)
def test_translations_have_the_fields_of_the_text(language: str) -> None:
    """A form for one thing may say "one" in words instead of the number."""
    wrong = []
    for one, (many, said, where) in catalogue(language).items():
        wanted = fields(one) | fields(many)
        for each in said:
            lacking = wanted ^ fields(each)
            if lacking - ({"n"} if many else set()):
                wrong.append(f"{where}: {one!r}: {sorted(lacking)}")
    assert wrong == []


@pytest.mark.parametrize("language", FORMS)
def test_no_translation_is_left_over(language: str) -> None:
    used = {text.one for text in texts()}
    left = {
        one: where for one, (_many, _said, where) in catalogue(language).items() if one not in used
    }
    assert left == {}


def test_the_same_text_is_not_counted_here_and_plain_there() -> None:
    counted = {text.one: text.where for text in texts() if text.many is not None}
    mixed = {
        text.one: (text.where, counted[text.one])
        for text in texts()
        if text.many is None and text.one in counted
    }
    assert mixed == {}


def test_no_text_is_put_together_before_it_is_translated() -> None:
    """``_(f"…")`` and a problem with an f-string have no id that a catalogue could know."""
    put_together = []
    for path in python_files():
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(call, ast.Call):
                continue
            given = problem_texts(call) if name_of(call) in PROBLEMS else []
            if name_of(call) in ONE | MANY:
                given = call.args[:1]
            if any(isinstance(each, ast.JoinedStr | ast.BinOp) for each in given):
                put_together.append(f"{path.relative_to(PACKAGE)}:{call.lineno}")
    assert put_together == []
