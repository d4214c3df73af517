"""A demo clinic of the test's own, before it had the plugin, on a day that stands still."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.security import generate_password_hash

from clinic_dispatch_plugin.demo import create_app, seeding
from clinic_dispatch_plugin.demo.models import db

TODAY = date(2026, 11, 24)
TOMORROW = date(2026, 11, 25)

MakeClinic = Callable[..., Flask]
SignIn = Callable[..., FlaskClient]


@pytest.fixture(scope="session", autouse=True)
def _passwords_are_read_quickly() -> Iterator[None]:
    """What makes a password slow to guess takes a sixth of a second at each sign-in; here it is known to all."""
    quick = partial(generate_password_hash, method="scrypt:1024:8:1")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(seeding, "generate_password_hash", quick)
        yield


@pytest.fixture
def make_clinic(tmp_path: Path) -> Iterator[MakeClinic]:
    """Make clinics in one folder; their connections are closed at the end."""
    made: list[Flask] = []

    def make(**config: Any) -> Flask:
        app = create_app(
            {
                "MOUNT_DISPATCH": False,
                "DEMO_TODAY": TODAY,
                "CLINIC_DISPATCH_DATA_DIR": str(tmp_path / "clinic"),
                **config,
            }
        )
        made.append(app)
        return app

    yield make
    for app in made:
        with app.app_context():
            db.engine.dispose()
        if (dispatch := app.extensions.get("clinic_dispatch")) is not None:
            dispatch.database.dispose()


@pytest.fixture(scope="session")
def filled_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fill one clinic for the whole run; tests get a copy."""
    folder = tmp_path_factory.mktemp("filled") / "clinic"
    create_app(
        {
            "MOUNT_DISPATCH": False,
            "DEMO_TODAY": TODAY,
            "CLINIC_DISPATCH_DATA_DIR": str(folder),
        }
    )
    return folder


@pytest.fixture
def clinic(make_clinic: MakeClinic, filled_folder: Path, tmp_path: Path) -> Flask:
    """Give a clinic that is filled."""
    shutil.copytree(filled_folder, tmp_path / "clinic")
    return make_clinic()


@pytest.fixture
def sign_in(clinic: Flask) -> SignIn:
    """Sign somebody in and give their browser."""

    def sign(username: str, *, password: str = "demo") -> FlaskClient:
        client = clinic.test_client()
        answer = client.post(
            "/sign-in",
            data={"username": username, "password": password, "form_token": token_of(client)},
        )
        assert answer.status_code in {302, 422}
        return client

    return sign


def token_of(client: FlaskClient, path: str = "/sign-in") -> str:
    """The token that a page's forms bring back."""
    page = client.get(path, follow_redirects=True).get_data(as_text=True)
    found = re.search(r'name="form_token" value="([^"]+)"', page)
    assert found is not None
    return found[1]
