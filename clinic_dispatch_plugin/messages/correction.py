"""A wrong address put right from the list: on the patient's card where the host allows it, and sent again."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import Connection, RowMapping

from clinic_dispatch_plugin.channels.errors import InvalidAddress
from clinic_dispatch_plugin.channels.types import Answer
from clinic_dispatch_plugin.error_reference.service import explain
from clinic_dispatch_plugin.host.adapter import HostAdapter
from clinic_dispatch_plugin.host.types import Action, Actor
from clinic_dispatch_plugin.messages import lists_store, moves_store, onward_store
from clinic_dispatch_plugin.messages.access import Sight
from clinic_dispatch_plugin.messages.afresh import LONGEST_ADDRESS, Fresh
from clinic_dispatch_plugin.messages.blocks import blocked_by_hand
from clinic_dispatch_plugin.messages.repeats import goes_there_already
from clinic_dispatch_plugin.messages.routes import Route
from clinic_dispatch_plugin.messages.rules import masked
from clinic_dispatch_plugin.messages.service import (
    RESENDABLE,
    Refusal,
    movable,
    queue_again,
    unblock_addresses,
)
from clinic_dispatch_plugin.registry import Dispatch
from clinic_dispatch_plugin.web.asking import ask
from clinic_dispatch_plugin.web.i18n import _, language


class AddressProblem(ValueError):
    """This address cannot be used: the text stands beside the field, in the reader's language."""


class NotPossible(Exception):
    """The message stays as it is.

    :ivar saved: the address is on the patient's card all the same.
    """

    def __init__(self, refusal: Refusal, *, saved: bool = False) -> None:
        super().__init__(refusal.value)
        self.refusal = refusal
        self.saved = saved


@dataclass(frozen=True, slots=True, kw_only=True)
class Corrected:
    """What became of a corrected address."""

    address: str = field(repr=False)
    #: Whether the patient's card has it; None: the message belongs to no card.
    saved: bool | None


def correct_address(dispatch: Dispatch, actor: Actor, message_id: int, value: str) -> Corrected:
    """Give a message another address, save it through the host, and send it again.

    Its earlier attempts keep the address they went to, and a block of that address stays with it: the new one has
    none. The host is asked outside any transaction.

    :raises AddressProblem: the address is wrong, the host refuses it, or it gets this message already.
    :raises NotPossible: the message cannot be sent again; says why.
    :raises LookupError: there is no such message for this actor.
    :raises HostFailed: the host's adapter failed.
    """
    row = _message(dispatch, actor, message_id)
    address = normalised(dispatch, row["channel"], value)
    _check_possible(dispatch, row)
    _check_duplicate(dispatch, row, address)
    _check_block(dispatch, row, address)
    saved = _save(dispatch, row, address) if row["ref"] else None
    if saved is False and not ask(
        "is_allowed", lambda: dispatch.host.is_allowed(actor, Action.VIEW_CONTENTS)
    ):
        # Else whoever may send could read any patient's message by having it sent to themselves.
        raise AddressProblem(
            _(
                "The patient card did not take this address from you, so the message was not sent. "
                "Please have it corrected on the card by somebody who may."
            )
        )

    def work(connection: Connection) -> Refusal | None:
        facts = {message_id: Fresh(address=address)}
        rows, outcome = movable(dispatch, connection, [message_id], RESENDABLE, facts)
        if not rows:
            return next(iter(outcome.refused), Refusal.MOVED_ON)
        moves_store.set_address(connection, message_id, address)
        if rows[0]["route"]:
            route = Route.read(rows[0]["route"]).anew({rows[0]["channel"]: address})
            onward_store.set_route(connection, message_id, route)
        now = [{**rows[0], "address": address}]
        unblock_addresses(dispatch, connection, now)
        details = {
            "from": masked(row["address"]) if row["address"] else "",
            "to": masked(address),
            "saved": bool(saved),
        }
        queue_again(
            dispatch,
            connection,
            actor,
            rows,
            outcome,
            action="correct_address",
            states=RESENDABLE,
            details=details,
        )
        return None

    refusal = dispatch.database.run(work)
    if refusal is not None:
        raise NotPossible(refusal, saved=bool(saved))
    dispatch.doorbell.ring()
    return Corrected(address=address, saved=saved)


