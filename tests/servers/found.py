"""Says which part of the test equipment this machine has, so that a missing one is named and never hidden."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

#: Set to ``1`` where everything is installed (CI): then a missing part fails the tests that want it.
WANT_EVERYTHING = "CLINIC_DISPATCH_TEST_ALL"

#: How the reason of such a skip begins; the summary at the end of the run recognises it by this.
LEFT_OUT = "left out on this machine: "

#: Where servers live that a person's own ``PATH`` often lacks.
SYSTEM_FOLDERS = ("/usr/sbin", "/usr/local/sbin", "/sbin", "/opt/homebrew/sbin")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A part this machine has."""

    part: str
    #: The programs of the part by name, each with its full path.
    programs: Mapping[str, Path]

    def program(self, name: str) -> str:
        """Return the full path of the program, ready for a command line."""
        return str(self.programs[name])


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """A part this machine lacks."""

    part: str
    #: A few words without a full stop, such as ``mariadbd not found``.
    reason: str

    def __str__(self) -> str:
        return f"{self.part} ({self.reason})"


def look_for(part: str, names: Sequence[str], *, folders: Sequence[str] = ()) -> Found | Missing:
    """Look for every program of a part: first in ``folders``, then in ``PATH``, then where servers usually live."""
    search = os.pathsep.join([*folders, os.environ.get("PATH", ""), *SYSTEM_FOLDERS])
    paths = {name: shutil.which(name, path=search) for name in names}
    lacking = [name for name, path in paths.items() if path is None]
    if lacking:
        return Missing(part=part, reason=f"{', '.join(lacking)} not found")
    return Found(part=part, programs={name: Path(path) for name, path in paths.items() if path})


def require(answer: Found | Missing) -> Found:
    """Return what was found; else leave the asking test out by name, or fail it where everything must be there."""
    if isinstance(answer, Found):
        return answer
    if os.environ.get(WANT_EVERYTHING) == "1":
        pytest.fail(
            f"{answer}, and {WANT_EVERYTHING}=1 leaves nothing out: install it.", pytrace=False
        )
    pytest.skip(f"{LEFT_OUT}{answer}")
