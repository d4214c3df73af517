"""The whole promise in a real browser: a mailing goes out, each failure explains itself, and is put right."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Browser, Page, expect

from tests.browser.clinic import PATIENCE, DemoClinic, compose, list_of, sign_in, visitor

BAD = ("anna+unknown@example.org", "bert+unknown@example.org", "clara+full@example.org")
LIST = re.compile(r"/dispatch/mailings/\d+$")


def row_of(page: Page, address: str) -> str:
    """The row of an address in the list of messages."""
    return f'table[data-messages] tr:has(code:text-is("{address}"))'


def send(page: Page, count: int) -> None:
    page.get_by_role("button", name=f"An {count} Patienten senden").click()


def test_a_mailing_is_sent_and_each_failure_is_put_right(
    browser: Browser, demo: DemoClinic
) -> None:
    with visitor(browser) as page:
        visited: list[str] = []
        page.on("framenavigated", lambda frame: visited.append(frame.url))
        sign_in(page, demo)
        compose(page, "Zimmerwechsel", list_of(*BAD, others=297))
        _sees_the_message_before_it_goes(page)
        send(page, 300)

        # The progress page, and then by itself the mailing's own list.
        page.wait_for_url(LIST, timeout=PATIENCE)
        assert any(url.endswith("/progress") for url in visited), visited
        expect(page.get_by_role("heading", level=1)).to_have_text("Zimmerwechsel")
        address = page.url

        _sees_failures_first_by_cause(page)
        _corrects_an_address_in_its_row(page)
        _finds_it_sent(page, address)
        _reads_the_first_failure_still(page)


def _sees_the_message_before_it_goes(page: Page) -> None:
    letter = page.locator("[data-preview]")
    expect(letter).to_contain_text("Guten Tag Person 1")
    expect(letter).to_contain_text("Ihr Zimmer 214")
    letter.get_by_role("button", name="Nächste").click()
    expect(page.locator("[data-preview]")).to_contain_text("Guten Tag Person 2")
    page.get_by_role("button", name="Weiter: prüfen").last.click()
    expect(page.get_by_text("300 von 300 Patienten erhalten die Nachricht")).to_be_visible()


def _sees_failures_first_by_cause(page: Page) -> None:
    causes = page.locator(".cd-why > li")
    expect(causes.first).to_contain_text("Postfach gibt es nicht")
    expect(causes.first.locator(".n")).to_have_text("2")
    expect(causes.filter(has_text="Postfach ist voll").locator(".n")).to_have_text("1")
    rows = page.locator("table[data-messages] tbody tr")
    for number in range(3):
        expect(rows.nth(number)).not_to_contain_text("Gesendet")
    expect(rows.nth(3)).to_contain_text("Gesendet")


def _corrects_an_address_in_its_row(page: Page) -> None:
    causes = page.locator(".cd-why > li")
    causes.first.get_by_role("link", name="2 Adressen berichtigen").click()
    expect(page.locator("table[data-messages] tbody tr")).to_have_count(2)
    row = page.locator(row_of(page, BAD[0]))
    field = row.locator('input[name="address"]')
    field.fill("anna-und-kein-at")
    row.get_by_role("button", name="Speichern und erneut senden").click()
    expect(row.get_by_role("alert")).to_contain_text("Adresse oder Nummer kann nicht stimmen")
    field.fill("anna@example.org")
    row.get_by_role("button", name="Speichern und erneut senden").click()
    mended = page.locator(row_of(page, "anna@example.org"))
    expect(mended).to_be_visible()
    expect(page.locator("[data-announce]")).to_contain_text("neue Adresse")
    # The focus stays with the work: in the next address of this cause, or in what became of this one.
    assert page.evaluate("document.activeElement.closest('tbody') !== null")


def _finds_it_sent(page: Page, address: str) -> None:
    def is_sent() -> bool:
        page.goto(address)
        page.get_by_placeholder("Name, Adresse, Nummer").fill("anna@example.org")
        page.get_by_role("button", name="Filtern").click()
        return "Gesendet" in page.locator(row_of(page, "anna@example.org")).inner_text()

    _until(page, is_sent)


def _reads_the_first_failure_still(page: Page) -> None:
    page.locator(row_of(page, "anna@example.org")).get_by_role("link", name="Person 1").click()
    history = page.locator(".cd-timeline")
    expect(history).to_contain_text("Versuch 2: angenommen")
    expect(history).to_contain_text("Versuch 1: abgewiesen – Postfach gibt es nicht")
    expect(history).to_contain_text("550 5.1.1 <anna+unknown@example.org>")
    expect(history).to_contain_text("Adresse berichtigt von Katja Brandt")


def test_an_address_is_saved_on_the_patients_card_from_its_row(
    browser: Browser, demo: DemoClinic
) -> None:
    """A patient of the clinic's own: the row's script saves on the card, and the card shows it."""
    with visitor(browser) as page:
        sign_in(page, demo)
        page.goto(f"{demo.url}/dispatch/mailings/{demo.mailing}")
        missing = page.locator(".cd-why > li").filter(
            has_text="Keine Adresse oder Nummer hinterlegt"
        )
        missing.get_by_role("link", name=re.compile(r"Adressen? berichtigen")).click()
        row = page.locator("table[data-messages] tbody tr").last
        message = row.get_by_role("link").first.get_attribute("href")
        here = page.url
        row.locator('input[name="address"]').fill("vom.skript@example.org")
        row.get_by_role("button", name="Speichern und erneut senden").click()
        expect(page.locator("[data-announce]")).to_contain_text("Patientenkarte")
        assert page.url == here, "the script stays in the list"
        expect(page.locator(row_of(page, "vom.skript@example.org"))).to_be_visible()
        page.goto(f"{demo.url}{message}")
        expect(page.locator(".cd-timeline")).to_contain_text("in der Patientenkarte gespeichert")
        page.get_by_role("link", name="Patientenkarte öffnen").click()
        expect(page.get_by_label("E-Mail")).to_have_value("vom.skript@example.org")


def _until(page: Page, done: Callable[[], bool]) -> None:
    """Look again until it is so; what waits for the worker has no sign on a page that stands still."""
    for _ in range(PATIENCE // 500):
        if done():
            return
        page.wait_for_timeout(500)
    raise AssertionError("it did not come to that")


def test_a_strange_answer_is_described_once_and_explains_itself_everywhere(
    browser: Browser, demo: DemoClinic
) -> None:
    with visitor(browser) as page:
        sign_in(page, demo)
        page.goto(f"{demo.url}/dispatch/mailings/{demo.mailing}")
        page.locator(".cd-why > li").filter(has_text="Frobnication").locator(".cd-cause").click()
        page.locator("table[data-messages] tbody a").first.click()
        old_message = page.url
        expect(page.locator(".cd-card")).to_contain_text("554 5.9.87 Frobnication 7Q")
        expect(
            page.locator(".cd-card").get_by_role("link", name="Beschreibung ergänzen")
        ).to_be_visible()

        page.get_by_role("link", name="Mailing-Fehler").first.click()
        badge = page.locator(".clinic-badge")
        expect(badge).to_have_text("1")
        page.locator(".cd-new").get_by_role("link", name="Beschreiben").click()
        expect(page.locator("pre")).to_contain_text("554 5.9.87 Frobnication 7Q")
        page.get_by_label("Kurz (steht im Hinweis)").first.fill(
            "Server nimmt am Feiertag nichts an"
        )
        page.get_by_label("Was ist passiert?").first.fill("Der Server ruht an Feiertagen.")
        page.get_by_label("Was hilft?").first.fill("Senden Sie am nächsten Werktag erneut.")
        page.get_by_role("button", name="Speichern").click()
        expect(page.get_by_text("Frühere Nachrichten mit diesem Fehler")).to_be_visible()
        expect(badge).to_have_count(0)

        page.goto(old_message)
        expect(page.locator(".cd-card h2")).to_have_text("Server nimmt am Feiertag nichts an")
        expect(page.locator(".cd-card")).to_contain_text("Der Server ruht an Feiertagen.")
        expect(page.locator(".cd-timeline")).to_contain_text("Server nimmt am Feiertag nichts an")
        page.goto(f"{demo.url}/dispatch/mailings/{demo.mailing}")
        cause = page.locator(".cd-why > li").filter(has_text="Server nimmt am Feiertag nichts an")
        expect(cause.locator(".n")).to_have_text("2")
        expect(cause).to_contain_text("Senden Sie am nächsten Werktag erneut.")


def test_closing_the_browser_midway_loses_nothing(browser: Browser, demo: DemoClinic) -> None:
    demo.relay("slow")
    try:
        with visitor(browser) as page:
            sign_in(page, demo)
            compose(page, "Langsam", list_of("dora+unknown@example.org", others=11))
            page.get_by_role("button", name="Weiter: prüfen").last.click()
            send(page, 12)
            page.wait_for_url(re.compile(r"/progress$"))
            progress = page.url
            expect(page.locator("[data-part]")).to_contain_text("von 12 Nachrichten")
        # That browser is gone; another one finds the mailing where it is.
        with visitor(browser) as page:
            sign_in(page, demo)
            page.goto(progress)
            expect(page.locator("[data-part]")).to_contain_text("von 12 Nachrichten")
            demo.relay("normal")
            page.wait_for_url(LIST, timeout=PATIENCE)
            expect(page.locator(".cd-legend")).to_contain_text("11 gesendet")
            expect(page.locator(".cd-why > li").first).to_contain_text("Postfach gibt es nicht")
            seen = page.locator(".cd-legend").inner_text()
        with visitor(browser) as page:
            sign_in(page, demo)
            page.goto(progress)  # an old bookmark leads to the list as well
            expect(page).to_have_url(LIST)
            assert page.locator(".cd-legend").inner_text() == seen
    finally:
        demo.relay("normal")
