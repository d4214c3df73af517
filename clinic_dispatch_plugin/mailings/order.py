"""The channels of a mailing in their order, and the words it has for each of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from clinic_dispatch_plugin.channels.types import ContentFields
from clinic_dispatch_plugin.mailings.content import MailingContent, checked_content
from clinic_dispatch_plugin.mailings.problems import MailingProblem, NoRoute, Problem
from clinic_dispatch_plugin.registry import Dispatch

#: Minutes without a report after which the next channel follows at most: a day.
LONGEST_SILENCE = 1_440
#: Channels one mailing may go through.
MOST_CHANNELS = 8


def checked_order(dispatch: Dispatch, channels: Sequence[str]) -> tuple[str, ...]:
    """The channels of a mailing, the first one first.

    :raises NoRoute: one of them does not exist.
    :raises MailingProblem: one is named twice, or there are too many.
    """
    for key in channels:
        if key not in dispatch.channels:
            raise NoRoute(key)
    if len(set(channels)) < len(channels):
        message = "Name each way once: after it failed, the same way does not help."
        raise MailingProblem(Problem(field="channels", message=message))
    if len(channels) > MOST_CHANNELS:
        message = "At most {limit} ways can follow each other."
        raise MailingProblem(
            Problem(field="channels", message=message, fields={"limit": MOST_CHANNELS})
        )
    return tuple(channels)


def checked_silences(
    dispatch: Dispatch, order: Sequence[str], wanted: Mapping[str, int | None]
) -> dict[str, int]:
    """Minutes each channel but the last is waited for without a report; 0: without end.

    :param wanted: what the mailing says; where it says nothing, what is usual for the channel.
    :raises MailingProblem: a channel is none that another follows, or the time is no such time.
    """
    problems = [
        Problem(
            field="silence",
            message="No way follows {channel}, so there is nothing to wait for.",
            fields={"channel": key},
        )
        for key, minutes in wanted.items()
        if minutes is not None and key not in order[:-1]
    ]
    problems += [
        Problem(
            field="silence",
            message="Wait for {least} to {most} minutes, or 0: without end.",
            fields={"least": 1, "most": LONGEST_SILENCE},
        )
        for minutes in wanted.values()
        if minutes is not None and not 0 <= minutes <= LONGEST_SILENCE
    ]
    if problems:
        raise MailingProblem(*problems)
    usual = {key: dispatch.channels[key].silence_minutes for key in order[:-1]}
    return {**usual, **{key: each for key, each in wanted.items() if each is not None}}


def with_silences(
    legs: Sequence[Mapping[str, Any]], silences: Mapping[str, int | None]
) -> list[dict[str, Any]]:
    """The channels after the first as their mailing keeps them, each with how long the one before is waited for."""
    done = []
    for before, leg in pairwise(legs):
        minutes = silences.get(str(before["channel"]))
        done.append({**leg} if minutes is None else {**leg, "silence": minutes})
    return done


def own_or_first(own: MailingContent | None, first: MailingContent) -> MailingContent:
    """What a later channel says: its own words, and where it has none those of the first."""
    if own is None or own.is_empty:
        return first
    return own if own.subject.strip() else replace(own, subject=first.subject)


def suiting(dispatch: Dispatch, channel: str, content: MailingContent) -> MailingContent:
    """The parts of a text that a channel has, unchecked."""
    fields = _fields(dispatch, channel)
    return MailingContent(
        subject=content.subject if fields.subject else "",
        text=content.text,
        html=content.html if fields.html else "",
    )


def checked_texts(
    dispatch: Dispatch,
    order: Sequence[str],
    contents: Mapping[str, MailingContent],
    *,
    known: Collection[str] | None = None,
) -> dict[str, MailingContent]:
    """The words for each channel as they are kept, in order.

    :param contents: the first channel's words, and those of the others that have their own.
    :param known: names recipients have values for; None: any.
    :raises MailingProblem: names each field that is wrong; those of later channels as ``text.sms``.
    """
    first = contents[order[0]]
    problems: list[Problem] = []
    done: dict[str, MailingContent] = {}
    for key in order:
        content = first if key == order[0] else own_or_first(contents.get(key), first)
        try:
            done[key] = checked_content(content, fields=_fields(dispatch, key), known=known)
        except MailingProblem as error:
            is_first, has_own = key == order[0], key in contents and not contents[key].is_empty
            if is_first or has_own or not problems:
                problems += [
                    each if is_first else replace(each, field=f"{each.field}.{key}")
                    for each in error.problems
                ]
    if problems:
        raise MailingProblem(*problems)
    return done


def _fields(dispatch: Dispatch, channel: str) -> ContentFields:
    found = dispatch.channels.get(channel)
    return found.fields if found is not None else ContentFields()
