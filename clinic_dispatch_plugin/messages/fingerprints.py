"""Fingerprints of addresses as the database keeps them: under a key, so that nobody can try addresses out on them."""

from __future__ import annotations

import hmac

from werkzeug.exceptions import ServiceUnavailable

from clinic_dispatch_plugin.accounts.keys import ADDRESSES, kept_key
from clinic_dispatch_plugin.accounts.secrets import KeyLost
from clinic_dispatch_plugin.messages.rules import address_digest
from clinic_dispatch_plugin.registry import Dispatch
from clinic_dispatch_plugin.web.i18n import _

#: Begins every one of them: no digest without a key holds this letter.
_KEYED = "k"
LENGTH = 64


class AddressesUnknown(ServiceUnavailable):
    """Nobody can say which addresses are blocked, so nothing may go out; shown as a page with status 503."""


def fingerprint(dispatch: Dispatch, channel: str, address: str) -> str:
    """By which an address is found again, without keeping the address.

    :raises AddressesUnknown: the key was sealed with one that is not there any more.
    """
    return keyed(dispatch, address_digest(channel, address))


def keyed(dispatch: Dispatch, digest: str) -> str:
    """The fingerprint of an address of which only a digest is known: links of earlier mails hold no more."""
    if digest.startswith(_KEYED):
        return digest
    try:
        key = kept_key(dispatch, ADDRESSES)
    except KeyLost:
        raise AddressesUnknown(
            _(
                "Which addresses are blocked cannot be read, because a key is missing; nothing is sent until then. "
                "The administration puts the old key back into CLINIC_DISPATCH_SECRET_KEYS."
            )
        ) from None
    made = hmac.digest(key, digest.encode(), "sha256").hex()
    return _KEYED + made[: LENGTH - 1]
