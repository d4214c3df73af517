"""Where the host hides single patients, the list counts what the reader may see, of the last days, and says so."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from clinic_dispatch_plugin.error_reference import occurring
from clinic_dispatch_plugin.messages import occurrences
from tests.clinic.host import Clinic, make_clinic
from tests.clinic.mailbag import UNKNOWN_USER, Mailbag


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    made = make_clinic(tmp_path)
    yield made
    made.dispatch.database.dispose()


def test_counts_are_of_what_the_reader_may_see(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    bag = Mailbag(clinic.dispatch)
    mailing = bag.mailing()
    old = datetime.now(tz=UTC) - timedelta(days=40)
    bag.message(mailing, "undelivered", answer=UNKNOWN_USER, created_at=old)
    for ref in ("open", "open", "open", "secret"):
        bag.message(mailing, "undelivered", answer=UNKNOWN_USER, ref=ref)
    clinic.host.hidden = {"secret"}
    client = clinic.app.test_client()
    page = client.get("/dispatch/errors").text
    assert "mindestens 3 ×" in page and "in 30 Tagen" in page
    assert "die Sie sehen dürfen" in page
    clinic.host.hidden = {"secret", "open"}
    assert "mindestens 3 ×" in client.get("/dispatch/errors").text, "asked once a minute"
    monkeypatch.setattr(occurring, "SEEN_SECONDS", 0.0)
    assert "mindestens" not in client.get("/dispatch/errors").text
    clinic.host.hidden = set()
    monkeypatch.setattr(occurrences, "MOST", 2)
    assert "mindestens 2 ×" in client.get("/dispatch/errors").text, "bounded"
