"""Our tables with the reference in them, made once for each kind of database and copied for every further test."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import URL, Connection, text

from clinic_dispatch_plugin.channels.reference import ReferencePack
from clinic_dispatch_plugin.database.migrate import upgrade
from clinic_dispatch_plugin.error_reference.packs import digest_of, install_packs
from clinic_dispatch_plugin.registry import Dispatch
from tests.servers.beside import engine_at

#: What a file of SQLite holds, by the packs that are in it.
_FILES: dict[str, bytes] = {}
#: Fingerprints of packs, by the packs themselves: reading one takes longer than all the rest.
_DIGESTS: dict[int, tuple[ReferencePack, str]] = {}
#: Databases on a server that stay as they are, by the server and the packs.
_PATTERNS: dict[tuple[str, str], str] = {}
#: The statements that copy a database of MariaDB, by its server and name.
_WORDS: dict[tuple[str, str], list[str]] = {}


def fill(dispatch: Dispatch) -> None:
    """Make the tables and install the packs, as ``flask dispatch db upgrade`` does, into an empty database."""
    url = dispatch.database.engine.url
    packs = repr(sorted((pack.key, _digest(pack)) for pack in dispatch.reference_packs()))
    if url.get_backend_name() == "sqlite":
        _fill_file(dispatch, Path(str(url.database)), packs)
    else:
        _fill_database(dispatch, url, packs)


def _digest(pack: ReferencePack) -> str:
    if id(pack) not in _DIGESTS:
        _DIGESTS[id(pack)] = (pack, digest_of(pack))
    return _DIGESTS[id(pack)][1]


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
    with engine_at(beside).connect() as connection:
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
    key = (str(connection.engine.url), source)
    if key not in _WORDS:
        _WORDS[key] = _words_of_mariadb(connection, source)
    words = [f"CREATE DATABASE IF NOT EXISTS `{target}`", f"USE `{target}`", *_WORDS[key]]
    cursor = connection.connection.cursor()
    cursor.execute(";\n".join(words))
    while cursor.nextset():  # an error in any of them is raised here
        pass
    cursor.close()


def _words_of_mariadb(connection: Connection, source: str) -> list[str]:
    """What makes the same tables again, said to the server at once: each word to it costs as much as its work."""
    words = ["SET SESSION foreign_key_checks = 0"]
    for table in connection.scalars(text(f"SHOW TABLES IN `{source}`")).all():
        words.append(connection.execute(text(f"SHOW CREATE TABLE `{source}`.`{table}`")).one()[1])
        words.append(f"INSERT INTO `{table}` SELECT * FROM `{source}`.`{table}`")
    return words
