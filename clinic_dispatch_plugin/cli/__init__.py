"""``flask dispatch …``: the same work for people, scripts and checks."""

from __future__ import annotations

from clinic_dispatch_plugin.cli import (
    blocks,
    bounces,
    database,
    delivery,
    describing,
    doctor,
    exchange,
    health,
    listing,
    mailings,
    patient,
    recover,
    reference,
    secrets,
    sending,
    worker,
)
from clinic_dispatch_plugin.cli.base import dispatch

database.register(dispatch)
sending.register(dispatch)
mailings.register(dispatch)
listing.register(dispatch)
worker.register(dispatch)
reference.register(dispatch)
describing.register(dispatch)
exchange.register(dispatch)
health.register(dispatch)
doctor.register(dispatch)
bounces.register(dispatch)
blocks.register(dispatch)
delivery.register(dispatch)
recover.register(dispatch)
secrets.register(dispatch)
patient.register(dispatch)

__all__ = ["dispatch"]
