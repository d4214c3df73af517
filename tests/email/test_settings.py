"""The two variables: what is understood, and what is refused in which words."""

from __future__ import annotations

from pathlib import Path

import pytest

from clinic_dispatch_email.channel import EmailChannel
from clinic_dispatch_email.settings import FROM, URL, EmailSettings, load_settings
from clinic_dispatch_plugin.api import ConfigurationError

SENDER = "post@klinik.example"


def read(url: str, sender: str = SENDER) -> EmailSettings:
    settings = load_settings({URL: url, FROM: sender})
    assert settings is not None
    return settings


def refusal(url: str, sender: str | None = SENDER) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_settings({URL: url, FROM: sender})
    return str(caught.value)


@pytest.mark.parametrize("config", [{}, {URL: ""}, {URL: "  ", FROM: SENDER}, {FROM: SENDER}])
def test_without_a_relay_the_channel_is_there_and_has_no_account(config: dict[str, str]) -> None:
    assert EmailChannel(load_settings(config)).accounts() == ()


@pytest.mark.parametrize(
    ("url", "port", "implicit", "starttls"),
    [
        ("smtp://localhost", 25, False, False),
        ("smtps://mail.klinik.example", 465, True, False),
        ("smtp+starttls://mail.klinik.example", 587, False, True),
        ("smtp+starttls://mail.klinik.example:2587", 2587, False, True),
        ("SMTPS://mail.klinik.example", 465, True, False),
    ],
)
def test_the_scheme_says_how_it_is_encrypted_and_which_port_is_meant(
    url: str, port: int, implicit: bool, starttls: bool
) -> None:
    settings = read(url)
    assert (settings.port, settings.implicit_tls, settings.starttls) == (port, implicit, starttls)


def test_user_and_password_are_percent_decoded() -> None:
    settings = read("smtps://anna%40klinik.example:p%3Aw%2F%23%20%D1%8F@mail.klinik.example")
    assert (settings.user, settings.password) == ("anna@klinik.example", "p:w/# я")


def test_every_option_is_read() -> None:
    settings = read(
        "smtp://localhost:2525?rate=2.5&connections=3&per_connection=100&connect_timeout=1"
        "&timeout=2&data_timeout=3&pipelining=off&depth=1&dsn=off&verp=bounces.klinik.example"
        "&helo=klinik.example"
    )
    assert settings == EmailSettings(
        host="localhost",
        port=2525,
        from_address=SENDER,
        rate=2.5,
        connections=3,
        connection_limit=3,
        per_connection=100,
        connect_timeout=1,
        timeout=2,
        data_timeout=3,
        pipelining=False,
        depth=1,
        dsn=False,
        verp="bounces.klinik.example",
        helo="klinik.example",
    )


def test_hosts_outside_ascii_and_ipv6_addresses_are_understood() -> None:
    assert read("smtps://mail.klinik-müller.example").host == "mail.xn--klinik-mller-klb.example"
    assert read("smtp://[::1]:2525").host == "::1"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mail.klinik.example", "begin with smtp://"),
        ("http://mail.klinik.example", "begin with smtp://"),
        ("smtp://", "name the mail server"),
        ("smtp://a..b", "name the mail server"),
        ("smtp://mail.example:99999", "host or port cannot be read"),
        ("smtp://mail.example:0", "from 1 to 65535"),
        ("smtp://[::1", "host or port cannot be read"),
        ("smtp://mail.example/inbox", "nothing may stand between"),
        ("smtp://mail.example?speed=5", "'speed' is no option; there are: rate, connections"),
        ("smtp://mail.example?rate=1&rate=2", "rate stands there twice"),
        ("smtp://mail.example?rate=ten", "rate is 'ten': give messages a second"),
        ("smtp://mail.example?rate=0", "rate is '0'"),
        ("smtp://mail.example?rate=nan", "rate is 'nan'"),
        ("smtp://mail.example?rate=", "rate is ''"),
        ("smtp://mail.example?connections=0", "from 1 to 500"),
        ("smtp://mail.example?connections=1.5", "from 1 to 500"),
        ("smtp://mail.example?connections=٣", "from 1 to 500"),
        ("smtp://mail.example?depth=3", "from 1 to 2"),
        ("smtp://mail.example?timeout=-1", "a number of seconds above 0"),
        ("smtp://mail.example?pipelining=maybe", "write on or off"),
        ("smtp://mail.example?verp=a b", "verp is 'a b'"),
        ("smtp://mail.example?helo=a%0D%0AMAIL", "helo is"),
        ("smtps://mail.example?ca_file=/no/such/file", "path of a PEM file"),
    ],
)
def test_a_wrong_url_is_shown_with_what_to_write(url: str, words: str) -> None:
    message = refusal(url)
    assert message.startswith(f"{URL} is {url!r}: ")
    assert words in message


