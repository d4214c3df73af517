"""The text of the demo's first mailing."""

from __future__ import annotations

NAME = "Terminerinnerung"
SUBJECT = "Ihr Termin am {{ date | date }} in der Klinik am Park"
TEXT = """{{ salutation }},

wir erwarten Sie am {{ date | date: "weekday" }} um {{ time | time }} Uhr bei {{ doctor }}, {{ room }}.

Falls Sie verhindert sind, rufen Sie uns bitte an: 030 23125 100.

Ihre Klinik am Park
"""
HTML = """<p>{{ salutation }},</p>
<p>wir erwarten Sie am <strong>{{ date | date: "weekday" }} um {{ time | time }} Uhr</strong>
bei {{ doctor }}, {{ room }}.</p>
<p>Falls Sie verhindert sind, rufen Sie uns bitte an: <a href="tel:+493023125100">030 23125 100</a>.</p>
<p>Ihre Klinik am Park</p>
"""
