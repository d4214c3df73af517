"""``make soak``: runs the clinic, breaks everything by a seed, lets it settle, and says what was promised and kept."""

from __future__ import annotations

import argparse
import random
import sys

from tests.soak.running import DATABASES, Order, run


def main() -> int:
    """Read the words, run, and give the exit status."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--database", choices=DATABASES, default="postgresql")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--calm", type=float, default=20.0, help="seconds without faults first")
    parser.add_argument("--pace", type=float, default=1.0, help="2: half as many faults")
    words = parser.parse_args()
    order = Order(
        seconds=words.minutes * 60,
        seed=words.seed,
        kind=words.database,
        workers=1 if words.database == "sqlite" else words.workers,
        calm=words.calm,
        pace=words.pace,
    )
    return 0 if run(order, say=print) else 1


if __name__ == "__main__":
    sys.exit(main())
