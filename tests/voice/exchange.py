"""Recordings and accounts for tests of calls through an exchange."""

from __future__ import annotations

import math
import struct
import wave
from pathlib import Path
from urllib.parse import quote

from clinic_dispatch_plugin.api import Account
from clinic_dispatch_plugin.simulators.ari import AriSimulator
from clinic_dispatch_plugin.simulators.sip import SipSimulator
from clinic_dispatch_voice.settings import URL, load_accounts

SENDER = "%2B493012345678"


def recording(folder: Path, seconds: float, *, rate: int = 8_000, channels: int = 1) -> Path:
    """A tone that can be played."""
    path = folder / f"tone-{seconds}-{rate}-{channels}.wav"
    count = round(seconds * rate)
    tone = [round(8_000 * math.sin(math.tau * 440 * at / rate)) for at in range(count)]
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(b"".join(struct.pack("<h", each) * channels for each in tone))
    return path


def account_at(exchange: SipSimulator, sound: Path | None = None, **options: str) -> Account:
    """The account as the configuration would have it."""
    options = {"timeout": "1.2", "ring": "5", **options}
    if sound is not None:
        options = {"recording": str(sound), **options}
    more = "".join(f"&{name}={quote(value, safe='')}" for name, value in options.items())
    (account,) = load_accounts({URL: f"{exchange.url}/?sender={SENDER}{more}"})
    return account


def account_at_asterisk(asterisk: AriSimulator, sound: Path, **options: str) -> Account:
    """The same at an Asterisk."""
    options = {
        "endpoint": "PJSIP/{number}@trunk",
        "timeout": "1.2",
        "ring": "5",
        "recording": str(sound),
        **options,
    }
    more = "".join(f"&{name}={quote(value, safe='')}" for name, value in options.items())
    login = f"clinic:{quote(asterisk.settings.password, safe='')}"
    more += "&tls=on" if asterisk.settings.tls is not None else ""
    url = f"ari://{login}@127.0.0.1:{asterisk.port}/?sender={SENDER}{more}"
    (account,) = load_accounts({URL: url})
    return account
