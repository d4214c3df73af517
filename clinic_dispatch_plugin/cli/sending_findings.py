"""The doctor's look at what sends: workers, what waits for them, accounts, gateways."""

from __future__ import annotations

from collections.abc import Iterator

from clinic_dispatch_plugin.channels.channel import Channel
from clinic_dispatch_plugin.channels.errors import ChannelError
from clinic_dispatch_plugin.channels.types import Account
from clinic_dispatch_plugin.cli.base import typed
from clinic_dispatch_plugin.cli.findings import Finding
from clinic_dispatch_plugin.engine.presence import Presence, look
from clinic_dispatch_plugin.engine.recovery import awaits_recovery
from clinic_dispatch_plugin.error_reference import service as error_reference
from clinic_dispatch_plugin.messages import truth_store
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
    yield from _accounts(found)


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


def _accounts(found: Presence) -> Iterator[Finding]:
    for row in found.accounts:
        if row["state"] != "ready":
            stands = row["state"] in {"stopped", "disabled"}
            yield Finding(
                subject=f"account {row['channel']}/{row['key']}",
                state="wrong" if stands else "warning",
                text=f"{row['state']}: {row['answer_text'][:200]}",
                advice="mend it, then press *Check again* on the mailing's page"
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
        for account in channel.accounts():
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
    try:
        channel.connect(account)
    except ChannelError as error:
        found = error_reference.explain(dispatch, error.answer)
        helps = found.entry.text("what_helps", dispatch.settings.locale) if found.entry else ""
        text = f"{account.label}: {error.answer.text or error.answer.code}"
        return Finding(subject=subject, state="wrong", text=text, advice=helps or advice)
    except Exception as error:
        text = f"{account.label}: {type(error).__name__}: {error}"
        advice += "; where they are right, report this to whoever wrote the channel"
        return Finding(subject=subject, state="wrong", text=text[:300], advice=advice)
    return Finding(subject=subject, state="ok", text=f"{account.label}: signed in")
