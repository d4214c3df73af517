"""Rubbish into every field of every page: clear words, never a 500, nothing half done, nothing of it in the page's own HTML."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle, islice
from typing import Any
from urllib.parse import quote, quote_from_bytes, urlencode, urlsplit

import pytest
from flask import Request
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.datastructures import MultiDict
from werkzeug.test import TestResponse, encode_multipart

from clinic_dispatch_plugin.host.types import Action
from clinic_dispatch_plugin.web.layout import MARKER
from tests.clinic.browsing import fields_of, token_in
from tests.clinic.full import FullClinic, as_actor, make_full_clinic

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

PAGES = (
    "/",
    "/messages.csv",
    "/mailings",
    "/mailings/new",
    "/mailings/{mailing}",
    "/mailings/{mailing}/counts.json",
    "/mailings/{mailing}/progress",
    "/mailings/{paused}/progress.json",
    "/mailings/{draft}/who",
    "/mailings/{listed}/who",
    "/mailings/{draft}/what",
    "/mailings/{draft}/preview",
    "/mailings/{draft}/check",
    "/messages/{undelivered}",
    "/messages/{sent}/contents",
    "/messages/{sent}/contents.html",
    "/messages/{undelivered}/report.txt",
    "/messages/{undelivered}/address",
    "/templates",
    "/templates/new",
    "/templates/{template}",
    "/errors",
    "/errors/new",
    "/errors/{entry}",
    "/errors/drafts/{answer}",
    "/unsubscribe/{token}",
)
#: Forms: address, and what a browser would send besides the fields of the page of the same address.
FORMS: Mapping[str, Mapping[str, str]] = {
    "/mailings/new": {"whom": "audience:tomorrow", "filter.tomorrow.day": "2026-11-25"},
    "/mailings/{draft}/who": {"whom": "audience:tomorrow", "purpose": "service", "channel": "email"},
    "/mailings/{draft}/what": {"go": "next", "template": "1"},
    "/mailings/{draft}/draft": {"name": "a", "subject": "b", "text": "c", "html": "<p>d</p>", "n": "0"},
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


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FullClinic]:
    made = make_full_clinic(tmp_path_factory.mktemp("full"))
    yield made
    made.clinic.dispatch.database.dispose()


@pytest.fixture(autouse=True)
def _as_in_the_beginning(full: FullClinic) -> None:
    full.restore()


def address_of(full: FullClinic, path: str) -> str:
    return "/dispatch" + path.format(**full.ids)


def is_fine(answer: TestResponse, what: str) -> None:
    """The answer says something clear, in the host's layout, and leads nowhere else."""
    assert answer.status_code < 500, f"{what}: {answer.status}\n{answer.text[:2000]}"
    assert "Set-Cookie" not in answer.headers, what
    if answer.location is not None:
        parts = urlsplit(answer.location)
        assert (parts.scheme, parts.netloc) == ("", ""), f"{what}: leads to {answer.location!r}"
        assert parts.path.startswith("/dispatch"), f"{what}: leads to {answer.location!r}"
        return
    if answer.mimetype == "application/json":
        return
    assert "<img src=x" not in answer.text, f"{what}: HTML of the input stands in the page"
    if answer.mimetype == "text/html" and answer.status_code >= 400:
        assert MARKER in answer.text, f"{what}: not in the host's layout"
        assert re.search(r"<h1>[^<]{5,}|cd-fault", answer.text), f"{what}: says nothing"


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


class Recording(MultiDict[str, Any]):
    """Values of a request that remember which names the page read."""

    asked: set[str]

    def get(self, key: str, *args: Any, **kwargs: Any) -> Any:
        self.asked.add(key)
        return super().get(key, *args, **kwargs)

    def getlist(self, key: str, *args: Any, **kwargs: Any) -> Any:
        self.asked.add(key)
        return super().getlist(key, *args, **kwargs)


