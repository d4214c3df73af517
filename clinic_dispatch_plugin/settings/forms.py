"""Reads the form of an account: what is wrong is said beside its field, and no secret is ever given back."""

from __future__ import annotations

import re
import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation

from flask import request

from clinic_dispatch_plugin.channels.forms import (
    FieldKind,
    GatewayForm,
    SettingField,
    url_of,
)
from clinic_dispatch_plugin.channels.places import RefusedPlace, check_places
from clinic_dispatch_plugin.config import PURPOSES, ConfigurationError
from clinic_dispatch_plugin.registry import Dispatch
from clinic_dispatch_plugin.settings.sentences import sentence
from clinic_dispatch_plugin.web.i18n import _
from clinic_dispatch_plugin.web.params import clean, over

#: The one field of a channel that describes no form: its whole URL, which is secret as a whole.
URL_FIELD = "url"
PLAIN = GatewayForm(
    scheme="",
    label="",
    fields=(
        SettingField(
            key=URL_FIELD,
            label="Address with log-in (URL)",
            hint="As the channel's description says, such as name://login:password@host/?option=value.",
            kind=FieldKind.SECRET,
            required=True,
        ),
    ),
)
LONGEST = 2_000
#: Decimals of a number.
_MOST_DECIMALS = 6
#: Seconds a name is looked up.
LOOK_UP = 5.0
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")


@dataclass(slots=True, kw_only=True)
class Typed:
    """What somebody typed into an account's form."""

    #: By field; the secret ones too.
    values: dict[str, str] = field(default_factory=dict, repr=False)
    purposes: list[str] = field(default_factory=list)
    #: Secrets that were typed just now.
    fresh: set[str] = field(default_factory=set)
    #: By field; ``form`` where it concerns all.
    errors: dict[str, str] = field(default_factory=dict)

    def url(self, form: GatewayForm) -> str:
        """The account's URL."""
        return (
            self.values.get(URL_FIELD, "") if not form.scheme else url_of(form.scheme, self.values)
        )

    def shown(self, form: GatewayForm) -> dict[str, str]:
        """What may stand in the form again."""
        return {key: value for key, value in self.values.items() if key not in form.secrets}

    def fault(self, name: str, words: str) -> None:
        """The first fault of a field is the one shown."""
        self.errors.setdefault(name, words)


def read(form: GatewayForm, known: Mapping[str, str]) -> Typed:
    """What was typed; a secret that was left empty stays as it was.

    :param known: what the account has so far.
    """
    typed = Typed()
    ours = {each.key for each in form.fields}
    typed.values = {key: value for key, value in known.items() if key not in ours}
    for each in form.fields:
        value = _value(each, typed)
        if each.kind is FieldKind.SECRET:
            if value:
                typed.fresh.add(each.key)
            elif not request.form.get(f"drop_{each.key}"):
                value = known.get(each.key, "")
        if each.required and not value:
            typed.fault(each.key, _("Please fill this in."))
        if value:
            typed.values[each.key] = value
    _check_money(ours, typed)
    chosen = [each for each in PURPOSES if request.form.get(f"purpose_{each}")]
    typed.purposes = [] if len(chosen) == len(PURPOSES) else chosen
    if not chosen:
        typed.fault("purposes", _("Tick at least one."))
    return typed


def _check_money(fields: Collection[str], typed: Typed) -> None:
    """Caps and prices as a channel will look at them, in words of ours."""
    values = typed.values
    if "price_currency" in values:
        values["price_currency"] = values["price_currency"].upper()
    if values.get("price") and not values.get("price_currency"):
        typed.fault("price_currency", _("Please name the currency of the price, such as EUR."))
    caps = [each for each in ("cap_day", "cap_month") if values.get(each)]
    if caps and "price" in fields and not values.get("price"):
        words = _(
            "This service does not say beforehand what a message costs: the limit needs to know it."
        )
        typed.fault("price", words)
    sound = len(caps) == 2 and not typed.errors.keys() & set(caps)
    if sound and Decimal(values["cap_month"]) < Decimal(values["cap_day"]):
        typed.fault("cap_month", _("A month’s limit is not below a day’s."))


