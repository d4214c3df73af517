"""What counts as a mail address: the rubbish that stands in patients' files is understood, or named as rubbish."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

from email_validator import EmailNotValidError, validate_email
from email_validator.rfc_constants import CASE_INSENSITIVE_MAILBOX_NAMES

from clinic_dispatch_plugin.api import Answer, InvalidAddress

#: Characters of an address at most (RFC 5321 4.5.3.1.3, without the angle brackets).
LONGEST = 254
#: A local part of which nothing but its length could be wrong, and nothing is changed (RFC 5321 4.5.3.1.1).
_PLAIN_LOCAL = re.compile(r"(?=.{1,64}\Z)[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*")
#: A host name that ends as it should; what else could be wrong with it is looked at with the address.
_PLAIN_DOMAIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")
#: Longer than any field of a patient's file that holds a few addresses.
LONGEST_FIELD = 2_000

#: What people write where there is no address, folded and without punctuation at the ends.
_PLACEHOLDERS = frozenset(
    """
    keine|kein|keine angabe|keine e-mail|keine email|keine mail|keine adresse|keine vorhanden
    |nicht vorhanden|hat keine|hat keine e-mail|hat keine email|ohne|unbekannt|entfällt|fehlt|k.a|k. a|ka
    |none|null|nil|nan|n/a|na|no|no email|no e-mail|no mail|not available|not given|unknown|missing|empty
    |has no email|has no e-mail|without|x|xx|xxx|0|00|000
    |нет|нету|нет почты|нет email|нет e-mail|нет адреса|не указан|не указана|не указано|неизвестно|неизвестен
    |отсутствует|без почты|отказ|отказался|отказалась|н/д|нет данных
    """.replace("\n", "")
    .replace("    ", "")
    .split("|")
)
_EDGES = " \t-–—_.,;:!?*/\\()[]{}<>\"'`´«»„“”#"
_REMARK = re.compile(r"\([^()]*\)")
_IN_ANGLES = re.compile(r"<([^<>]*)>")
#: Commas, semicolons and bars part addresses, not inside quotes or angles.
_PIECE = re.compile(r'(?:"(?:[^"\\]|\\.)*"|<[^<>]*>|[^,;|"<]|["<])+')
#: A word that ends neither in punctuation nor in a bracket, right before an address.
_STRAY_WORD = re.compile(r"(?:^|\s)[^\s@()<>]*[^\W\d_]\s+$")
_GAPS = re.compile(r"[\s<>()]+")
#: What an envelope and a header can carry as it stands (RFC 5321 4.1.2 without quoted local parts).
_SENDABLE = re.compile(
    r"[^\s\x00-\x20\x7f-\x9f<>()\[\]\\,;:\"@]+@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?"
)


def normalised(raw: str) -> str:
    """The one form of an address: the local part as written, the domain in lower case and as A-label.

    A field may hold several addresses, remarks and names; the first valid address counts.

    :raises InvalidAddress: ``no_address`` where there is none, ``malformed_address`` where it is wrong.
    """
    local, _, domain = raw.partition("@")
    if len(raw) <= LONGEST and _PLAIN_LOCAL.fullmatch(local) and _PLAIN_DOMAIN.fullmatch(domain):
        return validated(raw)  # nothing but an address, as most are
    if any(each in raw for each in "\r\n\0"):
        raise _malformed("the address holds a line break or NUL")
    if len(raw) > LONGEST_FIELD:
        raise _malformed(f"the field holds {len(raw)} characters, an address at most 254")
    plain = raw.isascii() and raw.isprintable()
    text = raw.strip() if plain else "".join(c for c in raw if not _invisible(c)).strip()
    bare = text.strip(_EDGES).casefold()
    if not bare or bare in _PLACEHOLDERS:
        raise InvalidAddress(Answer(system="dispatch", code="no_address", text=text))
    if "@" not in text:
        raise _malformed("there is no @ in it")
    first_error: InvalidAddress | None = None
    for candidate in _candidates(text):
        try:
            return validated(candidate)
        except InvalidAddress as error:
            first_error = first_error or error
    raise first_error or _malformed("there is no @ in it")


def validated(address: str) -> str:
    """Check a single bare address and give its one form.

    :raises InvalidAddress: ``malformed_address``, with the reason in its text.
    """
    local, _, domain = address.rpartition("@")
    if _PLAIN_LOCAL.fullmatch(local) and local.lower() not in CASE_INSENSITIVE_MAILBOX_NAMES:
        known = _known_domain(domain)
        if known is not None and len(local) + 1 + max(len(known), len(domain)) <= LONGEST:
            return f"{local}@{known}"
    return _checked(address)


def _checked(address: str) -> str:
    try:
        found = validate_email(
            address, check_deliverability=False, test_environment=True, strict=True
        )
    except EmailNotValidError as error:
        raise _malformed(str(error)) from None
    except ValueError as error:  # lone surrogates, which its own checks let through
        raise _malformed(f"the address holds characters that cannot be sent: {error}") from None
    result = f"{found.local_part}@{found.ascii_domain.lower()}"
    # The library's test environment, which lets ``.test`` pass, also lets a bare "test" pass.
    if "." not in found.ascii_domain:
        raise _malformed("The part after the @-sign is not valid. It should have a period.")
    if not is_sendable(result):
        raise _malformed("the address holds characters that cannot be sent")
    return result


@lru_cache(maxsize=4_096)
def _known_domain(domain: str) -> str | None:
    """A domain as ours are written, None: it has to be looked at with its address. Most patients share a few."""
    try:
        return _checked(f"a@{domain}").removeprefix("a@")
    except InvalidAddress:
        return None


def is_sendable(address: str) -> bool:
    """Whether an address can stand in an envelope and a header without changing either."""
    if len(address) > LONGEST or _SENDABLE.fullmatch(address) is None:
        return False
    try:
        address.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def domain_in_ascii(domain: str) -> str:
    """The domain as A-labels in lower case (RFC 5891); host names and IPv4 addresses pass.

    :raises ValueError: it is no domain.
    """
    if not domain.isascii():
        return domain.lower().encode("idna").decode("ascii")
    labels = domain.lower().removesuffix(".").split(".")
    if len(domain) > 253 or not all(
        re.fullmatch(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?", label) for label in labels
    ):
        raise ValueError("it is no domain name")
    return ".".join(labels)


def _candidates(text: str) -> Iterator[str]:
    for piece in _PIECE.findall(text):
        inside = [found for found in _IN_ANGLES.findall(piece) if "@" in found]
        words = inside or _words_with_at(_REMARK.sub(" ", piece)) or _words_with_at(piece)
        for word in words:
            if not inside and _STRAY_WORD.search(piece.partition(word)[0]):
                # "anna berger@x.de" is "anna.berger@x.de" mistyped: berger@x.de may be a stranger's.
                yield piece
                continue
            # Ends of a sentence are cut, beginnings not: ".anna@" would become somebody else's address.
            bare = word.strip("\"'").rstrip(".:/!")
            yield re.sub(r"^(?:mailto|e-?mail):", "", bare, flags=re.IGNORECASE)


def _words_with_at(piece: str) -> list[str]:
    return [word for word in _GAPS.split(piece) if "@" in word]


def _invisible(character: str) -> bool:
    """Direction marks, zero-width characters and the like: copied along, never typed."""
    return unicodedata.category(character) == "Cf"


def _malformed(why: str) -> InvalidAddress:
    return InvalidAddress(Answer(system="dispatch", code="malformed_address", text=why))
