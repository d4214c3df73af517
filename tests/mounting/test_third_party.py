"""Other people's plugins, through the same door as ours: an entry point of an installed distribution."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import typing_in
from tests.cli.programs import CLINIC_DISPATCH, Shell
from tests.clinic.full import EMAIL
from tests.clinic.host import Clinic, make_clinic

EXAMPLE = Path(__file__).parents[1] / "docs" / "channel_example.py"
SETUP = """
from setuptools import setup

setup(
    name="clinic-dispatch-pigeon",
    version="2.3",
    py_modules=["clinic_dispatch_pigeon"],
    entry_points={"clinic_dispatch.plugins": ["pigeon = clinic_dispatch_pigeon"]},
)
"""
RAISES = """
from clinic_dispatch_plugin.api import ConfigurationError, hookimpl

@hookimpl
def clinic_dispatch_channels(config):
    raise {error}
"""
DOUBLE = """
from clinic_dispatch_plugin.api import Account, Accepted, SimpleChannel, hookimpl

class Double(SimpleChannel):
    key = "email"
    label = "Another e-mail"

    def accounts(self):
        return [Account(channel="email", label="another")]

    def send_one(self, message, *, account, timeout):
        return Accepted(attempt_id=message.attempt_id)

@hookimpl
def clinic_dispatch_channels(config):
    return [Double()]
"""


#: Its one hook is misspelt.
MISSPELT = """
from clinic_dispatch_plugin.api import hookimpl

@hookimpl
def clinic_dispatch_chanels(config):
    return []
"""
#: It fails where it ought to say what its errors mean.
SPEECHLESS = """
from clinic_dispatch_plugin.api import hookimpl

@hookimpl
def clinic_dispatch_reference_packs():
    raise KeyError("colour")
