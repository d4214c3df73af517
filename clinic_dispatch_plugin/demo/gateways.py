"""The gateways of this machine for Viber, texts and calls: each patient's number decides what they do with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import quote

from clinic_dispatch_plugin.demo.numbers import SMS, VIBER, VOICE
from clinic_dispatch_plugin.demo.ways import gateway_plans
from clinic_dispatch_plugin.simulators.gateways.kinds import KINDS
from clinic_dispatch_plugin.simulators.gateways.plans import Plans
from clinic_dispatch_plugin.simulators.gateways.server import HttpSimulator
from clinic_dispatch_plugin.simulators.gateways.settings import GatewaySettings

#: By channel: whose interface it is, what a message costs, and the URL that an account there has.
_GATEWAYS = {
    VIBER: (
        "infobip",
        "infobip://demo:demo@api.infobip.com/?sender=Klinik&list=1&callback_url={calls}",
    ),
    SMS: ("smsc", "smsc://demo:demo@smsc.ru/?sender=Klinik&currency=EUR&callback_key=demo"),
    VOICE: ("twilio", "twilio://demo:demo@/?sender=%2B493023125100&callback_url={calls}"),
}


def variable(channel: str) -> str:
    """The setting with a channel's accounts."""
    return f"CLINIC_DISPATCH_{channel.upper()}_URL"


NAMES = tuple(variable(channel) for channel in _GATEWAYS)


@contextmanager
def gateways(data_dir: Path, url: str) -> Iterator[Mapping[str, str]]:
    """Run them on threads of this process; gives the settings by which they are reached.

    :param url: where they call back: the clinic's own address.
    """
    with ExitStack() as stack:
        settings = {}
        for channel, (kind, account) in _GATEWAYS.items():
            calls = f"{url}/dispatch/callbacks/{channel}/default"
            gateway = stack.enter_context(
                HttpSimulator(KINDS[kind], _settings(channel, data_dir, calls))
            )
            base = quote(gateway.base_url, safe="")
            place = account.format(calls=quote(calls, safe=""))
            settings[variable(channel)] = f"{place}&base_url={base}"
        yield settings


def _settings(channel: str, data_dir: Path, calls: str) -> GatewaySettings:
    return GatewaySettings(
        user="demo",
        password="demo",
        signature_secret="demo",
        callback_url=f"{calls}?md5=1" if channel == SMS else "",
        plans=Plans(gateway_plans(channel)),
        ledger=data_dir / f"{channel}-ledger.jsonl",
        ledger_fsync=False,
        report_delay=0.3,
    )
