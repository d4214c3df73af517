"""What the README shows is what runs, and what it names is there."""

from __future__ import annotations

import re
import runpy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import pytest
import setuptools
from flask import Flask, render_template_string
from flask_sqlalchemy import SQLAlchemy

from clinic_dispatch_plugin import Action, Actor, Recipient
from clinic_dispatch_plugin.api import Channel
from clinic_dispatch_plugin.config import OTHER_NAMES, known_names
from clinic_dispatch_plugin.database.migrate import upgrade
from clinic_dispatch_plugin.demo.cli import main
from clinic_dispatch_plugin.error_reference.packs import install_packs
from clinic_dispatch_plugin.mailings.service import send
from clinic_dispatch_plugin.messages.commands import messages_for_command
from clinic_dispatch_plugin.queue.names import queue_names
from clinic_dispatch_plugin.registry import current_dispatch
from clinic_dispatch_plugin.simulators.smtp import Scenario
from clinic_dispatch_plugin.testing import (
    ChannelContract,
    FakeGateway,
    GatewayUnderTest,
    ListBatch,
    make_message,
)
from tests.clinic.host import make_clinic
from tests.docs import channel_example, host_example, sending_example

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PREFIX = "CLINIC_DISPATCH_"

_QUOTED = re.compile(r"<!-- \[(\w+)\] (\S+) -->\n```python\n(.*?)```", re.DOTALL)
_SHELL = re.compile(r"```sh\n(.*?)```", re.DOTALL)


def _region(file: Path, name: str) -> str:
    found = re.search(
        rf"# \[{name}\]\n(.*?)\n\s*# \[/{name}\]", file.read_text(encoding="utf-8"), re.DOTALL
    )
    assert found is not None, f"{file} has no region {name}"
    return found[1].strip() + "\n"


def _code(name: str) -> str:
    found: dict[str, str] = {each: code for each, _, code in _QUOTED.findall(README)}
    return found[name]


def test_every_python_block_is_a_tested_file_s_region() -> None:
    quoted = _QUOTED.findall(README)
    assert len(quoted) == README.count("```python") == 3
    for name, file, code in quoted:
        assert code == _region(ROOT / file, name), f"the README and {file} differ"


def test_a_host_needs_at_most_fifteen_lines_and_a_channel_twenty() -> None:
    for name, limit in (("host", 15), ("channel", 20)):
        written = [line for line in _code(name).splitlines() if line.strip()]
        assert len(written) <= limit


# -- the host -------------------------------------------------------------------------------------


@pytest.fixture
def host(tmp_path: Path) -> Flask:
    """Give the README's host, ready to be used."""
    app = Flask("readme_host", template_folder=str(tmp_path))
    app.config.update(
        SECRET_KEY="for tests only",
        SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path / 'host.db'}",
        CLINIC_DISPATCH_DATA_DIR=str(tmp_path / "data"),
        CLINIC_DISPATCH_EMAIL_URL="smtp://127.0.0.1:9",
        CLINIC_DISPATCH_EMAIL_FROM="praxis@clinic.example",
    )
    db = SQLAlchemy(app)
    host_example.mount(app, db)
    with app.app_context():
        upgrade(current_dispatch().database)
        install_packs(current_dispatch())
    return app


def test_the_host_mounts_us_and_answers_pages(host: Flask) -> None:
    client = host.test_client()
    for page in ("/dispatch/", "/dispatch/mailings", "/dispatch/errors"):
        assert client.get(page).status_code == 200


def test_the_host_allows_by_role() -> None:
    host = host_example.ClinicHost()
    anna, stranger = Actor(ref="anna", name="Anna"), Actor(ref="x", name="X")
    assert host.is_allowed(anna, Action.SEND) and not host.is_allowed(anna, Action.CONFIGURE)
    assert not any(host.is_allowed(stranger, action) for action in Action)


