"""What a mailing costs whose messages all fail, of ten causes, beside one whose messages all go out.

Processor time of this process: opening, recording and explaining, without a gateway. ``make bench``, or
``python tests/benchmarks/bench_recording.py [--database URL]``.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from clinic_dispatch_plugin.error_reference.policy import PolicyAction
from clinic_dispatch_plugin.error_reference.service import reference
from clinic_dispatch_plugin.testing import FakeChannel, FakeHost
from clinic_dispatch_plugin.testing.fake_channel import refuse
from tests.engine.dispatching import Desk, make_dispatch

MESSAGES = 1_000
ROUNDS = 5
#: Whose answers come: any service with ten plain refusals would do.
SYSTEM = "twilio_delivery"


def main() -> int:
    """Run it and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--database", default="", help="a URL of a database of its own; SQLite otherwise"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = options.database or f"sqlite:///{folder}/clinic.sqlite"
        channel = FakeChannel()
        dispatch = make_dispatch(url, Path(folder), channel=channel)
        desk = Desk(dispatch=dispatch, channel=channel, host=FakeHost())
        codes = _codes(desk)
        cost(desk, "warm", [])
        cost(desk, "cold", codes)
        sent = min(cost(desk, f"a{n}", []) for n in range(ROUNDS))
        failed = min(cost(desk, f"b{n}", codes) for n in range(ROUNDS))
        assert desk.states() == {
            "sent": (ROUNDS + 1) * MESSAGES,
            "undelivered": (ROUNDS + 1) * MESSAGES,
        }
        dispatch.database.dispose()
    print(f"a message that went out  {sent / MESSAGES * 1e6:8,.0f} µs")
    print(f"a message that failed    {failed / MESSAGES * 1e6:8,.0f} µs")
    print(f"failed / went out {failed / sent:6.2f}")
    return 0


def _codes(desk: Desk) -> Sequence[str]:
    """Ten codes after which a message is given up and nothing else happens."""
    with desk.dispatch.database.begin() as connection:
        known = reference(desk.dispatch, connection).entries.values()
    plain = (
        entry.code
        for entry in known
        if entry.system == SYSTEM
        and entry.code.isdigit()
        and entry.policy.action is PolicyAction.FAIL
        and not (entry.policy.block or entry.policy.pause_share)
    )
    found = list(islice(plain, 10))
    assert len(found) == 10
    return found


def cost(desk: Desk, name: str, codes: Sequence[str]) -> float:
    """Seconds of processor time for a mailing whose messages fail with these codes in turn; none: they go out."""
    people = [f"{name}{n}@example.org" for n in range(MESSAGES)]
    for number, address in enumerate(people) if codes else ():
        code = codes[number % len(codes)]
        text = f"{code} {address} cannot be reached just now"
        desk.channel.will(address, refuse(code, text, system=SYSTEM, retryable=False))
    desk.mailing(people)
    start = time.process_time()
    desk.pump()
    return time.process_time() - start


if __name__ == "__main__":
    sys.exit(main())
