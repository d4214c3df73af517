"""Other people's plugins, through the same door as ours: an entry point of an installed distribution."""

from __future__ import annotations

import importlib
import json
import logging
import sys
from pathlib import Path

import pytest

from clinic_dispatch_plugin.api import Content
from clinic_dispatch_plugin.engine.addresses import usable_address
from clinic_dispatch_plugin.host.types import Audience
from clinic_dispatch_plugin.reports.askable import askables
from tests.cli.conftest import typing_in
from tests.cli.programs import CLINIC_DISPATCH, Shell
from tests.clinic.browsing import submit
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
#: It loads, and fails at everything it is asked, with a secret in its mouth.
WICKED = """
from clinic_dispatch_plugin.api import Account, SimpleChannel, hookimpl

def fails(*args, **kw):
    raise RuntimeError("geheim-4711")

class Wicked(SimpleChannel):
    key = "wicked"
    label = "Wicked"
    translations = 7

    def accounts(self):
        return [Account(channel="wicked", label="the den")]

    forms = account_at = capabilities_of = normalise_address = measure = cheaper = foresee = fails
    tells_money = tariff = connect = parse_callback = callback_reply = open = send_one = fails

@hookimpl
def clinic_dispatch_channels(config):
    return [Wicked()]
"""
#: What it gives for a channel is none.
ODD = """
from clinic_dispatch_plugin.api import hookimpl

@hookimpl
def clinic_dispatch_channels(config):
    return ["pigeon"]
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
        ("stopping", RAISES.format(error="SystemExit('asked')"), "SystemExit"),
        ("odd", ODD, "str is no Channel"),
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


def test_a_channel_that_fails_at_everything_costs_no_page_and_is_named(
    tmp_path: Path, shelf: Shelf, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    shelf.put("wicked", WICKED)
    clinic = make_clinic(
        tmp_path, config={**EMAIL, "CLINIC_DISPATCH_BASE_URL": "https://k.example"}
    )
    clinic.host.audience_list = [Audience(key="all", label="Alle")]
    client = clinic.app.test_client()
    account = "/dispatch/settings/accounts/wicked/default"
    said = [submit(client, account, to=f"{account}/test").text]
    for page in ("/", "/mailings/new", "/templates/new", "/errors", "/work", "/settings"):
        answer = client.get(f"/dispatch{page}")
        assert answer.status_code == 200, page
        said.append(answer.text)
    for path in (
        account,
        "/dispatch/settings/new/wicked",
        "/dispatch/settings/accounts/email/default",
    ):
        assert client.get(path).status_code == 200, path
    assert client.post("/dispatch/callbacks/wicked/default", data="x").status_code == 400
    with clinic.app.app_context():
        assert [each.account.channel for each in askables(clinic.dispatch)] == []
        wicked = clinic.dispatch.channels["wicked"]
        assert wicked.measure(Content(text="abc")).characters == 3
        assert usable_address(wicked, "1", region="DE") == ("1", "malformed_address")
    settings = client.get("/dispatch/settings").text
    assert "Das Plugin wicked arbeitet nicht, wie es soll." in settings
    tried = client.get(account).text
    assert "Das Plugin dieses Versandwegs ist fehlerhaft" in tried
    told = typing_in(clinic)("check", "--connect", "--json").stdout
    found = {each["subject"]: each for each in json.loads(told)["findings"]}
    assert found["plugin wicked"]["state"] == "wrong"
    assert "channel wicked: " in found["plugin wicked"]["text"]
    assert found["gateway wicked/default"]["state"] == "wrong"
    assert found["plugin email"]["state"] == "ok"
    assert "geheim-4711" not in "".join([*said, settings, tried, told, caplog.text])
