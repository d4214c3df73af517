"""Our tables with the reference in them, made once for each kind of database and copied for every further test."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import URL, Connection, create_engine, text
from sqlalchemy.pool import NullPool

from clinic_dispatch_plugin.database.migrate import upgrade
from clinic_dispatch_plugin.error_reference.packs import digest_of, install_packs
from clinic_dispatch_plugin.registry import Dispatch

#: What a file of SQLite holds, by the packs that are in it.
_FILES: dict[str, bytes] = {}
#: Databases on a server that stay as they are, by the server and the packs.
_PATTERNS: dict[tuple[str, str], str] = {}


def fill(dispatch: Dispatch) -> None:
    """Make the tables and install the packs, as ``flask dispatch db upgrade`` does, into an empty database."""
    url = dispatch.database.engine.url
    packs = repr(sorted((pack.key, digest_of(pack)) for pack in dispatch.reference_packs()))
    if url.get_backend_name() == "sqlite":
        _fill_file(dispatch, Path(str(url.database)), packs)
    else:
        _fill_database(dispatch, url, packs)


def _make(dispatch: Dispatch) -> None:
    upgrade(dispatch.database)
    install_packs(dispatch)
    dispatch.database.dispose()


def _fill_file(dispatch: Dispatch, file: Path, packs: str) -> None:
    if packs in _FILES:
        file.write_bytes(_FILES[packs])
    else:
        _make(dispatch)
        _FILES[packs] = file.read_bytes()


def _fill_database(dispatch: Dispatch, url: URL, packs: str) -> None:
    name = str(url.database)
    postgresql = url.get_backend_name() == "postgresql"
    copy = _copy_postgresql if postgresql else _copy_mariadb
    beside = url.set(database="postgres" if postgresql else "information_schema")
    server = (str(beside), packs)
    engine = create_engine(beside, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        if server in _PATTERNS:
            copy(connection, _PATTERNS[server], name)
        else:
            _make(dispatch)
            copy(connection, name, f"pattern_of_{name}")
            _PATTERNS[server] = f"pattern_of_{name}"


def _copy_postgresql(connection: Connection, source: str, target: str) -> None:
    connection.execute(text(f'DROP DATABASE IF EXISTS "{target}"'))
    connection.execute(text(f'CREATE DATABASE "{target}" TEMPLATE "{source}"'))


def _copy_mariadb(connection: Connection, source: str, target: str) -> None:
    connection.execute(text(f"CREATE DATABASE IF NOT EXISTS `{target}`"))
    connection.execute(text("SET SESSION foreign_key_checks = 0"))
    connection.execute(text(f"USE `{target}`"))
    for table in connection.scalars(text(f"SHOW TABLES IN `{source}`")).all():
        words = connection.execute(text(f"SHOW CREATE TABLE `{source}`.`{table}`")).one()[1]
        connection.exec_driver_sql(words.replace("%", "%%"))
        connection.execute(text(f"INSERT INTO `{table}` SELECT * FROM `{source}`.`{table}`"))
