"""One call through Asterisk: it rings and answers, and the sound comes and goes by RTP of our own."""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from typing import Any

from clinic_dispatch_plugin.api import (
    AccountError,
    Answer,
    ChannelError,
    ConnectionFailed,
    OutgoingMessage,
    UncertainError,
)
from clinic_dispatch_voice.ari.asterisk import AnswerLostError, Asterisk, Event, RefusedError
from clinic_dispatch_voice.ari.settings import AriSettings
from clinic_dispatch_voice.exchange.audio import Law
from clinic_dispatch_voice.exchange.conversation import Script, Talk, talk
from clinic_dispatch_voice.exchange.line import Line
from clinic_dispatch_voice.exchange.outcome import NotTakenError
from clinic_dispatch_voice.exchange.rtp import Rtp, open_rtp

ASTERISK, NETWORK = "asterisk", "q850"
_FORMATS = {Law.A: "alaw", Law.MU: "ulaw"}
#: Words of a call that still goes on, or was answered.
_NO_END = ("", "RINGING", "PROGRESS", "PROCEEDING", "ANSWER")
#: Causes that say no more than that it ended; then Asterisk's own word is better.
_VAGUE = (0, 16, 31, 127)
_OVER = ("ChannelHangupRequest", "ChannelDestroyed", "StasisEnd")
#: Seconds for the end of a call that we ended.
_GOODBYE = 2.0


class AriCaller:
    """Calls through one Asterisk, over one connection for its events."""

    def __init__(self, settings: AriSettings) -> None:
        self._settings = settings
        self._asterisk: Asterisk | None = None

    async def call(self, message: OutgoingMessage, script: Script) -> Talk:
        """Ring, speak, hang up.

        :raises NotTakenError: nobody picked up.
        :raises UncertainError: it may have rung.
        :raises AccountError: the account is at fault.
        :raises ConnectionFailed: Asterisk cannot be reached.
        """
        asterisk = self._known()
        channel = message.attempt_key
        events = await asterisk.listen(channel)
        call = _Call(asterisk, self._settings, channel, events)
        try:
            await call.ring(self._settings.target(message.address))
            return await call.speak(script)
        finally:
            await call.clean_up()
            asterisk.forget(channel)

    async def sign_in(self) -> None:
        """Ask whether Asterisk is there and knows us.

        :raises AccountError: it does not know us, or cannot be trusted.
        :raises ConnectionFailed: it cannot be reached.
        """
        try:
            await self._known().ask("GET", "/asterisk/info", only="system")
        except (RefusedError, AnswerLostError) as error:
            text = f"{self._settings.label}: {error}"
            answer = Answer(system="dispatch", code="connect_failed", text=text)
            raise ConnectionFailed(answer) from None

    async def close(self) -> None:
        """End the connection."""
        if self._asterisk is not None:
            await self._asterisk.close()

    def _known(self) -> Asterisk:
        if self._asterisk is None:
            self._asterisk = Asterisk(self._settings)
        return self._asterisk


