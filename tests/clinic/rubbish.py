"""Rubbish for every field, the forms it goes into, and what every answer to it has to be."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle, islice
from urllib.parse import quote, quote_from_bytes, urlsplit

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from clinic_dispatch_plugin.web.layout import MARKER
from tests.clinic.browsing import fields_of, token_in
from tests.clinic.full import FullClinic

CANARY = "\"'><img src=x onerror=1>"
MEGABYTES = b"x" * 2_000_000

#: As bytes of an address or a form, because that is what arrives.
RUBBISH: Mapping[str, bytes] = {
    "empty": b"",
    "blank": b" \t ",
    "nul": b"a\0b",
    "right-to-left": "\u202e\u200f\ufeffabc".encode(),
    "surrogate": b"\xed\xb2\x80",
    "not utf-8": b"\xff\xfe\x80",
    "astral": "\U0001f9ff".encode(),
    "minus": b"-1",
    "zero": b"0",
    "huge": b"9" * 40,
    "just over an id": str(2**63).encode(),
    "other digits": "١٢³".encode(),
    "nan": b"NaN",
    "infinite": b"1e999",
    "no day": b"2026-13-45",
    "last day": b"9999-12-31T23:59",
    "sql": b"' OR 1=1; DROP TABLE dispatch_message; --",
    "html": CANARY.encode(),
    "placeholder": b"{{ 7 * 7 }}{% if %}{% for x in y %}",
    "format": b"%s%n{0}{name!r:>9999}",
    "path": b"../../../../etc/passwd",
    "header": b"x\r\nSet-Cookie: stolen=1",
    "elsewhere": b"//evil.example/a",
    "script": b"javascript:alert(1)",
    "long": b"W" * 70_000,
}
#: Too large for an address, so only for forms.
LARGE: Mapping[str, bytes] = {"megabytes": MEGABYTES}

#: Looking at contents is written down, whatever comes of it.
TRAIL = frozenset({"dispatch_audit"})
#: Ends of addresses whose draft keeps what was typed, also when it cannot go on with it.
KEEP_WHAT_WAS_TYPED = {"what", "trial"}

#: Forms: address, and what a browser would send besides the fields of the page of the same address.
FORMS: Mapping[str, Mapping[str, str]] = {
    "/mailings/new": {"whom": "audience:tomorrow", "filter.tomorrow.day": "2026-11-25"},
    "/mailings/{draft}/who": {
        "whom": "audience:tomorrow",
        "purpose": "service",
        "channel": "email",
    },
    "/mailings/{draft}/what": {"go": "next", "template": "1"},
    "/mailings/{draft}/draft": {
        "name": "a",
        "subject": "b",
        "text": "c",
        "html": "<p>d</p>",
        "n": "0",
    },
    "/mailings/{draft}/check": {"not_after": "2026-12-24T10:00"},
    "/mailings/{draft}/start": {"expected": "12", "typed": "12", "not_after": ""},
    "/mailings/{draft}/trial": {"from": "what", "n": "0", "name": "a", "subject": "b", "text": "c"},
    "/mailings/{draft}/discard": {},
    "/mailings/{mailing}/pause": {},
    "/mailings/{paused}/resume": {},
    "/mailings/{mailing}/cancel": {},
    "/templates/new": {"name": "a", "purpose": "service", "subject": "b", "text": "c", "html": ""},
    "/templates/{template}": {"name": "a", "purpose": "service", "subject": "b", "text": "c"},
    "/templates/{template}/archive": {"back": "1"},
    "/messages/resend": {"ids": "{undelivered}", "back": "/dispatch/"},
    "/messages/resend?": {"all": "1", "mailing": "{mailing}", "cause": "", "state": "", "back": ""},
    "/messages/settle": {
        "ids": "{uncertain}",
        "choice": "send_again",
        "may_arrive_twice": "1",
        "back": "/dispatch/",
    },
    "/messages/retry": {"ids": "{waiting}", "back": "/dispatch/"},
    "/messages/{undelivered}/address": {"address": "new@example.org", "back": "/dispatch/"},
    "/messages/{skipped}/resend-unsubscribed": {"asked_again": "1", "back": "/dispatch/"},
    "/messages/{sent}/once-more": {"once": "abc"},
    "/blocks/find": {"address": "alt@example.org"},
    "/blocks/new": {
        "channel": "email",
        "address": "new@example.org",
        "why": "a",
        "until": "2199-12-31",
    },
    "/blocks/lift": {"ids": "{block}"},
    "/blocks/{block}/end": {"until": "2199-12-31"},
    "/accounts/{account}/check": {"back": "/dispatch/"},
    "/errors/new": {"code": "5.9.1", "system": "smtp", "short.de": "a", "pattern": "b"},
    "/errors/{entry}": {"short.de": "a", "policy.tries": "3"},
    "/errors/{entry}/conflict": {"take": "shipped"},
    "/errors/{entry}/restore": {},
    "/errors/drafts/{answer}": {"short.de": "a", "code": "5.9.9"},
    "/errors/drafts/{answer}/settle": {},
    "/unsubscribe/{token}": {"List-Unsubscribe": "One-Click"},
}
#: Pages that show a form of another address.
SHOWN_ON = {
    "/mailings/{draft}/draft": "/mailings/{draft}/what",
    "/mailings/{draft}/start": "/mailings/{draft}/check",
}


def address_of(full: FullClinic, path: str) -> str:
    return "/dispatch" + path.format(**full.ids)


def is_fine(answer: TestResponse, what: str) -> None:
    """The answer says something clear, in the host's layout, and leads nowhere else."""
    assert answer.status_code < 500, f"{what}: {answer.status}\n{answer.text[:2000]}"
    assert "Set-Cookie" not in answer.headers, what
    if (location := answer.headers.get("Location")) is not None:
        parts = urlsplit(location)
        assert (parts.scheme, parts.netloc) == ("", ""), f"{what}: leads to {location!r}"
        assert parts.path.startswith("/dispatch"), f"{what}: leads to {location!r}"
        return
    assert "<img src=x" not in answer.text, f"{what}: HTML of the input stands in the page"
    if answer.mimetype == "text/html" and answer.status_code >= 400:
        assert MARKER in answer.text, f"{what}: not in the host's layout"
        assert re.search(r"<h1[^>]*>[^<]{5,}|cd-fault", answer.text), f"{what}: says nothing"


