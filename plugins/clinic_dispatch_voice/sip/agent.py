"""One call's side of SIP: our requests and their answers (RFC 3261 sections 8, 9, 17), and what the exchange asks."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace

from clinic_dispatch_plugin import __version__
from clinic_dispatch_voice.sip.digest import answer_to, challenge_in
from clinic_dispatch_voice.sip.message import Message, address_in, tag_of
from clinic_dispatch_voice.sip.settings import SipSettings
from clinic_dispatch_voice.sip.wire import LostError, Wire

_ALLOW = "INVITE, ACK, CANCEL, BYE, INFO, OPTIONS"
#: Seconds between two repetitions at most (T2, RFC 3261 section 17.1.2.2).
_SLOWEST = 4.0
#: The header of a challenge, and that of its answer (RFC 3261 section 22).
_CHALLENGES = {401: ("www-authenticate", "Authorization"),
               407: ("proxy-authenticate", "Proxy-Authorization")}  # fmt: skip
Headers = Sequence[tuple[str, str]]


class SilenceError(Exception):
    """No answer came in time."""


class Agent:
    """Asks over one wire, and answers; all messages of one Call-ID."""

    def __init__(self, settings: SipSettings, wire: Wire, *, target: str, call_id: str) -> None:
        """Have asked nothing yet."""
        self.call_id = call_id
        #: Does what a request of the exchange asks, once each; gives the answer's status, headers and body.
        self.on_request: Callable[[Message], tuple[int, Headers, bytes]] = _knows_nothing
        #: Somebody's phone rings.
        self.rang = False
        self._settings = settings
        self._wire = wire
        self._target = target
        self._tag = secrets.token_hex(5)
        self._to = f"<{target}>"
        self._routes: list[str] = []
        self._sequence = 0
        self._challenges: dict[str, dict[str, str]] = {}
        self._open: dict[str, asyncio.Queue[Message | LostError]] = {}
        #: Our ACK, by what it answers, for answers that come again.
        self._acks: dict[tuple[str, str], bytes] = {}
        self._answered: dict[tuple[int, str], bytes] = {}
        #: What may ring now.
        self._ringing_for: Message | None = None
        self._lost: LostError | None = None
        self._reader = asyncio.ensure_future(self._read())

    async def close(self) -> None:
        """Hear no more."""
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)
        await self._wire.closed()

    # Our requests

    async def ask(self, method: str, *, patience: float | None = None) -> Message:
        """The last answer to a request outside of any ringing, with our password where it is wanted.

        :raises SilenceError: there is none in time.
        :raises LostError: the way to the exchange is gone.
        """
        limit = self._settings.timeout if patience is None else patience
        return await self._with_login(lambda: self._plain(method, limit))

    async def ring(self, body: bytes) -> Message:
        """Call, and give the last answer; 2xx says that somebody picked up, and needs :meth:`confirm`.

        :raises SilenceError: nothing is known.
        :raises LostError: the way to the exchange is gone.
        """
        return await self._with_login(lambda: self._invite(body))

    def confirm(self, final: Message) -> None:
        """The ACK for an answered call; from here on the two ends talk to each other (RFC 3261 sections 12, 13)."""
        self._ringing_for = None
        self._to = final.get("to")
        self._target = address_in(final.get("contact")) or self._target
        self._routes = list(reversed(final.all("record-route")))
        request = self._request("ACK", sequence=final.sequence[0])
        self._acks[final.branch, tag_of(self._to)] = request.encode()
        self._wire.send(request.encode())

    async def _with_login(self, ask: Callable[[], asyncio.Future[Message]]) -> Message:
        while True:
            final = await ask()
            if final.status not in _CHALLENGES or not self._learn(final):
                return final

    def _learn(self, final: Message) -> bool:
        """Take a challenge to answer; False: it was answered before, and our password is wrong."""
        asks, answers = _CHALLENGES[final.status]
        challenge = challenge_in(final.all(asks))
        if challenge is None or not self._settings.user:
            return False
        known, stale = answers in self._challenges, challenge.get("stale", "").lower() == "true"
        if known and not (stale and self._challenges[answers]["nonce"] != challenge["nonce"]):
            return False
        self._challenges[answers] = challenge
        return True

    def _plain(self, method: str, limit: float) -> asyncio.Future[Message]:
        return asyncio.ensure_future(self._transact(self._request(method), limit))

    async def _transact(self, request: Message, limit: float) -> Message:
        loop = asyncio.get_running_loop()
        answers = self._begin(request)
        until, pause = loop.time() + limit, self._settings.first_repeat
        while (now := loop.time()) < until:
            answer = await _next(answers, until - now if self._wire.reliable else pause)
            if answer is None and not self._wire.reliable:
                self._wire.send(request.encode())
                pause = min(2 * pause, _SLOWEST)
            elif answer is not None and answer.status >= 200:
                return answer
        raise SilenceError

    def take_back(self) -> None:
        """Let nobody's phone ring on: sent once, for when there is no time to wait."""
        if self._ringing_for is not None:
            self._wire.send(_cancel(self._ringing_for).encode())

    def _invite(self, body: bytes) -> asyncio.Future[Message]:
        more = [("Contact", self._contact), ("Content-Type", "application/sdp")]
        return asyncio.ensure_future(
            self._ringing(self._request("INVITE", headers=more, body=body))
        )

    async def _ringing(self, request: Message) -> Message:
        """RFC 3261 section 17.1.1: repeated until anything is heard, then as long as it may ring, then taken back."""
        loop, settings = asyncio.get_running_loop(), self._settings
        self._ringing_for = request
        answers, began = self._begin(request), loop.time()
        until, pause, heard, taken_back = (
            began + settings.timeout,
            settings.first_repeat,
            False,
            False,
        )
        while True:
            left = until - loop.time()
            repeats = not self._wire.reliable and (taken_back or not heard)
            answer = await _next(answers, min(left, pause) if repeats else left)
            if answer is None and loop.time() < until:
                self._wire.send((_cancel(request) if taken_back else request).encode())
                pause = min(2 * pause, _SLOWEST) if taken_back else 2 * pause
            elif answer is None and (taken_back or not heard):
                raise SilenceError
            elif answer is None:
                self._wire.send(_cancel(request).encode())
                until, pause, taken_back = (
                    loop.time() + settings.timeout,
                    settings.first_repeat,
                    True,
                )
            elif answer.status >= 300:
                self._acknowledge(request, answer)
                return answer
            elif answer.status >= 200:
                return answer
            else:
                self.rang = self.rang or answer.status in (180, 183)
                if not heard:
                    heard, until = True, began + settings.ring

    def _acknowledge(self, request: Message, final: Message) -> None:
        """The ACK for a refusal is part of the same transaction (RFC 3261 section 17.1.1.3)."""
        kept = [
            each
            for each in request.headers
            if each[0] in ("Via", "From", "Call-ID", "Max-Forwards")
        ]
        ack = Message(
            method="ACK",
            uri=request.uri,
            headers=[*kept, ("To", final.get("to")), ("CSeq", f"{request.sequence[0]} ACK")],
        )
        self._acks[request.branch, tag_of(final.get("to"))] = ack.encode()
        self._wire.send(ack.encode())

    def _begin(self, request: Message) -> asyncio.Queue[Message | LostError]:
        queue: asyncio.Queue[Message | LostError] = asyncio.Queue()
        if self._lost is not None:
            queue.put_nowait(self._lost)
        self._open[request.branch] = queue
        self._wire.send(request.encode())
        return queue

    def _request(
        self, method: str, *, headers: Headers = (), body: bytes = b"", sequence: int = 0
    ) -> Message:
        settings, (host, port) = self._settings, self._wire.local
        if not sequence:
            self._sequence += 1
        way = f"SIP/2.0/{settings.transport.upper()} {_bracketed(host)}:{port}"
        credentials = [
            (name, self._credentials(challenge, method))
            for name, challenge in self._challenges.items()
        ]
        return Message(
            method=method,
            uri=self._target,
            headers=[
                ("Via", f"{way};branch=z9hG4bK{secrets.token_hex(9)};rport"),
                ("Max-Forwards", "70"),
                ("From", f"<{self._from}>;tag={self._tag}"),
                ("To", self._to),
                ("Call-ID", self.call_id),
                ("CSeq", f"{sequence or self._sequence} {method}"),
                *(("Route", each) for each in self._routes),
                *credentials,
                *(self._identity if method == "INVITE" else ()),
                ("Allow", _ALLOW),
                ("User-Agent", f"clinic-dispatch/{__version__}"),
                *headers,
            ],
            body=body,
        )

    @property
    def _from(self) -> str:
        settings = self._settings
        name = settings.user if settings.identity == "pai" and settings.user else settings.sender
        return f"{settings.scheme}:{name}@{settings.domain}"

    @property
    def _identity(self) -> Headers:
        settings = self._settings
        if settings.identity != "pai":
            return []
        return [("P-Asserted-Identity", f"<{settings.scheme}:{settings.sender}@{settings.domain}>")]

    @property
    def _contact(self) -> str:
        host, port = self._wire.local
        way = {"udp": "", "tcp": ";transport=tcp", "tls": ""}[self._settings.transport]
        return f"<{self._settings.scheme}:clinic@{_bracketed(host)}:{port}{way}>"

    def _credentials(self, challenge: dict[str, str], method: str) -> str:
        settings = self._settings
        return answer_to(
            challenge,
            method=method,
            uri=self._target,
            user=settings.user,
            password=settings.password,
        )

    # What comes

    async def _read(self) -> None:
        while True:
            message = await self._wire.received.get()
            if isinstance(message, LostError):
                self._lost = message
                for queue in self._open.values():
                    queue.put_nowait(message)
            elif message.status:
                self._on_answer(message)
            elif message.get("call-id") == self.call_id:
                self._on_request(message)
            elif message.method != "ACK":
                self._wire.send(_response(message, 481, (), b"").encode())

    def _on_answer(self, message: Message) -> None:
        if message.get("call-id") != self.call_id or message.sequence[1] == "CANCEL":
            return
        again = self._acks.get((message.branch, tag_of(message.get("to"))))
        if again is not None and message.sequence[1] == "INVITE":
            self._wire.send(again)
        elif (queue := self._open.get(message.branch)) is not None:
            queue.put_nowait(message)

    def _on_request(self, message: Message) -> None:
        if message.method == "ACK":
            return
        known = self._answered.get(message.sequence)
        if known is None:
            status, headers, body = self.on_request(message)
            headers = [*headers, ("Contact", self._contact), ("Allow", _ALLOW)]
            known = _response(message, status, headers, body).encode()
            self._answered[message.sequence] = known
        self._wire.send(known)


