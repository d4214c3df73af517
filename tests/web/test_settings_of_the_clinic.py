"""The settings page beside the accounts' log-ins: quiet hours, limits of money, exchanges, addresses for reports."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from datetime import time
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from clinic_dispatch_plugin.quiet_hours import DEFAULT, Hours
from clinic_dispatch_plugin.settings.quiet import KEEPER
from tests.clinic.browsing import fields_of, submit, token_in
from tests.clinic.host import Clinic, make_clinic

HOME = "/dispatch/settings"
QUIET = f"{HOME}/quiet-hours"


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    made = make_clinic(
        tmp_path_factory.mktemp("settings"),
        config={
            "CLINIC_DISPATCH_SMS_URL": "infobip://key-1@one.api.infobip.com/?sender=Clinic&account=eins "
            "infobip://key-2@two.api.infobip.com/?sender=Clinic&account=zwei",
            "CLINIC_DISPATCH_PRIVATE_GATEWAYS": "127.0.0.1",
            "CLINIC_DISPATCH_QUIET_HOURS": "",
            "CLINIC_DISPATCH_BASE_URL": "https://clinic.example",
        },
    )
    yield made
    made.dispatch.database.dispose()


@pytest.fixture
def client(clinic: Clinic) -> FlaskClient:
    return clinic.app.test_client()


def form(client: FlaskClient) -> dict[str, str]:
    return fields_of(client.get(QUIET).text, action=QUIET)


def test_quiet_hours_are_changed_and_hold_at_once(clinic: Clinic, client: FlaskClient) -> None:
    typed = form(client)
    assert (typed["begin_promotion"], typed["end_promotion"]) == ("20:00", "08:00")
    typed |= {"begin_promotion": "18:30", "begin_voice": "", "end_voice": ""}
    typed |= {"purpose": "service", "channel": "email", "begin_new": "22:00", "end_new": "06:00"}
    answer = client.post(QUIET, data=typed)
    assert (answer.status_code, answer.location) == (303, f"{QUIET}?said=quiet_changed")
    hours = clinic.dispatch.quiet_hours()
    assert hours.of("promotion", "email") == (Hours(begin=time(18, 30), end=time(8)),)
    assert hours.of("service", "voice") == ()
    assert hours.of("service", "email") == (Hours(begin=time(22), end=time(6)),)
    page = client.get(HOME).text
    assert "18:30–08:00" in page
    # Whoever opened the form before is told, and nothing of theirs is lost.
    late = client.post(
        QUIET, data={**typed, "begin_promotion": "17:15", "channel": "", "purpose": ""}
    )
    assert late.status_code == 422
    assert 'value="17:15"' in late.text
    gone = form(client) | {"drop_service.email": "1"}
    assert client.post(QUIET, data=gone).status_code == 303
    assert clinic.dispatch.quiet_hours().of("service", "email") == ()
    assert submit(client, QUIET, to=f"{QUIET}/reset").status_code == 303
    assert clinic.dispatch.quiet_hours() == DEFAULT


@pytest.mark.parametrize(
    ("typed", "place", "words"),
    [
        ({"begin_promotion": ""}, "promotion", "oder keine"),
        ({"begin_voice": "25:00"}, "voice", "20:00"),
        ({"begin_voice": "08:00", "end_voice": "08:00"}, "voice", "gleich"),
        ({"begin_new": "20:00", "end_new": "21:00"}, "purpose", "Bitte"),
        ({"purpose": "results", "channel": "sms"}, "channel", "schon"),
    ],
)
def test_wrong_quiet_hours_are_named_beside_their_field(
    clinic: Clinic, client: FlaskClient, typed: dict[str, str], place: str, words: str
) -> None:
    answer = client.post(QUIET, data=form(client) | typed)
    assert answer.status_code == 422
    found = re.search(f'id="e-{place}">([^<]+)', answer.text)
    assert found is not None and words in html.unescape(found[1])
    assert clinic.dispatch.quiet_hours() == DEFAULT


def test_another_process_knows_them_after_a_look(clinic: Clinic, client: FlaskClient) -> None:
    keeper = clinic.dispatch.cache[KEEPER]
    with clinic.dispatch.database.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO dispatch_setting VALUES ('quiet_hours', "
            """'{"greeting": "09:00-10:00", "voice": "", "sms": "rubbish"}', '2026-01-01 00:00:00', '')"""
        )
    assert clinic.dispatch.quiet_hours() == DEFAULT  # known for some seconds
    keeper.forget()
    assert dict(clinic.dispatch.quiet_hours().by_name) == {
        "greeting": Hours(begin=time(9), end=time(10)),
        "voice": None,
    }
    submit(client, QUIET, to=f"{QUIET}/reset")


def test_quiet_hours_of_the_configuration_win_and_are_shown_as_such(tmp_path: Path) -> None:
    made = make_clinic(
        tmp_path, config={"CLINIC_DISPATCH_QUIET_HOURS": "voice=19:00-09:00"}, packs=False
    )
    client = made.app.test_client()
    page = client.get(QUIET).text
    assert "CLINIC_DISPATCH_QUIET_HOURS" in page and "19:00–09:00" in page
    assert "begin_voice" not in page
    assert client.post(QUIET, data={"csrf_token": token_in(page)}).status_code == 403
    made.dispatch.database.dispose()


def sip(name: str, **more: str) -> dict[str, str]:
    return {
        "scheme": "sip",
        "name": name,
        "s_host": "127.0.0.1",
        "s_user": "klinik",
        "s_password": "geheim-sip",
        "s_sender": "+493012345678",
        "purpose_service": "1",
        **more,
    }


NEW_VOICE = f"{HOME}/new/voice"


@pytest.mark.parametrize(
    ("typed", "place"),
    [
        ({"s_cap_day": "5"}, "price"),
        ({"s_cap_day": "5", "s_price": "0.05"}, "price_currency"),
        ({"s_cap_day": "0", "s_price": "0.05", "s_price_currency": "EUR"}, "cap_day"),
        ({"s_cap_day": "0.1234567", "s_price": "1", "s_price_currency": "EUR"}, "cap_day"),
        ({"s_cap_day": "5", "s_cap_month": "4"}, "cap_month"),
        ({"s_prefix": "null"}, "prefix"),
        ({"s_sender": "Praxis"}, "sender"),
    ],
)
def test_limits_are_looked_at_as_the_channel_does(
    client: FlaskClient, typed: dict[str, str], place: str
) -> None:
    answer = submit(client, f"{NEW_VOICE}?scheme=sip", sip("falsch", **typed), to=NEW_VOICE)
    assert answer.status_code == 422
    assert f'id="e-{place}"' in answer.text
    assert "geheim-sip" not in answer.text


def test_an_exchange_is_set_up_with_a_limit_and_shows_what_is_spent(
    clinic: Clinic, client: FlaskClient
) -> None:
    money = {"s_cap_day": "5e0", "s_price": "0,05", "s_price_currency": "eur", "s_calls": "3"}
    answer = submit(client, f"{NEW_VOICE}?scheme=sip", sip("anlage", **money), to=NEW_VOICE)
    assert answer.status_code == 303, answer.text
    found = clinic.dispatch.account_called("voice", "anlage")
    assert found is not None
    assert (str(found.cap_day), found.part_price.currency) == ("5", "EUR")  # type: ignore[union-attr]
    page = html.unescape(client.get(f"{HOME}/accounts/voice/anlage").text)
    assert "0,00\xa0€ von 5,00\xa0€" in page
    ari = sip("asterisk", scheme="ari", s_endpoint="PJSIP/{number}@trunk")
    answer = submit(client, f"{NEW_VOICE}?scheme=ari", ari, to=NEW_VOICE)
    assert answer.status_code == 303, answer.text


def address_in(page: str) -> str:
    found = re.search(r'id="callback" readonly value="([^"]+)"', page)
    assert found is not None
    return html.unescape(found[1]).removeprefix("https://clinic.example")


def report(client: FlaskClient, address: str) -> int:
    body = {"results": [{"messageId": "m-1", "status": {"groupName": "DELIVERED", "id": 5}}]}
    return client.post(address, json=body).status_code


def test_a_secret_address_is_shown_once_and_replaced(clinic: Clinic, client: FlaskClient) -> None:
    one, other = f"{HOME}/accounts/sms/eins", f"{HOME}/accounts/sms/zwei"
    first = address_in(submit(client, one, to=f"{one}/callback").text)
    secret = first.rpartition("/")[2]
    assert len(secret) == 43
    assert secret not in client.get(one).text + client.get(HOME).text
    assert report(client, first) == 200
    assert report(client, first.replace("eins", "zwei")) == 403
    theirs = address_in(submit(client, other, to=f"{other}/callback").text)
    assert report(client, theirs) == 200
    second = address_in(submit(client, one, to=f"{one}/callback").text)
    assert (report(client, first), report(client, second)) == (403, 200)
    assert report(client, second.rpartition("/")[0]) == 403
    proved = {":proved": "yes", ":Proved": "yes"}
    bare = second.rpartition("/")[0]
    assert client.post(bare, json={"results": []}, headers=proved).status_code == 403
    with clinic.dispatch.database.begin() as connection:
        kept = connection.exec_driver_sql("SELECT digest FROM dispatch_account_callback").all()
    assert secret not in str(kept)


def test_an_account_of_the_page_hands_its_new_address_over_by_itself(
    clinic: Clinic, client: FlaskClient
) -> None:
    new, one = f"{HOME}/new/sms", f"{HOME}/accounts/sms/drei"
    typed = {
        "scheme": "infobip",
        "name": "drei",
        "s_host": "127.0.0.1",
        "s_password": "geheim",
        "s_sender": "Clinic",
        "purpose_service": "1",
    }
    assert submit(client, f"{new}?scheme=infobip", typed, to=new).status_code == 303
    made = address_in(submit(client, one, to=f"{one}/callback").text)
    found = clinic.dispatch.account_called("sms", "drei")
    assert found is not None
    assert found.settings.of_gateway.callback_url == f"https://clinic.example{made}"
    assert made not in client.get(one).text
    assert report(client, made) == 200
