"""The country of a number, as price lists know it, and what texts cost by it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import phonenumbers

from clinic_dispatch_plugin.api import Money, OutgoingMessage
from clinic_dispatch_sms.http_gateway import added
from clinic_dispatch_sms.text import measured


def country_of(number: str) -> str:
    """Two capital letters; empty where the number belongs to no country."""
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return ""
    return phonenumbers.region_code_for_number(parsed) or ""


class CountryPrices:
    """What texts would cost at a gateway that tells a price by country; each country is asked for once."""

    def __init__(self, ask: Callable[[str], Money | None]) -> None:
        """Ask nothing yet.

        :param ask: the price of one part in a country; None where it is not told.
        """
        self._ask = ask
        self._known: dict[str, Money | None] = {}

    def of(self, batch: Sequence[OutgoingMessage]) -> Money | None:
        """All of them together; None where a country's price is not told.

        :raises ChannelError: the gateway could not be asked.
        """
        return added([self._of(message) for message in batch])

    def _of(self, message: OutgoingMessage) -> Money | None:
        country = country_of(message.address)
        if country not in self._known:
            self._known[country] = self._ask(country) if country else None
        price = self._known[country]
        parts = measured(message.content.text).parts
        return Money(amount=price.amount * parts, currency=price.currency) if price else None
