"""What the host is told of a report: that a recipient confirmed a message."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from clinic_dispatch_plugin.host.types import Confirmed
from clinic_dispatch_plugin.queue.context import places
from clinic_dispatch_plugin.registry import Dispatch

log = logging.getLogger(__name__)

#: What a channel writes into a report's details, as ``state``.
CONFIRMED = "confirmed"


def tell_host(dispatch: Dispatch, row: Mapping[Any, Any], attempt: Mapping[Any, Any]) -> None:
    """Tell the host of a confirmation that is committed; no transaction is open meanwhile."""
    details = row["details"] or {}
    if details.get("state") != CONFIRMED:
        return
    confirmed = Confirmed(
        ref=str(attempt["ref"] or ""),
        channel=str(attempt["channel"]),
        key=str(details.get("key", "")),
        mailing_id=int(attempt["mailing_id"]),
        message_id=int(attempt["message_id"]),
    )
    try:
        with dispatch.app_context():
            dispatch.host.confirmed(confirmed)
    except Exception as error:
        log.error(
            "the host could not be told that message %d was confirmed: %s",
            confirmed.message_id,
            places(error),
        )
