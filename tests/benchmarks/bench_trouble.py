"""Failures among what goes out, and a crowd that was told to come back, beside new mail."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from sqlalchemy import String, cast, select, update

from clinic_dispatch_plugin.database.base import db_now
from clinic_dispatch_plugin.messages.tables import Message
from tests.benchmarks.clinic import Clinic
from tests.benchmarks.figures import Findings, sized
from tests.benchmarks.ground import Ground, lacking, standing

ROUNDS = 3


def main() -> int:
    """Run it and print the ratios."""
    with Findings(__file__, "Trouble") as findings:
        if why := lacking():
            findings.tell("trouble", None, note=why)
            return 0
        with standing() as ground:
            _mixed(findings, ground)
            _greylisted(findings, ground)
    return 0


def _mixed(findings: Findings, ground: Ground) -> None:
    clinic, many = ground.clinic(ground.relay()), sized(4_000)
    bad = max(many // 20, 10)
    plain, mixed = [], []
    for _ in range(ROUNDS):
        plain.append(clinic.work(clinic.mailing(many)).seconds)
        # One mailing, so that good and bad stand side by side.
        mailing = clinic.mailing(many)
        _spoil(clinic, mailing, every=many // bad)
        mixed.append(clinic.work(mailing).seconds)
        if many - clinic.states(mailing).get("sent", 0) < bad:  # some are tried again later
            raise SystemExit(f"too few failed: {clinic.states(mailing)}")
    findings.tell(
        "time with 5 % failures of ten causes / without", min(mixed) / min(plain), "×", most=1.1
    )


def _spoil(clinic: Clinic, mailing: int, *, every: int) -> None:
    """Every so many rows one address belongs to somebody the relay refuses, for ten reasons in turn."""
    number = cast((Message.id // every) % 10, String)
    with clinic.dispatch.database.begin() as connection:
        connection.execute(
            update(Message)
            .where(Message.mailing_id == mailing, Message.id % every == 0)
            .values(address="refuse-" + number + "." + Message.address)
        )


def _greylisted(findings: Findings, ground: Ground) -> None:
    clinic, few, crowd = ground.clinic(ground.relay()), sized(1_000), sized(10_000, 20_000)
    grey = clinic.mailing(crowd, address="grey.p{n}@example.org")
    clinic.work(grey)  # all are told to come back
    with clinic.dispatch.database.begin() as connection:
        connection.execute(
            update(Message).where(Message.mailing_id == grey).values(due_at=db_now(-1))
        )
        start = connection.execute(select(db_now())).scalar_one()
    fresh = clinic.mailing(few)
    clinic.work(fresh)
    if clinic.states(grey) != {"sent": crowd}:
        raise SystemExit(f"not all came back: {clinic.states(grey)}")
    new, all_of_it = ((clinic.span(each)[1] - start).total_seconds() for each in (fresh, grey))
    findings.tell(f"{crowd:,} greylisted, due again at once, are out after", all_of_it, "s")
    findings.tell(f"{few:,} new messages beside them are out after", new, "s")
    findings.tell(
        "new messages / all", new / all_of_it, "×", most=0.5, note="they take turns with the crowd"
    )


if __name__ == "__main__":
    sys.exit(main())
