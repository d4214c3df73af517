"""Keeps uploaded lists of recipients until they are planned: private files under names nobody can guess."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import IO

from clinic_dispatch_plugin.mailings import store
from clinic_dispatch_plugin.mailings.problems import MailingProblem, NotYours, Problem
from clinic_dispatch_plugin.messages.rules import new_key
from clinic_dispatch_plugin.registry import Dispatch
from clinic_dispatch_plugin.web.private_files import copy_in, private_folder

MOST_BYTES = 64 * 1024 * 1024
#: Lists of abandoned drafts are removed after so long, in seconds.
KEPT_SECONDS = 7 * 86_400
_KEY = re.compile(r"[a-z0-9]{26}\Z")


def folder(dispatch: Dispatch) -> Path:
    """Where the lists are; made for this user alone when it is missing."""
    return private_folder(dispatch, "uploads")


def keep(dispatch: Dispatch, stream: IO[bytes]) -> str:
    """Copy a stream into a file of its own; returns its key.

    :raises MailingProblem: it is larger than 64 MiB.
    """
    key = new_key()
    target = folder(dispatch) / f"{key}.csv"
    copy_in(stream, target, most=MOST_BYTES, too_large=_too_large)
    return key


def _too_large() -> MailingProblem:
    return MailingProblem(
        Problem(
            field="file",
            message="The file is larger than {limit} MiB.",
            advice="Divide it into several files.",
            fields={"limit": MOST_BYTES >> 20},
        )
    )


def keep_copy(dispatch: Dispatch, source: Path) -> str:
    """Copy a file; returns the copy's key.

    :raises OSError: it cannot be read.
    """
    with source.open("rb") as stream:
        return keep(dispatch, stream)


def path(dispatch: Dispatch, key: object) -> Path:
    """The file of a key.

    :raises NotYours: there is none.
    """
    if not isinstance(key, str) or not _KEY.match(key):
        raise NotYours(key)
    found = folder(dispatch) / f"{key}.csv"
    if not found.is_file():
        raise NotYours(key)
    return found


def remove(dispatch: Dispatch, key: object) -> None:
    """Remove a list that is not needed any more; none there is fine too."""
    if isinstance(key, str) and _KEY.match(key):
        (folder(dispatch) / f"{key}.csv").unlink(missing_ok=True)


def remove_old_uploads(dispatch: Dispatch) -> int:
    """Remove lists nobody planned for 7 days, unless one is scheduled; returns how many. Call it once a day."""
    with dispatch.database.begin() as connection:
        waiting = store.scheduled_uploads(connection)
    removed = 0
    for found in folder(dispatch).glob("*.csv"):
        if found.stem not in waiting and found.stat().st_mtime < time.time() - KEPT_SECONDS:
            found.unlink(missing_ok=True)
            removed += 1
    return removed
