"""Who may not come in is told so in words, in the clinic's own layout, and nobody signed in is led to the sign-in."""

from __future__ import annotations

from playwright.sync_api import Browser, expect

from tests.browser.clinic import DemoClinic, sign_in, visitor


def test_a_colleague_without_rights_reads_why_and_whom_to_ask(
    browser: Browser, demo: DemoClinic
) -> None:
    with visitor(browser) as page:
        sign_in(page, demo, "gast")
        expect(page.get_by_role("link", name="Versand", exact=True)).to_have_count(0)
        for path in ("/dispatch/", "/dispatch/errors", f"/dispatch/mailings/{demo.mailing}"):
            answer = page.goto(demo.url + path)
            assert answer is not None and answer.status == 403
            expect(page.get_by_role("heading", level=1)).to_have_text("Das dürfen Sie nicht")
            expect(page.get_by_text("Die Verwaltung kann sie Ihnen geben")).to_be_visible()
            expect(page.get_by_role("button", name="Abmelden")).to_be_visible()


def test_whoever_is_signed_out_signs_in_and_arrives_where_they_wanted(
    browser: Browser, demo: DemoClinic
) -> None:
    with visitor(browser) as page:
        page.goto(f"{demo.url}/dispatch/errors?q=5.1.1")
        expect(page.get_by_role("heading", level=1)).to_have_text("Anmelden")
        page.get_by_label("Benutzername").fill("empfang")
        page.get_by_label("Kennwort").fill("demo")
        page.get_by_role("button", name="Anmelden").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Mailing-Fehler")
        expect(page.get_by_placeholder("Kennzahl oder Text suchen")).to_have_value("5.1.1")


def test_a_page_that_does_not_exist_says_so_in_the_layout(
    browser: Browser, demo: DemoClinic
) -> None:
    with visitor(browser) as page:
        sign_in(page, demo)
        answer = page.goto(f"{demo.url}/dispatch/mailings/999999")
        assert answer is not None and answer.status == 404
        expect(page.get_by_role("heading", level=1)).to_have_text("Diese Seite gibt es nicht")
        expect(page.get_by_role("link", name="Mailinglisten")).to_be_visible()
