"""A real Postfix for the tests: an instance of its own that takes mail for some domains and refuses as relays do."""

from __future__ import annotations

import contextlib
import email
import email.policy
import os
import pwd
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path

from tests.servers.found import Found, Missing, look_for
from tests.servers.process import Running, answers, free_port, private_folder, start

PART = "Postfix"

#: Seconds an accepted mail may take from the queue into its mailbox.
DELIVERY_SECONDS = 30

#: The largest mail taken, in bytes; a larger one is ``552 5.3.4`` at MAIL or at the end of DATA.
SIZE_LIMIT = 1_000_000

#: Whose mail is taken: the names that RFC 2606 and RFC 6761 keep for examples; all others are
#: ``554 5.7.1 Relay access denied``.
DOMAINS = r"""
/^(.+\.)?example(\.(org|com|net))?$/  ours
"""

#: Whoever begins with "unknown" has no mailbox, which Postfix itself refuses with ``550 5.1.1``.
MAILBOXES = r"""
if !/^unknown/
/@(.+\.)?example(\.(org|com|net))?$/  everybody/
endif
"""

#: What a relay says about mailboxes that exist but do not take mail (codes of RFC 3463).
REFUSALS = r"""
/^full/      552 5.2.2 Mailbox is full
/^disabled/  550 5.2.1 Mailbox is disabled
/^busy/      450 4.2.0 Greylisted, please try again later
"""

SERVICES = """
smtpd      unix  -  -  n  -     -  smtpd
cleanup    unix  n  -  n  -     0  cleanup
qmgr       unix  n  -  n  300   1  qmgr
rewrite    unix  -  -  n  -     -  trivial-rewrite
bounce     unix  -  -  n  -     0  discard
defer      unix  -  -  n  -     0  bounce
trace      unix  -  -  n  -     0  bounce
verify     unix  -  -  n  -     1  verify
proxymap   unix  -  -  n  -     -  proxymap
error      unix  -  -  n  -     -  error
retry      unix  -  -  n  -     -  error
virtual    unix  -  n  n  -     -  virtual
anvil      unix  -  -  n  -     1  anvil
postlog    unix-dgram n - n -   1  postlogd
"""

#: Stands between us and the master, which changes users while it starts and so forgets whose death should end it.
GUARD = """trap 'kill -TERM "$master" 2>/dev/null' TERM
"$@" & master=$!
wait; wait"""


def find() -> Found | Missing:
    """Look for Postfix; its master changes users by itself, so it needs root."""
    answer = look_for(PART, ["postfix", "postconf"])
    if isinstance(answer, Missing):
        return answer
    if os.geteuid() != 0:
        return Missing(part=PART, reason="it starts as root only")
    master = Path(_default(answer, "daemon_directory")) / "master"
    if not master.exists():
        return Missing(part=PART, reason=f"{master} not found")
    return Found(part=PART, programs={**answer.programs, "master": master})


@dataclass(frozen=True, slots=True, kw_only=True)
class Postfix:
    """A running relay."""

    running: Running
    port: int
    mail_folder: Path
    log: Path

    @property
    def url(self) -> str:
        """Return the relay's URL as ``CLINIC_DISPATCH_EMAIL_URL`` takes it."""
        return f"smtp://127.0.0.1:{self.port}"

    def mails_for(self, address: str) -> list[EmailMessage]:
        """Return what lies in the mailbox of one address now, each with ``Delivered-To`` of Postfix's own making."""
        wanted = address.casefold()
        return [mail for mail in self._mails() if str(mail["Delivered-To"]).casefold() == wanted]

    def wait_for_mail(self, address: str, *, count: int = 1) -> list[EmailMessage]:
        """Return the mails of one address, as soon as there are ``count``.

        :raises AssertionError: there are fewer after :data:`DELIVERY_SECONDS`; the text holds the end of the log.
        """
        deadline = time.monotonic() + DELIVERY_SECONDS
        while len(mails := self.mails_for(address)) < count:
            if time.monotonic() > deadline:
                log = "\n".join(self.log.read_text(encoding="utf-8").splitlines()[-20:])
                raise AssertionError(f"{len(mails)} of {count} mails came for {address}:\n{log}")
            time.sleep(0.05)
        return mails

    def empty_mailboxes(self) -> None:
        """Forget all mail delivered so far."""
        for path in self.mail_folder.glob("everybody/new/*"):
            path.unlink()

    def _mails(self) -> list[EmailMessage]:
        files = list(self.mail_folder.glob("everybody/new/*"))
        texts = [path.read_bytes() for path in files]
        return [email.message_from_bytes(each, policy=email.policy.default) for each in texts]