def test_the_menu_line_shows_both_items(host: Flask) -> None:
    (menu,) = re.findall(r"```html\+jinja\n(.*?)```", README, re.DOTALL)
    with host.test_request_context("/", headers={"Accept-Language": "en"}):
        shown = render_template_string(menu)
    assert re.findall(r'href="([^"]+)">([^<]+)<', shown) == [
        ("/dispatch/", "Dispatch"),
        ("/dispatch/errors", "Mailing errors"),
    ]


def test_the_clinic_s_own_code_sends_with_its_own_transaction(host: Flask) -> None:
    with host.app_context():
        patient = host_example.ClinicHost().recipient("p1")
        assert patient is not None
        sending_example.remind(host.extensions["sqlalchemy"], patient)
        (message,) = messages_for_command(current_dispatch())
    assert (message["status"], message["address"]) == ("queued", "eva@example.org")


def _channels() -> Sequence[Channel]:
    # The example has no types, as most plugins of one file have none.
    found: Sequence[Channel] = channel_example.clinic_dispatch_channels({})  # type: ignore[no-untyped-call]
    return found


# -- the channel ----------------------------------------------------------------------------------


def test_the_channel_loads_and_sends(host: Flask, capsys: pytest.CaptureFixture[str]) -> None:
    (channel,) = _channels()
    message = make_message("loft 7")
    batch = ListBatch([message])
    batch.close()
    with channel.open(channel.accounts()[0]) as sender:
        (result,) = sender.send(batch)
    assert result.attempt_id == message.attempt_id
    assert "to loft 7" in capsys.readouterr().out


def test_the_channel_is_one_of_the_application_s(tmp_path: Path) -> None:
    clinic = make_clinic(tmp_path, plugins=[channel_example])
    with clinic.app.app_context():
        anna = Recipient(ref="p1", name="Anna", addresses={"pigeon": "loft 7"})
        sent = send(clinic.dispatch, to=anna, channel="pigeon", text="Ruckedigu")
        (message,) = messages_for_command(clinic.dispatch, mailing_id=sent)
    assert (message["channel"], message["status"]) == ("pigeon", "queued")


class _Loft(FakeGateway):
    """Takes what the example prints; nothing goes wrong in it."""

    def __init__(self) -> None:
        super().__init__()
        self._letters: list[str] = []

    def print(self, line: str) -> None:
        """Stand in for the example's ``print``."""
        self._letters.append(line.removeprefix("to ").partition(":")[0])

    def taken(self) -> Sequence[str]:
        return self._letters


class _Contract(ChannelContract):
    @contextmanager
    def gateway(self) -> Iterator[GatewayUnderTest]:
        loft = _Loft()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(channel_example, "print", loft.print, raising=False)
            yield loft

    def make_channel(self, gateway: GatewayUnderTest) -> Channel:
        (channel,) = _channels()
        return channel


@pytest.mark.parametrize(
    "promise",
    [
        ChannelContract.test_every_message_of_a_batch_is_accepted_once,
        ChannelContract.test_a_sender_takes_one_batch_after_the_other,
        ChannelContract.test_an_empty_batch_ends_at_once,
        ChannelContract.test_a_result_comes_before_more_messages_do,
        ChannelContract.test_a_stream_that_is_stopped_leaves_the_rest_untaken,
        ChannelContract.test_a_normalised_address_stays_as_it_is,
        ChannelContract.test_the_channel_names_itself_and_its_accounts,
        ChannelContract.test_no_secret_is_shown,
    ],
)
def test_the_channel_keeps_what_a_channel_that_cannot_fail_must_keep(
    promise: Callable[[ChannelContract], None],
) -> None:
    promise(_Contract())


# -- what it names --------------------------------------------------------------------------------


def _table(heading: str) -> list[str]:
    part = README.split(f"## {heading}\n")[1].split("\n## ")[0]
    rows = [line for line in part.splitlines() if line.startswith("| ")]
    return [row.split("|")[1].strip() for row in rows[1:]]


