"""The last look before a message goes out: consent, life, blocks, and its finished text."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import nh3
from sqlalchemy import Connection, RowMapping

from clinic_dispatch_plugin.channels.html import clean_html
from clinic_dispatch_plugin.channels.text import EmptyPlaceholder, Template, parse
from clinic_dispatch_plugin.channels.types import Answer, Content, OutgoingMessage, Purpose
from clinic_dispatch_plugin.engine.rules import EXPIRED
from clinic_dispatch_plugin.host.types import Consent, Recipient
from clinic_dispatch_plugin.messages import store as messages
from clinic_dispatch_plugin.messages.rules import address_digest, new_key, unsubscribe_token
from clinic_dispatch_plugin.queue.context import places
from clinic_dispatch_plugin.registry import Dispatch

log = logging.getLogger(__name__)


class HostUnavailable(Exception):
    """The clinic's system did not answer: nothing is decided, the messages wait."""


@dataclass(slots=True, kw_only=True)
class Text:
    """A mailing's text, parsed once."""

    mailing_id: int
    purpose: str
    channel: str
    not_after: datetime | None
    subject: Template
    body: Template
    html: Template | None

    def render(self, data: Mapping[str, Any], locale: str) -> Content:
        """The finished text for one recipient.

        :raises EmptyPlaceholder: a value the text needs is missing.
        """
        values = {name: str(value) for name, value in data.items()}
        html = ""
        if self.html is not None:
            # Cleaned once more when finished: pieces that are harmless apart may not be so together.
            html = clean_html(self.html.render(values, locale=locale, escape=nh3.clean_text))
        return Content(
            subject=self.subject.render(values, locale=locale, one_line=True),
            text=self.body.render(values, locale=locale),
            html=html,
        )


@dataclass(slots=True, kw_only=True)
class Prepared:
    """One window: what goes out, and what does not, with the answer that says why."""

    outgoing: list[tuple[RowMapping, OutgoingMessage]] = field(default_factory=list)
    skipped: list[tuple[RowMapping, Answer]] = field(default_factory=list)

    @property
    def messages(self) -> list[OutgoingMessage]:
        """What goes out."""
        return [message for _, message in self.outgoing]

    def expired(self) -> Prepared:
        """The same once the mailing's last moment has passed: nothing goes out."""
        late = [(row, EXPIRED) for row, _ in self.outgoing]
        return Prepared(skipped=[*self.skipped, *late])


def load_text(connection: Connection, mailing_id: int) -> Text:
    """The text of a mailing; its revision never changes, so it may be kept."""
    row = messages.text_of(connection, mailing_id)
    return Text(
        mailing_id=mailing_id,
        purpose=row["purpose"],
        channel=row["channel"],
        not_after=row["not_after"],
        subject=parse(row["subject"]),
        body=parse(row["body"]),
        html=parse(row["html"]) if row["html"] else None,
    )


def prepare(
    dispatch: Dispatch,
    rows: Sequence[RowMapping],
    text: Text,
    *,
    next_attempt_id: Any,
    unsubscribe_url: Any,
) -> Prepared:
    """Ask the host afresh and finish the texts; no transaction is open meanwhile.

    :raises HostUnavailable: the adapter raised.
    """
    now_known = _ask_host(dispatch, rows)
    digests = {row["id"]: address_digest(row["channel"], row["address"]) for row in rows}
    with dispatch.database.begin() as connection:
        blocked = messages.blocked(connection, text.channel, digests.values(), text.purpose)
    done = Prepared()
    for row in rows:
        reason = _reason_not_to(dispatch, row, text, now_known)
        if digests[row["id"]] in blocked:
            reason = Answer(system="dispatch", code=blocked[digests[row["id"]]])
        if reason is not None:
            done.skipped.append((row, reason))
            continue
        try:
            content = text.render(row["data"] or {}, row["locale"] or dispatch.settings.locale)
        except EmptyPlaceholder as error:
            answer = Answer(system="dispatch", code="empty_placeholder", text=str(error))
            done.skipped.append((row, answer))
            continue
        except Exception as error:
            log.error("message %d cannot be made: %s", row["id"], places(error))
            answer = Answer(system="dispatch", code="harmful", text=type(error).__name__)
            done.skipped.append((row, answer))
            continue
        done.outgoing.append(
            (
                row,
                OutgoingMessage(
                    attempt_id=next_attempt_id(),
                    attempt_key=new_key(),
                    message_key=row["key"],
                    address=row["address"],
                    name=row["name"],
                    locale=row["locale"] or dispatch.settings.locale,
                    content=content,
                    purpose=Purpose(text.purpose),
                    unsubscribe_url=unsubscribe_url(row, text),
                ),
            )
        )
    return done


def _ask_host(dispatch: Dispatch, rows: Sequence[RowMapping]) -> Mapping[str, Recipient]:
    refs = sorted({row["ref"] for row in rows if row["ref"]})
    if not refs:
        return {}
    try:
        # A context for each window: the host's own session ends with it, so that nothing stale is read the next time.
        with dispatch.app_context():
            found = dispatch.host.recipients_now(refs)
            return {ref: found[ref] for ref in refs if isinstance(found.get(ref), Recipient)}
    except Exception as error:
        log.error("the host could not be asked about %d recipients: %s", len(refs), places(error))
        raise HostUnavailable from None


def _reason_not_to(
    dispatch: Dispatch, row: RowMapping, text: Text, now_known: Mapping[str, Recipient]
) -> Answer | None:
    if not row["ref"]:
        # Nobody to ask: what unknown consent means for this purpose holds.
        if text.purpose in {"service", *dispatch.settings.unknown_consent}:
            return None
        return Answer(system="dispatch", code="not_agreed")
    recipient = now_known.get(row["ref"])
    if recipient is None:
        return Answer(system="dispatch", code="unknown_ref")
    if not recipient.active:
        return Answer(system="dispatch", code="inactive")
    if not agrees(recipient, text.purpose, dispatch.settings.unknown_consent):
        return Answer(system="dispatch", code="not_agreed")
    return None


def agrees(recipient: Recipient, purpose: str, unknown_consent: frozenset[str]) -> bool:
    """Whether a recipient may be written to for a purpose; ``service`` asks nobody."""
    if purpose == "service":
        return True
    said = recipient.consent.get(purpose, Consent.UNKNOWN)
    return said is Consent.YES or (said is Consent.UNKNOWN and purpose in unknown_consent)


def unsubscribe_url(dispatch: Dispatch, row: RowMapping, text: Text) -> str | None:
    """Where this recipient says "no more of these"; None where the purpose or the configuration offers none."""
    settings = dispatch.settings
    if text.purpose not in {"promotion", "greeting"} or not (
        settings.base_url and settings.secret_keys
    ):
        return None
    digest = address_digest(row["channel"], row["address"])
    token = unsubscribe_token(settings.secret_keys[0], row["channel"], text.purpose, digest)
    return f"{settings.base_url}{settings.url_prefix}/unsubscribe/{token}"
