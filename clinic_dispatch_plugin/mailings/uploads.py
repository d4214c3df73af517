"""Keeps uploaded lists of recipients until they are planned: private files under names nobody can guess."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import IO

from clinic_dispatch_plugin.mailings.problems import MailingProblem, NotYours, Problem
from clinic_dispatch_plugin.messages.rules import new_key
from clinic_dispatch_plugin.registry import Dispatch

MOST_BYTES = 64 * 1024 * 1024
#: Lists of abandoned drafts are removed after so long, in seconds.
KEPT_SECONDS = 7 * 86_400
_PORTION = 1024 * 1024
_KEY = re.compile(r"[a-z0-9]{26}\Z")


def folder(dispatch: Dispatch) -> Path:
    """Where the lists are; made for this user alone when it is missing."""
    found = dispatch.settings.data_dir / "uploads"
    found.parent.mkdir(parents=True, exist_ok=True)
    found.mkdir(mode=0o700, exist_ok=True)
    return found


def keep(dispatch: Dispatch, stream: IO[bytes]) -> str:
    """Copy a stream into a file of its own; returns its key.

    :raises MailingProblem: it is larger than 64 MiB.
    """
    key = new_key()
    target = folder(dispatch) / f"{key}.csv"
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            left = MOST_BYTES
            while portion := stream.read(_PORTION):
                left -= len(portion)
                if left < 0:
                    raise MailingProblem(
                        Problem(
                            field="file",
                            message="The file is larger than {limit} MiB.",
                            advice="Divide it into several files.",
                            fields={"limit": MOST_BYTES >> 20},
                        )
                    )
                file.write(portion)
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return key


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
    """Remove lists nobody planned for 7 days; returns how many. Call it once a day."""
    removed = 0
    for found in folder(dispatch).glob("*.csv"):
        if found.stat().st_mtime < time.time() - KEPT_SECONDS:
            found.unlink(missing_ok=True)
            removed += 1
    return removed
