"""The words of the server that refused, found among those of the one that reports it."""

from __future__ import annotations

import re

from clinic_dispatch_plugin.reports.mail import clean
from clinic_dispatch_plugin.reports.rules import LONGEST_ANSWER
from clinic_dispatch_plugin.reports.words import CODED

#: ``smtp; 550 …``, ``X-Postfix; …`` (RFC 3464 2.3.6).
_TYPE = re.compile(
    r"^\s*(?:x-?[\w.-]{1,40}|smtp|dns|unix|lmtp|x400|mts|rfc822)\s*;\s*", re.IGNORECASE
)
_STATUS = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?![\d.])")
_WORD = re.compile(r"[^\W\d]{3}")
#: Codes that say no more than "failed".
_VAGUE = re.compile(r"[245]\.0\.0|[245]\.\d\.\d{3}")
#: Lines of reports that hold no answer.
_NOT_AN_ANSWER = re.compile(
    r"^(?:[^\w]*$|-{3,}.*-{3,}$|technical details:$|because:$"
    r"|(?:for the following )?reason:$|hi\. this is the|this (?:is"
    r"|message was) (?:an? )?(?:automatic|created automatically|the mail system"
    r"|generated)"
    r"|i'm sorry to have to inform|for further assistance|please,? (?:do not reply"
    r"|include)|if you do so"
    r"|delete your own text|attached (?:returned )?message|remote-mta|reporting-mta|arrival-date)",
    re.IGNORECASE,
)


def without_type(diagnostic: str) -> str:
    """A diagnostic code without its type."""
    return _TYPE.sub("", clean(diagnostic), count=1)


def beginning_at_code(text: str) -> str:
    """The words from the server's code on; all of them where there is no code."""
    text = clean(text)
    found = CODED.search(text)
    if found is None:
        return text[:LONGEST_ANSWER]
    start = found.start()
    if found["alone"] and text[max(0, start - 2) : start].strip(" #")[-1:] in ("(", "["):
        return text[:LONGEST_ANSWER]  # "… (#5.1.1)": the code of the words before it
    first = next(
        (each for each in CODED.finditer(text) if each["reply"] and each["enhanced"]), None
    )
    if first is not None and first.start() - start < 80:
        start = first.start()
    said = text[start:].lstrip("#")
    # "… (#5.1.1)" and "… [550]" stand after the words they belong to.
    if not _WORD.search(CODED.sub("", said)):
        said = text
    return said[:LONGEST_ANSWER]


def code_of(answer: str, status: str = "") -> str:
    """The best code: the server's own enhanced one, else the report's status, else a reply code."""
    status_found = _STATUS.search(status)
    given = status_found[1] if status_found else ""
    enhanced, reply = "", ""
    for found in list(CODED.finditer(answer))[:20]:
        code = found["enhanced"] or found["alone"] or ""
        reply = reply or found["reply"] or ""
        if code and (not enhanced or _VAGUE.fullmatch(enhanced)):
            enhanced = code
    if given.startswith("2"):
        return given
    if enhanced and (not _VAGUE.fullmatch(enhanced) or not given):
        return enhanced
    if given and not _VAGUE.fullmatch(given):
        return given
    return reply or enhanced or given


def best_lines(text: str) -> str:
    """Of several lines those that hold an answer."""
    lines = [line.strip(" \t>|*") for line in text.splitlines()]
    kept = [line for line in lines if line and not _NOT_AN_ANSWER.match(line)]
    return clean(" ".join(kept))
