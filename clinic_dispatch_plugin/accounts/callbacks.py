"""Secrets in the addresses that gateways call: 32 random bytes, made here, shown once, kept as a digest."""

from __future__ import annotations

import hashlib
import hmac
import secrets

from sqlalchemy import Connection, RowMapping

from clinic_dispatch_plugin.accounts import callback_store, store

#: Beside the headers, where a channel reads that the called address held the account's secret.
PROVED = ":proved"
_BYTES = 32


def make(connection: Connection, row_id: int, *, by: str) -> str:
    """A new secret for an account; the one before is good no more. It is kept nowhere: show it now."""
    secret = secrets.token_urlsafe(_BYTES)
    callback_store.replace(connection, row_id, digest=_digest(secret), by=by)
    return secret


def known(connection: Connection, row_id: int) -> RowMapping | None:
    """When an account's secret was made, and by whom; None: it has none."""
    return callback_store.secret(connection, row_id)


def forget(connection: Connection, row_id: int) -> None:
    """The account is gone, and what called it is refused."""
    callback_store.forget(connection, row_id)


def proves(connection: Connection, channel: str, key: str, secret: str) -> bool:
    """Whether this is the secret of the channel's account of this name."""
    row = callback_store.secret(connection, store.account_id(connection, channel, key))
    digest = str(row["digest"]) if row is not None else ""
    return hmac.compare_digest(_digest(secret), digest)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()
