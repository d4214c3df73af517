"""How an answer is looked up: pure functions over entries, no database and no clock."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import re2

from clinic_dispatch_plugin.channels.reference import LANGUAGES, Permanence, ReferenceEntry
from clinic_dispatch_plugin.channels.types import Answer
from clinic_dispatch_plugin.error_reference.policy import Policy, policy_of

#: Characters of an answer that are looked at and kept.
TEXT_LIMIT = 2_000
#: Characters of a pattern that staff may write; shipped ones are as long as they must.
PATTERN_LIMIT = 500
SAMPLE_LIMIT = 400
#: The code under which an entry stands for a whole system.
ANY_CODE = "*"

TEXT_FIELDS = ("short", "what_happened", "what_helps")
GROUPS = ("service", "sending", "delivery")
WHO = ("recipient", "reception", "administration", "provider", "nobody")

_ENHANCED = re.compile(r"^[245]\.\d{1,3}\.\d{1,3}$")
_REPLY = re.compile(r"^[2345]\d\d$")
_REPLY_IN_TEXT = re.compile(r"^\s*([2345]\d\d)[\s-]")
_ENHANCED_IN_TEXT = re.compile(r"^\s*[2345]\d\d[\s-]#?([245]\.\d{1,3}\.\d{1,3})(?![\d.])")

_REPEATED_CODE = re.compile(r"^\s*[2345]\d\d[\s-](?:[245]\.\d{1,3}\.\d{1,3}\s)?")

_ADDRESS = re.compile(
    r"<?(?<![^\s<>()\[\],;:\"'])[^\s<>()\[\],;:\"'@]{1,128}@[^\s<>()\[\],;:\"']{1,255}>?"
)
_IP = re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b|\b[0-9a-fA-F]{1,4}(?::[0-9a-fA-F]{0,4}){3,7}\b")
_QUERY_VALUE = re.compile(r"(?<=[?&])([\w.-]{1,40}=)[^&\s]{3,}")
_NUMBER = re.compile(r"\+\d[\d\s/()-]{5,}\d|\b\d{6,}\b")
_IDENTIFIER = re.compile(r"\b(?=[a-zA-Z-]*\d)(?=[\d-]*[A-Za-z])[a-zA-Z0-9-]{9,}\b")


class Matched(StrEnum):
    """Which step of the look-up found the entry."""

    PATTERN = "pattern"
    EXACT = "exact"
    FAMILY = "family"
    REPLY = "reply"
    DEFAULT = "default"
    #: Nothing matched, and the answer waits among the drafts.
    DRAFT = "draft"
    NONE = "none"

    @property
    def described(self) -> bool:
        """Whether somebody described just this answer."""
        return self in (Matched.PATTERN, Matched.EXACT)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownEntry:
    """An entry as it holds now: the pack's content with the clinic's words over it."""

    id: int
    origin: str
    system: str
    code: str
    pattern: str = ""
    unless: str = ""
    position: int = 0
    #: Flat: ``{"short.de": …, "category": …}``.
    content: Mapping[str, Any]
    changed: bool = False
    policy: Policy = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "policy", policy_of(self.content))

    @property
    def key(self) -> str:
        """How commands and links name it: ``smtp:5.1.1``."""
        return f"{self.system}:{self.code}"

    @property
    def category(self) -> str:
        """The kind of trouble, one word."""
        return str(self.content.get("category", "unknown"))

    @property
    def permanence(self) -> Permanence:
        """Whether the same message may succeed later."""
        return Permanence(self.content.get("permanence", "unknown"))

    @property
    def group(self) -> str:
        """The heading it stands under."""
        return str(self.content.get("group", "sending"))

    @property
    def who(self) -> str:
        """Who can mend it."""
        return str(self.content.get("who", "administration"))

    def text(self, name: str, language: str) -> str:
        """One of its texts; where a language lacks it, the first that has it."""
        for candidate in (language, *LANGUAGES):
            if found := self.content.get(f"{name}.{candidate}"):
                return str(found)
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What the reference says of one answer."""

    entry: KnownEntry | None
    matched: Matched


