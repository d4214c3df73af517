"""Every gateway's URL written wrongly: each mistake is named with what to write, and no secret is shown."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote

import pytest

from clinic_dispatch_email.channel import EmailChannel
from clinic_dispatch_email.settings import FROM, load_settings
from clinic_dispatch_email.settings import URL as EMAIL
from clinic_dispatch_plugin.api import Channel, ConfigurationError, ConnectionFailed
from clinic_dispatch_sms import settings as sms
from clinic_dispatch_sms.channel import SmsChannel
from clinic_dispatch_viber import settings as viber
from clinic_dispatch_viber.channel import ViberChannel
from clinic_dispatch_voice import settings as voice
from clinic_dispatch_voice.channel import VoiceChannel

SECRET = "canary"
Read = Callable[[str], Any]


def read_by(settings: Any) -> Read:
    """The settings of the one account that a channel's variable then has."""

    def read(url: str) -> Any:
        (account,) = settings.load_accounts({settings.URL: url})
        return account.settings.of_gateway

    return read


def read_email(url: str) -> Any:
    return load_settings({EMAIL: url, FROM: "post@klinik.example"})


SMS, VOICE, VIBER = read_by(sms), read_by(voice), read_by(viber)
CHANNELS: dict[Read, Channel] = {
    SMS: SmsChannel([]),
    VOICE: VoiceChannel([]),
    VIBER: ViberChannel([]),
    read_email: EmailChannel(None),
}
#: Each gateway's URL, with its login and its place left open.
GATEWAYS: dict[str, tuple[Read, str]] = {
    "smsc": (SMS, "smsc://{login}@{place}/?sender=Clinic"),
    "twilio": (SMS, "twilio://{login}@{place}/?sender=Clinic"),
    "infobip": (SMS, "infobip://{login}@{place}/?sender=Clinic"),
    "vonage": (SMS, "vonage://{login}@{place}/?sender=Clinic"),
    "smpp": (SMS, "smpp://{login}@{place}/?sender=Clinic"),
    "smsc, calls": (VOICE, "smsc://{login}@{place}/?sender=77001234567"),
    "twilio, calls": (VOICE, "twilio://{login}@{place}/?sender=%2B15005550006"),
    "sip": (VOICE, "sip://{login}@{place}/?sender=123"),
    "sips": (VOICE, "sips://{login}@{place}/?sender=123"),
    "ari": (VOICE, "ari://{login}@{place}/?sender=123&endpoint=PJSIP/{{number}}@trunk"),
    "smsc, Viber": (VIBER, "smsc://{login}@{place}/?sender=Clinic"),
    "infobip, Viber": (VIBER, "infobip://{login}@{place}/?sender=Clinic"),
    "e-mail": (read_email, "smtps://{login}@{place}/?helo=klinik.example"),
}
#: Gateways whose usual server is meant where none is named.
USUAL_PLACE = {"twilio", "infobip", "vonage", "twilio, calls", "infobip, Viber"}
#: Gateways that one may be let into without a password, by address; or with a key alone.
OPEN = {"smpp", "sip", "sips", "infobip", "infobip, Viber"}
#: Gateways whose host is where the server is; the others take another root.
NO_ROOT = {"sip", "sips", "e-mail"}
#: Gateways that are asked over HTTP.
BY_HTTP = set(GATEWAYS) - NO_ROOT - {"smpp"}


def url_of(
    name: str,
    *,
    user: str = "user",
    password: str = SECRET,
    place: str = "gateway.example",
    more: str = "",
) -> str:
    _, pattern = GATEWAYS[name]
    return pattern.format(login=f"{user}:{password}", place=place) + more


def refusal(name: str, **parts: str) -> str:
    read, _ = GATEWAYS[name]
    with pytest.raises(ConfigurationError) as caught:
        read(url_of(name, **parts))
    said = str(caught.value)
    assert said.startswith("CLINIC_DISPATCH_")
    assert SECRET not in said
    return said


