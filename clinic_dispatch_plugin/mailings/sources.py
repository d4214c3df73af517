"""Where the recipients of a mailing come from: the clinic's audiences, a file, or code; always a stream."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from clinic_dispatch_plugin.channels.text import clean_value
from clinic_dispatch_plugin.host.adapter import HostAdapter
from clinic_dispatch_plugin.host.types import Audience, Consent, Recipient
from clinic_dispatch_plugin.mailings.list_rows import (
    BadRows,
    in_file,
    open_list,
    places_of,
    usable,
)
from clinic_dispatch_plugin.mailings.problems import HostFailed, MailingProblem, Problem
from clinic_dispatch_plugin.mailings.recipient_columns import Place
from clinic_dispatch_plugin.mailings.recipient_file import RecipientFile, RecipientRow, Role
from clinic_dispatch_plugin.messages.access import Sight

T = TypeVar("T")

LONGEST_REF = 128
LONGEST_NAME = 255
#: What a temporary copy of an audience keeps in memory before it goes to disk, in bytes.
_SPOOL_BYTES = 4 * 1024 * 1024
#: The host is asked about so many at once.
_ASK_AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class AudienceSource:
    """A group of recipients the clinic's system names."""

    key: str
    filters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSource:
    """A CSV of recipients; ``file_name`` is what people call it."""

    path: Path
    file_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipientsSource:
    """Recipients given by code."""

    recipients: Sequence[Recipient]


Source = AudienceSource | FileSource | RecipientsSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """Somebody who may become a message."""

    ref: str = ""
    name: str = field(default="", repr=False)
    locale: str = ""
    #: As the patient's card or the file has it.
    raw_address: str = field(default="", repr=False)
    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    line: int | None = None
    active: bool = True
    consent: Consent = Consent.UNKNOWN
    #: Raw addresses on the channels after the first, and what they said to those by name.
    addresses: Mapping[str, str] = field(default_factory=dict, repr=False)
    consents: Mapping[str, Consent] = field(default_factory=dict)
    #: Whose clock says when it is night; empty: the clinic's.
    timezone: str = ""
    #: The file names a patient the clinic does not know, or whom the writer may not see: nobody is told which.
    unknown: bool = False

    def address_on(self, channel: str, *, first: str) -> str:
        """The raw address on a channel."""
        return self.raw_address if channel == first else self.addresses.get(channel, "")

    def said_to(self, channel: str) -> Consent:
        """What they said to this mailing's purpose on a channel."""
        return self.consents.get(channel, self.consent)


def audience_candidates(
    host: HostAdapter, source: AudienceSource, *, purpose: str, order: Sequence[str]
) -> Iterator[Candidate]:
    """The audience as the host streams it.

    :raises MailingProblem: a filter's value is wrong.
    :raises HostFailed: the adapter raised.
    """
    try:
        for recipient in host.recipients(source.key, source.filters):
            yield of_recipient(recipient, purpose=purpose, order=order)
    except ValueError as error:
        raise MailingProblem(
            Problem(field="filters", message=str(error) or "Not possible.")
        ) from error
    except Exception as error:
        raise HostFailed(f"audience {source.key!r}: {type(error).__name__}") from error


def of_recipient(recipient: Recipient, *, purpose: str, order: Sequence[str]) -> Candidate:
    """A recipient the host described, as a candidate of a mailing through these channels."""
    name = one_line(recipient.name)[:LONGEST_NAME]
    values = {key: str(value) for key, value in recipient.values.items()}
    return Candidate(
        ref=clean_value(str(recipient.ref)),
        name=name,
        locale=recipient.locale or "",
        raw_address=recipient.addresses.get(order[0]) or "",
        values={"name": name, **values},
        active=recipient.active,
        consent=Consent(recipient.consent.get(purpose, Consent.UNKNOWN)),
        addresses={key: recipient.addresses.get(key) or "" for key in order[1:]},
        consents=_consents(recipient, purpose, order),
        timezone=recipient.timezone,
    )


def _consents(recipient: Recipient, purpose: str, order: Sequence[str]) -> dict[str, Consent]:
    """What they said to this purpose on single channels."""
    named = {key: recipient.consent.get(f"{purpose}.{key}") for key in order}
    return {key: Consent(said) for key, said in named.items() if said is not None}


def file_candidates(
    host: HostAdapter,
    source: FileSource,
    *,
    purpose: str,
    order: Sequence[str],
    sight: Sight,
    bad_rows: BadRows | None = None,
    skip: int = 0,
) -> Iterator[Candidate]:
    """The rows of a file; those that name a patient with what the host says of them.

    A patient outside ``sight`` is treated as one who does not exist.

    A row that lacks nothing but its address is a candidate too: it becomes a message that says so.

    :param bad_rows: gets every row that cannot be used.
    :param skip: candidates at the beginning that are known already.
    :raises RecipientFileError: the file as a whole cannot be used.
    :raises HostFailed: the adapter raised.
    """
    with open_list(source.path, order) as file:
        places = places_of(file, order)
        found = usable(file.rows(), bad_rows, places)
        for rows in chunks(islice(found, skip, None), _ASK_AT_ONCE):
            known = _ask(host, sight, rows)
            for row in rows:
                yield _of_row(row, known, purpose=purpose, order=order, places=places)


