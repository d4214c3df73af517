"""The signature over the fields of requests and receipts."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Mapping

from clinic_dispatch_plugin.api import CallbackRefused
from clinic_dispatch_sms.called import same

#: Seconds a signed receipt may be old, or a clock be wrong.
TOLERANCE = 600


def signature(fields: Mapping[str, str], secret: str, method: str) -> str:
    """All fields in the order of their names; ``&`` and ``=`` inside a value become ``_``."""
    whole = "".join(
        f"&{name}={fields[name].replace('&', '_').replace('=', '_')}"
        for name in sorted(fields)
        if name != "sig"
    ).encode("utf-8", "replace")
    if method == "md5hash":
        return hashlib.md5(whole + secret.encode(), usedforsecurity=False).hexdigest()
    return hmac.new(secret.encode(), whole, method).hexdigest()


def signed(fields: Mapping[str, str], secret: str, method: str) -> dict[str, str]:
    """The fields with the time and their signature."""
    timed = {**fields, "timestamp": str(int(time.time()))}
    return {**timed, "sig": signature(timed, secret, method)}


def prove(fields: Mapping[str, str], secret: str, method: str, *, now: float | None = None) -> None:
    """Look at a receipt's signature and time.

    :param now: seconds since 1970; None: the clock's.
    :raises CallbackRefused: it is forged, or old.
    """
    if not same(fields.get("sig", "").lower(), signature(fields, secret, method)):
        raise CallbackRefused("the signature is wrong or missing")
    stamp = fields.get("timestamp", "")
    moment = time.time() if now is None else now
    if not (stamp.isascii() and stamp.isdigit()) or abs(moment - int(stamp[:15])) > TOLERANCE:
        raise CallbackRefused("it is too old, or from the future")
