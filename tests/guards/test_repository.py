"""Keeps the tree as a newcomer expects it: nothing stray on top, nothing of one machine, nothing left to do."""

from __future__ import annotations

import ast
import fnmatch
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

VISIBLE = {
    "CHANGELOG.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "clinic_dispatch_plugin",
    "migrations",
    "plugins",
    "setup.py",
    "tests",
}

#: Endings of what people write here; all else is data or pictures.
TEXTS = {
    ".cfg",
    ".css",
    ".csv",
    ".html",
    ".ini",
    ".js",
    ".md",
    ".mako",
    ".po",
    ".py",
    ".toml",
    ".txt",
}

#: Files of the package and the plugins that may be longer, each with its reason; there are none.
MAY_BE_LONG: dict[str, str] = {}
LONGEST = 400

#: What only one machine has: folders of a person, of root, of a build.
MACHINE_PATH = re.compile(r"(?<![\w.}/-])/(?:work|root|home|Users)/\w")

UNFINISHED = re.compile(r"\b(?:TODO|FIXME|XXX)\b")

FAULTS = "CLINIC_DISPATCH_TESTING" + "_FAULTS"
#: Words in backquotes explain it; what stands without sets it.
SETS_FAULTS = re.compile(r"(?<!`)" + FAULTS + r"""["'\]]*\s*(?:=(?!=)|:)\s*\S""")


def ignored_names() -> list[str]:
    lines = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    return [".git", *(line.strip().rstrip("/") for line in lines if line.strip())]


IGNORED = ignored_names()


def is_ours(path: Path) -> bool:
    return not any(fnmatch.fnmatch(path.name, pattern) for pattern in IGNORED)


def files(folder: Path = ROOT) -> Iterator[Path]:
    """Give every file of the project below the folder, without what .gitignore names."""
    for path in sorted(folder.iterdir()):
        if not is_ours(path) or path.is_symlink():
            continue
        if path.is_dir():
            yield from files(path)
        else:
            yield path


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def is_text(path: Path) -> bool:
    return path.suffix in TEXTS or path.parent.name == ".ci" or path.parent == ROOT


ALL_FILES = list(files())
TEXT_FILES = [path for path in ALL_FILES if is_text(path)]
PYTHON_FILES = [path for path in ALL_FILES if path.suffix == ".py"]
SHIPPED_PYTHON = [path for path in PYTHON_FILES if not name(path).startswith("tests/")]


def lines_that_match(pattern: re.Pattern[str], paths: list[Path]) -> list[str]:
    return [
        f"{name(path)}:{number}: {line.strip()[:120]}"
        for path in paths
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if pattern.search(line)
    ]


def test_the_files_of_the_project_are_found() -> None:
    assert {"setup.py", "clinic_dispatch_plugin/api.py", ".pytest.ini", ".ci/run"} <= set(
        map(name, TEXT_FILES)
    )
    assert not [path for path in ALL_FILES if ".venv" in path.parts]


def test_nothing_stray_lies_on_top() -> None:
    visible = {path.name for path in ROOT.iterdir() if is_ours(path)}
    assert {each for each in visible if not each.startswith(".")} - VISIBLE == set()


def test_no_text_names_a_folder_of_one_machine() -> None:
    assert lines_that_match(MACHINE_PATH, TEXT_FILES) == []


@pytest.mark.parametrize(
    "path", ["/home/" + "anna/x", 'open("/root/' + 'x")', "in /work/" + "main"]
)
def test_a_folder_of_one_machine_would_be_noticed(path: str) -> None:
    assert MACHINE_PATH.search(path)


def test_nothing_is_left_to_do() -> None:
    others = [path for path in TEXT_FILES if path != Path(__file__)]
    assert lines_that_match(UNFINISHED, others) == []


def test_every_module_says_why_it_exists() -> None:
    silent = [
        name(path)
        for path in PYTHON_FILES
        if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert silent == []


def test_no_shipped_module_is_too_long() -> None:
    lengths = {
        name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in SHIPPED_PYTHON
    }
    too_long = {path for path, lines in lengths.items() if lines > LONGEST}
    assert too_long == set(MAY_BE_LONG)


def test_nothing_shipped_switches_the_faults_for_tests_on() -> None:
    shipped = [path for path in TEXT_FILES if not name(path).startswith("tests/")]
    assert lines_that_match(SETS_FAULTS, shipped) == []


@pytest.mark.parametrize("line", ['{"%s": "1"}', "%s=1", 'environ["%s"] = "1"', "%s: 1"])
def test_switching_the_faults_on_would_be_noticed(line: str) -> None:
    assert SETS_FAULTS.search(line % FAULTS)
