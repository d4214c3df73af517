"""Makes mailings and starts them at once: for the command line and for the clinic's own code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import Connection

from clinic_dispatch_plugin.channels.types import Purpose
from clinic_dispatch_plugin.host.types import Actor, Recipient
from clinic_dispatch_plugin.mailings import store, uploads
from clinic_dispatch_plugin.mailings.content import MailingContent
from clinic_dispatch_plugin.mailings.drafts import (
    LONGEST_NAME,
    checked_purpose,
)
from clinic_dispatch_plugin.mailings.freezing import SENT, TRIAL, insert_started
from clinic_dispatch_plugin.mailings.order import checked_order, checked_silences, checked_texts
from clinic_dispatch_plugin.mailings.planning import (
    PlanOutcome,
    plan,
    plan_within,
)
from clinic_dispatch_plugin.mailings.problems import MailingProblem, NoRoute, Problem
from clinic_dispatch_plugin.mailings.recipient_file import BadRow
from clinic_dispatch_plugin.mailings.source_names import names_of_source
from clinic_dispatch_plugin.mailings.sources import (
    AudienceSource,
    FileSource,
    FileSurvey,
    RecipientsSource,
    Source,
    of_recipient,
    one_line,
)
from clinic_dispatch_plugin.mailings.texts import template_for_code
from clinic_dispatch_plugin.messages.mailing_rules import (
    PLAN_AT_ONCE,
    PLAN_BATCH,
    MailingState,
    priority,
)
from clinic_dispatch_plugin.messages.quiet import ANY_HOUR
from clinic_dispatch_plugin.registry import Dispatch

SYSTEM = Actor(ref="system", name="system")
LONGEST_KEY = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedMailing:
    """A mailing that is on its way."""

    mailing_id: int
    #: None while nobody counted them: a worker writes a large mailing.
    recipients: int | None
    skipped: int | None
    #: Whether every message is written.
    planned: bool
    #: The first rows of a file that cannot be used, and how many there are.
    bad_rows: Sequence[BadRow] = ()
    bad_row_count: int = 0
    #: True: the idempotency key was used before, and this is that mailing.
    existed: bool = False


def send_now(
    dispatch: Dispatch,
    *,
    name: str,
    purpose: str,
    channel: str,
    content: MailingContent,
    source: Source,
    not_after: datetime | None = None,
    actor: Actor,
    idempotency_key: str | None = None,
    further: Mapping[str, MailingContent] | None = None,
    silences: Mapping[str, int | None] | None = None,
) -> StartedMailing:
    """Make a mailing and start it.

    :param further: the channels that follow where one does not reach its recipient, in order, each with its own
        words; empty ones: what the first says.
    :param silences: minutes without a report after which the next channel follows, by channel; 0: never so, nothing
        said: as usual for the channel.
    :param not_after: aware; nothing goes out after it.
    :param idempotency_key: the same key again gives the same mailing and sends nothing.
    :raises NoRoute: the channel does not exist or has no account.
    :raises MailingProblem: text, purpose, audience or time is wrong; nothing was written.
    :raises RecipientFileError: the file as a whole cannot be used.
    :raises HostFailed: the clinic's system did not answer.
    """
    if isinstance(source, RecipientsSource):
        mailing_id = send(
            dispatch,
            to=source.recipients,
            purpose=purpose,
            channel=channel,
            subject=content.subject,
            text=content.text,
            html=content.html,
            name=name,
            not_after=not_after,
            idempotency_key=idempotency_key,
            actor=actor,
            channels=[channel, *(further or ())],
            texts=further or {},
            silences=silences,
        )
        return _started(dispatch, mailing_id, PlanOutcome.WHOLE)
    order = checked_order(dispatch, [channel, *(further or ())])
    for key in order:
        if dispatch.account(key, purpose) is None:
            raise NoRoute(key)
    names, survey = names_of_source(dispatch, source, order)
    kept = checked_texts(dispatch, order, {**(further or {}), channel: content}, known=names)
    waits = checked_silences(dispatch, order, silences or {})
    values = _new_values(
        name=name or (source.file_name if isinstance(source, FileSource) else source.key),
        purpose=purpose,
        channel=channel,
        not_after=not_after,
        actor=actor,
        idempotency_key=idempotency_key,
    )
    values |= selection_of(dispatch, source, survey)
    mailing_id, existed = dispatch.database.run(
        lambda connection: insert_started(connection, values, kept, actor, silences=waits)
    )
    if existed:
        uploads.remove(dispatch, values["selection"].get("upload"))
        return _started(dispatch, mailing_id, PlanOutcome.WHOLE, existed=True)
    return _started(dispatch, mailing_id, plan_or_ring(dispatch, mailing_id), survey=survey)


def selection_of(
    dispatch: Dispatch, source: AudienceSource | FileSource, survey: FileSurvey | None
) -> dict[str, Any]:
    """Source and selection as a mailing's row holds them; a file is copied."""
    if isinstance(source, AudienceSource):
        selection: dict[str, Any] = {"audience": source.key, "filters": dict(source.filters)}
        return {"source": "audience", "selection": selection}
    key = uploads.keep_copy(dispatch, source.path)
    shown = one_line(source.file_name or source.path.name)[:LONGEST_NAME]
    selection = {"upload": key, "file_name": shown, "rows": survey.rows if survey else 0}
    return {"source": "file", "selection": selection}


