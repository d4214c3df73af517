"""Files of the reference that were handed in and wait for a person's yes: private, and gone after a day."""

from __future__ import annotations

import re
import secrets
import time
from pathlib import Path
from typing import IO, BinaryIO

from clinic_dispatch_plugin.error_reference.bytes_read import MOST_BYTES, too_large
from clinic_dispatch_plugin.registry import Dispatch
from clinic_dispatch_plugin.web.private_files import copy_in, private_folder

#: Seconds after which nobody will say yes any more.
KEPT_SECONDS = 86_400
#: Files that wait at most; the oldest go first.
MOST_FILES = 20
_KEY = re.compile(r"[0-9a-f]{32}\Z")


def folder(dispatch: Dispatch) -> Path:
    """Where they are; made for this user alone when it is missing."""
    return private_folder(dispatch, "reference-files")


def keep(dispatch: Dispatch, stream: IO[bytes]) -> str:
    """Copy a stream into a file of its own; returns its key.

    :raises FileFault: it is too large.
    """
    _tidy(folder(dispatch))
    key = secrets.token_hex(16)
    copy_in(stream, folder(dispatch) / key, most=MOST_BYTES, too_large=too_large)
    return key


def opened(dispatch: Dispatch, key: str) -> BinaryIO:
    """The file of a key.

    :raises LookupError: it is not kept any more.
    """
    if not _KEY.match(key):
        raise LookupError(key)
    try:
        return (folder(dispatch) / key).open("rb")
    except FileNotFoundError:
        raise LookupError(key) from None


def remove(dispatch: Dispatch, key: str) -> None:
    """Remove a file that is not needed any more; none there is fine too."""
    if _KEY.match(key):
        (folder(dispatch) / key).unlink(missing_ok=True)


def _tidy(place: Path) -> None:
    aged = sorted(((each.stat().st_mtime, each) for each in place.iterdir()), reverse=True)
    for number, (at, each) in enumerate(aged, start=1):
        if number >= MOST_FILES or at < time.time() - KEPT_SECONDS:
            each.unlink(missing_ok=True)
