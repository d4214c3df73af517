"""The one door of pages to the clinic's own system: what its adapter raises becomes a clear page with status 503."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from werkzeug.exceptions import HTTPException, ServiceUnavailable

from clinic_dispatch_plugin.queue.context import places
from clinic_dispatch_plugin.web.i18n import _

log = logging.getLogger(__name__)

T = TypeVar("T")


class HostFailed(ServiceUnavailable):
    """The clinic's own system did not answer a question of ours; shown as a page with status 503."""


def ask(question: str, answer: Callable[[], T], *, but: tuple[type[Exception], ...] = ()) -> T:
    """What the host's adapter answers.

    :param question: the adapter's method, for the log; the error's own words stay out of it, as they may hold
        a patient's data.
    :param but: kinds of error that are an answer, and pass.
    :raises HTTPException: the host's deliberate answer, such as its way to the log-in.
    :raises HostFailed: the adapter raised anything else.
    """
    try:
        return answer()
    except HTTPException:
        raise
    except but:
        raise
    except Exception as error:
        log.error("the host adapter's %s() failed: %s", question, places(error))
        raise host_failed() from None


def host_failed() -> HostFailed:
    """The refusal in the reader's words."""
    return HostFailed(_("The clinic's system did not answer. Please try again in a moment."))
