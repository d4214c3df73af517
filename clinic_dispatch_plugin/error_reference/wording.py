"""The words of the reference's pages: kinds of trouble, what the program does, whose codes these are."""

from __future__ import annotations

from collections.abc import Mapping

from clinic_dispatch_plugin.error_reference.policy import Policy, PolicyAction
from clinic_dispatch_plugin.error_reference.rules import ANY_CODE, KnownEntry, Matched, Step
from clinic_dispatch_plugin.web.i18n import N_, _, format_number, n_

SYSTEMS: Mapping[str, str] = {
    "smtp": N_("E-mail (SMTP)"),
    "dispatch": N_("Our own program"),
    "smsc_send": N_("SMSC: sending"),
    "smsc_status": N_("SMSC: state of a message"),
    "smsc_delivery": N_("SMSC: delivery"),
    "smsc_status_query": N_("SMSC: asking for the state"),
    "viber_business": N_("Viber for business"),
    "viber_bot": N_("Viber bot"),
    "twilio": N_("Twilio: sending"),
    "twilio_delivery": N_("Twilio: delivery"),
    "twilio_call": N_("Twilio: calls"),
    "infobip_status": N_("Infobip: state of a message"),
    "infobip_error": N_("Infobip: errors"),
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
    "policy.cap": N_("Longest wait"),
    "policy.floor": N_("Shortest wait"),
    "policy.block": N_("Block the address?"),
    "policy.block_days": N_("End of the block"),
    "policy.deadline": N_("Give up after"),
    "policy.pause_share": N_("Put the mailing list on hold"),
    "policy.pause_least": N_("But only from"),
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
    """What the program does, in sentences."""
    said = []
    match found.action:
        case PolicyAction.RETRY:
            said.append(_retries(found))
        case PolicyAction.STOP_ACCOUNT:
            said.append(
                _("Stops the sending account; its messages wait until somebody has mended it.")
            )
        case PolicyAction.SUSPECT_ACCOUNT:
            said.append(
                _("The message waits; after three such answers in a row the sending account stops.")
            )
        case PolicyAction.FAIL:
            said.append(_("No further try."))
    if found.block and found.block_days:
        said.append(
            n_(
                "Blocks the address for {n} day.",
                "Blocks the address for {n} days.",
                found.block_days,
            )
        )
    elif found.block:
        said.append(_("Blocks the address until it is changed."))
    if found.pause_share:
        share = format_number(round(found.pause_share * 100, 1))
        said.append(
            _("Puts the mailing list on hold when {share} % of its messages fail so.", share=share)
        )
    return " ".join(said)


def _retries(found: Policy) -> str:
    """When and how often it tries again."""
    if found.tries <= 1:
        return _("No further try.")
    said = n_(
        "Tries again by itself, up to {n} time in all, first within about {first}.",
        "Tries again by itself, up to {n} times in all, first within about {first}.",
        found.tries,
        first=span(found.floor + found.base),
    )
    if found.deadline:
        said += " " + _("Gives up after {time}.", time=span(found.deadline))
    return said


def span(seconds: float) -> str:
    """A waiting time in the largest unit that fits."""
    minutes = max(1, round(seconds / 60))
    if minutes < 120:
        return n_("{n} minute", "{n} minutes", minutes)
    hours = round(minutes / 60)
    if hours < 72:
        return n_("{n} hour", "{n} hours", hours)
    return n_("{n} day", "{n} days", round(hours / 24))


def deed(action: str) -> str:
    """What somebody did to an entry; of an import the number follows a colon."""
    return _(DEEDS.get(action.partition(":")[0], action))


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
