"""What the pages of messages are asked for: filters of an address, ticked rows, and where to go back to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from math import ceil
from urllib.parse import urlencode

from flask import abort, request

from clinic_dispatch_plugin.messages.lists import Cursor, MessageFilter
from clinic_dispatch_plugin.messages.rules import MessageState
from clinic_dispatch_plugin.messages.selection import Chosen
from clinic_dispatch_plugin.messages.service import Outcome, Refusal
from clinic_dispatch_plugin.registry import current_dispatch
from clinic_dispatch_plugin.web.i18n import N_, _, format_time, n_, zone
from clinic_dispatch_plugin.web.layout import url
from clinic_dispatch_plugin.web.params import (
    choice_arg,
    clean,
    date_arg,
    id_arg,
    ids_in_form,
    local_path,
    number_in,
    over,
    text_arg,
)

#: States people filter by, in the order of the list; leased ones wait like queued ones.
STATES = ("undelivered", "uncertain", "queued", "sending", "skipped", "sent", "delivered")
#: The year 3000: what an address names as a time is no later.
_LAST_MOMENT = 32_503_680_000
#: A joined cause names each of its entries.
LONGEST_CAUSE = 1_000
LONGEST_SEARCH = 200

REFUSED: Mapping[Refusal, Callable[[int], str]] = {
    Refusal.CANCELLED: lambda n: n_(
        "{n} belongs to a cancelled mailing list: start a new one for it.",
        "{n} belong to a cancelled mailing list: start a new one for them.",
        n,
    ),
    Refusal.SUPERSEDED: lambda n: n_(
        "{n} is not needed: an earlier try arrived after all.",
        "{n} are not needed: an earlier try arrived after all.",
        n,
    ),
    Refusal.DUPLICATE: lambda n: n_(
        "{n} is a repetition within its mailing list.",
        "{n} are repetitions within their mailing list.",
        n,
    ),
    Refusal.EXPIRED: lambda n: n_(
        "{n} is too late: the mailing list's last moment has passed.",
        "{n} are too late: the mailing list's last moment has passed.",
        n,
    ),
    Refusal.UNSUBSCRIBED: lambda n: n_(
        "{n} has unsubscribed: open the message if they want it all the same.",
        "{n} have unsubscribed: open the messages if they want them all the same.",
        n,
    ),
    Refusal.BLOCKED: lambda n: n_(
        "{n} goes to an address that a colleague blocked: lift that block first.",
        "{n} go to addresses that a colleague blocked: lift those blocks first.",
        n,
    ),
    Refusal.NO_ROUTE: lambda n: n_(
        "{n} has no way out: no account is configured for its channel.",
        "{n} have no way out: no account is configured for their channel.",
        n,
    ),
    Refusal.NO_ADDRESS: lambda n: n_(
        "{n} needs a right address first.", "{n} need a right address first.", n
    ),
    Refusal.STRIPPED: lambda n: n_(
        "{n} can no longer be sent: its contents were removed after their time.",
        "{n} can no longer be sent: their contents were removed after their time.",
        n,
    ),
    Refusal.AWAITED: lambda n: n_(
        "{n} cannot be decided yet: the program that was sending it may still report what became of it.",
        "{n} cannot be decided yet: the program that was sending them may still report what became of them.",
        n,
    ),
    Refusal.MOVED_ON: lambda n: n_(
        "{n} has changed meanwhile and stays as it is.",
        "{n} have changed meanwhile and stay as they are.",
        n,
    ),
}
DONE: Mapping[str, Callable[[int], str]] = {
    "resent": lambda n: n_("{n} message is sent again.", "{n} messages are sent again.", n),
    "settled": lambda n: n_("{n} message was decided.", "{n} messages were decided.", n),
    "retried": lambda n: n_("{n} message is tried now.", "{n} messages are tried now.", n),
}
SAID: Mapping[str, str] = {
    "corrected_saved": N_("The address is on the patient's card, and the message is sent again."),
    "corrected_here": N_(
        "The message is sent again to the new address. The patient's card could not be changed from here: "
        "please correct it there too."
    ),
    "corrected": N_("The message is sent again to the new address."),
    "paused": N_(
        "The mailing is on hold. What is being handed over at this moment still goes out."
    ),
    "resumed": N_("The mailing goes on."),
    "cancelled": N_("The mailing was cancelled. What was waiting is not sent any more."),
    "unchanged": N_("Nothing was changed: the mailing is in another state by now."),
    "once_more": N_("The message goes out once more, as this mailing list of its own."),
    "not_once_more": N_(
        "This message cannot be sent once more: it was not sent yet, or its channel is not there any more."
    ),
    "delivery_asked": N_(
        "The service is being asked what became of the messages. Look again in a minute: its answers appear here."
    ),
    "delivery_known": N_(
        "There is nothing to ask: everything has its last word, or the service cannot be asked about it any more."
    ),
    "account_checked": N_("The account is tried again now."),
    "account_ready": N_("The account is ready already."),
    "not_asked": N_("Please tick that the patient asked for these messages again."),
    "nothing_chosen": N_("Nothing was ticked: tick the messages first."),
}

#: Of these, what asks for something yet.
WAITING = frozenset(
    {
        "corrected_here",
        "nothing_chosen",
        "not_asked",
        "unchanged",
        "not_once_more",
        "delivery_known",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListQuery:
    """A list's filter with the words as they were typed, for showing the form again."""

    wanted: MessageFilter
    since: date | None
    until: date | None
    cursor: Cursor | None
    newer: bool
    #: What is wrong with the words that are searched for.
    fault: str = ""

    def arguments(self, **changes: object) -> dict[str, str]:
        """The filter as the part of an address after the question mark."""
        wanted = self.wanted
        found: dict[str, object] = {
            "q": wanted.search,
            "channel": wanted.channel,
            "state": wanted.state,
            "cause": wanted.cause,
            "mailing": wanted.mailing_id,
            "from": self.since,
            "to": self.until,
            **changes,
        }
        return {name: str(value) for name, value in found.items() if value not in (None, "")}


