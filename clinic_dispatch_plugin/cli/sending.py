"""``flask dispatch send``: a mailing from the command line."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import click
from flask.cli import AppGroup

from clinic_dispatch_plugin.channels.types import Purpose
from clinic_dispatch_plugin.cli.base import (
    SYSTEM,
    fail,
    guarded,
    json_option,
    print_json,
    ready,
    typed,
)
from clinic_dispatch_plugin.cli.sending_costs import (
    may_lack_money,
    refuse_without_money,
    say_costs,
)
from clinic_dispatch_plugin.config import PURPOSES, lacking_for_links
from clinic_dispatch_plugin.engine.presence import worker_is_seen
from clinic_dispatch_plugin.host.types import Audience
from clinic_dispatch_plugin.mailings import service as mailings
from clinic_dispatch_plugin.mailings.bad_rows import bad_rows_of, on_one_line
from clinic_dispatch_plugin.mailings.content import MailingContent
from clinic_dispatch_plugin.mailings.costing import costs
from clinic_dispatch_plugin.mailings.foresight import foreseen
from clinic_dispatch_plugin.mailings.planning import PLAN_FAILED
from clinic_dispatch_plugin.mailings.problems import HostFailed, MailingProblem, NoRoute
from clinic_dispatch_plugin.mailings.recipient_file import RecipientFileError
from clinic_dispatch_plugin.mailings.rehearsal import rehearse
from clinic_dispatch_plugin.mailings.sending import StartedMailing
from clinic_dispatch_plugin.mailings.sources import AudienceSource, FileSource, audiences
from clinic_dispatch_plugin.messages.mailing_rules import PLAN_AT_ONCE, MailingState
from clinic_dispatch_plugin.registry import Dispatch

_POLL_SECONDS = 0.2


def register(group: AppGroup) -> None:
    """Add the command."""
    group.add_command(send)


def _moment(_: click.Context, __: click.Parameter, value: str | None) -> datetime | None:
    if value is None:
        return None
    example = "2026-11-24T07:00+01:00"
    try:
        moment = datetime.fromisoformat(value)
        moment = moment.astimezone(UTC) if moment.tzinfo else moment
    except (ValueError, OverflowError):
        fail(f"--not-after {value!r}: write ISO 8601 with a zone, such as {example}.")
    if moment.tzinfo is None:
        fail(f"--not-after {value!r} has no time zone: write it as in {example}.")
    return moment


@click.command("send")
@click.option("--channel", default="email", show_default=True, help="Channel to send through.")
@click.option(
    "--channels",
    metavar="FIRST,THEN,…",
    help="Instead of --channel, several in order: who cannot be reached by one gets it by the next.",
)
@click.option("--to", "to", type=click.Path(path_type=Path), help="CSV of recipients.")
@click.option("--audience", help="Audience of the host, instead of --to.")
@click.option(
    "--filter", "filters", multiple=True, metavar="NAME=VALUE", help="Filter of the audience."
)
@click.option("--subject", default="", help="Subject, placeholders allowed.")
@click.option(
    "--text", "text", required=True, type=click.Path(path_type=Path), help="File with the text."
)
@click.option("--html", "html", type=click.Path(path_type=Path), help="File with the HTML text.")
@click.option(
    "--text-for",
    "texts",
    multiple=True,
    metavar="CHANNEL=FILE",
    help="Text of its own for a channel after the first.",
)
@click.option(
    "--silence",
    "silences",
    multiple=True,
    metavar="CHANNEL=MINUTES",
    help="Without a report of this channel for so long, the next one's turn comes; 0: never so.",
)
@click.option("--name", default="", help="Name of the mailing; the subject by default.")
@click.option(
    "--purpose",
    type=click.Choice(PURPOSES),
    default="service",
    show_default=True,
    help="What it is for; all but service ask for consent.",
)
@click.option(
    "--not-after",
    callback=_moment,
    metavar="TIME",
    help="ISO 8601 with a zone: not sent later than this.",
)
@click.option("--idempotency-key", help="The same key twice sends once.")
@click.option(
    "--wait", type=click.FloatRange(min=0), metavar="SECONDS", help="Wait for the first pass."
)
@click.option(
    "--dry-run", is_flag=True, help="Send nothing: say who would get it and what it would cost."
)
@json_option
@guarded
def send(
    channel: str,
    channels: str | None,
    to: Path | None,
    audience: str | None,
    filters: tuple[str, ...],
    subject: str,
    text: Path,
    html: Path | None,
    texts: tuple[str, ...],
    silences: tuple[str, ...],
    name: str,
    purpose: str,
    not_after: datetime | None,
    idempotency_key: str | None,
    wait: float | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Send a mailing to the recipients of a CSV file or an audience.

    The CSV's columns: email (or the channel's key, or phone), optional ref, name, locale; every other column is a
    placeholder {{ column }}. Rows that cannot be used are named with line, cell and what to do; the others are sent.
    """
    dispatch = ready()
    channel, further = _order(dispatch, channel, channels, texts)
    content = MailingContent(
        subject=subject, text=_read("--text", text), html=_read("--html", html) if html else ""
    )
    try:
        source = _source(dispatch, to, audience, filters)
        if dry_run or may_lack_money(dispatch, [channel, *further], purpose):
            found = rehearse(
                dispatch,
                purpose=purpose,
                channel=channel,
                content=content,
                source=source,
                not_after=not_after,
                further=further,
            )
            foreseen_costs = costs(dispatch, found.kinds, purpose)
            if dry_run:
                say_costs(found, foreseen_costs, as_json=as_json)
                return
            refuse_without_money(foreseen_costs)
        started = mailings.send_now(
            dispatch,
            name=name or subject or text.stem,
            purpose=purpose,
            channel=channel,
            content=content,
            source=source,
            not_after=not_after,
            actor=SYSTEM,
            idempotency_key=idempotency_key,
            further=further,
            silences=_silences(silences),
        )
    except RecipientFileError as error:
        fail(
            f"{to}: {error.message.format_map(error.fields)} {error.advice.format_map(error.fields)}"
        )
    except (MailingProblem, NoRoute, HostFailed) as error:
        fail(str(error))
    if isinstance(source, FileSource):
        _say_bad_rows(dispatch, source, [channel, *further], started)
    _check_plan(dispatch, started.mailing_id)
    _say_what_is_foreseen(dispatch, channel, started)
    _say_what_lacks(dispatch, purpose)
    if not worker_is_seen(dispatch):
        click.echo(
            "No worker is running, so nothing goes out yet; nothing is lost. "
            f"Start one with: {typed('worker')}",
            err=True,
        )
    _wait(dispatch, started.mailing_id, wait or 0.0)
    _report(dispatch, started, as_json=as_json)


