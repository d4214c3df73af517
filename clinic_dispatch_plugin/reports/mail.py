"""A mail taken apart, within bounds: its headers, its words, the fields of its report, what it returns of ours."""

from __future__ import annotations

import contextlib
import email
import html
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from email.header import decode_header
from email.message import Message
from email.parser import BytesHeaderParser

from clinic_dispatch_plugin.reports.rules import MOST_BYTES, MOST_PARTS

#: Fields that a block of a delivery report is known by (RFC 3464 2.2, 2.3).
REPORT_FIELDS = frozenset(
    {
        "action",
        "arrival-date",
        "diagnostic-code",
        "final-recipient",
        "original-envelope-id",
        "original-recipient",
        "remote-mta",
        "reporting-mta",
        "status",
    }
)
#: Characters of words that are looked at; what a report says stands at its beginning.
MOST_WORDS = 64 * 1024
#: Lines that begin a part of a mail, counted before a parser sees it: parts in parts cost it dearly.
_PART = re.compile(rb"^content-type:", re.IGNORECASE | re.MULTILINE)
_FIELD = re.compile(r"([A-Za-z][A-Za-z0-9-]{1,60})[ \t]*:[ \t]?(.*)")
_TAG = re.compile(r"<[^<>]{0,2000}>")
_NOT_SHOWN = re.compile(r"<(style|script|head)\b", re.IGNORECASE)
#: Names of charsets that are read; some codecs take minutes for what an attacker writes.
_CHARSET = re.compile(
    r"utf-?8|us-ascii|ascii|iso[-_]?8859-\d{1,2}|latin-?\d|(?:windows-?|cp|ibm)\d{3,4}|koi8-[ru]|iso-2022-[a-z]{2}"
    r"|euc-[a-z]{2}|shift[-_]jis|gb\w{4,5}|big5|mac-?cyrillic|tis-620"
)
_LINE_END = re.compile(r"<(?:br|/p|/div|/tr|/h\d|/li|/td)\b[^<>]{0,200}>", re.IGNORECASE)

Fields = Mapping[str, str]


@dataclass(slots=True, kw_only=True)
class TakenApart:
    """One mail in the pieces a report is read from."""

    #: Names in small letters; of several fields of a name all values.
    headers: Mapping[str, Sequence[str]] = field(repr=False)
    #: ``type/subtype`` of the whole, and its ``report-type``.
    content_type: str = ""
    report_type: str = ""
    #: What people read, without what is returned.
    notice: str = field(default="", repr=False)
    #: Blocks of fields of ``message/delivery-status``, or of what looks like one.
    blocks: Sequence[Fields] = field(default=(), repr=False)
    #: The fields of ``message/feedback-report`` (RFC 5965), names in small letters, each with all its values.
    feedback: Mapping[str, Sequence[str]] | None = field(default=None, repr=False)
    #: Headers of the returned mail.
    returned: Mapping[str, Sequence[str]] = field(default_factory=dict, repr=False)

    def first(self, name: str) -> str:
        """The first value of a header, or nothing."""
        return (self.headers.get(name) or [""])[0]


def take_apart(raw: bytes) -> TakenApart:
    """Take a mail apart; whatever the bytes are, something comes of it."""
    lines = raw[:MOST_BYTES].replace(b"\r\n", b"\n").replace(b"\r", b"\n").lstrip(b"\n \t\0")
    if lines.startswith((b"From ", b">From ")):
        lines = lines.partition(b"\n")[2]
    headers = BytesHeaderParser().parsebytes(lines)
    done = TakenApart(headers=_headers(headers))
    done.content_type = headers.get_content_type()
    done.report_type = _parameter(headers, "report-type")
    if len(_PART.findall(lines)) > MOST_PARTS:
        done.notice = _text(lines.partition(b"\n\n")[2], "")
        return done
    try:
        _fill(done, email.message_from_bytes(lines))
    except RecursionError:
        done.notice = _text(lines.partition(b"\n\n")[2], "")
    return done