def test_a_file_without_certificates_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "empty.pem"
    file.write_text("nothing")
    assert "it holds no certificate" in refusal(f"smtps://mail.example?ca_file={file}")


@pytest.mark.parametrize(
    "url",
    [
        "smtps://anna:Geheim7@mail.example:x",
        "smtps://anna:Geheim7@mail.example?speed=5",
        "smtps://:Geheim7@mail.example",
        "ftp://anna:Geheim7@mail.example",
        "smtp://anna:Geheim7@mail.example",
        "smtps://anna:Gehe%00im7@mail.example",
        "smtp://anna:Geheim7",
        "smtps://anna:pa#Geheim7@mail.example",
        "smtps://anna:12#Geheim7@mail.example",
        "smtps://anna:pa/Geheim7@mail.example",
        "smtps://anna:pa?Geheim7@mail.example",
    ],
)
def test_a_password_is_never_shown(url: str) -> None:
    message = refusal(url)
    assert message.startswith(f"{URL} is ")
    assert "Geheim7" not in message and "Gehe%00im7" not in message


def test_who_signs_in_is_left_out_of_what_is_shown() -> None:
    message = refusal("smtps://anna:Geheim7@mail.example?speed=5")
    assert message.startswith(f"{URL} is 'smtps://***@mail.example?speed=5': ")


def test_a_colon_that_begins_no_port_may_begin_a_password() -> None:
    message = refusal("smtp://mail.example:abc")
    assert message.startswith(f"{URL} is set to a value that is not shown: host or port cannot")


@pytest.mark.parametrize("character", "/?#[]")
@pytest.mark.parametrize("start", ["pa", "12"])
def test_a_character_that_must_be_encoded_is_told(start: str, character: str) -> None:
    message = refusal(f"smtps://anna:{start}{character}ss@mail.example")
    assert "inside a user name or password" in message or "user name or password is" in message
    assert "%3F" in message


def test_a_password_without_encryption_is_for_this_machine_only() -> None:
    assert "smtp+starttls:// or smtps://" in refusal("smtp://anna:pw@mail.example")
    assert "smtp+starttls:// or smtps://" in refusal("smtp://anna:pw@localhost.example")
    for host in ("localhost", "127.0.0.1", "127.8.8.8", "[::1]"):
        assert read(f"smtp://anna:pw@{host}").user == "anna"


def test_the_sender_may_have_a_name() -> None:
    settings = read("smtp://localhost", "Klinik Müller <Post@Klinik-Müller.example>")
    assert settings.from_name == "Klinik Müller"
    assert settings.from_address == "Post@xn--klinik-mller-klb.example"


@pytest.mark.parametrize(
    "sender",
    [
        None,
        "",
        "Klinik",
        "post@",
        "<>",
        "a@klinik.example\r\nBcc: b@x.example",
        "почта@klinik.example",
    ],
)
def test_a_missing_or_wrong_sender_is_named(sender: str | None) -> None:
    message = refusal("smtp://localhost", sender)
    assert message.startswith(f"{FROM} is ")
    assert 'such as "Clinic <post@clinic.example>"' in message


def test_neither_account_nor_settings_show_the_password() -> None:
    settings = read("smtps://anna:Geheim7@mail.example?rate=5&connections=4")
    account = EmailChannel(settings).accounts()[0]
    assert (account.label, account.rate, account.connections) == ("smtp mail.example:465", 5.0, 4)
    assert "Geheim7" not in repr(settings) + repr(account) + str(account)
