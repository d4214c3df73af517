"""Where no script runs all but the live numbers works: a mailing is sent, watched by refreshing, and put right."""

from __future__ import annotations

import re

from playwright.sync_api import Browser, expect

from tests.browser.clinic import PATIENCE, DemoClinic, compose, list_of, sign_in, visitor

LIST = re.compile(r"/dispatch/mailings/\d+$")


def test_a_mailing_goes_out_and_an_address_is_corrected(browser: Browser, demo: DemoClinic) -> None:
    with visitor(browser, scripts=False) as page:
        sign_in(page, demo)
        compose(page, "Ohne Skript", list_of("emil+unknown@example.org", others=3))
        page.get_by_role("button", name="Weiter: prüfen").last.click()
        expect(page.get_by_text("4 von 4 Patienten erhalten die Nachricht")).to_be_visible()
        page.get_by_role("button", name="An 4 Patienten senden").click()
        # The progress page comes again by itself, until it is the mailing's list.
        page.wait_for_url(LIST, timeout=PATIENCE)
        expect(page.locator(".cd-legend")).to_contain_text("3 gesendet")

        row = page.locator("table[data-messages] tbody tr").first
        row.get_by_text("Adresse berichtigen").click()
        row.locator('input[name="address"]').fill("emil ohne at")
        row.get_by_role("button", name="Speichern und erneut senden").click()
        # What is wrong stands beside the field, on a page of its own.
        expect(page.get_by_role("heading", level=1)).to_have_text("Adresse berichtigen")
        field = page.get_by_label("Richtige Adresse")
        expect(field).to_have_value("emil ohne at")
        expect(page.locator(".cd-fault").first).to_contain_text(
            "Adresse oder Nummer kann nicht stimmen"
        )
        field.fill("emil@example.org")
        page.get_by_role("button", name="Speichern und erneut senden").click()
        expect(page.locator(".cd-banner").first).to_contain_text("neue Adresse")
        for _ in range(60):
            page.goto(page.url.partition("?")[0])
            if "4 gesendet" in page.locator(".cd-legend").inner_text():
                break
            page.wait_for_timeout(500)
        expect(page.locator(".cd-legend")).to_contain_text("4 gesendet")


def test_a_corrected_address_stands_on_the_patients_card(
    browser: Browser, demo: DemoClinic
) -> None:
    """A message of the clinic's own audience belongs to a card, and the clinic lets reception change it."""
    with visitor(browser, scripts=False) as page:
        sign_in(page, demo)
        page.goto(f"{demo.url}/dispatch/mailings/{demo.mailing}")
        causes = page.locator(".cd-why > li")
        missing = causes.filter(has_text="Keine Adresse oder Nummer hinterlegt")
        missing.get_by_role("link", name=re.compile(r"\d+ Adressen")).click()
        row = page.locator("table[data-messages] tbody tr").first
        message = row.get_by_role("link").first
        address = message.get_attribute("href")
        row.locator('input[name="address"]').fill("neu.eingetragen@example.org")
        row.get_by_role("button", name="Speichern und erneut senden").click()
        expect(page.locator(".cd-banner").first).to_contain_text("Patientenkarte")
        page.goto(f"{demo.url}{address}")
        expect(page.locator(".cd-timeline")).to_contain_text("in der Patientenkarte gespeichert")
        page.get_by_role("link", name="Patientenkarte öffnen").click()
        expect(page.get_by_label("E-Mail")).to_have_value("neu.eingetragen@example.org")
