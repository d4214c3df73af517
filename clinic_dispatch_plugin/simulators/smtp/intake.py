"""Where a message ends whose final dot has come: judged, kept, written down, then answered."""

from __future__ import annotations

import logging
import re
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime

from clinic_dispatch_plugin.simulators.smtp.behaviours import Ending, Verdict
from clinic_dispatch_plugin.simulators.smtp.ledger import Ledger, LedgerLine
from clinic_dispatch_plugin.simulators.smtp.mailbox import open_mailbox
from clinic_dispatch_plugin.simulators.smtp.replies import CUT, RefusedError, Turn
from clinic_dispatch_plugin.simulators.smtp.settings import RelaySettings

logger = logging.getLogger(__name__)

_MESSAGE_ID = re.compile(
    rb"^message-id:(?:[ \t]|\r\n[ \t])*([^\r\n]*)", re.IGNORECASE | re.MULTILINE
)
#: A line of text without its CRLF, and without the dot that transparency adds (RFC 5321 4.5.3.1.6).
LONGEST_TEXT_LINE = 998


@dataclass(slots=True, kw_only=True)
class Counters:
    """What has happened since the start; read them from any thread, only the relay writes them."""

    connections: int = 0
    connections_open: int = 0
    #: Final dots seen.
    messages: int = 0
    #: Messages taken and, unless the connection was cut, answered with 250.
    accepted: int = 0
    #: Messages refused after the dot.
    refused: int = 0
    #: Messages whose answer never came: the scenario ``lost`` and the ones cut on purpose.
    unanswered: int = 0
    recipients_refused: int = 0
    #: Commands that no client should send so or there.
    protocol_errors: int = 0
    #: Recipients by scenario, counted when the RCPT came.
    scenarios: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True, kw_only=True)
class Envelope:
    """One mail transaction (RFC 5321 3.3)."""

    sender: str
    envid: str | None = None
    eightbit: bool = False
    smtputf8: bool = False
    recipients: list[tuple[str, Verdict]] = field(default_factory=list)

    def ends_with(self, ending: Ending) -> bool:
        """Whether a recipient wants the connection to end so."""
        return any(verdict.ending is ending for _, verdict in self.recipients)


class Intake:
    """Takes messages for all connections of a relay."""

    def __init__(self, settings: RelaySettings) -> None:
        """Open ledger and mailbox.

        :raises OSError: ledger or mailbox cannot be opened.
        """
        self.counters = Counters()
        self._cut_every = settings.cut_after_dot_every
        self._latency = settings.latency
        self._ledger = (
            Ledger(settings.ledger, fsync=settings.ledger_fsync)
            if settings.ledger is not None
            else None
        )
        self._mailbox = open_mailbox(settings.mailbox)
        self._last_id = 0

    def close(self) -> None:
        """Close the ledger."""
        if self._ledger is not None:
            self._ledger.close()

    def receive(self, envelope: Envelope, raw: bytes) -> Turn:
        """Judge a message and take or refuse it.

        :param raw: the content as it came, with its dots, without the final one.
        :returns: the answer to the final dot, with the relay's latency.
        """
        self.counters.messages += 1
        try:
            turn = self._take(envelope, _content(envelope, raw))
        except RefusedError as refused:
            turn = self.refuse(refused.reply)
        except OSError:
            logger.exception("The relay cannot store a message")
            turn = self.refuse("451 4.3.0 Error: queue file write error")
        return turn._replace(wait=self._latency) if self._latency else turn

    def refuse(self, reply: str) -> Turn:
        """The refusal of a whole message."""
        self.counters.refused += 1
        return Turn(reply)

    def _take(self, envelope: Envelope, content: bytes) -> Turn:
        refusal = next(
            (v.after_data for _, v in envelope.recipients if v.after_data is not None), None
        )
        if refusal is not None:
            raise RefusedError(refusal)
        lost = envelope.ends_with(Ending.CLOSES_AFTER_DOT)
        queue_id, at = self._next_id(), datetime.now(UTC)
        # Kept first: a ledger line must never stand for a message that could not be stored.
        if self._mailbox is not None and not lost:
            self._mailbox.keep(content, queue_id=queue_id, sender=envelope.sender, at=at)
        if self._ledger is not None:
            self._ledger.append(
                _lines(envelope, content, queue_id=queue_id, at=at, accepted=not lost)
            )
        if lost:
            self.counters.unanswered += 1
            return CUT
        self.counters.accepted += 1
        if self._cut_every and self.counters.accepted % self._cut_every == 0:
            self.counters.unanswered += 1
            return CUT
        return Turn(f"250 2.0.0 Ok: queued as {queue_id}")

    def _next_id(self) -> str:
        # Ten hexadecimal digits of microseconds come again after twelve days.
        self._last_id = max(self._last_id + 1, time.time_ns() // 1000)
        return f"{self._last_id & 0xFF_FFFF_FFFF:010X}"


def _content(envelope: Envelope, raw: bytes) -> bytes:
    """The message without transparency dots (RFC 5321 4.5.2).

    :raises RefusedError: it breaks the rules for content.
    """
    pairs = raw.count(b"\r\n")
    if raw.count(b"\n") != pairs or raw.count(b"\r") != pairs:
        raise RefusedError("550 5.6.0 Malformed message: bare <CR> or <LF> (RFC 5321 2.3.8)")
    if b"\0" in raw:
        raise RefusedError("550 5.6.0 Malformed message: NUL (RFC 5322 2.2)")
    content = raw
    if content.startswith(b"."):
        content = content[1:]
    if b"\r\n." in content:
        content = content.replace(b"\r\n.", b"\r\n")
    if (
        len(content) > LONGEST_TEXT_LINE
        and max(map(len, content.split(b"\r\n"))) > LONGEST_TEXT_LINE
    ):
        raise RefusedError("500 5.6.0 Line too long (RFC 5321 4.5.3.1.6)")
    if not content.isascii():
        _check_eightbit(envelope, content)
    return content


def _check_eightbit(envelope: Envelope, content: bytes) -> None:
    header, _, body = content.partition(b"\r\n\r\n")
    if not header.isascii() and not envelope.smtputf8:
        raise RefusedError("554 5.6.9 Header holds raw UTF-8, which needs SMTPUTF8 (RFC 6531 3.6)")
    if not body.isascii() and not envelope.eightbit:
        raise RefusedError(
            "554 5.6.3 Body holds 8-bit data, which needs BODY=8BITMIME (RFC 6152 3)"
        )


def _lines(
    envelope: Envelope, content: bytes, *, queue_id: str, at: datetime, accepted: bool
) -> list[LedgerLine]:
    found = _MESSAGE_ID.search(content, 0, content.find(b"\r\n\r\n") + 1 or len(content))
    message_id = found[1].strip().decode("utf-8", "replace") if found is not None else None
    return [
        LedgerLine(
            at=at,
            envid=envelope.envid,
            message_id=message_id,
            sender=envelope.sender,
            recipient=recipient,
            scenario=verdict.scenario,
            accepted=accepted,
            size=len(content),
            queue_id=queue_id,
        )
        for recipient, verdict in envelope.recipients
    ]
