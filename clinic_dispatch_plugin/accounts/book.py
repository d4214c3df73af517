"""The accounts of the settings page as this process knows them, read again every few seconds."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy import RowMapping
from sqlalchemy.exc import SQLAlchemyError

from clinic_dispatch_plugin.accounts import setup_store
from clinic_dispatch_plugin.accounts.secrets import KeyLost, unseal
from clinic_dispatch_plugin.channels.places import RefusedPlace, may_connect, places_in
from clinic_dispatch_plugin.channels.types import Account
from clinic_dispatch_plugin.config import ConfigurationError
from clinic_dispatch_plugin.queue.context import places
from clinic_dispatch_plugin.registry import Dispatch

log = logging.getLogger(__name__)

#: Seconds after which a change made elsewhere is known here.
FRESH_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Unusable:
    """Why an account of the page cannot be used."""

    #: ``key`` (the key that opens it is gone), ``channel`` (not installed), ``place`` (a private address),
    #: ``settings`` (the channel does not take them any more) or ``plugin`` (the channel failed).
    why: str
    #: The channel's words, never a secret.
    text: str = ""


@dataclass(slots=True, kw_only=True)
class _Known:
    accounts: dict[str, tuple[Account, ...]] = field(default_factory=dict)
    unusable: dict[int, Unusable] = field(default_factory=dict)


class Book:
    """What the database says of accounts, with their secrets; kept in memory and shown to nobody."""

    def __init__(self, dispatch: Dispatch) -> None:
        """Know nothing yet."""
        self._dispatch = dispatch
        self._known = _Known()
        self._read_at: float | None = None
        self._lock = threading.Lock()
        #: What was read before, so that an unchanged account stays the same object and is opened once.
        self._opened: dict[tuple[int, str, str], Account | Unusable] = {}

    def accounts(self) -> Mapping[str, Sequence[Account]]:
        """The usable ones by channel, in their order."""
        if self._read_at is None:
            self.look()
        return self._known.accounts

    def unusable(self) -> Mapping[int, Unusable]:
        """The others by their row, each with what is wrong."""
        self.accounts()
        return self._known.unusable

    def look(self) -> None:
        """Read again what may have changed; called before each transaction, and quick when it is not yet time."""
        read_at = self._read_at
        if read_at is not None and time.monotonic() - read_at < FRESH_SECONDS:
            return
        if not self._lock.acquire(blocking=False):
            return  # somebody reads, perhaps this very thread: what is known serves meanwhile
        try:
            self._read_at = time.monotonic()
            self._read()
        except SQLAlchemyError as error:
            # No table yet, or no database: whoever asks for one says so.
            log.debug("the accounts cannot be read: %s", type(error).__name__)
        finally:
            self._lock.release()

    def forget(self) -> None:
        """Something was changed here just now."""
        self._read_at = None

    def _read(self) -> None:
        with self._dispatch.database.begin() as connection:
            rows = setup_store.setups(connection)
        known, opened = _Known(), {}
        for row in rows:
            name = row["account_id"], row["url"], row["purposes"]
            found = self._opened.get(name) or _opened(self._dispatch, row)
            opened[name] = found
            if isinstance(found, Unusable):
                known.unusable[row["account_id"]] = found
            else:
                known.accounts[row["channel"]] = (
                    *known.accounts.get(row["channel"], ()),
                    found,
                )
        self._opened, self._known = opened, known


def _opened(dispatch: Dispatch, row: RowMapping) -> Account | Unusable:
    if row["channel"] not in dispatch.channels:
        return Unusable(why="channel")
    try:
        url = unseal(dispatch.settings.secret_keys, row["url"])
        refuse_private_addresses(url, dispatch.settings.private_gateways)
        account = dispatch.account_at(row["channel"], url, key=row["key"])
    except KeyLost:
        return Unusable(why="key")
    except RefusedPlace as refused:
        return Unusable(why="place", text=refused.host)
    except ConfigurationError as error:
        return Unusable(why="settings", text=error.advice)
    except Exception as error:
        log.error("channel %s cannot read its account: %s", row["channel"], places(error))
        return Unusable(why="plugin", text=type(error).__name__)
    return replace(account, purposes=frozenset(row["purposes"].split()))


def refuse_private_addresses(url: str, allowed: Sequence[str]) -> None:
    """Written as numbers they need no look-up, so they are refused wherever an account is read.

    :raises RefusedPlace: one is private and not permitted.
    """
    for host, _ in places_in(url):
        numeric = ":" in host or host.replace(".", "").isdigit() or host.lower() == "localhost"
        address = "127.0.0.1" if host.lower() == "localhost" else host
        if numeric and host not in allowed and not may_connect(address, allowed):
            raise RefusedPlace(host)
