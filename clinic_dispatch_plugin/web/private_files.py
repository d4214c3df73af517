"""Files people hand in, kept where this user alone reads them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import IO

from clinic_dispatch_plugin.registry import Dispatch

_PORTION = 1024 * 1024


def private_folder(dispatch: Dispatch, name: str) -> Path:
    """A folder beside our other data; made for this user alone when it is missing."""
    found = dispatch.settings.data_dir / name
    found.parent.mkdir(parents=True, exist_ok=True)
    found.mkdir(mode=0o700, exist_ok=True)
    return found


def copy_in(
    stream: IO[bytes], target: Path, *, most: int, too_large: Callable[[], Exception]
) -> None:
    """Copy a stream into a new file for this user alone; nothing is left of one that fails.

    :param most: bytes.
    :param too_large: what is raised where there are more.
    :raises OSError: it cannot be written.
    """
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            left = most
            while portion := stream.read(_PORTION):
                left -= len(portion)
                if left < 0:
                    raise too_large()
                file.write(portion)
    except BaseException:
        target.unlink(missing_ok=True)
        raise
