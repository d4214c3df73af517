"""A mail read as a report: the standard's form first, then a library that knows many others, then our own reader."""

from __future__ import annotations

import email
import logging
import re
from collections.abc import Mapping, Sequence
from email.utils import getaddresses

from clinic_dispatch_plugin.queue.context import places
from clinic_dispatch_plugin.reports import delivery, free_text
from clinic_dispatch_plugin.reports.answers import code_of
from clinic_dispatch_plugin.reports.clues import clues
from clinic_dispatch_plugin.reports.mail import TakenApart, blocks_in, headers_in, take_apart
from clinic_dispatch_plugin.reports.rules import (
    MOST_RECIPIENTS,
    MailKind,
    ReadMail,
    Reported,
    ReportedAction,
)
from clinic_dispatch_plugin.reports.words import (
    ADDRESS,
    AWAY_SUBJECT,
    BOUNCE_SENDER,
    BOUNCE_SUBJECT,
    BOUNCE_WORDS,
)

log = logging.getLogger(__name__)

#: Bytes and lines of a mail the library is given: its patterns are not made for more.
_LIBRARY_BYTES = 64 * 1024
_LIBRARY_LINES = 1_000


def read_mail(raw: bytes) -> ReadMail:
    """Read one mail; never raises, whatever the bytes are."""
    mail = take_apart(raw)
    halves = free_text.split(mail.notice)
    returned = mail.returned or headers_in(halves.returned)
    found = _complaint(mail, returned)
    kind = MailKind.COMPLAINT
    if found is None:
        kind, found = _by_kind(mail, raw, halves, returned)
    return ReadMail(
        kind=kind,
        recipients=tuple(found[:MOST_RECIPIENTS]),
        clues=clues(mail, raw, returned),
        subject=mail.first("subject")[:255],
    )


def _by_kind(
    mail: TakenApart,
    raw: bytes,
    halves: free_text.Halves,
    returned: Mapping[str, Sequence[str]],
) -> tuple[MailKind, list[Reported]]:
    if mail.report_type == "disposition-notification":
        return MailKind.OTHER, []
    blocks = mail.blocks or blocks_in(mail.notice)
    stated = list(delivery.reported(blocks))
    if stated:
        return MailKind.BOUNCE, _with_words(stated, halves.words, mail)
    ours = _ours(mail, returned)
    library = [] if _is_away(mail) else _believable(_library(raw), halves.words, ours)
    if not (library or blocks or _is_bounce(mail, halves)):
        return (
            (MailKind.AUTO_REPLY, _replied(mail)) if _is_automatic(mail) else (MailKind.OTHER, [])
        )
    late = free_text.is_late(halves.words, mail.first("subject"))
    action = ReportedAction.DELAYED if late else ReportedAction.FAILED
    known = _addresses(mail.headers.get("x-failed-recipients", ())) or library
    found = free_text.reported(halves.words, ours=ours, action=action, known=known)
    if not found:
        meant = [each for each in _addresses(returned.get("to", ())) if each.casefold() not in ours]
        found = (
            free_text.reported(halves.words, ours=ours, action=action, known=meant) if meant else []
        )
    status = delivery.statuses(blocks)
    if status:
        found = [_restated(each, status) for each in found]
    return MailKind.BOUNCE, found


def _with_words(stated: list[Reported], words: str, mail: TakenApart) -> list[Reported]:
    """Reports whose block gives no answer get it from the words beside it."""
    silent = [each.address for each in stated if not each.answer]
    if not silent:
        return stated
    told = {
        each.address.casefold(): each
        for each in free_text.reported(words, ours=(), action=ReportedAction.FAILED, known=silent)
    }
    done = []
    for each in stated:
        other = None if each.answer else told.get(each.address.casefold())
        if other is None:
            done.append(each)
            continue
        done.append(
            Reported(
                address=each.address,
                action=each.action,
                code=code_of(other.answer, each.code),
                answer=other.answer,
            )
        )
    return done


def _restated(each: Reported, status: str) -> Reported:
    return Reported(
        address=each.address,
        action=each.action,
        code=code_of(each.answer, status),
        answer=each.answer,
    )


