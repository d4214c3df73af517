"""What the administration does to accounts: one function and one transaction each, with who and when in the trail."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Connection

from clinic_dispatch_plugin.accounts import callbacks, setup, trial
from clinic_dispatch_plugin.accounts import service as accounts
from clinic_dispatch_plugin.accounts.setup import Wanted
from clinic_dispatch_plugin.channels.types import Account
from clinic_dispatch_plugin.engine.turns import is_full
from clinic_dispatch_plugin.host.types import Actor
from clinic_dispatch_plugin.messages.blocks_store import write_audit
from clinic_dispatch_plugin.messages.service import check_account_again
from clinic_dispatch_plugin.registry import Dispatch


class Changed(Exception):
    """Somebody else changed or removed it since the form was opened."""


def add(dispatch: Dispatch, actor: Actor, channel: str, key: str, wanted: Wanted) -> None:
    """Set an account up.

    :raises NoKey: nothing can be kept secret.
    :raises LookupError: there is one of this name.
    """

    def work(connection: Connection) -> None:
        row_id = setup.add(dispatch, connection, channel, key, wanted)
        _audit(connection, actor, "account_added", row_id, channel=channel, key=key)

    _done(dispatch, work)


def change(
    dispatch: Dispatch,
    actor: Actor,
    account_id: int,
    wanted: Wanted,
    *,
    version: str,
    fields: list[str],
) -> None:
    """Set an account up anew.

    :param version: when it was set up as the form showed it.
    :param fields: what was changed, by name.
    :raises Changed: it was set up otherwise meanwhile.
    :raises NoKey: nothing can be kept secret.
    """

    def work(connection: Connection) -> None:
        row = setup.setup_of(connection, account_id)
        if row is None or row["changed_at"].isoformat() != version:
            raise Changed
        if not setup.change(dispatch, connection, row, wanted):
            raise Changed
        _audit(connection, actor, "account_changed", account_id, fields=fields)

    _done(dispatch, work)


def remove(dispatch: Dispatch, actor: Actor, account_id: int) -> bool:
    """Forget how to sign in. False: it was gone already."""

    def work(connection: Connection) -> bool:
        done = setup.remove(connection, account_id)
        if done:
            _audit(connection, actor, "account_removed", account_id)
        return done

    return bool(_done(dispatch, work))


def move(dispatch: Dispatch, actor: Actor, account_id: int, *, up: bool) -> bool:
    """Put it one place up or down. False: it stands at the end."""

    def work(connection: Connection) -> bool:
        done = setup.move(connection, account_id, up=up)
        if done:
            _audit(connection, actor, "account_order", account_id, up=up)
        return done

    return bool(_done(dispatch, work))


def switch(dispatch: Dispatch, actor: Actor, channel: str, key: str, *, on: bool) -> bool:
    """Switch an account off or on, one of the configuration too. True: this call did."""

    def work(connection: Connection) -> bool:
        row_id = accounts.account_id(connection, channel, key)
        act = accounts.check_again if on else accounts.switch_off
        done = act(connection, row_id)
        if done:
            _audit(connection, actor, "account_on" if on else "account_off", row_id)
        return done

    return bool(_done(dispatch, work))


def try_again(dispatch: Dispatch, actor: Actor, channel: str, key: str) -> bool:
    """What stopped it is mended: the next message tries it. True: it was stopped or rested."""
    row_id = _row_id(dispatch, channel, key)
    return check_account_again(dispatch, actor, row_id)


def new_callback(
    dispatch: Dispatch, actor: Actor, account: Account, *, address: Callable[[str], str]
) -> str:
    """A new secret address for an account's gateway to call; the one before is refused from now on.

    Where the account was set up on the page and hands its address over with each message, it hands over this one.

    :param address: the whole address with this secret.
    :returns: the address, which nobody here can show again.
    """

    def work(connection: Connection) -> str:
        row_id = accounts.account_id(connection, account.channel, account.key)
        made = address(callbacks.make(connection, row_id, by=actor.name or actor.ref))
        setup.tell_callback(dispatch, connection, row_id, made)
        _audit(connection, actor, "account_callback", row_id)
        return made

    return str(_done(dispatch, work))


def sign_in(dispatch: Dispatch, actor: Actor, account: Account) -> None:
    """Test the log-in, in a thread with an end; what it found stands on the account's page."""
    row_id = _row_id(dispatch, account.channel, account.key)
    dispatch.database.run(lambda c: _audit(c, actor, "account_tried", row_id))
    trial.begin(
        dispatch,
        account,
        row_id,
        by=actor.name or actor.ref,
        is_full=lambda: is_full(dispatch, account),
    )


def _row_id(dispatch: Dispatch, channel: str, key: str) -> int:
    return dispatch.database.run(lambda c: accounts.account_id(c, channel, key))


def _done(dispatch: Dispatch, work: Any) -> Any:
    """Do it, let this process know it at once, and wake whoever may send now."""
    found = dispatch.database.run(work)
    setup.book(dispatch).forget()
    dispatch.doorbell.ring()
    return found


def _audit(connection: Connection, actor: Actor, action: str, row_id: int, **details: Any) -> None:
    kept: Mapping[str, Any] = {"account": row_id, **details}
    write_audit(connection, actor_ref=actor.ref, actor_name=actor.name, action=action, details=kept)
