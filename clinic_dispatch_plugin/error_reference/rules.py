"""How an answer is looked up: pure functions over entries, no database and no clock."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from typing import Any

import re2

from clinic_dispatch_plugin.channels.reference import LANGUAGES, Permanence, ReferenceEntry
from clinic_dispatch_plugin.channels.types import Answer
from clinic_dispatch_plugin.error_reference.normalising import (
    TEXT_LIMIT,
    anonymous,
    answer_digest,
)
from clinic_dispatch_plugin.error_reference.policy import Policy, policy_of

#: Characters of a pattern that staff may write; shipped ones are as long as they must.
PATTERN_LIMIT = 500
#: The code under which an entry stands for a whole system.
ANY_CODE = "*"

#: Where an entry keeps the fingerprints of answers taken out of it, with blanks between.
APART = "apart"

TEXT_FIELDS = ("short", "what_happened", "what_helps", "tell_patient")

_ENHANCED = re.compile(r"^[245]\.\d{1,3}\.\d{1,3}$")
_WORD = re.compile(r"[^\W\d_]{3,}")
_REPLY = re.compile(r"^[2345]\d\d$")
_REPLY_IN_TEXT = re.compile(r"^\s*([2345]\d\d)[\s-]")
_ENHANCED_IN_TEXT = re.compile(r"^\s*[2345]\d\d[\s-]#?([245]\.\d{1,3}\.\d{1,3})(?![\d.])")
_HEAD = re.compile(r"\s*([2345]\d\d)[\s-]#?([245]\.\d{1,3}\.\d{1,3})?")
#: In brackets at another place, as qmail writes it: ``(#5.1.1)``.
_ENHANCED_ELSEWHERE = re.compile(r"[(\[]#?([245]\.[0-7]\.\d{1,3})[)\]]")


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
    #: Names of the fields that the clinic wrote.
    own: frozenset[str] = frozenset()
    #: The entry whose words and policy it shares.
    same_as: int | None = None
    #: Fingerprints of answers that somebody took out of it.
    apart: frozenset[str] = frozenset()

    @property
    def policy(self) -> Policy:
        """What the program does, as far as the entry alone says."""
        return policy_of(self.content)

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

    @property
    def is_vague(self) -> bool:
        """Whether it is the pack's entry for "other or undefined" (RFC 3463), unchanged by the clinic."""
        return not self.changed and self.system == "smtp" and self.category == "unknown"

    @property
    def cause(self) -> str:
        """The cause whose texts it has, as packs name it; empty for words of its own."""
        return str(self.content.get("cause", ""))

    def text(self, name: str, language: str) -> str:
        """One of its texts; where a language lacks it, the first that has it, unless the clinic emptied it."""
        for candidate in (language, *LANGUAGES):
            found = self.content.get(f"{name}.{candidate}")
            if found or (candidate == language and found == "" and name != "short"):
                return str(found)
        return ""

    def policy_for(self, answer: Answer, retryable: bool | None = None) -> Policy:
        """What the program does about this answer.

        A channel that knows whether the trouble passes goes first, then what the clinic wrote, then the first digit of
        an SMTP reply (RFC 5321 4.2.1: 4 is temporary, whatever words follow), then the pack.
        """
        if retryable is not None:
            return self.policy_if("temporary" if retryable else "permanent")
        if "permanence" in self.own and self.permanence is not Permanence.UNKNOWN:
            return self.policy
        said = permanence_said(answer)
        return self.policy if said is None else self.policy_if(said)

    def policy_if(self, permanence: str) -> Policy:
        """What the program does where an answer passes (``temporary``) or stays (``permanent``)."""
        return policy_of(self.content, permanence=permanence)


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What the reference says of one answer."""

    entry: KnownEntry | None
    matched: Matched

    @property
    def described(self) -> bool:
        """Whether somebody described just this answer: by its code or words, and saying more than "undefined"."""
        return self.matched.described and not (self.entry is not None and self.entry.is_vague)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a look-up: what was looked for, and what was found."""

    matched: Matched
    #: ``clinic`` or ``shipped``: whose entries; empty where both are asked.
    origin: str
    #: The code or pattern that was looked for; of patterns that did not match, none is named.
    looked_for: str
    entry: KnownEntry | None = None