class Reference:
    """All entries, ready for look-up; made anew when one changes."""

    def __init__(self, entries: Iterable[KnownEntry], *, revision: int = 0) -> None:
        self.revision = revision
        self.entries = {entry.id: entry for entry in entries}
        self._exact: dict[tuple[str, str, str], KnownEntry] = {}
        self._patterns: dict[tuple[str, str], list[tuple[KnownEntry, Any, Any]]] = defaultdict(list)
        for entry in sorted(self.entries.values(), key=lambda entry: (entry.position, entry.id)):
            if entry.pattern:
                compiled = (entry, compile_pattern(entry.pattern), compile_pattern(entry.unless))
                self._patterns[entry.origin, entry.system].append(compiled)
            else:
                self._exact[entry.origin, entry.system, entry.code] = entry

    def explain(self, answer: Answer) -> Explanation:
        """Look an answer up; the first match wins, from the clinic's own words down to the system's default."""
        code, reply = codes_of(answer)
        text = searchable(answer.text)
        found = (
            self._by_pattern("clinic", answer.system, (code, reply), text)
            or self._by_code(Matched.EXACT, "clinic", answer.system, code)
            or self._by_pattern("shipped", answer.system, (code, reply), text)
            or self._by_shipped_code(answer.system, code)
            or self._by_family(answer.system, code)
            or self._by_reply(answer.system, reply)
            or self._by_default(answer.system)
        )
        return found or Explanation(entry=self.unknown_answer, matched=Matched.NONE)

    @property
    def unknown_answer(self) -> KnownEntry | None:
        """The entry that speaks where nothing is known."""
        return self.find("dispatch", "unknown_answer")

    def find(self, system: str, code: str) -> KnownEntry | None:
        """The entry of exactly this code, the clinic's own first."""
        own = self._exact.get(("clinic", system, code))
        return own or self._exact.get(("shipped", system, code))

    def _by_pattern(
        self, origin: str, system: str, codes: tuple[str, str], text: str
    ) -> Explanation | None:
        for entry, pattern, unless in self._patterns.get((origin, system), ()):
            fits = entry.code == ANY_CODE or entry.code.startswith("~") or entry.code in codes
            if fits and pattern.search(text) and not (unless and unless.search(text)):
                return Explanation(entry=entry, matched=Matched.PATTERN)
        return None

    def _by_code(self, matched: Matched, origin: str, system: str, code: str) -> Explanation | None:
        entry = self._exact.get((origin, system, code)) if code else None
        return Explanation(entry=entry, matched=matched) if entry else None

    def _by_shipped_code(self, system: str, code: str) -> Explanation | None:
        if is_reply_code(system, code):
            return None
        entry = self._exact.get(("shipped", system, code))
        if entry is None or entry.category == "unknown":
            return None
        return Explanation(entry=entry, matched=Matched.EXACT)

    def _by_family(self, system: str, code: str) -> Explanation | None:
        for family in families(code):
            entry = self.find(system, family)
            if entry is not None and (entry.category != "unknown" or entry.origin == "clinic"):
                return Explanation(entry=entry, matched=Matched.FAMILY)
        return None

    def _by_reply(self, system: str, reply: str) -> Explanation | None:
        for candidate in (reply, f"{reply[:1]}xx"):
            entry = self.find(system, candidate) if reply else None
            if entry is not None:
                return Explanation(entry=entry, matched=Matched.REPLY)
        return None

    def _by_default(self, system: str) -> Explanation | None:
        entry = self.find(system, ANY_CODE)
        return Explanation(entry=entry, matched=Matched.DEFAULT) if entry else None


def compile_pattern(pattern: str) -> Any:
    """An RE2 pattern, searched without regard to case in linear time; None for an empty one.

    :raises ValueError: RE2 cannot do it; its words are in the message.
    """
    if not pattern:
        return None
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    options.max_mem = 1 << 20
    try:
        return re2.compile(pattern, options=options)
    except re2.error as error:
        said = error.args[0] if error.args else error
        raise ValueError(said.decode() if isinstance(said, bytes) else str(said)) from None


