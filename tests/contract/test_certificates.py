"""Certificates that prove nothing, at every gateway: the account stops with its note, and nothing was handed over.

A clock that goes wrong, here or there, makes a good certificate one that is too old, or not valid yet.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from clinic_dispatch_email import clinic_dispatch_reference_packs as packs_of_email
from clinic_dispatch_plugin.api import Accepted, Account, AccountError, Channel
from clinic_dispatch_plugin.simulators.ari import AriSimulator, AsteriskSettings
from clinic_dispatch_plugin.simulators.gateways.kinds import KINDS
from clinic_dispatch_plugin.simulators.gateways.server import HttpSimulator
from clinic_dispatch_plugin.simulators.gateways.settings import GatewaySettings
from clinic_dispatch_plugin.simulators.sip import ExchangeSettings, SipSimulator
from clinic_dispatch_plugin.simulators.smpp import CentreSettings, SmppSimulator
from clinic_dispatch_plugin.simulators.smtp import RelaySettings, SmtpSimulator
from clinic_dispatch_plugin.testing import ListBatch, make_message
from clinic_dispatch_plugin.testing.judgement import explained
from clinic_dispatch_sms import clinic_dispatch_reference_packs as packs_of_sms
from clinic_dispatch_sms.channel import SmsChannel
from clinic_dispatch_sms.settings import URL, load_accounts
from clinic_dispatch_voice import clinic_dispatch_reference_packs as packs_of_voice
from clinic_dispatch_voice.channel import VoiceChannel
from tests.email import conftest as mail
from tests.email.conftest import make_certificate
from tests.smpp.making import channel_for
from tests.voice import exchange as calls

PACKS = [*packs_of_email(), *packs_of_sms(), *packs_of_voice()]
#: What is wrong: whom the certificate is for, its hours from now, whether it is among those we trust.
WRONG = {
    "self-signed": ("127.0.0.1", (-1, 1), False),
    "mismatch": ("127.0.0.9", (-1, 1), True),
    "expired": ("127.0.0.1", (-9, -8), True),
    "not yet valid": ("127.0.0.1", (8, 9), True),
}
#: The channel's one account at the gateway, told whom to trust; how many messages it took; an address of its.
At = Callable[[dict[str, str]], tuple[Channel, Account]]
Place = tuple[At, Callable[[], int], str]
NUMBER = "+4915112345678"


@contextmanager
def over_http(name: str, tls: ssl.SSLContext, folder: Path) -> Iterator[Place]:
    settings = GatewaySettings(user="ACclinic", password="secret", tls=tls)
    with HttpSimulator[Any](KINDS[name], settings) as simulator:

        def at(trust: dict[str, str]) -> tuple[Channel, Account]:
            base = quote(simulator.base_url, safe="")
            url = f"{name}://ACclinic:secret@gateway.example/?sender=Klinik&base_url={base}"
            (account,) = load_accounts({URL: url + _options(trust)})
            return SmsChannel([account]), account

        yield at, lambda: len(simulator.gateway.ledger.taken), NUMBER


@contextmanager
def over_smpp(name: str, tls: ssl.SSLContext, folder: Path) -> Iterator[Place]:
    with SmppSimulator(CentreSettings(tls=tls)) as centre:

        def at(trust: dict[str, str]) -> tuple[Channel, Account]:
            return channel_for(centre.url, "tls=on" + _options(trust))

        yield at, lambda: centre.counters.taken, NUMBER


@contextmanager
def over_sips(name: str, tls: ssl.SSLContext, folder: Path) -> Iterator[Place]:
    sound = calls.recording(folder, 0.06)
    with SipSimulator(ExchangeSettings(tls=tls, ring_seconds=0.0)) as simulator:

        def at(trust: dict[str, str]) -> tuple[Channel, Account]:
            account = calls.account_at(simulator, sound, keys="off", folder=str(folder), **trust)
            return VoiceChannel([account]), account

        yield at, lambda: len(simulator.calls), NUMBER


@contextmanager
def over_ari(name: str, tls: ssl.SSLContext, folder: Path) -> Iterator[Place]:
    sound = calls.recording(folder, 0.06)
    with AriSimulator(AsteriskSettings(tls=tls, ring_seconds=0.0)) as simulator:

        def at(trust: dict[str, str]) -> tuple[Channel, Account]:
            options = {"keys": "off", "folder": str(folder), **trust}
            account = calls.account_at_asterisk(simulator, sound, **options)
            return VoiceChannel([account]), account

        yield at, lambda: len(simulator.calls), NUMBER


@contextmanager
def over_smtp(name: str, tls: ssl.SSLContext, folder: Path) -> Iterator[Place]:
    settings = RelaySettings(tls=tls, implicit_tls=name == "smtps")
    with SmtpSimulator(settings) as relay:

        def at(trust: dict[str, str]) -> tuple[Channel, Account]:
            channel = mail.channel_for(f"{relay.url}?timeout=5{_options(trust)}")
            return channel, channel.accounts()[0]

        yield at, lambda: relay.counters.accepted, "anna@patient.example"


def _options(trust: dict[str, str]) -> str:
    return "".join(f"&{name}={value}" for name, value in trust.items())


PLACES = {
    **dict.fromkeys(("smsc", "twilio", "infobip", "vonage"), over_http),
    "smpp": over_smpp,
    "sips": over_sips,
    "ari": over_ari,
    **dict.fromkeys(("smtps", "smtp+starttls"), over_smtp),
}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("certificates")
    made = {
        why: make_certificate(folder / f"{number}.pem", address=address, valid=valid)
        for number, (why, (address, valid, _)) in enumerate(WRONG.items())
    }
    return {**made, "": make_certificate(folder / "good.pem", address="127.0.0.1")}


@pytest.mark.parametrize("name", PLACES)
def test_what_a_certificate_does_not_prove_stops_the_account(
    name: str, certificates: dict[str, Path], tmp_path: Path
) -> None:
    # What it shows is changed between two connections: one gateway does for all.
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificates[""])
    with PLACES[name](name, tls, tmp_path) as (at, taken, address):
        for why, (_, _, trusted) in WRONG.items():
            tls.load_cert_chain(certificates[why])
            channel, account = at({"ca_file": str(certificates[why])} if trusted else {})
            with pytest.raises(AccountError) as sending:
                sent(channel, account, address)
            with pytest.raises(AccountError) as trying:
                channel.connect(account)
            for answer in (sending.value.answer, trying.value.answer):
                assert (answer.system, answer.code) == ("dispatch", "tls_failed")
                assert why in answer.text
                entry = explained(answer, PACKS).entry
                assert entry is not None and "Uhr" in entry.text("what_happened", "de")
        assert taken() == 0
        tls.load_cert_chain(certificates[""])
        channel, account = at({"ca_file": str(certificates[""])})
        channel.connect(account)
        assert [type(result) for result in sent(channel, account, address)] == [Accepted]
        assert taken() == 1


def sent(channel: Channel, account: Account, address: str) -> list[Any]:
    with channel.open(account) as sender:
        return list(sender.send(ListBatch([make_message(address)])))