def _value(each: SettingField, typed: Typed) -> str:
    raw = request.form.get(f"s_{each.key}", "")
    value = clean(raw)
    if fault := over(len(value), LONGEST):
        typed.fault(each.key, fault)
        return value[:LONGEST]
    if not value:
        return ""
    if each.kind is FieldKind.CHOICE and value not in {key for key, _label in each.choices}:
        typed.fault(each.key, _("Please choose one of the options."))
    elif each.kind is FieldKind.NUMBER:
        return _number(each, value, typed)
    elif each.pattern and re.fullmatch(each.pattern, value) is None:
        typed.fault(each.key, _("This cannot be used here. Please look at the example."))
    return value


def _number(each: SettingField, value: str, typed: Typed) -> str:
    plain = value.replace(",", ".").replace(" ", "")
    try:
        number = Decimal(plain) if len(plain) <= 20 and plain.isascii() else Decimal("NaN")
    except InvalidOperation:
        number = Decimal("NaN")
    exponent = number.as_tuple().exponent
    few = isinstance(exponent, int) and exponent >= -_MOST_DECIMALS
    if not (
        few
        and number.is_finite()
        and Decimal(str(each.lowest)) <= number <= Decimal(str(each.highest))
    ):
        least, most = f"{each.lowest:g}", f"{each.highest:.10g}"
        typed.fault(
            each.key, _("Please enter a number from {least} to {most}.", least=least, most=most)
        )
        return value
    return f"{number:f}"


def read_name(taken: Sequence[str], typed: Typed) -> str:
    """The account's name, by which its messages, its callback address and its variable know it."""
    name = clean(request.form.get("name", "")).lower()
    if NAME.fullmatch(name) is None:
        words = _("Use at most 32 small letters a to z, digits, - and _, such as main.")
        typed.fault("name", words)
    elif name in taken:
        typed.fault("name", _("This channel has an account of this name already."))
    return name[:32]


def check(dispatch: Dispatch, channel: str, key: str, form: GatewayForm, typed: Typed) -> str:
    """The URL of what was typed, looked at as the channel will; what is wrong is added to the faults."""
    url = typed.url(form)
    if typed.errors:
        return url
    try:
        refused = _refused(url, dispatch.settings.private_gateways)
        if refused is not None:
            typed.fault(_place_field(form, typed, refused.host), _refusal(refused))
            return url
        dispatch.account_at(channel, url, key=key)
    except ConfigurationError as error:
        said = sentence(error.advice, {each.key for each in form.fields}, channel=channel)
        typed.fault(said.field, said.words)
    except ValueError:
        typed.fault(form.fields[0].key, _("This is no address. Please look at the example."))
    except Exception as error:
        words = _("The channel's plugin failed on this ({kind}).", kind=type(error).__name__)
        typed.fault("form", words)
    return url


def _refused(url: str, allowed: Sequence[str]) -> RefusedPlace | None:
    """What is wrong with where it leads; a name service that hangs is not waited for."""
    found: list[Exception] = []

    def look() -> None:
        try:
            check_places(url, allowed)
        except (RefusedPlace, ValueError) as error:
            found.append(error)

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    looking.join(LOOK_UP)
    if looking.is_alive():
        return RefusedPlace("", unknown=True)
    if found and isinstance(found[0], RefusedPlace):
        return found[0]
    if found:
        raise found[0]
    return None


def _place_field(form: GatewayForm, typed: Typed, host: str) -> str:
    """The field that names a host."""
    for each in form.fields:
        if host and host in typed.values.get(each.key, "") and each.key not in form.secrets:
            return each.key
    return "host" if any(each.key == "host" for each in form.fields) else form.fields[0].key


def _refusal(refused: RefusedPlace) -> str:
    if refused.unknown:
        return _("This name was not found on the internet. Please check how it is spelt.")
    return _(
        "This address is in a private network. If that is right, the administrator of the machine "
        "permits it in CLINIC_DISPATCH_PRIVATE_GATEWAYS."
    )
