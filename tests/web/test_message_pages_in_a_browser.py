"""The pages of messages in a real Chromium: by keyboard, in place, live, narrow, and for everybody."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_core_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from clinic_dispatch_plugin.channels.types import Answer
from tests.clinic.host import Clinic, make_clinic
from tests.clinic.mailbag import LOST, MAILBOX_FULL, STRANGE, UNKNOWN_USER, Mailbag
from tests.clinic.serving import serving

NO_ADDRESS = Answer(system="dispatch", code="no_address")


@pytest.fixture
def clinic(tmp_path: Path) -> Clinic:
    config = {
        "CLINIC_DISPATCH_EMAIL_URL": "smtp://127.0.0.1:2525",
        "CLINIC_DISPATCH_EMAIL_FROM": "klinik@example.org",
    }
    return make_clinic(tmp_path, config=config)


@pytest.fixture
def bag(clinic: Clinic) -> Mailbag:
    return Mailbag(clinic.dispatch)


@pytest.fixture
def site(clinic: Clinic) -> Iterator[str]:
    with serving(clinic.app) as base:
        yield f"{base}/dispatch"


def fill(bag: Mailbag) -> dict[str, int]:
    """One mailing with something of everything."""
    mailing = bag.mailing("Terminerinnerung 24. November")
    long = "Kern-Hoffmann-Wüstenrot, Alexandra Friederike Wilhelmine"
    return {
        "mailing": mailing,
        "bad": bag.message(
            mailing, "undelivered", answer=UNKNOWN_USER, attempt="refused", name=long
        ),
        "worse": bag.message(mailing, "undelivered", answer=UNKNOWN_USER, attempt="refused"),
        "strange": bag.message(mailing, "undelivered", answer=STRANGE, attempt="refused"),
        "doubt": bag.message(mailing, "uncertain", answer=LOST, attempt="uncertain"),
        "waits": bag.message(mailing, "queued", answer=MAILBOX_FULL, attempt="refused", due_in=900),
        "skipped": bag.message(mailing, "skipped", answer=NO_ADDRESS, address=""),
        "good": bag.message(mailing, "delivered", attempt="accepted"),
    }


def test_an_address_is_corrected_in_its_row_by_keyboard_alone(
    page: Page, site: str, clinic: Clinic, bag: Mailbag
) -> None:
    ids = fill(bag)
    page.goto(f"{site}/mailings/{ids['mailing']}")
    page.get_by_role("link", name="2 Adressen berichtigen").focus()
    page.keyboard.press("Enter")
    first, second = (page.locator(f"#a{ids[which]}") for which in ("worse", "bad"))
    expect(second).to_be_visible()
    first.focus()
    first.fill("kein at")
    page.keyboard.press("Enter")
    row = page.locator(f"#m{ids['worse']}")
    expect(row.get_by_role("alert")).to_contain_text("Adresse oder Nummer kann nicht stimmen")
    expect(first).to_be_focused()
    first.fill("anna.neu@example.org")
    page.keyboard.press("Enter")
    expect(row).to_contain_text("Wartet")
    expect(row).to_contain_text("anna.neu@example.org")
    expect(second).to_be_focused()
    expect(page.locator("[data-announce]")).to_contain_text("Patientenkarte")
    assert bag.row(ids["worse"])["state"] == "queued"
    assert [value for _, _, value in clinic.host.updates] == ["anna.neu@example.org"]


def test_ticked_rows_are_counted_and_sent_again_after_a_question(
    page: Page, site: str, bag: Mailbag
) -> None:
    ids = fill(bag)
    page.goto(f"{site}/mailings/{ids['mailing']}")
    page.get_by_label("Alle dieser Seite auswählen").check()
    button = page.locator("#bulk summary")
    expect(button).to_contain_text("4")
    page.get_by_label("Berger, Anna 2 auswählen", exact=True).uncheck()
    expect(button).to_contain_text("3")
    button.click()
    page.locator("#bulk").get_by_role("button", name="Jetzt erneut senden").click()
    expect(page.get_by_role("status").first).to_contain_text("2 Nachrichten werden erneut gesendet")
    expect(page.get_by_role("status").first).to_contain_text("zuerst eine richtige Adresse")
    assert bag.row(ids["bad"])["state"] == "queued"
    assert bag.row(ids["worse"])["state"] == "undelivered"


def test_the_numbers_change_by_themselves(page: Page, site: str, bag: Mailbag) -> None:
    mailing = bag.mailing()
    bag.message(mailing, "delivered")
    page.goto(f"{site}/mailings/{mailing}")
    expect(page.locator("#cd-counts")).to_contain_text("1 zugestellt")
    bag.message(mailing, "delivered")
    expect(page.locator("#cd-counts")).to_contain_text("2 zugestellt", timeout=15_000)


@pytest.mark.parametrize("width", [1280, 360])
def test_axe_finds_nothing_and_nothing_is_wider_than_the_screen(
    page: Page, site: str, bag: Mailbag, width: int
) -> None:
    ids = fill(bag)
    bag.stop_account(Answer(system="smtp", code="5.7.8", text="535 5.7.8 credentials invalid"))
    page.set_viewport_size({"width": width, "height": 800})
    mailing = ids["mailing"]
    for path in (
        "/",
        "/?q=nobody",
        f"/mailings/{mailing}",
        f"/mailings/{mailing}?cause=dispatch%3Ano_address&correct=1",
        f"/messages/{ids['bad']}/contents",
        f"/messages/{ids['doubt']}",
        f"/messages/{ids['skipped']}/address",
        "/unsubscribe/anything",
    ):
        page.goto(site + path)
        page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
        found: dict[str, Any] = Axe().run(page, ".cd")
        assert [
            (violation["id"], node["html"])
            for violation in found["violations"]
            for node in violation["nodes"]
        ] == [], path
        overflow = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert overflow <= 0, f"{path} is {overflow} px too wide"