def _fill(done: TakenApart, whole: Message) -> None:
    words: list[str] = []
    blocks: list[Fields] = []
    for part in _parts(whole):
        kind = part.get_content_type()
        if kind == "message/delivery-status" or kind == "message/global-delivery-status":
            blocks += _blocks_of(part)
        elif kind == "message/feedback-report":
            done.feedback = _several(_lines_of(part))
        elif kind in ("message/rfc822", "message/global", "text/rfc822-headers"):
            done.returned = done.returned or _returned(part)
        elif part.get_content_maintype() in ("text", "multipart"):
            # A multipart whose parts the parser does not find is read as it is.
            words.append(_words(part))
    plain = [each for each in words if each.strip()]
    done.notice = _unquoted("\n\n".join(plain)[:MOST_WORDS])
    done.blocks = blocks


def _parts(whole: Message) -> Iterator[Message]:
    """The parts of the mail itself: what is returned inside is one of them and not opened."""
    waiting, seen = [whole], 0
    while waiting and seen < MOST_PARTS:
        part = waiting.pop(0)
        seen += 1
        if part.get_content_maintype() == "multipart" and part.is_multipart():
            waiting[:0] = _children(part)
        else:
            yield part


def _children(part: Message) -> list[Message]:
    inner = part.get_payload()
    found = [each for each in inner if isinstance(each, Message)] if isinstance(inner, list) else []
    if part.get_content_subtype() == "alternative":
        plain = [each for each in found if each.get_content_type() == "text/plain"]
        with_words = [each for each in plain if _words(each).strip()]
        return with_words[:1] or found
    return found


def _words(part: Message) -> str:
    raw = part.get_payload(decode=True)
    if not isinstance(raw, bytes):
        return ""
    text = _text(raw, _parameter(part, "charset"))
    return without_tags(text) if part.get_content_subtype() == "html" or _is_html(text) else text


def _unquoted(text: str) -> str:
    """A report that somebody forwarded, without the marks before its lines."""
    lines = text.splitlines()
    if sum(line.startswith(">") for line in lines) * 2 < len(lines):
        return text
    return "\n".join(re.sub(r"^>[> ]{0,10}(?=\S)", "", line) for line in lines)


def _is_html(text: str) -> bool:
    return "<html" in text[:500].lower()


def without_tags(text: str) -> str:
    """The words of HTML, a line for each block."""
    text = _LINE_END.sub("\n", _shown(text[:MOST_WORDS]))
    # An address in angle brackets is no tag.
    text = _TAG.sub(
        lambda found: found[0] if "@" in found[0] and " " not in found[0] else " ", text
    )
    return "\n".join(line.strip() for line in html.unescape(text).splitlines())


def _shown(text: str) -> str:
    """HTML without what browsers do not show."""
    done, place, small = [], 0, text.lower()
    while (begin := _NOT_SHOWN.search(text, place)) is not None:
        done.append(text[place : begin.start()])
        end = small.find(f"</{begin[1].lower()}", begin.end())
        if end < 0:
            return " ".join(done)
        place = end
    return " ".join([*done, text[place:]])


def _text(raw: bytes, charset: str) -> str:
    if b"\x1b$" in raw[:MOST_WORDS]:
        charset = "iso-2022-jp"
    if not _CHARSET.fullmatch(charset):
        charset = "utf-8"
    for name in (charset, "utf-8"):
        try:
            return raw[:MOST_BYTES].decode(name).replace("\0", " ")[:MOST_WORDS]
        except (LookupError, ValueError):
            continue
    return raw[:MOST_WORDS].decode("latin-1").replace("\0", " ")


def _parameter(part: Message, name: str) -> str:
    try:
        value = part.get_param(name, "")
    except (ValueError, IndexError, UnicodeError):
        return ""
    return (value if isinstance(value, str) else str(value[-1])).strip().lower()[:80]


