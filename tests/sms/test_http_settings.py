"""The URLs of Twilio, Infobip and Vonage: what they may say, and what is said of mistakes."""

from __future__ import annotations

import pytest

from clinic_dispatch_plugin.api import Account, ConfigurationError
from clinic_dispatch_sms.settings import URL, load_accounts


def account(url: str) -> Account:
    (found,) = load_accounts({URL: url})
    return found


def test_the_providers_own_servers_are_the_usual_ones() -> None:
    twilio = account("twilio://AC1:token@/?sender=%2B15005550006").settings.of_gateway
    assert twilio.address == "https://api.twilio.com/2010-04-01/Accounts/AC1"
    assert twilio.prices == "https://pricing.twilio.com"
    infobip = account("infobip://key@x1.api.infobip.com/?sender=Klinik").settings.of_gateway
    assert infobip.root == "https://x1.api.infobip.com"
    assert infobip.authorization == {"Authorization": "App key"}
    vonage = account("vonage://key:secret@/?sender=Klinik").settings.of_gateway
    assert (vonage.root, vonage.records) == ("https://rest.nexmo.com", "https://api.nexmo.com")


@pytest.mark.parametrize("url", ["infobip://key@h/", "infobip://:key@h/"])
def test_a_key_alone_stands_on_either_side(url: str) -> None:
    assert account(f"{url}?sender=Klinik").settings.of_gateway.password == "key"


def test_user_and_password_are_another_way_in() -> None:
    settings = account("infobip://user:pass@h/?sender=Klinik").settings.of_gateway
    assert settings.authorization["Authorization"].startswith("Basic ")


def test_several_accounts_stand_in_their_order() -> None:
    value = "twilio://AC1:t@/?sender=A1, infobip://k@h/?sender=Abc&account=second\nvonage://k:s@/?sender=A"
    accounts = load_accounts({URL: value})
    assert [(each.key, each.label.split()[0]) for each in accounts] == [
        ("default", "twilio"),
        ("second", "infobip"),
        ("3", "vonage"),
    ]


@pytest.mark.parametrize(
    ("url", "advice"),
    [
        ("twilio://AC1@/?sender=A", "account SID"),
        ("twilio://AC1:canary@/", "sender is"),
        ("twilio://AC1:canary@/?sender=%2B1", "sender is"),
        ("twilio://SK1:canary@/?sender=A", "account_sid"),
        ("twilio://AC1:canary@/?sender=A&validity=40000", "validity"),
        ("twilio://AC1:canary@/?sender=A&callback_url=klinik.example", "callback_url"),
        ("twilio://AC1:canary@/?sender=A&colour=red", "no option"),
        ("infobip://@h/?sender=Klinik", "API key"),
        ("infobip://canary@h/?sender=Kl", "sender has"),
        ("infobip://canary@h/?sender=Klinik&transliteration=KLINGON", "transliteration"),
        ("infobip://canary@h/?sender=Klinik&base_url=http%3A%2F%2Fexample.org", "base_url"),
        ("vonage://k@/?sender=A", "API secret"),
        ("vonage://k:canary@/?sender=A&validity=5", "validity"),
        ("vonage://k:canary@/?sender=A&sign=on", "signature_secret"),
        ("vonage://k:canary@/?sender=A&callback_url=https%3A%2F%2F" + "x" * 90, "too long"),
        ("vonage://k:canary@/?sender=A&signature_method=rot13", "signature_method"),
    ],
)
def test_a_mistake_is_named_with_what_to_write_instead(url: str, advice: str) -> None:
    with pytest.raises(ConfigurationError, match=advice) as caught:
        account(url)
    assert "canary" not in str(caught.value)
