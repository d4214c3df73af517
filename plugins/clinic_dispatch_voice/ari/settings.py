"""An account at an Asterisk, as its URL describes it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from clinic_dispatch_plugin.api import GatewayUrl, is_loopback
from clinic_dispatch_voice.exchange.settings import CallSettings, read_calls

PORT, TLS_PORT = 8088, 8089
#: Where the number goes in the endpoint.
_NUMBER = "{number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AriSettings(CallSettings):
    """The account, and how it is reached."""

    #: The root of the interface, without a slash at its end.
    root: str
    user: str = field(repr=False)
    password: str = field(repr=False)
    app: str
    #: How Asterisk reaches a number, such as ``PJSIP/{number}@trunk``.
    endpoint: str
    ca_file: str | None = None

    def target(self, address: str) -> str:
        """Who is called, as Asterisk names them."""
        return self.endpoint.replace(_NUMBER, self.dialled(address))


def read_settings(url: GatewayUrl) -> AriSettings:
    """The settings in ``ari://user:password@host/?endpoint=PJSIP/{number}@trunk&sender=%2B493012345678``.

    Without TLS only an Asterisk on this machine is asked: what we send holds a password.

    :raises ConfigurationError: something is wrong or missing.
    """
    url.need_login()
    if not url.host:
        raise url.wrong("name the host of Asterisk behind the @.")
    tls = url.switch("tls", not is_loopback(url.host))
    if not tls and not is_loopback(url.host):
        raise url.wrong("tls=off would send the password unprotected; leave it out.")
    endpoint = url.text("endpoint")
    if not re.fullmatch(r"[\w.:+/-]*/[^\s,&]*", endpoint) or endpoint.count(_NUMBER) != 1:
        raise url.wrong("endpoint says how Asterisk reaches a number: PJSIP/{number}@trunk.")
    app = url.text("app", "clinic-dispatch", longest=60)
    if not re.fullmatch(r"[\w.-]+", app):
        raise url.wrong("app is a name of letters and digits.")
    port = url.port or (TLS_PORT if tls else PORT)
    host = f"[{url.host}]" if ":" in url.host else url.host
    return AriSettings(
        label=f"ari {url.host}:{port}",
        root=url.base_url(f"{'https' if tls else 'http'}://{host}:{port}") + "/ari",
        user=url.user,
        password=url.password,
        app=app,
        endpoint=endpoint,
        ca_file=url.ca_file() if tls else None,
        **read_calls(url),
    )
