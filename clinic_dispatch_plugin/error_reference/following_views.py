"""Before a changed policy is saved: what waits because of it is counted, and a person says what becomes of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from flask import Response, request

from clinic_dispatch_plugin.error_reference import following, wording
from clinic_dispatch_plugin.error_reference.following import Consequences, PolicyChange
from clinic_dispatch_plugin.error_reference.form_pages import FOLDER
from clinic_dispatch_plugin.error_reference.list_address import suffix, wanted_in_address
from clinic_dispatch_plugin.error_reference.rules import KnownEntry
from clinic_dispatch_plugin.host.types import Action
from clinic_dispatch_plugin.registry import current_dispatch
from clinic_dispatch_plugin.web.auth import acting, allowed
from clinic_dispatch_plugin.web.i18n import _, n_
from clinic_dispatch_plugin.web.layout import render_page, url
from clinic_dispatch_plugin.web.params import number_in

T = TypeVar("T")

#: What the buttons of the question say.
APPLY, LEAVE, BACK = "apply", "leave", "back"
#: What a form says besides what was typed.
_ASKED = ("csrf_token", "follow")


def wants_back() -> bool:
    """Whether a person goes back to the form instead of answering."""
    return request.form.get("follow") == BACK


def here(endpoint: str, entry_id: int) -> str:
    """An address of an entry; what somebody looked for in the list stays in it."""
    return url(endpoint, entry_id=entry_id) + suffix(wanted_in_address())


def asked(
    deed: Callable[[], object], *, entry: KnownEntry | None, action: str, leave: str = ""
) -> tuple[Response | None, list[PolicyChange]]:
    """What a change would make of messages that wait: the page that asks, and what :func:`done` is given after it.

    :param deed: makes the change; here it is only tried.
    """
    changes = following.changes_by(current_dispatch(), deed)
    return question(entry, changes, action=action, leave=leave), changes


def question(
    entry: KnownEntry | None, changes: Sequence[PolicyChange], *, action: str, leave: str = ""
) -> Response | None:
    """The page that asks; None: nothing waits for which anything would change, or it was answered.

    :param entry: what is changed; None: several entries at once.
    :param action: the address the form behind it is sent to; the answers are sent there too.
    :param leave: where *back* leads for a form that is one click; empty: back into the form, by its own address.
    """
    lent = following.follower(current_dispatch())
    if lent is None or not changes or request.form.get("follow") in (APPLY, LEAVE):
        return None
    foreseen = lent.foresee(acting(), changes)
    if not foreseen.act:
        return None
    return render_page(
        f"{FOLDER}/follow.html",
        active="reference",
        entry=entry,
        action=action,
        leave=leave,
        pairs=_pairs(changes),
        foreseen=foreseen,
        sentences=sentences(foreseen),
        standing=following.standing_of(current_dispatch(), [entry.id] if entry else []),
        kept=[
            (name, value) for name, value in request.form.items(multi=True) if name not in _ASKED
        ],
        may_apply=allowed(Action.SEND),
        asking=True,
        wording=wording,
    )


def _pairs(changes: Sequence[PolicyChange]) -> list[tuple[str, str]]:
    """What the program did and does, in words; one entry may do several things, as services say it passes or stays."""
    pairs = ((wording.policy(each.before), wording.policy(each.after)) for each in changes)
    return list(dict.fromkeys(pairs))


def done(deed: Callable[[], T], changes: Sequence[PolicyChange]) -> tuple[T, dict[str, str]]:
    """Make the change, and apply it to what waits where a person ordered that; with what the next page says about it.

    What the deed raises is raised.
    """
    if request.form.get("follow") != APPLY or not allowed(Action.SEND):
        return deed(), {}
    made, done = following.carry_out(current_dispatch(), acting(), changes, deed)
    said = {
        "gone": done.given_up,
        "moved": done.moved,
        "held": done.held,
        "blocked": len(done.blocked),
        "left": done.left,
    }
    return made, {name: str(number) for name, number in said.items() if number}


def sentences(foreseen: Consequences) -> list[str]:
    """What would become of the waiting messages, each kind in a sentence."""
    said = []
    if foreseen.given_up:
        said.append(
            n_(
                "{n} message will be given up: it is not tried again.",
                "{n} messages will be given up: they are not tried again.",
                foreseen.given_up,
            )
        )
    if foreseen.blocked:
        said.append(
            n_(
                "{n} address will be blocked.",
                "{n} addresses will be blocked.",
                len(foreseen.blocked),
            )
        )
    if foreseen.moved:
        said.append(
            n_(
                "{n} message will be tried again at another time, from {first} on.",
                "{n} messages will be tried again at another time, from {first} on.",
                foreseen.moved,
                first=wording.moment(foreseen.first_at),
            )
        )
    for name in foreseen.accounts.values():
        said.append(
            _("The sending account {name} will stop until somebody checks it again.", name=name)
        )
    if foreseen.held:
        said.append(
            n_(
                "{n} message waits for it.",
                "{n} messages wait for it.",
                foreseen.held,
            )
        )
    if foreseen.kept:
        said.append(
            n_(
                "{n} message stays as planned.",
                "{n} messages stay as planned.",
                foreseen.kept,
            )
        )
    return said


def notice() -> str:
    """What was done with the waiting messages, after saving; empty: nothing."""
    said = []
    if n := _number("left"):
        said.append(
            n_(
                "The change is being applied to {n} waiting message; this page says how far it is.",
                "The change is being applied to {n} waiting messages; this page says how far it is.",
                n,
            )
        )
    if n := _number("gone"):
        said.append(
            n_(
                "{n} waiting message was given up.",
                "{n} waiting messages were given up.",
                n,
            )
        )
    if n := _number("blocked"):
        said.append(n_("{n} address was blocked.", "{n} addresses were blocked.", n))
    if n := _number("moved"):
        said.append(
            n_(
                "{n} waiting message has a new time for its next try.",
                "{n} waiting messages have a new time for their next try.",
                n,
            )
        )
    if n := _number("held"):
        said.append(
            n_(
                "{n} message waits for its sending account, which is stopped.",
                "{n} messages wait for their sending account, which is stopped.",
                n,
            )
        )
    return " ".join(said)


def _number(name: str) -> int:
    return number_in(request.args.get(name, ""), most=10_000_000) or 0