def names_read(full: FullClinic, monkeypatch: pytest.MonkeyPatch, address: str) -> list[str]:
    """The names of values the page of an address reads from it."""
    asked: set[str] = set()

    class Listening(Request):
        @property
        def args(self) -> Any:
            found = Recording(super().args)
            found.asked = asked
            return found

    with monkeypatch.context() as patch:
        patch.setattr(full.clinic.app, "request_class", Listening)
        is_fine(full.client().get(address), address)
    return sorted(asked)


@pytest.mark.parametrize("path", PAGES)
def test_rubbish_in_an_address_is_answered_and_changes_nothing(
    full: FullClinic, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    address = address_of(full, path)
    before, client = full.rows(but=TRAIL), full.client()
    names = names_read(full, monkeypatch, address)
    for what, bad in bad_values([*names, "unknown", "ids[]", CANARY], RUBBISH):
        query = body_of(bad).decode()
        is_fine(client.get(f"{address}?{query}"), f"{address}: {what}")
    is_fine(client.get(f"{address}?{'&'.join(f'{n}=1&{n}=2' for n in names)}"), "twice")
    is_fine(client.get(f"{address}?%ff%fe=%&&&==&%00"), "no names")
    assert full.rows(but=TRAIL) == before


def test_pages_read_what_is_known_to_be_read(
    full: FullClinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the test above tries is found by listening; here it is shown that listening hears."""
    found = names_read(full, monkeypatch, "/dispatch/")
    assert {"q", "state", "cause", "mailing", "from", "to", "after", "before", "said"} <= set(found)


@pytest.mark.parametrize("path", sorted(path for path in {*PAGES, *FORMS} if "{" in path))
def test_an_id_nobody_has_names_no_page(full: FullClinic, path: str) -> None:
    client = full.client()
    parts = re.split(r"\{\w+\}", path)
    for rubbish in (b"0", b"999999", b"-1", b"1e3", b"9" * 40, b"' OR 1=1 --", b"%00", b"\xff", b"1;2"):
        address = "/dispatch" + quote_from_bytes(rubbish).join(parts)
        answer = client.get(address)
        is_fine(answer, address)
        if "{token}" not in path:
            assert answer.status_code in {404, 405}, f"{address}: {answer.status}"


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


@pytest.mark.parametrize("path", FORMS)
def test_rubbish_in_a_form_is_answered_and_does_nothing_by_half(full: FullClinic, path: str) -> None:
    address, fields = form_of(full, path)
    client, before, files = full.client(), full.rows(but=TRAIL), full.kept_files()
    keeps = address.rpartition("/")[2] in KEEP_WHAT_WAS_TYPED
    names = [*(name for name in fields if name != "csrf_token"), "unknown"]
    for what, bad in bad_values(names, {**RUBBISH, **LARGE}):
        answer = send(client, address, body_of({**fields, **bad}))
        is_fine(answer, f"{address}: {what}")
        if answer.status_code < 400 or keeps:
            full.restore()
            continue
        assert full.rows(but=TRAIL) == before, what
        assert full.kept_files() == files, what


@pytest.mark.parametrize("path", FORMS)
def test_an_ordinary_form_is_taken(full: FullClinic, path: str) -> None:
    """What the rubbish above is put into would go through without it."""
    address, fields = form_of(full, path)
    answer = send(full.client(), address, body_of(fields))
    assert answer.status_code in {200, 303}, f"{answer.status}\n{answer.text[:3000]}"


def broken_bodies(token: str) -> Iterator[tuple[str, bytes, str]]:
    part = b'Content-Disposition: form-data; name="csrf_token"\r\n\r\n' + token.encode()
    whole = b"--x\r\n" + part + b"\r\n--x--\r\n"
    yield "json", b'{"ids": [1], "name": {"$gt": ""}}', "application/json"
    yield "broken json", b'{"ids": [', "application/json; charset=\xff".encode("latin-1").decode("latin-1")
    yield "text", b"name=a&csrf_token=" + token.encode(), "text/plain"
    yield "xml", b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>", "text/xml"
    yield "no type", b"a=b", ""
    yield "no boundary", whole, "multipart/form-data"
    yield "long boundary", whole, "multipart/form-data; boundary=" + "x" * 5_000
    yield "odd boundary", whole, 'multipart/form-data; boundary="\0\u00ff"'
    yield "no end", b"--x\r\n" + part, "multipart/form-data; boundary=x"
    yield "end in a header", b"--x\r\nContent-Dispo", "multipart/form-data; boundary=x"
    yield "no name", b"--x\r\nContent-Disposition: form-data\r\n\r\na\r\n" + whole, "multipart/form-data; boundary=x"
    yield (
        "odd charset",
        b'--x\r\nContent-Disposition: form-data; name="name"\r\nContent-Type: text/plain; charset=nope\r\n\r\n\xff\r\n' + whole,
        "multipart/form-data; boundary=x",
    )
    yield (
        "a file where a text is wanted",
        b'--x\r\nContent-Disposition: form-data; name="name"; filename="../../a\0b.csv"\r\n\r\nabc\r\n' + whole,
        "multipart/form-data; boundary=x",
    )
    yield "30,000 fields", b"&".join([b"a=b"] * 30_000), "application/x-www-form-urlencoded"
    yield "nothing", b"", "application/x-www-form-urlencoded"


@pytest.mark.parametrize("path", FORMS)
def test_broken_bodies_are_refused_in_words(full: FullClinic, path: str) -> None:
    address, fields = form_of(full, path)
    client, before = full.client(), full.rows(but=TRAIL)
    public = "/unsubscribe/" in path
    for kind, body, type_ in broken_bodies(fields["csrf_token"]):
        answer = send(client, address, body, type=type_)
        is_fine(answer, f"{address}: {kind}")
        if not public and answer.status_code < 400:
            full.restore()
        elif not public and address.rpartition("/")[2] not in KEEP_WHAT_WAS_TYPED:
            assert full.rows(but=TRAIL) == before, f"{address}: {kind}"


def test_json_with_a_right_token_is_no_form(full: FullClinic) -> None:
    token = token_in(full.client().get("/dispatch/errors/new").text)
    before = full.rows()
    answer = send(
        full.client(),
        "/dispatch/messages/resend",
        b'{"ids": [1]}',
        type="application/json",
        headers=[("X-CSRFToken", token)],
    )
    assert answer.status_code == 303
    assert "said=nothing_chosen" in str(answer.location)
    assert full.rows() == before


def test_more_than_a_page_takes_is_refused_before_it_is_read(full: FullClinic) -> None:
    answer = send(full.client(), "/dispatch/messages/resend", b"ids=1&" * 400_000)
    assert answer.status_code == 413
    assert "Das war zu viel auf einmal" in answer.text
    answer = full.client().post(
        "/dispatch/mailings/new",
        environ_overrides={
            "CONTENT_LENGTH": str(70 * 1024 * 1024),
            "CONTENT_TYPE": "multipart/form-data; boundary=x",
        },
    )
    assert answer.status_code == 413


HEADERS: Mapping[str, Sequence[str]] = {
    "Accept-Language": ("", "x" * 5_000, "de;q=999,*;q=-1", "\xff", "zz-ZZ", CANARY, ",,;;==", "en-\0"),
    "Accept": ("", "x", "*/*;q=a", "application/json;q=nan", CANARY),
    "Referer": ("", "//", "http://[", CANARY, "https://evil.example/", "\xff\xfe"),
    "Origin": ("null", "http://[::1", "https://evil.example", CANARY, "\xff"),
    "Sec-Fetch-Site": ("cross-site", "", CANARY),
    "Cookie": ("", "=", "session=\xff\xfe; a", "session=.eJx.x.y", "; ; ;", "a=" + "b" * 9_000, "csrf_token=1"),
    "X-Forwarded-Host": ("evil.example", "[", CANARY),
    "X-Forwarded-Proto": ("javascript", CANARY),
    "X-Forwarded-Prefix": ("//evil.example", CANARY),
    "X-Forwarded-For": ("1" * 500, CANARY),
    "X-CSRFToken": ("", "\xff", "a.b.c", "x" * 10_000),
    "If-Modified-Since": ("yesterday", "\xff"),
    "If-None-Match": ('W/"', "\xff"),
    "Range": ("bytes=-1", "bytes=9-1", CANARY),
    "Content-Type": ("", "/", ";;;", "multipart/form-data", "application/json; charset=nope", CANARY),
    "User-Agent": ("", CANARY, "\xff" * 500),
    "X-HTTP-Method-Override": ("POST", "DELETE"),
}


@pytest.mark.parametrize("name", HEADERS)
def test_rubbish_in_a_header_changes_nothing_and_leads_nowhere_else(full: FullClinic, name: str) -> None:
    before, client = full.rows(but=TRAIL), full.client()
    full.clinic.host.language = None
    try:
        for value in HEADERS[name]:
            for path in ("/", "/mailings/{draft}/what", "/errors", "/static/dispatch.css", "/nowhere"):
                address = address_of(full, path)
                environ = {"HTTP_" + name.upper().replace("-", "_"): value}
                if name == "Content-Type":
                    environ = {"CONTENT_TYPE": value}
                answer = client.get(address, environ_overrides=environ)
                is_fine(answer, f"{address}: {name} {value!r}")
                assert "evil.example" not in answer.text, f"{address}: {name} {value!r}"
                answer.close()
                posted = client.post(address_of(full, "/messages/resend"), environ_overrides=environ)
                is_fine(posted, f"{name} {value!r}")
                assert posted.status_code == 400
    finally:
        full.clinic.host.language = "de"
    assert full.rows(but=TRAIL) == before


@pytest.mark.parametrize("length", ["-1", "abc", "99999999999999999999", "\xff"])
def test_an_odd_content_length_is_no_failure(full: FullClinic, length: str) -> None:
    answer = full.client().post(
        "/dispatch/messages/resend", environ_overrides={"CONTENT_LENGTH": length}
    )
    is_fine(answer, length)


@pytest.mark.parametrize(
    "back",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "https:evil.example",
        "javascript:alert(1)",
        "/x\r\nLocation: https://evil.example",
        "http://[",
        " //evil.example",
        "/dispatch/../..//evil.example",
    ],
)
def test_no_form_leads_to_another_site(full: FullClinic, back: str) -> None:
    client = full.client()
    token = token_in(client.get("/dispatch/errors/new").text)
    for path in ("/messages/resend", "/messages/retry", "/messages/settle", "/accounts/{account}/check"):
        answer = client.post(address_of(full, path), data={"csrf_token": token, "back": back})
        assert answer.status_code in {303, 422}
        target = answer.location or "/dispatch/"
        assert re.match(r"/(?![/\\])", target), target
        assert not re.search(r"[\t\r\n\\]", target), target
        parts = urlsplit(target)
        assert (parts.scheme, parts.netloc) == ("", "")


def test_somebody_elses_draft_does_not_exist(full: FullClinic) -> None:
    """For a colleague who may write but not send; who may send sees what waits to be sent."""
    full.clinic.host.actions = frozenset({Action.VIEW, Action.COMPOSE, Action.VIEW_CONTENTS})
    before = full.rows()
    try:
        with as_actor(full, "reception"):
            token = token_in(full.client().get("/dispatch/templates/new").text)
            assert "Morgen" not in full.client().get("/dispatch/mailings").text
            for key in ("draft", "listed", "empty"):
                one = f"/dispatch/mailings/{full.ids[key]}"
                for end in ("who", "what", "preview", "check"):
                    assert full.client().get(f"{one}/{end}").status_code == 404, end
                for end in ("who", "what", "draft", "check", "trial", "discard"):
                    data = {"csrf_token": token, "whom": "file", "name": "mine", "text": "mine"}
                    assert full.client().post(f"{one}/{end}", data=data).status_code == 404, end
    finally:
        full.clinic.host.actions = None
    assert full.rows() == before
    assert len(full.kept_files()) == 1


def test_a_patient_one_may_not_see_is_nowhere(full: FullClinic) -> None:
    host = full.clinic.host
    message = full.ids["undelivered"]
    client = full.client()
    page = client.get(f"/dispatch/messages/{message}").text
    name = re.search(r"Berger, Anna \d+", page)
    ref = re.search(r"/patients/(p\d+)", page)
    assert name is not None and ref is not None
    before = full.rows()
    host.hidden = {ref[1]}
    try:
        for path in ("", "/contents", "/contents.html", "/report.txt", "/address"):
            assert client.get(f"/dispatch/messages/{message}{path}").status_code == 404
        for path in ("/", "/messages.csv", f"/mailings/{full.ids['mailing']}", "/?q=Berger"):
            text = client.get(f"/dispatch{path}").text
            assert not re.search(re.escape(name[0]) + r"\b", text), path
        token = token_in(client.get("/dispatch/errors/new").text)
        data = {"csrf_token": token, "ids": str(message), "address": "a@example.org", "choice": "give_up"}
        assert client.post(f"/dispatch/messages/{message}/address", data=data).status_code == 404
        for path in ("resend", "settle", "retry"):
            is_fine(client.post(f"/dispatch/messages/{path}", data=data), path)
        for path in ("resend", "settle", "retry"):
            everything = {**data, "all": "1", "mailing": str(full.ids["mailing"]), "cause": "smtp:5.1.1"}
            is_fine(client.post(f"/dispatch/messages/{path}", data=everything), path)
    finally:
        host.hidden = set()
    row = [each for each in full.rows()["dispatch_message"] if each[0] == message]
    assert row == [each for each in before["dispatch_message"] if each[0] == message]


# Lists of recipients


def upload(full: FullClinic, content: bytes, file_name: str = "liste.csv") -> TestResponse:
    client = full.client()
    token = token_in(client.get("/dispatch/mailings/new").text)
    data = {
        "csrf_token": token,
        "whom": "file",
        "purpose": "service",
        "file": (io.BytesIO(content), file_name),
    }
    boundary, body = encode_multipart(data)
    type_ = f"multipart/form-data; boundary={boundary}"
    return client.post("/dispatch/mailings/new", data=body, content_type=type_)


def is_taken_or_refused(full: FullClinic, answer: TestResponse, files: list[str]) -> None:
    """A list becomes one draft with one file, or nothing at all; and the draft's pages can be opened."""
    is_fine(answer, "upload")
    drafts = len(full.rows()["dispatch_mailing"]) - MAILINGS
    if answer.status_code == 422:
        assert "cd-fault" in answer.text
        assert (full.kept_files(), drafts) == (files, 0)
        return
    assert answer.status_code == 303
    assert (len(full.kept_files()), drafts) == (len(files) + 1, 1)
    number = str(answer.location).split("/mailings/")[1].split("/")[0]
    for step in ("who", "what", "check"):
        is_fine(full.client().get(f"/dispatch/mailings/{number}/{step}"), step)
    page = full.client().get(f"/dispatch/mailings/{number}/what").text
    client = full.client()
    data = {"csrf_token": token_in(page), "name": "x", "subject": "y", "text": "z", "go": "next"}
    is_fine(client.post(f"/dispatch/mailings/{number}/what", data=data), "what")
    is_fine(client.get(f"/dispatch/mailings/{number}/check"), "check")
    answer = client.post(f"/dispatch/mailings/{number}/discard", data=data)
    assert answer.status_code == 303
    assert full.kept_files() == files


#: In the full clinic: three that were started, three drafts.
MAILINGS = 6

LISTS: Mapping[str, bytes] = {
    "empty": b"",
    "only a header": b"email;name\n",
    "nul": b"email\0;name\nanna@example.org\0;A\n",
    "surrogate": b"email;name\nanna@example.org;\xed\xb2\x80\n",
    "html": b"email;name\nanna@example.org;" + CANARY.encode() + b"\n",
    "html in the header": b"email;" + CANARY.encode() + b"\nanna@example.org;1\n",
    "formula": b"email;name\nanna@example.org;=HYPERLINK(\"http://evil.example\")\n",
    "right-to-left": "email;name\nanna@example.org;\u202egro.live\n".encode(),
    "header injection": b'email;name\n"anna@example.org\nBcc: x@evil.example";A\n',
    "no end of quotes": b'email;name\n"anna@example.org;A\n' * 50,
    "excel": b"PK\x03\x04" + b"\0" * 500,
    "pdf": b"%PDF-1.7\n" + b"x" * 500,
    "pages of html": b"<!doctype html><script>alert(1)</script>",
    "a long line": b"email;name\nanna@example.org;" + b"x" * 3_000_000,
    "many columns": b";".join([b"a"] * 5_000) + b"\n",
    "the same column twice": b"email;email\na@example.org;b@example.org\n",
    "utf-16": "email;name\nanna@example.org;Änne\n".encode("utf-16"),
    "utf-32": "email;name\nanna@example.org;A\n".encode("utf-32"),
    "windows-1251": "email;имя\nanna@example.org;Анна\n".encode("cp1251"),
    "odd language": b"email;locale\nanna@example.org;../../x\n",
    "one good row": b"email\nanna@example.org\n",
    "odd columns": b"email;__class__;{{ x }};name.upper\nanna@example.org;1;2;3\n",
}


@pytest.mark.parametrize("kind", LISTS)
def test_every_list_is_taken_or_refused_as_a_whole(full: FullClinic, kind: str) -> None:
    files = full.kept_files()
    is_taken_or_refused(full, upload(full, LISTS[kind]), files)


@pytest.mark.parametrize(
    "file_name",
    ["../../../x.csv", "/etc/passwd", "a\0.csv", CANARY, "\u202evsc.exe", "x" * 5_000, ".", "C:\\a\\b.csv", "a\r\nX: 1.csv"],
)
def test_the_name_of_a_file_is_only_words(full: FullClinic, file_name: str) -> None:
    files = full.kept_files()
    is_taken_or_refused(full, upload(full, b"email\nanna@example.org\n", file_name), files)


CELL = st.one_of(
    st.text(max_size=30),
    st.sampled_from(["anna@example.org", '"', '""', ";", ",", "\t", "\n", "\r\n", "\0", "email", "=1+1", CANARY]),
)
SPREADSHEET = st.lists(st.lists(CELL, min_size=1, max_size=5), max_size=8).map(
    lambda rows: ("email;name;ref\n" + "\n".join(";".join(row) for row in rows)).encode(
        "utf-8", "surrogatepass"
    )
)
OFTEN = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@given(content=st.one_of(st.binary(max_size=400), SPREADSHEET))
@OFTEN
def test_any_bytes_at_all_are_taken_or_refused_as_a_whole(full: FullClinic, content: bytes) -> None:
    full.restore()
    files = full.kept_files()
    is_taken_or_refused(full, upload(full, content), files)


WORDS = st.one_of(
    st.text(max_size=60),
    st.sampled_from(["", "1", "on", "file", "audience:tomorrow", "email", "smtp", "service", "*", "{{ name }}", "(?P<a"]),
)


@pytest.mark.parametrize(
    "path", ["/mailings/{draft}/who", "/mailings/{draft}/what", "/errors/new", "/errors/{entry}", "/templates/new"]
)
@given(data=st.data())
@settings(OFTEN, max_examples=25)
def test_any_words_at_all_in_a_form_are_answered(full: FullClinic, path: str, data: st.DataObject) -> None:
    full.restore()
    address, fields = form_of(full, path)
    names = [name for name in fields if name != "csrf_token"]
    sent = data.draw(st.dictionaries(st.sampled_from(names), WORDS, min_size=1))
    body = urlencode({**fields, **sent}, errors="surrogatepass").encode()
    answer = send(full.client(), address, body)
    is_fine(answer, address)
    assert answer.status_code in {303, 409, 422}, answer.status
