"""The doctor's look at what sends: workers, what waits for them, accounts, gateways."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy.exc import SQLAlchemyError

from clinic_dispatch_plugin.accounts import purse, spending
from clinic_dispatch_plugin.accounts import service as accounts
from clinic_dispatch_plugin.accounts.keys import lost
from clinic_dispatch_plugin.accounts.setup import setups, unusable
from clinic_dispatch_plugin.channels.channel import Channel
from clinic_dispatch_plugin.channels.errors import ChannelError
from clinic_dispatch_plugin.channels.types import Account, Money
from clinic_dispatch_plugin.cli.base import ADDRESSES_UNKNOWN, PUT_BACK, typed
from clinic_dispatch_plugin.cli.findings import Finding
from clinic_dispatch_plugin.database.connection import now as database_now
from clinic_dispatch_plugin.engine.presence import Presence, look
from clinic_dispatch_plugin.engine.recovery import awaits_recovery
from clinic_dispatch_plugin.engine.turns import is_full
from clinic_dispatch_plugin.error_reference import service as error_reference
from clinic_dispatch_plugin.messages import truth_store
from clinic_dispatch_plugin.queue.context import places
from clinic_dispatch_plugin.registry import Dispatch

#: Seconds a message may be due before somebody ought to have begun with it.
LATE_SECONDS = 300.0


def sending(dispatch: Dispatch) -> Iterator[Finding]:
    """Sending."""
    found = look(dispatch)
    yield _worker(found)
    waited = found.waiting_seconds
    if waited is not None and waited > LATE_SECONDS and found.sendable and not found.runs:
        yield Finding(
            subject="waiting",
            state="wrong",
            text=f"{found.waiting} messages are due, the oldest for {waited / 60:.0f} minutes, and nobody sends them",
            advice=f"start a worker: {typed('worker')}; where one runs, its output says what keeps it",
        )
    yield from _accounts(dispatch, found)
    yield from _unusable(dispatch)


def _worker(found: Presence) -> Finding:
    if found.workers:
        names = ", ".join(row["name"] for row in found.workers)
        return Finding(subject="worker", state="ok", text=f"seen: {names}")
    if found.listeners or found.runs:
        names = f" ({', '.join(found.listeners)})" if found.listeners else ""
        return Finding(
            subject="worker",
            state="wrong",
            text=f"a plain RQ worker{names} sends, but nobody tends: "
            "retries and what dead workers left stay lying",
            advice=f"start at least one: {typed('worker')}",
        )
    return Finding(
        subject="worker",
        state="wrong",
        text="none was seen in the last half minute: nothing goes out",
        advice=f"start one: {typed('worker')}",
    )


def _unusable(dispatch: Dispatch) -> Iterator[Finding]:
    """Accounts of the settings page that this process cannot use, and blocked addresses it cannot know."""
    if lost(dispatch):
        yield Finding(
            subject="blocked addresses", state="wrong", text=ADDRESSES_UNKNOWN, advice=PUT_BACK
        )
    with dispatch.database.begin() as connection:
        names = {row["account_id"]: f"{row['channel']}/{row['key']}" for row in setups(connection)}
    for row_id, found in unusable(dispatch).items():
        said = {
            "key": "no key of CLINIC_DISPATCH_SECRET_KEYS opens its log-in",
            "channel": "its channel is not installed or was left out",
            "place": f"{found.text} is in a private network",
            "settings": found.text,
            "plugin": f"its channel failed on it ({found.text})",
        }
        yield Finding(
            subject=f"account {names.get(row_id, row_id)}",
            state="wrong",
            text=f"cannot be used: {said[found.why]}",
            advice="CLINIC_DISPATCH_PRIVATE_GATEWAYS permits networks of your own"
            if found.why == "place"
            else "put the old key behind the new one, or enter the log-in again on the settings page",
        )


def _accounts(dispatch: Dispatch, found: Presence) -> Iterator[Finding]:
    for row in found.accounts:
        if dispatch.account_called(row["channel"], row["key"]) is None:
            continue  # it was removed, or stands in another machine's configuration
        if row["state"] != "ready":
            stands = row["state"] in {"stopped", "disabled"}
            yield Finding(
                subject=f"account {row['channel']}/{row['key']}",
                state="wrong" if stands else "warning",
                text=f"{row['state']}: {row['answer_text'][:200]}",
                advice="mend it, then press *Try again now* on the settings page"
                if stands
                else "it is tried again by itself",
            )


def records(dispatch: Dispatch) -> Iterator[Finding]:
    """Records."""
    if awaits_recovery(dispatch):
        yield Finding(
            subject="backup",
            state="wrong",
            text="the database was restored from a backup: what waits may have gone out since, so nothing is sent",
            advice=f"run `{typed('recover --restored')}`",
        )
    with dispatch.database.begin() as connection:
        wrong = truth_store.disagreements(connection)
        number = truth_store.how_many(connection)
    if not wrong:
        text = f"{number} messages agree with their attempts"
        yield Finding(subject="records", state="ok", text=text)
        return
    told = ", ".join(f"{name}: {count}" for name, count in wrong.items())
    yield Finding(
        subject="records",
        state="wrong",
        text=f"messages and their attempts disagree ({told})",
        advice="nothing is sent twice for it; report this with this line",
    )


def gateways(dispatch: Dispatch) -> Iterator[Finding]:
    """Gateways."""
    for key, channel in dispatch.channels.items():
        for account in dispatch.accounts(key):
            yield _gateway(dispatch, key, channel, account)


def _gateway(dispatch: Dispatch, key: str, channel: Channel, account: Account) -> Finding:
    subject = f"gateway {key}/{account.key}"
    if type(channel).connect is Channel.connect:
        return Finding(
            subject=subject,
            state="warning",
            text=f"{account.label}: not checked, for this channel has no way to",
            advice="send a trial to yourself",
        )
    advice = f"correct the settings that begin with CLINIC_DISPATCH_{key.upper()}_"
    if account not in dispatch.configured(key):
        advice = "correct the account on the settings page"
    if _in_use(dispatch, account):
        return Finding(
            subject=subject,
            state="warning",
            text=f"{account.label}: not tried, for all connections it may have are in use",
            advice="try again when nothing is being sent",
        )
    try:
        channel.connect(account)
    except ChannelError as error:
        found = error_reference.explain(dispatch, error.answer)
        helps = found.entry.text("what_helps", dispatch.settings.locale) if found.entry else ""
        text = f"{account.label}: {error.answer.text or error.answer.code}"
        return Finding(subject=subject, state="wrong", text=text, advice=helps or advice)
    except Exception as error:
        text = f"{account.label}: the channel failed: {places(error)}"
        advice += "; where they are right, report this to whoever wrote the channel"
        return Finding(subject=subject, state="wrong", text=text[:300], advice=advice)
    return _signed_in(dispatch, subject, channel, account)


def _in_use(dispatch: Dispatch, account: Account) -> bool:
    try:
        return is_full(dispatch, account)
    except SQLAlchemyError:  # the doctor says elsewhere what is wrong with the tables
        return False


def _signed_in(dispatch: Dispatch, subject: str, channel: Channel, account: Account) -> Finding:
    """With what is left on the account, and a warning where that is less than a usual day costs."""
    left = purse.balance(dispatch, account) if channel.tells_money(account).balance else None
    if left is None:
        return Finding(subject=subject, state="ok", text=f"{account.label}: signed in")
    text = f"{account.label}: signed in, {left.amount.normalize():f} {left.currency} left"
    usual = _usual_day(dispatch, account, left.currency)
    if usual is None or left.amount >= usual.amount:
        return Finding(subject=subject, state="ok", text=text)
    text += f", and a usual day costs {round(usual.amount, 2)} {usual.currency}"
    return Finding(
        subject=subject,
        state="warning",
        text=text,
        advice="top it up: without money its messages wait",
    )


def _usual_day(dispatch: Dispatch, account: Account, currency: str) -> Money | None:
    try:
        with dispatch.database.begin() as connection:
            row_id = accounts.account_id(connection, account.channel, account.key)
            now = database_now(connection)
            return spending.usual_day(dispatch, connection, row_id, currency, now=now)
    except SQLAlchemyError:  # the doctor says elsewhere what is wrong with the tables
        return None
