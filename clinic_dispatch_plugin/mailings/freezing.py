"""The moment a mailing starts: its words and channels are kept for ever, and who sent it is written down."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from clinic_dispatch_plugin.database.base import db_now
from clinic_dispatch_plugin.host.types import Actor
from clinic_dispatch_plugin.mailings import store
from clinic_dispatch_plugin.mailings.content import MailingContent
from clinic_dispatch_plugin.mailings.order import with_silences
from clinic_dispatch_plugin.messages import store as messages
from clinic_dispatch_plugin.messages.mailing_rules import MailingState

#: Actions in the audit trail.
SENT = "send"
SCHEDULED = "schedule"
TRIAL = "trial"


def insert_started(
    connection: Connection,
    values: Mapping[str, Any],
    texts: Mapping[str, MailingContent],
    actor: Actor,
    *,
    action: str = SENT,
    silences: Mapping[str, int] | None = None,
) -> tuple[int, bool]:
    """The mailing's id, and whether its key was used before."""
    store.write_first(connection)
    started = {**values, "started_at": db_now()}
    key = values["idempotency_key"]
    if key is None:
        mailing_id = store.add_mailing(connection, started)
    else:
        # Looking first spares a repeat the failed insert; the insert decides between two at once.
        before = store.mailing_by_idempotency_key(connection, key)
        added = None if before is not None else store.add_mailing_once(connection, started)
        if added is None:
            before = before or store.mailing_by_idempotency_key(connection, key)
            assert before is not None
            return before, True
        mailing_id = added
    freeze(connection, mailing_id, texts, actor, action=action, silences=silences)
    return mailing_id, False


def freeze(
    connection: Connection,
    mailing_id: int,
    texts: Mapping[str, MailingContent],
    actor: Actor,
    *,
    action: str = SENT,
    state: MailingState = MailingState.PLANNING,
    silences: Mapping[str, int] | None = None,
) -> None:
    """The words of a mailing for each of its channels, for ever, how long each is waited for, and who sent them.

    :param state: the one it is in; of a scheduled one the draft is kept, as it may become one again.
    """
    revisions: list[dict[str, Any]] = [
        {
            "channel": channel,
            "revision": store.add_revision(
                connection,
                channel=channel,
                subject=content.subject,
                body=content.text,
                html=content.html,
                created_by=actor.name,
            ),
        }
        for channel, content in texts.items()
    ]
    values: dict[str, Any] = {
        "channel": revisions[0]["channel"],
        "revision_id": revisions[0]["revision"],
        "fallbacks": with_silences(revisions, silences or {}),
    }
    if state is not MailingState.SCHEDULED:
        values["draft"] = None
    store.change_mailing(connection, mailing_id, values, in_states=[state])
    audit(connection, actor, action, mailing_id)


def audit(connection: Connection, actor: Actor, action: str, mailing_id: int) -> None:
    """Write down who did this to a mailing."""
    messages.write_audit(
        connection,
        actor_ref=actor.ref,
        actor_name=actor.name,
        action=action,
        mailing_id=mailing_id,
    )
