"""Bounce mails in words: every mail system has its own, and most put an address on a line and the reason after it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from clinic_dispatch_plugin.reports.answers import beginning_at_code, best_lines, code_of
from clinic_dispatch_plugin.reports.delivery import plain_address
from clinic_dispatch_plugin.reports.rules import MOST_RECIPIENTS, Reported, ReportedAction
from clinic_dispatch_plugin.reports.words import (
    ADDRESS,
    CODED,
    COPY_BEGINS,
    GIVEN_UP,
    HEADER_LINE,
    LATE,
)

#: A line that is about one address: it begins with it, or with a word that announces it.
_ABOUT = re.compile(
    r"^[\s>*\"'<(\[]*(?:(?:to|recipients?|rcpt to|address|user|e-?mail(?: address)?"
    r"|final-recipient|empfänger|получатель|адрес"
    r"|delivery to|unable to deliver (?:message )?to|failed recipients?"
    r"|original-recipient|rfc822|smtp)[\s:;<=]{1,4}(?:rfc822;)?)?[\s<\"'(\[]*$",
    re.IGNORECASE,
)
_TRANSCRIPT = re.compile(
    r"^\s*>>>\s*rcpt to:\s*<?([^\s<>]+@[^\s<>]+)>?", re.IGNORECASE | re.MULTILINE
)
_DOTS = re.compile(
    r"^(?:<<< )?[45]\d\d[ -][^<>\n]{0,40}<([^\s<>]+@[^\s<>]+)>\.{3}.*$", re.MULTILINE
)
_TO_LINE = re.compile(r"^\s*to\s*:", re.IGNORECASE)
_SUBJECT_LINE = re.compile(r"^\s*(?:subject|sent|date|cc|betreff|gesendet|тема)\s*:", re.IGNORECASE)
_SAID = re.compile(r"^\s*<<<\s*(.*)$", re.MULTILINE)
#: Addresses that write reports or stand in advice, and are nobody's.
_NOBODY = re.compile(
    r"^(?:mailer-daemon|postmaster|abuse|mailer_daemon|hostmaster|noreply|no-reply)@", re.IGNORECASE
)
#: Lines looked at; a report says its matter at once.
_MOST_LINES = 2_000
#: Characters around an address in which its answer is looked for.
_MOST_ANSWER = 4_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Halves:
    """A bounce's words, and what follows of the returned mail."""

    words: str
    returned: str


def split(notice: str) -> Halves:
    """Divide the words at the line above the returned mail, or where headers begin."""
    cut = len(notice)
    if (marker := COPY_BEGINS.search(notice)) and _something_before(notice, marker.start()):
        cut = marker.start()
    lines = notice[:cut].splitlines(keepends=True)
    place, run = 0, 0
    begin = 0
    for line in lines[:_MOST_LINES]:
        if HEADER_LINE.match(line):
            begin = place if run == 0 else begin
            run += 1
            if run >= 3 and _something_before(notice, begin):
                return Halves(words=notice[:begin], returned=notice[begin:])
        elif not (run and line[:1] in " \t" and line.strip()):
            run = 0
        place += len(line)
    rest = notice[cut:].partition("\n")[2]
    return Halves(words=notice[:cut], returned=rest)


def _something_before(notice: str, place: int) -> bool:
    return bool(ADDRESS.search(notice[:place]) or CODED.search(notice[:place]))


def is_late(words: str, subject: str) -> bool:
    """Whether a report says that it goes on trying, and not that it gave up."""
    if re.search(r"\bdelay|verzöger|задерж|warning", subject, re.IGNORECASE):
        return not re.search(r"permanent|giv(?:en|ing) up", words, re.IGNORECASE)
    return bool(LATE.search(words)) and not GIVEN_UP.search(words)


