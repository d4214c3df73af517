"""How fast text messages go to a gateway: lists, one request each, and the raw client; prints the ratios.

Run it: ``python tests/benchmarks/bench_sms_gateways.py [messages]``. Figures belong to the machine, ratios carry over.
The gateway is a simulated SMSC in a process of its own; its answer takes a few milliseconds, as a way through the
network would. What needs no gateway's help (a list) is compared with what does without lists in the same run.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import quote

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import aiohttp

from clinic_dispatch_plugin.api import Accepted, Content, OutgoingMessage
from clinic_dispatch_plugin.testing.batches import ListBatch
from clinic_dispatch_sms.channel import SmsChannel
from clinic_dispatch_sms.settings import URL, load_accounts
from clinic_dispatch_sms.smsc.settings import MOST

ROUNDS = 3
LATENCY = 0.005
TEXT = "Guten Tag, Frau Müller {number}, wir erinnern Sie an Ihren Termin am 25.11. um 10:30 Uhr."
#: A list has to be worth so many single requests.
WORTH = 5.0
LISTS: Final = "channel, lists of 100"
SINGLY: Final = "channel, one request each"
RAW: Final = "aiohttp alone, lists of 100"
RAW_SINGLY: Final = "aiohttp alone, one request each"
CONNECTIONS = 4


def a_message(number: int) -> OutgoingMessage:
    """A personal text."""
    return OutgoingMessage(
        attempt_id=number,
        attempt_key=f"{number:026d}",
        message_key=f"{number:026d}",
        address=f"+77{number:09d}",
        content=Content(text=TEXT.format(number=number)),
    )


def by_the_channel(root: str, count: int, *, most: int) -> float:
    """Seconds for that many messages through the channel."""
    options = f"list={most}&connections={CONNECTIONS}&base_url={quote(root, safe='')}"
    channel = SmsChannel(load_accounts({URL: f"smsc://clinic:secret@smsc.kz/?{options}"}))
    batch = ListBatch(map(a_message, range(count)))
    with channel.open(channel.accounts()[0]) as sender:
        start = time.perf_counter()
        accepted = sum(isinstance(result, Accepted) for result in sender.send(batch))
        took = time.perf_counter() - start
    if accepted != count:
        raise SystemExit(f"only {accepted} of {count} were accepted")
    return took


def by_the_client(root: str, count: int, *, most: int) -> float:
    """Seconds for the same requests by the HTTP client alone, made ready before: its wire and nothing else."""
    login = {
        "login": "clinic",
        "psw": "secret",
        "fmt": "3",
        "charset": "utf-8",
        "op": "1",
        "cost": "2",
    }
    texts = [f"+77{number:09d}:{TEXT.format(number=number)}" for number in range(count)]
    forms = [
        {**login, "id": f"raw{start}", "list": "\n".join(texts[start : start + most])}
        for start in range(0, count, most)
    ]

    async def work() -> float:
        connector = aiohttp.TCPConnector(limit=CONNECTIONS)
        async with aiohttp.ClientSession(connector=connector) as session:

            async def one(form: dict[str, str]) -> None:
                async with session.post(f"{root}/sys/send.php", data=form) as response:
                    await response.read()

            start = time.perf_counter()
            await asyncio.gather(*map(one, forms))
            return time.perf_counter() - start

    return asyncio.run(work())


@contextmanager
def gateway() -> Iterator[str]:
    """A simulated SMSC in a process of its own."""
    command = [sys.executable, "-m", "clinic_dispatch_plugin.demo.cli", "simulate", "smsc"]
    options = ["--port", "0", "--latency", str(LATENCY), "--balance", "1e9"]
    with subprocess.Popen(
        [*command, *options], stdout=subprocess.PIPE, text=True, env={**os.environ}
    ) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split()[-1]
        finally:
            process.send_signal(signal.SIGTERM)


def main() -> int:
    """Measure and print."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000
    ways: dict[str, Callable[[str], float]] = {
        SINGLY: partial(by_the_channel, count=count, most=1),
        LISTS: partial(by_the_channel, count=count, most=MOST),
        RAW_SINGLY: partial(by_the_client, count=count, most=1),
        RAW: partial(by_the_client, count=count, most=MOST),
    }
    best = dict.fromkeys(ways, 0.0)
    with gateway() as root:
        for _ in range(ROUNDS):  # in turn, so that a busy moment of the machine meets them all
            for name, way in ways.items():
                best[name] = max(best[name], count / way(root))
    for name, rate in best.items():
        singly, raw = rate / best[SINGLY], rate / best[RAW if "lists" in name else RAW_SINGLY]
        print(f"smsc: {name:32} {rate:8,.0f}/s   {singly:5.1f} x one each   {raw:5.2f} x its wire")
    if best[LISTS] < WORTH * best[SINGLY]:
        print(f"smsc: lists are worth less than {WORTH:g} single requests each")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
