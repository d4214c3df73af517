"""Kannel for the tests: an SMS gateway that many have used for long, here as the client of a message centre."""

from __future__ import annotations

import contextlib
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from tests.servers.found import Found, Missing, look_for
from tests.servers.process import Running, answers, free_port, private_folder, start, unprivileged

PART = "Kannel"
PASSWORD = "canary"

_CONFIGURATION = """
group = core
admin-port = {admin}
admin-password = {password}
admin-interface = 127.0.0.1
smsbox-port = {inner}
smsbox-interface = 127.0.0.1
box-allow-ip = "127.0.0.1"
box-deny-ip = "*.*.*.*"
dlr-storage = internal
log-level = 1

group = smsc
smsc = smpp
smsc-id = centre
host = 127.0.0.1
port = {centre}
transceiver-mode = true
smsc-username = clinic
smsc-password = {password}
system-type = ""
enquire-link-interval = 1
reconnect-delay = 1
wait-ack = 30

group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = {outer}
sendsms-interface = 127.0.0.1
log-level = 1
http-request-retry = 0

group = sendsms-user
username = clinic
password = {password}
concatenation = true
max-messages = 5
"""


def find() -> Found | Missing:
    """Look for its two programs."""
    return look_for(PART, ["bearerbox", "smsbox"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Kannel:
    """A running gateway that is bound, or tries to be."""

    running: Running
    port: int

    def send(self, number: str, text: str, *, report_to: str) -> None:
        """Let it send a text, and call back with ``?status=`` for each report.

        1 says that it arrived, 2 that it did not, 8 that the centre took it, 16 that it refused it.
        """
        fields = {
            "username": "clinic",
            "password": PASSWORD,
            "from": "Klinik",
            "to": number,
            "text": text,
            "charset": "UTF-8",
            "coding": "0" if text.isascii() else "2",
            "dlr-mask": "31",
            "dlr-url": f"{report_to}/{number.removeprefix('+')}?status=%d&words=%A",
        }
        url = f"http://127.0.0.1:{self.port}/cgi-bin/sendsms?{urlencode(fields)}"
        with urllib.request.urlopen(url, timeout=20) as reply:
            assert reply.status == 202, reply.read()


@contextlib.contextmanager
def running(found: Found, *, centre: int) -> Iterator[Kannel]:
    """Start it as the client of the message centre on this port, and stop it afterwards."""
    user = unprivileged("kannel")
    admin, inner, outer = (free_port() for _ in range(3))
    with private_folder("kannel", owner=user) as folder:
        file = folder / "kannel.conf"
        file.write_text(
            _CONFIGURATION.format(
                admin=admin, inner=inner, outer=outer, centre=centre, password=PASSWORD
            )
        )
        file.chmod(0o644)
        boxes: list[Running] = []
        try:
            for name, port in (("bearerbox", inner), ("smsbox", outer)):
                place = Path(folder) / name
                place.mkdir(mode=0o755)
                box = start([found.program(name), str(file)], folder=place, user=user)
                boxes.append(box)
                box.wait_until(lambda port=port: answers(port))  # type: ignore[misc]
            yield Kannel(running=boxes[0], port=outer)
        finally:
            for box in reversed(boxes):
                box.stop()