"""


def test_a_channel_that_pip_installed_is_found_and_sends(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    (source / "setup.py").write_text(SETUP)
    (source / "clinic_dispatch_pigeon.py").write_text(EXAMPLE.read_text())
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet")
    offline = ("--no-index", "--no-deps", "--no-build-isolation", "--target", target)
    ended = Shell(tmp_path).run(*pip, *offline, source)
    assert ended.status == 0, ended.err

    (tmp_path / "text.txt").write_text("Ruckedigu, {{ name }}")
    (tmp_path / "list.csv").write_text("pigeon,name\nloft 7,Anna\n")
    variables = {"CLINIC_DISPATCH_DATA_DIR": str(tmp_path / "state"), "PYTHONPATH": str(target)}
    shell = Shell(tmp_path, variables)
    words = ("--channel", "pigeon", "--to", "list.csv", "--text", "text.txt", "--json")
    sent = shell.run(*CLINIC_DISPATCH, "send", *words)
    assert sent.status == 0, sent.err
    burst = shell.run(*CLINIC_DISPATCH, "worker", "--burst")
    assert burst.status == 0, burst.err
    assert "to loft 7: Ruckedigu, Anna" in burst.out
    (message,) = shell.run(*CLINIC_DISPATCH, "messages", "--json").lines
    assert (message["channel"], message["status"]) == ("pigeon", "sent")
    doctor = shell.run(*CLINIC_DISPATCH, "check").out
    assert "plugin pigeon: clinic-dispatch-pigeon 2.3" in doctor
    assert "channel pigeon: the loft" in doctor


class Shelf:
    """A folder on the path into which distributions are put by hand."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, name: str, code: str) -> None:
        """Install a distribution of one module."""
        (self.folder / f"clinic_dispatch_{name}.py").write_text(code)
        info = self.folder / f"clinic_dispatch_{name}-2.3.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: clinic-dispatch-{name}\nVersion: 2.3\n"
        )
        point = f"[clinic_dispatch.plugins]\n{name} = clinic_dispatch_{name}\n"
        (info / "entry_points.txt").write_text(point)
        importlib.invalidate_caches()


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """Give a folder on this process's path."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    return Shelf(folder)


def _plugins(clinic: Clinic) -> dict[str, dict[str, str]]:
    found = json.loads(typing_in(clinic)("check", "--json").stdout)["findings"]
    return {each["subject"]: each for each in found if each["subject"].startswith("plugin ")}


@pytest.mark.parametrize(
    ("name", "code", "reason"),
    [
        ("broken", "import a_library_that_is_not_installed", "ModuleNotFoundError"),
        ("typo", "def (", "SyntaxError"),
        ("failing", RAISES.format(error="KeyError('colour')"), "KeyError"),
        ("leaving", "raise SystemExit('imported')", "SystemExit"),
        ("misspelt", MISSPELT, "clinic_dispatch_chanels"),
        ("speechless", SPEECHLESS, "its reference cannot be used: KeyError"),
    ],
)
def test_a_plugin_that_fails_is_left_out_and_the_doctor_names_it(
    tmp_path: Path, shelf: Shelf, name: str, code: str, reason: str
) -> None:
    shelf.put(name, code)
    clinic = make_clinic(tmp_path, config=EMAIL)
    assert list(clinic.dispatch.channels) == ["email", "sms", "viber", "voice"]
    page = clinic.app.test_client().get("/dispatch/settings").text
    assert f"Das Plugin {name} wurde ausgelassen" in page
    assert reason in page
    found = _plugins(clinic)
    assert found[f"plugin {name}"]["state"] == "wrong"
    assert f"clinic-dispatch-{name} 2.3" in found[f"plugin {name}"]["text"]
    assert reason in found[f"plugin {name}"]["text"]
    assert f"CLINIC_DISPATCH_BLOCKED_PLUGINS={name}" in found[f"plugin {name}"]["advice"]
    assert found["plugin email"]["state"] == "ok", "the others work"


def test_a_blocked_plugin_is_not_even_imported(tmp_path: Path, shelf: Shelf) -> None:
    shelf.put("broken", "raise SystemExit('imported')")
    clinic = make_clinic(tmp_path, config={"CLINIC_DISPATCH_BLOCKED_PLUGINS": "broken"})
    found = _plugins(clinic)["plugin broken"]
    assert found["state"] == "ok"
    assert "blocked by CLINIC_DISPATCH_BLOCKED_PLUGINS" in found["text"]


def test_a_plugin_s_wrong_setting_costs_its_channels_alone(tmp_path: Path, shelf: Shelf) -> None:
    wrong = 'ConfigurationError("CLINIC_DISPATCH_PICKY_URL", "x", "write y.")'
    shelf.put("picky", RAISES.format(error=wrong))
    clinic = make_clinic(tmp_path)
    found = _plugins(clinic)["plugin picky"]
    assert found["state"] == "wrong"
    assert "CLINIC_DISPATCH_PICKY_URL is 'x': write y." in found["text"]
    assert "correct this setting" in found["advice"]
    assert {"email", "sms"} <= set(clinic.dispatch.channels)
    page = clinic.app.test_client().get("/dispatch/settings").text
    assert "CLINIC_DISPATCH_PICKY_URL is &#39;x&#39;" in page


def test_of_two_plugins_with_one_channel_the_shipped_one_holds_until_one_is_blocked(
    tmp_path: Path, shelf: Shelf
) -> None:
    shelf.put("double", DOUBLE)
    clinic = make_clinic(tmp_path)
    assert str(clinic.dispatch.channels["email"].label) == "E-mail"
    found = _plugins(clinic)
    assert "two plugins bring the channel 'email'" in found["plugin double"]["text"]
    assert found["plugin email"]["state"] == "ok"
    for blocked, left in (("double", "E-mail"), ("email", "Another e-mail")):
        clinic = make_clinic(tmp_path, config={"CLINIC_DISPATCH_BLOCKED_PLUGINS": blocked})
        assert str(clinic.dispatch.channels["email"].label) == left
