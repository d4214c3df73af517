"""A draft whose recipients are a list somebody uploaded."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import IO, Any

from clinic_dispatch_plugin.mailings import uploads
from clinic_dispatch_plugin.mailings.drafts import (
    LONGEST_NAME,
    Draft,
    checked_purpose,
    first_name,
    order_values,
    save,
)
from clinic_dispatch_plugin.mailings.problems import MailingProblem, NotYours, Problem
from clinic_dispatch_plugin.mailings.recipient_file import RecipientFileError
from clinic_dispatch_plugin.mailings.sources import FileSurvey, one_line, survey_file
from clinic_dispatch_plugin.messages.routes import order_of
from clinic_dispatch_plugin.registry import Dispatch

_SURVEYS = "mailing_surveys"
_SURVEYS_KEPT = 16


def choose_file(
    dispatch: Dispatch,
    draft: Draft,
    *,
    stream: IO[bytes],
    file_name: str,
    purpose: str,
    channel: str = "",
    fallbacks: Sequence[str] | None = None,
    waits: Sequence[int | None] = (),
) -> FileSurvey:
    """Step one: a list somebody uploaded; replaces an earlier one.

    :param fallbacks: the channels after the first; None: as they are.
    :param waits: beside each of them, minutes without a report after which its turn comes; None: as usual.
    :raises MailingProblem: it is too large, cannot be used, or holds nobody.
    """
    wanted = checked_purpose(purpose)
    order = order_values(dispatch, draft, channel, fallbacks, waits)
    key = uploads.keep(dispatch, stream)
    try:
        survey = survey_file(uploads.path(dispatch, key), order=_order(order))
        if not survey.rows:
            raise MailingProblem(_nobody(survey))
    except RecipientFileError as error:
        uploads.remove(dispatch, key)
        raise MailingProblem(file_problem(error)) from error
    except BaseException:
        uploads.remove(dispatch, key)
        raise
    shown = one_line(PurePath(file_name.replace("\\", "/")).name)[:LONGEST_NAME]
    values = {
        "source": "file",
        "selection": {
            "upload": key,
            "file_name": shown,
            "rows": survey.rows,
            "bad_rows": survey.bad_rows.count,
        },
        "purpose": wanted,
        **order,
        **first_name(draft, shown.rsplit(".", 1)[0]),
    }
    save(dispatch, draft.id, values)
    uploads.remove(dispatch, draft.selection.get("upload"))
    return survey


def _nobody(survey: FileSurvey) -> Problem:
    if not survey.bad_rows.count:
        message = "The file holds no recipients, only the line of column names."
        return Problem(field="file", message=message)
    first = survey.bad_rows.rows[0]
    return Problem(
        field="file",
        message="No row of this file can be used.",
        advice=first.message,
        fields=first.fields,
    )


def file_problem(error: RecipientFileError) -> Problem:
    """A file's trouble as a problem of the field it was chosen in."""
    return Problem(field="file", message=error.message, advice=error.advice, fields=error.fields)


def _order(values: Mapping[str, Any]) -> tuple[str, ...]:
    return order_of(values["channel"], values["fallbacks"])


def keep_file(
    dispatch: Dispatch,
    draft: Draft,
    *,
    purpose: str,
    channel: str = "",
    fallbacks: Sequence[str] | None = None,
    waits: Sequence[int | None] = (),
) -> None:
    """Step one again, with the list that is there already.

    :raises MailingProblem: there is no such purpose or channel, or the list has no addresses for it.
    """
    values = {
        "purpose": checked_purpose(purpose),
        **order_values(dispatch, draft, channel, fallbacks, waits),
    }
    if _order(values) != draft.order:
        try:
            found = uploads.path(dispatch, draft.selection.get("upload"))
            survey = survey_file(found, order=_order(values))
        except RecipientFileError as error:
            raise MailingProblem(file_problem(error)) from error
        # Whoever has no address on one channel may have one on the next: what is wrong depends on the order.
        values["selection"] = {**draft.selection, "bad_rows": survey.bad_rows.count}
    save(dispatch, draft.id, values)


def survey_of(dispatch: Dispatch, draft: Draft) -> FileSurvey | None:
    """What is wrong with a draft's list, None: nothing; a list never changes, so one look is enough."""
    if not draft.selection.get("bad_rows"):
        return None
    known: OrderedDict[str, FileSurvey] = dispatch.cache.setdefault(_SURVEYS, OrderedDict())
    key = f"{draft.selection['upload']} {' '.join(draft.order)}"
    if key not in known:
        try:
            known[key] = survey_file(
                uploads.path(dispatch, str(draft.selection["upload"])), order=draft.order
            )
        except NotYours:
            return None
        while len(known) > _SURVEYS_KEPT:
            known.popitem(last=False)
    return known[key]
