"""One connection from its opening to its end, driven by readiness: it never waits, and always knows until when to."""

from __future__ import annotations

import selectors
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from clinic_dispatch_email.capabilities import NOTHING, ServerOffers
from clinic_dispatch_email.problems import BREAKING, no_connection, reason_of, understood
from clinic_dispatch_email.replies import Reply, ReplyReader
from clinic_dispatch_email.settings import EmailSettings, is_loopback
from clinic_dispatch_email.sign_on import Encrypt, SignOn, sign_on
from clinic_dispatch_email.transactions import Command, Take, Transactions
from clinic_dispatch_email.transport import AddressInfo, Transport
from clinic_dispatch_plugin.api import (
    Answer,
    ChannelError,
    ConnectionFailed,
    SendResult,
    fail_point,
)

#: Seconds after which an unused connection is asked whether it still lives.
STALE_AFTER = 30.0
#: Seconds in which the end of an unused new connection still counts as a failure to open one.
_TOO_SOON = 1.0
#: Seconds for the answers to QUIT and NOOP, which nobody needs.
_SHORT = 5.0


class Phase(StrEnum):
    """How far a connection is."""

    CONNECTING = "connecting"
    ENCRYPTING = "encrypting"
    SIGNING_ON = "signing on"
    #: Signed in; with or without a message in hand.
    READY = "ready"
    QUITTING = "quitting"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What all connections of a sender share."""

    settings: EmailSettings
    selector: selectors.BaseSelector
    #: None: no encryption is wanted.
    tls: ssl.SSLContext | None
    deliver: Callable[[SendResult], None]


class Connection:
    """One connection to the relay."""

    def __init__(self, shared: Surroundings, addresses: Sequence[AddressInfo]) -> None:
        """Begin to connect to the first of the addresses that answers."""
        self._shared = shared
        self._addresses = list(addresses)
        self._transport: Transport | None = None
        self._watched: tuple[int, int] | None = None
        self._reader = ReplyReader()
        self._sign_on: SignOn | None = None
        self._awaited = ""
        self._dot_at = 0
        self._work = Transactions(pipelining=False, depth=1, deliver=shared.deliver)
        self._ready_at = 0.0
        self.offers: ServerOffers = NOTHING
        self.phase = Phase.CONNECTING
        #: Monotonic time until which something must happen.
        self.deadline = float("inf")
        #: Why it ended, where that says something about the relay or the account.
        self.error: ChannelError | None = None
        self._connect_to_next(None)

    # What the sender asks

    @property
    def in_hand(self) -> int:
        """Messages without a result."""
        return self._work.in_hand

    @property
    def idle(self) -> bool:
        """Whether it could take a message now."""
        return self.phase is Phase.READY and not self._work.busy

    @property
    def opening(self) -> bool:
        """Whether it is not signed in yet."""
        return self.phase in (Phase.CONNECTING, Phase.ENCRYPTING, Phase.SIGNING_ON)

    def is_stale(self, now: float) -> bool:
        """Whether it was unused for so long that the relay may have gone."""
        return self.idle and now - self._ready_at > STALE_AFTER

    # What the sender does

    def advance(self, take: Take | None) -> None:
        """Write what can be written without waiting for a reply: a text that was granted, and a new envelope.

        :param take: None: no new message.
        """
        transport = self._transport
        work = self._work
        if self.phase is not Phase.READY or transport is None or work.awaited is not None:
            return
        limit = self._shared.settings.per_connection
        if limit and work.begun >= limit:
            take = None
        data, dot_at = work.next_bytes(take, at=transport.queued)
        if data:
            self._dot_at = dot_at
            transport.queue(data)
            self._arm()
            self._guarded(self._flush)
        elif limit and work.begun >= limit:
            self.quit()

    def probe(self) -> None:
        """Ask whether it still lives, before a message is entrusted to it."""
        if self._transport is not None:
            self._transport.queue(self._work.ask_whether_alive())
            self.deadline = time.monotonic() + _SHORT
            self._guarded(self._flush)

    def quit(self) -> None:
        """End in good order; nothing may be in hand."""
        if self.phase is Phase.READY and self._transport is not None and not self._work.busy:
            self.phase = Phase.QUITTING
            self.deadline = time.monotonic() + _SHORT
            self._transport.queue(b"QUIT\r\n")
            self._guarded(self._flush)
        else:
            self.abort()

    def abort(self) -> None:
        """End at once and settle what is in hand."""
        self._end(no_connection("the connection was closed by us", where=self._where), blame=False)

    def on_ready(self, events: int) -> None:
        """Go on; called when the socket can be read from or written to."""
        self._guarded(lambda: self._proceed(events))

    def on_time(self, now: float) -> None:
        """End if the deadline is over."""
        if now < self.deadline or self.phase is Phase.CLOSED:
            return
        if self.phase is Phase.CONNECTING:
            seconds = self._shared.settings.connect_timeout
            self._connect_to_next(self._unreachable(f"no connection within {seconds:g} s"))
            return
        self._end(
            Answer(system="dispatch", code="timeout", text=self._overdue()),
            blame=self.phase is not Phase.QUITTING,
        )

    # Opening

    def _unreachable(self, text: str) -> ConnectionFailed:
        return ConnectionFailed(no_connection(text, where=self._where))

    def _connect_to_next(self, error: ConnectionFailed | None) -> None:
        self._drop_transport()
        while self._addresses:
            address = self._addresses.pop(0)
            try:
                self._transport = Transport(address)
            except OSError as problem:
                error = self._unreachable(reason_of(problem))
                continue
            self.deadline = time.monotonic() + self._shared.settings.connect_timeout
            self._watch(selectors.EVENT_WRITE)
            return
        self._close(error)

    def _proceed(self, events: int) -> None:
        transport = self._transport
        if transport is None:
            return
        if self.phase is Phase.CONNECTING:
            try:
                transport.finish_connecting()
            except OSError as problem:
                self._connect_to_next(self._unreachable(reason_of(problem)))
                return
            self._begin_sign_on(transport)
        elif self.phase is Phase.ENCRYPTING:
            self._handshake()
        else:
            if events & selectors.EVENT_READ:
                self._read()
            if self._transport is not None and self._transport.wants_to_write:
                self._flush()

    def _begin_sign_on(self, transport: Transport) -> None:
        self.phase = Phase.SIGNING_ON
        self._sign_on = sign_on(
            self._shared.settings,
            local_address=transport.local_address,
            peer_is_loopback=is_loopback(transport.host),
        )
        self._step(None)

    def _step(self, reply: Reply | None) -> None:
        """Do what signing on asks for next."""
        transport, dialogue = self._transport, self._sign_on
        assert transport is not None and dialogue is not None
        try:
            step = next(dialogue) if reply is None else dialogue.send(reply)
        except StopIteration as end:
            self._become_ready(end.value)
            return
        self.deadline = time.monotonic() + self._shared.settings.timeout
        if isinstance(step, Encrypt):
            assert self._shared.tls is not None
            self.phase = Phase.ENCRYPTING
            self._reader.forget()
            transport.begin_tls(self._shared.tls, host=self._shared.settings.host)
            self._handshake()
        else:
            self._awaited = step.awaited
            transport.queue(step.line)
            self._flush()

    def _handshake(self) -> None:
        assert self._transport is not None
        self._awaited = "the end of the TLS handshake"
        wanted = self._transport.handshake()
        if wanted == "done":
            self.phase = Phase.SIGNING_ON
            self._watch(selectors.EVENT_READ)
            self._step(None)
            # The greeting may have come with the end of the handshake: nobody would wake us for it.
            self._read()
        else:
            self._watch(selectors.EVENT_READ if wanted == "read" else selectors.EVENT_WRITE)

    def _become_ready(self, offers: ServerOffers) -> None:
        settings = self._shared.settings
        self.offers = offers
        self.phase = Phase.READY
        self._sign_on = None
        self._ready_at = time.monotonic()
        self.deadline = float("inf")
        self._work = Transactions(
            pipelining=offers.pipelining and settings.pipelining,
            depth=settings.depth,
            deliver=self._shared.deliver,
        )

    # Talking

    def _flush(self) -> None:
        transport = self._transport
        assert transport is not None
        before = transport.written
        try:
            transport.flush()
        except OSError:
            self._read_last_words()
            raise
        if transport.written > before and self.phase is Phase.READY:
            self._arm()
        write = selectors.EVENT_WRITE if transport.wants_to_write else 0
        self._watch(selectors.EVENT_READ | write)
        if self._dot_at and transport.written >= self._dot_at:
            self._dot_at = 0
            fail_point("send.after_bytes")

    def _read_last_words(self) -> None:
        """A server that refuses in the middle and closes breaks our writing first; its answer may lie there."""
        try:
            self._read()
        except OSError:
            return

    def _read(self) -> None:
        transport = self._transport
        while transport is not None:
            encrypted = transport.encrypted
            data = transport.read()
            if data is None:
                return
            if not data:
                raise ConnectionResetError("the connection was closed by the mail server")
            heard = False
            for reply in self._reader.feed(data):
                heard = True
                self._on_reply(reply)
                if self._transport is not transport or transport.encrypted is not encrypted:
                    return  # what came in the clear behind STARTTLS is nobody's word
            if heard and self.phase is Phase.READY:  # whole replies count, drops of one do not
                self._arm()
            if not encrypted:
                return  # readiness tells of more

    def _on_reply(self, reply: Reply) -> None:
        if self.phase is Phase.READY:
            assert self._transport is not None
            self._work.on_reply(reply, written=self._transport.written)
        elif self.phase is Phase.SIGNING_ON:
            self._step(reply)
        elif self.phase is Phase.QUITTING:
            self._close(None)

    def _arm(self) -> None:
        """Set the time by which the next reply must be there, or the next bytes be gone."""
        assert self._transport is not None
        awaited = self._work.awaited
        now = time.monotonic()
        if awaited is None:
            self.deadline = float("inf")
            if not self._work.busy:
                self._ready_at = now
        elif awaited is Command.TEXT and not self._transport.wants_to_write:
            self.deadline = now + self._shared.settings.data_timeout
        else:
            self.deadline = now + self._shared.settings.timeout

    # Ending

    def _guarded(self, action: Callable[[], None]) -> None:
        """Do something to the connection; whatever breaks it ends it, with its messages settled."""
        try:
            action()
        except BREAKING as problem:
            answer, error = understood(problem, where=self._where)
            self._end(answer, error=error)

    def _end(self, why: Answer, *, error: ChannelError | None = None, blame: bool = True) -> None:
        """Settle and close.

        :param error: what is wrong with the account or the relay for certain.
        :param blame: whether ending before any message was answered counts against the relay.
        """
        if self.phase is Phase.CLOSED:
            return
        unused = self.phase is Phase.READY and not self._work.in_hand
        worked = self._work.answered > 0 or self.phase is Phase.QUITTING
        worked = worked or (unused and time.monotonic() - self._ready_at > _TOO_SOON)
        if error is None and blame and not worked:
            error = ConnectionFailed(why)
        written = self._transport.written if self._transport is not None else 0
        self._work.settle(why, written=written)
        self._close(error)

    def _close(self, error: ChannelError | None) -> None:
        self.phase = Phase.CLOSED
        self.error = error
        self.deadline = float("inf")
        self._drop_transport()
        if self._sign_on is not None:
            self._sign_on.close()

    def _drop_transport(self) -> None:
        if self._watched is not None:
            self._shared.selector.unregister(self._watched[0])
            self._watched = None
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    def _watch(self, events: int) -> None:
        assert self._transport is not None
        wanted = (self._transport.fileno(), events)
        if self._watched == wanted:
            return
        if self._watched is None:
            self._shared.selector.register(wanted[0], events, self)
        else:
            self._shared.selector.modify(wanted[0], events, self)
        self._watched = wanted

    # Words

    def _overdue(self) -> str:
        settings = self._shared.settings
        awaited = self._work.awaited
        if self.phase is not Phase.READY or awaited is None:
            return f"{self._where}: {self._awaited} did not come within {settings.timeout:g} s"
        waited = settings.timeout
        if self._transport is not None and self._transport.wants_to_write:
            return f"{self._where} took no more bytes for {waited:g} s"
        if awaited is Command.TEXT:
            waited = settings.data_timeout
        return f"{self._where} did not answer {awaited} within {waited:g} s"

    @property
    def _where(self) -> str:
        return f"{self._shared.settings.host}:{self._shared.settings.port}"
