"""Rubbish in every field of every page: clear words, never a 500, nothing half done, none of it in the page's HTML."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote_from_bytes, urlsplit

import pytest
from flask import Request
from werkzeug.datastructures import MultiDict

from clinic_dispatch_plugin.host.types import Action
from tests.clinic.browsing import token_in
from tests.clinic.full import FullClinic, as_actor, make_full_clinic
from tests.clinic.rubbish import (
    CANARY,
    FORMS,
    KEEP_WHAT_WAS_TYPED,
    LARGE,
    RUBBISH,
    TRAIL,
    address_of,
    bad_values,
    body_of,
    form_of,
    is_fine,
    send,
)

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
    "/errors/files",
    "/errors/files/import",
    "/errors/health",
    "/errors/print",
    "/unsubscribe/{token}",
)


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FullClinic]:
    made = make_full_clinic(tmp_path_factory.mktemp("full"))
    yield made
    made.clinic.dispatch.database.dispose()


@pytest.fixture(autouse=True)
def _as_in_the_beginning(full: FullClinic) -> None:
    full.restore()


class Recording(MultiDict[str, str]):
    """Values of a request that remember which names the page read."""

    def __init__(self, values: MultiDict[str, str], asked: set[str]) -> None:
        super().__init__(values)
        self.asked = asked

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
            return Recording(super().args, asked)

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
    for rubbish in (
        b"0",
        b"999999",
        b"-1",
        b"1e3",
        b"9" * 40,
        b"' OR 1=1 --",
        b"%00",
        b"\xff",
        b"1;2",
    ):
        address = "/dispatch" + quote_from_bytes(rubbish).join(parts)
        answer = client.get(address)
        is_fine(answer, address)
        if "{token}" not in path:
            assert answer.status_code in {404, 405}, f"{address}: {answer.status}"


@pytest.mark.parametrize("path", FORMS)
def test_rubbish_in_a_form_is_answered_and_does_nothing_by_half(
    full: FullClinic, path: str
) -> None:
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
    yield (
        "broken json",
        b'{"ids": [',
        "application/json; charset=\xff".encode("latin-1").decode("latin-1"),
    )
    yield "text", b"name=a&csrf_token=" + token.encode(), "text/plain"
    yield (
        "xml",
        b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>",
        "text/xml",
    )
    yield "no type", b"a=b", ""
    yield "no boundary", whole, "multipart/form-data"
    yield "long boundary", whole, "multipart/form-data; boundary=" + "x" * 5_000
    yield "odd boundary", whole, 'multipart/form-data; boundary="\0\u00ff"'
    yield "no end", b"--x\r\n" + part, "multipart/form-data; boundary=x"
    yield "end in a header", b"--x\r\nContent-Dispo", "multipart/form-data; boundary=x"
    yield (
        "no name",
        b"--x\r\nContent-Disposition: form-data\r\n\r\na\r\n" + whole,
        "multipart/form-data; boundary=x",
    )
    yield (
        "odd charset",
        b'--x\r\nContent-Disposition: form-data; name="name"\r\nContent-Type: text/plain; charset=nope\r\n\r\n\xff\r\n'
        + whole,
        "multipart/form-data; boundary=x",
    )
    yield (
        "a file where a text is wanted",
        b'--x\r\nContent-Disposition: form-data; name="name"; filename="../../a\0b.csv"\r\n\r\nabc\r\n'
        + whole,
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
    "Accept-Language": (
        "",
        "x" * 5_000,
        "de;q=999,*;q=-1",
        "\xff",
        "zz-ZZ",
        CANARY,
        ",,;;==",
        "en-\0",
    ),
    "Accept": ("", "x", "*/*;q=a", "application/json;q=nan", CANARY),
    "Referer": ("", "//", "http://[", CANARY, "https://evil.example/", "\xff\xfe"),
    "Origin": ("null", "http://[::1", "https://evil.example", CANARY, "\xff"),
    "Sec-Fetch-Site": ("cross-site", "", CANARY),
    "Cookie": (
        "",
        "=",
        "session=\xff\xfe; a",
        "session=.eJx.x.y",
        "; ; ;",
        "a=" + "b" * 9_000,
        "csrf_token=1",
    ),
    "X-Forwarded-Host": ("evil.example", "[", CANARY),
    "X-Forwarded-Proto": ("javascript", CANARY),
    "X-Forwarded-Prefix": ("//evil.example", CANARY),
    "X-Forwarded-For": ("1" * 500, CANARY),
    "X-CSRFToken": ("", "\xff", "a.b.c", "x" * 10_000),
    "If-Modified-Since": ("yesterday", "\xff"),
    "If-None-Match": ('W/"', "\xff"),
    "Range": ("bytes=-1", "bytes=9-1", CANARY),
    "Content-Type": (
        "",
        "/",
        ";;;",
        "multipart/form-data",
        "application/json; charset=nope",
        CANARY,
    ),
    "User-Agent": ("", CANARY, "\xff" * 500),
    "X-HTTP-Method-Override": ("POST", "DELETE"),
}


@pytest.mark.parametrize("name", HEADERS)
def test_rubbish_in_a_header_changes_nothing_and_leads_nowhere_else(
    full: FullClinic, name: str
) -> None:
    before, client = full.rows(but=TRAIL), full.client()
    full.clinic.host.language = None
    try:
        for value in HEADERS[name]:
            for path in (
                "/",
                "/mailings/{draft}/what",
                "/errors",
                "/static/dispatch.css",
                "/nowhere",
            ):
                address = address_of(full, path)
                environ = {"HTTP_" + name.upper().replace("-", "_"): value}
                if name == "Content-Type":
                    environ = {"CONTENT_TYPE": value}
                answer = client.get(address, environ_overrides=environ)
                is_fine(answer, f"{address}: {name} {value!r}")
                assert "evil.example" not in answer.text, f"{address}: {name} {value!r}"
                answer.close()
                posted = client.post(
                    address_of(full, "/messages/resend"), environ_overrides=environ
                )
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
    for path in (
        "/messages/resend",
        "/messages/retry",
        "/messages/settle",
        "/accounts/{account}/check",
    ):
        answer = client.post(address_of(full, path), data={"csrf_token": token, "back": back})
        assert answer.status_code in {303, 422}
        target = answer.location or "/dispatch/"
        assert re.match(r"/(?![/\\])", target), target
        assert not re.search(r"[\t\r\n\\]", target), target
        parts = urlsplit(target)
        assert (parts.scheme, parts.netloc) == ("", "")


def test_somebody_elses_draft_does_not_exist(full: FullClinic) -> None:
    """Only its writer and the administration open a draft."""
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
        data = {
            "csrf_token": token,
            "ids": str(message),
            "address": "a@example.org",
            "choice": "give_up",
        }
        assert client.post(f"/dispatch/messages/{message}/address", data=data).status_code == 404
        for path in ("resend", "settle", "retry"):
            is_fine(client.post(f"/dispatch/messages/{path}", data=data), path)
        for path in ("resend", "settle", "retry"):
            everything = {
                **data,
                "all": "1",
                "mailing": str(full.ids["mailing"]),
                "cause": "smtp:5.1.1",
            }
            is_fine(client.post(f"/dispatch/messages/{path}", data=everything), path)
    finally:
        host.hidden = set()
    row = [each for each in full.rows()["dispatch_message"] if each[0] == message]
    assert row == [each for each in before["dispatch_message"] if each[0] == message]
