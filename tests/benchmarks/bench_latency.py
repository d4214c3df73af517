"""Far relays: 50 ms after each text, and 20 ms a round trip; what counts is how well the waiting is filled."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.benchmarks.figures import Findings, sized
from tests.benchmarks.ground import Ground, lacking, smtp_source, standing

CONNECTIONS = 10
AFTER_TEXT, ROUND_TRIP = 0.05, 0.02


def main() -> int:
    """Run it and print the ratios."""
    with Findings(__file__, "Latency") as findings:
        if why := lacking():
            findings.tell("latency", None, note=why)
            return 0
        with standing() as ground:
            _after_text(findings, ground)
            _round_trip(findings, ground)
    return 0


def _after_text(findings: Findings, ground: Ground) -> None:
    port = ground.relay("--after-text", str(AFTER_TEXT))
    clinic = ground.clinic(port, options=f"?connections={CONNECTIONS}")
    one, _ = clinic.rate(sized(3_000))
    # An account's connections are shared by all workers: each of the two has as many as the one.
    wider = ground.clinic(port, options=f"?connections={2 * CONNECTIONS}")
    two, _ = wider.rate(sized(6_000), workers=2)
    ideal = CONNECTIONS / AFTER_TEXT
    findings.tell("50 ms after the text, one worker of 10 connections", one, "msg/s")
    findings.tell("of connections ÷ latency", one / ideal, "×", least=0.9)
    findings.tell("two workers of 10 connections each / one", two / one, "×", least=1.8)


def _round_trip(findings: Findings, ground: Ground) -> None:
    port = ground.relay("--round-trip", str(ROUND_TRIP))
    clinic = ground.clinic(port, options=f"?connections={CONNECTIONS}")
    source = smtp_source(port, sized(2_000), sessions=CONNECTIONS)
    ours, _ = clinic.rate(sized(6_000))
    findings.tell("20 ms round trip, one worker of 10 connections", ours, "msg/s")
    findings.tell("smtp-source with as many", source, "msg/s")
    findings.tell("ours / smtp-source, 20 ms round trip", ours / source, "×", least=3)


if __name__ == "__main__":
    sys.exit(main())