def _blocks_of(part: Message) -> list[Fields]:
    inner = part.get_payload()
    if isinstance(inner, list) and part.get(
        "Content-Transfer-Encoding", ""
    ).strip().lower() not in (
        "base64",
        "quoted-printable",
    ):
        found = [
            {name.lower(): clean(_raw(value)) for name, value in each.raw_items()}
            for each in inner[: MOST_PARTS * 10]
            if isinstance(each, Message)
        ]
        return [block for block in found if block]
    return blocks_in(_lines_of(part))


def _lines_of(part: Message) -> str:
    """The body of a part as text, whatever the parser made of it."""
    inner = part.get_payload()
    if isinstance(inner, list):
        held = [each for each in inner[:MOST_PARTS] if isinstance(each, Message)]
        text = "\n\n".join(
            "\n".join(f"{name}: {_raw(value)}" for name, value in each.raw_items())
            + (f"\n\n{body}" if isinstance(body := each.get_payload(), str) and body else "")
            for each in held
        )
        if part.get("Content-Transfer-Encoding", "").strip().lower() == "base64":
            return _unpacked(text)
        return text[:MOST_WORDS]
    return _words(part)


def _unpacked(text: str) -> str:
    wrapped = Message()
    wrapped["Content-Transfer-Encoding"] = "base64"
    wrapped.set_payload(text)
    raw = wrapped.get_payload(decode=True)
    return _text(raw if isinstance(raw, bytes) else b"", "")


def blocks_in(text: str) -> list[Fields]:
    """Blocks of report fields in free text: each begins after an empty line."""
    found: list[Fields] = []
    for piece in re.split(r"\n[ \t]*\n", text):
        block = {name: values[0] for name, values in _several(piece).items()}
        if len(REPORT_FIELDS & block.keys()) >= 2 or "final-recipient" in block:
            found.append(block)
    return found


def _several(text: str) -> dict[str, list[str]]:
    """Fields with their continued lines."""
    done: dict[str, list[str]] = {}
    last: list[str] | None = None
    for line in text.splitlines():
        if line[:1] in " \t" and last is not None and line.strip():
            last[-1] = clean(f"{last[-1]} {line.strip()}")
        elif match := _FIELD.match(line):
            last = done.setdefault(match[1].lower(), [])
            last.append(clean(match[2]))
        else:
            last = None
    return done


def _returned(part: Message) -> Mapping[str, Sequence[str]]:
    inner = part.get_payload()
    if isinstance(inner, list) and inner and isinstance(inner[0], Message):
        if inner[0].keys():
            return _headers(inner[0])
        body = inner[0].get_payload()
        return _several(_unpacked(body)) if isinstance(body, str) else {}
    return _several(_words(part).lstrip())


def _raw(value: object) -> str:
    """A header's text, its bytes read as UTF-8 where they are more than ASCII (RFC 6532)."""
    text = str(value)
    return (
        text
        if text.isascii()
        else text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    )


def headers_in(text: str) -> Mapping[str, Sequence[str]]:
    """The headers at the beginning of a returned mail that stands within the words."""
    head = re.split(r"\n[ \t]*\n", text.lstrip("\n"), maxsplit=1)[0]
    return _several(head)


def _headers(message: Message) -> dict[str, list[str]]:
    done: dict[str, list[str]] = {}
    for name, value in list(message.raw_items())[:1_000]:
        done.setdefault(name.lower(), []).append(decoded(_raw(value)))
    return done


def decoded(value: str) -> str:
    """A header on one line, its encoded words read (RFC 2047)."""
    value = value[:MOST_WORDS]
    if "=?" in value:
        with contextlib.suppress(ValueError, LookupError, email.errors.MessageError):
            value = "".join(
                _text(part, (charset or "latin-1").lower()) if isinstance(part, bytes) else part
                for part, charset in decode_header(value[:4_000])
            )
    return clean(value)


def clean(value: str) -> str:
    """On one line, without what databases refuse."""
    return " ".join(value.replace("\0", " ").encode("utf-8", "replace").decode().split())
