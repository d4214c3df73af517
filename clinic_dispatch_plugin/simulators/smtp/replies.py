"""What a step of the dialogue results in, and the replies that need no variable."""

from __future__ import annotations

from enum import Enum, auto
from typing import NamedTuple


class Then(Enum):
    """What the connection does once the reply is out."""

    GO_ON = auto()
    #: The content of a message follows.
    READ_DATA = auto()
    START_TLS = auto()
    #: Say the reply, give the client the time to read it, close.
    CLOSE = auto()
    #: Break off: what was said before still goes out, nothing else does.
    CUT = auto()


class Turn(NamedTuple):
    """One step: the reply (a line without its end, or several, or none) and what follows."""

    reply: str
    then: Then = Then.GO_ON
    #: Seconds to wait before the reply.
    wait: float = 0.0


class RefusedError(Exception):
    """A command cannot be obeyed; the argument is the reply."""

    def __init__(self, reply: str) -> None:
        super().__init__(reply)
        self.reply = reply


OK = Turn("250 2.0.0 Ok")
MAIL_OK = Turn("250 2.1.0 Ok")
RCPT_OK = Turn("250 2.1.5 Ok")
GO_AHEAD = Turn("354 End data with <CR><LF>.<CR><LF>", Then.READ_DATA)
CUT = Turn("", Then.CUT)
BARE_LINE_END = "5.5.2 Error: bare <CR> or <LF> received"
