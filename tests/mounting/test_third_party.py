"""Other people's plugins, through the same door as ours: an entry point of an installed distribution."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.cli.programs import FLASK, Ended, Shell

EXAMPLE = Path(__file__).parents[1] / "docs" / "channel_example.py"
SETUP = """
from setuptools import setup

setup(
    name="clinic-dispatch-{name}",
    version="2.3",
    py_modules=["clinic_dispatch_{name}"],
    entry_points={{"clinic_dispatch.plugins": ["{name} = clinic_dispatch_{name}"]}},
)
"""
BROKEN = {
    "broken": "import a_library_that_is_not_installed",
    "failing": """
from clinic_dispatch_plugin.api import hookimpl

@hookimpl
def clinic_dispatch_channels(config):
    raise KeyError("colour")
""",
    "picky": """
from clinic_dispatch_plugin.api import ConfigurationError, hookimpl

@hookimpl
def clinic_dispatch_channels(config):
    raise ConfigurationError("CLINIC_DISPATCH_PICKY_URL", "x", "write y.")
""",
    "double": """
from clinic_dispatch_plugin.api import Account, Accepted, SimpleChannel, hookimpl

class Double(SimpleChannel):
    key = "email"
    label = "Another e-mail"

    def send_one(self, message, *, account, timeout):
        return Accepted(attempt_id=message.attempt_id)

@hookimpl
def clinic_dispatch_channels(config):
    return [Double()]
""",
}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Give the folders into which pip installed each plugin."""
    place = tmp_path_factory.mktemp("third-party")
    found = {}
    for name, code in {"pigeon": EXAMPLE.read_text(), **BROKEN}.items():
        source, target = place / f"{name}-source", place / name
        source.mkdir()
        (source / "setup.py").write_text(SETUP.format(name=name))
        (source / f"clinic_dispatch_{name}.py").write_text(code)
        options = ["--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--target", target]
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", *options]
        ended = Shell(source).run(*pip, source)
        assert ended.status == 0, ended.err
        found[name] = target
    return found


def _typed(folder: Path, plugin: Path, *arguments: str, **variables: str) -> Ended:
    """``flask dispatch …`` of the demo clinic, with one plugin more on the path."""
    basis = {
        "CLINIC_DISPATCH_DATA_DIR": str(folder / "state"),
        "PYTHONPATH": str(plugin),
        "FLASK_APP": "clinic_dispatch_plugin.demo",
    }
    return Shell(folder, basis).run(*FLASK, "dispatch", *arguments, **variables)


def test_a_channel_of_somebody_else_s_is_found_and_sends(
    tmp_path: Path, installed: dict[str, Path]
) -> None:
    (tmp_path / "text.txt").write_text("Ruckedigu, {{ name }}")
    (tmp_path / "list.csv").write_text("pigeon,name\nloft 7,Anna\n")
    words = ("--channel", "pigeon", "--to", "list.csv", "--text", "text.txt", "--json")
    sent = _typed(tmp_path, installed["pigeon"], "send", *words)
    assert sent.status == 0, sent.err
    burst = _typed(tmp_path, installed["pigeon"], "worker", "--burst")
    assert burst.status == 0, burst.err
    assert "to loft 7: Ruckedigu, Anna" in burst.out
    (message,) = _typed(tmp_path, installed["pigeon"], "messages", "--json").lines
    assert (message["channel"], message["status"]) == ("pigeon", "sent")
    doctor = _typed(tmp_path, installed["pigeon"], "check")
    assert "plugin pigeon: clinic-dispatch-pigeon 2.3" in doctor.out
    assert "channel pigeon: the loft" in doctor.out


@pytest.mark.parametrize(
    ("name", "reason"), [("broken", "ModuleNotFoundError"), ("failing", "KeyError")]
)
def test_a_plugin_that_fails_is_left_out_and_the_doctor_names_it(
    tmp_path: Path, installed: dict[str, Path], name: str, reason: str
) -> None:
    doctor = _typed(tmp_path, installed[name], "check", "--json")
    assert doctor.status == 1
    findings = {each["subject"]: each for each in doctor.last["findings"]}
    found = findings[f"plugin {name}"]
    assert found["state"] == "wrong"
    assert f"clinic-dispatch-{name} 2.3" in found["text"] and reason in found["text"]
    assert f"CLINIC_DISPATCH_BLOCKED_PLUGINS={name}" in found["advice"]
    assert findings["plugin email"]["state"] == "ok", "the others work"

    blocked = _typed(
        tmp_path, installed[name], "check", "--json", CLINIC_DISPATCH_BLOCKED_PLUGINS=name
    )
    findings = {each["subject"]: each for each in blocked.last["findings"]}
    assert findings[f"plugin {name}"]["state"] == "ok"
    assert "blocked" in findings[f"plugin {name}"]["text"]
    assert "Traceback" not in blocked.err


def test_a_plugin_s_wrong_setting_stops_the_start(tmp_path: Path, installed: dict[str, Path]) -> None:
    found = _typed(tmp_path, installed["picky"], "status")
    assert found.status == 1
    assert found.err == "Error: CLINIC_DISPATCH_PICKY_URL is 'x': write y.\n"


def test_two_plugins_with_the_same_channel_stop_the_start_until_one_is_blocked(
    tmp_path: Path, installed: dict[str, Path]
) -> None:
    found = _typed(tmp_path, installed["double"], "status")
    assert found.status == 1
    assert "two plugins bring the channel 'email'" in found.err
    assert "double, email" in found.err
    blocked = _typed(tmp_path, installed["double"], "status", CLINIC_DISPATCH_BLOCKED_PLUGINS="double")
    assert blocked.status == 0, blocked.err
