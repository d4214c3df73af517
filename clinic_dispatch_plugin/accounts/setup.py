"""Sets accounts up as the settings page asks: sealed, in their order, and known to every process within seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, RowMapping

from clinic_dispatch_plugin.accounts import callbacks, service, setup_store
from clinic_dispatch_plugin.accounts.book import Book, Unusable
from clinic_dispatch_plugin.accounts.keys import seal_anew as seal_keys_anew
from clinic_dispatch_plugin.accounts.secrets import KeyLost, seal, seal_anew, unseal
from clinic_dispatch_plugin.channels.forms import url_of, values_in
from clinic_dispatch_plugin.database.connection import now
from clinic_dispatch_plugin.registry import Dispatch

#: The book's place among the caches of an application.
BOOK = "accounts.book"
#: The option with the address that an account's gateway calls.
CALLBACK = "callback_url"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """An account as somebody wants it."""

    url: str = field(repr=False)
    purposes: Sequence[str] = ()
    #: The secrets that were typed just now.
    typed: frozenset[str] = frozenset()
    #: All secrets it has.
    secrets: frozenset[str] = frozenset()
    by: str = ""


def book(dispatch: Dispatch) -> Book:
    """What this process knows of them."""
    found = dispatch.cache[BOOK]
    assert isinstance(found, Book)
    return found


def setups(connection: Connection) -> Sequence[RowMapping]:
    """All that are set up, in their order; their URLs stay sealed."""
    return setup_store.setups(connection)


def setup_of(connection: Connection, row_id: int) -> RowMapping | None:
    """One of them; None: it is not set up on the page."""
    return next(
        (row for row in setup_store.setups(connection) if row["account_id"] == row_id), None
    )


def unusable(dispatch: Dispatch) -> Mapping[int, Unusable]:
    """Those this process cannot use, each with what is wrong."""
    return book(dispatch).unusable()


def opened(dispatch: Dispatch, row: RowMapping) -> dict[str, str]:
    """The values of a sealed URL by field, the secret ones too; empty: the key is gone."""
    try:
        return values_in(unseal(dispatch.settings.secret_keys, row["url"]))
    except (KeyLost, ValueError):
        return {}


def whole_url(dispatch: Dispatch, row: RowMapping) -> str:
    """A sealed URL as it is; empty: the key is gone."""
    try:
        return unseal(dispatch.settings.secret_keys, row["url"])
    except KeyLost:
        return ""


def add(dispatch: Dispatch, connection: Connection, channel: str, key: str, wanted: Wanted) -> int:
    """Set one up behind the others of its channel.

    :raises NoKey: nothing can be kept secret.
    :raises LookupError: there is one of this name.
    """
    row_id = service.account_id(connection, channel, key)
    if setup_of(connection, row_id) is not None:
        raise LookupError(key)
    setup_store.add(
        connection, row_id, channel=channel, values=_values(dispatch, connection, wanted, since={})
    )
    service.begin(connection, row_id)
    return row_id


def change(dispatch: Dispatch, connection: Connection, row: RowMapping, wanted: Wanted) -> bool:
    """Set one up anew; False: somebody else did since it was read.

    :raises NoKey: nothing can be kept secret.
    """
    values = _values(dispatch, connection, wanted, since=row["secrets_at"] or {})
    if not setup_store.change(connection, row["account_id"], was=row["url"], values=values):
        return False
    service.check_if_held(connection, row["account_id"])
    return True


def tell_callback(dispatch: Dispatch, connection: Connection, row_id: int, address: str) -> bool:
    """Let an account of the page hand this address over with its messages; False: it hands over none."""
    row = setup_of(connection, row_id)
    values = opened(dispatch, row) if row is not None else {}
    if row is None or not values or not _takes_callback(dispatch, row):
        return False
    url = url_of(row["scheme"], {**values, CALLBACK: address})
    try:
        dispatch.account_at(row["channel"], url, key=row["key"])
    except Exception:  # too long for its gateway, say: there it is entered by hand
        return False
    at = _seconds_now(connection)
    sealed = {
        "url": seal(dispatch.settings.secret_keys, url),
        "secrets_at": {**(row["secrets_at"] or {}), CALLBACK: at},
    }
    return setup_store.reseal(connection, row_id, was=row["url"], **sealed)


def _takes_callback(dispatch: Dispatch, row: RowMapping) -> bool:
    """Whether its form asks for the address, and keeps it secret."""
    forms = dispatch.channels[row["channel"]].forms()
    return any(CALLBACK in each.secrets for each in forms if each.scheme == row["scheme"])


def remove(connection: Connection, row_id: int) -> bool:
    """Forget its secrets; what waits for it goes to another. False: it was gone already."""
    if not setup_store.remove(connection, row_id):
        return False
    callbacks.forget(connection, row_id)
    service.switch_off(connection, row_id)
    return True


def move(connection: Connection, row_id: int, *, up: bool) -> bool:
    """Put one before or behind its neighbour of the same channel; False: there is no such neighbour."""
    rows = setup_store.setups(connection)
    row = next((each for each in rows if each["account_id"] == row_id), None)
    if row is None:
        return False
    order = [each["account_id"] for each in rows if each["channel"] == row["channel"]]
    here = order.index(row_id)
    there = here - 1 if up else here + 1
    if not 0 <= there < len(order):
        return False
    order[here], order[there] = order[there], order[here]
    for position, each in enumerate(order, 1):
        setup_store.place(connection, each, position)
    return True


@dataclass(slots=True, kw_only=True)
class Resealed:
    """What became of the secrets when the key changed."""

    done: int = 0
    #: Names of accounts that none of the keys opens.
    lost: list[str] = field(default_factory=list)
    #: Keys of the installation itself that none opens.
    keys_lost: list[str] = field(default_factory=list)


def rotate(dispatch: Dispatch) -> Resealed:
    """Seal every account by the newest key; the older keys may go afterwards.

    :raises NoKey: none is set.
    """
    found = Resealed()

    def work(connection: Connection) -> Resealed:
        found.done, found.lost = 0, []
        found.keys_lost = seal_keys_anew(dispatch.settings.secret_keys, connection)
        for row in setup_store.setups(connection):
            name = f"{row['channel']}/{row['key']}"
            try:
                url = seal_anew(dispatch.settings.secret_keys, row["url"])
            except KeyLost:
                found.lost.append(name)
                continue
            found.done += setup_store.reseal(connection, row["account_id"], was=row["url"], url=url)
        return found

    seal(dispatch.settings.secret_keys, "")
    return dispatch.database.run(work)


def _values(
    dispatch: Dispatch, connection: Connection, wanted: Wanted, *, since: Mapping[str, str]
) -> dict[str, object]:
    at = _seconds_now(connection)
    kept = {name: since.get(name, at) for name in wanted.secrets}
    return {
        "scheme": wanted.url.partition("://")[0][:32],
        "url": seal(dispatch.settings.secret_keys, wanted.url),
        "purposes": " ".join(sorted(wanted.purposes)),
        "secrets_at": {**kept, **dict.fromkeys(wanted.typed & wanted.secrets, at)},
        "changed_by": wanted.by[:255],
    }


def _seconds_now(connection: Connection) -> str:
    return now(connection).isoformat(timespec="seconds")