def _complaint(mail: TakenApart, returned: Mapping[str, Sequence[str]]) -> list[Reported] | None:
    """Complaints (RFC 5965): a field of the report says whose, else whom the mail was for; often nobody is named."""
    feedback = mail.feedback
    forwarded = returned.get(
        "x-hmxmroriginalrecipient", ()
    )  # how Hotmail's staff sends complaints on
    if feedback is None and mail.report_type != "feedback-report" and not forwarded:
        return None
    feedback = feedback or {}
    kind = (feedback.get("feedback-type") or ["abuse"])[0].lower()[:40]
    named = [*feedback.get("original-rcpt-to", ()), *feedback.get("removal-recipient", ())]
    whom = _addresses([*named, *forwarded]) or _addresses(
        [*returned.get("to", ()), *returned.get("x-original-to", ())]
    )
    return [
        Reported(address=each, action=ReportedAction.COMPLAINED, code=kind)
        for each in whom[:MOST_RECIPIENTS]
    ]


def _replied(mail: TakenApart) -> list[Reported]:
    who = _addresses([mail.first("from")]) or _addresses([mail.first("reply-to")])
    return [Reported(address=each, action=ReportedAction.REPLIED) for each in who[:1]]


def _is_automatic(mail: TakenApart) -> bool:
    """RFC 3834 5, and what machines write that do not know it."""
    submitted = mail.first("auto-submitted").lower()
    return (
        submitted.startswith(("auto-replied", "auto-generated", "auto-notified"))
        or mail.first("precedence").lower() in ("auto_reply", "auto-reply")
        or any(
            name in mail.headers
            for name in ("x-autoreply", "x-autorespond", "x-auto-response", "x-autogenerated")
        )
        or _is_away(mail)
    )


def _is_away(mail: TakenApart) -> bool:
    subject = mail.first("subject")
    return bool(AWAY_SUBJECT.search(subject)) and not BOUNCE_SUBJECT.search(subject)


def _is_bounce(mail: TakenApart, halves: free_text.Halves) -> bool:
    """Two of three signs: who wrote it, its subject, its words."""
    if mail.report_type == "delivery-status" or "x-failed-recipients" in mail.headers:
        return True
    if _is_away(mail):
        return False
    sender = " ".join([mail.first("from"), mail.first("return-path"), mail.first("sender")])
    signs = (
        bool(BOUNCE_SENDER.search(sender)),
        bool(BOUNCE_SUBJECT.search(mail.first("subject"))),
        bool(BOUNCE_WORDS.search(halves.words)),
    )
    return sum(signs) >= 2


def _library(raw: bytes) -> list[str]:
    """Recipients that ``flufl.bounce`` finds; imported here, for nothing else needs its many patterns."""
    from flufl.bounce import all_failures

    try:
        lines = raw[:_LIBRARY_BYTES].splitlines(keepends=True)[:_LIBRARY_LINES]
        whole = email.message_from_bytes(b"".join(lines))
        temporary, permanent = all_failures(whole)
    except Exception as error:  # a library of patterns meets a mail nobody foresaw
        log.info("flufl.bounce could not read a mail: %s", places(error))
        return []
    found = (each.decode("utf-8", "replace") for each in sorted({*permanent, *temporary}))
    return [
        delivery.plain_address(each)
        for each in found
        if ADDRESS.fullmatch(delivery.plain_address(each))
    ]


def _believable(found: Sequence[str], words: str, ours: set[str]) -> list[str]:
    """What the library found and the report itself speaks of: it also looks into the returned mail."""
    said = words.casefold()
    known = [each for each in found if each.casefold() not in ours]
    return [each for each in known if each.casefold() in said or "@" not in said]


def _addresses(values: Sequence[str]) -> list[str]:
    found: dict[str, str] = {}
    for value in list(values)[:50]:
        for _, address in getaddresses([re.sub(r"^\s*rfc822;", "", value[:8_000])]):
            if ADDRESS.fullmatch(address):
                found.setdefault(address.casefold(), address)
    return list(found.values())


def _ours(mail: TakenApart, returned: Mapping[str, Sequence[str]]) -> set[str]:
    """Addresses that are not the recipient's: whom the report went to, who wrote it, and who wrote our mail."""
    values = [
        value
        for name in ("to", "from", "delivered-to", "return-path")
        for value in mail.headers.get(name, ())
    ]
    values += [
        value
        for name in ("from", "return-path", "sender", "reply-to")
        for value in returned.get(name, ())
    ]
    return {each.casefold() for each in _addresses(values)}
