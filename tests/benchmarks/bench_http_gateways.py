"""How fast text messages go to Twilio, Infobip and Vonage: by lists, one a request, and by a bare HTTP client.

Run it: ``python tests/benchmarks/bench_http_gateways.py [messages]``. Figures belong to the machine, ratios carry over.
The gateways are our simulators, each in a process of its own that answers after 5 ms as one far away would.
"""

from __future__ import annotations

import asyncio
import base64
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from clinic_dispatch_plugin.api import Accepted
from clinic_dispatch_plugin.testing import ListBatch, make_message
from clinic_dispatch_sms.channel import SmsChannel
from clinic_dispatch_sms.settings import URL, load_accounts

TEXT = "Guten Tag, Frau Müller, wir erinnern Sie an Ihren Termin morgen um neun Uhr bei uns."
USER, PASSWORD = "ACclinic", "secret"
CONNECTIONS = 10
LATENCY = 0.005
ROUNDS = 3


def main(count: int) -> None:
    """Measure each gateway, the ways in turn, and print the best of each."""
    for name in ("twilio", "infobip", "vonage"):
        with simulated(name) as root:
            channel = partial(by_the_channel, name, root, count)
            ways: dict[str, Callable[[], float]] = {
                "one a request": partial(channel, list_of(name, 1)),
                "a bare client, one a request": partial(by_a_bare_client, name, root, count),
            }
            if name == "infobip":
                ways["lists of 100"] = partial(channel, list_of(name, 100))
            best = {way: min(work() for _ in range(ROUNDS)) for way, work in ways.items()}
        show(name, count, best)


def show(name: str, count: int, best: Mapping[str, float]) -> None:
    """One line a way, with its ratio to one message a request."""
    for way, took in best.items():
        ratio = best["one a request"] / took
        print(f"{name:8} {way:30} {count / took:8,.0f} messages/s   {ratio:5.1f} times")


def list_of(name: str, most: int) -> str:
    """The option for lists, where there are lists."""
    return f"&list={most}" if name == "infobip" else ""


@contextmanager
def simulated(name: str) -> Iterator[str]:
    """A simulator in a process of its own; gives its root."""
    command = [sys.executable, "-m", "clinic_dispatch_plugin.demo.cli", "simulate", name]
    options = ["--port", "0", "--user", USER, "--password", PASSWORD, "--latency", str(LATENCY)]
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        yield program.stdout.readline().rpartition(" ")[2].strip()
        program.terminate()


def by_the_channel(name: str, root: str, count: int, options: str) -> float:
    """Seconds for that many messages through the channel."""
    base = root.replace(":", "%3A").replace("/", "%2F")
    url = f"{name}://{USER}:{PASSWORD}@/?sender=Klinik&base_url={base}&connections={CONNECTIONS}"
    (account,) = load_accounts({URL: url + options})
    batch = ListBatch([make_message(f"+491511{number:07}", text=TEXT) for number in range(count)])
    with SmsChannel([account]).open(account) as sender:
        start = time.perf_counter()
        accepted = sum(isinstance(result, Accepted) for result in sender.send(batch))
        took = time.perf_counter() - start
    if accepted != count:
        raise SystemExit(f"only {accepted} of {count} were accepted")
    return took


def by_a_bare_client(name: str, root: str, count: int) -> float:
    """Seconds for aiohttp alone: as many connections, the same requests, and answers read but not understood."""
    return asyncio.run(_bare(name, root, count))


async def _bare(name: str, root: str, count: int) -> float:
    login = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    waiting = iter(range(count))
    connector = aiohttp.TCPConnector(limit=CONNECTIONS)
    headers = {"Authorization": f"Basic {login}"}

    async def work() -> None:
        for number in waiting:
            path, body = request_of(name, f"+491511{number:07}")
            async with session.post(root + path, **body) as answer:
                await answer.json()

    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
        start = time.perf_counter()
        await asyncio.gather(*(work() for _ in range(CONNECTIONS)))
        return time.perf_counter() - start


def request_of(name: str, number: str) -> tuple[str, dict[str, Any]]:
    """Path and body of one message."""
    if name == "twilio":
        path = f"/2010-04-01/Accounts/{USER}/Messages.json"
        return path, {"data": {"To": number, "From": "Klinik", "Body": TEXT}}
    number = number.removeprefix("+")
    if name == "vonage":
        return "/sms/json", {"data": {"to": number, "from": "Klinik", "text": TEXT}}
    message = {"sender": "Klinik", "destinations": [{"to": number}], "content": {"text": TEXT}}
    return "/sms/3/messages", {"json": {"messages": [message]}}


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
