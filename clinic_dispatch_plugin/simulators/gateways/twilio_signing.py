"""What Twilio's messages and calls share: identifiers, and reports that carry a signature."""

from __future__ import annotations

import base64
import hmac
import secrets
from collections.abc import Mapping
from urllib.parse import urlencode

from clinic_dispatch_plugin.simulators.gateways.callbacks import Report
from clinic_dispatch_plugin.simulators.gateways.settings import GatewaySettings


def sid(prefix: str) -> str:
    """A new identifier of 34 characters."""
    return prefix + secrets.token_hex(16)


def signature(url: str, fields: Mapping[str, str], token: str) -> str:
    """The signature of a form sent to this address."""
    whole = url + "".join(name + fields[name] for name in sorted(fields))
    digest = hmac.new(token.encode(), whole.encode(), "sha1").digest()
    return base64.b64encode(digest).decode()


def signed(
    url: str,
    fields: Mapping[str, str],
    settings: GatewaySettings,
    *,
    final: bool = True,
    contrary: bool = False,
) -> Report:
    """A report as a signed form."""
    token = settings.signature_secret or settings.password
    headers = {
        "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
        "X-Twilio-Signature": signature(url, fields, token),
        "User-Agent": "TwilioProxy/1.1",
    }
    return Report(body=urlencode(fields).encode(), headers=headers, final=final, contrary=contrary)
