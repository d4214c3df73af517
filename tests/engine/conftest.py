"""A desk on each database; each test begins with empty tables."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.dispatching import Desk, open_desk


@pytest.fixture
def desk(database_url: str, tmp_path: Path) -> Iterator[Desk]:
    """A dispatch with a fake channel and a fake host, on each kind of database."""
    made = open_desk(database_url, tmp_path)
    yield made
    made.dispatch.database.dispose()
