"""Gateways over HTTP, each in a process of its own: our channel in lists or one by one, and aiohttp alone."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import quote

import aiohttp

from clinic_dispatch_plugin.api import Accepted, Account, Channel
from clinic_dispatch_plugin.testing import ListBatch, make_message
from tests.benchmarks.figures import Findings

TEXT = "Guten Tag, Frau Müller, wir erinnern Sie an Ihren Termin morgen um neun Uhr bei uns."
USER, PASSWORD = "ACclinic", "secret"
CONNECTIONS = 4
#: Seconds to an answer, as to a gateway far away.
LATENCY = 0.005
ROUNDS = 3
#: A list has to be worth so many single requests.
WORTH = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """One channel through one gateway."""

    name: str
    #: The simulator's name, and the scheme of the URL.
    gateway: str
    #: The variable that holds the URL, how accounts are read from it, and who sends through them.
    variable: str
    load: Callable[[Mapping[str, Any]], Sequence[Account]]
    channel: Callable[[Sequence[Account]], Channel]
    #: The path and what aiohttp posts there for these numbers.
    request: Callable[[Sequence[str]], tuple[str, dict[str, Any]]]
    sender: str = "Klinik"
    #: Messages in one request; 1: there are no lists.
    most: int = 1
    headers: Mapping[str, str] = field(default_factory=dict)


def measure(findings: Findings, wire: Wire, *, single: int, listed: int) -> None:
    """Measure all ways in turn, so that a busy moment of the machine meets them all, and tell the best of each.

    :param single: messages where each is a request.
    :param listed: messages where lists go.
    """
    with simulated(wire.gateway) as root:
        ways: dict[str, Callable[[], float]] = {
            "one": partial(by_the_channel, wire, root, single, most=1),
            "bare": partial(by_aiohttp, wire, root, single, most=1),
        }
        if wire.most > 1:
            ways["lists"] = partial(by_the_channel, wire, root, listed, most=wire.most)
            ways["bare lists"] = partial(by_aiohttp, wire, root, listed, most=wire.most)
        best = dict.fromkeys(ways, 0.0)
        for _ in range(ROUNDS):
            for name, way in ways.items():
                best[name] = max(best[name], way())
    _told(findings, wire, best)


def _told(findings: Findings, wire: Wire, best: Mapping[str, float]) -> None:
    name = wire.name
    findings.tell(f"{name}: one request a message", best["one"], "msg/s")
    findings.tell(f"{name}: one request a message / aiohttp alone", best["one"] / best["bare"], "×")
    if wire.most == 1:
        return
    lists = f"{name}: lists of {wire.most}"
    findings.tell(lists, best["lists"], "msg/s")
    findings.tell(f"{lists} / one request a message", best["lists"] / best["one"], "×", least=WORTH)
    findings.tell(f"{lists} / aiohttp alone", best["lists"] / best["bare lists"], "×")


@contextmanager
def simulated(gateway: str) -> Iterator[str]:
    """A simulator in a process of its own; gives its root."""
    command = [sys.executable, "-m", "clinic_dispatch_plugin.demo.cli", "simulate", gateway]
    options = ["--port", "0", "--user", USER, "--password", PASSWORD]
    options += ["--latency", str(LATENCY), "--balance", "1e9"]
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True) as program:
        try:
            assert program.stdout is not None
            yield program.stdout.readline().split()[-1]
        finally:
            program.terminate()


def numbers(count: int) -> list[str]:
    """Mobile numbers, each once."""
    return [f"+491511{number:07}" for number in range(count)]


def by_the_channel(wire: Wire, root: str, count: int, *, most: int) -> float:
    """Messages a second through the channel.

    :raises SystemExit: not all were accepted: the figure would say nothing.
    """
    options = f"sender={quote(wire.sender, safe='')}&connections={CONNECTIONS}"
    options += f"&list={most}" if wire.most > 1 else ""
    login = f"{USER}:{PASSWORD}@gateway.example"
    url = f"{wire.gateway}://{login}/?base_url={quote(root, safe='')}&{options}"
    (account,) = wire.load({wire.variable: url})
    batch = ListBatch([make_message(number, text=TEXT) for number in numbers(count)])
    with wire.channel([account]).open(account) as sender:
        start = time.perf_counter()
        accepted = sum(isinstance(result, Accepted) for result in sender.send(batch))
        took = time.perf_counter() - start
    if accepted != count:
        raise SystemExit(f"{wire.name}: only {accepted} of {count} were accepted")
    return count / took


def by_aiohttp(wire: Wire, root: str, count: int, *, most: int) -> float:
    """Messages a second by the HTTP client alone: as many connections, the same requests, answers read and no more."""
    several = numbers(count)
    groups = [several[at : at + most] for at in range(0, count, most)]
    return count / asyncio.run(_posted(wire, root, groups))


async def _posted(wire: Wire, root: str, groups: Sequence[Sequence[str]]) -> float:
    waiting = iter(groups)
    connector = aiohttp.TCPConnector(limit=CONNECTIONS)

    async def work() -> None:
        for group in waiting:
            path, body = wire.request(group)
            async with session.post(root + path, **body) as answer:
                answer.raise_for_status()
                await answer.read()

    async with aiohttp.ClientSession(connector=connector, headers=wire.headers) as session:
        start = time.perf_counter()
        await asyncio.gather(*(work() for _ in range(CONNECTIONS)))
        return time.perf_counter() - start
