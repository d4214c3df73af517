"""Senders for a relay, messages for a sender, certificates for both."""

from __future__ import annotations

import datetime
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from clinic_dispatch_email.channel import EmailChannel
from clinic_dispatch_email.settings import FROM, URL, load_settings
from clinic_dispatch_plugin.api import Content, OutgoingMessage, Sender

SENDER = "Klinik am Park <post@klinik.example>"


def a_message(number: int = 1, **changed: Any) -> OutgoingMessage:
    """A message; by default an ordinary one to ``p<number>@patient.example``."""
    values: dict[str, Any] = {
        "attempt_id": number,
        "attempt_key": f"attempt{number:019d}",
        "message_key": f"message{number:019d}",
        "address": f"p{number}@patient.example",
        "name": "Anna Berger",
        "content": Content(text="Bis Montag!", subject="Ihr Termin"),
    }
    return OutgoingMessage(**{**values, **changed})


def messages(count: int) -> list[OutgoingMessage]:
    """That many, numbered from 1."""
    return [a_message(number) for number in range(1, count + 1)]


def channel_for(url: str) -> EmailChannel:
    """The channel as a clinic with this relay has it."""
    return EmailChannel(load_settings({URL: url, FROM: SENDER}))


@pytest.fixture
def sender_for() -> Iterator[Callable[[str], Sender]]:
    """Open senders by URL; they are closed after the test."""
    with ExitStack() as stack:

        def open_sender(url: str) -> Sender:
            channel = channel_for(url)
            return stack.enter_context(channel.open(channel.accounts()[0]))

        yield open_sender


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 signed by itself, with its key, in one file."""
    return make_certificate(tmp_path_factory.mktemp("tls") / "relay.pem", address="127.0.0.1")


def make_certificate(file: Path, *, address: str, valid: tuple[int, int] = (-1, 1)) -> Path:
    """Write a new self-signed certificate for an address, and its key.

    :param valid: from when to when, in hours from now.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, address)])
    now = datetime.datetime.now(datetime.UTC)
    alternative = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address(address))])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + datetime.timedelta(hours=valid[0]))
        .not_valid_after(now + datetime.timedelta(hours=valid[1]))
        .add_extension(alternative, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return file


def server_context(certificate: Path) -> ssl.SSLContext:
    """For a relay with this certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context
