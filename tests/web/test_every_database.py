"""Every page and every button on each database the clinic may have: a statement one of them refuses is found here."""

from __future__ import annotations

from pathlib import Path

from tests.clinic.browsing import token_in
from tests.clinic.full import EMAIL, fill
from tests.clinic.host import make_clinic
from tests.clinic.rubbish import FORMS
from tests.guards.test_routes import CALLED, addresses_of, rules_of

#: What the pages are asked for besides themselves.
FILTERS = (
    "/dispatch/?q=anna&channel=email&state=undelivered&from=2026-01-01&to=2199-12-31",
    "/dispatch/?cause=smtp:5.1.1",
    "/dispatch/?list=Termin&mailing=1",
    "/dispatch/?after=0.3",
    "/dispatch/?before=0.1",
    "/dispatch/messages.csv?q=anna",
    "/dispatch/mailings?before=3",
    "/dispatch/mailings/{mailing}?cause=smtp:5.1.1&state=undelivered&q=berger",
    "/dispatch/templates?archived=1",
    "/dispatch/errors?q=5.1.1",
    "/dispatch/errors?whose=retired",
    "/dispatch/errors?show=occurred&missing=any&heading=sending&page=2",
)


def test_every_page_and_form_works(database_url: str, tmp_path: Path) -> None:
    clinic = make_clinic(tmp_path, config={**EMAIL, "SQLALCHEMY_DATABASE_URI": database_url})
    ids = fill(clinic)
    client = clinic.app.test_client()
    pages = [
        address
        for rule in rules_of(clinic.app)
        if "GET" in (rule.methods or ()) and rule.endpoint.partition(".")[2] not in CALLED
        for address in addresses_of(clinic.app, ids, rule)
    ]
    # Once for whoever sees everybody, once where the host hides somebody and is asked row by row.
    for hidden in (set[str](), {"p3"}):
        clinic.host.hidden = hidden
        for address in (*pages, *(each.format(**ids) for each in FILTERS)):
            answer = client.get(address)
            allowed = {200, 303} | ({404} if hidden else set())
            assert answer.status_code in allowed, f"{address}: {answer.status} {answer.text}"
    clinic.host.hidden = set()
    token = token_in(client.get(f"/dispatch/messages/{ids['undelivered']}").text)
    for path, said in FORMS.items():
        address = f"/dispatch{path.format(**ids)}".rstrip("?")
        data = {name: value.format(**ids) for name, value in said.items()}
        answer = client.post(address, data={"csrf_token": token, **data})
        assert answer.status_code in {200, 303, 404, 409, 422}, f"{address}: {answer.status}"
    clinic.dispatch.database.dispose()