def send(
    dispatch: Dispatch,
    *,
    to: Recipient | str | Sequence[Recipient | str],
    purpose: str = Purpose.SERVICE,
    channel: str = "email",
    subject: str = "",
    text: str = "",
    html: str = "",
    template: int | str | None = None,
    name: str = "",
    not_after: datetime | None = None,
    idempotency_key: str | None = None,
    connection: Connection | None = None,
    actor: Actor | None = None,
    trial: bool = False,
    trial_of: str = "",
    channels: Sequence[str] = (),
    texts: Mapping[str, str | MailingContent] | None = None,
    silences: Mapping[str, int | None] | None = None,
    any_hour: bool = False,
) -> int:
    """Send to recipients the caller has in hand; returns the mailing's id.

    Everything is written in one transaction. With ``connection`` it is the caller's: roll back and nothing is sent,
    commit and it will be, by the next look of a worker into the database (10 s at most).

    :param to: at most 500 recipients, or refs the host is asked about: one transaction must not last long. For more
        call it several times, or make an audience of them, whose messages are written in portions.
    :param template: id or name of a text of the clinic's, instead of ``subject``, ``text`` and ``html``.
    :param channels: instead of ``channel``, several in order: who cannot be reached by one gets it by the next,
        and so does whoever it could not be delivered to there, where the error reference says so.
    :param texts: words of their own for channels after the first, by channel; the others say what the first says.
    :param silences: minutes without a report after which the next channel follows, by channel; 0: never so, nothing
        said: as usual for the channel. A gateway that can be asked is asked first; yet the recipient may get both,
        should the first arrive later.
    :param any_hour: do not wait for the end of quiet hours; for one recipient, and not for promotions and greetings.
    :param trial: lists and the audit trail call it a trial.
    :param trial_of: the patient whose values a trial's words hold: who may not see them may not read it.
    :raises NoRoute: the channel does not exist.
    :raises MailingProblem: text, purpose, time or a ref is wrong, or there are more than 500 recipients.
    :raises NotYours: there is no such template.
    """
    who = actor or SYSTEM
    order = checked_order(dispatch, list(channels) or [channel])
    waits = checked_silences(dispatch, order, silences or {})
    recipients = _recipients(dispatch, to)
    values = _new_values(
        name=name or (one_line(subject)[:LONGEST_NAME] if len(recipients) == 1 else ""),
        purpose=checked_purpose(purpose),
        channel=order[0],
        not_after=not_after,
        actor=who,
        idempotency_key=idempotency_key,
    )
    values["source"] = "code"
    values["selection"] = {"trial": True, "trial_of": trial_of} if trial else {}
    if any_hour and len(recipients) == 1:
        values["selection"] = {**values["selection"], ANY_HOUR: True}
    values["priority"] = priority(values["purpose"], len(recipients))
    candidates = [of_recipient(each, purpose=purpose, order=order) for each in recipients]
    written = MailingContent(subject=subject, text=text, html=html)
    own = {
        key: MailingContent(text=words) if isinstance(words, str) else words
        for key, words in (texts or {}).items()
    }

    def work(connection: Connection) -> int:
        content = written
        store.write_first(connection)
        if template is not None:
            known = template_for_code(connection, template)
            content, values["template_id"] = known.content, known.id
            values["name"] = values["name"] or known.name
        kept = checked_texts(dispatch, order, {**own, order[0]: content})
        action = TRIAL if trial else SENT
        mailing_id, existed = insert_started(
            connection, values, kept, who, action=action, silences=waits
        )
        if not existed:
            plan_within(dispatch, connection, mailing_id, candidates)
        return mailing_id

    if connection is not None:
        return work(connection)
    mailing_id = dispatch.database.run(work)
    dispatch.doorbell.ring()
    return mailing_id


