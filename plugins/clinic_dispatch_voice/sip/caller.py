"""One call from the first ring to the last word, over SIP and RTP."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress

from clinic_dispatch_plugin.api import Answer, OutgoingMessage, UncertainError
from clinic_dispatch_voice.exchange.conversation import Script, Talk, talk
from clinic_dispatch_voice.exchange.line import Line
from clinic_dispatch_voice.exchange.outcome import NotTakenError
from clinic_dispatch_voice.exchange.rtp import Rtp, open_rtp
from clinic_dispatch_voice.sip.agent import Agent, Headers, SilenceError
from clinic_dispatch_voice.sip.answers import end_in, refusal
from clinic_dispatch_voice.sip.message import Message
from clinic_dispatch_voice.sip.sdp import NoSoundError, agreed, offer
from clinic_dispatch_voice.sip.settings import SipSettings
from clinic_dispatch_voice.sip.wire import LostError, no_way, open_wire

#: Seconds for the answer to our goodbye.
_GOODBYE = 2.0
_SIGNAL = re.compile(r"^\s*(?:signal\s*=\s*)?([0-9*#A-D])\s*$", re.IGNORECASE | re.MULTILINE)


class SipCaller:
    """Calls through one exchange; every call has a way and a sound of its own."""

    def __init__(self, settings: SipSettings) -> None:
        self._settings = settings

    async def call(self, message: OutgoingMessage, script: Script) -> Talk:
        """Ring, speak, hang up.

        :raises NotTakenError: nobody picked up.
        :raises UncertainError: it may have rung.
        :raises AccountError: the account is at fault.
        :raises ConnectionFailed: the exchange cannot be reached.
        """
        settings = self._settings
        wire = await open_wire(settings)
        agent = Agent(
            settings, wire, target=settings.target(message.address), call_id=message.attempt_key
        )
        rtp = None
        try:
            host = settings.rtp_host or wire.local[0]
            try:
                rtp = await open_rtp(wire.local[0], settings.rtp_ports)
            except OSError as error:
                raise no_way(f"no port for the sound: {error}") from None
            call = _Call(agent, rtp, settings, offer(host, rtp.port, settings.laws))
            return await call.run(script)
        finally:
            if rtp is not None:
                rtp.close()
            await agent.close()

    async def sign_in(self) -> None:
        """Ask whether the exchange is there and knows us, without calling anybody.

        :raises AccountError: it does not know us, or cannot be trusted.
        :raises ConnectionFailed: it cannot be reached.
        """
        settings = self._settings
        wire = await open_wire(settings)
        target = f"{settings.scheme}:{settings.domain}"
        agent = Agent(settings, wire, target=target, call_id=f"check-{id(wire):x}")
        try:
            final = await agent.ask("OPTIONS")
        except SilenceError:
            raise no_way(f"{settings.label}: no answer to OPTIONS") from None
        except LostError as lost:
            raise no_way(f"{settings.label}: {lost.text}") from None
        finally:
            await agent.close()
        # Many exchanges do not know the question, and are there all the same.
        if final.status in (401, 402, 403, 407) or (final.status >= 500 and final.status != 501):
            refused = refusal(final)
            raise no_way(f"{settings.label}: {refused.answer.text}")

    async def close(self) -> None:
        """Nothing is kept between calls."""


class _Call:
    """What is going on in one call."""

    def __init__(self, agent: Agent, rtp: Rtp, settings: SipSettings, sound: bytes) -> None:
        self._agent = agent
        self._rtp = rtp
        self._settings = settings
        self._sound = sound
        self._line: Line | None = None
        agent.on_request = self._on_request

    async def run(self, script: Script) -> Talk:
        final = await self._picked_up()
        settings = self._settings
        try:
            line = self._joined(final)
            return await talk(line, script, repeat=settings.repeat, machine=settings.machine)
        except NoSoundError as problem:
            raise NotTakenError(Answer(system="sip", code="488", text=str(problem))) from None
        finally:
            if self._line is None or not self._line.over:
                await self._hang_up()

    async def _picked_up(self) -> Message:
        settings, agent = self._settings, self._agent
        try:
            final = await agent.ring(self._sound)
        except asyncio.CancelledError:
            agent.take_back()
            raise
        except SilenceError:
            text = "it rang, and then nothing was heard" if agent.rang else "no answer to INVITE"
            raise UncertainError(Answer(system="dispatch", code="timeout", text=text)) from None
        except LostError as lost:
            if lost.unheard:
                raise no_way(f"{settings.label}: {lost.text}") from None
            answer = Answer(system="dispatch", code="connection_lost", text=lost.text)
            raise UncertainError(answer) from None
        if final.status >= 300:
            raise refusal(final, rang=settings.ring if final.status == 487 else None)
        agent.confirm(final)
        return final

    def _joined(self, final: Message) -> Line:
        chosen = agreed(final.body, self._settings.laws)
        self._line = self._rtp.join(
            (chosen.host, chosen.port), chosen.law, event_type=chosen.event_type
        )
        return self._line

    async def _hang_up(self) -> None:
        with suppress(SilenceError, LostError, asyncio.CancelledError):
            await self._agent.ask("BYE", patience=_GOODBYE)

    def _on_request(self, request: Message) -> tuple[int, Headers, bytes]:
        line = self._line
        match request.method:
            case "BYE":
                if line is not None:
                    line.hung_up(end_in(request))
                return 200, (), b""
            case "INFO":
                found = _SIGNAL.search(request.body.decode("utf-8", "replace"))
                if line is not None and found is not None:
                    line.pressed(found[1].upper())
                return 200, (), b""
            case "INVITE":
                return self._on_change(request)
            case "OPTIONS":
                return 200, (), b""
        return 405, (), b""

    def _on_change(self, request: Message) -> tuple[int, Headers, bytes]:
        """The far end's sound moves, or somebody is put on hold."""
        try:
            chosen = agreed(request.body, self._settings.laws)
        except NoSoundError:
            if request.body:
                return 488, (), b""
        else:
            self._rtp.send_to((chosen.host, chosen.port))
        return 200, [("Content-Type", "application/sdp")], self._sound
