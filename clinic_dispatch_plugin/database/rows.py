"""Many rows as the parameters of one statement, for PostgreSQL: ``unnest`` sets arrays side by side as columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import bindparam, column, func
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.sql.base import ReadOnlyColumnCollection
from sqlalchemy.types import TypeEngine

Types = Mapping[str, TypeEngine[Any]]


def rows_of(types: Types) -> ReadOnlyColumnCollection[str, Any]:
    """The columns of a table made of parameters called like them; the values come from :func:`arrays`."""
    given = [bindparam(name, type_=ARRAY(type_)) for name, type_ in types.items()]
    columns = [column(name, type_) for name, type_ in types.items()]
    return func.unnest(*given).table_valued(*columns, name="given").render_derived().c


def arrays(types: Types, rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """The parameters: one list a column."""
    return {name: [row[name] for row in rows] for name in types}
