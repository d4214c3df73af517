"""The three gateways in a process of their own: what they took is on the disk before they answer."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

from clinic_dispatch_plugin.simulators.gateways.server import HttpSimulator
from clinic_dispatch_plugin.simulators.gateways.settings import GatewaySettings
from clinic_dispatch_plugin.simulators.gateways.smsc import SmscGateway
from clinic_dispatch_plugin.simulators.smpp import CentreSettings, SmppSimulator
from clinic_dispatch_plugin.simulators.smtp import RelaySettings, SmtpSimulator
from tests.soak.people import ByPerson, PlansByPerson

#: The file of each channel's gateway.
LEDGERS = {"email": "relay.ledger", "sms": "centre.ledger", "viber": "gateway.ledger"}
#: What reports of the HTTP gateway are signed with.
CALLBACK_KEY = "soak-callbacks"
ROOT = Path(__file__).parents[2]


@contextlib.contextmanager
def running(folder: Path, callback_port: int) -> Iterator[dict[str, int]]:
    """Give the port of each channel's gateway."""
    command = [sys.executable, "-m", "tests.soak.gateways", str(folder), str(callback_port)]
    log = (folder / "gateways.log").open("wb")
    with (
        log,
        subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.stdin.close()


def main(folder: Path, callback_port: int) -> None:
    """Stay until standard input ends."""
    relay = RelaySettings(
        ledger=folder / LEDGERS["email"], ledger_fsync=True, latency=0.004, delay_before_reply=0.001
    )
    centre = CentreSettings(
        ledger=folder / LEDGERS["sms"], behaviour=ByPerson(), latency=0.008, receipt_again=2.0
    )
    gateway = GatewaySettings(
        ledger=folder / LEDGERS["viber"],
        plans=PlansByPerson(),
        latency=0.012,
        report_delay=0.3,
        # Nothing here is about money: no mailing is to be held for the want of it.
        balance=Decimal("1e9"),
        signature_secret=CALLBACK_KEY,
        callback_url=f"http://127.0.0.1:{callback_port}/dispatch/callbacks/viber/default?md5=1",
    )
    with (
        SmtpSimulator(relay) as smtp,
        SmppSimulator(centre) as smpp,
        HttpSimulator(SmscGateway, gateway) as smsc,
    ):
        print(json.dumps({"email": smtp.port, "sms": smpp.port, "viber": smsc.port}), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
