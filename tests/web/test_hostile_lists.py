"""Lists of recipients and forms of any content at all: taken as a whole or refused as a whole, and never a 500."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse, encode_multipart

from tests.clinic.browsing import token_in
from tests.clinic.full import FullClinic, make_full_clinic
from tests.clinic.rubbish import CANARY, form_of, is_fine, send


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FullClinic]:
    made = make_full_clinic(tmp_path_factory.mktemp("full"))
    yield made
    made.clinic.dispatch.database.dispose()


@pytest.fixture(autouse=True)
def _as_in_the_beginning(full: FullClinic) -> None:
    full.restore()


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
    "formula": b'email;name\nanna@example.org;=HYPERLINK("http://evil.example")\n',
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
    [
        "../../../x.csv",
        "/etc/passwd",
        "a\0.csv",
        CANARY,
        "\u202evsc.exe",
        "x" * 5_000,
        ".",
        "C:\\a\\b.csv",
        "a\r\nX: 1.csv",
    ],
)
def test_the_name_of_a_file_is_only_words(full: FullClinic, file_name: str) -> None:
    files = full.kept_files()
    is_taken_or_refused(full, upload(full, b"email\nanna@example.org\n", file_name), files)


CELL = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        ["anna@example.org", '"', '""', ";", ",", "\t", "\n", "\r\n", "\0", "email", "=1+1", CANARY]
    ),
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
    st.sampled_from(
        [
            "",
            "1",
            "on",
            "file",
            "audience:tomorrow",
            "email",
            "smtp",
            "service",
            "*",
            "{{ name }}",
            "(?P<a",
        ]
    ),
)


@pytest.mark.parametrize(
    "path",
    [
        "/mailings/{draft}/who",
        "/mailings/{draft}/what",
        "/errors/new",
        "/errors/{entry}",
        "/templates/new",
    ],
)
@given(data=st.data())
@settings(OFTEN, max_examples=25)
def test_any_words_at_all_in_a_form_are_answered(
    full: FullClinic, path: str, data: st.DataObject
) -> None:
    full.restore()
    address, fields = form_of(full, path)
    names = [name for name in fields if name != "csrf_token"]
    sent = data.draw(st.dictionaries(st.sampled_from(names), WORDS, min_size=1))
    body = urlencode({**fields, **sent}, errors="surrogatepass").encode()
    answer = send(full.client(), address, body)
    is_fine(answer, address)
    assert answer.status_code in {303, 409, 422}, answer.status
