"""Shows a text as one real patient would get it, and sends a trial of it to whoever writes it."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import nh3
from sqlalchemy import Connection

from clinic_dispatch_plugin.channels.errors import InvalidAddress
from clinic_dispatch_plugin.channels.html import clean_html
from clinic_dispatch_plugin.channels.text import (
    Template,
    TemplateSyntaxProblem,
    clean_value,
    parse,
)
from clinic_dispatch_plugin.channels.types import Purpose
from clinic_dispatch_plugin.host.types import Actor, Recipient
from clinic_dispatch_plugin.mailings import store
from clinic_dispatch_plugin.mailings.content import LONGEST_SUBJECT, MailingContent
from clinic_dispatch_plugin.mailings.draft_checks import checked_draft, names_of
from clinic_dispatch_plugin.mailings.drafts import LONGEST_NAME, Draft
from clinic_dispatch_plugin.mailings.freezing import TRIAL
from clinic_dispatch_plugin.mailings.order import own_or_first, suiting
from clinic_dispatch_plugin.mailings.planning import candidates_of
from clinic_dispatch_plugin.mailings.problems import MailingProblem, Problem
from clinic_dispatch_plugin.mailings.sending import send
from clinic_dispatch_plugin.mailings.sources import Candidate, chunks
from clinic_dispatch_plugin.messages import store as messages
from clinic_dispatch_plugin.messages.access import Sight
from clinic_dispatch_plugin.registry import Dispatch

#: How far the preview leafs through the recipients.
MOST_SHOWN = 200
_LOOKED_AT_ONCE = 50
TRIALS_AN_HOUR = 20
#: Somebody who reads one patient's message while writing is noted once in so many seconds.
_NOTED_SECONDS = 600.0
_NOTED = "mailing_previews"
#: What begins a placeholder, in its first half.
_BRACE = re.compile(r"\{(?=[{%])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """A text as one recipient would get it; parts that cannot be read yet are empty."""

    name: str = field(repr=False)
    address: str = field(repr=False)
    subject: str = field(repr=False)
    text: str = field(repr=False)
    html: str = field(repr=False)
    #: Names of placeholders this recipient has no value for.
    missing: Sequence[str] = ()
    position: int = 0
    has_next: bool = False
    #: No real patient: the placeholders' own names stand for values.
    invented: bool = False
    #: What the channels after the first would say, by channel.
    further: Sequence[tuple[str, Preview]] = ()


def sample(
    dispatch: Dispatch, draft: Draft, actor: Actor, position: int
) -> tuple[Candidate, int, bool] | None:
    """The recipient at a position, of those the actor may see; the last one where there are fewer.

    :returns: with its position and whether another follows; None: there is nobody.
    :raises MailingProblem: a filter's value is wrong.
    :raises HostFailed: the clinic's system did not answer.
    :raises NotYours: the list is not there any more.
    """
    position = min(position, MOST_SHOWN - 1)
    last: tuple[Candidate, int] | None = None
    for number, candidate in enumerate(_visible(dispatch, draft, actor)):
        if number > position or number >= MOST_SHOWN:
            assert last is not None
            return *last, True
        last = candidate, number
    return (*last, False) if last else None


def _visible(dispatch: Dispatch, draft: Draft, actor: Actor) -> Iterator[Candidate]:
    sight = Sight(dispatch, actor)
    for batch in chunks(candidates_of(dispatch, draft.row), _LOOKED_AT_ONCE):
        known = (candidate for candidate in batch if not candidate.unknown)
        yield from sight.of(known, lambda candidate: candidate.ref)


def invented(dispatch: Dispatch, draft: Draft) -> Candidate:
    """A recipient whose values are the names of the placeholders, for those who may not read messages."""
    names = names_of(dispatch, draft)
    return Candidate(values={name: f"[{name}]" for name in names}, locale=dispatch.settings.locale)


def preview(
    dispatch: Dispatch,
    content: MailingContent,
    candidate: Candidate,
    *,
    position: int = 0,
    has_next: bool = False,
    known: Collection[str] = (),
    address: str | None = None,
) -> Preview:
    """What this recipient would read; a value that is missing shows as its name in angles.

    :param known: names recipients have values for; what is missing of these is named, others are mistakes.
    :param address: on the channel that is shown; None: on the first.
    """
    locale = candidate.locale or dispatch.settings.locale
    missing: dict[str, None] = {}

    def rendered(source: str, *, html: bool = False, one_line: bool = False) -> str:
        template = _parsed(source)
        if template is None:
            return ""
        values: Mapping[str, str] = {
            name: clean_value(value) for name, value in candidate.values.items()
        }
        gaps = template.missing(values)
        missing.update(dict.fromkeys(gaps))
        values = {**values, **{name: f"⟨{name}⟩" for name in gaps}}
        escape = nh3.clean_text if html else None
        return template.render(values, locale=locale, escape=escape, one_line=one_line)

    return Preview(
        name=candidate.name,
        address=candidate.raw_address if address is None else address,
        subject=rendered(content.subject, one_line=True),
        text=rendered(content.text),
        html=rendered(clean_html(content.html), html=True),
        missing=tuple(name for name in missing if name in known),
        position=position,
        has_next=has_next,
        invented=not candidate.ref and not candidate.line and not candidate.raw_address,
    )


def preview_all(
    dispatch: Dispatch,
    draft: Draft,
    candidate: Candidate,
    *,
    position: int = 0,
    has_next: bool = False,
    known: Collection[str] = (),
) -> Preview:
    """What this recipient would read on the first channel, and beside it on each of the others."""
    first = preview(
        dispatch, draft.content, candidate, position=position, has_next=has_next, known=known
    )
    others = []
    for key, own in draft.further.items():
        words = suiting(dispatch, key, own_or_first(own, draft.content))
        address = candidate.address_on(key, first=draft.channel)
        others.append((key, preview(dispatch, words, candidate, known=known, address=address)))
    return replace(first, further=others)


def _parsed(source: str) -> Template | None:
    try:
        return parse(source)
    except TemplateSyntaxProblem:
        return None


def note_looking(dispatch: Dispatch, draft: Draft, actor: Actor, candidate: Candidate) -> None:
    """Write down that somebody reads what a patient would get, before it is shown."""
    noted: dict[str, float] = dispatch.cache.setdefault(_NOTED, {})
    key = _showing(draft, actor, candidate)
    at = time.monotonic()
    if at - noted.get(key, at - 2 * _NOTED_SECONDS) < _NOTED_SECONDS:
        return
    for old in [each for each, when in noted.items() if at - when > _NOTED_SECONDS]:
        noted.pop(old, None)

    def work(connection: Connection) -> None:
        messages.write_audit(
            connection,
            actor_ref=actor.ref,
            actor_name=actor.name,
            action="view_contents",
            mailing_id=draft.id,
            details={"ref": candidate.ref, "line": candidate.line, "where": "preview"},
        )

    dispatch.database.run(work)
    noted[key] = at


def _showing(draft: Draft, actor: Actor, candidate: Candidate) -> str:
    """One person's look at one patient's words; another list, text or draft is another look."""
    content = draft.content
    parts = [
        actor.ref,
        draft.id,
        # The id of a draft that was thrown away may come again.
        str(draft.row["created_at"]),
        draft.source,
        dict(draft.selection),
        [candidate.ref, candidate.line],
        [[each.subject, each.text, each.html] for each in (content, *draft.further.values())],
    ]
    said = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()


def send_trial(
    dispatch: Dispatch, draft: Draft, actor: Actor, candidate: Candidate, *, name: str
) -> list[str]:
    """Send the text, filled in for this recipient, to the actor, by each way they have; returns the addresses.

    The words are finished here: the message keeps no value of the patient's, and its mailing names the patient.

    :param name: of the mailing of one that is made for it.
    :raises MailingProblem: the draft has a fault, the actor has no address, or there were too many trials.
    """
    contents = checked_draft(dispatch, draft)
    reached = [key for key in draft.order if _has_address(dispatch, actor, key)]
    if not reached:
        message = "Your own account in the clinic's system has no address a trial could go to."
        raise MailingProblem(Problem(field="", message=message))
    _refuse_haste(dispatch, actor)
    known = names_of(dispatch, draft)
    for key in reached:
        finished = preview(dispatch, contents[key], candidate, known=known)
        recipient = Recipient(
            ref="",  # nobody's card: neither consent nor life is asked about
            name=actor.name,
            locale=candidate.locale,
            addresses={key: actor.addresses[key]},
        )
        send(
            dispatch,
            to=recipient,
            purpose=Purpose.SERVICE,
            channel=key,
            subject=_literal(finished.subject)[:LONGEST_SUBJECT],
            text=_literal(finished.text),
            html=_literal(finished.html),
            name=name[:LONGEST_NAME],
            actor=actor,
            trial=True,
            trial_of=candidate.ref,
        )
    return [actor.addresses[key] for key in reached]


def _has_address(dispatch: Dispatch, actor: Actor, channel: str) -> bool:
    try:
        dispatch.channels[channel].normalise_address(
            actor.addresses.get(channel, ""), region=dispatch.settings.region
        )
    except InvalidAddress:
        return False
    return True


def _literal(finished: str) -> str:
    """Finished words as a text without placeholders: a value that looks like one stays what it is."""
    return _BRACE.sub("{\N{WORD JOINER}", finished)


def _refuse_haste(dispatch: Dispatch, actor: Actor) -> None:
    with dispatch.database.begin() as connection:
        done = store.actions_since(connection, actor_ref=actor.ref, action=TRIAL, seconds=3600)
    if done >= TRIALS_AN_HOUR:
        message = "You sent {count} trials within an hour. Please wait a while."
        raise MailingProblem(Problem(field="", message=message, fields={"count": done}))
