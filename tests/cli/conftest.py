"""A demo folder that has sent its first mailing, made once; and a tiny clinic for commands that need no more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import Result

from tests.cli.programs import Ended, Shell
from tests.clinic.full import EMAIL
from tests.clinic.host import Clinic, make_clinic
from tests.clinic.mailbag import Mailbag


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """A demo that ran to its end, and a shell beside its folder."""

    ended: Ended
    shell: Shell
    folder: Path


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """Give the one demo whose first mailing is through; tests read it and leave it as it is."""
    place = tmp_path_factory.mktemp("demo-clinic")
    folder = place / "state"
    shell = Shell(place, {"CLINIC_DISPATCH_DATA_DIR": str(folder)})
    ended = shell.ours("demo", "--exit-when-done", "--port", "0", "--json")
    return Demo(ended=ended, shell=shell, folder=folder)


@pytest.fixture
def clinic(tmp_path: Path) -> Clinic:
    """Give a clinic with tables, reference and an account, and no worker."""
    return make_clinic(tmp_path, config=EMAIL)


@pytest.fixture
def mailbag(clinic: Clinic) -> Mailbag:
    """Give what fills the clinic's tables."""
    return Mailbag(clinic.dispatch)


Typed = Callable[..., Result]


@pytest.fixture
def typed(clinic: Clinic) -> Typed:
    """Give ``flask dispatch …`` for the clinic; an exception other than the end of a command fails the test."""
    return typing_in(clinic)


def typing_in(clinic: Clinic) -> Typed:
    """``flask dispatch …`` for a clinic."""

    def run(*arguments: object, stdin: str | bytes = "") -> Result:
        result = clinic.app.test_cli_runner().invoke(
            args=["dispatch", *map(str, arguments)], input=stdin
        )
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run
