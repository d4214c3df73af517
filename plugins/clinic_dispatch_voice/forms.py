"""What the settings page asks for an account at a clinic's own exchange."""

from __future__ import annotations

from dataclasses import replace

from clinic_dispatch_plugin.api import (
    FieldKind,
    GatewayForm,
    SettingField,
    cap_fields,
    limit_fields,
    number_field,
    port_field,
    price_fields,
)
from clinic_dispatch_sms.forms import SENDER, host, secret, text
from clinic_dispatch_voice.details import NUMBER_SHOWN
from clinic_dispatch_voice.exchange.conversation import LEAVE_IT, TRY_AGAIN

_NUMBER = r"\+?[0-9]{2,15}"
_PORT = port_field(more=True)
_SENDER = replace(SENDER, hint=NUMBER_SHOWN, required=True, pattern=_NUMBER)
_CALLS = number_field(
    "calls", "Calls at once", "Over all workers. Empty: 2 for each worker.", 1, 50, more=True
)


def _choice(key: str, label: str, *choices: tuple[str, str], hint: str = "") -> SettingField:
    return SettingField(
        key=key, label=label, hint=hint, kind=FieldKind.CHOICE, choices=choices, more=True
    )


#: What all exchanges have.
_MORE = (
    text(
        "prefix",
        "Digits before each number",
        "Such as 0, where the exchange needs it for an outside line.",
        pattern="[0-9*#]{1,8}",
    ),
    _choice("plus", "Numbers begin with +", ("", "yes"), ("off", "no")),
    number_field("ring", "Seconds it rings", "Empty: 30.", 5, 120),
    number_field(
        "repeat", "How often the message is said", "Empty: twice, to whoever presses no key.", 1, 5
    ),
    _choice("keys", "Ask for a key (1 again, 2 confirm)", ("", "yes"), ("off", "no")),
    _choice(
        "machine",
        "When a machine answers",
        ("", "is not noticed: it counts as a person"),
        (TRY_AGAIN, "counts as nobody reached: tried again"),
        (LEAVE_IT, "the message is left on it, and that is enough"),
    ),
    _choice("codec", "Kind of sound", ("", "G.711 A-law"), ("ulaw", "G.711 µ-law")),
    _CALLS,
    limit_fields()[0],
    *cap_fields(),
    *price_fields(),
)
_REST = tuple(replace(each, more=True) for each in _MORE)
_SIP_LOGIN = (
    host("Server", "The exchange, such as exchange.clinic.example.", required=True),
    text("user", "Login", "Empty where the exchange knows this machine.", pattern=r"[\w.+-]{1,64}"),
    secret("password", "Password"),
    _SENDER,
    _PORT,
    replace(
        text("domain", "Domain of numbers", "Empty: the server's name.", pattern=r"[\w.-]+"),
        more=True,
    ),
    _choice(
        "identity",
        "Where the number is shown",
        ("", "as the caller (From)"),
        ("pai", "beside the login (P-Asserted-Identity)"),
    ),
)
SIP = GatewayForm(
    scheme="sip",
    label="Exchange by SIP",
    fields=(
        *_SIP_LOGIN,
        _choice("transport", "Transport", ("", "UDP"), ("tcp", "TCP")),
        *_REST,
    ),
)
SIPS = GatewayForm(
    scheme="sips", label="Exchange by SIP, encrypted (TLS)", fields=(*_SIP_LOGIN, *_REST)
)
ARI = GatewayForm(
    scheme="ari",
    label="Asterisk (ARI)",
    fields=(
        host("Server", "The exchange, such as exchange.clinic.example.", required=True),
        text("user", "Login", required=True),
        secret("password", "Password", required=True),
        text(
            "endpoint",
            "How Asterisk reaches a number",
            "Such as PJSIP/{number}@trunk.",
            required=True,
            pattern=r"[\w.:+/-]*/[^\s,&]*\{number\}[^\s,&]*",
        ),
        _SENDER,
        _PORT,
        replace(
            text(
                "app", "Name of the application", "Empty: clinic-dispatch.", pattern=r"[\w.-]{1,60}"
            ),
            more=True,
        ),
        *_REST,
    ),
)
