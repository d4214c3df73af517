"""Wires to the gateways that can be cut, stalled, filled with rubbish, or go nowhere."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Coroutine, Iterator
from typing import Any


class Wire:
    """One port before one gateway."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        #: Bytes wait until this is set.
        self._flows = asyncio.Event()
        self._flows.set()
        #: Bytes are thrown away.
        self._black = False
        self._writers: set[asyncio.StreamWriter] = set()
        #: Those that lead back to the client.
        self._back: set[asyncio.StreamWriter] = set()

    async def open(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Listen no more, and end every connection."""
        self._server.close()
        await self.cut()

    async def cut(self) -> None:
        """End every connection at once."""
        for writer in list(self._writers):
            writer.transport.abort()

    async def stall(self, seconds: float) -> None:
        """Nothing moves for a while."""
        self._flows.clear()
        await asyncio.sleep(seconds)
        self._flows.set()

    async def rubbish(self) -> None:
        """Bytes nobody understands, in the middle of the answers."""
        for writer in list(self._back):
            with contextlib.suppress(OSError, RuntimeError):
                writer.write(b"\xff\x00" + os.urandom(30) + b"\r\n")

    async def swallow(self, seconds: float) -> None:
        """Half open: bytes go nowhere, and only after a while somebody is told."""
        self._black = True
        await asyncio.sleep(seconds)
        self._black = False
        await self.cut()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, onward = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        both = {writer, onward}
        self._writers |= both
        self._back.add(writer)
        tasks = [
            asyncio.create_task(self._pass_on(reader, onward)),
            asyncio.create_task(self._pass_on(there, writer)),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.sleep(0.05)
        finally:
            for task in tasks:
                task.cancel()
            for each in both:
                with contextlib.suppress(OSError, RuntimeError):
                    each.close()
            self._writers -= both
            self._back.discard(writer)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while data := await reader.read(65536):
                await self._flows.wait()
                if not self._black:
                    writer.write(data)
                    await writer.drain()


class Wires:
    """All of them, on a loop of their own."""

    def __init__(self, loop: asyncio.AbstractEventLoop, wires: dict[str, Wire]) -> None:
        self._loop = loop
        self._wires = wires

    @property
    def ports(self) -> dict[str, int]:
        """Where each channel's wire begins."""
        return {name: wire.port for name, wire in self._wires.items()}

    def cut(self, name: str) -> None:
        """End every connection of a channel."""
        self._do(self._wires[name].cut())

    def stall(self, name: str, seconds: float) -> None:
        """Nothing moves for a while."""
        self._do(self._wires[name].stall(seconds))

    def rubbish(self, name: str) -> None:
        """Rubbish among the answers."""
        self._do(self._wires[name].rubbish())

    def swallow(self, name: str, seconds: float) -> None:
        """Half open for a while, then cut."""
        self._do(self._wires[name].swallow(seconds))

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop)


@contextlib.contextmanager
def laid(targets: dict[str, int]) -> Iterator[Wires]:
    """Lay a wire to each port."""
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda *_: None)  # a wire that was cut says much
    thread = threading.Thread(target=loop.run_forever, daemon=True, name="wires")
    thread.start()

    async def lay() -> dict[str, Wire]:
        wires = {name: Wire(target) for name, target in targets.items()}
        for wire in wires.values():
            await wire.open()
        return wires

    async def take_up(wires: dict[str, Wire]) -> None:
        for wire in wires.values():
            await wire.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    wires: dict[str, Wire] = {}
    try:
        wires = asyncio.run_coroutine_threadsafe(lay(), loop).result(10)
        yield Wires(loop, wires)
    finally:
        asyncio.run_coroutine_threadsafe(take_up(wires), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
