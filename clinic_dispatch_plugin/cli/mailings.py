"""``flask dispatch pause|resume|cancel|resend``: what a person does with a mailing under way."""

from __future__ import annotations

import click
from flask.cli import AppGroup

from clinic_dispatch_plugin.cli.base import SYSTEM, fail, guarded, json_option, print_json, ready

from clinic_dispatch_plugin.mailings import service as mailings
from clinic_dispatch_plugin.messages import service as messages
from clinic_dispatch_plugin.messages.access import CommandLine
from clinic_dispatch_plugin.messages.rules import MessageState
from clinic_dispatch_plugin.messages.selection import Chosen


def register(group: AppGroup) -> None:
    """Add the commands."""
    for command in (pause, resume, cancel, resend):
        group.add_command(command)


def _move(mailing_id: int, verb: str, as_json: bool) -> None:
    dispatch = ready()
    try:
        moved = getattr(mailings, verb)(dispatch, mailing_id, SYSTEM)
        state = mailings.summary(dispatch, mailing_id).state
    except LookupError:
        fail(f"There is no mailing {mailing_id}.")
    if as_json:
        print_json({"mailing": mailing_id, "changed": moved, "state": state})
    else:
        click.echo(f"mailing {mailing_id} is {state}" + ("" if moved else " (nothing changed)"))


@click.command("pause")
@click.argument("mailing", type=int)
@json_option
@guarded
def pause(mailing: int, as_json: bool) -> None:
    """Hold a mailing: what is open goes out, nothing more."""
    _move(mailing, "pause", as_json)


@click.command("resume")
@click.argument("mailing", type=int)
@json_option
@guarded
def resume(mailing: int, as_json: bool) -> None:
    """Let a held mailing go on."""
    _move(mailing, "resume", as_json)


@click.command("cancel")
@click.argument("mailing", type=int)
@json_option
@guarded
def cancel(mailing: int, as_json: bool) -> None:
    """End a mailing for good: what was not sent is skipped."""
    _move(mailing, "cancel", as_json)


@click.command("resend")
@click.argument("mailing", type=int)
@click.option(
    "--status",
    type=click.Choice(["undelivered", "skipped", "uncertain"]),
    default="undelivered",
    show_default=True,
)
@click.option("--cause", help="Only those with this cause, such as smtp:5.1.1.")
@click.option("--may-arrive-twice", is_flag=True, help="Needed for uncertain ones: they may arrive twice.")
@click.option("--as", "name", help="Your name, for the history; needed for uncertain ones.")
@json_option
@guarded
def resend(
    mailing: int, status: str, cause: str | None, may_arrive_twice: bool, name: str | None, as_json: bool
) -> None:
    """Send failed messages of a mailing again."""
    dispatch = ready()
    actor = CommandLine(name=name[:255]) if name else SYSTEM
    if status == "uncertain" and not (may_arrive_twice and name):
        fail(
            "Uncertain messages may have arrived: sending them again needs --may-arrive-twice --as YOUR-NAME."
        )
    chosen = Chosen(
        mailing_id=mailing, cause=cause or "", states=frozenset({MessageState(status)})
    )
    try:
        mailings.summary(dispatch, mailing)
    except LookupError:
        fail(f"There is no mailing {mailing}.")
    if status == "uncertain":
        outcome = messages.settle_uncertain(
            dispatch,
            actor,
            chosen,
            messages.Settlement.SEND_AGAIN,
            may_arrive_twice=may_arrive_twice,
        )
    else:
        outcome = messages.resend(dispatch, actor, chosen)
    done = outcome.done
    for reason, count in outcome.refused.items():
        click.echo(f"{count} stay as they are: {reason.value}", err=True)
    if as_json:
        print_json({"mailing": mailing, "resent": done})
    else:
        click.echo(f"{done} messages are sent again")
