"""Whoever calls back: which address they called, and whether they know what only the gateway can know."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode, urlsplit

from clinic_dispatch_plugin.api import CallbackRefused, GatewayUrl

#: Bytes of a call that are read.
MOST_BYTES = 256 * 1024
#: Fields of a form that are read.
_MOST_FIELDS = 100
#: Where, beside the headers, the called path with its query stands.
PATH = ":path"
_SECRET = "secret"
#: Where stands whether the address held the secret that the settings page made for the account.
_PROVED = ":proved"
#: An address of ours that holds such a secret.
_HOLDS_SECRET = re.compile(r"/callbacks/[^/]+/[^/]+/[A-Za-z0-9_-]{43}")


def header(headers: Mapping[str, str], name: str) -> str:
    """A header, however its name is written."""
    wanted = name.lower()
    return next((value for key, value in headers.items() if key.lower() == wanted), "")


def called_url(public: str, headers: Mapping[str, str]) -> str:
    """The address as the gateway called it: what stands in front of us may have changed host and scheme."""
    path = header(headers, PATH)
    parts = urlsplit(public)
    return f"{parts.scheme}://{parts.netloc}{path}" if path else public


def query_of(headers: Mapping[str, str]) -> dict[str, str]:
    """What stands behind the question mark of the called address."""
    return dict(parse_qsl(urlsplit(header(headers, PATH)).query, max_num_fields=_MOST_FIELDS))


def form_of(body: bytes) -> dict[str, str]:
    """A form.

    :raises CallbackRefused: it is too long, or has too many fields.
    """
    bounded(body)
    try:
        text = body.decode("utf-8", "replace")
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS))
    except ValueError:
        raise CallbackRefused("it holds too many fields", status=413) from None


def bounded(body: bytes) -> None:
    """Look at its length.

    :raises CallbackRefused: it is too long.
    """
    if len(body) > MOST_BYTES:
        raise CallbackRefused("it is too long", status=413)


def with_query(url: str, **fields: str) -> str:
    """An address with more behind its question mark; empty stays empty."""
    if not url:
        return ""
    return f"{url}{'&' if urlsplit(url).query else '?'}{urlencode(fields)}"


def with_secret(url: str, secret: str) -> str:
    """The address to give to a gateway that signs nothing; one of the settings page holds its secret already."""
    if _HOLDS_SECRET.search(urlsplit(url).path):
        return url
    return with_query(url, **{_SECRET: secret})


def prove_secret(headers: Mapping[str, str], secret: str) -> None:
    """Look for the secret in the called address.

    :raises CallbackRefused: it is not there.
    """
    if header(headers, _PROVED) != "yes" and not same(query_of(headers).get(_SECRET, ""), secret):
        raise CallbackRefused("it does not know the secret")


def secret_from(password: str, account: str) -> str:
    """A secret for callbacks that needs no setting of its own; whoever reads it learns nothing of the password."""
    text = f"callbacks of {account}".encode()
    return hmac.new(password.encode(), text, hashlib.sha256).hexdigest()[:32]


def same(given: str, expected: str) -> bool:
    """Whether two texts are alike; takes as long either way."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode())


def callback_url(url: GatewayUrl, *, longest: int = 500) -> str:
    """The option with the public address at which the gateway may call back; empty: it is not to.

    :raises ConfigurationError: it is no such address.
    """
    public = url.text("callback_url", longest=longest)
    try:
        parts = urlsplit(public)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and not parts.fragment
    except ValueError:
        usable = False
    if public and not usable:
        raise url.wrong(
            "callback_url is a whole address, percent-encoded, such as https%3A%2F%2F…."
        )
    return public
