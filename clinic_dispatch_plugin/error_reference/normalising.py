"""An answer without what differs from message to message: what patterns are run on, and what makes its fingerprint."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

#: Characters of an answer that are looked at and kept.
TEXT_LIMIT = 2_000
#: Characters of an answer without personal data: what is stored, and what patterns see.
SAMPLE_LIMIT = 1_000

#: Times the rules are run over an answer at most: a row of ids needs one each; two are usual, the second finds nothing.
_PASSES = 128

#: Stands in for an IP address, so that patterns may still ask for one.
ANY_IP = "0.0.0.0"

_REPEATED_CODE = re.compile(r"^\s*[2345]\d\d[\s-](?:[245]\.\d{1,3}\.\d{1,3}\s)?")
_ADDRESS = re.compile(
    r"<?(?<![^\s<>()\[\],;:\"'])[^\s<>()\[\],;:\"'@]{1,128}@[^\s<>()\[\],;:\"']{1,255}>?"
)
_QUERY_VALUE = re.compile(r"(?<=[?&])([\w.-]{1,40}=)[^&\s]{3,}")
_IP = re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b|\b[0-9a-fA-F]{1,4}(?::[0-9a-fA-F]{0,4}){3,7}\b")
_TIME = re.compile(
    r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?|\b\d\d:\d\d:\d\d\b"
    r"|\b\d{1,2}[./]\d{1,2}[./](?:19|20)\d\d\b"
)
_PHONE = re.compile(r"\+\d[\d\s/()-]{5,}\d|\b0\d{2,4}[\s/-]\d{3,}(?:[\s-]?\d+)*\b")
#: A count with its unit, and any longer number that is not the name of a standard.
_COUNT = re.compile(
    r"\b\d+(?= ?(?:seconds?|secs?|minutes?|min|hours?|days?|bytes?|[km]i?b|hops|recipients|messages"
    r"|Sekunden|Minuten|Stunden|Tagen?)\b)|(?<!RFC )(?<!RFC)\b\d{4,}\b",
    re.IGNORECASE,
)
_NAMED_ID = re.compile(
    r"(\b(?:id|qid|queue id|message-id|request|ref|queued as)[=: #]+)<?[\w.@$+/-]{4,}>?",
    re.IGNORECASE,
)
_BRACKETED_ID = re.compile(
    r"([\[(])(?=[^\])\s]*\d)(?=[^\])\s]*[a-z])(?=[^\])\s]*[A-Z])[\w.+/=-]{8,}([\])])"
)
#: A reply code joined to the word after it is none: ``550-SPF-check``.
_IDENTIFIER = re.compile(
    r"\b(?![2345]\d\d-[A-Za-z-]+\b)(?=[a-zA-Z-]*\d)(?=[\d-]*[A-Za-z])[a-zA-Z0-9-]{8,}\b(?![.]\w)"
)
_HOST = re.compile(
    r"\b(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+"
    r"(?:com|net|org|info|biz|edu|gov|mil|int|name|pro|online|health|clinic|email|cloud|app|dev|[a-z]{2})\b(?!\.\w)",
    re.IGNORECASE,
)
_LINK = re.compile(r"\b(https?://)([^\s/<>\"'()\[\],;]+)([^\s<>\"'()\[\],;]*)", re.IGNORECASE)

#: Words of answers that may be somebody's name or the first part of an address as well.
_EVERYDAY = frozenset(
    """
    user mail email post box inbox mailbox host server info kontakt contact office admin postmaster test unknown
    unbekannt full voll over quota block blocked frei gross frank bad der die das und von van the not for address
    account recipient empfaenger message spam policy reject rejected denied limit domain name local remote
    """.split()  # noqa: SIM905
)
#: Names of services that say more than they identify: a mail provider, a block list, a filter.
_SERVICES = frozenset(
    """
    google gmail googlemail outlook office office365 microsoft hotmail live yahoo yahooinc yahoodns aol verizonmedia
    icloud apple gmx web mail yandex ya rambler t-online freenet posteo mailbox spamhaus spamcop sorbs barracudacentral
    barracudanetworks uribl surbl proofpoint pphosted mimecast cloudmark abuseat invaluement spamrl manitu uceprotect
    sendgrid mailgun amazonaws qq orange wanadoo free laposte wp onet interia seznam pobox cobion hornetsecurity
    antispamcloud trendmicro symanteccloud messagelabs sophos cisco ironport openspf facebook cox comcast att
    """.split()  # noqa: SIM905
)


def joined(text: str) -> str:
    """A reply of several lines as one, the repeated code of every line but the first dropped (RFC 5321 4.2.1)."""
    first, *more = text.splitlines() or [""]
    return " ".join([first, *(_REPEATED_CODE.sub("", line) for line in more)])


def anonymous(text: str, *, hide: Iterable[str] = ()) -> str:
    """An answer without what names a person or one message.

    Mail addresses, hosts, IP addresses, times, numbers and ids give way to placeholders; the names of services
    and codes stay. The same words about another patient give the same text, and giving it in again changes nothing.

    :param hide: words known to be personal, such as the recipient's names; words of everyday answers stay all the same.
    """
    text = " ".join(joined(text[:TEXT_LIMIT]).split())
    for word in hide:
        if (
            len(word) > 2
            and word.casefold() not in _EVERYDAY
            and word.casefold() in text.casefold()
        ):
            text = re.sub(rf"(?<!\w){re.escape(word)}(?!\w)", "<name>", text, flags=re.IGNORECASE)
    # A placeholder may stand where a word's neighbour stood: what follows from that is taken out as well.
    for _ in range(_PASSES):
        once = _without_what_differs(text)
        if once == text:
            break
        text = once
    return text


def _without_what_differs(text: str) -> str:
    text = _ADDRESS.sub("<@>", text)
    text = _QUERY_VALUE.sub(r"\1…", text)
    text = _LINK.sub(_plain_link, text)
    text = _IP.sub(ANY_IP, text)
    text = _TIME.sub("<time>", text)
    text = _PHONE.sub("<number>", text)
    text = _NAMED_ID.sub(r"\1<id>", text)
    text = _BRACKETED_ID.sub(r"\1<id>\2", text)
    text = _HOST.sub(_plain_host, text)
    text = _IDENTIFIER.sub("<id>", text)
    return _COUNT.sub("<number>", text)[:SAMPLE_LIMIT]


def _plain_host(found: re.Match[str]) -> str:
    """A service's host without its numbered machines; nobody else's host."""
    labels = found[0].lower().split(".")
    if not _SERVICES.intersection(labels[-3:]):
        return "<host>"
    return ".".join("*" if re.search(r"\d", label) else label for label in labels)


def _plain_link(found: re.Match[str]) -> str:
    """A link to a service's help; of others only that there was one."""
    scheme, host, rest = found.groups()
    if not _SERVICES.intersection(host.lower().split(".")):
        return "<link>"
    return f"{scheme.lower()}{host}{rest}"


def answer_digest(system: str, code: str, sample: str) -> str:
    """The fingerprint under which equal answers meet; capitals make no difference."""
    said = f"{system}\0{code}\0{sample.casefold()}"
    return hashlib.sha256(said.encode(errors="replace")).hexdigest()
