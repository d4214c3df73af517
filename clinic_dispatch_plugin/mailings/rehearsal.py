"""A mailing tried without writing anything: who would get it, who would not, and what it would cost."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from clinic_dispatch_plugin.mailings import uploads
from clinic_dispatch_plugin.mailings.checking import CheckResult, measured
from clinic_dispatch_plugin.mailings.content import MailingContent
from clinic_dispatch_plugin.mailings.order import checked_order, checked_texts
from clinic_dispatch_plugin.mailings.problems import NoRoute
from clinic_dispatch_plugin.mailings.sending import SYSTEM, selection_of
from clinic_dispatch_plugin.mailings.source_names import names_of_source
from clinic_dispatch_plugin.mailings.sources import AudienceSource, FileSource
from clinic_dispatch_plugin.registry import Dispatch


def rehearse(
    dispatch: Dispatch,
    *,
    purpose: str,
    channel: str,
    content: MailingContent,
    source: AudienceSource | FileSource,
    not_after: datetime | None = None,
    further: Mapping[str, MailingContent] | None = None,
) -> CheckResult:
    """What would happen if this were sent now, by the rules by which it is sent.

    :raises NoRoute: a channel has no account.
    :raises MailingProblem: text, purpose or audience is wrong.
    :raises RecipientFileError: the file as a whole cannot be used.
    :raises HostFailed: the clinic's system did not answer.
    """
    order = checked_order(dispatch, [channel, *(further or ())])
    for key in order:
        if dispatch.account(key) is None:
            raise NoRoute(key)
    names, survey = names_of_source(dispatch, source, order)
    texts = checked_texts(dispatch, order, {**(further or {}), channel: content}, known=names)
    selection = selection_of(dispatch, source, survey)
    row = {
        "purpose": purpose,
        "channel": channel,
        "fallbacks": [{"channel": key} for key in order[1:]] or None,
        "not_after": not_after,
        "created_by": SYSTEM.ref,
        "created_by_name": SYSTEM.name,
        **selection,
    }
    try:
        return measured(dispatch, row, texts)
    finally:
        uploads.remove(dispatch, selection["selection"].get("upload"))
