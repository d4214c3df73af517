"""Messages for a sender that is tried without an engine."""

from __future__ import annotations

import itertools

from clinic_dispatch_plugin.api import Content, OutgoingMessage
from clinic_dispatch_plugin.messages.rules import new_key

_numbers = itertools.count(1)


def make_message(
    address: str,
    *,
    attempt_id: int | None = None,
    text: str = "Your appointment is tomorrow at nine.",
    subject: str = "Your appointment",
    html: str = "",
) -> OutgoingMessage:
    """A message with keys of its own.

    :param attempt_id: None: the next number of this process.
    """
    return OutgoingMessage(
        attempt_id=next(_numbers) if attempt_id is None else attempt_id,
        attempt_key=new_key(),
        message_key=new_key(),
        address=address,
        name="Anna Muster",
        locale="en",
        content=Content(text=text, subject=subject, html=html),
    )