def bad_values(
    names: Sequence[str], rubbish: Mapping[str, bytes]
) -> Iterator[tuple[str, Mapping[str, bytes]]]:
    """Each rubbish under each of a few names, in turn under those of many; and under all names at once."""
    kinds = list(rubbish.items())
    each = len(kinds) if len(names) < 6 else 4
    turn = cycle(kinds)
    for name in names:
        for kind, value in islice(turn, each):
            yield f"{name} {kind}", {name: value}
    for kind, value in kinds:
        yield f"all {kind}", dict.fromkeys(names, value[: 60_000 // len(names)])


def form_of(full: FullClinic, path: str) -> tuple[str, dict[str, str]]:
    """The address of a form, and what a browser would send from the page that shows it."""
    address = address_of(full, path.rstrip("?"))
    page = full.client().get(address_of(full, SHOWN_ON.get(path, path.rstrip("?"))))
    token = token_in(full.client().get("/dispatch/errors/new").text)
    shown = fields_of(page.text, action=address) if page.status_code == 200 else {}
    more = {name: value.format(**full.ids) for name, value in FORMS[path].items()}
    return address, {**shown, **more, "csrf_token": token}


def body_of(fields: Mapping[str, bytes | str]) -> bytes:
    return b"&".join(
        quote(name).encode() + b"=" + quote_from_bytes(_bytes(value)).encode()
        for name, value in fields.items()
    )


def _bytes(value: bytes | str) -> bytes:
    return value if isinstance(value, bytes) else value.encode()


def send(
    client: FlaskClient,
    address: str,
    body: bytes,
    *,
    type: str = "application/x-www-form-urlencoded",
    headers: Sequence[tuple[str, str]] = (),
) -> TestResponse:
    return client.post(address, data=body, content_type=type, headers=list(headers))
