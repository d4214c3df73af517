"""The words of the reference's pages: kinds of trouble, what the program does, whose codes these are."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from clinic_dispatch_plugin.channels.reference import Permanence
from clinic_dispatch_plugin.error_reference.likeness import Likely
from clinic_dispatch_plugin.error_reference.policy import Policy, PolicyAction
from clinic_dispatch_plugin.error_reference.rules import (
    ANY_CODE,
    TEXT_FIELDS,
    KnownEntry,
    Matched,
    Step,
)
from clinic_dispatch_plugin.web import words
from clinic_dispatch_plugin.web.i18n import N_, _, format_number, format_time, n_

SYSTEMS: Mapping[str, str] = {
    "smtp": N_("E-mail (SMTP)"),
    "dispatch": N_("Our own program"),
    "smsc_send": N_("SMSC: sending"),
    "smsc_status": N_("SMSC: state of a message"),
    "smsc_delivery": N_("SMSC: delivery"),
    "smsc_status_query": N_("SMSC: asking for the state"),
    "viber_business": N_("Viber for business"),
    "viber_bot": N_("Viber bot"),
    "viber_smsc": N_("Viber through SMSC"),
    "viber_infobip": N_("Viber through Infobip"),
    "twilio": N_("Twilio: sending"),
    "twilio_delivery": N_("Twilio: delivery"),
    "twilio_call": N_("Twilio: calls"),
    "infobip_status": N_("Infobip: state of a message"),
    "infobip_error": N_("Infobip: errors"),
    "infobip_request": N_("Infobip: requests"),
    "vonage_send": N_("Vonage: sending"),
    "vonage_delivery": N_("Vonage: delivery"),
    "smpp": N_("SMPP: answers"),
    "smpp_delivery": N_("SMPP: state of a message"),
    "smpp_err": N_("SMPP: errors in reports"),
    "gsm_rp": N_("Mobile network: handing over"),
    "gsm_tp": N_("Mobile network: delivery"),
    "sip": N_("Calls over the internet (SIP)"),
    "q850": N_("Telephone network (Q.850)"),
    "asterisk": N_("Telephone system (Asterisk)"),
    "call": N_("Calls of our own"),
}
CATEGORIES: Mapping[str, str] = {
    "authentication": N_("Log-in refused"),
    "bad_address": N_("Address is wrong"),
    "balance": N_("Credit used up"),
    "blocked_by_regulator": N_("Not allowed by the network"),
    "busy": N_("Line busy"),
    "cancelled": N_("Cancelled by us"),
    "configuration": N_("Set up wrongly"),
    "duplicate": N_("Duplicate"),
    "expired": N_("Too late"),
    "gateway_fault": N_("Fault at the service"),
    "message_content": N_("Content of the message"),
    "message_too_big": N_("Message too big"),
    "network_fault": N_("Fault in the network"),
    "no_answer": N_("Nobody answered"),
    "quiet_hours": N_("Quiet hours"),
    "quota_or_rate": N_("Too many in a short time"),
    "recipient_disabled": N_("Recipient switched off"),
    "recipient_full": N_("Mailbox full"),
    "recipient_moved": N_("Recipient moved"),
    "recipient_refuses": N_("Recipient refuses"),
    "sender_identity": N_("Sender not proved"),
    "sender_reputation": N_("Sender has a bad name"),
    "spam_content": N_("Looks like advertising"),
    "unknown": N_("Not known"),
    "unknown_recipient": N_("Recipient does not exist"),
    "unreachable": N_("Cannot be reached"),
    "unsupported_destination": N_("Destination not possible"),
}
PERMANENCES: Mapping[str, str] = {
    "temporary": N_("Passes: a later try may succeed"),
    "permanent": N_("Stays: the same message fails again"),
    "unknown": N_("Not known: treated as staying"),
}
ACTIONS: Mapping[str, str] = {
    "retry": N_("Try again later"),
    "fail": N_("Do not try again"),
    "suspect_account": N_("Wait; after three in a row stop the sending account"),
    "stop_account": N_("Stop the sending account at once"),
}
DEEDS: Mapping[str, str] = {
    "added": N_("added"),
    "changed": N_("changed"),
    "restored": N_("shipped text restored"),
    "retired": N_("taken out of use"),
    "same_as": N_("made the same as another entry"),
    "undone": N_("a change taken back"),
    "imported": N_("read from a file"),
    "merged": N_("made one with another entry"),
    "split": N_("an answer taken out"),
    "taken": N_("new shipped text taken"),
    "kept": N_("own text kept beside the new shipped one"),
}
FIELDS: Mapping[str, str] = {
    "short": N_("Short (stands in the note)"),
    "what_happened": N_("What happened?"),
    "what_helps": N_("What helps?"),
    "tell_patient": N_("What to tell the patient"),
    "who": N_("Who can mend it?"),
    "group": N_("Heading"),
    "category": N_("Kind"),
    "permanence": N_("Does it pass?"),
    "policy.action": N_("What does the program do?"),
    "policy.tries": N_("Tries in all"),
    "policy.base": N_("First wait"),
    "policy.factor": N_("Each further wait"),
    "policy.cap": N_("Longest wait"),
    "policy.floor": N_("Shortest wait"),
    "policy.ask_first": N_("Ask the service first?"),
    "policy.block": N_("Block the address?"),
    "policy.block_days": N_("End of the block"),
    "policy.next_channel": N_("Then by the next way?"),
    "policy.deadline": N_("Give up after"),
    "policy.pause_share": N_("Put the mailing list on hold"),
    "policy.pause_least": N_("But only from"),
    "pattern": N_("Piece of the answer's text"),
    "unless": N_("But not when this occurs"),
    "apart": N_("Answers taken out"),
    "provider": N_("Provider"),
    "source": N_("Source"),
}


def system(key: str) -> str:
    """Whose codes these are."""
    return _(SYSTEMS[key]) if key in SYSTEMS else key


def category(key: str) -> str:
    """The kind of trouble."""
    return _(CATEGORIES.get(key, key))


def field(name: str) -> str:
    """A field's label: ``short.de``, ``policy.tries``."""
    known = name if name in FIELDS else name.partition(".")[0]
    return _(FIELDS.get(known, name))