WRONG: Sequence[tuple[dict[str, str], str]] = [
    ({"place": "gateway.example:0"}, "from 1 to 65535"),
    ({"place": "gateway.example:99999"}, "host or port cannot be read"),
    ({"place": "gateway.example:port"}, "host or port cannot be read"),
    ({"place": "[::1"}, "host or port cannot be read"),
    ({"place": "gateway example"}, "server"),
    ({"place": "gateway%20example"}, "server"),
    ({"place": "gateway.example/path"}, "nothing may stand between"),
    ({"more": "&nonsense=1"}, "'nonsense' is no option; there are: "),
    ({"more": "&timeout=1&timeout=2"}, "stands there twice"),
    ({"more": "&timeout=soon"}, "a number of seconds"),
    ({"password": f"{SECRET}%zz"}, "as %2F %3F %23 %40 %3A %5B %5D and %25"),
    ({"password": f"{SECRET}%"}, "as %2F %3F %23 %40 %3A %5B %5D and %25"),
    ({"password": f"{SECRET}%C3x"}, "as %2F %3F %23 %40 %3A %5B %5D and %25"),
    ({"password": f"{SECRET}/x"}, "%2F"),
    ({"password": f"{SECRET}#x"}, "%23"),
]


@pytest.mark.parametrize("name", GATEWAYS)
def test_a_mistake_says_what_to_write(name: str) -> None:
    for parts, words in WRONG:
        assert words in refusal(name, **parts), parts


@pytest.mark.parametrize("name", GATEWAYS)
def test_a_place_or_a_password_that_is_missing_is_asked_for(name: str) -> None:
    if name not in USUAL_PLACE:
        assert "name the" in refusal(name, place="")
    if name not in OPEN:
        said = refusal(name, password="")
        assert any(word in said for word in ("password", "token", "secret"))


@pytest.mark.parametrize("name", sorted(set(GATEWAYS) - NO_ROOT))
def test_another_root_is_a_server_and_no_more(name: str) -> None:
    for root, words in (
        ("127.0.0.1%3A8080", "write the server's root"),
        ("http%3A%2F%2F127.0.0.1%3A99999", "from 1 to 65535"),
        ("http%3A%2F%2F127.0.0.1%3A0", "from 1 to 65535"),
        ("http%3A%2F%2Fother.example", "travel unprotected"),
        ("https%3A%2F%2Fa%20b.example", "names no server"),
        ("https%3A%2F%2Fother.example%2F%3Fa%3Db", "root alone"),
        (f"https%3A%2F%2Fa%3A{SECRET}%40other.example", "root alone"),
    ):
        assert words in refusal(name, more=f"&base_url={root}")


@pytest.mark.parametrize("name", sorted(BY_HTTP))
def test_a_root_may_lie_behind_a_path_and_an_address_may_be_long(name: str) -> None:
    read, _ = GATEWAYS[name]
    there = read(url_of(name, more="&base_url=https%3A%2F%2Fproxy.example%2Fsms%2F")).root
    assert there.removesuffix("/ari") == "https://proxy.example/sms"
    there = read(url_of(name, place="[2001:db8::1]:8443")).root
    assert there.removesuffix("/ari") == "https://[2001:db8::1]:8443"


def test_a_message_centre_has_no_path() -> None:
    root = "&base_url=http%3A%2F%2F127.0.0.1%3A2775%2Fapi"
    assert "host and port" in refusal("smpp", more=root)


@pytest.mark.parametrize("name", ["smpp", "sip", "sips", "e-mail"])
def test_an_address_with_colons_is_a_place(name: str) -> None:
    read, _ = GATEWAYS[name]
    settings = read(url_of(name, place="[2001:db8::1]:8443"))
    assert (settings.host, settings.port) == ("2001:db8::1", 8443)


@pytest.mark.parametrize("name", GATEWAYS)
def test_a_name_that_a_person_typed_leads_to_nothing_private(name: str) -> None:
    """Whatever it meant when it was typed: what counts is where it leads now."""
    with socket.create_server(("127.0.0.1", 0)) as private:
        place = f"localhost:{private.getsockname()[1]}"
        root = "" if name not in BY_HTTP else f"&base_url={quote(f'https://{place}', safe='')}"
        channel = CHANNELS[GATEWAYS[name][0]]
        url = url_of(name, place=place, more=root)
        url += f"&from={quote('post@klinik.example')}" if name == "e-mail" else ""
        account = channel.account_at(url, key="typed", allowed=())
        with pytest.raises(ConnectionFailed) as caught:
            channel.connect(account)
        assert "private address" in caught.value.answer.text
