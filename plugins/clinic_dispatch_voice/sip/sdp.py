"""What two ends agree on for the sound of a call (RFC 4566 and 3264): G.711, and keys as events."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from clinic_dispatch_voice.exchange.audio import Law
from clinic_dispatch_voice.exchange.rtp import TYPES

_EVENTS = 101


class NoSoundError(Exception):
    """The far end offers no sound we can make or hear."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreed:
    """Where the far end hears, how, and as what keys come."""

    host: str
    port: int
    law: Law
    event_type: int | None


def offer(host: str, port: int, laws: tuple[Law, ...], *, version: int = 1) -> bytes:
    """What we can do, best first."""
    kinds = [TYPES[law] for law in laws]
    family = "IP6" if ":" in host else "IP4"
    lines = [
        "v=0",
        f"o=- {port} {version} IN {family} {host}",
        "s=-",
        f"c=IN {family} {host}",
        "t=0 0",
        f"m=audio {port} RTP/AVP {' '.join(map(str, kinds))} {_EVENTS}",
        *(f"a=rtpmap:{TYPES[law]} {law}/8000" for law in laws),
        f"a=rtpmap:{_EVENTS} telephone-event/8000",
        f"a=fmtp:{_EVENTS} 0-15",
        "a=ptime:20",
        "a=sendrecv",
    ]
    return "\r\n".join([*lines, ""]).encode()


def agreed(body: bytes, laws: tuple[Law, ...]) -> Agreed:
    """What the far end chose.

    :raises NoSoundError: nothing we offered, or it cannot be read.
    """
    common = host = ""
    port, kinds, names, inside = 0, [], {}, False
    for line in body.decode("utf-8", "replace").splitlines():
        kind, _, value = line.partition("=")
        if kind == "m":
            found = re.match(r"audio (\d+)(?:/\d+)? RTP/AVP((?: \d+)+)", value)
            inside = found is not None and port == 0
            if found and inside:
                port, kinds = int(found[1]), [int(each) for each in found[2].split()]
        elif kind == "c" and (words := value.split()) and len(words) == 3:
            address = words[2].partition("/")[0]
            common, host = (common, address) if inside else (address, host)
        elif inside and (found := re.match(r"rtpmap:(\d+) ([\w-]+)/8000", value)):
            names[int(found[1])] = found[2].upper()
    law = next((law for each in kinds for law in laws if TYPES[law] == each), None)
    if law is None or not 0 < port < 65536:
        raise NoSoundError("the exchange took none of the sounds we offered")
    events = (each for each in kinds if names.get(each) == "TELEPHONE-EVENT")
    return Agreed(host=_address(host or common), port=port, law=law, event_type=next(events, None))


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise NoSoundError("the exchange names no address for the sound") from None
