"""Checks what somebody filled into the filters of an audience."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from clinic_dispatch_plugin.host.types import Audience
from clinic_dispatch_plugin.mailings.problems import MailingProblem, Problem
from clinic_dispatch_plugin.mailings.sources import one_line

LONGEST_FILTER = 500


def checked_filters(audience: Audience, given: Mapping[str, str]) -> dict[str, str]:
    """The values of the audience's own filters; others are left out.

    :raises MailingProblem: one is missing or wrong; the field is named ``filter.<audience>.<filter>``.
    """
    problems, kept = [], {}
    for each in audience.filters:
        value = one_line(given.get(each.key, ""))
        name = f"filter.{audience.key}.{each.key}"
        if each.kind == "bool":
            value = "1" if value else ""
        if not value and each.required:
            problems.append(Problem(field=name, message="Fill this in."))
        elif (
            value and each.kind == "choice" and value not in {choice for choice, _ in each.choices}
        ):
            problems.append(Problem(field=name, message="Choose one of the list."))
        elif value and each.kind == "date" and not _is_day(value):
            problems.append(Problem(field=name, message="Enter a day, such as 2026-11-24."))
        elif len(value) > LONGEST_FILTER:
            problems.append(
                Problem(
                    field=name,
                    message="At most {limit} characters.",
                    fields={"limit": LONGEST_FILTER},
                )
            )
        kept[each.key] = value
    if problems:
        raise MailingProblem(*problems)
    return kept


def _is_day(value: str) -> bool:
    try:
        datetime.strptime(value, "%Y-%m-%d")  # noqa: DTZ007 - only whether it is one
    except ValueError:
        return False
    return True