async def _next(answers: asyncio.Queue[Message | LostError], seconds: float) -> Message | None:
    try:
        async with asyncio.timeout(max(seconds, 0.0)):
            found = await answers.get()
    except TimeoutError:
        return None
    if isinstance(found, LostError):
        raise found
    return found


def _cancel(request: Message) -> Message:
    """Takes an INVITE back: the same Via, so that it names the same transaction (RFC 3261 section 9.1)."""
    kept = [
        each
        for each in request.headers
        if each[0] in ("Via", "Max-Forwards", "From", "To", "Call-ID")
    ]
    headers = [*kept, ("CSeq", f"{request.sequence[0]} CANCEL")]
    return replace(request, method="CANCEL", headers=headers, body=b"")


def _response(request: Message, status: int, headers: Headers, body: bytes) -> Message:
    kept = [
        (name.title(), value)
        for name in ("via", "from", "to", "call-id", "cseq")
        for value in request.all(name)
    ]
    words = {
        200: "OK",
        405: "Method Not Allowed",
        481: "Call/Transaction Does Not Exist",
        488: "Not Acceptable Here",
    }
    return Message(
        status=status, reason=words.get(status, ""), headers=[*kept, *headers], body=body
    )


def _knows_nothing(request: Message) -> tuple[int, Headers, bytes]:
    return 481, (), b""


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
