"""What channels say about a wrong setting, in the reader's language and beside the field it is about.

Channels speak English, for whoever writes the configuration. A sentence that is neither here nor in the channel's
own catalogue is shown as it is.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from clinic_dispatch_plugin.web.i18n import N_, _
from clinic_dispatch_plugin.web.words import own_word

#: ``rate is 'fast': give messages a second.`` – an option, its value, what to write.
_OF_OPTION = re.compile(
    r"(?P<name>[a-z_]+) is (?:not shown|'.*'|\".*\"): (?P<reason>.+)", re.DOTALL
)
_EXAMPLE = re.compile(r" Such as \S+$")

#: What begins so, the field it is about (empty: the option it names), and what is said.
_SENTENCES: tuple[tuple[str, str, str], ...] = (
    (
        "give messages a second",
        "",
        N_("Please give the messages a second as a number, such as 20."),
    ),
    ("give a number of seconds", "", N_("Please give a number of seconds above 0, such as 30.")),
    (
        r"give a whole number from (?P<lowest>\d+) to (?P<highest>\d+)",
        "",
        N_("Please give a whole number from {lowest} to {highest}."),
    ),
    (
        r"give at most (?P<most>\d+) printable characters",
        "",
        N_("At most {most} characters, and no line breaks."),
    ),
    ("give an amount above 0", "", N_("Please give an amount above 0, such as 20.00.")),
    ("write on or off", "", N_("Please write on or off.")),
    ("write one of (?P<choices>.+)", "", N_("Possible are: {choices}")),
    (
        "write the server's root",
        "",
        N_("Please write the server’s address alone, such as https://sms.example."),
    ),
    (
        "the password would travel unprotected",
        "",
        N_("The password would travel unprotected. Please write https."),
    ),
    (
        "tls=off would send the password unprotected",
        "tls",
        N_("The password would travel unprotected. Please write https."),
    ),
    (
        "(recording: |folder: )?a f(ile|older) of this machine",
        "",
        N_("A file of this machine can only be named in the configuration."),
    ),
    ("host or port cannot be read", "host", N_("Server or port cannot be read.")),
    ("its host or port cannot be read", "", N_("Server or port cannot be read.")),
    ("it names no server", "", N_("Please give the name of a server, such as clinic.example.")),
    (
        ".+ is no name of a server",
        "host",
        N_("Please give the name of a server, such as clinic.example."),
    ),
    (
        "base_url is a message centre's host and port",
        "base_url",
        N_("Please write the server’s address alone, such as https://sms.example."),
    ),
    ("a port is a number", "port", N_("The port is a number from 1 to 65535.")),
    (".+ stand before the @", "user", N_("Login and password are both needed.")),
    (
        "a user name and a password belong together",
        "user",
        N_("Login and password are both needed."),
    ),
    ("an API key stands before the @", "password", N_("The API key is missing.")),
    (
        "user name and password cannot hold NUL",
        "user",
        N_("This cannot be used here. Please look at the example."),
    ),
    ("the port is a number", "port", N_("The port is a number from 1 to 65535.")),
    (
        "name the (site|message centre|exchange|host of Asterisk|server)",
        "host",
        N_("Please name the server."),
    ),
    (
        "the gateway does not say beforehand",
        "price",
        N_(
            "This service does not say beforehand what a message costs: the limit needs to know it."
        ),
    ),
    (
        "beside price, price_currency",
        "price_currency",
        N_("Please name the currency of the price, such as EUR."),
    ),
    (
        "callback_url is a whole address",
        "callback_url",
        N_("Please give the whole address, with https://."),
    ),
    ("callback_url is too long", "callback_url", N_("This address is too long for the service.")),
    (
        r"sender has 3 to 11 Latin letters",
        "sender",
        N_("The sender has 3 to 11 Latin letters and digits, or 3 to 14 digits."),
    ),
    (
        r"sender has at most 11 Latin letters and digits, or at most 15 digits",
        "sender",
        N_("The sender has at most 11 Latin letters and digits, or at most 15 digits."),
    ),
    (
        r"sender (has|is) at most 15 digits",
        "sender",
        N_("The sender is a number with at most 15 digits."),
    ),
    (
        r"sender is a name of at most 11 ASCII characters",
        "sender",
        N_("The sender is a name of at most 11 Latin characters, or a number."),
    ),
    (
        r"sender is a number of at most 20 digits",
        "sender",
        N_("The sender is a number of at most 20 digits."),
    ),
    (
        r"sender is a number of yours",
        "sender",
        N_("The sender is a number of yours, with its country code, such as +4930123456."),
    ),
    ("sender (has|is) ", "sender", N_("The service does not take this sender.")),
    ("say who the texts are from", "sender", N_("Please say who the messages are from.")),
    (
        "write the address mails come from",
        "from",
        N_("Please write the address mails come from, such as Clinic <post@clinic.example>."),
    ),
    ("currency has three capital letters", "currency", N_("Three letters, such as EUR.")),
    (
        "with an API key, account_sid",
        "account_sid",
        N_("With an API key, the account’s SID is needed (AC…)."),
    ),
    (
        r"validity is at least (?P<seconds>\d+) seconds",
        "validity",
        N_("At least {seconds} seconds, or 0 for the usual."),
    ),
    ("sign=on needs signature_secret", "signature_secret", N_("Please fill this in.")),
    (
        r"(?P<name>\w+) has at most (?P<most>\d+) (letters|ASCII)",
        "",
        N_("At most {most} Latin letters, digits and signs."),
    ),
    (
        "endpoint says how Asterisk",
        "endpoint",
        N_("Please say how Asterisk reaches a number, such as PJSIP/{number}@trunk."),
    ),
    ("app is a name", "app", N_("A name of letters and digits.")),
    ("prefix has digits alone", "prefix", N_("Digits alone, such as 0.")),
    ("the user name has at most 64", "user", N_("At most 64 letters, digits and . + - _.")),
    (
        r"(?P<name>\w+) is a host's name",
        "",
        N_("Please give the name of a server, such as clinic.example."),
    ),
    (r"(?P<name>'\w+') is no option", "", N_("The service does not know this setting.")),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """What is wrong, and beside which field it stands; ``form``: beside none."""

    field: str
    words: str


def sentence(advice: str, fields: Collection[str], *, channel: str) -> Sentence:
    """A channel's advice as the page says it: by its own catalogue, else in a sentence of ours.

    :param fields: those of the form.
    """
    text = _EXAMPLE.sub("", advice.strip())
    named = text.partition(" ")[0].strip("'\"")
    if of_option := _OF_OPTION.match(text):
        named, text = of_option["name"], of_option["reason"]
    own = own_word(channel, text)
    if own:
        return Sentence(field=named if named in fields else "form", words=own)
    for pattern, place, words in _SENTENCES:
        if found := re.match(pattern, text):
            said = found.groupdict()
            at = place or str(said.pop("name", named)).strip("'\"")
            return Sentence(field=at if at in fields else "form", words=_said(words, said))
    at = named if named in fields else "form"
    return Sentence(field=at, words=_("The channel cannot use this: {words}", words=advice))


def _said(words: str, found: dict[str, str]) -> str:
    """Filled in only where it has fields: a sentence may hold braces of its own."""
    return (
        _(words, **{key: value.rstrip(".") for key, value in found.items()}) if found else _(words)
    )