def _order(
    dispatch: Dispatch, channel: str, channels: str | None, texts: tuple[str, ...]
) -> tuple[str, dict[str, MailingContent]]:
    """The first channel, and those after it with the words of their own."""
    order = [key.strip() for key in channels.split(",")] if channels is not None else [channel]
    for key in order:
        _check_channel(dispatch, key)
    further = {key: MailingContent() for key in order[1:]}
    for item in texts:
        key, sign, file = item.partition("=")
        if not sign or key not in further:
            known = ", ".join(further) or "none: name several with --channels"
            fail(f"--text-for {item!r}: write CHANNEL=FILE; channels after the first are: {known}.")
        further[key] = MailingContent(text=_read("--text-for", Path(file)))
    return order[0], further


def _silences(given: tuple[str, ...]) -> dict[str, int | None]:
    waits: dict[str, int | None] = {}
    for item in given:
        key, _, minutes = item.partition("=")
        if not (minutes.isascii() and minutes.isdigit()) or len(minutes) > 6:
            fail(f"--silence {item!r}: write CHANNEL=MINUTES, such as viber=60.")
        waits[key] = int(minutes)
    return waits


def _check_channel(dispatch: Dispatch, channel: str) -> None:
    if channel not in dispatch.channels:
        known = ", ".join(sorted(dispatch.channels)) or "none"
        fail(f"--channel {channel!r}: there is no such channel; there are: {known}.")


def _say_bad_rows(
    dispatch: Dispatch, source: FileSource, order: Sequence[str], started: StartedMailing
) -> None:
    """All of them: whoever corrects the file wants no second round. A file without any is not read once more."""
    if started.existed or not (started.bad_row_count or started.skipped or not started.planned):
        return
    for row in bad_rows_of(dispatch, source.path, order=order):
        click.echo(on_one_line(row), err=True)


def _say_what_is_foreseen(dispatch: Dispatch, channel: str, started: StartedMailing) -> None:
    """What the channel expects to go wrong; the mailing goes out all the same."""
    # Uncounted is what a worker writes, for it is large.
    recipients = PLAN_AT_ONCE if started.recipients is None else started.recipients
    for entry in foreseen(dispatch, channel, recipients=recipients):
        words = (entry.text(name, "en") for name in ("short", "what_happened", "what_helps"))
        click.echo("Expected trouble: " + ". ".join(words), err=True)


def _say_what_lacks(dispatch: Dispatch, purpose: str) -> None:
    """A promotion goes out without a link to unsubscribe; whoever sends it has to know."""
    lacking = lacking_for_links(dispatch.settings) if purpose == Purpose.PROMOTION else ()
    if lacking:
        click.echo(
            f"Without {' and '.join(lacking)} the mails carry no link to unsubscribe (List-Unsubscribe), "
            "which mail providers expect of promotions.",
            err=True,
        )


