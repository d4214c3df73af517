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
    return [ast.unparse(node) for node in ast.walk(ast.parse(source)) if _is_float_of_money(node)]


def _is_float_of_money(node: ast.AST) -> bool:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return node.func.id == "float" and bool(_MONEY.search(ast.unparse(node)))
    if isinstance(node, ast.AnnAssign):
        kind, name = node.annotation, ast.unparse(node.target)
    elif isinstance(node, ast.arg) and node.annotation is not None:
        kind, name = node.annotation, node.arg
    else:
        return False
    return "float" in ast.unparse(kind) and bool(_MONEY.search(name))


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
    assert floats_of_money("def f(amount: float) -> None: ...") == ["amount: float"]


def test_no_column_of_money_is_a_float() -> None:
    wrong = [
        f"{table.name}.{column.name}"
        for table in Base.metadata.tables.values()
        for column in table.columns
        if _MONEY.search(column.name) and isinstance(column.type, Float)
    ]
    assert wrong == []