class Reference:
    """All entries, ready for look-up; made anew when one changes."""

    def __init__(self, entries: Iterable[KnownEntry], *, revision: int = 0) -> None:
        self.revision = revision
        self.entries = {entry.id: entry for entry in entries}
        self._exact: dict[tuple[str, str, str], KnownEntry] = {}
        self._vocabulary: dict[str, frozenset[str]] = {}
        self._with_pattern: dict[tuple[str, str], list[KnownEntry]] = defaultdict(list)
        #: Compiled when a system is first asked for.
        self._patterns: dict[tuple[str, str], list[tuple[KnownEntry, Any, Any]]] = {}
        for entry in sorted(self.entries.values(), key=lambda entry: (entry.position, entry.id)):
            if entry.pattern:
                self._with_pattern[entry.origin, entry.system].append(entry)
            else:
                self._exact[entry.origin, entry.system, entry.code] = entry

    def explain(self, answer: Answer) -> Explanation:
        """Look an answer up; the first match wins, from the clinic's own words down to the system's default."""
        for step in self.trace(answer):
            if step.entry is not None:
                return Explanation(entry=step.entry, matched=step.matched)
        return Explanation(entry=self.unknown_answer, matched=Matched.NONE)

    def trace(self, answer: Answer, *, hide: Iterable[str] = ()) -> Iterator[Step]:
        """Every step of a look-up in its order, also those after the first match: they came close.

        Patterns see the answer as it is stored, without what differs from message to message, so that looking the
        stored one up again finds the same. An answer taken out of an entry passes that one by.
        """
        text = anonymous(answer.text, hide=hide)
        for step in self._steps(answer, text):
            if step.entry is not None and is_apart(step.entry, answer, text):
                if step.matched is Matched.PATTERN:
                    continue
                step = replace(step, entry=None)
            yield step

    def _steps(self, answer: Answer, text: str) -> Iterator[Step]:
        code, reply = codes_of(answer)
        system = answer.system
        text = unfolded(system, text)
        yield from self._by_pattern("clinic", system, (code, reply), text)
        if code:
            yield self._by_code("clinic", system, code)
        yield from self._by_pattern("shipped", system, (code, reply), text)
        if code and not is_reply_code(system, code):
            yield self._by_code("shipped", system, code)
        for family in families(system, code):
            yield self._by_family(system, family)
        for candidate in (reply, f"{reply[:1]}xx") if reply else ():
            found = self.find(system, candidate)
            yield Step(matched=Matched.REPLY, origin="", looked_for=candidate, entry=found)
        default = self.find(system, ANY_CODE)
        yield Step(matched=Matched.DEFAULT, origin="", looked_for=ANY_CODE, entry=default)

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
    ) -> Iterator[Step]:
        for entry, pattern, unless in self._compiled(origin, system):
            fits = entry.code == ANY_CODE or entry.code.startswith("~") or entry.code in codes
            if fits and pattern.search(text) and not (unless and unless.search(text)):
                yield Step(
                    matched=Matched.PATTERN, origin=origin, looked_for=entry.pattern, entry=entry
                )

    def vocabulary(self, system: str) -> frozenset[str]:
        """Every word that a pattern of a system asks for, in small letters."""
        if system not in self._vocabulary:
            several = (self._with_pattern.get((o, system), ()) for o in ("clinic", "shipped"))
            said = " ".join(f"{e.pattern} {e.unless}" for entries in several for e in entries)
            self._vocabulary[system] = frozenset(map(str.casefold, _WORD.findall(said)))
        return self._vocabulary[system]

    def _compiled(self, origin: str, system: str) -> list[tuple[KnownEntry, Any, Any]]:
        key = (origin, system)
        if key not in self._patterns:
            self._patterns[key] = [
                (entry, compile_pattern(entry.pattern), compile_pattern(entry.unless))
                for entry in self._with_pattern.get(key, ())
            ]
        return self._patterns[key]

    def _by_code(self, origin: str, system: str, code: str) -> Step:
        entry = self._exact.get((origin, system, code))
        return Step(matched=Matched.EXACT, origin=origin, looked_for=code, entry=entry)

    def _by_family(self, system: str, family: str) -> Step:
        entry = self.find(system, family)
        if entry is not None and entry.is_vague and family.endswith(".x.x"):
            entry = None  # "undefined" of a whole class: the reply code says more
        return Step(matched=Matched.FAMILY, origin="", looked_for=family, entry=entry)