def _check_plan(dispatch: Dispatch, mailing_id: int) -> None:
    """End with the reason where the messages could not be written."""
    found = mailings.summary(dispatch, mailing_id)
    if found.state is MailingState.PAUSED and found.pause_reason == PLAN_FAILED:
        fail(
            f"Mailing {mailing_id} could not be prepared and stands still: {found.pause_text} "
            f"Mend that and go on with `{typed(f'resume {mailing_id}')}`, or end it with "
            f"`{typed(f'cancel {mailing_id}')}`."
        )


def _source(
    dispatch: Dispatch, to: Path | None, audience: str | None, filters: tuple[str, ...]
) -> AudienceSource | FileSource:
    if (to is None) == (audience is None):
        fail("Say whom: either --to FILE.csv or --audience NAME.")
    if audience is not None:
        return _audience(dispatch, audience, filters)
    assert to is not None
    if filters:
        fail("--filter belongs to --audience; a file has no filters.")
    if to.is_dir():
        fail(f"--to {to}: this is a folder; name a CSV file.")
    if not to.is_file():
        fail(f"--to {to}: there is no such file.")
    return FileSource(path=to, file_name=to.name)


def _audience(dispatch: Dispatch, key: str, given: tuple[str, ...]) -> AudienceSource:
    wrong = [item for item in given if "=" not in item]
    if wrong:
        fail(f"--filter {wrong[0]!r}: write NAME=VALUE.")
    said = dict(item.split("=", 1) for item in given)
    found = next((each for each in audiences(dispatch.host) if each.key == key), None)
    if found is None:  # the sending itself says which there are
        return AudienceSource(key=key, filters=said)
    source = AudienceSource(key=key, filters=_filters(found, said))
    _try_audience(dispatch, source)
    return source


def _filters(audience: Audience, said: Mapping[str, str]) -> dict[str, str]:
    """The audience's filters, with what the host offers where nothing was said, as on the page."""
    known = {each.key: each for each in audience.filters}
    if unknown := sorted(set(said) - set(known)):
        there = f"there are: {', '.join(known)}" if known else "there is none"
        fail(f"--filter {unknown[0]!r}: the audience {audience.key} has no such filter; {there}.")
    values = {key: said.get(key, each.default) for key, each in known.items()}
    for key, each in known.items():
        if each.required and not values[key]:
            fail(f"The audience {audience.key} needs --filter {key}=VALUE ({each.label}).")
    return {key: value for key, value in values.items() if value}


def _try_audience(dispatch: Dispatch, source: AudienceSource) -> None:
    """Ask for the first recipient, so that a wrong filter is found before anything is written."""
    try:
        next(iter(dispatch.host.recipients(source.key, source.filters)), None)
    except ValueError as error:
        fail(f"--audience {source.key}: {error}")
    except Exception as error:
        raise HostFailed(
            f"The clinic's system could not say who is in the audience {source.key}: "
            f"{type(error).__name__}. Nothing was sent."
        ) from error


def _read(option: str, path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        fail(f"{option} {path}: {(error.strerror or 'it cannot be read').lower()}.")
    except UnicodeDecodeError:
        fail(f"{option} {path}: this is not UTF-8; save the file as UTF-8.")


def _wait(dispatch: Dispatch, mailing_id: int, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = mailings.summary(dispatch, mailing_id)
        if found.first_pass_at is not None or found.finished_at is not None:
            return
        time.sleep(min(_POLL_SECONDS, max(0.0, end - time.monotonic())))


def _report(dispatch: Dispatch, started: StartedMailing, *, as_json: bool) -> None:
    found = mailings.summary(dispatch, started.mailing_id)
    # A worker writes a large mailing: until it has, a file's rows are all that is known.
    written = found.state is not MailingState.PLANNING
    if not written:
        click.echo(
            f"A worker writes the messages of a mailing of more than {PLAN_AT_ONCE:,} recipients: it says later how "
            f"many there are: {typed('messages')} --mailing {started.mailing_id}",
            err=True,
        )
    recipients = found.recipients if written else started.recipients
    skipped = found.skipped if written else None
    result = {
        "mailing": started.mailing_id,
        "recipients": recipients,
        "skipped": skipped,
        "bad_rows": started.bad_row_count,
        "first_pass": found.first_pass_at is not None,
        "finished": found.finished_at is not None,
        "counts": found.counts if written else None,
    }
    if as_json:
        print_json(result)
        return
    again = " (this key was used before: nothing was sent now)" if started.existed else ""
    many = "recipients not counted yet" if recipients is None else f"{recipients} recipients"
    left_out = "" if skipped is None else f", {skipped} skipped"
    click.echo(f"mailing {started.mailing_id}: {many}{left_out}{again}")
    for state, count in found.counts.items():
        click.echo(f"  {state:12} {count}")
