"""Money is never a float: neither in the code that reckons with it, nor in a column that holds it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from sqlalchemy import Float

from clinic_dispatch_plugin.database.base import Base
from tests.guards.test_repository import ROOT

_MONEY = re.compile(r"price|cost|amount|balance|spent|spending|cap_|money", re.IGNORECASE)


def files() -> list[Path]:
    places = ("clinic_dispatch_plugin", "plugins")
    found = [path for place in places for path in (ROOT / place).rglob("*.py")]
    return [path for path in found if "simulators" not in path.parts]


def floats_of_money(source: str) -> list[str]:
    """Calls of ``float()`` on something that is called like money, and annotations that make it one."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id == "float" and _MONEY.search(ast.unparse(node)):
                found.append(ast.unparse(node))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name | ast.Attribute):
            if "float" in ast.unparse(node.annotation) and _MONEY.search(ast.unparse(node.target)):
                found.append(ast.unparse(node))
        elif isinstance(node, ast.arg) and node.annotation is not None:
            if "float" in ast.unparse(node.annotation) and _MONEY.search(node.arg):
                found.append(node.arg)
    return found


def test_no_float_holds_money() -> None:
    found = {
        str(path.relative_to(ROOT)): wrong
        for path in files()
        if (wrong := floats_of_money(path.read_text("utf-8")))
    }
    assert found == {}


def test_a_float_of_money_would_be_noticed() -> None:
    assert floats_of_money("price: float = 0.1") == ["price: float = 0.1"]
    assert floats_of_money("float(row['cost'])") == ["float(row['cost'])"]
    assert floats_of_money("def f(amount: float) -> None: ...") == ["amount"]


def test_no_column_of_money_is_a_float() -> None:
    wrong = [
        f"{table.name}.{column.name}"
        for table in Base.metadata.tables.values()
        for column in table.columns
        if _MONEY.search(column.name) and isinstance(column.type, Float)
    ]
    assert wrong == []
