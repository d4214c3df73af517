"""The figures for Prometheus: for this machine or whoever has the token, and without anybody's data."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import update

from clinic_dispatch_plugin.accounts import service as accounts
from clinic_dispatch_plugin.accounts.tables import AccountRow
from clinic_dispatch_plugin.testing import FakeChannel, FakePlugin
from tests.clinic.host import Clinic, make_clinic

PATH = "/dispatch/metrics"
TOKEN = "t" * 20


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    made = make_clinic(
        tmp_path_factory.mktemp("metrics"), packs=False, plugins=[FakePlugin(FakeChannel())]
    )
    yield made
    made.dispatch.database.dispose()


def test_every_line_can_be_read_and_accounts_stand_there(clinic: Clinic) -> None:
    def stopped(connection: object) -> None:
        row_id = accounts.account_id(connection, "fake", "default")  # type: ignore[arg-type]
        connection.execute(  # type: ignore[attr-defined]
            update(AccountRow).where(AccountRow.id == row_id).values(state="stopped", key='de"f\\')
        )

    clinic.dispatch.database.run(stopped)
    found = clinic.app.test_client().get(PATH)
    assert found.status_code == 200
    assert found.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    for line in found.text.splitlines():
        assert re.fullmatch(r"# (HELP|TYPE) .+|clinic_dispatch_\w+(\{.+\})? [0-9.e+]+", line), line
    assert "clinic_dispatch_oldest_due_seconds 0\n" in found.text
    account = r'channel="fake",account="de\"f\\"'
    assert f'clinic_dispatch_account_state{{{account},state="stopped"}} 1\n' in found.text
    assert f'clinic_dispatch_account_state{{{account},state="ready"}} 0\n' in found.text


def test_nobody_else_sees_them(clinic: Clinic, tmp_path: Path) -> None:
    client = clinic.app.test_client()
    assert client.get(PATH, environ_base={"REMOTE_ADDR": "10.0.0.9"}).status_code == 404
    assert client.get(PATH, headers={"X-Forwarded-For": "127.0.0.1"}).status_code == 404
    made = make_clinic(tmp_path, packs=False, config={"CLINIC_DISPATCH_METRICS_TOKEN": TOKEN})
    client = made.app.test_client()
    far = {"REMOTE_ADDR": "10.0.0.9"}
    assert client.get(PATH, headers={"Authorization": f"Bearer {TOKEN}x"}).status_code == 404
    assert client.get(PATH).status_code == 404
    good = {"Authorization": f"Bearer {TOKEN}"}
    assert client.get(PATH, headers=good, environ_base=far).status_code == 200
    assert TOKEN not in repr(made.dispatch.settings)
    made.dispatch.database.dispose()
