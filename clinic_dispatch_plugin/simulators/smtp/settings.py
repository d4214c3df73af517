"""How a relay is set up: where it listens, what it offers and keeps, which faults it has."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path

from clinic_dispatch_plugin.simulators.smtp.behaviours import Behaviour, ScriptedBehaviour


@dataclass(frozen=True, slots=True, kw_only=True)
class RelaySettings:
    """Everything about one relay; all times in seconds."""

    host: str = "127.0.0.1"
    #: 0: any free port.
    port: int = 0
    #: The name in the greeting.
    name: str = "relay.example"
    #: Where to write what was taken (see ``ledger``); None: nowhere.
    ledger: Path | None = None
    #: Whether each line waits for the disk.
    ledger_fsync: bool = False
    #: A folder gets one ``.eml`` per accepted message; a path ending in ``.mbox`` is one file.
    mailbox: Path | None = None
    #: Its content is the mode, see ``modes.Mode``.
    mode_file: Path | None = None
    behaviour: Behaviour = field(default_factory=ScriptedBehaviour)

    #: None: nobody has to sign in.
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    #: AUTH is offered on encrypted connections only.
    auth_requires_tls: bool = False
    #: A server context with its certificate; STARTTLS is offered unless ``implicit_tls``.
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    #: TLS from the first byte (RFC 8314 3.3).
    implicit_tls: bool = False

    #: Without it, commands that come in one go are refused: nobody may send them then (RFC 2920).
    pipelining: bool = True
    #: Without it, or without ``BODY=8BITMIME``, bytes above 127 are refused (RFC 6152 3).
    eightbitmime: bool = True
    smtputf8: bool = True
    dsn: bool = True
    #: Octets; 0: SIZE is offered without naming a limit (RFC 1870 4); None: SIZE is not offered.
    size_limit: int | None = 10_240_000
    #: DATA without a valid recipient gets 354 and is refused after the dot (RFC 2920 3.1 allows
    #: it); else 554 at once.
    data_without_recipients: bool = False
    #: 421 to the MAIL that would be one message more on this connection; 0: no limit.
    messages_per_connection: int = 0

    #: Between the final dot and its answer; the ledger is written at the dot.
    latency: float = 0.0
    #: Before each group of answers, as a long way through the network would cause.
    delay_before_reply: float = 0.0
    #: What the mode *slow* adds.
    slow_seconds: float = 5.0
    #: A client that is silent for longer gets 421 (RFC 5321 4.5.3.2.7: five minutes at least).
    idle_seconds: float = 300.0
    #: Each n-th message is taken as usual, but the connection ends instead of the answer; 0: never.
    cut_after_dot_every: int = 0

    def __post_init__(self) -> None:
        if self.implicit_tls and self.tls is None:
            raise ValueError("TLS from the first byte needs a context with a certificate (tls=…)")
        if (self.username is None) != (self.password is None):
            raise ValueError("a user name and a password belong together: give both or none")
