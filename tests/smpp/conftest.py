"""Senders and centres that end with their test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clinic_dispatch_plugin.simulators.smpp import CentreSettings, SmppSimulator
from clinic_dispatch_sms.smpp.sender import SmppSender
from tests.email.conftest import certificate as certificate
from tests.smpp.making import PASSWORD, channel_for


@pytest.fixture
def sender_for() -> Iterator[Callable[..., SmppSender]]:
    """Open senders by URL; they are closed after the test."""
    with ExitStack() as stack:

        def open_sender(url: str, options: str = "timeout=5") -> SmppSender:
            channel, account = channel_for(url, options)
            sender = stack.enter_context(channel.open(account))
            assert isinstance(sender, SmppSender)
            return sender

        yield open_sender


@pytest.fixture
def start_centre(tmp_path: Path) -> Iterator[Callable[..., SmppSimulator]]:
    """Start a centre with the given settings; it writes its ledger to ``ledger`` in ``tmp_path``."""
    ordinary = CentreSettings(
        system_id="clinic",
        password=PASSWORD,
        ledger=tmp_path / "ledger",
        receipt_after=0.0,
        receipt_again=0.2,
    )
    with ExitStack() as stack:

        def start(**settings: Any) -> SmppSimulator:
            return stack.enter_context(SmppSimulator(replace(ordinary, **settings)))

        yield start