def codes_of(answer: Answer) -> tuple[str, str]:
    """The answer's own code, and for SMTP the three-digit reply code (RFC 5321 4.2, RFC 3463); either may be empty."""
    code = answer.code.strip()
    if answer.system != "smtp":
        return code, ""
    text = answer.text[:TEXT_LIMIT]
    said = _REPLY_IN_TEXT.match(text)
    if is_reply_code("smtp", code):
        enhanced = _ENHANCED_IN_TEXT.match(text)
        return (enhanced.group(1) if enhanced else code), code
    reply = said.group(1) if said else {"2": "2xx", "4": "4xx", "5": "5xx"}.get(code[:1], "")
    return code, reply


def is_reply_code(system: str, code: str) -> bool:
    """Whether this is a bare SMTP reply code, which says little (RFC 5321 4.2.3)."""
    return system == "smtp" and bool(_REPLY.match(code))


def families(code: str) -> list[str]:
    """The families of an enhanced code, narrow first: ``5.1.x``, ``5.x.x``."""
    if not _ENHANCED.match(code):
        return []
    kind, subject, _ = code.split(".")
    return [f"{kind}.{subject}.x", f"{kind}.x.x"]


def searchable(text: str) -> str:
    """What patterns are run on: without addresses, so that ``spam@…`` is no spam, at most 2,000 characters."""
    return _ADDRESS.sub("<@>", joined(text[:TEXT_LIMIT]))


def joined(text: str) -> str:
    """A reply of several lines as one, the repeated code of every line but the first dropped (RFC 5321 4.2.1)."""
    first, *more = text.splitlines() or [""]
    return " ".join([first, *(_REPEATED_CODE.sub("", line) for line in more)])


def anonymous(text: str) -> str:
    """An answer without what names a person or one message: addresses, numbers, ids, the tail of links."""
    text = " ".join(joined(text[:TEXT_LIMIT]).split())
    text = _ADDRESS.sub("<@>", text)
    text = _QUERY_VALUE.sub(r"\1…", text)
    text = _IP.sub("0.0.0.0", text)
    text = _NUMBER.sub("<number>", text)
    return _IDENTIFIER.sub("<id>", text)[:SAMPLE_LIMIT]


def answer_digest(system: str, code: str, sample: str) -> str:
    """The fingerprint under which equal answers meet."""
    return hashlib.sha256(f"{system}\0{code}\0{sample}".encode(errors="replace")).hexdigest()


def pattern_digest(pattern: str, unless: str) -> str:
    """The part of an entry's unique key that stands for its patterns."""
    return hashlib.sha256(f"{pattern}\0{unless}".encode()).hexdigest()


def flat(entry: ReferenceEntry) -> dict[str, Any]:
    """A shipped entry as the flat content that is stored and merged field by field."""
    content: dict[str, Any] = {
        "category": entry.category,
        "permanence": entry.permanence.value,
        "group": entry.group,
        "who": entry.who,
        "provider": entry.provider,
        "source": entry.source,
    }
    content.update({f"policy.{name}": value for name, value in (entry.policy or {}).items()})
    for language, texts in entry.texts.items():
        for name in TEXT_FIELDS:
            content[f"{name}.{language}"] = getattr(texts, name)
    return content


def merge(shipped: Mapping[str, Any] | None, own: Mapping[str, Any] | None) -> dict[str, Any]:
    """What holds: the pack's content with the fields the clinic wrote over it."""
    return {**(shipped or {}), **(own or {})}


def conflicts(
    shipped: Mapping[str, Any] | None, own: Mapping[str, Any] | None, base: Mapping[str, Any] | None
) -> dict[str, tuple[Any, Any]]:
    """Fields the clinic wrote and the pack has changed since: ``{field: (clinic's, pack's)}``."""
    return {
        name: (value, (shipped or {}).get(name))
        for name, value in (own or {}).items()
        if shipped is not None and shipped.get(name) != (base or {}).get(name)
    }
