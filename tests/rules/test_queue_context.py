"""A queued function finds its application in any worker."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask, current_app
from flask.cli import NoAppException

from clinic_dispatch_plugin.queue import context
from clinic_dispatch_plugin.queue.context import in_app


@in_app
def name_of_app() -> str:
    return current_app.name


@pytest.fixture(autouse=True)
def no_app_known_yet() -> None:
    context._app.clear()


def test_the_context_that_is_there_is_used() -> None:
    with Flask("inherited").app_context():
        assert name_of_app() == "inherited"


def test_without_one_the_named_application_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "some_clinic.py").write_text("from flask import Flask\napp = Flask('named')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("FLASK_APP", "some_clinic")
    assert name_of_app() == "named"


def test_without_any_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FLASK_APP", raising=False)
    with pytest.raises(NoAppException):
        name_of_app()
