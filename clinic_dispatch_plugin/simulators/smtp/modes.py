"""Troubles of the whole relay that a person switches on by hand, also from another process."""

from __future__ import annotations

import logging
import os
import tempfile
from enum import StrEnum
from pathlib import Path

logger = logging.getLogger(__name__)

#: Seconds between two looks at the file.
LOOK_EVERY = 0.2


class Mode(StrEnum):
    """The state of the whole relay."""

    NORMAL = "normal"
    #: Every recipient is refused: this relay does not pass mail on.
    RELAYING_DENIED = "relaying_denied"
    #: No sign-in succeeds, and nobody gets in without one.
    WRONG_PASSWORD = "wrong_password"
    #: The greeting and the answer to each message come after several seconds.
    SLOW = "slow"
    #: Nobody listens; those who are connected are cut off.
    DOWN = "down"


class ModeSwitch:
    """The mode now, following a file when there is one."""

    def __init__(self, *, file: Path | None) -> None:
        self.mode = Mode.NORMAL
        self._file = file
        self._seen = ""
        self._looked_at = float("-inf")

    def look(self, now: float) -> Mode:
        """The mode, after a look at the file unless the last look was just now.

        Only a *changed* file counts: a mode set in this process stays until another one is written.

        :param now: seconds of a clock that never goes back.
        """
        if self._file is not None and now - self._looked_at >= LOOK_EVERY:
            self._looked_at = now
            self._follow(self._file)
        return self.mode

    def _follow(self, file: Path) -> None:
        try:
            with file.open("rb") as stream:
                written = stream.read(100).decode("utf-8", "replace").strip().lower()
        except FileNotFoundError:
            written = ""
        except OSError as error:
            logger.warning("The relay's mode file %s cannot be read: %s", file, error)
            return
        if written == self._seen:
            return
        self._seen = written
        try:
            self.mode = Mode(written or Mode.NORMAL)
        except ValueError:
            logger.warning(
                "%r in %s is no mode of the relay; there are: %s", written, file, ", ".join(Mode)
            )


def write_mode_file(path: Path, mode: Mode | str) -> None:
    """Set the mode of a relay that follows this file; it takes effect within half a second.

    :raises ValueError: there is no such mode.
    :raises OSError: the file cannot be written.
    """
    chosen = Mode(mode)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "w", encoding="ascii") as stream:
            stream.write(chosen + "\n")
        Path(name).replace(path)  # a reader must never meet half a word
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