def reported(
    words: str, *, ours: Iterable[str], action: ReportedAction, known: Sequence[str] = ()
) -> list[Reported]:
    """The recipients a report in words speaks of, each with the answer that stands beside it.

    :param ours: addresses that are the sender's or the reporter's.
    :param known: recipients that are known already; their answers are looked for.
    """
    not_meant = {each.casefold() for each in ours} - {each.casefold() for each in known}
    found: dict[str, tuple[str, str]] = {each.casefold(): (each, "") for each in known}
    for address, text in _pieces(words, not_meant):
        key = address.casefold()
        if (known and key not in found) or len(found) >= MOST_RECIPIENTS:
            continue
        before = found.get(key, (address, ""))[1]
        if not before or (CODED.search(text) and not CODED.search(before)):
            found[key] = (address, text)
    if not found:
        found = {each.casefold(): (each, "") for each in _anywhere(words, not_meant)}
    general = general_answer(words)
    if len(found) == 1 and CODED.search(general):
        # Of one recipient alone the whole report speaks, wherever the address stands.
        found = {
            key: (a, text if CODED.search(text) else general) for key, (a, text) in found.items()
        }
    told: dict[str, tuple[str, str]] = {}
    done = []
    for address, text in found.values():
        said = (text or general)[:_MOST_ANSWER]
        if said not in told:  # a thousand recipients often share one answer
            told[said] = (code_of(said), beginning_at_code(said))
        code, answer = told[said]
        done.append(Reported(address=address, action=action, code=code, answer=answer))
    return done


def _pieces(words: str, not_meant: set[str]) -> Iterator[tuple[str, str]]:
    """Addresses that a line is about, each with the words up to the next one."""
    lines = words.splitlines()[:_MOST_LINES]
    for address, text in (*_transcript(words), *_beside(lines)):
        if _may_be_meant(address, not_meant):
            yield address, text


def _transcript(words: str) -> Iterator[tuple[str, str]]:
    """What was said to ``RCPT TO``, and the lines sendmail writes: ``550 <address>... User unknown``."""
    for told in _TRANSCRIPT.finditer(words):
        said = _SAID.search(words, told.end())
        if said and said.start() - told.end() < 200:
            yield plain_address(told[1]), said[1]
    for told in _DOTS.finditer(words):
        yield plain_address(told[1]), told[0]


def _beside(lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    begun: list[tuple[str, int, str]] = []
    for number, line in enumerate(lines):
        found = ADDRESS.search(line)
        if found is None or not _ABOUT.match(line[: found.start()]) or _is_heading(lines, number):
            continue
        rest = ADDRESS.sub("", line[found.end() :]).strip(" \t<>:;,.\"'()[]-")
        begun.append((plain_address(found[0]), number, rest))
    for place, (address, number, rest) in enumerate(begun):
        others = (n for other, n, _ in begun[place + 1 :] if other.casefold() != address.casefold())
        end = next(others, len(lines))
        yield address, _after(rest, lines[number + 1 : end])


def _is_heading(lines: Sequence[str], number: int) -> bool:
    """Whether this is the ``To:`` of a mail that is described: then what follows is no answer."""
    return bool(_TO_LINE.match(lines[number])) and any(
        _SUBJECT_LINE.match(line) for line in lines[max(0, number - 2) : number + 3]
    )


def _may_be_meant(address: str, not_meant: set[str]) -> bool:
    domain = address.rpartition("@")[2]
    return "." in domain and address.casefold() not in not_meant and _NOBODY.match(address) is None


def _after(rest: str, following: Sequence[str]) -> str:
    """The rest of the line and its paragraph; what follows too, where those hold no code."""
    paragraph: list[str] = [rest] if rest else []
    for line in following:
        if not line.strip() and any(len(each.strip()) > 3 for each in paragraph):
            break
        paragraph.append(line)
    text = best_lines("\n".join(paragraph[:60]))
    if CODED.search(text):
        return text
    return best_lines("\n".join([rest, *following[:60]]))


def _anywhere(words: str, not_meant: set[str]) -> list[str]:
    """Any address in the words, those beside a code first."""
    lines = words.splitlines()[:_MOST_LINES]
    for chosen in ([line for line in lines if CODED.search(line)], lines):
        found: dict[str, str] = {}
        for match in (each for line in chosen for each in ADDRESS.finditer(line)):
            address = plain_address(match[0])
            if _may_be_meant(address, not_meant):
                found.setdefault(address.casefold(), address)
        if found:
            return list(found.values())[:MOST_RECIPIENTS]
    return []


def general_answer(words: str) -> str:
    """What a report says of all its recipients: the paragraph with a code, else everything."""
    said = [each for each in _SAID.findall(words) if CODED.search(each)]
    if said:
        return " ".join(said[-3:])
    for paragraph in re.split(r"\n[ \t]*\n", words):
        if CODED.search(paragraph):
            return best_lines(paragraph)
    return best_lines(words)