def _message(dispatch: Dispatch, actor: Actor, message_id: int) -> RowMapping:
    with dispatch.database.begin() as connection:
        row = lists_store.message(connection, message_id)
    if row is None or not Sight(dispatch, actor).sees(row["ref"]):
        raise LookupError(message_id)
    return row


def normalised(dispatch: Dispatch, channel: str, value: str) -> str:
    """The one form of an address.

    :raises AddressProblem: it is none; in the words of the error reference.
    """
    found = dispatch.channels.get(channel)
    if found is None:
        raise NotPossible(Refusal.NO_ROUTE)
    value = value.strip()
    if not value:
        raise AddressProblem(_("Please enter an address."))
    try:
        address = found.normalise_address(value, region=dispatch.settings.region)
    except InvalidAddress as error:
        raise AddressProblem(_words(dispatch, error.answer)) from None
    if not address or len(address) > LONGEST_ADDRESS:
        raise AddressProblem(_words(dispatch, Answer(system="dispatch", code="malformed_address")))
    return address


def _words(dispatch: Dispatch, answer: Answer) -> str:
    """What the reference says of a wrong address, and what exactly is wrong with it."""
    entry = explain(dispatch, answer).entry
    short = entry.text("short", language()) if entry else ""
    return f"{short}: {_(answer.text)}" if short and answer.text else short or _(answer.text)


def _check_possible(dispatch: Dispatch, row: RowMapping) -> None:
    """Look before anything is saved on the patient's card; looked at once more when the message moves."""

    def work(connection: Connection) -> Refusal | None:
        facts = {row["id"]: Fresh(address="new")}
        rows, outcome = movable(dispatch, connection, [row["id"]], RESENDABLE, facts)
        return None if rows else next(iter(outcome.refused), Refusal.MOVED_ON)

    refusal = dispatch.database.run(work)
    if refusal is not None:
        raise NotPossible(refusal)


def _check_duplicate(dispatch: Dispatch, row: RowMapping, address: str) -> None:
    with dispatch.database.begin() as connection:
        found = goes_there_already(dispatch, connection, {**row, "address": address})
    if found:
        raise AddressProblem(_words(dispatch, Answer(system="dispatch", code="duplicate")))


def _check_block(dispatch: Dispatch, row: RowMapping, address: str) -> None:
    """What a colleague blocked is no way out; a block the program made of the new address is lifted in sending."""
    with dispatch.database.begin() as connection:
        found = blocked_by_hand(dispatch, connection, [{**row, "address": address}])
    if found:
        raise AddressProblem(
            _("A colleague blocked this address: lift that block first, or enter another address.")
        )


def _save(dispatch: Dispatch, row: RowMapping, address: str) -> bool:
    """Whether the patient's card has it now."""
    try:
        said = ask(
            "update_address",
            lambda: dispatch.host.update_address(row["ref"], row["channel"], address),
            but=(ValueError,),
        )
    except ValueError as error:
        raise AddressProblem(
            str(error)[:300] or _("The clinic's system refused this address.")
        ) from None
    return bool(said)


def may_correct(dispatch: Dispatch, ref: str, *, may_read: bool) -> bool:
    """Whether correcting an address can work for somebody who may send.

    A row of a file has no card to ask. Where the host changes no card, a patient's message goes elsewhere only by
    the word of somebody who may read it.

    :param may_read: they may see what messages say.
    """
    changes_cards = type(dispatch.host).update_address is not HostAdapter.update_address
    return not ref or may_read or changes_cards
