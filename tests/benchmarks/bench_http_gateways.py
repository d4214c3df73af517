"""How fast messages go to Twilio, Vonage and Infobip: in lists where there are lists, one request each, and by aiohttp.

Run it: ``python tests/benchmarks/bench_http_gateways.py``. Figures belong to the machine, ratios carry over.
"""

from __future__ import annotations

import base64
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from clinic_dispatch_sms import settings as sms
from clinic_dispatch_sms.channel import SmsChannel
from clinic_dispatch_sms.infobip.settings import MOST
from clinic_dispatch_viber import settings as viber
from clinic_dispatch_viber.channel import ViberChannel
from clinic_dispatch_voice import settings as voice
from clinic_dispatch_voice.channel import VoiceChannel
from tests.benchmarks.figures import Findings, sized
from tests.benchmarks.wires import PASSWORD, TEXT, USER, Wire, measure

LOGIN = {"Authorization": "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()}
ACCOUNT = f"/2010-04-01/Accounts/{USER}"
NUMBER = "+493012345678"


def main() -> int:
    """Measure and print."""
    with Findings(__file__, "Twilio, Vonage, Infobip: lists and single requests") as findings:
        for wire in WIRES:
            measure(findings, wire, single=sized(500), listed=sized(4_000))
    return 0


def twilio_text(several: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """One text."""
    data = {"To": several[0], "From": "Klinik", "Body": TEXT}
    return f"{ACCOUNT}/Messages.json", {"data": data}


def twilio_call(several: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """One call."""
    script = f"<Response><Say>{TEXT}</Say></Response>"
    return f"{ACCOUNT}/Calls.json", {"data": {"To": several[0], "From": NUMBER, "Twiml": script}}


def vonage_text(several: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """One text."""
    return "/sms/json", {"data": {"to": several[0].lstrip("+"), "from": "Klinik", "text": TEXT}}


def infobip_texts(several: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """A list of texts, each with words of its own as ours have."""
    return "/sms/3/messages", {"json": {"messages": [_of_infobip(each) for each in several]}}


def infobip_vibers(several: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """A list of Viber messages."""
    messages = [
        {**_of_infobip(each), "content": {"type": "TEXT", "text": TEXT}} for each in several
    ]
    return "/viber/2/messages", {"json": {"messages": messages}}


def _of_infobip(number: str) -> dict[str, Any]:
    to = [{"to": number.removeprefix("+")}]
    return {"sender": "Klinik", "destinations": to, "content": {"text": TEXT}}


SMS: dict[str, Any] = {
    "variable": sms.URL,
    "load": sms.load_accounts,
    "channel": SmsChannel,
    "headers": LOGIN,
}
WIRES = (
    Wire(name="twilio, texts", gateway="twilio", request=twilio_text, **SMS),
    Wire(
        name="twilio, calls",
        gateway="twilio",
        variable=voice.URL,
        load=voice.load_accounts,
        channel=VoiceChannel,
        request=twilio_call,
        sender=NUMBER,
        headers=LOGIN,
    ),
    Wire(name="vonage, texts", gateway="vonage", request=vonage_text, **SMS),
    Wire(name="infobip, texts", gateway="infobip", request=infobip_texts, most=MOST, **SMS),
    Wire(
        name="infobip, Viber",
        gateway="infobip",
        variable=viber.URL,
        load=viber.load_accounts,
        channel=ViberChannel,
        request=infobip_vibers,
        most=MOST,
        headers=LOGIN,
    ),
)


if __name__ == "__main__":
    sys.exit(main())
