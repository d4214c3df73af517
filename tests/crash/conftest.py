"""A clinic on SQLite or PostgreSQL, with a relay whose ledger survives whatever happens to the workers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from clinic_dispatch_plugin.database.migrate import upgrade
from clinic_dispatch_plugin.error_reference.packs import install_packs
from clinic_dispatch_plugin.simulators.smtp import RelaySettings, SmtpSimulator
from clinic_dispatch_plugin.testing import FakeChannel, FakeHost
from tests.conftest import DATABASES
from tests.crash import warm as warm_process
from tests.crash.clinic import PEOPLE, create_app
from tests.crash.warm import Warm
from tests.crash.workers import CONNECTIONS, Clinic
from tests.engine.dispatching import Desk


@pytest.fixture(params=DATABASES[:2])
def crash_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Give the URL of a new SQLite or PostgreSQL database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'clinic.sqlite'}"
        return
    with request.getfixturevalue("postgresql_server").fresh_database() as url:
        yield url


@pytest.fixture(scope="session")
def warm() -> Iterator[Warm]:
    """Give one process for the whole run that forks into each worker."""
    with warm_process.running() as process:
        yield process


@pytest.fixture
def make_clinic(
    crash_url: str, warm: Warm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Clinic]]:
    """Make a clinic; everything it starts is ended after the test."""
    with ExitStack() as stack:

        def make(*, latency: float = 0.0, people: int = 0, lease: float = 30.0) -> Clinic:
            ledger = tmp_path / "ledger"
            relay = stack.enter_context(
                SmtpSimulator(RelaySettings(ledger=ledger, latency=latency))
            )
            settings = {
                "CLINIC_DISPATCH_DATABASE_URL": crash_url,
                "CLINIC_DISPATCH_DATA_DIR": str(tmp_path / "data"),
                "CLINIC_DISPATCH_EMAIL_URL": f"{relay.url}?connections={CONNECTIONS}",
                "CLINIC_DISPATCH_EMAIL_FROM": "Klinik <post@klinik.example>",
                "CLINIC_DISPATCH_LEASE_SECONDS": str(lease),
                PEOPLE: str(people),
            }
            for name, value in settings.items():
                monkeypatch.setenv(name, value)
            dispatch = create_app().extensions["clinic_dispatch"]
            upgrade(dispatch.database)
            install_packs(dispatch)
            desk = Desk(dispatch=dispatch, channel=FakeChannel(key="email"), host=FakeHost())
            stack.callback(dispatch.database.dispose)
            clinic = Clinic(
                desk=desk,
                environment=dict(os.environ),
                ledger_file=ledger,
                folder=tmp_path,
                warm=warm,
                relay=relay,
            )
            stack.callback(clinic.end_all)
            return clinic

        yield make