def is_apart(entry: KnownEntry, answer: Answer, text: str) -> bool:
    """Whether somebody took just this answer out of an entry.

    :param text: its words without what names a person.
    """
    if not entry.apart:
        return False
    return answer_digest(answer.system, answer.code, text) in entry.apart


@lru_cache(maxsize=1_024)
def compile_pattern(pattern: str) -> Any:
    """An RE2 pattern, made once a process, searched without regard to case in linear time; None for an empty one.

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
        enhanced = _ENHANCED_IN_TEXT.match(text) or _ENHANCED_ELSEWHERE.search(text)
        return (enhanced.group(1) if enhanced else code), code
    reply = said.group(1) if said else {"2": "2xx", "4": "4xx", "5": "5xx"}.get(code[:1], "")
    return code, reply


def permanence_said(answer: Answer) -> str | None:
    """What an SMTP reply's first digit says of itself (RFC 5321 4.2.1); None for other systems and digits."""
    if answer.system != "smtp":
        return None
    first = (codes_of(answer)[1] or answer.code)[:1]
    return {"4": "temporary", "5": "permanent"}.get(first)


def unfolded(system: str, text: str) -> str:
    """A reply put into one line without the codes of its further lines: they part words that belong together."""
    head = _HEAD.match(text) if system == "smtp" else None
    if head is None:
        return text
    further = (
        rf"(?<=\s){head[1]}[\s-](?:{re.escape(head[2])}\s)?" if head[2] else rf"(?<=\s){head[1]}-"
    )
    return text[: head.end()] + re.sub(further, "", text[head.end() :])


def is_reply_code(system: str, code: str) -> bool:
    """Whether this is a bare SMTP reply code, which says little (RFC 5321 4.2.3)."""
    return system == "smtp" and bool(_REPLY.match(code))


def families(system: str, code: str) -> list[str]:
    """The families of a code, narrow first: ``5.1.x``, ``5.x.x`` (RFC 3463); of a SIP reply ``4xx`` (RFC 3261 7.2).

    Of an SMPP status only ``0x000004xx`` is one: those are the provider's own (3.4, 5.1.3).
    """
    if system == "sip" and re.fullmatch(r"[3-6]\d\d", code):
        return [f"{code[0]}xx"]
    if system == "smpp" and re.fullmatch(r"0x000004[0-9A-F]{2}", code):
        return [f"{code[:-2]}xx"]
    if system != "smtp" or not _ENHANCED.match(code):
        return []
    kind, subject, _ = code.split(".")
    return [f"{kind}.{subject}.x", f"{kind}.x.x"]


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
    content.update({name: said for name in ("cause", "symbol") if (said := getattr(entry, name))})
    content.update({f"policy.{name}": value for name, value in (entry.policy or {}).items()})
    for language, texts in entry.texts.items():
        for name in TEXT_FIELDS:
            if said := getattr(texts, name):
                content[f"{name}.{language}"] = said
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
        if name != APART
        and shipped is not None
        and shipped.get(name) not in ((base or {}).get(name), value)
    }