@contextlib.contextmanager
def running(
    found: Found, *, settings: Mapping[str, str] | None = None, sends_reports: bool = False
) -> Iterator[Postfix]:
    """Start a relay on a free loopback port and stop it afterwards.

    :param settings: lines of ``main.cf`` that differ from ours, such as ``{"smtpd_recipient_limit": "5"}``.
    :param sends_reports: whether what it cannot deliver comes back as a bounce mail.
    """
    port = free_port()
    owner = pwd.getpwnam(_default(found, "mail_owner"))
    with private_folder("postfix", mode=0o755) as folder:
        for name, user in {"queue": None, "data": owner, "mail": owner}.items():
            (folder / name).mkdir()
            if user is not None:
                os.chown(folder / name, user.pw_uid, user.pw_gid)
        _configure(folder, port=port, owner=owner, settings=settings or {})
        if sends_reports:
            services = folder / "master.cf"
            text = services.read_text(encoding="utf-8")
            services.write_text(text.replace("0  discard", "0  bounce"), encoding="utf-8")
        _make_queue(found, folder)
        command = ["sh", "-c", GUARD, "sh", found.program("master"), "-c", str(folder), "-s"]
        server = start(command, folder=folder)
        try:
            server.wait_until(lambda: answers(port))
            log = folder / "mail.log"
            yield Postfix(running=server, port=port, mail_folder=folder / "mail", log=log)
        finally:
            server.stop()


def _configure(
    folder: Path, *, port: int, owner: pwd.struct_passwd, settings: Mapping[str, str]
) -> None:
    (folder / "domains").write_text(DOMAINS, encoding="utf-8")
    (folder / "mailboxes").write_text(MAILBOXES, encoding="utf-8")
    (folder / "refusals").write_text(REFUSALS, encoding="utf-8")
    main = {
        "compatibility_level": "3.6",
        "queue_directory": f"{folder}/queue",
        "data_directory": f"{folder}/data",
        "maillog_file": f"{folder}/mail.log",
        "maillog_file_prefixes": str(folder),
        "syslog_name": "postfix-of-the-tests",
        "inet_interfaces": "127.0.0.1",
        "inet_protocols": "ipv4",
        "myhostname": "relay.example",
        "mydestination": "",
        "mynetworks": "",
        "alias_maps": "",
        "alias_database": "",
        "local_recipient_maps": "",
        "virtual_mailbox_domains": f"regexp:{folder}/domains",
        "virtual_mailbox_maps": f"regexp:{folder}/mailboxes",
        "virtual_mailbox_base": f"{folder}/mail",
        "virtual_minimum_uid": "1",
        "virtual_uid_maps": f"static:{owner.pw_uid}",
        "virtual_gid_maps": f"static:{owner.pw_gid}",
        "smtpd_relay_restrictions": "reject_unauth_destination",
        "smtpd_recipient_restrictions": f"check_recipient_access regexp:{folder}/refusals",
        "message_size_limit": str(SIZE_LIMIT),
        "virtual_mailbox_limit": "0",
        "smtpd_client_connection_count_limit": "0",
        "smtpd_error_sleep_time": "0",
        "smtpd_tls_security_level": "none",
        "notify_classes": "",
        **settings,
    }
    lines = "".join(f"{name} = {value}\n" for name, value in main.items())
    (folder / "main.cf").write_text(lines, encoding="utf-8")
    listener = f"127.0.0.1:{port} inet n - n - - smtpd\n"
    (folder / "master.cf").write_text(listener + SERVICES.lstrip(), encoding="utf-8")


def _make_queue(found: Found, folder: Path) -> None:
    """Let Postfix make the queue's folders with the owners it wants."""
    command = [found.program("postfix"), "-c", str(folder), "check"]
    answer = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        log = folder / "mail.log"
        said = log.read_text(encoding="utf-8") if log.exists() else ""
        raise RuntimeError(f"postfix check: {answer.stdout}{answer.stderr}{said}")


def _default(found: Found, name: str) -> str:
    command = [found.program("postconf"), "-d", "-h", name]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
