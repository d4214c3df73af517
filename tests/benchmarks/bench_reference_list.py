"""Opening *Mailing errors* with 1,500 entries against fifty: the server's time, the bytes, and a browser's time.

``make bench``, or ``python tests/benchmarks/bench_reference_list.py``. Every entry has occurred: the worst case.
What was counted holds for two seconds: *warm* asks within them, *cold* counts anew for every page. Both clinics are
asked turn by turn, so that a busy machine is busy for both.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from sqlalchemy import Connection
from werkzeug.test import Client

from clinic_dispatch_plugin.channels.types import Answer
from clinic_dispatch_plugin.error_reference import again, occurring, service, store
from clinic_dispatch_plugin.error_reference.rules import KnownEntry
from clinic_dispatch_plugin.messages.lists_store import count_by_answer
from clinic_dispatch_plugin.messages.occurrences_store import count_occurrences
from clinic_dispatch_plugin.registry import Dispatch
from tests.clinic.host import Clinic, make_clinic
from tests.clinic.mailbag import Mailbag
from tests.clinic.serving import serving
from tests.servers import browser
from tests.servers.found import Found

FEW, MANY = 50, 1_500
ROUNDS = 25
LIST = "/dispatch/errors"
#: Seconds for which what was counted holds.
KINDS = {"warm": 3_600.0, "cold": 0.0}
#: What a person does with the list, and the address it asks for.
CASES = {
    "opened": LIST,
    "searched for a word": f"{LIST}?q=postfach",
    "one heading": f"{LIST}?heading=sending",
    "with an entry beside it": f"{LIST}?entry=1",
}


def texts() -> list[KnownEntry]:
    """The shipped entries, spread over all services."""
    with tempfile.TemporaryDirectory() as folder:
        dispatch = make_clinic(Path(folder)).dispatch
        with dispatch.database.begin() as connection:
            found = list(service.reference(dispatch, connection).entries.values())
        dispatch.database.dispose()
    return found


def filled(folder: Path, shipped: Sequence[KnownEntry], n: int) -> Clinic:
    """A clinic with so many entries, each of which explains one answer of two messages."""
    clinic = make_clinic(folder, packs=False)
    clinic.host.page_layout = None
    clinic.dispatch.cache["count_by_answer"] = count_by_answer
    clinic.dispatch.cache["count_occurrences"] = count_occurrences
    step = max(1, len(shipped) // n)
    chosen = [shipped[place * step % len(shipped)] for place in range(n)]
    clinic.dispatch.database.run(lambda connection: _add(connection, chosen))
    _occur(clinic.dispatch, chosen)
    return clinic


def _add(connection: Connection, chosen: Sequence[KnownEntry]) -> None:
    store.bump(connection)
    usual = {"pattern": "", "unless": "", "position": 0, "origin": "shipped", "updated_by": ""}
    rows = [
        {**usual, "system": entry.system, "code": f"{number}", "shipped": dict(entry.content)}
        for number, entry in enumerate(chosen)
    ]
    store.add_entries(connection, [{**row, "pack": "bench", "withdrawn": False} for row in rows])


def _occur(dispatch: Dispatch, chosen: Sequence[KnownEntry]) -> None:
    def work(connection: Connection) -> None:
        for number, entry in enumerate(chosen):
            answer = Answer(system=entry.system, code=f"{number}", text=f"answer {number}")
            service.note_answer(dispatch, connection, answer, channel="email")
        again.explain_again(connection)

    dispatch.database.run(work)
    bag = Mailbag(dispatch)
    mailing = bag.mailing()
    with dispatch.database.begin() as connection:
        ids = [row["id"] for row in store.answers(connection)]
    for answer_id in ids:
        bag.message(mailing, "undelivered", answer_id=answer_id)


def middles(works: Sequence[Callable[[], float]]) -> list[float]:
    """The middle one of several rounds of each, turn by turn."""
    rounds = [[work() for work in works] for _ in range(ROUNDS)]
    return [statistics.median(each) for each in zip(*rounds, strict=True)]


def server_seconds(client: Client, address: str) -> float:
    """How long the server works on a page."""
    start = time.perf_counter()
    answer = client.get(address)
    assert answer.status_code == 200
    return time.perf_counter() - start


def browser_seconds(page: Any, address: str) -> float:
    """From asking for the page until its scripts have run and it can be used."""
    page.goto(address)
    return float(
        page.evaluate("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd")
    )


def in_a_browser(clinics: Sequence[Clinic]) -> None:
    """Milliseconds until the list can be used, few entries and many turn by turn."""
    found = browser.find()
    if not isinstance(found, Found):
        print("no Chromium here: the browser's time is left out")
        return
    with (
        browser.running(found) as chromium,
        browser.fresh_page(chromium) as page,
        serving(clinics[0].app) as few,
        serving(clinics[1].app) as many,
    ):
        for base in (few, many):
            browser_seconds(page, f"{base}{LIST}")
        pairs = [
            (browser_seconds(page, f"{few}{LIST}"), browser_seconds(page, f"{many}{LIST}"))
            for _ in range(ROUNDS)
        ]
    small, large = (statistics.median(each) for each in zip(*pairs, strict=True))
    print(f"{'usable in a browser':30} {small:7.1f} ms {large:7.1f} ms {large / small:5.2f} x")


def main() -> None:
    """Print the figures of both and their ratio."""
    import logging

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    shipped = texts()
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        clinics = [filled(Path(first), shipped, FEW), filled(Path(second), shipped, MANY)]
        clients = [clinic.app.test_client() for clinic in clinics]
        print(f"{'':30} {FEW:7,}    {MANY:7,}    ratio")
        for name, address in CASES.items():
            for client in clients:
                server_seconds(client, address)
            for kind, seconds in KINDS.items():
                occurring.FRESH_SECONDS = seconds
                few, many = middles([partial(server_seconds, each, address) for each in clients])
                said = f"{name}, {kind}"
                print(f"{said:30} {few * 1e3:7.1f} ms {many * 1e3:7.1f} ms {many / few:5.2f} x")
            sizes = [len(client.get(address).data) / 1_024 for client in clients]
            print(f"{'':30} {sizes[0]:7.1f} kB {sizes[1]:7.1f} kB {sizes[1] / sizes[0]:5.2f} x")
        in_a_browser(clinics)
        for clinic in clinics:
            clinic.dispatch.database.dispose()


if __name__ == "__main__":
    main()
