"""One call as the exchange has it: rings, answers, hears, hangs up (RFC 3261 sections 13, 15, 17.2)."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from clinic_dispatch_plugin.simulators.sip.packets import REASONS, Packet, write
from clinic_dispatch_plugin.simulators.sip.phone import Phone, answer_to, new_phone
from clinic_dispatch_plugin.simulators.sip.plans import Plan, Way
from clinic_dispatch_plugin.simulators.sip.settings import ExchangeSettings

#: T1 and T2, the pauses between repetitions (RFC 3261 section 17).
_FIRST, _SLOWEST = 0.5, 4.0
_KEYS = {Way.KEY_1: "1", Way.KEY_2: "2"}


@dataclass(slots=True, kw_only=True)
class CallRecord:
    """What the exchange knows of a call afterwards."""

    number: str
    call_id: str
    sender: str
    #: Whether somebody picked up, and who hung up: ``caller``, ``called``, or nobody yet.
    answered: bool = False
    ended_by: str = ""
    #: Seconds of sound heard, and how much of it was no silence.
    heard: float = 0.0
    loud: float = 0.0


class Call:
    """From an INVITE to its end; everything goes back the way the INVITE came."""

    def __init__(
        self,
        invite: Packet,
        plan: Plan,
        settings: ExchangeSettings,
        *,
        number: str,
        place: tuple[str, int],
        send: Callable[[bytes], None],
        cut: Callable[[], None],
    ) -> None:
        """Begin nothing yet.

        :param send: back to the caller.
        :param cut: ends the way to the caller.
        """
        self.record = CallRecord(
            number=number, call_id=invite.one("call-id"), sender=invite.one("from")
        )
        self._invite = invite
        self._plan = plan
        self._settings = settings
        self._place = place
        self._send = send
        self._cut = cut
        self._tag = secrets.token_hex(4)
        self._last = b""
        self._final = False
        self._acked = asyncio.Event()
        self._ended = asyncio.Event()
        #: Nothing more is heard of it.
        self._gone = False
        self._asked = 0
        self._phone: Phone | None = None

    # What the caller does

    def again(self) -> None:
        """The INVITE came once more."""
        if self._last and not self._gone:
            self._send(self._last)

    def on(self, request: Packet) -> None:
        """A request within the call."""
        if self._gone:
            return
        match request.method:
            case "ACK":
                self._acked.set()
            case "CANCEL":
                self._on_cancel(request)
            case "BYE":
                self._end("caller")
                self.reply(request, 200)
            case "OPTIONS" | "INFO":
                self.reply(request, 200)
            case _:
                self.reply(request, 501)

    def _on_cancel(self, request: Packet) -> None:
        if self._plan.way is Way.DEAF:
            return
        self.reply(request, 200)
        if not self._final:
            self._end("caller")
            self._answer(487)

    # What happens

    async def play(self) -> None:
        """Do what the plan says until the call is over."""
        way = self._plan.way
        if way is Way.SILENT:
            return
        if way is Way.RUBBISH:
            self._send(b"HTTP/1.0 200 OK\r\n\r\n<html>It works!</html>\r\n\r\n")
            return
        self._answer(100)
        if self._plan.status:
            await self._refuse(self._plan.status)
            return
        await self._until(self._settings.ring_seconds)
        self._answer(180)
        if way is Way.CUT:
            await self._until(0.1)
            self._gone = True
            self._cut()
        elif way is Way.ANNOUNCED:
            self._phone = await new_phone(self._settings.host)
            self._answer(183, sdp=answer_to(self._settings.host, self._phone.port))
            await self._until(0.2)
            await self._refuse(404)
        elif way in (Way.RINGS, Way.DEAF):
            await self._ended.wait()
            await self._repeat_until_acked()
        else:
            await self._until(self._settings.slow_seconds if way is Way.SLOW else 0.0)
            if not self._final:
                await self._pick_up()

    def close(self) -> None:
        """Let go of the phone."""
        self._count()
        if self._phone is not None:
            self._phone.close()

    def _count(self) -> None:
        if self._phone is not None:
            self.record.heard = self._phone.packets * 0.02
            self.record.loud = self._phone.loud * 0.02

    async def _refuse(self, status: int) -> None:
        more = []
        if self._plan.cause:
            more.append(("Reason", f'Q.850;cause={self._plan.cause};text="by the network"'))
        if status == 503 and self._settings.retry_after:
            more.append(("Retry-After", str(self._settings.retry_after)))
        if status in (301, 302):
            more.append(("Contact", "<sip:elsewhere@exchange.invalid>"))
        self._answer(status, more=more)
        self._ended.set()
        await self._repeat_until_acked()

    async def _pick_up(self) -> None:
        settings, way = self._settings, self._plan.way
        phone = self._phone = await new_phone(settings.host)
        phone.talk_to(self._invite.body)
        self.record.answered = True
        sdp = answer_to(settings.host, phone.port, silent=way is Way.NO_SOUND)
        self._answer(200, sdp=sdp)
        sound = asyncio.ensure_future(self._sound(phone))
        try:
            await self._repeat_until_acked()
            await self._behave(phone)
            await self._ended.wait()
        finally:
            sound.cancel()
            await asyncio.gather(sound, return_exceptions=True)

    async def _sound(self, phone: Phone) -> None:
        machine = self._plan.way is Way.MACHINE
        await phone.greet(self._settings.greeting_seconds if machine else 0.4)
        await phone.be_quiet()

    async def _behave(self, phone: Phone) -> None:
        way = self._plan.way
        if way is Way.HANGS_UP:
            await self._until(self._settings.hang_up_after)
            self._ask("BYE", [("Reason", 'Q.850;cause=16;text="Normal call clearing"')])
            self._end("called")
        elif way in _KEYS:
            await self._until(self._settings.press_after)
            phone.press(_KEYS[way])
        elif way is Way.KEY_2_INFO:
            await self._until(self._settings.press_after)
            more = [("Content-Type", "application/dtmf-relay")]
            self._ask("INFO", more, b"Signal=2\r\nDuration=160\r\n")
        elif way is Way.MOVES:
            await self._until(self._settings.press_after)
            more = [("Content-Type", "application/sdp"), ("Contact", self._contact)]
            self._ask("INVITE", more, answer_to(self._settings.host, phone.port))
            phone.press("2")

    async def _repeat_until_acked(self) -> None:
        """A last answer comes again until its ACK does (RFC 3261 sections 13.3.1.4 and 17.2.1)."""
        pause = _FIRST
        for _ in range(10):
            if self._acked.is_set():
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._acked.wait(), pause)
            if not self._acked.is_set():
                self._send(self._last)
            pause = min(2 * pause, _SLOWEST)

    async def _until(self, seconds: float) -> None:
        """Wait so long, or until the call is over."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), seconds)

    def _end(self, by: str) -> None:
        if not self._ended.is_set():
            self.record.ended_by = by
            self._count()
            self._ended.set()

    # What is said

    @property
    def _contact(self) -> str:
        host, port = self._place
        return f"<sip:exchange@{host}:{port}>"

    def _answer(
        self, status: int, *, more: list[tuple[str, str]] | None = None, sdp: bytes = b""
    ) -> None:
        if self._final:
            return
        self._final = status >= 200
        lines = [*(more or [])]
        if sdp:
            lines += [("Contact", self._contact), ("Content-Type", "application/sdp")]
        self._last = response(
            self._invite, status, lines, sdp, tag=self._tag if status > 100 else ""
        )
        self._send(self._last)

    def reply(self, request: Packet, status: int) -> None:
        """Answer a request within the call."""
        self._send(response(request, status, [], tag=self._tag))

    def _ask(self, method: str, more: list[tuple[str, str]], body: bytes = b"") -> None:
        self._asked += 1
        host, port = self._place
        invite = self._invite
        target = invite.one("contact").partition("<")[2].partition(">")[0]
        lines = [
            (
                "Via",
                f"SIP/2.0/{_way_of(invite)} {host}:{port};branch=z9hG4bK{secrets.token_hex(8)}",
            ),
            ("Max-Forwards", "70"),
            ("From", f"{invite.one('to')};tag={self._tag}"),
            ("To", invite.one("from")),
            ("Call-ID", self.record.call_id),
            ("CSeq", f"{self._asked} {method}"),
            *more,
        ]
        self._send(write(f"{method} {target} SIP/2.0", lines, body))


def response(
    request: Packet, status: int, more: list[tuple[str, str]], body: bytes = b"", *, tag: str = ""
) -> bytes:
    """An answer to a request."""
    to = request.one("to")
    if tag and ";tag=" not in to:
        to = f"{to};tag={tag}"
    lines = [
        *(("Via", value) for value in request.every("via")),
        ("From", request.one("from")),
        ("To", to),
        ("Call-ID", request.one("call-id")),
        ("CSeq", request.one("cseq")),
        *more,
    ]
    return write(f"SIP/2.0 {status} {REASONS.get(status, 'No')}", lines, body)


def _way_of(invite: Packet) -> str:
    return invite.one("via").partition(" ")[0].rpartition("/")[2]
