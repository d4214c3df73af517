"""What workers tell each other about an account: it works, it rests, it stopped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, RowMapping

from clinic_dispatch_plugin.accounts import store
from clinic_dispatch_plugin.accounts.rate import shared_rate
from clinic_dispatch_plugin.accounts.rules import (
    FAILURES_TO_REST,
    REFUSALS_TO_STOP,
    AccountState,
    may_wait_for,
    rest_seconds,
)
from clinic_dispatch_plugin.channels.types import Account, Answer
from clinic_dispatch_plugin.error_reference.service import note_answer
from clinic_dispatch_plugin.registry import Dispatch


def account_id(connection: Connection, channel: str, key: str) -> int:
    """The row of a configured account; made when it is first needed."""
    return store.account_id(connection, channel, key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """The account messages go through, and its row."""

    account: Account
    row_id: int


def way(dispatch: Dispatch, connection: Connection, channel: str, purpose: str = "") -> Way | None:
    """The first account of a channel that takes a purpose and works, else its first choice; None: it has none."""
    chosen = chosen_account(dispatch, connection, channel, purpose)
    if chosen is None:
        return None
    return Way(account=chosen, row_id=store.account_id(connection, channel, chosen.key))


def chosen_account(
    dispatch: Dispatch, connection: Connection, channel: str, purpose: str = ""
) -> Account | None:
    """The same account, without writing its row."""
    several = dispatch.accounts(channel, purpose)
    known = {row["key"]: row for row in store.accounts(connection) if row["channel"] == channel}
    worth = (each for each in several if _worth_waiting(known.get(each.key)))
    return next(worth, several[0] if several else None)


def left(connection: Connection) -> list[RowMapping]:
    """The accounts nobody should wait for: stopped, switched off, or resting again and again."""
    return [row for row in store.accounts(connection) if not _worth_waiting(row)]


def instead_of(
    dispatch: Dispatch, connection: Connection, row: RowMapping, purpose: str
) -> Way | None:
    """The account that takes what waits for one that does not work; None: there is none that is ready."""
    for each in dispatch.accounts(row["channel"], purpose):
        if each.key == row["key"]:
            continue
        row_id = store.account_id(connection, each.channel, each.key)
        found = store.account(connection, row_id)
        if found is not None and found["state"] == AccountState.READY.value:
            return Way(account=each, row_id=row_id)
    return None


def _worth_waiting(row: RowMapping | None) -> bool:
    return row is None or may_wait_for(row["state"], row["rests"])


def account(connection: Connection, row_id: int) -> RowMapping | None:
    """One account as all workers see it."""
    return store.account(connection, row_id)


def row_of(connection: Connection, wanted: Account) -> RowMapping | None:
    """The row of a configured account; None: nothing went through it yet."""
    return next(
        (
            row
            for row in store.accounts(connection)
            if (row["channel"], row["key"]) == (wanted.channel, wanted.key)
        ),
        None,
    )


def accounts(connection: Connection) -> Sequence[RowMapping]:
    """All accounts that were ever used."""
    return store.accounts(connection)


def may_send(connection: Connection, row_id: int, *, probing: bool = False) -> bool:
    """Whether messages may go out through it now; ``probing``: the one that checks it."""
    row = store.account(connection, row_id)
    state = AccountState.PROBING if probing else AccountState.READY
    return row is not None and row["state"] == state.value


def take_probe(connection: Connection, row_id: int, *, seconds: float) -> bool:
    """Be the one that tries an account which is being checked; False: another is, for so many seconds at most."""
    return store.take_probe(connection, row_id, seconds=seconds)


def free_probe(connection: Connection, row_id: int) -> None:
    """The one that tried it learnt nothing: another may try."""
    store.free_probe(connection, row_id)


def is_suspected(row: RowMapping | None) -> bool:
    """Whether an acceptance would change an account: something is counted against it, or it is being checked."""
    if row is None:
        return False
    counted = row["refusals"] or row["failures"] or row["rests"]
    return bool(counted) or row["state"] == AccountState.PROBING.value


def accepted(connection: Connection, row_id: int) -> None:
    """A message was taken, or refused for its own sake while the account was checked: whatever was wrong is over."""
    store.clear_suspicion(connection, row_id)


def suspect(
    dispatch: Dispatch,
    connection: Connection,
    row_id: int,
    answers: Sequence[Answer],
    *,
    cleared: bool,
) -> bool:
    """Count account-level refusals; the third in a row stops the account. True: it stopped now."""
    count = store.add_refusals(connection, row_id, len(answers), from_zero=cleared)
    if answers and count >= REFUSALS_TO_STOP:
        return stop(dispatch, connection, row_id, answers[-1])
    return False


def stop(dispatch: Dispatch, connection: Connection, row_id: int, answer: Answer) -> bool:
    """Only a person can mend this: the account stops, its messages wait. True: this call stopped it."""
    row = store.account(connection, row_id)
    channel = row["channel"] if row else ""
    answer_id, _ = note_answer(dispatch, connection, answer, channel=channel)
    return store.move(
        connection,
        row_id,
        [AccountState.READY, AccountState.RESTING, AccountState.PROBING],
        AccountState.STOPPED,
        answer_id=answer_id,
        answer_text=answer.text[:2000],
    )


def failed(
    dispatch: Dispatch,
    connection: Connection,
    row_id: int,
    answer: Answer,
    *,
    retry_after: float | None = None,
) -> bool:
    """It could not be reached; from the fifth time in a row on it rests, while it is checked at once.

    :param retry_after: seconds the gateway asked for: then it rests at once, so long and no longer.
    :returns: whether it rests now.
    """
    failures, rests = store.add_failure(connection, row_id)
    row = store.account(connection, row_id)
    probing = row is not None and row["state"] == AccountState.PROBING.value
    if failures < FAILURES_TO_REST and not probing and retry_after is None:
        return False
    seconds = rest_seconds(rests, scale=dispatch.settings.retry_scale)
    if retry_after is not None:
        seconds = max(retry_after, 0.1) * dispatch.settings.retry_scale
    answer_id, _ = note_answer(dispatch, connection, answer, channel=row["channel"] if row else "")
    return store.rest(
        connection,
        row_id,
        seconds=seconds,
        answer_id=answer_id,
        answer_text=answer.text[:2000],
    )


def rest(
    dispatch: Dispatch, connection: Connection, row_id: int, answer: Answer, *, seconds: float
) -> bool:
    """Let it rest for so long; True: it was awake."""
    row = store.account(connection, row_id)
    answer_id, _ = note_answer(dispatch, connection, answer, channel=row["channel"] if row else "")
    return store.rest(
        connection,
        row_id,
        seconds=seconds * dispatch.settings.retry_scale,
        answer_id=answer_id,
        answer_text=answer.text,
    )


def take_rate(dispatch: Dispatch, row_id: int, *, number: int, rate: float) -> float:
    """Take so many messages' worth of the account's rate; 0: taken, else seconds until it may be.

    Outside any transaction: it may have one of its own.

    :param rate: messages a second over all workers.
    """
    return shared_rate(dispatch, row_id).take(number, rate)


def wake(connection: Connection) -> int:
    """Resting accounts whose rest is over are checked."""
    return store.wake(connection)


def check_again(connection: Connection, row_id: int) -> bool:
    """A person mended what stopped it, or says so: it is checked. True: it was stopped, off or rested."""
    states = [AccountState.STOPPED, AccountState.RESTING, AccountState.DISABLED]
    return _anew(connection, row_id, states)


def hold_as(connection: Connection, row_id: int, state: str) -> bool:
    """Keep an account in this state until the transaction ends; False: it is in another one by now."""
    return store.hold_as(connection, row_id, state)


def switch_off(connection: Connection, row_id: int) -> bool:
    """A person wants nothing more through it. True: this call did."""
    others = [state for state in AccountState if state is not AccountState.DISABLED]
    return store.move(connection, row_id, others, AccountState.DISABLED)


def check_if_held(connection: Connection, row_id: int) -> bool:
    """It was set up otherwise: one that stopped or rested is checked; one that is switched off stays so."""
    return _anew(connection, row_id, [AccountState.STOPPED, AccountState.RESTING])


def begin(connection: Connection, row_id: int) -> None:
    """It was set up: nothing an earlier one of this name did is held against it."""
    values = {"refusals": 0, "failures": 0, "rests": 0, "answer_id": None, "answer_text": ""}
    store.move(connection, row_id, AccountState, AccountState.READY, **values)


def _anew(connection: Connection, row_id: int, states: Iterable[AccountState]) -> bool:
    counts = {"refusals": 0, "failures": 0, "rests": 0}
    return store.move(connection, row_id, states, AccountState.PROBING, **counts)