def read_list_query(mailing_id: int | None = None) -> ListQuery:
    """The filter of this request's address.

    :param mailing_id: the mailing whose page it is; else one may be chosen.
    :raises BadRequest: a value is rubbish.
    """
    since, until = date_arg("from"), date_arg("to")
    search = clean(request.args.get("q", ""))
    fault = over(len(search), LONGEST_SEARCH)
    wanted = MessageFilter(
        channel=choice_arg("channel", list(current_dispatch().channels)),
        state=choice_arg("state", STATES),
        cause=text_arg("cause", limit=LONGEST_CAUSE),
        mailing_id=mailing_id if mailing_id is not None else id_arg("mailing"),
        since=_midnight(since),
        until=_midnight(until, days=1),
        search=search[:LONGEST_SEARCH],
    )
    after, before = _cursor("after"), _cursor("before")
    return ListQuery(
        wanted=wanted,
        since=since,
        until=until,
        cursor=before or after,
        newer=before is not None,
        fault=fault,
    )


def _midnight(day: date | None, *, days: int = 0) -> datetime | None:
    if day is None:
        return None
    try:
        return datetime.combine(day + timedelta(days=days), time(), tzinfo=zone())
    except OverflowError:
        abort(400, _("This day cannot be used."))


def _cursor(name: str) -> Cursor | None:
    try:
        return Cursor.read(request.args.get(name, ""))
    except ValueError:
        abort(400, _("This page of the list does not exist: begin again at the first one."))


def read_chosen(states: frozenset[MessageState]) -> Chosen | None:
    """What a form means: ticked rows, or all of a mailing's cause; None: nothing was ticked.

    :param states: those that "all" stands for.
    """
    ids = tuple(ids_in_form("ids"))
    if request.form.get("all") != "1":
        return Chosen(ids=ids, states=states) if ids else None
    mailing_id = number_in(request.form.get("mailing", ""), least=1)
    state = request.form.get("state", "")
    if mailing_id is None or (state and state not in STATES):
        abort(400)
    if state:
        states &= {MessageState(state)}
    cause = request.form.get("cause", "")[:LONGEST_CAUSE]
    return Chosen(mailing_id=mailing_id, cause=cause, states=states) if states else None


def way_back(default: str | None = None) -> str:
    """Where the form came from: a path of this host, without the notice of the time before."""
    return local_path(request.form.get("back")) or default or url("messages")


def with_outcome(address: str, what: str, outcome: Outcome) -> str:
    """The address to go back to, saying how many moved and why others did not."""
    left = {f"left_{refusal.value}": str(count) for refusal, count in outcome.refused.items()}
    if outcome.awaited_until is not None:
        left["left_until"] = str(ceil(outcome.awaited_until.timestamp()))
    return with_arguments(address, {"done": what, "n": str(outcome.done), **left})


def with_arguments(address: str, arguments: Mapping[str, str]) -> str:
    """An address with some arguments added."""
    path, _mark, fragment = address.partition("#")
    joint = "&" if "?" in path else "?"
    tail = f"#{fragment}" if fragment else ""
    return f"{path}{joint}{urlencode(arguments)}{tail}"


def notice() -> tuple[str, str]:
    """What the page says on top after a form, and its kind: ``ok`` or ``wait``; empty: nothing."""
    args = request.args
    if (key := args.get("said", "")) in SAID:
        return _(SAID[key]), "wait" if key in WAITING else "ok"
    if (what := args.get("done", "")) not in DONE:
        return "", "ok"
    until = number_in(request.args.get("left_until", ""), most=_LAST_MOMENT)
    outcome = Outcome(
        done=_count("n"),
        refused=Counter(),
        awaited_until=datetime.fromtimestamp(until, tz=UTC) if until else None,
    )
    for refusal in Refusal:
        if count := _count(f"left_{refusal.value}"):
            outcome.refused[refusal] = count
    return outcome_text(what, outcome)


def outcome_text(what: str, outcome: Outcome) -> tuple[str, str]:
    """How many moved and why others did not, in words, and the notice's kind."""
    parts = [DONE[what](outcome.done)] if outcome.done or not outcome.left else []
    parts += [REFUSED[refusal](count) for refusal, count in outcome.refused.items()]
    if outcome.awaited_until is not None:
        parts.append(_("Please decide after {time}.", time=format_time(outcome.awaited_until)))
    return " ".join(parts), "ok" if outcome.done and not outcome.left else "wait"


def _count(name: str) -> int:
    return number_in(request.args.get(name, ""), most=10_000_000) or 0


def clean_back() -> str:
    """This page's own address without notices, for its forms to come back to."""
    kept = [
        (name, value)
        for name, value in request.args.items(multi=True)
        if name not in ("said", "done", "n") and not name.startswith("left_")
    ]
    path = request.script_root + request.path
    return f"{path}?{urlencode(kept)}" if kept else path