def _settings_in_the_table() -> set[str]:
    """``CLINIC_DISPATCH_LOCALE``, ``_TIMEZONE`` in one cell are two variables."""
    names = re.findall(r"`(\w+)`", " ".join(_table("Configuration")))
    return {name if name.startswith(PREFIX) else PREFIX + name.removeprefix("_") for name in names}


def test_the_table_names_every_setting_that_is_read_and_no_other() -> None:
    code = [ROOT / "clinic_dispatch_plugin", ROOT / "plugins"]
    text = "\n".join(
        file.read_text(encoding="utf-8") for folder in code for file in folder.rglob("*.py")
    )
    read = known_names() | set(re.findall(rf"\b{PREFIX}[A-Z]+(?:_[A-Z]+)*\b", text))
    # Placeholders in sentences, and what tests and workers tell their own processes.
    read -= OTHER_NAMES
    assert _settings_in_the_table() == read


def test_every_make_target_it_names_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z]+)", "\n".join(re.findall(r"`+[^`]*`+", README))))
    assert named >= {"demo", "test"}
    assert named <= targets


def _commands() -> Iterator[list[str]]:
    """What follows ``dispatch`` or ``clinic-dispatch`` in the README's code."""
    for code in [*_SHELL.findall(README), *re.findall(r"`([^`\n]+)`", README)]:
        for line in code.splitlines():
            found = re.search(r"\b(?:clinic-dispatch|dispatch) ([a-z][^#]*)", line)
            if found and "pip install" not in line and "rq worker" not in line:
                yield found[1].split()


def test_every_command_it_names_exists_with_its_options() -> None:
    commands = list(_commands())
    assert len(commands) >= 8
    for words in commands:
        command: click.Command = main
        context = click.Context(main)
        rest = list(words)
        while isinstance(command, click.Group) and rest:
            found = command.get_command(context, rest[0])
            assert found is not None, f"there is no command {' '.join(words)}"
            command, rest = found, rest[1:]
        known = {name for each in command.params for name in each.opts}
        options = {word.split("=")[0] for word in rest if word.startswith("--")}
        assert options <= known, " ".join(words)


def test_the_plain_worker_is_given_all_our_queues() -> None:
    (command,) = re.findall(r"`(rq worker [^`]+)`", README)
    assert command.split()[-2:] == queue_names("clinic-dispatch")


def test_the_simulator_knows_the_addresses_it_names() -> None:
    part = README.split("`clinic-dispatch simulate smtp`")[1].split("\n## ")[0]
    named = set(re.findall(r"`(?:anna)?\+([a-z]+)", part))
    assert len(named) >= 4
    assert named <= {scenario.value for scenario in Scenario}


def _setup() -> dict[str, Any]:
    """What ``setup.py`` hands to setuptools."""
    said: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(setuptools, "setup", lambda **given: said.update(given))
        patch.chdir(ROOT)
        runpy.run_path("setup.py")
    return said


def test_the_dependencies_and_extras_are_those_of_the_distribution() -> None:
    said = _setup()
    wanted = {re.split(r"[<>=\[ ]", each)[0].lower() for each in said["install_requires"]}
    for extra in ("postgresql", "mariadb"):
        wanted |= {re.split(r"[<>=\[ ]", each)[0].lower() for each in said["extras_require"][extra]}
    listed = {name.strip().lower() for row in _table("Dependencies") for name in row.split(",")}
    assert listed == wanted
    named = re.search(r"# extras: ([a-z, ]+)", README)
    assert named is not None
    assert set(named[1].split(", ")) == set(said["extras_require"])


def test_the_pictures_are_there() -> None:
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", README)
    assert len(pictures) == 2
    for picture in pictures:
        assert (ROOT / picture).read_bytes().startswith(b"\x89PNG"), picture
