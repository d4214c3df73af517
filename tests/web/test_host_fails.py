"""A clinic's system that raises in any of its answers: clear pages, nothing half done, and no word of it in the log."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from clinic_dispatch_plugin.web.layout import MARKER
from tests.clinic.browsing import token_in
from tests.clinic.full import FullClinic, make_full_clinic
from tests.guards.test_logs import QUESTIONS
from tests.guards.test_routes import addresses, gets

CANARY = "eva.geheim@example.org"
#: What moves something, with what a browser would send; ``{name}`` stands for an id of the full clinic.
POSTS: tuple[tuple[str, dict[str, str]], ...] = (
    ("/messages/{undelivered}/address", {"address": "neu@example.org"}),
    ("/messages/resend", {"ids": "{undelivered}"}),
    ("/messages/{undelivered}/resend-unsubscribed", {"asked_again": "1"}),
    ("/mailings/{draft}/what", {"go": "next", "name": "a", "subject": "b", "text": "c"}),
    ("/mailings/{draft}/start", {"expected": "12"}),
    ("/mailings/{draft}/trial", {"n": "0"}),
    ("/mailings/{draft}/discard", {}),
)


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FullClinic]:
    made = make_full_clinic(tmp_path_factory.mktemp("fails"))
    yield made
    made.clinic.dispatch.database.dispose()


class Broken(Exception):
    """Like a database's own error: its words hold the values of the statement."""

    def __init__(self) -> None:
        super().__init__(f"UNIQUE constraint failed [parameters: ('{CANARY}', 'Geheim, Eva')]")


def breaks(*_args: Any, **_kw: Any) -> Any:
    raise Broken


@pytest.mark.parametrize("question", sorted(QUESTIONS))
def test_every_page_answers_clearly_and_the_log_holds_no_patient(
    full: FullClinic,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    question: str,
) -> None:
    token = token_in(full.client().get(f"/dispatch/messages/{full.ids['undelivered']}").text)
    monkeypatch.setattr(full.clinic.host, question, breaks)
    caplog.set_level(logging.DEBUG)
    seen: dict[int, int] = {}
    asked: list[tuple[str, dict[str, str] | None]] = [
        (address, None) for rule in gets(full) for address in addresses(full, rule)
    ]
    asked += [
        (
            f"/dispatch{path.format(**full.ids)}",
            {name: value.format(**full.ids) for name, value in data.items()},
        )
        for path, data in POSTS
    ]
    for address, data in asked:
        method = "GET" if data is None else "POST"
        values = None if data is None else {"csrf_token": token, **data}
        answer = full.client().open(address, method=method, data=values)
        assert answer.status_code in {200, 303, 400, 401, 403, 404, 422, 503}, (
            f"{method} {address}: {answer.status}"
        )
        seen[answer.status_code] = seen.get(answer.status_code, 0) + 1
        if answer.status_code == 503:
            assert MARKER in answer.text
            assert "hat nicht geantwortet" in answer.text or "did not answer" in answer.text
        assert CANARY not in answer.text and "Geheim" not in answer.text
    assert CANARY not in caplog.text and "Geheim" not in caplog.text
    if question not in {"render", "recipient", "confirmed"}:  # workers ask those
        assert "Broken" in caplog.text, "the log says what failed and where"
    full.restore()
