"""The host of the crash tests: configured by the environment alone, so that any process can begin again."""

from __future__ import annotations

import os

from flask import Flask

from clinic_dispatch_plugin.extension import ClinicDispatch
from clinic_dispatch_plugin.host.types import Recipient
from clinic_dispatch_plugin.testing import FakeHost

#: How many patients the host has.
PEOPLE = "CRASH_TEST_PEOPLE"


def patients() -> list[Recipient]:
    """As many as the environment says."""
    return [
        Recipient(
            ref=f"r{number}",
            name=f"P{number}",
            addresses={"email": f"p{number}@patient.example"},
            values={"name": f"P{number}"},
        )
        for number in range(int(os.environ.get(PEOPLE, "0")))
    ]


def create_app() -> Flask:
    """The host, with a database of our own."""
    app = Flask("crash_clinic")
    ClinicDispatch().init_app(app, host=FakeHost(patients()))
    return app
