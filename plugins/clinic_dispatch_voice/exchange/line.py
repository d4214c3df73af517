"""An answered call, however it came about: sound goes out in time, keys and the far end's voice come in."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from clinic_dispatch_voice.exchange.audio import FRAME_SECONDS, Law, frames, loudness, silence
from clinic_dispatch_voice.exchange.listening import Greeting


class Line:
    """Used on one event loop; whoever has the connection feeds it."""

    def __init__(self, send: Callable[[bytes], None], law: Law) -> None:
        """Be open.

        :param send: takes a frame of 20 ms each time.
        """
        self.law = law
        self.greeting = Greeting()
        #: The far end hung up, or the connection is gone.
        self.over = False
        #: Why it ended, where the exchange said so.
        self.why = ""
        self._send = send
        self._keys: deque[str] = deque()
        self._changed = asyncio.Event()

    # What comes

    def pressed(self, key: str) -> None:
        """A key was pressed."""
        self._keys.append(key)
        self._changed.set()

    def hung_up(self, why: str = "") -> None:
        """The call has ended."""
        self.over, self.why = True, self.why or why
        self._changed.set()

    def heard(self, frame: bytes) -> None:
        """Sound of the far end."""
        self.greeting.hear(loudness(frame, self.law))

    # What is done with it

    def take_key(self) -> str:
        """The key that was pressed longest ago; empty: none."""
        return self._keys.popleft() if self._keys else ""

    @property
    def disturbed(self) -> bool:
        """Whether there is something to see to before more is said."""
        return self.over or bool(self._keys)

    async def say(self, octets: bytes) -> float:
        """Play this until it ends or somebody presses a key or hangs up; returns the seconds that were played."""
        loop = asyncio.get_running_loop()
        start, played = loop.time(), 0
        for frame in frames(octets, self.law):
            if self.disturbed:
                break
            self._send(frame)
            played += 1
            await self._rest(start + played * FRAME_SECONDS - loop.time())
        return played * FRAME_SECONDS

    async def be_quiet(self, seconds: float) -> None:
        """Say nothing for so long, unless something happens: exchanges end calls that carry no sound at all."""
        await self.say(silence(seconds, self.law))

    async def _rest(self, seconds: float) -> None:
        """Wait, or see at once that something happened."""
        self._changed.clear()
        if self.disturbed or seconds <= 0:
            return
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            pass
