"""The plugin as the core loads it."""

from __future__ import annotations

from importlib.metadata import entry_points

import clinic_dispatch_email
from clinic_dispatch_email.channel import EmailChannel


def test_it_comes_in_through_its_entry_point() -> None:
    (found,) = entry_points(group="clinic_dispatch.plugins", name="email")
    assert found.load() is clinic_dispatch_email


def test_it_brings_one_channel_with_or_without_a_relay() -> None:
    (channel,) = clinic_dispatch_email.clinic_dispatch_channels({})
    assert isinstance(channel, EmailChannel)
    assert (channel.key, channel.system, len(channel.accounts())) == ("email", "smtp", 0)


def test_it_brings_what_smtp_answers_mean() -> None:
    packs = clinic_dispatch_email.clinic_dispatch_reference_packs()
    assert [pack.key for pack in packs] == ["smtp_patterns", "smtp_enhanced", "smtp_reply"]
    assert {pack.system for pack in packs} == {"smtp"}
    assert all(pack.entries for pack in packs)
