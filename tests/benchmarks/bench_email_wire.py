"""How fast the e-mail channel hands over to a relay, beside smtplib on a kept connection; prints the ratio.

Run it: ``python tests/benchmarks/bench_email_wire.py [messages]``. Figures belong to the machine, ratios carry over.
Needs Postfix's ``smtp-sink``. Both sides make each message anew, send the same texts, and wait for every answer.
"""

from __future__ import annotations

import smtplib
import sys
import time
from collections.abc import Callable
from email.message import EmailMessage
from email.utils import formatdate
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from clinic_dispatch_email.channel import EmailChannel
from clinic_dispatch_email.settings import FROM, URL, load_settings
from clinic_dispatch_plugin.api import Accepted, Content, OutgoingMessage
from clinic_dispatch_plugin.testing.batches import ListBatch
from tests.servers import smtp_sink
from tests.servers.found import Missing

SENDER = "Klinik am Park <post@klinik.example>"
TEXT = "Guten Tag, Frau Müller,\n\n" + "wir erinnern Sie an Ihren Termin bei uns.\n" * 20
PAGE = "<p>Guten Tag, Frau Müller,</p>\n" + "<p>wir erinnern Sie an Ihren Termin.</p>\n" * 20
ROUNDS = 3


def a_message(number: int) -> OutgoingMessage:
    """A personal mail of about 2 KB."""
    content = Content(text=f"{number}\n{TEXT}", subject=f"Termin {number}", html=PAGE)
    return OutgoingMessage(
        attempt_id=number,
        attempt_key=f"{number:026d}",
        message_key=f"{number:026d}",
        address=f"p{number}@patient.example",
        name="Erika Müller",
        content=content,
    )


def by_the_channel(port: int, count: int, *, options: str = "") -> float:
    """Seconds for that many messages through the channel."""
    url = f"smtp://127.0.0.1:{port}?{options}"
    channel = EmailChannel(load_settings({URL: url, FROM: SENDER}))
    batch = ListBatch(map(a_message, range(count)))
    with channel.open(channel.accounts()[0]) as sender:
        start = time.perf_counter()
        accepted = sum(isinstance(result, Accepted) for result in sender.send(batch))
        took = time.perf_counter() - start
    if accepted != count:
        raise SystemExit(f"only {accepted} of {count} were accepted")
    return took


def by_smtplib(port: int, count: int) -> float:
    """Seconds for that many messages through smtplib, one connection kept."""
    waiting = list(map(a_message, range(count)))
    with smtplib.SMTP("127.0.0.1", port) as client:
        start = time.perf_counter()
        for each in waiting:
            mail = EmailMessage()
            mail["From"], mail["To"] = SENDER, f"{each.name} <{each.address}>"
            mail["Subject"], mail["Date"] = each.content.subject, formatdate(localtime=True)
            mail["Message-ID"] = f"<{each.message_key}@klinik.example>"
            mail.set_content(each.content.text)
            mail.add_alternative(each.content.html, subtype="html")
            client.send_message(mail)
        return time.perf_counter() - start


def by_smtplib_ready_made(port: int, count: int) -> float:
    """Seconds for smtplib when the bytes of every message are there already: its wire alone."""
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = SENDER, "p@patient.example", "Termin"
    mail.set_content(TEXT)
    mail.add_alternative(PAGE, subtype="html")
    data = mail.as_bytes()
    with smtplib.SMTP("127.0.0.1", port) as client:
        start = time.perf_counter()
        for number in range(count):
            client.sendmail("post@klinik.example", [f"p{number}@patient.example"], data)
        return time.perf_counter() - start


def main() -> int:
    """Measure and print."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 5_000
    found = smtp_sink.find()
    if isinstance(found, Missing):
        print(f"left out: {found}")
        return 0
    ways: dict[str, Callable[[int], float]] = {
        "smtplib, connection kept": partial(by_smtplib, count=count),
        "smtplib, messages ready-made": partial(by_smtplib_ready_made, count=count),
        "channel": partial(by_the_channel, count=count),
        "channel, one connection": partial(by_the_channel, count=count, options="connections=1"),
        "channel, no pipelining": partial(by_the_channel, count=count, options="pipelining=off"),
    }
    best = dict.fromkeys(ways, 0.0)
    with smtp_sink.running(found, keep=False) as sink:
        for _ in range(ROUNDS):  # in turn, so that a busy moment of the machine meets them all
            for name, way in ways.items():
                best[name] = max(best[name], count / way(sink.port))
    plain, ready = best["smtplib, connection kept"], best["smtplib, messages ready-made"]
    for name, rate in best.items():
        ratios = f"{rate / plain:5.1f} x smtplib   {rate / ready:5.1f} x its wire"
        print(f"{name:32} {rate:8,.0f}/s   {ratios}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
