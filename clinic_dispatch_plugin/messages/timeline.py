"""A message's history in words, the newest first: planned, tried, decided, and what people did about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import RowMapping

from clinic_dispatch_plugin.messages.detail import Detail, Heard, Try
from clinic_dispatch_plugin.messages.rules import MessageState
from clinic_dispatch_plugin.web import words
from clinic_dispatch_plugin.web.i18n import N_, _, language

#: What people did, by the name in the audit trail.
DEEDS: Mapping[str, str] = {
    "resend": N_("Sent again by {who}"),
    "subscribe_again": N_("“The patient wants these messages again”, says {who}"),
    "correct_address": N_("Address corrected by {who}"),
    "retry_now": N_("Next try brought forward by {who}"),
    "view_contents": N_("Contents looked at by {who}"),
    "send": N_("Started by {who}"),
    "schedule": N_("Scheduled by {who}"),
    "unschedule": N_("Taken back to a draft by {who}"),
    "change": N_("Name or times changed by {who}"),
    "cancel": N_("Cancelled by {who}"),
    "check_delivery": N_("Delivery checked by {who}"),
    "send_once_more": N_("Sent once more by {who}"),
    "asked_in_vain": N_(
        "The service was asked once more and did not say that it arrived, so it goes on by the next way"
    ),
    "not_asked": N_(
        "The service could not be asked what became of it, so it goes on by the next way unasked"
    ),
    "policy_given_up": N_("Given up by {who}, who changed what the program does about this error"),
    "policy_moved": N_(
        "Next try moved by {who}, who changed what the program does about this error"
    ),
    "policy_stopped": N_(
        "Waits for its sending account since {who} changed what the program does about this error"
    ),
}
SETTLED: Mapping[str, str] = {
    "arrived": N_("“It arrived”, says {who}"),
    "send_again": N_("Sent again although it may arrive twice, by {who}"),
    "give_up": N_("Given up by {who}"),
}
TRIED: Mapping[str, str] = {
    "open": N_("Try {number}: being handed over"),
    "accepted": N_("Try {number}: accepted"),
    "refused": N_("Try {number}: refused"),
    "uncertain": N_("Try {number}: no answer came, so nobody knows"),
    "withdrawn": N_("Try {number}: never handed over"),
}
_TOLD = ("complaint", "tie_bounce")
#: What mails say that come later, and how it looks.
HEARD: Mapping[str, tuple[str, str]] = {
    "failed": (N_("A mail came back: not delivered"), "bad"),
    "delayed": (N_("A mail says: delayed, it is still being tried"), "wait"),
    "delivered": (N_("A mail says: delivered"), "ok"),
    "relayed": (N_("A mail says: passed on to a system that reports nothing"), ""),
    "expanded": (N_("A mail says: passed on to several recipients"), ""),
    "complained": (N_("The recipient reported the mail as unwanted: no more promotions"), "bad"),
    "replied": (N_("An automatic reply came"), ""),
    "": (N_("A mail about it came back"), ""),
}

#: What gateways report later, and how it looks.
REPORTED: Mapping[str, tuple[str, str]] = {
    "accepted": (N_("The service reports: accepted"), ""),
    "under_way": (N_("The service reports: under way"), ""),
    "no_report": (N_("The service reports: nobody knows what became of it"), "doubt"),
    "failed": (N_("The service reports: not delivered"), "bad"),
    "delivered": (N_("The service reports: delivered"), "ok"),
    "read": (N_("The service reports: read"), "ok"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One line of the history."""

    at: datetime
    text: str
    more: str = ""
    #: The provider's words, untouched.
    raw: str = ""
    #: ``ok``, ``wait``, ``bad``, ``doubt``, ``off``; empty: neither good nor bad.
    css: str = ""


def timeline(detail: Detail) -> list[Event]:
    """The whole history, the newest first."""
    return sorted(_events(detail), key=lambda event: event.at, reverse=True)