def _recipients(
    dispatch: Dispatch, to: Recipient | str | Sequence[Recipient | str]
) -> list[Recipient]:
    several = [to] if isinstance(to, Recipient | str) else list(islice(to, PLAN_BATCH + 1))
    if len(several) > PLAN_BATCH:
        message = (
            "At most {limit} recipients can be given in one call: "
            "call it several times, or make an audience of them."
        )
        raise MailingProblem(Problem(field="to", message=message, fields={"limit": PLAN_BATCH}))
    refs = [each for each in several if isinstance(each, str)]
    known = dispatch.host.recipients_now(refs) if refs else {}
    if missing := [ref for ref in refs if ref not in known]:
        message = "The clinic's system knows no patient {ref}."
        raise MailingProblem(Problem(field="to", message=message, fields={"ref": missing[0]}))
    return [known[each] if isinstance(each, str) else each for each in several]


def _new_values(
    *,
    name: str,
    purpose: str,
    channel: str,
    not_after: datetime | None,
    actor: Actor,
    idempotency_key: str | None,
) -> dict[str, Any]:
    if not_after is not None and not_after.tzinfo is None:
        message = "Give the time with its zone, such as 2026-11-24T07:00+01:00."
        raise MailingProblem(Problem(field="not_after", message=message))
    if idempotency_key is not None and not 1 <= len(idempotency_key) <= LONGEST_KEY:
        message = "The idempotency key has 1 to {limit} characters."
        raise MailingProblem(
            Problem(field="idempotency_key", message=message, fields={"limit": LONGEST_KEY})
        )
    return {
        "name": one_line(name)[:LONGEST_NAME],
        "purpose": checked_purpose(purpose),
        "channel": channel,
        "state": MailingState.PLANNING.value,
        "not_after": not_after,
        "idempotency_key": idempotency_key,
        "created_by": actor.ref[:128],
        "created_by_name": actor.name[:255],
    }


def plan_or_ring(dispatch: Dispatch, mailing_id: int) -> PlanOutcome:
    """Write the messages here, or let a worker do it where they are many."""
    outcome = plan(dispatch, mailing_id, most=PLAN_AT_ONCE)
    if outcome is PlanOutcome.TOO_MANY:
        dispatch.doorbell.ring_plan(mailing_id)
    return outcome


def _started(
    dispatch: Dispatch,
    mailing_id: int,
    outcome: PlanOutcome,
    *,
    survey: FileSurvey | None = None,
    existed: bool = False,
) -> StartedMailing:
    whole = outcome is PlanOutcome.WHOLE
    recipients: int | None = survey.rows if survey else None
    skipped: int | None = None
    if whole:
        with dispatch.database.begin() as connection:
            recipients, skipped = store.tally(connection, mailing_id)
    return StartedMailing(
        mailing_id=mailing_id,
        recipients=recipients,
        skipped=skipped,
        planned=whole,
        bad_rows=tuple(survey.bad_rows.rows) if survey else (),
        bad_row_count=survey.bad_rows.count if survey else 0,
        existed=existed,
    )