class _Call:
    """What is going on in one call; its channel has the id we gave it, so that nothing is called twice."""

    def __init__(
        self,
        asterisk: Asterisk,
        settings: AriSettings,
        channel: str,
        events: asyncio.Queue[Event | None],
    ) -> None:
        self._asterisk = asterisk
        self._settings = settings
        self._channel = channel
        self._sound, self._bridge = f"{channel}-sound", f"{channel}-call"
        self._events = events
        self._rtp: Rtp | None = None
        self._dialled = ""
        self._there = False

    async def ring(self, endpoint: str) -> None:
        settings = self._settings
        self._there = True
        try:
            await self._asterisk.ask(
                "POST",
                "/channels",
                endpoint=endpoint,
                app=settings.app,
                channelId=self._channel,
                timeout=str(math.ceil(settings.ring)),
                callerId=settings.sender,
                formats=",".join(_FORMATS[law] for law in settings.laws),
            )
        except (AccountError, ConnectionFailed):
            self._there = False
            raise
        except RefusedError as error:
            if error.status == 409:  # the channel exists: this very call was begun before
                answer = Answer(system="dispatch", code="connection_lost", text=error.text)
                raise UncertainError(answer) from None
            self._there = False
            raise _refused(error) from None
        except AnswerLostError:
            pass  # the events tell what became of it
        await self._picked_up()

    async def _picked_up(self) -> None:
        loop = asyncio.get_running_loop()
        began, patience = loop.time(), self._settings.timeout
        until = began + patience  # Asterisk tells of a new channel at once
        while (event := await self._next(until - loop.time())) is not None:
            until = began + self._settings.ring + patience
            if event.get("type") == "StasisStart":
                return
            if (ended := self._ended(event)) is not None:
                raise NotTakenError(ended)
        # Nothing is heard: let nobody's phone ring on, and hear whether that was understood.
        with suppress(RefusedError, AnswerLostError, ChannelError):
            await self._asterisk.ask("DELETE", f"/channels/{self._channel}")
            until = loop.time() + min(_GOODBYE, self._settings.timeout)
            while (event := await self._next(until - loop.time())) is not None:
                if self._ended(event) is not None:
                    text = f"nobody answered within {self._settings.ring:g} s"
                    raise NotTakenError(
                        Answer(system=ASTERISK, code="DIALSTATUS:NOANSWER", text=text)
                    )
        answer = Answer(system="dispatch", code="timeout", text="nothing was heard of the call")
        raise UncertainError(answer)

    def _ended(self, event: Event) -> Answer | None:
        """Why nobody picked up; None: it goes on."""
        if event.get("type") == "Dial":
            self._dialled = str(event.get("dialstatus", ""))
        if event.get("type") != "ChannelDestroyed":
            return None
        self._there = False
        cause, text = event.get("cause", 0), str(event.get("cause_txt", ""))
        if isinstance(cause, int) and cause not in _VAGUE:
            return Answer(system=NETWORK, code=str(cause), text=text)
        if self._dialled not in _NO_END:
            return Answer(system=ASTERISK, code=f"DIALSTATUS:{self._dialled}", text=text)
        code = "AST_CAUSE:0" if not cause else str(cause)
        return Answer(system=NETWORK if cause else ASTERISK, code=code, text=text)

    async def speak(self, script: Script) -> Talk:
        settings = self._settings
        try:
            line = await self._connected()
        except (RefusedError, AnswerLostError, OSError) as error:
            refused = error if isinstance(error, RefusedError) else RefusedError(500, str(error))
            raise _refused(refused) from None
        hearing = asyncio.ensure_future(self._hear(line))
        try:
            return await talk(line, script, repeat=settings.repeat, machine=settings.machine)
        finally:
            hearing.cancel()
            await asyncio.gather(hearing, return_exceptions=True)

    async def _connected(self) -> Line:
        """Bring our sound and the called one's together (external media, Asterisk 16.6)."""
        settings, ask = self._settings, self._asterisk.ask
        host, law = settings.rtp_host or self._asterisk.local, settings.laws[0]
        self._rtp = await open_rtp(self._asterisk.local, settings.rtp_ports)
        made = await ask(
            "POST",
            "/channels/externalMedia",
            app=settings.app,
            channelId=self._sound,
            external_host=f"{host}:{self._rtp.port}",
            format=_FORMATS[law],
        )
        remote = await self._place_of(made)
        await ask("POST", "/bridges", type="mixing", bridgeId=self._bridge)
        both = f"{self._channel},{self._sound}"
        await ask("POST", f"/bridges/{self._bridge}/addChannel", channel=both)
        return self._rtp.join(remote, law, event_type=None)

    async def _place_of(self, made: Any) -> tuple[str, int]:
        """Where Asterisk hears our sound."""
        told = made.get("channelvars", {}) if isinstance(made, dict) else {}
        found = []
        for name in ("UNICASTRTP_LOCAL_ADDRESS", "UNICASTRTP_LOCAL_PORT"):
            value = told.get(name)
            if value is None:
                path = f"/channels/{self._sound}/variable"
                value = (await self._asterisk.ask("GET", path, variable=name)).get("value")
            found.append(str(value))
        if not found[1].isdigit():
            raise RefusedError(500, "Asterisk does not say where it hears the sound")
        return found[0], int(found[1])

    async def _hear(self, line: Line) -> None:
        while True:
            event = await self._events.get()
            if event is None:
                line.hung_up("the connection to Asterisk was lost")
                return
            kind = event.get("type")
            if kind == "ChannelDtmfReceived":
                line.pressed(str(event.get("digit", "")))
            elif kind in _OVER:
                self._there = self._there and kind != "ChannelDestroyed"
                line.hung_up(str(event.get("cause_txt", "")))

    async def clean_up(self) -> None:
        """Leave nothing behind in Asterisk."""
        if self._rtp is not None:
            self._rtp.close()
        paths = [f"/channels/{self._channel}"] if self._there else []
        if self._rtp is not None:
            paths += [f"/channels/{self._sound}", f"/bridges/{self._bridge}"]
        for path in paths:
            with suppress(RefusedError, AnswerLostError, ChannelError):
                await self._asterisk.ask("DELETE", path)

    async def _next(self, seconds: float) -> Event | None:
        try:
            async with asyncio.timeout(max(seconds, 0.0)):
                return await self._events.get()
        except TimeoutError:
            return None


def _refused(error: RefusedError) -> NotTakenError:
    return NotTakenError(Answer(system=ASTERISK, code=f"ARI:{error.status}", text=error.text))
