"""How fast texts, calls and Viber messages go to SMSC: in lists, one request each, and by aiohttp alone.

Run it: ``python tests/benchmarks/bench_sms_gateways.py``. Figures belong to the machine, ratios carry over.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from clinic_dispatch_sms import settings as sms
from clinic_dispatch_sms.channel import SmsChannel
from clinic_dispatch_sms.smsc.settings import MOST
from clinic_dispatch_viber import settings as viber
from clinic_dispatch_viber.channel import ViberChannel
from clinic_dispatch_voice import settings as voice
from clinic_dispatch_voice.channel import VoiceChannel
from tests.benchmarks.figures import Findings, sized
from tests.benchmarks.wires import PASSWORD, TEXT, USER, Wire, measure

_ids = itertools.count()


def main() -> int:
    """Measure and print."""
    with Findings(__file__, "SMSC: lists of texts, of calls, of Viber messages") as findings:
        for wire in WIRES:
            measure(findings, wire, single=sized(500), listed=sized(4_000))
    return 0


def asking(**kind: str) -> Callable[[Sequence[str]], tuple[str, dict[str, Any]]]:
    """A request of that kind, as the gateway's description has it."""
    same: Mapping[str, str] = {
        "login": USER,
        "psw": PASSWORD,
        "fmt": "3",
        "charset": "utf-8",
        "op": "1",
        "cost": "2",
        **kind,
    }

    def request(several: Sequence[str]) -> tuple[str, dict[str, Any]]:
        listed = "\n".join(f"{number}:{TEXT}" for number in several)
        return "/sys/send.php", {"data": {**same, "id": f"raw{next(_ids)}", "list": listed}}

    return request


WIRES = (
    Wire(
        name="smsc, texts",
        gateway="smsc",
        variable=sms.URL,
        load=sms.load_accounts,
        channel=SmsChannel,
        request=asking(),
        most=MOST,
    ),
    Wire(
        name="smsc, calls",
        gateway="smsc",
        variable=voice.URL,
        load=voice.load_accounts,
        channel=VoiceChannel,
        request=asking(call="1", voice="w,de", param="30,20,1"),
        sender="77001234567",
        most=MOST,
    ),
    Wire(
        name="smsc, Viber",
        gateway="smsc",
        variable=viber.URL,
        load=viber.load_accounts,
        channel=ViberChannel,
        request=asking(viber="1", valid="2"),
        most=MOST,
    ),
)


if __name__ == "__main__":
    sys.exit(main())
