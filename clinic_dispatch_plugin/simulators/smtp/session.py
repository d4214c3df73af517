"""One connection: bytes in, bytes out, one write for all answers of a group (RFC 2920)."""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol, cast

from clinic_dispatch_plugin.simulators.smtp.dialogue import Dialogue, Surroundings
from clinic_dispatch_plugin.simulators.smtp.modes import Mode
from clinic_dispatch_plugin.simulators.smtp.replies import Then, Turn

logger = logging.getLogger(__name__)

#: Octets without a line end after which the client is no mail program.
LONGEST_UNENDED_LINE = 65_536
#: Octets that wait unread while the relay lets the client wait.
FULLEST_BUFFER = 1_048_576
#: Content is kept in memory, so there is a limit even when none is announced.
BIGGEST_MESSAGE = 67_108_864
#: Seconds for a client to read the last reply, and for the TLS handshake.
LINGER = 2.0
HANDSHAKE = 30.0
END = b"\r\n.\r\n"


class Sessions(Surroundings, Protocol):
    """What a session needs of its relay."""

    def joined(self, session: Session) -> None:
        """A connection is there."""
        ...

    def left(self, session: Session) -> None:
        """A connection is gone."""
        ...

    def keep_task(self, task: asyncio.Task[None]) -> None:
        """Hold on to a task until it ends, and end it with the relay."""
        ...


