"""One message sent once more, to somebody who says that nothing came: a mailing of one, tied to the first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping

from clinic_dispatch_plugin.host.types import Actor, Consent
from clinic_dispatch_plugin.mailings import store
from clinic_dispatch_plugin.mailings.content import MailingContent
from clinic_dispatch_plugin.mailings.drafts import LONGEST_NAME
from clinic_dispatch_plugin.mailings.freezing import insert_started
from clinic_dispatch_plugin.mailings.planning import plan_within
from clinic_dispatch_plugin.mailings.problems import NotYours
from clinic_dispatch_plugin.mailings.sources import Candidate
from clinic_dispatch_plugin.messages import lists_store
from clinic_dispatch_plugin.messages import store as messages
from clinic_dispatch_plugin.messages.access import Sight
from clinic_dispatch_plugin.messages.afresh import fresh_facts
from clinic_dispatch_plugin.messages.mailing_rules import URGENT, MailingState
from clinic_dispatch_plugin.messages.routes import Route, legs_of
from clinic_dispatch_plugin.messages.rules import MessageState
from clinic_dispatch_plugin.registry import Dispatch
from clinic_dispatch_plugin.web.asking import ask

#: Action in the audit trail, of the new mailing and of the first message.
ONCE_MORE = "send_once_more"
_ARRIVED = frozenset({MessageState.SENT.value, MessageState.DELIVERED.value})


class NotSent(Exception):
    """Only what was sent can be sent once more; all else is put right where it stands."""


def send_once_more(
    dispatch: Dispatch, actor: Actor, message_id: int, *, name: str, once: str
) -> int:
    """Send the same words again, to where the patient's card says now; returns the new mailing's id.

    Consent, life and blocks are looked at as for any new message; what speaks against it stands beside it.

    :param once: a word of the form's: sent twice it is the same mailing.
    :raises NotYours: there is no such message for this actor.
    :raises NotSent: it is not sent yet, or failed.
    :raises NoRoute: its channel is not there any more.
    :raises HostFailed: the host's adapter raised.
    """
    with dispatch.database.begin() as connection:
        row = lists_store.message(connection, message_id)
        first = store.mailing(connection, row["mailing_id"]) if row else None
        texts = _texts(dispatch, connection, row["channel"], first) if row and first else {}
    if row is None or first is None or not texts or not _sees(dispatch, actor, row, first):
        raise NotYours(message_id)
    if row["state"] not in _ARRIVED or row["stripped_at"] is not None:
        raise NotSent(message_id)
    values = _values(first, row, actor, name=name, once=once)
    candidate = _as_now(dispatch, row, first["purpose"], order=list(texts))

    def work(connection: Connection) -> int:
        mailing_id, existed = insert_started(connection, values, texts, actor, action=ONCE_MORE)
        if not existed:
            plan_within(dispatch, connection, mailing_id, [candidate])
            messages.write_audit(
                connection,
                actor_ref=actor.ref,
                actor_name=actor.name,
                action=ONCE_MORE,
                mailing_id=row["mailing_id"],
                message_ids=[message_id],
                details={"mailing": mailing_id},
            )
        return mailing_id

    mailing_id = dispatch.database.run(work)
    dispatch.doorbell.ring()
    return mailing_id


def _sees(dispatch: Dispatch, actor: Actor, row: RowMapping, first: RowMapping) -> bool:
    """A trial holds a patient's words: whoever may not see that patient sees no trial either."""
    trial_of = str((first["selection"] or {}).get("trial_of", ""))
    sight = Sight(dispatch, actor)
    return sight.sees(row["ref"]) and sight.sees(trial_of)


def _values(
    first: RowMapping, row: RowMapping, actor: Actor, *, name: str, once: str
) -> dict[str, Any]:
    kept = ("trial", "trial_of")
    return {
        "name": name[:LONGEST_NAME],
        "purpose": first["purpose"],
        "channel": row["channel"],
        "state": MailingState.PLANNING.value,
        "source": "code",
        "selection": {
            key: value for key, value in (first["selection"] or {}).items() if key in kept
        },
        "priority": URGENT,
        "template_id": first["template_id"],
        "repeats_message_id": row["id"],
        "idempotency_key": f"once-more-{row['id']}-{once[:64]}",
        "created_by": actor.ref[:128],
        "created_by_name": actor.name[:255],
    }


def _texts(
    dispatch: Dispatch, connection: Connection, channel: str, first: RowMapping
) -> dict[str, MailingContent]:
    """The words for the channel it was sent by and those after it: the ones before did not reach the patient."""
    legs = legs_of(first)
    start = next((place for place, leg in enumerate(legs) if leg.channel == channel), len(legs))
    found = {}
    for leg in legs[start:]:
        revision = store.revision(connection, leg.revision_id or 0)
        if revision is not None and (leg.channel == channel or leg.channel in dispatch.channels):
            found[leg.channel] = MailingContent(
                subject=revision["subject"], text=revision["body"], html=revision["html"]
            )
    return found


def _as_now(
    dispatch: Dispatch, row: RowMapping, purpose: str, *, order: Sequence[str]
) -> Candidate:
    """The recipient with the values of then, and what the card says now."""
    ref = row["ref"]
    fresh = fresh_facts(dispatch, [row["id"]]).get(row["id"])
    known = (
        ask("recipients_now", lambda: dispatch.host.recipients_now([ref])).get(ref) if ref else None
    )
    planned = Route.read(row["route"]).addresses
    consent = known.consent if known else {}
    return Candidate(
        ref=ref,
        name=row["name"],
        locale=row["locale"],
        raw_address=fresh.address if fresh and fresh.address else row["address"],
        values={key: str(value) for key, value in (row["data"] or {}).items()},
        active=known.active if known else not ref,
        consent=Consent(consent.get(purpose, Consent.UNKNOWN)),
        addresses={
            key: (known.addresses.get(key) if known else planned.get(key)) or ""
            for key in order[1:]
        },
        consents={
            key: Consent(consent[named])
            for key in order
            if (named := f"{purpose}.{key}") in consent
        },
        timezone=known.timezone if known else "",
        unknown=bool(ref) and known is None,
    )
