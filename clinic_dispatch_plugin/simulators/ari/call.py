"""One call as Asterisk has it: a channel, the sound beside it, and what is told of both."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from clinic_dispatch_plugin.simulators.ari.settings import AsteriskSettings
from clinic_dispatch_plugin.simulators.sip.call import CallRecord
from clinic_dispatch_plugin.simulators.sip.phone import Phone
from clinic_dispatch_plugin.simulators.sip.plans import Plan, Way

_KEYS = {Way.KEY_1: "1", Way.KEY_2: "2", Way.KEY_2_INFO: "2", Way.MOVES: "2"}
_SAYS_NOTHING = (Way.SILENT, Way.RUBBISH, Way.CUT)
#: What Asterisk makes of a reply by SIP: cause and the dialling's word.
_CAUSES = {
    404: (1, "CHANUNAVAIL"), 408: (18, "NOANSWER"), 410: (22, "CHANUNAVAIL"),
    480: (19, "NOANSWER"), 486: (17, "BUSY"), 503: (34, "CONGESTION"), 600: (17, "BUSY"),
    603: (21, "BUSY"),
}  # fmt: skip
_TEXTS = {
    0: "Unknown", 1: "Unallocated (unassigned) number", 16: "Normal Clearing", 17: "User busy",
    19: "User alerting, no answer", 21: "Call Rejected", 34: "Circuit/channel congestion",
}  # fmt: skip


class AsteriskCall:
    """From originate to hang-up."""

    def __init__(
        self,
        channel: str,
        plan: Plan,
        settings: AsteriskSettings,
        *,
        number: str,
        sender: str,
        timeout: float,
        tell: Callable[[dict[str, Any]], None],
    ) -> None:
        """Begin nothing yet.

        :param tell: sends an event to the application.
        """
        self.record = CallRecord(number=number, call_id=channel, sender=sender)
        self.channel = channel
        self.there = True
        self._plan = plan
        self._settings = settings
        self._timeout = timeout
        self._tell = tell
        self._ended = asyncio.Event()
        self._sound = asyncio.Event()
        self._phone: Phone | None = None

    async def play(self) -> None:
        """Do what the plan says until the call is over."""
        way = self._plan.way
        if way in _SAYS_NOTHING:
            await self._ended.wait()
            return
        if self._plan.status:
            cause, word = _CAUSES.get(self._plan.status, (0, "CHANUNAVAIL"))
            self._dial(word)
            self.destroyed(self._plan.cause or cause)
            return
        self._dial("RINGING")
        if way in (Way.RINGS, Way.DEAF):
            await self._until(self._timeout)
            if self.there and way is Way.RINGS:
                self._dial("NOANSWER")
                self.destroyed(0)
            return
        late = self._settings.slow_seconds if way is Way.SLOW else 0.0
        await self._until(self._settings.ring_seconds + late)
        if self.there:
            await self._answer()

    async def _answer(self) -> None:
        self.record.answered = True
        self._dial("ANSWER")
        self._say("StasisStart", args=[])
        await self._sound.wait()
        if self._phone is None:
            return
        noise = asyncio.ensure_future(self._noise(self._phone))
        try:
            await self._behave()
            await self._ended.wait()
        finally:
            noise.cancel()
            await asyncio.gather(noise, return_exceptions=True)

    async def _noise(self, phone: Phone) -> None:
        machine = self._plan.way is Way.MACHINE
        await phone.greet(self._settings.greeting_seconds if machine else 0.4)
        await phone.be_quiet()

    async def _behave(self) -> None:
        way = self._plan.way
        if way is Way.HANGS_UP:
            await self._until(self._settings.hang_up_after)
            self.record.ended_by = "called"
            self._say("ChannelHangupRequest", cause=16)
            self._say("StasisEnd")
            self.destroyed(16)
        elif way in _KEYS:
            await self._until(self._settings.press_after)
            self._say("ChannelDtmfReceived", digit=_KEYS[way], duration_ms=100)

    # What is done to it

    def joined(self, phone: Phone) -> None:
        """Its sound goes there from now on."""
        self._phone = phone
        self._sound.set()

    def hung_up(self) -> None:
        """The application ended it; some are deaf to that."""
        if self._plan.way in (*_SAYS_NOTHING, Way.DEAF):
            return
        self.record.ended_by = self.record.ended_by or "caller"
        self.destroyed(16)

    def destroyed(self, cause: int) -> None:
        """It is over."""
        if not self.there:
            return
        self.there = False
        if self._phone is not None:
            self.record.heard, self.record.loud = (
                self._phone.packets * 0.02,
                self._phone.loud * 0.02,
            )
        self._say("ChannelDestroyed", cause=cause, cause_txt=_TEXTS.get(cause, "Unknown"))
        self._ended.set()
        self._sound.set()

    def _dial(self, word: str) -> None:
        self._tell(
            {"type": "Dial", "dialstatus": word, "dialstring": "", "peer": {"id": self.channel}}
        )

    def _say(self, kind: str, **fields: Any) -> None:
        self._tell({"type": kind, "channel": {"id": self.channel}, **fields})

    async def _until(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), seconds)
