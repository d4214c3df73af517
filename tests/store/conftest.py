"""A clinic in each kind of database, with a plugin of pigeons beside ours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from clinic_dispatch_plugin.registry import Dispatch
from tests.clinic.host import make_clinic
from tests.store.pigeons import Pigeons


@pytest.fixture
def pigeons() -> Pigeons:
    return Pigeons()


@pytest.fixture
def dispatch(database_url: str, tmp_path: Path, pigeons: Pigeons) -> Iterator[Dispatch]:
    clinic = make_clinic(
        tmp_path, config={"SQLALCHEMY_DATABASE_URI": database_url}, plugins=[pigeons]
    )
    yield clinic.dispatch
    clinic.dispatch.database.dispose()
