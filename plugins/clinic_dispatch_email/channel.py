"""The e-mail channel as the core sees it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import ClassVar

from clinic_dispatch_email.addresses import normalised
from clinic_dispatch_email.free_mailboxes import MANY, is_free_mailbox
from clinic_dispatch_email.sender import EmailSender
from clinic_dispatch_email.settings import EmailSettings
from clinic_dispatch_plugin.api import Account, Answer, Channel, ContentFields, Sender


class EmailChannel(Channel):
    """Mail through one SMTP relay."""

    key: ClassVar[str] = "email"
    label: ClassVar[str] = "E-mail"
    fields: ClassVar[ContentFields] = ContentFields(subject=True, html=True, attachments=True)
    system: ClassVar[str] = "smtp"

    def __init__(self, settings: EmailSettings | None) -> None:
        """Have the accounts these settings name.

        :param settings: None: no relay is configured, and there is no account.
        """
        self._settings = settings

    def accounts(self) -> Sequence[Account]:
        """The one relay, if there is one."""
        settings = self._settings
        if settings is None:
            return ()
        return (
            Account(
                channel=self.key,
                label=settings.label,
                settings=settings,
                rate=settings.rate,
                connections=settings.connections,
            ),
        )

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
        sender = EmailSender(account.settings)
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
