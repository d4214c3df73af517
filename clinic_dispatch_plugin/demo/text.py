"""The texts of the demo's mailings."""

from __future__ import annotations

#: By every way there is: the shortest words that are enough.
RESULTS_NAME = "Befund liegt vor"
RESULTS_SUBJECT = "Ihr Befund liegt vor"
RESULTS_TEXT = "Guten Tag {{ name }}, Ihr Befund ({{ result }}) liegt vor. Ihre Klinik am Park"
RESULTS_SPOKEN = "Guten Tag {{ name }}. Hier ist die Klinik am Park. Ihr Befund liegt vor. Bitte rufen Sie uns an."
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
