"""Keys this installation made for itself: they outlive a change of the configuration's keys, which only seal them.

Without ``CLINIC_DISPATCH_SECRET_KEYS`` they stand open in the database. Once there is a key, any worker seals them.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from sqlalchemy import Connection

from clinic_dispatch_plugin.accounts import keys_store
from clinic_dispatch_plugin.accounts.secrets import KeyLost, seal, unseal
from clinic_dispatch_plugin.registry import Dispatch

log = logging.getLogger(__name__)

#: The key of the fingerprints by which blocked addresses are found again.
ADDRESSES = "addresses"
_OPEN = "open:"


def kept_key(dispatch: Dispatch, name: str) -> bytes:
    """One of the keys, read once a process.

    :raises KeyLost: it was sealed with a key that is not there any more.
    """
    place = f"key {name}"
    if place not in dispatch.cache:
        with dispatch.database.look() as connection:
            value = keys_store.value(connection, name)
        dispatch.cache[place] = bytes.fromhex(_opened(dispatch.settings.secret_keys, value or ""))
    found: bytes = dispatch.cache[place]
    return found


def lost(dispatch: Dispatch) -> bool:
    """Whether blocked addresses cannot be known again, because no key opens theirs."""
    try:
        kept_key(dispatch, ADDRESSES)
    except KeyLost:
        return True
    return False


def seal_open(dispatch: Dispatch) -> None:
    """Seal what stands open, where the configuration has a key by now."""
    keys = dispatch.settings.secret_keys
    if not keys:
        return

    def work(connection: Connection) -> None:
        for name, value in keys_store.all_values(connection).items():
            if value.startswith(_OPEN):
                sealed = seal(keys, value.removeprefix(_OPEN))
                keys_store.keep(connection, name, sealed, was=value)

    dispatch.database.run(work)


def seal_anew(keys: Sequence[str], connection: Connection) -> list[str]:
    """Seal every key by the newest key of the configuration; returns the names of those that none opens."""
    gone = []
    for name, value in keys_store.all_values(connection).items():
        try:
            keys_store.keep(connection, name, seal(keys, _opened(keys, value)), was=value)
        except KeyLost:
            gone.append(name)
    return gone


def _opened(keys: Sequence[str], value: str) -> str:
    if value.startswith(_OPEN):
        return value.removeprefix(_OPEN)
    try:
        return unseal(keys, value)
    except KeyLost:
        log.error(
            "no key of CLINIC_DISPATCH_SECRET_KEYS opens the key of the blocked addresses: "
            "put the one it was sealed with behind the newest"
        )
        raise