def _ask(host: HostAdapter, sight: Sight, rows: Sequence[RecipientRow]) -> Mapping[str, Recipient]:
    refs = sorted({row.ref for row in rows if row.ref and len(row.ref) <= LONGEST_REF})
    if not refs:
        return {}
    try:
        seen = sight.of(refs, str)
        return host.recipients_now(seen) if seen else {}
    except Exception as error:
        raise HostFailed(f"{len(refs)} recipients: {type(error).__name__}") from error


def _of_row(
    row: RecipientRow,
    known: Mapping[str, Recipient],
    *,
    purpose: str,
    order: Sequence[str],
    places: Mapping[str, Place],
) -> Candidate:
    recipient = known.get(row.ref) if row.ref else None
    consent = recipient.consent.get(purpose, Consent.UNKNOWN) if recipient else Consent.UNKNOWN
    name = one_line(row.name or (recipient.name if recipient else ""))[:LONGEST_NAME]
    return Candidate(
        ref=row.ref or "",
        name=name,
        locale=row.locale or (recipient.locale if recipient else "") or "",
        raw_address=row.address
        if order[0] in places
        else (recipient.addresses.get(order[0]) if recipient else "") or "",
        values={"name": name, **row.values},
        line=row.line,
        active=recipient is not None and recipient.active if row.ref else True,
        consent=Consent(consent),
        unknown=bool(row.ref) and recipient is None,
        addresses={key: _further(row, recipient, key, places[key]) for key in order[1:]},
        consents=_consents(recipient, purpose, order) if recipient else {},
        timezone=recipient.timezone if recipient else "",
    )


def _further(row: RecipientRow, recipient: Recipient | None, channel: str, place: Place) -> str:
    """The address on another channel: the file's, and where it has none the card's."""
    return in_file(row, place) or (recipient.addresses.get(channel) if recipient else "") or ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSurvey:
    """What one look through a file told."""

    #: Rows that become messages.
    rows: int
    bad_rows: BadRows
    #: The placeholders it offers.
    names: tuple[str, ...]


def survey_file(path: Path, *, order: Sequence[str]) -> FileSurvey:
    """Read a file from end to end.

    :param order: the channels of the mailing, the first one first.
    :raises RecipientFileError: the file as a whole cannot be used.
    """
    bad_rows = BadRows()
    with open_list(path, order) as file:
        rows = sum(1 for _ in usable(file.rows(), bad_rows, places_of(file, order)))
        return FileSurvey(rows=rows, bad_rows=bad_rows, names=_names(file))


def file_names(path: Path, *, order: Sequence[str]) -> tuple[str, ...]:
    """The placeholders a file offers.

    :param order: the channels of the mailing, the first one first.
    :raises RecipientFileError: the file as a whole cannot be used.
    """
    with open_list(path, order) as file:
        return _names(file)


def _names(file: RecipientFile) -> tuple[str, ...]:
    named = (
        ("name",) if any(column.role in (Role.NAME, Role.REF) for column in file.columns) else ()
    )
    return tuple(dict.fromkeys((*named, *file.placeholders)))


def audiences(host: HostAdapter) -> Sequence[Audience]:
    """The groups the clinic offers whoever acts.

    :raises HostFailed: the adapter raised.
    """
    try:
        return list(host.audiences())
    except Exception as error:
        raise HostFailed(f"audiences: {type(error).__name__}") from error


def audience_names(host: HostAdapter, key: str) -> tuple[str, ...]:
    """The placeholders an audience offers; nothing for one that does not exist.

    :raises HostFailed: the adapter raised.
    """
    found = next((audience for audience in audiences(host) if audience.key == key), None)
    return tuple(dict.fromkeys(("name", *found.placeholders))) if found else ()


def one_line(text: str) -> str:
    """A text without line breaks or characters that cannot be stored."""
    return " ".join(clean_value(text).split())


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """The items in lists of at most ``size``."""
    iterator = iter(items)
    while several := list(islice(iterator, size)):
        yield several


class Spool:
    """A private copy of a stream, so that the host's own reading is over before we write."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(  # noqa: SIM115 - closed by close()
            max_size=_SPOOL_BYTES, mode="w+", encoding="utf-8"
        )
        self.count = 0

    def fill(self, candidates: Iterable[Candidate], *, limit: int | None = None) -> bool:
        """Copy; False: there were more than ``limit``, and the copy is not whole."""
        for candidate in candidates:
            if limit is not None and self.count >= limit:
                return False
            self._file.write(json.dumps(_packed(candidate)) + "\n")
            self.count += 1
        return True

    def __iter__(self) -> Iterator[Candidate]:
        self._file.seek(0)
        for line in self._file:
            yield _unpacked(json.loads(line))

    def close(self) -> None:
        """Remove the copy."""
        self._file.close()


def _packed(candidate: Candidate) -> list[Any]:
    return [
        candidate.ref,
        candidate.name,
        candidate.locale,
        candidate.raw_address,
        dict(candidate.values),
        candidate.line,
        candidate.active,
        candidate.consent.value,
        candidate.unknown,
        dict(candidate.addresses),
        {key: said.value for key, said in candidate.consents.items()},
        candidate.timezone,
    ]


def _unpacked(row: list[Any]) -> Candidate:
    ref, name, locale, raw_address, values, line, active, consent, unknown, *further = row
    addresses, consents, timezone = further
    return Candidate(
        ref=ref,
        name=name,
        locale=locale,
        raw_address=raw_address,
        values=values,
        line=line,
        active=active,
        consent=Consent(consent),
        unknown=unknown,
        addresses=addresses,
        consents={key: Consent(said) for key, said in consents.items()},
        timezone=timezone,
    )
