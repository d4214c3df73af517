"""The pages *Blocked addresses*: which addresses get nothing, why and until when; lifting, blocking by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, time, timedelta

from flask import Response, abort, redirect, request
from sqlalchemy import RowMapping
from werkzeug.wrappers import Response as AnyResponse

from clinic_dispatch_plugin.host.types import Action
from clinic_dispatch_plugin.messages import blocks, forms, showing
from clinic_dispatch_plugin.messages.correction import AddressProblem, NotPossible, normalised
from clinic_dispatch_plugin.messages.detail import message_detail
from clinic_dispatch_plugin.messages.fingerprints import LENGTH
from clinic_dispatch_plugin.registry import current_dispatch
from clinic_dispatch_plugin.web import words
from clinic_dispatch_plugin.web.auth import acting, requires
from clinic_dispatch_plugin.web.i18n import N_, _, n_, zone
from clinic_dispatch_plugin.web.layout import render_page, said, url
from clinic_dispatch_plugin.web.params import (
    Form,
    choice_arg,
    clean,
    id_arg,
    ids_in_form,
    number_in,
    text_arg,
)

FOLDER = "clinic_dispatch/messages"
#: Characters of an address a form may bring.
LONGEST = 400
SAID: Mapping[str, str] = {
    "blocked": N_("The address is blocked. Nothing is sent to it any more."),
    "changed": N_("The end of the block is changed."),
    "nothing": N_("Nothing was ticked: tick the addresses first."),
    "not_asked": N_("Please tick that the patient asked for these messages again."),
    "gone": N_("Nothing was lifted: these blocks have ended already."),
}


@requires(Action.VIEW)
def show_blocks() -> Response:
    """Addresses that are blocked, the newest first."""
    return _list(errors={})


def _list(*, errors: Mapping[str, str], typed: str = "") -> Response:
    dispatch = current_dispatch()
    channel = choice_arg("channel", list(dispatch.channels))
    cause = text_arg("cause", limit=forms.LONGEST_CAUSE)
    digests = [each for each in request.args.getlist("address")[:20] if len(each) == LENGTH]
    page = blocks.list_blocks(
        dispatch, channel=channel, cause=cause, digests=digests or None, before=id_arg("before")
    )
    kept = {"channel": channel or None, "cause": cause or None, "address": digests or None}
    return render_page(
        f"{FOLDER}/blocks.html",
        422 if errors else 200,
        active="reference",
        page=page,
        channel=channel,
        cause=cause,
        searched=bool(digests),
        filtered=bool(channel or cause or digests),
        channel_choices=showing.channel_choices(),
        reason_choices=_reason_choices(cause),
        errors=errors,
        typed=typed,
        after_url=url("blocks", **kept, before=page.after) if page.after else "",
        showing=showing,
        notice=said(SAID, request.args.get("said")),
    )


def _reason_choices(chosen: str) -> list[tuple[str, str]]:
    choices = sorted(
        ((answer.token, showing.note(answer)) for answer in blocks.reasons(current_dispatch())),
        key=lambda choice: choice[1].casefold(),
    )
    if chosen and chosen not in dict(choices):
        choices.append((chosen, chosen))
    return [("", _("All reasons")), *choices]


@requires(Action.VIEW)
def find_block() -> AnyResponse:
    """Look an address up. By POST, so that no address of a page and no log names it: its fingerprint does."""
    typed = clean(request.form.get("address", ""))[:LONGEST]
    if not typed:
        return _list(errors={"address": _("Please enter an address.")})
    found = blocks.digests_of(current_dispatch(), typed)
    if not found:
        fault = _(
            "This is no address: enter it in full, such as anna@example.org or +49 151 2345678."
        )
        return _list(errors={"address": fault}, typed=typed)
    return redirect(url("blocks", address=found), 303)


@requires(Action.VIEW)
def show_block(block_id: int) -> Response:
    """One block with its history."""
    return _one(block_id, errors={})


def _one(block_id: int, *, errors: Mapping[str, str], typed: str | None = None) -> Response:
    try:
        block, deeds = blocks.one_block(current_dispatch(), block_id)
    except LookupError:
        abort(404)
    ends = block.until.astimezone(zone()).date().isoformat() if block.until else ""
    return render_page(
        f"{FOLDER}/block.html",
        422 if errors else 200,
        active="reference",
        block=block,
        deeds=[(deed["at"], _deed(deed)) for deed in reversed(deeds)],
        ends=ends if typed is None else typed,
        errors=errors,
        showing=showing,
        entry_url=showing.link("reference_entry", entry_id=block.answer.entry.id)
        if block.answer and block.answer.entry
        else "",
        notice=said(SAID, request.args.get("said")),
    )


def _deed(deed: RowMapping) -> str:
    who = str(deed["actor_name"] or deed["actor_ref"])
    return _(DEEDS.get(str(deed["action"]), str(deed["action"])), who=who)


DEEDS: Mapping[str, str] = {
    "block_address": N_("Blocked by {who}"),
    "change_block": N_("End of the block changed by {who}"),
    "lift_block": N_("Block lifted by {who}"),
}


@requires(Action.SEND)
def new_block() -> AnyResponse:
    """Block an address by hand, with a reason and an end."""
    if request.method == "GET":
        values = {"channel": choice_arg("channel", list(current_dispatch().channels))}
        return _new_page({**values, **_of_message()}, {})
    form = Form()
    channel = form.choice("channel", list(current_dispatch().channels))
    typed = form.text("address", limit=LONGEST, required=True)
    why = form.text("why", limit=blocks.LONGEST_REASON, required=True)
    until = _end_of(form)
    if form and (block_id := _block(form, channel, typed, why, until)):
        return redirect(url("block", block_id=block_id, said="blocked"), 303)
    values = {name: form.raw(name) for name in ("channel", "address", "why", "until")}
    return _new_page(values, form.errors)


def _of_message() -> dict[str, str]:
    """Where the address comes from a message's page."""
    message_id = id_arg("message")
    if message_id is None:
        return {}
    try:
        line = message_detail(current_dispatch(), acting(), message_id).line
    except LookupError:
        abort(404)
    return {"channel": line.channel, "address": line.address}


