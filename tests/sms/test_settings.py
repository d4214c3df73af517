"""``CLINIC_DISPATCH_SMS_URL``: one account or several, and a sentence for each mistake."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from clinic_dispatch_plugin.api import ConfigurationError
from clinic_dispatch_sms import clinic_dispatch_channels
from clinic_dispatch_sms.settings import URL, SmsSettings, load_accounts
from clinic_dispatch_sms.smsc.kinds import SmscTexts
from clinic_dispatch_sms.smsc.settings import SmscSettings

PLAIN = "smsc://clinic:pass%2Fword@smsc.kz/"


def smsc(url: str) -> SmscSettings:
    settings = load_accounts({URL: url})[0].settings
    assert isinstance(settings, SmsSettings)
    assert isinstance(settings.of_gateway, SmscSettings)
    return settings.of_gateway


def test_without_an_account_the_channel_waits_for_one_of_the_settings_page() -> None:
    for config in ({}, {URL: "  "}):
        (channel,) = clinic_dispatch_channels(config)
        assert (channel.key, list(channel.accounts())) == ("sms", [])


def test_an_account_as_a_clinic_writes_it() -> None:
    found = smsc(f"{PLAIN}?sender=Clinic&rate=20&valid=6&connections=2")
    assert (found.root, found.login, found.password) == ("https://smsc.kz", "clinic", "pass/word")
    assert (found.sender, found.rate, found.currency) == ("Clinic", 20.0, "KZT")
    assert found.kind == SmscTexts(valid=6)
    assert found.label == "smsc smsc.kz"
    assert smsc("smsc://smsc.ru/?api_key=k").credentials == {"apikey": "k"}


def test_another_server_in_its_place() -> None:
    found = smsc(f"{PLAIN}?base_url=http%3A%2F%2F127.0.0.1%3A8080%2F")
    assert found.root == "http://127.0.0.1:8080"
    assert found.label == "smsc 127.0.0.1:8080"


@pytest.mark.parametrize("between", [" ", "\n", ",", ", "])
def test_several_accounts_keep_their_order_and_have_names(between: str) -> None:
    urls = between.join([PLAIN, f"{PLAIN}?account=spare", "smsc://a:b@smsc.ru"])
    channel = clinic_dispatch_channels({URL: urls})[0]
    assert [each.key for each in channel.accounts()] == ["default", "spare", "3"]
    assert [each.label for each in channel.accounts()] == ["smsc smsc.kz"] * 2 + ["smsc smsc.ru"]


def test_no_secret_is_shown() -> None:
    account = load_accounts({URL: f"{PLAIN}?api_key=canary&callback_key=canary2"})[0]
    assert "canary" not in f"{account!r} {account.settings!r} {account.label}"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mailto:x", "begin with one of smsc://"),
        ("carrier-pigeon://a:b@roof/", "begin with one of smsc://"),
        ("smsc://smsc.kz/", "login and password"),
        ("smsc://clinic@smsc.kz/", "login and password"),
        ("smsc://a:b@/", "name the site"),
        ("smsc://a:b@smsc.kz/x", "nothing may stand between"),
        ("smsc://a:b@smsc.kz:99999/", "host or port"),
        ("smsc://a:canary/x@smsc.kz/", "inside a user name or password"),
        (f"{PLAIN}?sender=Klinik+am+Park+Nord", "sender has at most 11"),
        (f"{PLAIN}?sender=%D0%9A", "sender has at most 11"),
        (f"{PLAIN}?sendr=Clinic", "'sendr' is no option; there are: "),
        (f"{PLAIN}?rate=0", "rate is '0'"),
        (f"{PLAIN}?rate=nan", "rate is 'nan'"),
        (f"{PLAIN}?connections=15", "connections is '15'"),
        (f"{PLAIN}?list=1_0", "list is '1_0'"),
        (f"{PLAIN}?timeout=ten", "timeout is 'ten'"),
        (f"{PLAIN}?sender=A&sender=B", "sender stands there twice"),
        (f"{PLAIN}?currency=tenge", "three capital letters"),
        (f"{PLAIN}?ca_file=/nowhere", "PEM file"),
        (f"{PLAIN}?account=Haupt", "account is a name"),
        (f"{PLAIN}?account=2 {PLAIN}", "two accounts are called '2'"),
        (f"{PLAIN}?base_url=ftp%3A%2F%2Fx", "the server's root"),
        (f"{PLAIN}?base_url=127.0.0.1", "the server's root"),
        (f"{PLAIN}?base_url={quote('http://sms.example', safe='')}", "travel unprotected"),
        (f"{PLAIN}?base_url={quote('https://a:b@sms.example', safe='')}", "root alone"),
        (f"{PLAIN}?base_url={quote('https://sms.example:port', safe='')}", "base_url is"),
    ],
)
def test_a_mistake_is_named(url: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_accounts({URL: url})
    assert URL in str(caught.value)
    assert said in str(caught.value)
    assert "pass" not in str(caught.value).replace("password", "")
    assert "canary" not in str(caught.value)