def code(entry: KnownEntry) -> str:
    """How an entry is recognised, short enough for a list."""
    if entry.system == "dispatch":
        return _("our own program")
    if entry.pattern and (entry.code.startswith("~") or entry.code == ANY_CODE):
        return f"{entry.system} · {_('by its wording')}"
    if entry.code == ANY_CODE:
        return f"{entry.system} · {_('all others')}"
    if entry.pattern:
        return f"{entry.system} {entry.code} · {_('by its wording')}"
    return f"{entry.system} {entry.code}"


def policy(found: Policy) -> str:
    """What the program does, in sentences that name every number the policy has."""
    said = [*_asks(found), *_tries(found), *_blocks(found), *_goes_on(found)]
    if found.pause_share:
        said.append(
            n_(
                "Puts the mailing list on hold when more than {share} % of its messages fail so, as soon as "
                "{n} message has been answered.",
                "Puts the mailing list on hold when more than {share} % of its messages fail so, as soon as "
                "{n} messages have been answered.",
                found.pause_least,
                share=format_number(round(found.pause_share * 100, 1)),
            )
        )
    return " ".join(said)


def policies(entry: KnownEntry) -> list[str]:
    """What the program does about an entry's answers; two sentences where it depends on what they say of themselves."""
    if entry.system != "smtp" or entry.permanence is not Permanence.UNKNOWN:
        return [policy(entry.policy)]
    passes, stays = (policy(entry.policy_if(said)) for said in ("temporary", "permanent"))
    if passes == stays:
        return [stays]
    return [
        _("Where the service says that it passes: {policy}", policy=passes),
        _("Where the service says that it stays: {policy}", policy=stays),
    ]


def policy_brief(found: Policy) -> str:
    """The same in a line of a list: what it does, without every number."""
    said = [*_asks(found), *_tries(found)[:1], *_blocks(found), *_goes_on(found)]
    if found.pause_share:
        share = format_number(round(found.pause_share * 100, 1))
        said.append(
            _("Puts the mailing list on hold when {share} % of its messages fail so.", share=share)
        )
    return " ".join(said)


def _asks(found: Policy) -> list[str]:
    if not found.asks_first:
        return []
    return [_("First asks the service what became of the message.")]


def _tries(found: Policy) -> list[str]:
    match found.action:
        case PolicyAction.RETRY:
            return _retries(found)
        case PolicyAction.STOP_ACCOUNT:
            return [_("Stops the sending account; its messages wait until somebody has mended it.")]
        case PolicyAction.SUSPECT_ACCOUNT:
            waits = _(
                "The message waits; after three such answers in a row the sending account stops."
            )
            return [waits, *_retries(found)]
        case PolicyAction.FAIL:
            return [_("No further try.")]


def _blocks(found: Policy) -> list[str]:
    if not found.block:
        return []
    if not found.block_days:
        return [_("Blocks the address until it is changed.")]
    return [
        n_("Blocks the address for {n} day.", "Blocks the address for {n} days.", found.block_days)
    ]


def _goes_on(found: Policy) -> list[str]:
    if not found.next_channel:
        return []
    return [_("Then goes the mailing list's next way, where it names one.")]


def _retries(found: Policy) -> list[str]:
    """When and how often it tries again, the most important first."""
    if found.tries <= 1:
        return [_("No further try.")]
    said = [
        n_(
            "Tries again by itself, up to {n} time in all, first {when}, then gives up.",
            "Tries again by itself, up to {n} times in all, first {when}, then gives up.",
            found.tries,
            when=_when(found.bounds(1, scale=1.0)),
        )
    ]
    if found.tries > 2:
        said.append(_further(found))
    if found.deadline:
        said.append(_("Gives up {after} at the latest.", after=after(found.deadline)))
    return said


