"""What the settings page asks for an account at each gateway."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from clinic_dispatch_plugin.api import (
    FieldKind,
    GatewayForm,
    SettingField,
    cap_fields,
    limit_fields,
    port_field,
    price_fields,
)

_SITE = r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?"

BASE_URL = SettingField(
    key="base_url",
    label="Another server",
    hint="Only where the provider named an address of its own, such as https://sms.example.",
    more=True,
)
CALLBACK = SettingField(
    key="callback_url",
    label="Address for delivery reports",
    hint="The one that stands on the account's page. Empty: the service is asked instead.",
    more=True,
)
#: Where nothing is signed, the address itself is the proof.
SECRET_CALLBACK = replace(
    CALLBACK,
    kind=FieldKind.SECRET,
    hint="Is filled in by itself when the address is made on this page. Empty: the service is asked instead.",
)
#: What the page offers beside what a gateway needs.
_MORE = (CALLBACK, BASE_URL, *limit_fields(), *cap_fields())


def text(
    key: str, label: str, hint: str = "", *, required: bool = False, pattern: str = ""
) -> SettingField:
    """A field of text."""
    return SettingField(key=key, label=label, hint=hint, required=required, pattern=pattern)


def secret(key: str, label: str, hint: str = "", *, required: bool = False) -> SettingField:
    """A field nobody reads again."""
    return SettingField(key=key, label=label, hint=hint, required=required, kind=FieldKind.SECRET)


def host(label: str, hint: str, *, required: bool = False) -> SettingField:
    """The server."""
    return SettingField(key="host", label=label, hint=hint, required=required, pattern=_SITE)


SENDER = text("sender", "Sender", "What recipients see: a name or number your provider agreed to.")
SMSC = GatewayForm(
    scheme="smsc",
    label="SMSC",
    fields=(
        host("Site", "Such as smsc.kz or smsc.ru.", required=True),
        text("user", "Login", required=True),
        secret("password", "Password", required=True),
        SENDER,
        secret(
            "callback_key", "Key for delivery reports", "The one set at the provider for reports."
        ),
        BASE_URL,
        *limit_fields(),
        *cap_fields(),
    ),
)
SMPP = GatewayForm(
    scheme="smpp",
    label="SMPP",
    fields=(
        host("Server", "Such as smpp.provider.example.", required=True),
        port_field(),
        text("user", "Login (system_id)", required=True),
        secret("password", "Password", required=True),
        replace(SENDER, required=True),
        SettingField(
            key="tls",
            label="Encrypted (TLS)",
            kind=FieldKind.CHOICE,
            choices=(("", "no"), ("on", "yes")),
        ),
        *limit_fields(),
        *cap_fields(),
        *price_fields(),
    ),
)
TWILIO = GatewayForm(
    scheme="twilio",
    label="Twilio",
    fields=(
        text("user", "Account SID or API key", "Begins with AC or SK.", required=True),
        secret("password", "Token or secret of the API key", required=True),
        text("account_sid", "Account SID", "Only with an API key."),
        replace(SENDER, required=True),
        *_MORE,
    ),
)
INFOBIP = GatewayForm(
    scheme="infobip",
    label="Infobip",
    fields=(
        host("Server", "Your own one, such as abc123.api.infobip.com.", required=True),
        secret("password", "API key", required=True),
        SENDER,
        SECRET_CALLBACK,
        *_MORE[1:],
        *price_fields(),
    ),
)
VONAGE = GatewayForm(
    scheme="vonage",
    label="Vonage",
    fields=(
        text("user", "API key", required=True),
        secret("password", "API secret", required=True),
        SENDER,
        secret("signature_secret", "Signature secret", "Delivery reports are proved by it."),
        SECRET_CALLBACK,
        *_MORE[1:],
    ),
)


def with_sender(form: GatewayForm, hint: str, *, required: bool = True) -> GatewayForm:
    """The same account, sending something else under another kind of name."""
    return replace(
        form,
        fields=tuple(
            replace(each, hint=hint, required=required) if each.key == "sender" else each
            for each in form.fields
        ),
    )


def with_fields(form: GatewayForm, *more: SettingField) -> GatewayForm:
    """The same account with further fields, unless it has them."""
    known = {each.key for each in form.fields}
    fresh: Sequence[SettingField] = [each for each in more if each.key not in known]
    return replace(form, fields=(*form.fields, *fresh))