class Session(asyncio.Protocol):
    """Feeds a dialogue; waits while a reply is delayed, the client does not read, or TLS begins."""

    def __init__(self, relay: Sessions, *, encrypted: bool) -> None:
        self.last_heard = 0.0
        self._relay = relay
        self._settings = relay.settings
        self._dialogue = Dialogue(relay, encrypted=encrypted)
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._replies: list[str] = []
        self._in_data = False
        #: Where in the buffer the search for the final dot goes on.
        self._searched = 0
        self._too_big = False
        self._timer: asyncio.TimerHandle | None = None
        self._blocked = self._upgrading = self._closing = self._ended = False

    # What asyncio tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        self._transport = cast(asyncio.Transport, transport)
        self.last_heard = self._loop.time()
        self._relay.joined(self)
        if self._relay.mode() is Mode.DOWN:
            self.cut()
            return
        self._apply(self._dialogue.greeting())
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Answer whatever is complete."""
        if self._closing:
            return
        self.last_heard = self._loop.time()
        self._buffer += data
        if self._waits():
            if len(self._buffer) > FULLEST_BUFFER and self._transport is not None:
                self._transport.pause_reading()
        elif self._settings.delay_before_reply > 0:
            self._wait(self._settings.delay_before_reply, Turn(""))
        else:
            self._pump()

    def eof_received(self) -> bool:
        """The client says no more; what it asked is answered, if a connection can be half open."""
        self._ended = True
        return self._waits() and not self._closing and not self._dialogue.encrypted

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget everything; what is not in the ledger was never taken."""
        self._closing = True
        self._transport = None
        self._buffer.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._relay.left(self)

    def pause_writing(self) -> None:
        """The client does not read its answers, so it gets no more of them."""
        self._blocked = True

    def resume_writing(self) -> None:
        """It reads again."""
        self._blocked = False
        if not self._waits():
            self._release()

    # What the relay asks

    def cut(self) -> None:
        """End the connection without a word more."""
        self._closing = True
        if self._transport is not None:
            self._flush()
            self._transport.close()

    def abort(self) -> None:
        """End the connection at once, whatever still waits to be sent."""
        self._closing = True
        if self._transport is not None:
            self._transport.abort()

    def dismiss_idle(self) -> None:
        """End a connection that was silent for too long."""
        if self._blocked:
            self.abort()
        elif not self._waits() and not self._closing:
            self._apply(
                Turn(f"421 4.4.2 {self._settings.name} Error: timeout exceeded", Then.CLOSE)
            )
            self._flush()

    # The pump

    def _waits(self) -> bool:
        return self._timer is not None or self._blocked or self._upgrading

    def _wait(self, seconds: float, turn: Turn) -> None:
        self._timer = self._loop.call_later(seconds, self._go_on, turn)

    def _go_on(self, turn: Turn) -> None:
        self._timer = None
        self.last_heard = self._loop.time()
        self._apply(turn)
        self._release()

    def _release(self) -> None:
        if self._transport is not None:
            self._transport.resume_reading()
        self._pump()

    def _pump(self) -> None:
        try:
            while not self._closing and not self._waits():
                turn = self._content() if self._in_data else self._line()
                if turn is None:
                    break
                self._apply(turn)
        except Exception:
            # Somebody else's behaviour may fail; the client still needs an answer.
            logger.exception("The relay failed while it answered")
            self._apply(Turn("421 4.3.0 Error: internal error", Then.CLOSE))
        self._flush()
        if self._ended and not self._waits() and not self._closing:
            self.cut()

    def _apply(self, turn: Turn) -> None:
        if turn.wait > 0:
            self._flush()
            self._wait(turn.wait, turn._replace(wait=0.0))
            return
        if turn.reply:
            self._replies.append(turn.reply)
        match turn.then:
            case Then.GO_ON:
                pass
            case Then.READ_DATA:
                self._begin_content()
            case Then.CUT:
                self.cut()
            case Then.CLOSE:
                self._close()
            case Then.START_TLS:
                self._begin_tls()

    def _flush(self) -> None:
        if self._replies and self._transport is not None:
            self._replies.append("")
            data = "\r\n".join(self._replies).encode("utf-8", "replace")
            self._replies.clear()
            self._transport.write(data)

    def _close(self) -> None:
        self._flush()
        self._closing = True
        transport = self._transport
        if transport is None:
            return
        if self._ended or not transport.can_write_eof():
            transport.close()
            return
        # Closing with unread bytes resets the connection, and the client might never see the reply.
        try:
            transport.write_eof()
        except OSError:  # the client is gone already
            transport.close()
            return
        self._timer = self._loop.call_later(LINGER, transport.close)

    # Lines and content

    def _line(self) -> Turn | None:
        end = self._buffer.find(b"\n")
        if end < 0:
            return self._unended(len(self._buffer))
        if end >= LONGEST_UNENDED_LINE:
            return self._unended(end)
        line = bytes(self._buffer[: end + 1])
        del self._buffer[: end + 1]
        if self._buffer and not self._dialogue.may_pipeline and line[:8].upper() != b"STARTTLS":
            # Only PIPELINING allows to speak before the last answer is there.
            return Turn("503 5.5.0 Error: improper use of SMTP command pipelining", Then.CLOSE)
        return self._dialogue.line(line)

    def _unended(self, octets: int) -> Turn | None:
        if octets < LONGEST_UNENDED_LINE:
            return None
        return Turn("500 5.5.2 Error: line too long", Then.CLOSE)

    def _begin_content(self) -> None:
        if self._buffer:
            # DATA ends a group (RFC 2920 3.1): who sends on before the 354 reads no answers.
            self._replies.pop()
            self._replies.append("503 5.5.0 Error: improper use of SMTP command pipelining")
            self._close()
            return
        self._in_data, self._too_big, self._searched = True, False, 0

    def _content(self) -> Turn | None:
        buffer = self._buffer
        if buffer and self._dialogue.cuts_in_data():
            return Turn("", Then.CUT)
        if not self._too_big and buffer.startswith(b".\r\n"):
            return self._finish(content=b"", used=3)
        end = buffer.find(END, self._searched)
        if end >= 0:
            return self._finish(content=bytes(buffer[: end + 2]), used=end + len(END))
        self._searched = max(0, len(buffer) - len(END) + 1)
        if len(buffer) > self._biggest():
            # The last octets may be the beginning of the end.
            self._too_big = True
            del buffer[: self._searched]
            self._searched = 0
        return self._unended(len(buffer) - buffer.rfind(b"\n") - 1)

    def _finish(self, *, content: bytes, used: int) -> Turn:
        del self._buffer[:used]
        self._in_data = False
        if self._buffer and not self._dialogue.may_pipeline:
            return Turn("503 5.5.0 Error: improper use of SMTP command pipelining", Then.CLOSE)
        if self._too_big or len(content) > self._biggest():
            return self._dialogue.message_too_big()
        return self._dialogue.message(content)

    def _biggest(self) -> int:
        return min(self._settings.size_limit or BIGGEST_MESSAGE, BIGGEST_MESSAGE)

    # TLS

    def _begin_tls(self) -> None:
        self._upgrading = True
        self._flush()
        # Plain bytes that came with the command may be slipped in by a stranger (RFC 3207 4.2).
        self._buffer.clear()
        if self._transport is not None:
            self._transport.pause_reading()
        self._relay.keep_task(self._loop.create_task(self._upgrade()))

    async def _upgrade(self) -> None:
        transport, context = self._transport, self._settings.tls
        if transport is None or context is None:
            return
        try:
            upgraded = await self._loop.start_tls(
                transport, self, context, server_side=True, ssl_handshake_timeout=HANDSHAKE
            )
        except (OSError, asyncio.CancelledError) as error:
            # ssl.SSLError is an OSError; asyncio tells us nothing of a failed handshake otherwise.
            transport.abort()
            self.connection_lost(None)
            if isinstance(error, asyncio.CancelledError):
                raise
            return
        if upgraded is None or self._closing:
            transport.abort()
            return
        self._transport = upgraded
        self._dialogue.now_encrypted()
        self._upgrading = False
        self._pump()
