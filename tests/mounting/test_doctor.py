"""``dispatch check``: each thing that may be wrong is found, with what to do, and exit status 1."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import text

from clinic_dispatch_email.channel import EmailChannel
from clinic_dispatch_plugin.channels.types import Answer
from clinic_dispatch_plugin.database import migrate
from clinic_dispatch_plugin.engine import store as engine
from clinic_dispatch_plugin.engine.remembered import Remembered, remember
from clinic_dispatch_plugin.host.types import Layout
from clinic_dispatch_plugin.simulators.ari import AriSimulator, AsteriskSettings
from clinic_dispatch_plugin.simulators.gateways.kinds import KINDS
from clinic_dispatch_plugin.simulators.gateways.server import HttpSimulator
from clinic_dispatch_plugin.simulators.gateways.settings import GatewayMode, GatewaySettings
from clinic_dispatch_plugin.simulators.sip import ExchangeSettings, SipSimulator
from clinic_dispatch_plugin.simulators.smpp import CentreSettings, Mode, SmppSimulator
from clinic_dispatch_plugin.simulators.smtp import RelaySettings, SmtpSimulator
from tests.cli.conftest import typing_in
from tests.clinic.full import EMAIL
from tests.clinic.host import Clinic, make_clinic
from tests.clinic.mailbag import Mailbag
from tests.voice.exchange import recording

WELL = {**EMAIL, "CLINIC_DISPATCH_BASE_URL": "https://clinic.example"}


@pytest.fixture(autouse=True)
def _queue_alone(monkeypatch: pytest.MonkeyPatch, redis_url: str) -> None:
    """No variable but the queue's: an embedded server that does not run means that no worker does."""
    import os

    for name in [name for name in os.environ if name.startswith("CLINIC_DISPATCH_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CLINIC_DISPATCH_REDIS_URL", redis_url)


def _clinic(folder: Path, **rest: Any) -> Clinic:
    """A clinic in which all is well, with a worker that was seen just now."""
    config = {**WELL, **rest.pop("config", {})}
    clinic = make_clinic(folder, config=config, **rest)
    if rest.get("tables", True):
        clinic.dispatch.database.run(
            lambda connection: engine.sign_of_life(
                connection, name="worker-1", host="here", version="0", concurrency=1
            )
        )
    return clinic


def _check(clinic: Clinic, *options: str) -> tuple[int, dict[str, dict[str, str]]]:
    result = typing_in(clinic)("check", "--json", *options)
    said = json.loads(result.stdout)
    assert said["ok"] == (result.exit_code == 0)
    assert all(set(each) == {"subject", "state", "text", "advice"} for each in said["findings"])
    assert all(each["advice"] for each in said["findings"] if each["state"] == "wrong")
    return result.exit_code, {each["subject"]: each for each in said["findings"]}


def _wrong(found: dict[str, dict[str, str]]) -> set[str]:
    return {subject for subject, each in found.items() if each["state"] == "wrong"}


def test_where_all_is_well_nothing_is_wrong(tmp_path: Path, redis_url: str) -> None:
    config = {"CLINIC_DISPATCH_REDIS_URL": redis_url, "SQLALCHEMY_ENGINE_OPTIONS": {}}
    clinic = _clinic(tmp_path, config=config)
    with clinic.dispatch.database.engine.connect() as connection:
        connection.execute(text("PRAGMA journal_mode = WAL"))
    status, found = _check(clinic)
    assert status == 0
    assert {each["state"] for each in found.values()} == {"ok"}
    assert {
        "configuration",
        "plugin email",
        "channel email",
        "data folder",
        "database",
        "queue",
    } <= set(found)
    assert {"worker", "layout", "menu", "migrations"} <= set(found)


def test_a_wrong_block_is_found(tmp_path: Path) -> None:
    clinic = _clinic(tmp_path)
    clinic.host.page_layout = Layout(template="base.html", block="main")
    status, found = _check(clinic)
    assert (status, _wrong(found)) == (1, {"layout"})
    assert "'main'" in found["layout"]["text"]


def test_a_missing_template_is_found(tmp_path: Path) -> None:
    clinic = _clinic(tmp_path)
    clinic.host.page_layout = Layout(template="nowhere.html", block="content")
    assert "nowhere.html" in _check(clinic)[1]["layout"]["text"]


def test_a_layout_that_shows_no_way_to_our_pages_is_found(tmp_path: Path) -> None:
    clinic = _clinic(tmp_path)
    clinic.host.page_layout = Layout(template="no_menu.html")
    status, found = _check(clinic)
    assert (status, _wrong(found)) == (1, {"menu"})
    assert "dispatch_menu()" in found["menu"]["advice"]


def test_a_menu_for_those_who_signed_in_with_the_host_is_believed(tmp_path: Path) -> None:
    clinic = _clinic(tmp_path)
    clinic.host.page_layout = Layout(template="guarded_base.html")
    assert _check(clinic)[1]["menu"]["state"] == "ok"


def test_a_host_that_names_no_layout_is_told_what_to_look_at(tmp_path: Path) -> None:
    clinic = _clinic(tmp_path)
    clinic.host.page_layout = None
    found = _check(clinic)[1]["menu"]
    assert found["state"] == "warning" and found["advice"]


def test_a_layout_that_raises_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def page_vars() -> dict[str, Any]:
        raise LookupError("nobody is signed in")

    clinic = _clinic(tmp_path)
    monkeypatch.setattr(clinic.host, "page_vars", page_vars)
    status, found = _check(clinic)
    assert (status, _wrong(found)) == (1, {"layout"})
    assert "without a signed-in user" in found["layout"]["advice"]


def test_a_message_that_nobody_sends_is_found(tmp_path: Path) -> None:
    clinic = _clinic(tmp_path)
    bag = Mailbag(clinic.dispatch)
    mailing = bag.mailing()
    bag.message(mailing, "queued", due_in=-240)
    assert "waiting" not in _check(clinic)[1]
    bag.message(mailing, "queued", due_in=-360)
    status, found = _check(clinic)
    assert (status, _wrong(found)) == (1, {"waiting"})
    assert found["waiting"]["text"].startswith("2 messages are due, the oldest for 6 minutes")
    clinic.dispatch.database.run(
        lambda connection: engine.start_run(
            connection, worker="w:1", host="here", boot_id="b", lease=60.0
        )
    )
    assert "waiting" not in _check(clinic)[1], "somebody sends"


def test_messages_that_disagree_with_their_attempts_are_found(tmp_path: Path) -> None:
    clinic = _clinic(tmp_path)
    bag = Mailbag(clinic.dispatch)
    mailing = bag.mailing()
    bag.message(mailing, "sent", attempt="accepted")
    bag.message(mailing, "uncertain", attempt="uncertain")
    assert _check(clinic)[1]["records"]["text"] == "2 messages agree with their attempts"
    bag.message(mailing, "sent", attempt="accepted", attempts=7)
    bag.message(mailing, "sent", attempt="refused")
    bag.message(mailing, "queued", attempt="open", due_in=60)
    status, found = _check(clinic)
    assert (status, _wrong(found)) == (1, {"records"})
    assert found["records"]["text"] == (
        "messages and their attempts disagree (counted tries: 1, "
        "an open attempt of what is not sending: 1, sent without an acceptance: 1)"
    )


def test_a_database_from_a_backup_is_found_and_recovered(tmp_path: Path) -> None:
    clinic = _clinic(tmp_path)
    bag = Mailbag(clinic.dispatch)
    bag.message(bag.mailing(), "queued", due_in=60)
    spool = clinic.dispatch.settings.spool_dir
    spool.mkdir(parents=True)
    remember(spool, Remembered(run_id=4_711, worker="w:1", boot_id="b"))
    status, found = _check(clinic)
    assert (status, _wrong(found)) == (1, {"backup"})
    assert found["backup"]["advice"] == "run `flask dispatch recover --restored`"
    run = typing_in(clinic)
    assert run("recover").exit_code == 1, "it wants to hear what happened"
    done = run("recover", "--restored", "--yes", "--json")
    assert json.loads(done.stdout) == {"uncertain": 1, "mailings_stopped": 0}
    assert _check(clinic)[0] == 0


def test_no_worker_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLINIC_DISPATCH_REDIS_URL")
    clinic = make_clinic(tmp_path, config=WELL)
    status, found = _check(clinic)
    assert (status, _wrong(found)) == (1, {"worker"})
    assert found["worker"]["advice"] == "start one: flask dispatch worker"
    assert found["queue"]["state"] == "warning"


def test_with_the_embedded_queue_gone_an_old_sign_of_life_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CLINIC_DISPATCH_REDIS_URL")
    assert _wrong(_check(_clinic(tmp_path))[1]) == {"worker"}


def test_a_plain_rq_worker_is_told_from_one_of_ours(tmp_path: Path) -> None:
    clinic = make_clinic(tmp_path, config=WELL)
    clinic.dispatch.database.run(
        lambda connection: engine.start_run(
            connection, worker="rq:1", host="here", boot_id="b", lease=60.0
        )
    )
    status, found = _check(clinic)
    assert status == 1
    assert "plain RQ worker sends, but nobody tends" in found["worker"]["text"]


def test_a_stale_revision_is_found_and_nothing_else_stumbles_over_it(tmp_path: Path) -> None:
    clinic = _clinic(tmp_path)
    with clinic.dispatch.database.begin() as connection:
        connection.execute(text("UPDATE dispatch_alembic_version SET version_num = '0000'"))
    status, found = _check(clinic)
    assert (status, _wrong(found)) == (1, {"database"})
    assert "0000" in found["database"]["text"]
    assert found["database"]["advice"] == "run `flask dispatch db upgrade`"
    send = typing_in(clinic)("status")
    assert send.exit_code == 1
    assert "run `flask dispatch db upgrade` first" in send.stderr


def test_missing_tables_are_found(tmp_path: Path) -> None:
    clinic = _clinic(tmp_path, tables=False)
    status, found = _check(clinic, "--connect")
    assert status == 1
    assert "revision none" in found["database"]["text"]
    typed = typing_in(clinic)
    assert "no tables of ours yet" in typed("messages").stderr
    assert typed("db", "upgrade").exit_code == 0
    assert typed("db", "current").stdout.startswith(migrate.head())
    assert typed("messages").exit_code == 0
    assert "database" not in _wrong(_check(clinic)[1])


def test_a_wrong_revision_is_a_sentence(tmp_path: Path) -> None:
    typed = typing_in(_clinic(tmp_path))
    for arguments in (["db", "upgrade", "nonsense"], ["db", "downgrade", "nonsense", "--yes"]):
        found = typed(*arguments)
        assert found.exit_code == 1
        assert "'nonsense'" in found.stderr and migrate.head() in found.stderr
    assert typed("db", "downgrade", "base").exit_code == 1, "nobody said yes"
    assert typed("messages").exit_code == 0
    assert typed("db", "downgrade", "base", "--yes").exit_code == 0
    assert typed("db", "check").exit_code == 1
    assert typed("db", "upgrade").exit_code == 0
    assert typed("db", "check").exit_code == 0


def test_a_redis_that_is_down_is_found(tmp_path: Path) -> None:
    clinic = _clinic(tmp_path, config={"CLINIC_DISPATCH_REDIS_URL": "redis://127.0.0.1:1/0"})
    status, found = _check(clinic)
    assert (status, _wrong(found)) == (1, {"queue"})
    assert "CLINIC_DISPATCH_REDIS_URL" in found["queue"]["advice"]


def test_a_missing_adapter_is_found(tmp_path: Path) -> None:
    status, found = _check(_clinic(tmp_path, with_host=False))
    assert (status, _wrong(found)) == (1, {"host"})
    assert "host=YourAdapter()" in found["host"]["advice"]


def test_a_data_folder_that_cannot_be_written_is_found(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("a file where a folder should be")
    clinic = _clinic(tmp_path, config={"CLINIC_DISPATCH_DATA_DIR": str(tmp_path)})
    status, found = _check(clinic)
    assert (status, _wrong(found)) == (1, {"data folder"})


def test_an_account_that_stands_still_is_found(tmp_path: Path) -> None:
    clinic = _clinic(tmp_path)
    Mailbag(clinic.dispatch).stop_account(Answer(system="smtp", code="5.7.8", text="535 5.7.8 No"))
    status, found = _check(clinic)
    assert (status, _wrong(found)) == (1, {"account email/default"})
    assert "535 5.7.8 No" in found["account email/default"]["text"]


def test_settings_nobody_reads_are_named_with_what_was_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLINIC_DISPATCH_LEASE_SECOND", "3")
    result = typing_in(_clinic(tmp_path))("check")
    assert "CLINIC_DISPATCH_LEASE_SECOND is no setting" in result.stdout
    assert "did you mean CLINIC_DISPATCH_LEASE_SECONDS?" in result.stdout
    assert result.exit_code == 0, "a warning is nothing wrong"


def test_a_database_url_that_is_not_used_and_a_name_that_blocks_nothing_are_said(
    tmp_path: Path,
) -> None:
    config = {
        "CLINIC_DISPATCH_DATABASE_URL": "sqlite:////elsewhere.db",
        "CLINIC_DISPATCH_BLOCKED_PLUGINS": "fax",
    }
    shown = typing_in(_clinic(tmp_path, config=config))("check").stdout
    assert "CLINIC_DISPATCH_DATABASE_URL is set and not used" in shown
    assert "CLINIC_DISPATCH_BLOCKED_PLUGINS names 'fax'" in shown


# -- gateways -------------------------------------------------------------------------------------


@pytest.fixture
def relay() -> Iterator[SmtpSimulator]:
    """Give a mail relay that wants a password."""
    with SmtpSimulator(RelaySettings(username="clinic", password="right-4711")) as running:
        yield running


def _with_relay(folder: Path, url: str) -> Clinic:
    return _clinic(folder, config={"CLINIC_DISPATCH_EMAIL_URL": url})


def test_a_relay_that_lets_us_in_is_well(tmp_path: Path, relay: SmtpSimulator) -> None:
    status, found = _check(_with_relay(tmp_path, relay.url), "--connect")
    assert status == 0
    assert found["gateway email/default"]["state"] == "ok"


def test_a_wrong_password_is_found_and_not_shown(tmp_path: Path, relay: SmtpSimulator) -> None:
    url = relay.url.replace("right-4711", "wrong-canary")
    status, found = _check(_with_relay(tmp_path, url), "--connect")
    assert (status, _wrong(found)) == (1, {"gateway email/default"})
    assert found["gateway email/default"]["text"].startswith(f"smtp {relay.address}: 535")
    assert found["gateway email/default"]["advice"], "the reference's words"
    assert "wrong-canary" not in json.dumps(found)


def test_a_channel_that_cannot_try_to_sign_in_is_not_called_signed_in(
    tmp_path: Path, relay: SmtpSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(EmailChannel, "connect")
    found = _check(_with_relay(tmp_path, relay.url), "--connect")[1]["gateway email/default"]
    assert found["state"] == "warning"
    assert "not checked" in found["text"]


def test_a_channel_that_breaks_is_found(
    tmp_path: Path, relay: SmtpSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def connect(self: object, account: object) -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(EmailChannel, "connect", connect)
    status, found = _check(_with_relay(tmp_path, relay.url), "--connect")
    assert (status, _wrong(found)) == (1, {"gateway email/default"})
    assert "CLINIC_DISPATCH_EMAIL_" in found["gateway email/default"]["advice"]


def test_a_relay_that_is_down_is_found(tmp_path: Path, free_port: int) -> None:
    status, found = _check(_with_relay(tmp_path, f"smtp://127.0.0.1:{free_port}"), "--connect")
    assert (status, _wrong(found)) == (1, {"gateway email/default"})
    assert "connection refused" in found["gateway email/default"]["text"]


@pytest.fixture
def gateways(tmp_path: Path) -> Iterator[tuple[dict[str, str], Callable[[], None]]]:
    """Every kind of gateway, as the configuration names them, and what lets nobody in any more."""
    user, password = "ACclinic", "right-4711"
    login = f"{user}:{password}"
    with ExitStack() as stack:
        by_http = {
            name: stack.enter_context(
                HttpSimulator[Any](kind, GatewaySettings(user=user, password=password))
            )
            for name, kind in KINDS.items()
        }
        centre = stack.enter_context(
            SmppSimulator(CentreSettings(system_id="clinic", password="r-4711"))
        )
        exchange = stack.enter_context(SipSimulator(ExchangeSettings(user=user, password=password)))
        asterisk = stack.enter_context(AriSimulator(AsteriskSettings(user=user, password=password)))
        at = {name: f"&base_url={quote(each.base_url, safe='')}" for name, each in by_http.items()}
        played = f"&recording={recording(tmp_path, 0.1)}&timeout=5"
        endpoint = f"ari://{login}@127.0.0.1:{asterisk.port}/?endpoint=PJSIP/{{number}}@trunk"
        sms = [f"{name}://{login}@g.example/?sender=Clinic{root}" for name, root in at.items()]
        config = {
            "SMS": [*sms, f"{centre.url}/?sender=Clinic"],
            "VIBER": [each for each in sms if each.startswith(("smsc", "infobip"))],
            "VOICE": [
                f"{exchange.url}/?sender=123{played}",
                f"{endpoint}&sender=123{played}",
                f"smsc://{login}@g.example/?sender=123{at['smsc']}",
                f"twilio://{login}@g.example/?sender=%2B15005550006{at['twilio']}",
            ],
        }

        def close() -> None:
            for each in by_http.values():
                each.switch(GatewayMode.WRONG_PASSWORD)
            centre.switch(Mode.WRONG_PASSWORD)
            exchange.switch(Mode.WRONG_PASSWORD.value)
            asterisk.is_closed = True

        yield (
            {f"CLINIC_DISPATCH_{name}_URL": " ".join(urls) for name, urls in config.items()},
            close,
        )


def test_the_log_in_is_tried_at_every_gateway_and_nothing_is_sent(
    tmp_path: Path, gateways: tuple[dict[str, str], Callable[[], None]]
) -> None:
    config, close = gateways
    clinic = _clinic(tmp_path, config=config)
    _, found = _check(clinic, "--connect")
    tried = {name: each for name, each in found.items() if name.startswith("gateway ")}
    assert len(tried) == 12
    told = {name: each for name, each in tried.items() if not name.startswith("gateway email")}
    assert {each["state"] for each in told.values()} == {"ok"}, told
    assert all("signed in" in each["text"] for each in told.values())
    close()
    found = _check(clinic, "--connect")[1]
    for name in told:
        assert found[name]["state"] == "wrong", found[name]
        assert found[name]["advice"], "the reference's words"
    assert "4711" not in json.dumps(found)
