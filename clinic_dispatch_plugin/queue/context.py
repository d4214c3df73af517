"""The application a job runs in: the worker's own, or for a plain ``rq worker`` the one ``FLASK_APP`` names."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from flask import Flask, has_app_context
from flask.cli import ScriptInfo

P = ParamSpec("P")
R = TypeVar("R")

_app: list[Flask] = []


def in_app(function: Callable[P, R]) -> Callable[P, R]:
    """Run a job inside an application context, made from ``FLASK_APP`` where there is none."""

    @functools.wraps(function)
    def inside(*args: P.args, **kwargs: P.kwargs) -> R:
        if has_app_context():
            return function(*args, **kwargs)
        if not _app:
            # Only the command line's option reads the variable by itself.
            _app.append(ScriptInfo(app_import_path=os.environ.get("FLASK_APP")).load_app())
        with _app[0].app_context():
            return function(*args, **kwargs)

    return inside
