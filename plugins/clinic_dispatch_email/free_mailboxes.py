"""Mail providers whose mailboxes are made for persons: hundreds of identical mails from one look like spam."""

from __future__ import annotations

#: Recipients from which on a mailing is foretold to be taken for spam: such providers allow a few hundred mails a day
#: (Gmail 500: support.google.com/mail/answer/22839), and receivers look at what comes in a short time.
MANY = 50

#: By what their names say, as they stand in sender addresses. A domain hosted by one of them is not among these.
FREE = frozenset(
    """
    gmail.com googlemail.com outlook.com outlook.de hotmail.com hotmail.de live.com live.de msn.com
    yahoo.com yahoo.de ymail.com aol.com aol.de icloud.com me.com mac.com proton.me protonmail.com
    gmx.de gmx.net gmx.at gmx.ch gmx.com web.de t-online.de freenet.de arcor.de mail.de email.de posteo.de
    mail.ru bk.ru list.ru inbox.ru internet.ru yandex.ru yandex.com yandex.kz ya.ru rambler.ru lenta.ru
    mail.kz ukr.net i.ua meta.ua tut.by zoho.com seznam.cz wp.pl o2.pl onet.pl interia.pl abv.bg
    laposte.net orange.fr free.fr libero.it virgilio.it qq.com 163.com 126.com
    """.split()  # noqa: SIM905
)


def is_free_mailbox(address: str) -> bool:
    """Whether a sender's address is a mailbox of a provider for persons."""
    return address.rpartition("@")[2].strip().casefold() in FREE
