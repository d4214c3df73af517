"""Why a mailing stands still, in the reader's words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from clinic_dispatch_plugin.accounts import service as accounts
from clinic_dispatch_plugin.accounts.spending_rules import Lacking, Reached
from clinic_dispatch_plugin.error_reference.answers import answers_of_cause, explained
from clinic_dispatch_plugin.messages import lists_store, showing
from clinic_dispatch_plugin.messages.detail import account_label
from clinic_dispatch_plugin.messages.results_store import last_stop
from clinic_dispatch_plugin.registry import current_dispatch
from clinic_dispatch_plugin.web.i18n import N_, _, format_money, format_sum, format_time

#: Why a plan could not go on: kept with the mailing in English, shown in the reader's language.
LIST_GONE = N_("The list of recipients is not there any more.")
LIST_UNREADABLE = N_("The list of recipients cannot be read.")
HOST_SILENT = N_("The clinic's system did not answer.")
GROUP_REFUSED = N_("The clinic's system does not accept the group or its filters any more.")
NO_ACCOUNT = N_("No account is set up for the channel.")
DATABASE = N_("The database failed.")
RESTORED = N_(
    "The database was restored from a backup. Look whether this mailing went out already before you try again."
)
UNFORESEEN = N_("Something unforeseen happened; the log of the program says where.")
PLAN_FAILURES = frozenset(
    {
        LIST_GONE,
        LIST_UNREADABLE,
        HOST_SILENT,
        GROUP_REFUSED,
        NO_ACCOUNT,
        DATABASE,
        RESTORED,
        UNFORESEEN,
    }
)


def why_on_hold(mailing: Mapping[str, Any]) -> str:
    """One or two sentences; nothing in them is a code or an error's own words."""
    reason, text = mailing["pause_reason"], mailing["pause_text"]
    if reason == "plan_failed":
        why = _(text if text in PLAN_FAILURES else UNFORESEEN)
        return f"{_('The messages could not all be prepared, so nothing goes out yet.')} {why}"
    if reason == "spam":
        return _stopped_by_cause(mailing)
    if reason == "money":
        return _too_little(text)
    if reason in ("cap", "price_unknown"):
        return _without_money(reason, text)
    if reason == "text":
        return _("Its text cannot be used. Cancel it and write it anew.")
    if reason == "person" and text:
        return _("{name} has put it on hold.", name=text)
    return _("Nothing goes out until somebody lets it go on.")


def _too_little(text: str) -> str:
    """Which account holds too little for the whole mailing."""
    short = Lacking.read(text)
    if short is None:
        return _("Nothing goes out until somebody lets it go on.")
    dispatch = current_dispatch()
    with dispatch.database.begin() as connection:
        row = accounts.account(connection, short.account_id)
    return _(
        "There is not enough money on the account {account}: it holds {balance}, and this mailing list needs "
        "≈ {need}. Nothing of it goes out. The program looks again {time}, and goes on by itself once the account is "
        "topped up.",
        account=account_label(dispatch, row),
        balance=format_sum(short.balance),
        need=format_sum(short.need),
        time=format_time(short.until),
    )


def _without_money(reason: str, text: str) -> str:
    """Which cap is used up and until when, or that nobody knows what a message costs."""
    if reason == "price_unknown":
        return _(
            "Its account has a cap, but the service does not say what a message costs. The program asks again in a "
            "few minutes; the administration can write the price into the account’s settings."
        )
    full = Reached.read(text)
    if full is None:
        return _("Nothing goes out until somebody lets it go on.")
    said = {"cap": format_money(full.cap), "time": format_time(full.until)}
    if full.period == "month":
        return _(
            "The cap of {cap} a month for its account is used up. It goes on by itself {time}, or earlier when the "
            "administration raises the cap and somebody lets it go on.",
            **said,
        )
    return _(
        "The cap of {cap} a day for its account is used up. It goes on by itself {time}, or earlier when the "
        "administration raises the cap and somebody lets it go on.",
        **said,
    )


def _stopped_by_cause(mailing: Mapping[str, Any]) -> str:
    note = _note_of_stop(mailing["id"], mailing["pause_text"])
    share = _share_of_stop(mailing["id"])
    if note and share:
        return _(
            "The program stopped it because {bad} of the last {of} messages failed for the same cause: “{cause}”. "
            "Look at it before you go on.",
            cause=note,
            bad=share[0],
            of=share[1],
        )
    if not note:
        return _(
            "The program stopped it because too many messages failed for the same cause. "
            "Look at the cause before you go on."
        )
    return _(
        "The program stopped it because too many messages failed for the same cause: “{cause}”. "
        "Look at it before you go on.",
        cause=note,
    )


def _share_of_stop(mailing_id: int) -> tuple[int, int] | None:
    """How many of how many failed; None: it was not written down."""
    with current_dispatch().database.begin() as connection:
        found = last_stop(connection, mailing_id)
    return (int(found["bad"]), int(found["of"])) if found.get("of") else None


def _note_of_stop(mailing_id: int, code: str) -> str:
    """What explains most of the mailing's answers with this code: one code may say several things."""
    dispatch = current_dispatch()
    with dispatch.database.begin() as connection:
        counted = lists_store.cause_counts(connection, mailing_id)
        answers = explained(dispatch, connection, (row.answer_id for row in counted))
    often = Counter[int]()
    for row in counted:
        answer = answers.get(row.answer_id or 0)
        if answer is not None and f"{answer.system}:{answer.code}" == code:
            often[answer.id] += row.messages
    return next((showing.note(answers[found]) for found, _n in often.most_common(1)), "")


def cause_note(cause: str) -> str:
    """A cause in words; empty for one that explains nothing here."""
    if not cause:
        return ""
    dispatch = current_dispatch()
    with dispatch.database.begin() as connection:
        ids = answers_of_cause(dispatch, connection, cause)
        found = explained(dispatch, connection, ids[:1])
    return next((showing.note(answer) for answer in found.values()), "")
