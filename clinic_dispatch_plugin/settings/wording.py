"""The words of the settings page: what channels call their fields, what went wrong, what people did."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from babel.dates import format_date
from sqlalchemy import RowMapping

from clinic_dispatch_plugin.accounts.book import Unusable
from clinic_dispatch_plugin.settings.sentences import sentence
from clinic_dispatch_plugin.web import words
from clinic_dispatch_plugin.web.i18n import N_, _, language, zone

#: What the shipped channels write beside their fields; a third party brings its own translations.
LABELS = (
    N_("Messages a second at most"),
    N_("Empty: as fast as the service takes them."),
    N_("Connections at once"),
    N_("Over all workers. Empty: the usual number for each worker."),
    N_("Most money a day"),
    N_("Most money a month"),
    N_("In the account's currency, such as 20.00. Empty: no limit."),
    N_("Another server"),
    N_("Only where the provider named an address of its own, such as https://sms.example."),
    N_("Address for delivery reports"),
    N_("The one that stands on the account's page. Empty: the service is asked instead."),
    N_("Sender"),
    N_("What recipients see: a name or number your provider agreed to."),
    N_("Site"),
    N_("Such as smsc.kz or smsc.ru."),
    N_("Login"),
    N_("Password"),
    N_("Key for delivery reports"),
    N_("The one set at the provider for reports."),
    N_("Server"),
    N_("Such as smpp.provider.example."),
    N_("Port"),
    N_("Empty: the usual one."),
    N_("Login (system_id)"),
    N_("Encrypted (TLS)"),
    N_("no"),
    N_("yes"),
    N_("Account SID or API key"),
    N_("Begins with AC or SK."),
    N_("Token or secret of the API key"),
    N_("Account SID"),
    N_("Only with an API key."),
    N_("Your own one, such as abc123.api.infobip.com."),
    N_("API key"),
    N_("API secret"),
    N_("Signature secret"),
    N_("Delivery reports are proved by it."),
    N_("The number that is shown to whoever is called."),
    N_("The name registered at Viber."),
    N_("Such as mail.clinic.example."),
    N_("Whom mails come from, such as Clinic <post@clinic.example>."),
    N_("Mail server with log-in (STARTTLS, port 587)"),
    N_("Mail server with log-in (TLS, port 465)"),
    N_("Mail server without log-in (port 25)"),
    N_("Price of one part"),
    N_("What the provider charges for one part of a message, such as 0.05. Needed for a limit."),
    N_("Currency of the price"),
    N_("Three letters, such as EUR."),
    N_(
        "Is filled in by itself when the address is made on this page. Empty: the service is asked instead."
    ),
    N_("Exchange by SIP"),
    N_("Exchange by SIP, encrypted (TLS)"),
    N_("The exchange, such as exchange.clinic.example."),
    N_("Empty where the exchange knows this machine."),
    N_("Domain of numbers"),
    N_("Empty: the server's name."),
    N_("Where the number is shown"),
    N_("as the caller (From)"),
    N_("beside the login (P-Asserted-Identity)"),
    N_("Transport"),
    N_("Digits before each number"),
    N_("Such as 0, where the exchange needs it for an outside line."),
    N_("Numbers begin with +"),
    N_("Seconds it rings"),
    N_("Empty: 30."),
    N_("How often the message is said"),
    N_("Empty: twice, to whoever presses no key."),
    N_("Ask for a key (1 again, 2 confirm)"),
    N_("When a machine answers"),
    N_("is not noticed: it counts as a person"),
    N_("counts as nobody reached: tried again"),
    N_("the message is left on it, and that is enough"),
    N_("Kind of sound"),
    N_("Calls at once"),
    N_("Over all workers. Empty: 2 for each worker."),
    N_("How Asterisk reaches a number"),
    N_("Such as PJSIP/{number}@trunk."),
    N_("Name of the application"),
    N_("Empty: clinic-dispatch."),
    N_("Address with log-in (URL)"),
    N_("As the channel's description says, such as name://login:password@host/?option=value."),
)
UNUSABLE: Mapping[str, str] = {
    "key": N_(
        "It was encrypted with a key that is not in CLINIC_DISPATCH_SECRET_KEYS any more. "
        "Put the key back there, or enter the log-in again."
    ),
    "channel": N_("The plugin that brings this channel is not installed or was left out."),
    "place": N_(
        "Its address {text} is in a private network, which CLINIC_DISPATCH_PRIVATE_GATEWAYS does not permit."
    ),
    "settings": N_("The channel does not take these settings any more. {text}"),
    "plugin": N_("The channel's plugin failed on these settings ({text})."),
}
SAID: Mapping[str, str] = {
    "added": N_("The account is set up. Now test it."),
    "changed": N_("The account is changed. Every worker knows it within a few seconds."),
    "same": N_("Nothing was changed."),
    "removed": N_("The account is removed. What waited for it goes to the next one."),
    "off": N_("The account is switched off. What waits for it goes to the next one."),
    "on": N_("The account is switched on. The next message shows whether it works."),
    "again": N_("It is tried again now."),
    "ready": N_("It was in order already."),
    "moved": N_("The order is changed."),
    "edge": N_("It stands at the end already."),
    "gone": N_("This account is not set up any more."),
    "quiet_changed": N_(
        "The quiet hours are changed. They hold for everything that becomes due from now on; "
        "what waits already keeps its time."
    ),
}
DEEDS: Mapping[str, str] = {
    "account_added": N_("Set up"),
    "account_changed": N_("Changed: {fields}"),
    "account_removed": N_("Removed"),
    "account_off": N_("Switched off"),
    "account_on": N_("Switched on"),
    "account_order": N_("Order changed"),
    "account_tried": N_("Log-in tested"),
    "account_callback": N_("New address for delivery reports"),
    "check_account": N_("Tried again"),
    "account_moved": N_("Messages given to another account: {number}"),
}
PURPOSES_FIELD = "purposes"


def unusable(channel: str, found: Unusable) -> str:
    """Why an account of this channel cannot be used, and what to do."""
    text = (
        sentence(found.text, (), channel=channel).words if found.why == "settings" else found.text
    )
    return _(UNUSABLE[found.why], text=text)


def purposes(names: list[str] | frozenset[str]) -> str:
    """What may go through an account."""
    if not names:
        return _("everything")
    return ", ".join(words.purpose(each) for each in sorted(names))


def deed(row: RowMapping, labels: Mapping[str, str]) -> str:
    """What somebody did to an account; of a secret it says that it changed and never what it is."""
    details = row["details"] or {}
    changed = ", ".join(labels.get(each, each) for each in details.get("fields", ()))
    return _(DEEDS[row["action"]], fields=changed, number=details.get("number", 0))


def day(text: str) -> str:
    """The day on which a secret was set."""
    return on(datetime.fromisoformat(text))


def on(at: datetime) -> str:
    """The day of a moment."""
    return format_date(at.astimezone(zone()).date(), format="medium", locale=language())


def who(row: RowMapping) -> str:
    """Who did it."""
    return str(row["actor_name"] or row["actor_ref"]) if row["actor_ref"] != "system" else ""
