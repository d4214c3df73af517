"""One client's dialogue with the relay, command by command, without a socket (RFC 5321)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from clinic_dispatch_plugin.simulators.smtp import syntax
from clinic_dispatch_plugin.simulators.smtp.authentication import Exchange, begin_exchange
from clinic_dispatch_plugin.simulators.smtp.behaviours import Ending, Verdict
from clinic_dispatch_plugin.simulators.smtp.intake import Counters, Envelope, Intake
from clinic_dispatch_plugin.simulators.smtp.modes import Mode
from clinic_dispatch_plugin.simulators.smtp.replies import (
    BARE_LINE_END,
    CUT,
    GO_AHEAD,
    MAIL_OK,
    OK,
    RCPT_OK,
    RefusedError,
    Then,
    Turn,
)
from clinic_dispatch_plugin.simulators.smtp.settings import RelaySettings

#: Octets with CRLF (RFC 5321 4.5.3.1.4, RFC 4954 4); what parameters add to MAIL and RCPT
#: (RFC 1870, 3461, 6531) is rounded up.
LONGEST_COMMAND = 512
LONGEST_BY_VERB = {"MAIL": 2048, "RCPT": 2048, "AUTH": 12288}
MOST_RECIPIENTS = 1000
#: The greatest number that SIZE can say (RFC 1870 3).
BIGGEST_SIZE_VALUE = 10**20
#: After that many a client is no mail program but noise.
MOST_ERRORS = 100
MOST_SIGN_INS = 3


class Surroundings(Protocol):
    """What a dialogue needs of its relay."""

    settings: RelaySettings
    intake: Intake

    def mode(self) -> Mode:
        """The mode now."""
        ...

    def verdict(self, *, sender: str, recipient: str) -> Verdict:
        """What happens to a recipient."""
        ...


class Dialogue:
    """The state of one connection: greeted, signed in, in a transaction."""

    def __init__(self, relay: Surroundings, *, encrypted: bool) -> None:
        self.encrypted = encrypted
        #: True once EHLO was used and PIPELINING was offered in its answer.
        self.may_pipeline = False
        self.envelope: Envelope | None = None
        self._relay = relay
        self._settings = relay.settings
        self._counters: Counters = relay.intake.counters
        self._greeted = False
        self._extended = False
        self._signed_in = False
        self._exchange: Exchange | None = None
        self._sign_ins_failed = 0
        self._errors = 0
        self._messages = 0
        self._commands: dict[str, Callable[[str], Turn]] = {
            "MAIL": self._mail,
            "RCPT": self._rcpt,
            "DATA": self._data,
            "EHLO": self._ehlo,
            "HELO": self._helo,
            "AUTH": self._auth,
            "STARTTLS": self._starttls,
            "RSET": self._rset,
            "NOOP": lambda _: OK,
            "QUIT": self._quit,
            "VRFY": lambda _: Turn("252 2.0.0 Send the message, and it will show"),
            "HELP": lambda _: Turn("214 2.0.0 See RFC 5321"),
        }

    def greeting(self) -> Turn:
        """The first words (RFC 5321 3.1)."""
        return Turn(f"220 {self._settings.name} ESMTP", wait=self._slowness())

    def line(self, line: bytes) -> Turn:
        """Answer one line, which ends in LF."""
        turn = self._answer(line)
        # 501, 503 and the like are the client's own faults; refusals of a recipient are not.
        if turn.reply.startswith("50") or turn.reply.startswith("555"):
            self._errors += 1
            self._counters.protocol_errors += 1
            if self._errors > MOST_ERRORS:
                return Turn("421 4.7.0 Error: too many errors", Then.CLOSE)
        return turn

    def message(self, raw: bytes) -> Turn:
        """Answer the final dot; the transaction is over."""
        envelope, self.envelope = self.envelope, None
        self._messages += 1
        intake = self._relay.intake
        if envelope is None or not envelope.recipients:
            return intake.refuse("554 5.5.1 Error: no valid recipients")
        turn = intake.receive(envelope, raw)
        slowness = self._slowness()
        return turn._replace(wait=turn.wait + slowness) if slowness else turn

    def message_too_big(self) -> Turn:
        """Answer the final dot of a content that was thrown away for its size (RFC 1870 6.3)."""
        self.envelope = None
        self._counters.messages += 1
        return self._relay.intake.refuse("552 5.3.4 Error: message file too big")

    def cuts_in_data(self) -> bool:
        """Whether a recipient wants the connection to end while the content is coming."""
        return self.envelope is not None and self.envelope.ends_with(Ending.CLOSES_IN_DATA)

    def now_encrypted(self) -> None:
        """After the handshake nothing said before counts (RFC 3207 4.2)."""
        self.encrypted = True
        self._greeted = self._extended = self._signed_in = self.may_pipeline = False
        self.envelope = None

    def _slowness(self) -> float:
        return self._settings.slow_seconds if self._relay.mode() is Mode.SLOW else 0.0

    def _answer(self, line: bytes) -> Turn:
        if not line.endswith(b"\r\n") or b"\r" in line[:-2]:
            self._exchange = None
            return Turn(f"500 {BARE_LINE_END}")
        if self._exchange is not None:
            return self._sign_in_goes_on(line[:-2])
        try:
            text = line[:-2].decode()
        except UnicodeDecodeError:
            return Turn("500 5.5.2 Error: command is not UTF-8")
        if "\0" in text:
            return Turn("500 5.5.2 Error: NUL in a command")
        verb, _, rest = text.partition(" ")
        verb = verb.upper()
        if len(line) > LONGEST_BY_VERB.get(verb, LONGEST_COMMAND):
            return Turn("500 5.5.2 Error: line too long")
        command = self._commands.get(verb)
        if command is None:
            known = verb in {"EXPN", "TURN", "BDAT", "ETRN", "SEND", "SOML", "SAML"}
            return Turn(
                "502 5.5.1 Error: command not implemented"
                if known
                else "500 5.5.2 Error: command not recognized"
            )
        try:
            return command(rest.rstrip(" "))
        except RefusedError as refused:
            return Turn(refused.reply)

    # The session

    def _ehlo(self, name: str) -> Turn:
        self._begin(name, verb="EHLO")
        self._extended = True
        self.may_pipeline = self._settings.pipelining
        lines = [self._settings.name, *self._capabilities()]
        shown = [f"250-{line}" for line in lines[:-1]] + [f"250 {lines[-1]}"]
        return Turn("\r\n".join(shown))

    def _helo(self, name: str) -> Turn:
        self._begin(name, verb="HELO")
        self._extended = self.may_pipeline = False
        return Turn(f"250 {self._settings.name}")

    def _begin(self, name: str, *, verb: str) -> None:
        if not syntax.GREETED_NAME.fullmatch(name):
            raise RefusedError(f"501 Syntax: {verb} hostname")
        self._greeted = True
        self.envelope = None

    def _capabilities(self) -> list[str]:
        settings = self._settings
        offered = ["ENHANCEDSTATUSCODES"]
        if settings.pipelining:
            offered.append("PIPELINING")
        if settings.eightbitmime:
            offered.append("8BITMIME")
        if settings.smtputf8:
            offered.append("SMTPUTF8")
        if settings.dsn:
            offered.append("DSN")
        if settings.size_limit is not None:
            offered.append(f"SIZE {settings.size_limit}")
        if self._offers_tls():
            offered.append("STARTTLS")
        if self._offers_auth():
            offered.append("AUTH PLAIN LOGIN")
        return offered

    def _offers_tls(self) -> bool:
        return self._settings.tls is not None and not self.encrypted

    def _offers_auth(self) -> bool:
        if self._settings.auth_requires_tls and not self.encrypted:
            return False
        return self._settings.username is not None or self._relay.mode() is Mode.WRONG_PASSWORD

    def _starttls(self, rest: str) -> Turn:
        if rest:
            raise RefusedError("501 5.5.4 Syntax: STARTTLS")
        if not self._offers_tls():
            raise RefusedError("503 5.5.1 Error: TLS is not available")
        return Turn("220 2.0.0 Ready to start TLS", Then.START_TLS)

    def _rset(self, rest: str) -> Turn:
        if rest:
            raise RefusedError("501 5.5.4 Syntax: RSET")
        self.envelope = None
        return OK

    def _quit(self, rest: str) -> Turn:
        if rest:
            raise RefusedError("501 5.5.4 Syntax: QUIT")
        return Turn("221 2.0.0 Bye", Then.CLOSE)

    # Signing in (RFC 4954)

    def _auth(self, rest: str) -> Turn:
        if not self._extended:
            raise RefusedError("503 5.5.1 Error: send EHLO first")
        if self._settings.auth_requires_tls and not self.encrypted:
            raise RefusedError(
                "538 5.7.11 Encryption required for requested authentication mechanism"
            )
        if not self._offers_auth():
            raise RefusedError("503 5.5.1 Error: authentication not enabled")
        if self._signed_in:
            raise RefusedError("503 5.5.1 Error: already authenticated")
        if self.envelope is not None:
            raise RefusedError("503 5.5.1 Error: MAIL transaction in progress")
        mechanism, _, initial = rest.partition(" ")
        self._exchange = begin_exchange(mechanism)
        if initial:
            return self._sign_in_goes_on(b"" if initial == "=" else initial.encode())
        return Turn(self._exchange.challenge())

    def _sign_in_goes_on(self, answer: bytes) -> Turn:
        exchange, self._exchange = self._exchange, None
        assert exchange is not None
        if len(answer) > LONGEST_BY_VERB["AUTH"] - 2:
            return Turn("500 5.5.6 Authentication exchange line is too long")
        try:
            given = exchange.answer(answer)
        except RefusedError as refused:
            return Turn(refused.reply)
        if given is None:
            self._exchange = exchange
            return Turn(exchange.challenge())
        wanted = (self._settings.username, self._settings.password)
        if given == wanted and self._relay.mode() is not Mode.WRONG_PASSWORD:
            self._signed_in = True
            return Turn("235 2.7.0 Authentication successful")
        self._sign_ins_failed += 1
        reply = "535 5.7.8 Error: authentication failed: authentication failure"
        return Turn(reply, Then.CLOSE if self._sign_ins_failed >= MOST_SIGN_INS else Then.GO_ON)

    # The transaction

    def _mail(self, rest: str) -> Turn:
        mode = self._relay.mode()
        if mode is Mode.DOWN:
            return CUT
        if not self._greeted:
            raise RefusedError("503 5.5.1 Error: send HELO/EHLO first")
        if self.envelope is not None:
            raise RefusedError("503 5.5.1 Error: nested MAIL command")
        # Those who signed in before are turned out too: whoever switches it on wants to see it.
        must_sign_in = self._settings.username is not None and not self._signed_in
        if must_sign_in or mode is Mode.WRONG_PASSWORD:
            raise RefusedError("530 5.7.0 Authentication required")
        if 0 < self._settings.messages_per_connection <= self._messages:
            return Turn("421 4.7.0 Too many messages on this connection", Then.CLOSE)
        if rest[:5].upper() != "FROM:":
            raise RefusedError("501 5.5.4 Syntax: MAIL FROM:<address>")
        sender, words = syntax.sender_path(rest[5:])
        envelope = Envelope(sender=sender)
        if words:
            self._read_mail_parameters(envelope, words)
        self._check_ascii(sender, envelope=envelope)
        self.envelope = envelope
        return MAIL_OK

    def _read_mail_parameters(self, envelope: Envelope, words: str) -> None:
        settings = self._settings
        for keyword, value in syntax.parameters(words).items():
            if not self._extended:
                raise _unknown(keyword)
            if keyword == "SIZE" and settings.size_limit is not None:
                if syntax.size_value(value) > (settings.size_limit or BIGGEST_SIZE_VALUE):
                    raise RefusedError("552 5.3.4 Message size exceeds fixed limit")
            elif keyword == "BODY" and settings.eightbitmime:
                if (value or "").upper() not in {"7BIT", "8BITMIME"}:
                    raise RefusedError("501 5.5.4 Bad value of BODY")
                envelope.eightbit = (value or "").upper() == "8BITMIME"
            elif keyword == "SMTPUTF8" and settings.smtputf8:
                if value is not None:
                    raise RefusedError("501 5.5.4 SMTPUTF8 takes no value")
                envelope.smtputf8 = True
            elif keyword == "ENVID" and settings.dsn:
                envelope.envid = syntax.envelope_id(value)
            elif keyword == "RET" and settings.dsn:
                syntax.return_value(value)
            elif keyword == "AUTH" and self._offers_auth():
                if value != "<>":
                    syntax.xtext(value, keyword="AUTH")
            else:
                raise _unknown(keyword)

    def _rcpt(self, rest: str) -> Turn:
        envelope = self.envelope
        if envelope is None:
            raise RefusedError("503 5.5.1 Error: need MAIL command")
        if rest[:3].upper() != "TO:":
            raise RefusedError("501 5.5.4 Syntax: RCPT TO:<address>")
        recipient, words = syntax.recipient_path(rest[3:])
        if words:
            self._read_rcpt_parameters(envelope, words)
        self._check_ascii(recipient, envelope=envelope)
        if len(envelope.recipients) >= MOST_RECIPIENTS:
            raise RefusedError("452 4.5.3 Error: too many recipients")
        if self._relay.mode() is Mode.RELAYING_DENIED:
            self._counters.recipients_refused += 1
            return Turn(f"554 5.7.1 <{recipient}>: Relay access denied")
        return self._judged(recipient, envelope=envelope)

    def _judged(self, recipient: str, *, envelope: Envelope) -> Turn:
        verdict = self._relay.verdict(sender=envelope.sender, recipient=recipient)
        self._counters.scenarios[verdict.scenario] += 1
        closing = verdict.ending is Ending.CLOSES_AFTER_REPLY
        if verdict.at_rcpt is not None:
            self._counters.recipients_refused += 1
            return Turn(verdict.at_rcpt, Then.CLOSE if closing else Then.GO_ON)
        envelope.recipients.append((recipient, verdict))
        return RCPT_OK

    def _read_rcpt_parameters(self, envelope: Envelope, words: str) -> None:
        for keyword, value in syntax.parameters(words).items():
            if not self._extended or not self._settings.dsn:
                raise _unknown(keyword)
            if keyword == "NOTIFY":
                syntax.notify_value(value)
            elif keyword == "ORCPT":
                syntax.original_recipient(value, smtputf8=envelope.smtputf8)
            else:
                raise _unknown(keyword)

    def _check_ascii(self, address: str, *, envelope: Envelope) -> None:
        if not envelope.smtputf8 and not address.isascii():
            raise RefusedError("553 5.6.7 Address holds UTF-8, which needs SMTPUTF8 (RFC 6531 3.5)")

    def _data(self, rest: str) -> Turn:
        if rest:
            raise RefusedError("501 5.5.4 Syntax: DATA")
        if self.envelope is None:
            raise RefusedError("503 5.5.1 Error: need MAIL command")
        if not self.envelope.recipients and not self._settings.data_without_recipients:
            raise RefusedError("554 5.5.1 Error: no valid recipients")
        return GO_AHEAD


def _unknown(keyword: str) -> RefusedError:
    return RefusedError(f"555 5.5.4 Unsupported option: {keyword[:40]}")
