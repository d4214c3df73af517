"""Connections to a server for what is done outside a clinic's database: making, copying and dropping one."""

from __future__ import annotations

import functools
from typing import Any

from sqlalchemy import URL, Engine, NullPool, create_engine, make_url


def engine_at(url: str | URL) -> Engine:
    """A new connection each time it is asked for one; the server is got to know only once."""
    return _engine(make_url(url))


@functools.cache
def _engine(url: URL) -> Engine:
    many: dict[str, Any] = {}
    if url.get_backend_name() == "mysql":
        from pymysql.constants import CLIENT

        many = {"client_flag": CLIENT.MULTI_STATEMENTS}
    return create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT", connect_args=many)
