"""Which placeholders a source of recipients fills in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from clinic_dispatch_plugin.mailings.problems import MailingProblem, Problem
from clinic_dispatch_plugin.mailings.sources import (
    AudienceSource,
    FileSource,
    FileSurvey,
    audience_names,
    audiences,
    survey_file,
)
from clinic_dispatch_plugin.registry import Dispatch


def names_of_source(
    dispatch: Dispatch, source: AudienceSource | FileSource, order: Sequence[str]
) -> tuple[Any, FileSurvey | None]:
    """The placeholders a source fills in, and what was seen of a file.

    :param order: the channels of the mailing, the first one first.
    :raises MailingProblem: there is no such audience.
    :raises RecipientFileError: the file as a whole cannot be used.
    """
    if isinstance(source, FileSource):
        survey = survey_file(source.path, order=order)
        return survey.names, survey
    names = audience_names(dispatch.host, source.key)
    if not names:
        known = ", ".join(str(audience.key) for audience in audiences(dispatch.host))
        message = "There is no audience {key}; there are: {known}."
        raise MailingProblem(
            Problem(field="audience", message=message, fields={"key": source.key, "known": known})
        )
    return names, None