def _events(detail: Detail) -> Iterator[Event]:
    line = detail.line
    by = detail.mailing["created_by_name"] or detail.mailing["created_by"]
    planned = _("Planned by {who}", who=by) if by else _("Planned")
    yield Event(at=line.created_at, text=planned, more=detail.mailing["name"])
    for each in detail.tries:
        yield _tried(each)
    yield from _explained_later(detail)
    for mail in detail.heard:
        yield _told(mail, detail.tries)
    for deed in detail.trail:
        # The frame with the HTML belongs to a page that was looked at; once is enough to read here.
        # A complaint and a mail tied by hand stand there already as the mails they came with.
        if (deed["details"] or {}).get("reason") != "html" and deed["action"] not in _TOLD:
            yield _deed(deed)
    if line.final_at is not None and (ours := _decided(detail)):
        yield ours


def _tried(each: Try) -> Event:
    via = " · ".join(
        part for part in (words.channel(each.channel), each.account, each.address) if part
    )
    note = each.answer.text("short", language()) if each.answer else ""
    return Event(
        at=each.closed_at or each.opened_at,
        text=_(TRIED.get(each.state, each.state), number=each.number)
        + (f" – {note}" if note else ""),
        more=via,
        raw=each.service_wrote,
        css=words.attempt_state(each.state, each.report).css,
    )


def _explained_later(detail: Detail) -> Iterator[Event]:
    """Since when an answer nobody had foreseen explains itself, and who described it; each once."""
    told = [*(each.answer for each in detail.tries), *(each.answer for each in detail.heard)]
    for answer in {each.id: each for each in told if each is not None}.values():
        if not answer.explained_later or answer.since is None:
            continue
        note, who = answer.text("short", language()), detail.described_by.get(answer.id, "")
        text = (
            _("Explained since then by “{note}”, described by {who}", note=note, who=who)
            if who
            else _("Explained since then by “{note}”", note=note)
        )
        yield Event(at=answer.since, text=text)


def _told(mail: Heard, tries: Sequence[Try]) -> Event:
    """What a mail said that came later; of which try stands under it."""
    known = REPORTED if mail.by_gateway else HEARD
    label, css = known.get(mail.action, HEARD[""])
    note = mail.answer.text("short", language()) if mail.answer else ""
    more = [_("about try {number}", number=mail.number)] if mail.number is not None else []
    if mail.contradicts:
        more.append(_("this contradicts an earlier report: it counts as delivered"))
    if _came_too_late(mail, tries):
        more.append(
            _("by then it had been sent again: it may have arrived twice, and the last try decides")
        )
    if mail.tied_by:
        more.append(_("assigned by {who}", who=mail.tied_by))
    # A complaint's answer only says why nothing more is sent; the line says it better.
    shown = note if mail.action in ("failed", "delayed") else ""
    return Event(
        at=mail.at,
        text=_(label) + (f" – {shown}" if shown else ""),
        more=", ".join(more),
        css=css,
    )


def _came_too_late(mail: Heard, tries: Sequence[Try]) -> bool:
    """Whether a try arrived, and that became known only after another had gone out."""
    if mail.action not in ("delivered", "read") or mail.number is None:
        return False
    return any(
        each.number > mail.number
        and each.state not in ("refused", "withdrawn")
        and each.opened_at <= mail.at
        for each in tries
    )


def _deed(deed: RowMapping) -> Event:
    details = deed["details"] or {}
    who = deed["actor_name"] or deed["actor_ref"]
    action = deed["action"]
    text = SETTLED.get(str(details.get("choice")), action) if action == "settle" else ""
    more = ""
    if action == "correct_address":
        more = f"{details.get('from') or '–'} → {details.get('to', '')}"
        saved = (
            _("saved on the patient's card") if details.get("saved") else _("for this message only")
        )
        more = f"{more}, {saved}"
    return Event(at=deed["at"], text=_(text or DEEDS.get(action, action), who=who), more=more)


def _decided(detail: Detail) -> Event | None:
    """Our own decision on top of the attempts, or without any."""
    line = detail.line
    if line.final_at is None or line.answer is None or line.answer.system != "dispatch":
        return None
    if line.state not in (MessageState.SKIPPED, MessageState.UNDELIVERED):
        return None
    if any(each.current and each.answer == line.answer for each in detail.tries):
        return None
    word = words.message_state(line.state)
    note = line.answer.text("short", language())
    return Event(at=line.final_at, text=f"{word.label} – {note}", css=word.css)
