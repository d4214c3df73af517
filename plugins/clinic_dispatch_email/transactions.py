"""The mail transactions of one signed-in connection: which bytes go next, and what each reply says about whom.

Knows no socket. Where PIPELINING is offered, the end of one message and the whole envelope of the next go in one write
(RFC 2920 3.1); without it every command waits for its reply. Only one message's text is ever under way, so at most two
messages are in hand.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import StrEnum

from clinic_dispatch_email.mime import FINAL_DOT, Mail
from clinic_dispatch_email.replies import NotSmtpError, Reply
from clinic_dispatch_plugin.api import (
    Accepted,
    AccountError,
    Answer,
    NotSent,
    OutgoingMessage,
    Refused,
    SendResult,
    Uncertain,
)

#: Answers to MAIL that speak of the sign-in and not of a message (RFC 4954 6).
_SIGN_IN_FIRST = {530, 534, 535, 538}


class Command(StrEnum):
    """What a reply is awaited for; the value is how a time-out names it."""

    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    TEXT = "the message text"
    #: A lone dot where DATA was granted although nobody would get the text (RFC 2920 3.1).
    EMPTY = "the end of an empty text"
    RSET = "RSET"
    NOOP = "NOOP"


class Flight:
    """One message in hand."""

    __slots__ = ("dot_at", "mail", "message", "refusal")

    def __init__(self, message: OutgoingMessage, mail: Mail) -> None:
        self.message = message
        self.mail = mail
        #: The first refusal of its envelope.
        self.refusal: Reply | None = None
        #: Where in the connection's stream its final dot ends; 0: not yet queued.
        self.dot_at = 0


class GoodbyeError(Exception):
    """The connection cannot go on; what is in hand has to be settled.

    :param answer: the server's words, or ours about it.
    """

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.code)
        self.answer = answer


#: Gives the next message, or None when there is none now.
Take = Callable[[], Flight | None]


class Transactions:
    """One connection's messages in order."""

    def __init__(
        self, *, pipelining: bool, depth: int, deliver: Callable[[SendResult], None]
    ) -> None:
        """Begin without any message.

        :param depth: messages in hand at most: 1 or 2.
        :param deliver: gets each result once.
        """
        self._pipelining = pipelining
        self._overlap = pipelining and depth > 1
        self._deliver = deliver
        self._script: deque[tuple[Command, Flight | None, bytes]] = deque()
        self._awaited: deque[tuple[Command, Flight | None]] = deque()
        self._in_hand: deque[Flight] = deque()
        self._granted: Flight | None = None
        self._must_reset = False
        #: Messages that the server has answered, whatever it said.
        self.answered = 0
        #: Messages begun.
        self.begun = 0

    @property
    def awaited(self) -> Command | None:
        """What the next reply will answer."""
        return self._awaited[0][0] if self._awaited else None

    @property
    def in_hand(self) -> int:
        """Messages begun that have no result."""
        return len(self._in_hand)

    @property
    def busy(self) -> bool:
        """Whether a message is in hand or a reply awaited."""
        return bool(self._in_hand or self._awaited or self._script)

    def next_bytes(self, take: Take | None, *, at: int) -> tuple[bytes, int]:
        """What to write now, and where in the stream a final dot in it ends (0: none).

        Only to be called when no reply is awaited.

        :param take: None: no new message.
        :param at: how many octets were queued on this connection before.
        """
        if not self._script:
            self._plan(take)
        if not self._script:
            return b"", 0
        chosen = list(self._script) if self._pipelining else [self._script[0]]
        dot_at = end = at
        for command, flight, data in chosen:
            end += len(data)
            if command is Command.TEXT and flight is not None:
                dot_at = flight.dot_at = end
            self._awaited.append((command, flight))
            self._script.popleft()
        return b"".join([data for _, _, data in chosen]), dot_at if dot_at > at else 0

    def ask_whether_alive(self) -> bytes:
        """A command that changes nothing."""
        self._awaited.append((Command.NOOP, None))
        return b"NOOP\r\n"

    def on_reply(self, reply: Reply, *, written: int) -> None:
        """Understand one reply.

        :param written: octets of this connection that the operating system has taken.
        :raises GoodbyeError: the server ends the connection, or it is no longer clear who is answered.
        :raises AccountError: it wants another sign-in first.
        """
        if not self._awaited:
            raise GoodbyeError(reply.answer())
        command, flight = self._awaited.popleft()
        if flight is None:
            if reply.code >= 300:
                raise GoodbyeError(reply.answer())
        elif command is Command.TEXT:
            self._on_final(flight, reply, written=written)
        elif command is Command.EMPTY:
            self._refuse(flight)
        elif reply.code == 421:
            self._on_leaving(command, flight, reply)
        elif command is Command.DATA:
            self._on_data(flight, reply)
        else:
            self._on_envelope(command, flight, reply)

    def settle(self, why: Answer, *, written: int) -> None:
        """The connection is gone: say of each message in hand what is known (RFC 5321 3.8, RFC 1047).

        :param why: what happened, for those that were not sent.
        :param written: octets that the operating system took in all.
        """
        while self._in_hand:
            flight = self._in_hand.popleft()
            key = flight.message.attempt_id
            if flight.refusal is not None:
                self._deliver(Refused(attempt_id=key, answer=flight.refusal.answer()))
            elif flight.dot_at and written >= flight.dot_at:
                words = "connection closed after the message text was handed over"
                if why.code == "timeout":
                    words = f"the message text was handed over, then {why.text}"
                answer = Answer(system="dispatch", code="connection_lost", text=words)
                self._deliver(Uncertain(attempt_id=key, answer=answer))
            else:
                self._deliver(NotSent(attempt_id=key, answer=why))
        self._script.clear()
        self._awaited.clear()

    def _plan(self, take: Take | None) -> None:
        script = self._script
        granted, self._granted = self._granted, None
        if granted is not None:
            if granted.refusal is None:
                script.append((Command.TEXT, granted, granted.mail.data))
            else:
                script.append((Command.EMPTY, granted, FINAL_DOT))
            if not self._overlap:
                return
        flight = take() if take is not None else None
        if flight is None:
            return
        self.begun += 1
        self._in_hand.append(flight)
        if self._must_reset:
            self._must_reset = False
            script.append((Command.RSET, None, b"RSET\r\n"))
        script.append((Command.MAIL, flight, flight.mail.mail_command))
        script.append((Command.RCPT, flight, flight.mail.rcpt_command))
        script.append((Command.DATA, flight, b"DATA\r\n"))

    def _on_leaving(self, command: Command, flight: Flight, reply: Reply) -> None:
        """421 inside an envelope: at MAIL it speaks of the connection, later of the message too."""
        if command is not Command.MAIL:
            self.answered += 1
            flight.refusal = flight.refusal or reply
        raise GoodbyeError(reply.answer())

    def _on_envelope(self, command: Command, flight: Flight, reply: Reply) -> None:
        if reply.code < 300:
            return
        if reply.code < 400:
            raise _out_of_step(command, reply)
        if command is Command.MAIL and reply.code in _SIGN_IN_FIRST:
            raise AccountError(reply.answer())
        flight.refusal = flight.refusal or reply
        if not self._pipelining:
            self._script.clear()  # RCPT and DATA need not be tried any more
            self._must_reset = True
            self._refuse(flight)

    def _on_data(self, flight: Flight, reply: Reply) -> None:
        if reply.code == 354:
            self._granted = flight
        elif reply.code >= 400:
            flight.refusal = flight.refusal or reply
            self._must_reset = True
            self._refuse(flight)
        else:
            raise _out_of_step(Command.DATA, reply)

    def _on_final(self, flight: Flight, reply: Reply, *, written: int) -> None:
        early = written < flight.dot_at
        if reply.code >= 400:
            if early and reply.code == 421:
                raise GoodbyeError(reply.answer())
            flight.refusal = reply
            self._refuse(flight)
            if early or reply.code == 421:  # it will not read the rest, or leaves
                raise GoodbyeError(reply.answer())
        elif early or reply.code >= 300:
            raise _out_of_step(Command.TEXT, reply)
        else:
            self._in_hand.popleft()
            self.answered += 1
            self._deliver(
                Accepted(
                    attempt_id=flight.message.attempt_id,
                    provider_id=reply.queue_id(),
                    text=reply.text,
                )
            )

    def _refuse(self, flight: Flight) -> None:
        assert flight.refusal is not None
        self._in_hand.popleft()
        self.answered += 1
        self._deliver(Refused(attempt_id=flight.message.attempt_id, answer=flight.refusal.answer()))


def _out_of_step(command: Command, reply: Reply) -> NotSmtpError:
    return NotSmtpError(f"{reply.code} as the answer to {command}")
