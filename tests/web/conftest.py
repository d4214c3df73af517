"""The tiny clinic as fixtures for the tests of pages."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask.testing import FlaskClient

from tests.clinic.host import Clinic, make_clinic


@pytest.fixture
def clinic(tmp_path: Path) -> Clinic:
    """Give a clinic with tables and the shipped reference; the administrator is signed in, in German."""
    return make_clinic(tmp_path)


@pytest.fixture
def client(clinic: Clinic) -> FlaskClient:
    """Give a browser without JavaScript."""
    return clinic.app.test_client()