def _block(form: Form, channel: str, typed: str, why: str, until: datetime | None) -> int | None:
    dispatch = current_dispatch()
    try:
        address = normalised(dispatch, channel, typed)
        return blocks.block_address(
            dispatch, acting(), channel=channel, address=address, why=why, until=until
        )
    except AddressProblem as problem:
        form.fault("address", str(problem))
    except NotPossible:
        form.fault("channel", _("Please choose one of the options."))
    except blocks.TooEarly:
        form.fault("until", _(TOO_EARLY))
    except blocks.BlockedAlready:
        form.fault(
            "address",
            _(
                "This address is blocked already. Look it up in the list to change the end of its block."
            ),
        )
    return None


TOO_EARLY = N_("This day has passed: choose a later one, or leave the field empty.")


def _end_of(form: Form) -> datetime | None:
    """The end of the chosen day in the clinic's zone."""
    day = form.day("until")
    if day is None:
        return None
    if not 1971 <= day.year <= 2200:
        form.fault("until", _("Please enter a day, such as 2026-11-24."))
        return None
    return datetime.combine(day + timedelta(days=1), time(), tzinfo=zone()) - timedelta(seconds=1)


def _new_page(values: Mapping[str, str], errors: Mapping[str, str]) -> Response:
    return render_page(
        f"{FOLDER}/block_new.html",
        422 if errors else 200,
        active="reference",
        values={"channel": "", "address": "", "why": "", "until": "", **values},
        errors=errors,
        channel_choices=[(key, words.channel(key)) for key in current_dispatch().channels],
        longest=blocks.LONGEST_REASON,
    )


@requires(Action.SEND)
def change_block(block_id: int) -> AnyResponse:
    """Change the end of a block."""
    form = Form()
    until = _end_of(form)
    if form:
        try:
            blocks.change_end(current_dispatch(), acting(), block_id, until)
        except LookupError:
            return redirect(url("blocks", said="gone"), 303)
        except blocks.TooEarly:
            form.fault("until", _(TOO_EARLY))
        else:
            return redirect(url("block", block_id=block_id, said="changed"), 303)
    return _one(block_id, errors=form.errors, typed=form.raw("until"))


@requires(Action.SEND)
def lift_blocks() -> AnyResponse:
    """Lift the ticked blocks; then the messages they kept back are offered."""
    ids = ids_in_form("ids")[: blocks.LIMIT]
    if not ids:
        return redirect(url("blocks", said="nothing"), 303)
    asked_again = request.form.get("asked_again") == "1"
    done = blocks.lift(current_dispatch(), acting(), ids, asked_again=asked_again)
    if done:
        return redirect(url("kept_back", block=done), 303)
    if len(ids) == 1 and not asked_again and _holds(ids[0]):
        return redirect(url("block", block_id=ids[0], said="not_asked"), 303)
    return redirect(url("blocks", said="gone"), 303)


def _holds(block_id: int) -> bool:
    try:
        return blocks.one_block(current_dispatch(), block_id)[0].holds
    except LookupError:
        return False


@requires(Action.VIEW)
def show_kept_back() -> Response:
    """The messages that lifted blocks kept back: those that are ticked go out again."""
    ids = _ids_of(request.args.getlist("block"))
    found = blocks.kept_back(current_dispatch(), acting(), ids) if ids else []
    text, kind = forms.notice()
    lifted = n_("{n} block is lifted.", "{n} blocks are lifted.", len(ids)) if ids else ""
    return render_page(
        f"{FOLDER}/kept_back.html",
        active="reference",
        lines=found,
        notice=text or lifted,
        notice_kind=kind,
        back=forms.clean_back(),
        showing=showing,
    )


def _ids_of(given: Sequence[str]) -> list[int]:
    found = [number_in(each, least=1) for each in given[: blocks.LIMIT]]
    return [each for each in found if each is not None]