def _further(found: Policy) -> str:
    if found.factor <= 1 or found.base >= found.cap:
        return _("Each further wait is as long.")
    return _(
        "Each further wait is up to {factor} times as long, but it tries again {after} at the latest.",
        factor=format_number(round(found.factor, 2)),
        after=after(found.floor + found.cap),
    )


def _when(bounds: tuple[float, float]) -> str:
    """After a time, or between two: waits are drawn by lot, so that not all come at once."""
    least, most = bounds
    if least == most:
        return after(most)
    if not least:
        return _("{after} at the latest", after=after(most))
    return _(
        "{least} at the earliest and {most} at the latest", least=after(least), most=after(most)
    )


def after(seconds: float) -> str:
    """Such as "after 15 minutes": in the largest unit that says it exactly."""
    whole = round(seconds)
    if whole <= 0:
        return _("at once")
    if whole % 86_400 == 0:
        return n_("after {n} day", "after {n} days", whole // 86_400)
    if whole % 3_600 == 0:
        return n_("after {n} hour", "after {n} hours", whole // 3_600)
    if whole % 60 == 0 or whole > 600:
        return n_("after {n} minute", "after {n} minutes", round(whole / 60))
    return n_("after {n} second", "after {n} seconds", whole)


def span(seconds: float) -> str:
    """A waiting time in the largest unit that fits."""
    minutes = max(1, round(seconds / 60))
    if minutes < 120:
        return n_("{n} minute", "{n} minutes", minutes)
    hours = round(minutes / 60)
    if hours < 72:
        return n_("{n} hour", "{n} hours", hours)
    return n_("{n} day", "{n} days", round(hours / 24))


def moment(value: datetime | None) -> str:
    """A day and time; one that has passed is at once."""
    if value is None or value <= datetime.now(tz=UTC):
        return _("now")
    return format_time(value)


def deed(action: str) -> str:
    """What somebody did to an entry; of an import the number follows a colon."""
    return _(DEEDS.get(action.partition(":")[0], action))


def why(found: Likely) -> str:
    """Why an entry is likely to mean the same as an answer."""
    said = []
    if found.family:
        said.append(_("Same code family {family}.", family=found.family))
    if found.words:
        said.append(_("Same words: {words}.", words=", ".join(found.words[:4])))
    return " ".join(said)


def value(name: str, held: Any) -> str:
    """What a field holds, in words; a dash for nothing."""
    if held is None or held == "":
        return "–"
    if name.partition(".")[0] in TEXT_FIELDS:
        return str(held)
    if isinstance(held, bool):
        return _("Yes") if held else _("No")
    if name in ("policy.base", "policy.cap", "policy.floor", "policy.deadline"):
        return span(float(held)) if held else "0"
    if name == "policy.pause_share":
        return f"{format_number(round(float(held) * 100, 1))} %"
    return typed(name, str(held))


def typed(name: str, held: str) -> str:
    """What a form's field holds, in words where it is a choice."""
    match name:
        case "who":
            return words.who(held)
        case "group":
            return words.group(held)
        case "category":
            return category(held)
        case "permanence" if held in PERMANENCES:
            return _(PERMANENCES[held])
        case "policy.action" if held in ACTIONS:
            return _(ACTIONS[held])
        case "policy.block" | "policy.ask_first" | "policy.next_channel" if held in ("yes", "no"):
            return _("Yes") if held == "yes" else _("No")
        case _other:
            return held


def named(name: str) -> str:
    """A field with its language: "What helps? (DE)"."""
    head, _dot, tail = name.partition(".")
    return f"{field(name)} ({tail.upper()})" if tail and head != "policy" else field(name)


def step(found: Step | None) -> str:
    """Why an entry was found."""
    if found is None:
        return _("No entry fits: the answer would wait for a description.")
    match found.matched:
        case Matched.PATTERN if found.origin == "clinic":
            return _("Found by its wording, in an entry of the clinic.")
        case Matched.PATTERN:
            return _("Found by its wording.")
        case Matched.EXACT if found.origin == "clinic":
            return _("Found by its code {code}, in an entry of the clinic.", code=found.looked_for)
        case Matched.EXACT:
            return _("Found by its code {code}.", code=found.looked_for)
        case Matched.FAMILY:
            return _(
                "The family of its code, {code}, fits; it is not described itself.",
                code=found.looked_for,
            )
        case Matched.REPLY:
            return _(
                "Only the reply code {code} fits; it is not described itself.",
                code=found.looked_for,
            )
        case _other:
            return _("Only what holds for the whole service fits; it is not described itself.")
