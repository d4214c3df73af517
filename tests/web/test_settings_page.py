"""The settings page: accounts are set up, tested, ordered and switched off, and no secret is ever seen again."""

from __future__ import annotations

import json
import logging
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Connection

from clinic_dispatch_plugin.accounts import service as accounts
from clinic_dispatch_plugin.accounts import shares, trial
from clinic_dispatch_plugin.api import (
    Account,
    Answer,
    ConfigurationError,
    FieldKind,
    GatewayForm,
    SettingField,
)
from clinic_dispatch_plugin.engine import store as engine
from clinic_dispatch_plugin.engine.stream import account_trouble, channel_failed
from clinic_dispatch_plugin.host.types import Action
from clinic_dispatch_plugin.simulators.ari import AriSimulator, AsteriskSettings
from clinic_dispatch_plugin.simulators.gateways.server import HttpSimulator
from clinic_dispatch_plugin.simulators.gateways.settings import GatewaySettings
from clinic_dispatch_plugin.simulators.gateways.smsc import SmscGateway
from clinic_dispatch_plugin.simulators.sip import ExchangeSettings, SipSimulator
from clinic_dispatch_plugin.testing.fake_channel import FakeChannel, FakePlugin
from tests.cli.conftest import typing_in
from tests.clinic.browsing import fields_of, submit
from tests.clinic.host import Clinic, make_clinic

CANARY = "canary-7Qx!/?#@: ü"
HOME = "/dispatch/settings"
SMSC = f"{HOME}/new/sms?scheme=smsc"
NEW = f"{HOME}/new/sms"


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    """Give one clinic for all: with an account in the environment, and the machine itself allowed."""
    made = make_clinic(
        tmp_path_factory.mktemp("settings"),
        config={
            "CLINIC_DISPATCH_VOICE_URL": "smsc://anna:geheim@smsc.kz/?sender=77001234567",
            "CLINIC_DISPATCH_PRIVATE_GATEWAYS": "127.0.0.1",
            "CLINIC_DISPATCH_BASE_URL": "https://clinic.example",
        },
        plugins=[FakePlugin(FakeChannel(), Telegraph(key="telegraph"))],
    )
    yield made
    made.dispatch.database.dispose()


@pytest.fixture
def client(clinic: Clinic) -> FlaskClient:
    return clinic.app.test_client()


def smsc(name: str, **more: str) -> dict[str, str]:
    """The form of an account at SMSC, filled in."""
    return {
        "scheme": "smsc",
        "name": name,
        "s_host": "127.0.0.1",
        "s_user": "klinik",
        "s_password": CANARY,
        "s_sender": "Clinic",
        "s_base_url": "http://127.0.0.1:9",
        "purpose_service": "1",
        "purpose_results": "1",
        **more,
    }


def add(client: FlaskClient, name: str, **more: str) -> None:
    response = submit(client, SMSC, smsc(name, **more), to=NEW)
    assert response.status_code == 303, response.text


def account(name: str, channel: str = "sms") -> str:
    return f"{HOME}/accounts/{channel}/{name}"


def after_test(client: FlaskClient, name: str, *, channel: str = "sms") -> str:
    """Press *Test the log-in* and look again as often as the page says to."""
    page = account(name, channel)
    response = submit(client, page, to=f"{page}/test")
    assert response.status_code == 303
    for _ in range(200):
        shown = client.get(page)
        if "Refresh" not in shown.headers:
            break
        time.sleep(0.1)
    return shown.text


