"""Which concerns have pages: their ``register`` functions in one place, so that none attaches itself on import."""

from __future__ import annotations

from functools import partial

from flask import Blueprint
from flask.blueprints import BlueprintSetupState

from clinic_dispatch_plugin.engine.following import Following
from clinic_dispatch_plugin.engine.presence import worker_is_seen
from clinic_dispatch_plugin.error_reference import views as error_reference_views
from clinic_dispatch_plugin.error_reference.following import LENT
from clinic_dispatch_plugin.error_reference.trying import Reported
from clinic_dispatch_plugin.host.adapter import HostAdapter
from clinic_dispatch_plugin.mailings import views as mailing_views
from clinic_dispatch_plugin.messages import views as message_views
from clinic_dispatch_plugin.messages.answers_store import mailings_of_answer
from clinic_dispatch_plugin.messages.failures import failures_by_answer
from clinic_dispatch_plugin.messages.lists_store import count_by_answer
from clinic_dispatch_plugin.messages.occurrences import seen_lately
from clinic_dispatch_plugin.messages.occurrences_store import count_occurrences
from clinic_dispatch_plugin.registry import EXTENSION, Dispatch
from clinic_dispatch_plugin.reports import views as report_views
from clinic_dispatch_plugin.reports.checking import can_be_asked_until
from clinic_dispatch_plugin.reports.service import of_message, recipients_in
from clinic_dispatch_plugin.settings import views as settings_views
from clinic_dispatch_plugin.web.blueprint import make_blueprint as with_views


def make_blueprint() -> Blueprint:
    """A new blueprint with every page of ours."""
    blueprint = with_views(
        [
            message_views.register,
            mailing_views.register,
            error_reference_views.register,
            report_views.register,
            settings_views.register,
        ]
    )
    blueprint.record(_lend_counters)
    return blueprint


def _lend_counters(state: BlueprintSetupState) -> None:
    """Let pages say whether a worker is there, and the reference what failed and how often each entry occurred.

    Where the host hides single patients only what a person may see is counted: a count would tell of the others.
    """
    dispatch: Dispatch = state.app.extensions[EXTENSION]
    dispatch.cache["heard_of_message"] = of_message
    dispatch.cache["can_be_asked_until"] = partial(can_be_asked_until, dispatch)
    dispatch.cache[LENT] = Following(dispatch)
    dispatch.cache["read_returned_mail"] = lambda raw: [
        Reported(*each) for each in recipients_in(raw)
    ]
    dispatch.cache["failures_by_answer"] = partial(failures_by_answer, dispatch)
    dispatch.cache["workers_seen"] = lambda: worker_is_seen(dispatch)
    open_to_all = type(dispatch.host).may_see is HostAdapter.may_see
    dispatch.cache["mailings_of_answer"] = partial(mailings_of_answer, counted=open_to_all)
    if open_to_all:
        dispatch.cache["count_by_answer"] = count_by_answer
        dispatch.cache["count_occurrences"] = count_occurrences
    else:
        dispatch.cache["seen_lately"] = partial(seen_lately, dispatch)
