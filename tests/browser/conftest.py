"""One demo clinic for all tests with a browser: started when the first of them needs it, ended after the last."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.browser import clinic
from tests.browser.clinic import DemoClinic
from tests.servers import browser as chromium
from tests.servers.found import require


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoClinic]:
    """Give a demo clinic whose first mailing has ended; tests send mailings of their own."""
    require(chromium.find())
    expect.set_options(timeout=clinic.ACTION)
    with clinic.running(tmp_path_factory.mktemp("demo")) as started:
        yield started
