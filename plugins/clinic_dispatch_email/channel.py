"""The e-mail channel as the core sees it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import ClassVar

from clinic_dispatch_email.accounts import FORMS, account_of
from clinic_dispatch_email.addresses import normalised
from clinic_dispatch_email.free_mailboxes import MANY, is_free_mailbox
from clinic_dispatch_email.sender import EmailSender
from clinic_dispatch_email.settings import EmailSettings, read_settings
from clinic_dispatch_plugin.api import Account, Answer, Channel, ContentFields, GatewayForm, Sender


class EmailChannel(Channel):
    """Mail through SMTP relays."""

    key: ClassVar[str] = "email"
    label: ClassVar[str] = "E-mail"
    fields: ClassVar[ContentFields] = ContentFields(subject=True, html=True, attachments=True)
    system: ClassVar[str] = "smtp"

    def __init__(self, settings: EmailSettings | Sequence[Account] | None) -> None:
        """Have the accounts these settings name.

        :param settings: one relay's, or the accounts there are; None: no relay is configured.
        """
        if isinstance(settings, EmailSettings):
            settings = (account_of(settings),)
        self._accounts = tuple(settings or ())

    def accounts(self) -> Sequence[Account]:
        """The relays of the configuration."""
        return self._accounts

    def forms(self) -> Sequence[GatewayForm]:
        """One for each way to encrypt."""
        return FORMS

    def account_at(self, url: str, *, key: str, allowed: Sequence[str]) -> Account:
        """The relay that a URL of the settings page describes.

        :raises ConfigurationError: something is wrong or missing.
        """
        return account_of(read_settings(url, sender=None, allowed=allowed), key=key)

    def normalise_address(self, raw: str, *, region: str) -> str:
        """The first valid address of a field; the country does not matter."""
        return normalised(raw)

    def foresee(self, account: Account, *, recipients: int) -> Sequence[Answer]:
        """Many alike from a free mailbox are taken for spam: better the clinic's own hosting."""
        if recipients >= MANY and is_free_mailbox(account.settings.from_address):
            return [Answer(system="dispatch", code="free_mailbox")]
        return ()

    @contextmanager
    def open(self, account: Account) -> Iterator[Sender]:
        """A sender that connects when it first has something to send."""
        settings: EmailSettings = account.settings
        if account.connections < settings.connections:
            settings = replace(settings, connections=account.connections)
        sender = EmailSender(settings)
        try:
            yield sender
        finally:
            sender.close()

    def connect(self, account: Account) -> None:
        """Connect, greet, encrypt and sign in as for sending, then quit.

        :raises ChannelError: which of these failed, and why.
        """
        sender = EmailSender(account.settings)
        try:
            sender.sign_in()
        finally:
            sender.close()
