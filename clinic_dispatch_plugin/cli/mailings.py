"""``flask dispatch pause|resume|cancel|resend``: what a person does with a mailing under way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import click
from flask.cli import AppGroup

from clinic_dispatch_plugin.cli.base import (
    ID,
    SYSTEM,
    fail,
    guarded,
    iso,
    json_option,
    print_json,
    ready,
)
from clinic_dispatch_plugin.error_reference.answers import answers_of_cause
from clinic_dispatch_plugin.host.types import Actor
from clinic_dispatch_plugin.mailings import service as mailings
from clinic_dispatch_plugin.messages import service as messages
from clinic_dispatch_plugin.messages.access import CommandLine
from clinic_dispatch_plugin.messages.again import resend as resend_messages
from clinic_dispatch_plugin.messages.causes import causes_json
from clinic_dispatch_plugin.messages.rules import MessageState
from clinic_dispatch_plugin.messages.selection import Chosen
from clinic_dispatch_plugin.messages.service import Refusal
from clinic_dispatch_plugin.registry import Dispatch

_Move: TypeAlias = Callable[[Dispatch, int, Actor], bool]

_WHY: Mapping[Refusal, str] = {
    Refusal.CANCELLED: "their mailing was cancelled",
    Refusal.SUPERSEDED: "an earlier attempt arrived after all",
    Refusal.DUPLICATE: "the same message goes to this recipient already",
    Refusal.EXPIRED: "the mailing's last moment has passed",
    Refusal.UNSUBSCRIBED: "the recipient unsubscribed: who knows better says so on the message's page",
    Refusal.NO_ROUTE: "no account is configured for their channel",
    Refusal.NO_ADDRESS: "they have no usable address: correct it on the patient's card or the mailing's page",
    Refusal.STRIPPED: "their addresses and words were removed after their retention",
    Refusal.AWAITED: "the worker that had them may still report what became of them",
    Refusal.MOVED_ON: "they are in another state by now",
}


def register(group: AppGroup) -> None:
    """Add the commands."""
    for command in (pause, resume, cancel, resend):
        group.add_command(command)


def _move(mailing_id: int, move: _Move, as_json: bool) -> None:
    dispatch = ready()
    try:
        moved = move(dispatch, mailing_id, SYSTEM)
        state = mailings.summary(dispatch, mailing_id).state.value
    except LookupError:
        fail(f"There is no mailing {mailing_id}.")
    if as_json:
        print_json({"mailing": mailing_id, "changed": moved, "state": state})
    else:
        click.echo(f"mailing {mailing_id} is {state}" + ("" if moved else " (nothing changed)"))


@click.command("pause")
@click.argument("mailing", type=ID)
@json_option
@guarded
def pause(mailing: int, as_json: bool) -> None:
    """Hold a mailing: what is open goes out, nothing more."""
    _move(mailing, mailings.pause, as_json)


@click.command("resume")
@click.argument("mailing", type=ID)
@json_option
@guarded
def resume(mailing: int, as_json: bool) -> None:
    """Let a held mailing go on."""
    _move(mailing, mailings.resume, as_json)


@click.command("cancel")
@click.argument("mailing", type=ID)
@json_option
@guarded
def cancel(mailing: int, as_json: bool) -> None:
    """End a mailing for good: what was not sent is skipped."""
    _move(mailing, mailings.cancel, as_json)


@click.command("resend")
@click.argument("mailing", type=ID)
@click.option(
    "--status",
    type=click.Choice(["undelivered", "skipped", "uncertain"]),
    default="undelivered",
    show_default=True,
    help="Which of them.",
)
@click.option("--cause", help="Only those with this cause, such as smtp:5.1.1.")
@click.option(
    "--may-arrive-twice", is_flag=True, help="Needed for uncertain ones: they may arrive twice."
)
@click.option("--as", "name", help="Your name, for the history; needed for uncertain ones.")
@json_option
@guarded
def resend(
    mailing: int,
    status: str,
    cause: str | None,
    may_arrive_twice: bool,
    name: str | None,
    as_json: bool,
) -> None:
    """Send failed messages of a mailing again."""
    dispatch = ready()
    name = (name or "").strip()[:255]
    if status == "uncertain" and not (may_arrive_twice and name):
        fail(
            "Uncertain messages may have arrived: sending them again needs "
            "--may-arrive-twice --as YOUR-NAME."
        )
    _check_cause(dispatch, mailing, cause)
    outcome = _resent(
        dispatch,
        CommandLine(name=name) if name else SYSTEM,
        Chosen(mailing_id=mailing, cause=cause or "", states=frozenset({MessageState(status)})),
    )
    for reason, count in outcome.refused.items():
        until = ""
        if reason is Refusal.AWAITED and outcome.awaited_until is not None:
            until = f"; decide after {iso(outcome.awaited_until)}"
        click.echo(f"{count} of them stay as they are: {_WHY[reason]}{until}", err=True)
    if as_json:
        print_json({"mailing": mailing, "resent": outcome.done, "left": outcome.left})
    else:
        click.echo(f"{outcome.done} messages are sent again")


def _check_cause(dispatch: Dispatch, mailing_id: int, cause: str | None) -> None:
    try:
        known = [str(each["key"]) for each in causes_json(dispatch, mailing_id, "en")]
    except LookupError:
        fail(f"There is no mailing {mailing_id}.")
    if cause is None or cause in known:
        return
    with dispatch.database.begin() as connection:
        found = answers_of_cause(dispatch, connection, cause)
    if not found:
        there = f"use one of: {', '.join(known)}" if known else "nothing of it failed"
        fail(f"--cause {cause!r}: mailing {mailing_id} has no such cause; {there}.")


def _resent(dispatch: Dispatch, actor: Actor, chosen: Chosen) -> messages.Outcome:
    if chosen.states == {MessageState.UNCERTAIN}:
        again = messages.Settlement.SEND_AGAIN
        return messages.settle_uncertain(dispatch, actor, chosen, again, may_arrive_twice=True)
    return resend_messages(dispatch, actor, chosen)
