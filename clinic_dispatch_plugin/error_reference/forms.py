"""The form of an entry: what was typed, what is wrong with it, and what of it is to be saved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clinic_dispatch_plugin.channels.reference import GROUPS, LANGUAGES, WHO
from clinic_dispatch_plugin.error_reference.checking import (
    CODE_LIMIT,
    LONG_LIMIT,
    NEVER_BLOCKS,
    SHORT_LIMIT,
    SYSTEM_LIMIT,
)
from clinic_dispatch_plugin.error_reference.policy import (
    LIMITS,
    NOT_THE_ADDRESS,
    PolicyAction,
    usual,
)
from clinic_dispatch_plugin.error_reference.rules import (
    PATTERN_LIMIT,
    TEXT_FIELDS,
    KnownEntry,
    compile_pattern,
)
from clinic_dispatch_plugin.error_reference.wording import CATEGORIES, PERMANENCES
from clinic_dispatch_plugin.web.i18n import _, language
from clinic_dispatch_plugin.web.params import Form

#: Choices whose first option leaves it as it is usual for the kind.
_USUAL = ("", *PolicyAction)
_BLOCK = ("", "yes", "no")
#: What is yes, no or as usual, besides the block.
_SWITCHES = ("policy.ask_first", "policy.next_channel")

#: Numbers of a policy and the unit their fields have: minutes, hours, days, per cent.
NUMBERS: Mapping[str, float] = {
    "policy.tries": 1,
    "policy.base": 60,
    "policy.factor": 1,
    "policy.cap": 60,
    "policy.floor": 60,
    "policy.deadline": 3_600,
    "policy.block_days": 1,
    "policy.pause_share": 0.01,
    "policy.pause_least": 1,
}


def text_names() -> list[str]:
    """The names of all text fields: ``short.de`` …"""
    return [f"{name}.{code}" for code in LANGUAGES for name in TEXT_FIELDS]


def values_of(content: Mapping[str, Any]) -> dict[str, str]:
    """What the form's fields hold for this content."""
    values = {name: str(content.get(name, "")) for name in text_names()}
    for name, default in (
        ("group", "sending"),
        ("who", "administration"),
        ("category", "unknown"),
        ("permanence", "unknown"),
    ):
        values[name] = str(content.get(name, default))
    values["policy.action"] = str(content.get("policy.action", ""))
    for name, unit in NUMBERS.items():
        values[name] = _shown(content.get(name), 1 / unit)
    block = content.get("policy.block")
    values["policy.block"] = "" if block is None else "yes" if block else "no"
    for name in _SWITCHES:
        switch = content.get(name)
        values[name] = "" if switch is None else "yes" if switch else "no"
    return values


def _shown(value: Any, factor: float) -> str:
    return "" if value is None else f"{float(value) * factor:g}"


class EntryForm:
    """A submitted form of an entry; ``content`` holds only what differs from what was shown, None for what goes."""

    def __init__(
        self,
        shown: Mapping[str, Any],
        *,
        entry: KnownEntry | None = None,
        shipped: Mapping[str, Any] | None = None,
    ) -> None:
        self.form = Form()
        self.values = values_of(shown)
        self.content: dict[str, Any] = {}
        self._shown = values_of(shown)
        self._entry = entry
        self._shipped = shipped or {}
        self._read_texts()
        self._read_choices()
        self._read_policy()

    @property
    def errors(self) -> dict[str, str]:
        """What is wrong, by field."""
        return self.form.errors

    def _read_texts(self) -> None:
        for name in text_names():
            if self.form.raw(name) == self._shown[name]:
                continue  # what stands there already is no fault of this change
            short = name.startswith("short")
            limit = SHORT_LIMIT if short else LONG_LIMIT
            value = self.form.text(name, limit=limit, multiline=not short)
            self.values[name] = self.form.raw(name) if name in self.errors else value
            if value != self._shown[name]:
                self.content[name] = value
        if not any(self.values[f"short.{code}"] for code in LANGUAGES):
            message = _(
                "Please write the note that stands beside the message, in at least one language."
            )
            self.form.fault(f"short.{language()}", message)

    def _read_choices(self) -> None:
        categories = {*CATEGORIES, self._shown["category"]}
        for name, choices in (
            ("group", GROUPS),
            ("who", WHO),
            ("category", categories),
            ("permanence", PERMANENCES),
        ):
            value = self.form.choice(name, choices, default=self._shown[name])
            self.values[name] = value
            if value != self._shown[name]:
                self.content[name] = value

    def _read_policy(self) -> None:
        fallback = usual(self.values["category"], self.values["permanence"])
        action = self.form.choice("policy.action", _USUAL, default="")
        self._change("policy.action", action, action or fallback.action.value)
        block = self.form.choice("policy.block", _BLOCK, default="")
        if block == "yes" and self.values["category"] in NOT_THE_ADDRESS:
            self.form.fault("policy.block", _(NEVER_BLOCKS))
        self._change("policy.block", block, block == "yes" if block else fallback.block)
        for name in _SWITCHES:
            said = self.form.choice(name, _BLOCK, default="")
            meant = said == "yes" if said else getattr(fallback, name.partition(".")[2])
            self._change(name, said, meant)
        for name, unit in NUMBERS.items():
            field = name.partition(".")[2]
            lowest, highest, whole = LIMITS[field]
            raw = self.form.raw(name)
            value = (
                self.form.number(name, least=lowest / unit, most=highest / unit, default=0)
                if raw
                else 0.0
            )
            meant = value * unit if raw else getattr(fallback, field)
            self._change(name, raw, int(meant) if whole else meant)

    def _change(self, name: str, typed: str, meant: Any) -> None:
        self.values[name] = typed
        if typed.replace(",", ".") == self._shown[name]:
            return
        own = self._entry is not None and name in self._entry.own
        # Emptied where the pack says nothing: the kind's usual way holds again, whatever an answer says of itself.
        back = not typed and own and self._shipped.get(name) is None
        self.content[name] = None if back else meant


class NewEntryForm(EntryForm):
    """The form of an entry that does not exist yet: it also says which answers it is for."""

    def __init__(self, shown: Mapping[str, Any], *, system: str = "", code: str = "") -> None:
        super().__init__(shown)
        self.system = self._key("system", system, SYSTEM_LIMIT)
        self.code = self._key("code", code, CODE_LIMIT)
        self.pattern = self.values["pattern"] = pattern_field(self.form, "pattern")
        self.unless = self.values["unless"] = pattern_field(self.form, "unless")
        # An entry of its own holds everything it says, not only what differs.
        self.content = {
            **{name: value for name, value in shown.items() if name.startswith("policy.")},
            **{name: self.values[name] for name in text_names() if self.values[name]},
            **{name: self.values[name] for name in ("group", "who", "category", "permanence")},
            **{name: value for name, value in self.content.items() if name.startswith("policy.")},
        }

    def _key(self, name: str, fixed: str, limit: int) -> str:
        value = fixed or self.form.text(name, limit=limit, required=True)
        self.values[name] = value
        return value


def pattern_field(form: Form, name: str) -> str:
    """A typed pattern; what is wrong with it stands beside its field."""
    value = form.text(name, limit=PATTERN_LIMIT)
    try:
        compile_pattern(value)
    except ValueError as error:
        form.fault(name, _("This pattern cannot be used: {reason}", reason=str(error)))
    return value
