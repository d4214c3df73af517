"""Blocked addresses are kept under a key of the installation: a copy of the table tells nobody which they are."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import Connection, insert, select

from clinic_dispatch_plugin.accounts import keys
from clinic_dispatch_plugin.accounts.setup import rotate
from clinic_dispatch_plugin.accounts.tables import KeptKey
from clinic_dispatch_plugin.database.base import db_now
from clinic_dispatch_plugin.database.migrate import downgrade, upgrade
from clinic_dispatch_plugin.extension import ClinicDispatch
from clinic_dispatch_plugin.messages import store
from clinic_dispatch_plugin.messages.fingerprints import AddressesUnknown, fingerprint
from clinic_dispatch_plugin.messages.rules import unsubscribe_token
from clinic_dispatch_plugin.messages.service import unsubscribe
from clinic_dispatch_plugin.messages.tables import Audit, Block
from clinic_dispatch_plugin.registry import Dispatch
from tests.conftest import DATABASES

ANNA = "anna@example.org"
#: What anybody can work out about an address.
PLAIN = hashlib.sha256(f"letter\0{ANNA}".encode()).hexdigest()


@pytest.fixture
def app(database_url: str, tmp_path: Path) -> Iterator[Flask]:
    app = Flask("fingerprints")
    app.config.update(
        CLINIC_DISPATCH_DATABASE_URL=database_url, CLINIC_DISPATCH_DATA_DIR=str(tmp_path)
    )
    dispatch = ClinicDispatch().init_app(app)
    yield app
    dispatch.database.dispose()


def of(app: Flask) -> Dispatch:
    found: Dispatch = app.extensions["clinic_dispatch"]
    return found


def kept(connection: Connection) -> list[str]:
    return list(connection.scalars(select(Block.address_digest)))


def anew(dispatch: Dispatch, *secret_keys: str) -> Dispatch:
    """The same clinic after its processes were started again with these keys."""
    dispatch.cache.pop("key addresses", None)
    dispatch.settings = replace(dispatch.settings, secret_keys=secret_keys)
    return dispatch


@pytest.mark.parametrize("database_url", DATABASES, indirect=True)
def test_what_was_blocked_before_there_was_a_key_stays_blocked(app: Flask) -> None:
    """The table's change puts old rows, and what the trail says of them, under the key without the addresses."""
    dispatch = of(app)
    upgrade(dispatch.database, "0010")

    def as_before(connection: Connection) -> None:
        row = {"channel": "letter", "address_digest": PLAIN, "created_at": db_now()}
        connection.execute(insert(Block).values(**row))
        connection.execute(insert(Block).values(**row, scope="promotion"))
        store.write_audit(
            connection,
            actor_ref="recipient",
            actor_name="",
            action="unsubscribe",
            details={"channel": "letter", "digest": PLAIN},
        )

    dispatch.database.run(as_before)
    upgrade(dispatch.database)
    now = fingerprint(dispatch, "letter", ANNA.upper())
    with dispatch.database.begin() as connection:
        assert kept(connection) == [now, now] and PLAIN[:20] not in now
        assert store.blocked(connection, "letter", [now], "reminder") == {now: "blocked"}
        assert connection.scalar(select(Audit.details)) == {"channel": "letter", "digest": now}
    downgrade(dispatch.database, "0010")


@pytest.mark.parametrize("database_url", DATABASES[:1], indirect=True)
def test_a_link_of_an_earlier_mail_blocks_under_the_key(app: Flask) -> None:
    dispatch = anew(of(app), "k" * 40)
    upgrade(dispatch.database)
    assert unsubscribe(dispatch, unsubscribe_token("k" * 40, "letter", "promotion", PLAIN))
    with dispatch.database.begin() as connection:
        assert kept(connection) == [fingerprint(dispatch, "letter", ANNA)]


@pytest.mark.parametrize("database_url", DATABASES[:1], indirect=True)
def test_the_key_is_sealed_goes_along_with_the_keys_and_is_missed_when_they_are_gone(
    app: Flask,
) -> None:
    dispatch = of(app)
    upgrade(dispatch.database)
    before = fingerprint(dispatch, "letter", ANNA)

    def in_the_database() -> str:
        with dispatch.database.begin() as connection:
            return str(connection.scalar(select(KeptKey.value)))

    keys.seal_open(dispatch)
    assert in_the_database().startswith("open:"), "without a key it works, and stands open"
    opened = in_the_database().removeprefix("open:")
    keys.seal_open(anew(dispatch, "o" * 40))
    assert opened not in in_the_database()
    assert fingerprint(dispatch, "letter", ANNA) == before
    assert not rotate(anew(dispatch, "n" * 40, "o" * 40)).keys_lost
    assert fingerprint(anew(dispatch, "n" * 40), "letter", ANNA) == before, "the old one may go"

    anew(dispatch, "x" * 40)
    assert keys.lost(dispatch) and rotate(dispatch).keys_lost == ["addresses"]
    with app.app_context(), pytest.raises(AddressesUnknown, match="CLINIC_DISPATCH_SECRET_KEYS"):
        fingerprint(dispatch, "letter", ANNA)
    said = app.test_cli_runner().invoke(args=["dispatch", "worker", "--burst"])
    assert said.exit_code == 1 and "so nothing is sent" in said.output
    assert fingerprint(anew(dispatch, "n" * 40), "letter", ANNA) == before
