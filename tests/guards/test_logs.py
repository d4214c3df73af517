"""Keeps what a clinic's system or a gateway says out of the logs: an error's kind and place, never its words."""

from __future__ import annotations

import ast
import inspect
import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

from clinic_dispatch_plugin.host.adapter import HostAdapter
from clinic_dispatch_plugin.queue.logs import JsonLines, about
from tests.guards.test_repository import ROOT, SHIPPED_PYTHON

#: Files whose errors cannot hold a patient's data, each with its reason.
HARMLESS = {
    "clinic_dispatch_plugin/registry.py": "plugins are read at the start, before there is any patient",
    "clinic_dispatch_plugin/simulators": "the simulators know only patients of the demo and of tests",
}
QUESTIONS = {
    name for name, _ in inspect.getmembers(HostAdapter, inspect.isfunction) if name[0] != "_"
}


def whole_errors(source: str) -> Iterator[int]:
    """Lines that log an error with its own words."""
    for call in ast.walk(ast.parse(source)):
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
            continue
        named = {keyword.arg for keyword in call.keywords}
        on_a_log = "log" in ast.unparse(call.func.value).casefold()
        if (call.func.attr == "exception" and on_a_log) or "exc_info" in named:
            yield call.lineno


def test_no_log_holds_an_errors_own_words() -> None:
    found = [
        f"{where}:{line}"
        for path in SHIPPED_PYTHON
        if not (where := path.relative_to(ROOT).as_posix()).startswith(tuple(HARMLESS))
        for line in whole_errors(path.read_text(encoding="utf-8"))
    ]
    assert found == [], "use places(error): a host's error may name its patients"


def test_such_a_log_would_be_found() -> None:
    assert list(whole_errors("log.exception('x')\nlogger.error('y', exc_info=error)\n")) == [1, 2]


def unguarded(source: str) -> Iterator[str]:
    """Questions to the host's adapter outside the door for them and outside any ``try`` that takes all."""
    tree = ast.parse(source)
    guarded: set[int] = set()
    for node in ast.walk(tree):
        inside: list[ast.AST] = []
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "ask":
            inside = [*node.args]
        elif isinstance(node, ast.Try) and any(_takes_all(each) for each in node.handlers):
            inside = [*node.body]
        guarded |= {id(each) for part in inside for each in ast.walk(part)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in QUESTIONS and id(node) not in guarded:
            owner = ast.unparse(node.value)
            if owner.split(".")[-1] in {"host", "_host"}:
                yield f"{node.lineno} {owner}.{node.attr}"


def _takes_all(handler: ast.ExceptHandler) -> bool:
    return handler.type is None or ast.unparse(handler.type) in {"Exception", "BaseException"}


#: Questions whose errors somebody else takes, each with its reason.
PASSED_ON = {
    "clinic_dispatch_plugin/web/layout.py": "framed() shows the plain page instead, the doctor says what it was",
    "clinic_dispatch_plugin/mailings/sending.py": "host code that sends gets its own adapter's error",
}


def test_every_question_to_the_host_goes_through_a_door() -> None:
    found = [
        f"{where}:{one}"
        for path in SHIPPED_PYTHON
        if (where := path.relative_to(ROOT).as_posix()) not in PASSED_ON
        if not where.startswith("clinic_dispatch_plugin/demo")
        for one in unguarded(path.read_text(encoding="utf-8"))
    ]
    assert found == [], "use web.asking.ask()"


def test_a_question_without_a_door_would_be_found() -> None:
    assert list(unguarded("x = dispatch.host.recipient_url(ref)\n")) == [
        "1 dispatch.host.recipient_url"
    ]
    assert list(unguarded("ask('x', lambda: dispatch.host.recipient_url(ref))\n")) == []


def test_what_is_allowed_is_there() -> None:
    assert [name for name in (*HARMLESS, *PASSED_ON) if not (ROOT / Path(name)).exists()] == []


CANARY = "Frau Kanarienvogel +49 151 0000000"


def test_json_lines_hold_ids_and_never_an_errors_words() -> None:
    about(run=7, mailing=3)
    try:
        raise ValueError(CANARY)
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, "f", 1, "%s failed", ("it",), sys.exc_info())
    record.message_id, record.attempt_id = 11, "12"
    try:
        line = JsonLines().format(record)
    finally:
        about(run=0, mailing=0)
    said = json.loads(line)
    assert CANARY not in line and "\n" not in line
    assert said["error"].startswith("ValueError at test_logs.py")
    assert (said["run"], said["mailing"], said["message"]) == (7, 3, 11)
    assert "attempt" not in said  # no number
    assert "run" not in json.loads(JsonLines().format(record))
