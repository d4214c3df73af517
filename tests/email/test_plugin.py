"""The plugin as the core loads it."""

from __future__ import annotations

from importlib.metadata import entry_points

import pytest

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
    assert [pack.key for pack in packs] == ["smtp_enhanced", "smtp_patterns", "smtp_reply"]
    assert {pack.system for pack in packs} == {"smtp"}
    assert all(pack.entries for pack in packs)


@pytest.mark.parametrize(
    ("sender", "recipients", "foreseen"),
    [
        ("Praxis <praxis@gmail.com>", 50, ["free_mailbox"]),
        ("praxis@GMX.de", 200, ["free_mailbox"]),
        ("praxis@mail.ru", 5_000, ["free_mailbox"]),
        ("praxis@gmail.com", 49, []),
        ("praxis@klinik-gmail.com", 5_000, []),
        ("praxis@clinic.example", 5_000, []),
    ],
)
def test_many_mails_from_a_free_mailbox_are_foreseen_to_fail(
    sender: str, recipients: int, foreseen: list[str]
) -> None:
    config = {
        "CLINIC_DISPATCH_EMAIL_URL": "smtp://127.0.0.1:25",
        "CLINIC_DISPATCH_EMAIL_FROM": sender,
    }
    (channel,) = clinic_dispatch_email.clinic_dispatch_channels(config)
    (account,) = channel.accounts()
    answers = channel.foresee(account, recipients=recipients)
    assert [answer.code for answer in answers] == foreseen
