"""The declarative base of our own tables, and the column types that mean the same on every database."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import JSON, BigInteger, DateTime, Dialect, Integer, MetaData, Numeric, Text
from sqlalchemy.dialects import mysql
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import ColumnElement
from sqlalchemy.sql.visitors import InternalTraversal
from sqlalchemy.types import TypeDecorator

#: Every table of ours begins so; migrations of host and plugin tell each other's tables apart by it.
TABLE_PREFIX = "dispatch_"

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC time; databases without time zones hold the UTC wall clock, to the microsecond."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        """MariaDB's DATETIME needs its six decimals asked for."""
        if dialect.name in {"mysql", "mariadb"}:
            return dialect.type_descriptor(mysql.DATETIME(fsp=6))
        return dialect.type_descriptor(DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive times: a time without its zone is a mistake waiting for October."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a stored time needs its time zone")
        value = value.astimezone(UTC)
        return value if dialect.name == "postgresql" else value.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Always aware, always UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Amount(TypeDecorator[Decimal]):
    """Money to the millionth, never a float: SQLite, which has no decimals, holds whole millionths."""

    impl = Numeric(18, 6)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        """Whole numbers where there are no decimals."""
        if dialect.name == "sqlite":
            return dialect.type_descriptor(BigInteger())
        return dialect.type_descriptor(Numeric(18, 6))

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Decimal | int | None:
        """Refuse floats."""
        if value is None:
            return None
        if not isinstance(value, Decimal):
            raise TypeError(f"an amount of money is a Decimal, not {type(value).__name__}")
        return int(value.scaleb(6).to_integral_value()) if dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        """Exactly what was stored."""
        if value is None:
            return None
        return Decimal(value).scaleb(-6) if dialect.name == "sqlite" else Decimal(value)


#: 64 bits everywhere; SQLite counts up by itself only in an INTEGER.
BigId = BigInteger().with_variant(Integer, "sqlite")
#: Room for a mail's HTML: MariaDB's TEXT ends at 64 KiB.
LongText = Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
Json = JSON()


class Base(DeclarativeBase):
    """All our tables; the host's metadata never holds them."""

    metadata = MetaData(naming_convention=NAMING)


class db_now(ColumnElement[datetime]):
    """The database's own UTC clock, moved by ``seconds``: no two machines' clocks are ever compared."""

    type = UtcDateTime()
    # Without it every statement with a clock in it would be compiled anew each time.
    _traverse_internals = [("seconds", InternalTraversal.dp_plain_obj)]  # noqa: RUF012 - as its base has it

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = float(seconds)


@compiles(db_now, "postgresql")
def _postgresql_now(element: db_now, compiler: SQLCompiler, **kw: Any) -> str:
    shift = f" + interval '{element.seconds:.3f} seconds'" if element.seconds else ""
    return f"(clock_timestamp(){shift})"


@compiles(db_now, "mysql", "mariadb")
def _mariadb_now(element: db_now, compiler: SQLCompiler, **kw: Any) -> str:
    if not element.seconds:
        return "UTC_TIMESTAMP(6)"
    return f"(UTC_TIMESTAMP(6) + INTERVAL {round(element.seconds * 1_000_000)} MICROSECOND)"


@compiles(db_now, "sqlite")
def _sqlite_now(element: db_now, compiler: SQLCompiler, **kw: Any) -> str:
    shift = f", '{element.seconds:+.3f} seconds'" if element.seconds else ""
    return f"strftime('%Y-%m-%d %H:%M:%f000', 'now'{shift})"
