"""How a simulated Asterisk is set up; all times in seconds."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path

from clinic_dispatch_plugin.simulators.sip.plans import Behaviour, ByNumber


@dataclass(frozen=True, slots=True, kw_only=True)
class AsteriskSettings:
    """Everything about one Asterisk."""

    host: str = "127.0.0.1"
    #: 0: any free port.
    port: int = 0
    user: str = "clinic"
    password: str = field(default="secret", repr=False)
    #: A server context with its certificate; None: no TLS.
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    ledger: Path | None = None
    behaviour: Behaviour = field(default_factory=ByNumber)
    ring_seconds: float = 0.05
    #: What the way *slow* takes.
    slow_seconds: float = 3.0
    #: From the first sound to pressing a key, and to hanging up for those who do at once.
    press_after: float = 0.5
    hang_up_after: float = 0.1
    #: How long a machine greets.
    greeting_seconds: float = 4.0
