"""How an exchange is set up; all times in seconds."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path

from clinic_dispatch_plugin.simulators.sip.plans import Behaviour, ByNumber


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeSettings:
    """Everything about one exchange."""

    host: str = "127.0.0.1"
    #: 0: any free port; the same one for datagrams and connections.
    port: int = 0
    #: None: whoever calls is let through.
    user: str | None = None
    password: str = field(default="", repr=False)
    #: 407 or 401: who asks for the password.
    challenge: int = 407
    #: Offered in this order.
    algorithms: tuple[str, ...] = ("SHA-256", "MD5")
    #: A server context with its certificate; connections then begin with TLS, and there are no datagrams.
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    ledger: Path | None = None
    behaviour: Behaviour = field(default_factory=ByNumber)
    #: From ringing to answering.
    ring_seconds: float = 0.05
    #: What the way *slow* takes.
    slow_seconds: float = 3.0
    #: From answering to pressing a key.
    press_after: float = 0.5
    #: From answering to hanging up, for those who do at once.
    hang_up_after: float = 0.1
    #: How long a machine greets.
    greeting_seconds: float = 4.0
    #: What 503 asks the caller to wait; 0: it does not say.
    retry_after: int = 0
    #: Calls at once; more get 503. 0: any number.
    lines: int = 0
