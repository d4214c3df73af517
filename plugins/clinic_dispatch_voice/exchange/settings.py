"""What every exchange's URL may say about its calls."""

from __future__ import annotations

import ipaddress
import re
from array import array
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clinic_dispatch_plugin.api import GatewayUrl
from clinic_dispatch_sms.gateway import GatewaySettings
from clinic_dispatch_voice.exchange.audio import Law, UnplayableError, read_wav
from clinic_dispatch_voice.exchange.conversation import LEAVE_IT, OFF, TRY_AGAIN

_NUMBER = re.compile(r"\+?[0-9]{2,15}")
_LAWS = {"alaw": (Law.A, Law.MU), "ulaw": (Law.MU, Law.A)}


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSettings(GatewaySettings):
    """How calls are made. All times in seconds."""

    #: The number that is shown to whoever is called.
    sender: str
    #: What stands before a number, and whether it keeps its plus sign.
    prefix: str = ""
    plus: bool = True
    #: Kinds of sound, the one we like best first.
    laws: tuple[Law, ...] = _LAWS["alaw"]
    #: Calls at once.
    connections: int = 2
    #: How long it rings.
    ring: float = 30.0
    #: For each answer of the exchange, people apart.
    timeout: float = 32.0
    #: How often the message is said to somebody who presses nothing.
    repeat: int = 2
    #: Whether a key is asked for.
    keys: bool = True
    #: What a machine that answers means.
    machine: str = OFF
    #: What is played instead of speaking the text; None: it is spoken.
    recording: array[int] | None = field(default=None, repr=False)
    #: Where numbers are written down while they are called; empty: among the temporary files.
    folder: str = ""
    #: Our address for the sound, and our ports; empty and None: found by itself.
    rtp_host: str = ""
    rtp_ports: tuple[int, int] | None = None
    #: A person typed where to: private networks and hosts it may be in.
    allowed: tuple[str, ...] | None = None

    def dialled(self, address: str) -> str:
        """A number as the exchange wants it."""
        return self.prefix + (address if self.plus else address.removeprefix("+"))


def read_calls(url: GatewayUrl) -> dict[str, Any]:
    """The options that all exchanges have.

    :raises ConfigurationError: one of them is wrong.
    """
    sender = url.text("sender")
    if not _NUMBER.fullmatch(sender):
        raise url.wrong("sender is a number of yours; write + as %2B.")
    prefix = url.text("prefix", longest=8)
    if not re.fullmatch(r"[0-9*#]*", prefix):
        raise url.wrong("prefix has digits alone, such as 0.")
    return {
        "sender": sender,
        "prefix": prefix,
        "plus": url.switch("plus", True),
        "laws": _LAWS[url.choice("codec", "alaw", tuple(_LAWS))],
        "connections": url.whole("calls", 2, lowest=1, highest=50),
        "rate": url.rate(),
        "ring": url.seconds("ring", 30.0),
        "timeout": url.seconds("timeout", 32.0),
        "repeat": url.whole("repeat", 2, lowest=1, highest=5),
        "keys": url.switch("keys", True),
        "machine": url.choice("machine", OFF, (OFF, TRY_AGAIN, LEAVE_IT)),
        "recording": _recording(url),
        "folder": _folder(url),
        "rtp_host": _host(url),
        "rtp_ports": _ports(url),
        "allowed": url.allowed,
    }


def _recording(url: GatewayUrl) -> array[int] | None:
    path = url.text("recording", longest=300)
    if not path:
        return None
    if url.allowed is not None:
        raise url.wrong("recording: a file of this machine is named in the configuration alone.")
    try:
        return read_wav(Path(path).read_bytes())
    except OSError as error:
        raise url.wrong(f"recording cannot be read: {error.strerror}.") from None
    except UnplayableError as error:
        raise url.wrong(f"recording: {error}.") from None


def _folder(url: GatewayUrl) -> str:
    folder = url.text("folder", longest=300)
    if folder and url.allowed is not None:
        raise url.wrong("folder: a folder of this machine is named in the configuration alone.")
    return folder


def _host(url: GatewayUrl) -> str:
    text = url.text("rtp_host")
    try:
        return str(ipaddress.ip_address(text)) if text else ""
    except ValueError:
        raise url.wrong("rtp_host is an IP address of this machine.") from None


def _ports(url: GatewayUrl) -> tuple[int, int] | None:
    text = url.text("rtp_ports")
    if not text:
        return None
    found = re.fullmatch(r"(\d{4,5})-(\d{4,5})", text)
    first, last = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1024 <= first < last <= 65535:
        raise url.wrong("rtp_ports are two ports, such as 10000-10100.")
    return first, last
