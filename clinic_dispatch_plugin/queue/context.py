"""The application a job runs in: the worker's own, or for a plain ``rq worker`` the one ``FLASK_APP`` names."""

from __future__ import annotations

import functools
import logging
import os
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

from flask import Flask, has_app_context
from flask.cli import NoAppException, ScriptInfo

log = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

_app: list[Flask] = []


class JobFailed(Exception):
    """What RQ keeps of a failed job: the kind of error, never its words, which may hold a patient's data."""


def places(error: BaseException) -> str:
    """An error's kind and where it came from, without its words."""
    frames = traceback.extract_tb(error.__traceback__)
    where = " < ".join(f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in reversed(frames))
    return f"{type(error).__name__} at {where}"


def in_app(function: Callable[P, R]) -> Callable[P, R]:
    """Run a job inside an application context, made from ``FLASK_APP`` where there is none."""

    @functools.wraps(function)
    def inside(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return within(*args, **kwargs)
        except NoAppException:  # our own words, about FLASK_APP
            raise
        except Exception as error:
            log.error("job %s failed: %s", function.__name__, places(error))
            raise JobFailed(type(error).__name__) from None

    def within(*args: P.args, **kwargs: P.kwargs) -> R:
        if has_app_context():
            return function(*args, **kwargs)
        if not _app:
            # Only the command line's option reads the variable by itself.
            _app.append(ScriptInfo(app_import_path=os.environ.get("FLASK_APP")).load_app())
        with _app[0].app_context():
            return function(*args, **kwargs)

    return inside
