"""What an account needs: a channel describes its gateways, and the settings page makes the forms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

#: Fields that stand before the options of an account's URL: ``scheme://user:password@host:port/?option=…``.
PLACES = ("user", "password", "host", "port")


class FieldKind(StrEnum):
    """How a field is asked for."""

    TEXT = "text"
    #: Kept encrypted, and never shown again.
    SECRET = "secret"
    #: A whole number or one with decimals, between ``lowest`` and ``highest``.
    NUMBER = "number"
    CHOICE = "choice"
    #: ``on`` or ``off``.
    SWITCH = "switch"


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingField:
    """One field of a gateway's form; empty means what the gateway does by itself."""

    #: ``user``, ``password``, ``host`` and ``port`` are parts of the URL, any other name is one of its options.
    key: str
    #: English; shown in the reader's language where a translation exists.
    label: str
    hint: str = ""
    kind: FieldKind = FieldKind.TEXT
    required: bool = False
    #: What the whole value has to match (re2); empty: anything.
    pattern: str = ""
    lowest: float = 0
    highest: float = 1e9
    #: Value and English label of each choice; the first one is what holds when nobody chose.
    choices: Sequence[tuple[str, str]] = ()
    #: Whether it stands behind *More settings*.
    more: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayForm:
    """One kind of account a channel can have."""

    #: How the account's URL begins.
    scheme: str
    #: The gateway's name, such as ``"Twilio"``.
    label: str
    fields: Sequence[SettingField] = ()

    @property
    def secrets(self) -> frozenset[str]:
        """The fields nobody reads again."""
        return frozenset(each.key for each in self.fields if each.kind is FieldKind.SECRET)


def url_of(scheme: str, values: Mapping[str, str]) -> str:
    """The URL of an account with these values; what is empty is left out."""
    login = quote(values.get("user", ""), safe="")
    if values.get("password"):
        login += f":{quote(values['password'], safe='')}"
    host = values.get("host", "").strip()
    if ":" in host and not host.startswith("["):
        host = f"[{host}]"
    port = f":{values['port']}" if values.get("port") else ""
    options = {key: value for key, value in values.items() if value and key not in PLACES}
    query = f"?{urlencode(options, quote_via=quote)}" if options else ""
    return f"{scheme}://{login}{'@' if login else ''}{host}{port}/{query}"


def values_in(url: str) -> dict[str, str]:
    """The values an account's URL holds, by field.

    :raises ValueError: it is none.
    """
    parts = urlsplit(url)
    found = {
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "host": parts.hostname or "",
        "port": str(parts.port or ""),
    }
    found.update(parse_qsl(parts.query))
    return {key: value for key, value in found.items() if value}


def limit_fields() -> tuple[SettingField, ...]:
    """How fast an account may send and through how many connections: the same at every gateway."""
    return (_RATE, _CONNECTIONS)


def cap_fields() -> tuple[SettingField, ...]:
    """How much an account may spend, where a gateway says what a message costs."""
    return (_CAP_DAY, _CAP_MONTH)


def price_fields() -> tuple[SettingField, ...]:
    """What a part of a message costs, where a gateway does not say it beforehand: a cap has to know."""
    return (_PRICE, _PRICE_CURRENCY)


def port_field(*, more: bool = False) -> SettingField:
    """Where the server listens."""
    return number_field("port", "Port", "Empty: the usual one.", 1, 65_535, more=more)


def number_field(
    key: str, label: str, hint: str, lowest: float, highest: float, *, more: bool = False
) -> SettingField:
    """A field of a number between these two."""
    return SettingField(
        key=key,
        label=label,
        hint=hint,
        kind=FieldKind.NUMBER,
        lowest=lowest,
        highest=highest,
        more=more,
    )


_CAP = "In the account's currency, such as 20.00. Empty: no limit."
_RATE = number_field(
    "rate",
    "Messages a second at most",
    "Empty: as fast as the service takes them.",
    0.01,
    100_000,
    more=True,
)
_CONNECTIONS = number_field(
    "connections",
    "Connections at once",
    "Over all workers. Empty: the usual number for each worker.",
    1,
    500,
    more=True,
)
_CAP_DAY = number_field("cap_day", "Most money a day", _CAP, 0.01, 999_999_999, more=True)
_CAP_MONTH = number_field("cap_month", "Most money a month", _CAP, 0.01, 999_999_999, more=True)
_PRICE = number_field(
    "price",
    "Price of one part",
    "What the provider charges for one part of a message, such as 0.05. Needed for a limit.",
    0.0001,
    999_999,
    more=True,
)
_PRICE_CURRENCY = SettingField(
    key="price_currency",
    label="Currency of the price",
    hint="Three letters, such as EUR.",
    pattern="[A-Za-z]{3}",
    more=True,
)