def test_an_account_is_set_up_and_its_secret_is_nowhere(
    clinic: Clinic, client: FlaskClient, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    add(client, "canary")
    page = client.get(account("canary")).text
    pages = page + client.get(HOME).text
    assert "klinik" in page
    assert "Gesetzt am" in page
    found = clinic.dispatch.account_called("sms", "canary")
    assert found is not None
    assert found.settings.of_gateway.password == CANARY
    assert found.purposes == {"service", "results"}
    wrong = submit(client, account("canary"), smsc("canary", s_rate="viel"))
    assert wrong.status_code == 422
    assert "Bitte geben Sie eine Zahl" in wrong.text
    pages += wrong.text + repr(found)
    with sqlite3.connect(clinic.app.config["SQLALCHEMY_DATABASE_URI"][10:]) as database:
        dump = "\n".join(database.iterdump())
    assert "account_added" in dump
    for secret in (CANARY, "canary-7Qx", "canary-7Qx%21"):
        assert secret not in pages + dump + caplog.text


def test_what_is_wrong_stands_beside_its_field_and_nothing_typed_is_lost(
    client: FlaskClient,
) -> None:
    typed = smsc("Groß!", s_host="10.1.2.3", s_base_url="", s_sender="Praxis Süd")
    for purpose in ("purpose_service", "purpose_results"):
        typed.pop(purpose)
    response = submit(client, SMSC, typed, to=NEW)
    assert response.status_code == 422
    assert 'value="Praxis Süd"' in response.text
    for name in ("name", "purposes"):
        assert f'id="e-{name}"' in response.text
    assert CANARY not in response.text


@pytest.mark.parametrize(
    ("typed", "place"),
    [
        ({"s_host": "10.1.2.3", "s_base_url": ""}, "host"),
        ({"s_host": "[::1]", "s_base_url": ""}, "host"),
        ({"s_host": "169.254.169.254", "s_base_url": ""}, "host"),
        ({"s_base_url": "http://[::1]:8080"}, "base_url"),
        ({"s_base_url": "http://192.168.0.1"}, "base_url"),
        ({"s_base_url": "https://user:pw@127.0.0.1/"}, "base_url"),
        ({"s_base_url": "http://127.0.0.1:0"}, "base_url"),
        ({"s_sender": "viel zu lang fuer SMS"}, "sender"),
        ({"s_password": ""}, "password"),
    ],
)
def test_a_wrong_or_private_place_is_refused(
    client: FlaskClient, typed: dict[str, str], place: str
) -> None:
    response = submit(client, SMSC, smsc("wrong", **typed), to=NEW)
    assert response.status_code == 422
    assert f'id="e-{place}"' in response.text
    assert "Der Kanal kann das nicht verwenden" not in response.text, "the reader's language"
    assert CANARY not in response.text


def test_a_secret_left_empty_stays_and_another_change_is_named_without_it(
    clinic: Clinic, client: FlaskClient
) -> None:
    add(client, "stays")
    first = fields_of(client.get(account("stays")).text, action=account("stays"))
    assert first["s_password"] == ""
    changed = client.post(account("stays"), data={**first, "s_sender": "Praxis", "s_rate": "2,5"})
    assert (changed.status_code, changed.location[-7:]) == (303, "changed")
    found = clinic.dispatch.account_called("sms", "stays")
    assert found is not None
    assert (found.settings.of_gateway.password, found.rate) == (CANARY, 2.5)
    assert "Geändert: Absender" in client.get(account("stays")).text
    late = client.post(account("stays"), data={**first, "s_sender": "Andere"})
    assert late.status_code == 422
    assert "Jemand anderes" in late.text
    now = fields_of(client.get(account("stays")).text, action=account("stays"))
    assert client.post(account("stays"), data=now).location.endswith("same")


def test_the_order_is_changed_with_buttons_and_one_is_switched_off(
    clinic: Clinic, client: FlaskClient
) -> None:
    for name in ("erstes", "zweites"):
        add(client, name)
    order = [each.key for each in clinic.dispatch.accounts("sms")]
    submit(client, HOME, {"to": "up"}, to=f"{account('zweites')}/move")
    moved = [each.key for each in clinic.dispatch.accounts("sms")]
    assert moved.index("zweites") == order.index("erstes")
    submit(client, account("erstes"), to=f"{account('erstes')}/switch")
    page = client.get(account("erstes")).text
    assert "Abgeschaltet" in page
    submit(client, account("erstes"), {"on": "1"}, to=f"{account('erstes')}/switch")
    assert "Wird geprüft" in client.get(account("erstes")).text
    submit(client, account("erstes"), to=f"{account('erstes')}/remove")
    assert clinic.dispatch.account_called("sms", "erstes") is None
    assert client.get(account("erstes")).status_code == 404
    add(client, "erstes")
    assert "Bereit" in client.get(account("erstes")).text


def test_the_log_in_is_tested_and_says_in_the_references_words_what_is_wrong(
    clinic: Clinic, client: FlaskClient
) -> None:
    add(client, "getestet")
    page = after_test(client, "getestet")
    assert "Sie funktioniert nicht." in page
    assert "Unser Versanddienst ist nicht erreichbar" in page
    assert CANARY not in page


def test_a_log_in_that_works_says_so(clinic: Clinic, client: FlaskClient) -> None:
    with HttpSimulator(SmscGateway, GatewaySettings(user="klinik", password=CANARY)) as server:
        add(client, "gut", s_base_url=server.base_url)
        page = after_test(client, "gut")
    assert "Sie funktioniert." in page
    assert "https://clinic.example/dispatch/callbacks/sms/gut" in page


def test_the_log_in_is_tested_at_an_exchange_and_nobody_is_called(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clinic_dispatch_voice.exchange.sender.can_speak", lambda: True)
    with (
        SipSimulator(ExchangeSettings(user="klinik", password=CANARY)) as exchange,
        AriSimulator(AsteriskSettings(user="klinik", password=CANARY)) as asterisk,
    ):
        more = {"sip": {}, "ari": {"s_endpoint": "PJSIP/{number}@trunk"}}
        for scheme, server in (("sip", exchange), ("ari", asterisk)):
            fields = smsc(scheme, scheme=scheme, s_sender="+493012345678", s_port=str(server.port))
            del fields["s_base_url"]
            new = f"{HOME}/new/voice"
            response = submit(client, f"{new}?scheme={scheme}", {**fields, **more[scheme]}, to=new)
            assert response.status_code == 303, response.text
            assert "Sie funktioniert." in after_test(client, scheme, channel="voice")
        exchange.switch("wrong_password")
        asterisk.is_closed = True
        for scheme in more:
            page = after_test(client, scheme, channel="voice")
            assert "Sie funktioniert nicht." in page
            assert "nicht erreichbar" not in page and CANARY not in page
        assert not exchange.calls and not asterisk.calls
    assert "Unser Versanddienst ist nicht erreichbar" in after_test(client, "ari", channel="voice")


def test_a_test_opens_no_connection_more_than_the_account_may_have(
    clinic: Clinic, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "PATIENCE", 0.0)
    settings = GatewaySettings(user="klinik", password=CANARY)
    with HttpSimulator(SmscGateway, settings) as server:
        add(client, "knapp", s_base_url=server.base_url, s_connections="1")

        def hold(connection: Connection) -> int:
            row_id = accounts.account_id(connection, "sms", "knapp")
            run = engine.start_run(connection, worker="w", host="h", boot_id="b", lease=60.0)
            shares.take(connection, row_id, run, limit=1, live=[run], hands=1)
            return run

        run = clinic.dispatch.database.run(hold)
        page = after_test(client, "knapp")
        assert "Alle erlaubten Verbindungen sind gerade in Gebrauch" in page
        said = typing_in(clinic)("check", "--connect", "--json").stdout
        found = {each["subject"]: each for each in json.loads(said)["findings"]}
        assert "in use" in found["gateway sms/knapp"]["text"]
        assert server.gateway.requests == []
        clinic.dispatch.database.run(lambda connection: shares.give_back(connection, run))
        assert "Sie funktioniert." in after_test(client, "knapp")


def test_the_configuration_wins_and_is_shown_as_such(client: FlaskClient) -> None:
    page = client.get(HOME).text
    assert "CLINIC_DISPATCH_VOICE_URL" in page
    one = client.get(f"{HOME}/accounts/voice/default").text
    assert "nur dort ändern" in one
    assert "geheim" not in one
    assert client.post(f"{HOME}/accounts/voice/default", data={}).status_code in (400, 403, 404)
    new = f"{HOME}/new/voice"
    form = {**smsc("default"), "s_sender": "77001234567"}
    assert submit(client, f"{new}?scheme=smsc", form, to=new).status_code == 422


def test_only_whoever_may_configure_sees_the_page(clinic: Clinic, client: FlaskClient) -> None:
    clinic.host.actions = frozenset(Action) - {Action.CONFIGURE}
    try:
        assert client.get(HOME).status_code == 403
        assert "/dispatch/settings" not in client.get("/dispatch/").text
    finally:
        clinic.host.actions = None


def test_a_channel_without_a_form_is_asked_for_its_whole_address(
    clinic: Clinic, client: FlaskClient
) -> None:
    new = f"{HOME}/new/fake"
    page = client.get(new).text
    assert "Adresse mit Anmeldung (URL)" in page
    wrong = submit(
        client,
        new,
        {"name": "x", "s_url": f"fake://u:{'geheim-x'}@127.0.0.1/", "purpose_service": "1"},
    )
    assert wrong.status_code == 422
    assert "geheim-x" not in wrong.text


def test_a_stopped_account_says_why_in_the_references_words_and_is_tried_again(
    clinic: Clinic, client: FlaskClient
) -> None:
    add(client, "stops")
    row_id = clinic.dispatch.database.run(lambda c: accounts.account_id(c, "sms", "stops"))
    wrong = Answer(system="smsc_send", code="2", text="authorise error")
    clinic.dispatch.database.run(
        lambda connection: accounts.stop(clinic.dispatch, connection, row_id, wrong)
    )
    shown = client.get(account("stops")).text
    assert "Gestoppt" in shown
    assert "authorise error" in shown
    assert "Anmeldung beim Anbieter wurde abgewiesen" in shown
    response = submit(client, account("stops"), to=f"{account('stops')}/again")
    assert response.status_code == 303
    assert "Jetzt erneut versuchen" not in client.get(account("stops")).text


def test_a_channel_that_breaks_while_sending_is_named_as_such_on_the_page(
    clinic: Clinic, client: FlaskClient
) -> None:
    add(client, "breaks")
    row_id = clinic.dispatch.database.run(lambda c: accounts.account_id(c, "sms", "breaks"))
    for _ in range(5):
        account_trouble(clinic.dispatch, row_id, channel_failed(ZeroDivisionError("CANARY")))
    shown = client.get(account("breaks")).text
    assert "ZeroDivisionError" in shown
    assert "CANARY" not in shown
    assert "Macht Pause" in shown


class Telegraph(FakeChannel):
    """A third party's channel whose form speaks German by a catalogue of its own."""

    translations: ClassVar[Mapping[str, Mapping[str, str]]] = {
        "de": {
            "Telegraph": "Telegraf",
            "Line": "Leitung",
            "Such as north.": "Etwa Nord.",
            "north": "Nord",
            "line has a name.": "Die Leitung braucht einen Namen.",
        }
    }

    def forms(self) -> list[GatewayForm]:
        north = SettingField(
            key="way", label="Way", kind=FieldKind.CHOICE, choices=[("n", "north")], more=True
        )
        line = SettingField(key="line", label="Line", hint="Such as north.")
        password = SettingField(key="password", label="Password", kind=FieldKind.SECRET)
        return [GatewayForm(scheme="wire", label="Telegraph", fields=(line, password, north))]

    def account_at(self, url: str, *, key: str, allowed: Sequence[str]) -> Account:
        raise ConfigurationError("url", "x", "line has a name.")


def test_a_third_party_s_form_speaks_by_its_own_catalogue_and_else_by_ours(
    clinic: Clinic, client: FlaskClient
) -> None:
    new = f"{HOME}/new/telegraph"
    page = client.get(new).text
    for word in ("Konto hinzufügen: Telegraf", "Leitung", "Etwa Nord.", "Passwort", ">Nord<"):
        assert word in page, word
    typed = {"scheme": "wire", "name": "x", "s_line": "?", "s_password": CANARY}
    wrong = submit(client, new, {**typed, "purpose_service": "1"})
    assert wrong.status_code == 422
    assert 'id="e-line">✕ Die Leitung braucht einen Namen.' in wrong.text
    assert "Leitung: Die Leitung braucht einen Namen." in wrong.text, (
        "the list above names the field"
    )
    assert CANARY not in wrong.text


def test_without_a_key_the_page_says_what_to_set_and_how_to_make_one(tmp_path: Path) -> None:
    made = make_clinic(tmp_path, config={"CLINIC_DISPATCH_SECRET_KEYS": ""}, packs=False)
    page = made.app.test_client().get(HOME).text
    assert "secrets.token_urlsafe(48)" in page
    assert "CLINIC_DISPATCH_SECRET_KEYS" in page
    assert f"{HOME}/new/sms" not in page
