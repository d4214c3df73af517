"""What in a mail may name the message it speaks of: the ids we gave it on its way out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from clinic_dispatch_plugin.reports.mail import TakenApart
from clinic_dispatch_plugin.reports.rules import MOST_BYTES, Clues

#: The form of all our keys.
_KEY = re.compile(r"(?<![a-z0-9])[a-z0-9]{26}(?![a-z0-9])")
#: ``local+<key>@domain``: the sender address that says which message came back.
_SENDER = re.compile(r"[+-]([a-z0-9]{26})@", re.IGNORECASE)
_ID = re.compile(r"<?([a-z0-9]{26})@", re.IGNORECASE)
_MOST = 50

_TO = (
    "to",
    "delivered-to",
    "x-original-to",
    "envelope-to",
    "x-envelope-to",
    "apparently-to",
    "x-rcpt-to",
)
_ENVELOPE_IDS = ("original-envelope-id", "x-original-envelope-id", "x-envelope-id")
_IDS = ("message-id", "x-original-message-id", "original-message-id", "references", "in-reply-to")


def clues(mail: TakenApart, raw: bytes, returned: Mapping[str, Sequence[str]]) -> Clues:
    """Everything in this mail that has the form of an id of ours, by how sure it is."""
    feedback = mail.feedback or {}
    fields = [
        value for block in mail.blocks for name, value in block.items() if name in _ENVELOPE_IDS
    ]
    fields += [value for name in _ENVELOPE_IDS for value in feedback.get(name, ())]
    senders = [value for name in _TO for value in mail.headers.get(name, ())]
    senders += [value for name in ("return-path", "sender") for value in returned.get(name, ())]
    senders += list(feedback.get("original-mail-from", ()))
    ids = [value for name in _IDS for value in returned.get(name, ())]
    ids += [value for name in ("in-reply-to", "references") for value in mail.headers.get(name, ())]
    ids += [value for block in mail.blocks for name, value in block.items() if "message-id" in name]
    return Clues(
        envelope_ids=_found(_KEY, (value.lower() for value in fields)),
        sender_keys=_found(_SENDER, senders),
        message_keys=_found(_ID, ids),
        others=_found(_KEY, (raw[:MOST_BYTES].decode("latin-1").lower(), mail.notice.lower())),
        written_at=_date(returned),
    )


def _found(pattern: re.Pattern[str], texts: Iterable[str]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for text in texts:
        for match in pattern.finditer(text):
            found[(match[1] if pattern.groups else match[0]).lower()] = None
            if len(found) >= _MOST:
                return tuple(found)
    return tuple(found)


def _date(returned: Mapping[str, Sequence[str]]) -> datetime | None:
    try:
        date = parsedate_to_datetime((returned.get("date") or [""])[0])
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
