"""Many values as one parameter of a statement, for PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import (
    JSON,
    ColumnElement,
    Connection,
    Executable,
    Text,
    any_,
    bindparam,
    cast,
    column,
    func,
    insert,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.sql.base import ReadOnlyColumnCollection
from sqlalchemy.types import TypeEngine

from clinic_dispatch_plugin.database.base import Base

Types = Mapping[str, TypeEngine[Any]]


def among(
    connection: Connection, column: ColumnElement[Any], values: Iterable[Any]
) -> ColumnElement[bool]:
    """``column IN (values)``, with one parameter where the database can."""
    wanted = list(values)
    if connection.dialect.name != "postgresql":
        return column.in_(wanted)
    return column == any_(bindparam(None, wanted, type_=ARRAY(column.type)))


def rows_of(types: Types) -> ReadOnlyColumnCollection[str, Any]:
    """The columns of a table made of one parameter; its value comes from :func:`given_rows`."""
    columns = [column(name, type_) for name, type_ in types.items()]
    given = func.json_to_recordset(cast(bindparam("rows", type_=Text), JSON))
    return given.table_valued(*columns, name="given").render_derived(with_types=True).c


@cache
def adding(table: type[Base], names: tuple[str, ...]) -> Executable:
    """An ``INSERT`` of these columns of a table, from :func:`given_rows`."""
    given = rows_of({name: table.__table__.c[name].type for name in names})
    return insert(table).from_select(names, select(*(given[name] for name in names)))


def given_rows(several: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The parameter: JSON, which costs a tenth of arrays to write; times and amounts of money stand in it as text."""
    return {"rows": json.dumps(several, default=str)}
