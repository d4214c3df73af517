"""What is likely to go wrong with a mailing, said before anything is sent, in the words of the reference."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from clinic_dispatch_plugin.error_reference.rules import KnownEntry
from clinic_dispatch_plugin.error_reference.service import explain
from clinic_dispatch_plugin.queue.context import places
from clinic_dispatch_plugin.registry import Dispatch

log = logging.getLogger(__name__)


def foreseen(dispatch: Dispatch, channel: str, *, recipients: int) -> Sequence[KnownEntry]:
    """The entries that speak of it; none where the channel foresees nothing or cannot say."""
    account = dispatch.account(channel)
    if account is None:
        return []
    try:
        answers = list(dispatch.channels[channel].foresee(account, recipients=recipients))
    except Exception as error:
        log.error("channel %s cannot foresee anything: %s", channel, places(error))
        return []
    entries = (explain(dispatch, answer).entry for answer in answers)
    return [entry for entry in entries if entry is not None]
