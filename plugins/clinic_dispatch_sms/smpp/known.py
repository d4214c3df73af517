"""Which attempt a receipt speaks of: by our key, by the centre's id in any of its spellings, by our reference."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from clinic_dispatch_plugin.api import DeliveryReport, ReportStatus
from clinic_dispatch_sms.smpp.receipts import Receipt, answer_of
from clinic_dispatch_sms.smpp.window import BETWEEN_IDS

K = TypeVar("K")

#: Attempts one sender remembers; receipts of older ones are tied by whoever keeps them.
MOST = 10_000
#: How the id of an attempt begins that has none of the centre's.
DOUBT = "ref-"
#: Ids up to this length may be numbers in another spelling.
_LONGEST_NUMBER = 20


def reference_of(attempt_key: str) -> int:
    """The user_message_reference of an attempt: the same whoever asks, so that it is found again later."""
    return int.from_bytes(hashlib.blake2s(attempt_key.encode(), digest_size=2).digest(), "big")


def doubt_id(address: str, reference: int) -> str:
    """What an attempt without the centre's id is called, and a receipt that brings our reference; names no number."""
    told = hashlib.blake2s(f"{_digits(address)}:{reference}".encode(), digest_size=8).hexdigest()
    return f"{DOUBT}{told}"


def spellings(message_id: str) -> set[str]:
    """An id as other packets of the same centre may write it: hexadecimal or decimal, with zeros or without."""
    plain = message_id.strip().lower().lstrip("0") or "0"
    found = {plain}
    if len(plain) <= _LONGEST_NUMBER and plain.isascii():
        if plain.isdecimal():
            found.add(f"{int(plain):x}")
        if all(each in "0123456789abcdef" for each in plain):
            found.add(str(int(plain, 16)))
    return found


@dataclass(slots=True, eq=False)
class Sent:
    """One attempt whose receipts are awaited."""

    attempt_key: str
    address: str = field(repr=False)
    #: The ids of its parts; empty: the centre's answer was lost.
    ids: tuple[str, ...] = ()
    parts: int = 1
    #: What was said of each part, by its id as we know it.
    said: dict[str, Receipt] = field(default_factory=dict)

    @property
    def provider_id(self) -> str | None:
        """As it stands on the attempt."""
        return BETWEEN_IDS.join(self.ids) or None

    @property
    def reference(self) -> int:
        """What receipts may bring back."""
        return reference_of(self.attempt_key)

    def hear(self, receipt: Receipt) -> ReportStatus:
        """Take a receipt of one part; gives what is true of the whole: delivered when all are, failed when one is."""
        own = [each for each in self.ids if spellings(each) & spellings(receipt.message_id)]
        key = own[0] if own else receipt.message_id
        before = self.said.get(key)
        if before is None or _rank(receipt) > _rank(before):
            self.said[key] = receipt
        states = [each.status for each in self.said.values()]
        if ReportStatus.FAILED in states:
            return ReportStatus.FAILED
        awaited = max(self.parts, len(self.ids))
        if len(states) >= awaited and all(each is ReportStatus.DELIVERED for each in states):
            return ReportStatus.DELIVERED
        return ReportStatus.UNDER_WAY


class Known:
    """The attempts receipts may speak of."""

    def __init__(self, sent: Iterable[Sent] = (), *, key_tlv: int = 0) -> None:
        self._key_tlv = key_tlv
        self._by_key: OrderedDict[str, Sent] = OrderedDict()
        self._by_id: dict[str, Sent] = {}
        self._by_spelling: dict[str, list[Sent]] = {}
        self._by_reference: dict[tuple[str, int], list[Sent]] = {}
        for each in sent:
            self.add(each)

    def add(self, sent: Sent) -> None:
        """Remember an attempt; one of the same key is replaced."""
        self.forget(sent.attempt_key)
        self._by_key[sent.attempt_key] = sent
        for each in sent.ids:
            self._by_id[each] = sent
            for spelling in spellings(each):
                self._by_spelling.setdefault(spelling, []).append(sent)
        self._by_reference.setdefault(_reference_key(sent), []).append(sent)
        while len(self._by_key) > MOST:
            self.forget(next(iter(self._by_key)))

    def forget(self, attempt_key: str) -> None:
        """Remember it no more."""
        sent = self._by_key.pop(attempt_key, None)
        if sent is None:
            return
        for each in sent.ids:
            if self._by_id.get(each) is sent:
                del self._by_id[each]
            for spelling in spellings(each):
                _take_out(self._by_spelling, spelling, sent)
        _take_out(self._by_reference, _reference_key(sent), sent)

    def find(self, receipt: Receipt) -> Sent | None:
        """The attempt, where exactly one can be meant."""
        if self._key_tlv and (key := receipt.tlvs.get(self._key_tlv)) is not None:
            found = self._by_key.get(key.rstrip(b"\0").decode("latin-1"))
            if found is not None:
                return found
        if receipt.message_id in self._by_id:
            return self._by_id[receipt.message_id]
        return self._by_other_spelling(receipt) or self._by_our_reference(receipt)

    def _by_other_spelling(self, receipt: Receipt) -> Sent | None:
        if not receipt.message_id:
            return None
        candidates = {
            id(each): each
            for spelling in spellings(receipt.message_id)
            for each in self._by_spelling.get(spelling, ())
            if _same_number(each.address, receipt.address)
        }
        return next(iter(candidates.values())) if len(candidates) == 1 else None

    def _by_our_reference(self, receipt: Receipt) -> Sent | None:
        """Only an attempt whose id is not known: any other would be found by it."""
        if receipt.reference is None:
            return None
        found = self._by_reference.get((receipt.address, receipt.reference), ())
        lost = [each for each in found if not each.ids]
        return lost[0] if len(lost) == 1 else None


def report_of(receipt: Receipt, sent: Sent | None, *, errors: str) -> DeliveryReport:
    """What the core is told.

    :param sent: None: whose receipt it is, somebody else finds out: by ``provider_id``, else by one of the ids in
        ``details["also"]``, which are the same one in other spellings and the one an uncertain attempt has.
    """
    details = {"stat": receipt.state}
    details.update({key: value for key, value in _details(receipt) if value})
    status, spoken = receipt.status, receipt
    if sent is not None:
        status = sent.hear(receipt)
        if status is ReportStatus.FAILED:
            spoken = next(each for each in sent.said.values() if each.status is ReportStatus.FAILED)
    answer = None if status is ReportStatus.DELIVERED else answer_of(spoken, errors=errors)
    return DeliveryReport(
        status=status,
        attempt_key=sent.attempt_key if sent else None,
        provider_id=(sent.provider_id if sent else None) or receipt.message_id or None,
        answer=answer,
        details=details,
    )


def _details(receipt: Receipt) -> Iterable[tuple[str, str]]:
    yield "id", receipt.message_id
    yield "err", receipt.error
    yield "submit date", receipt.submitted
    yield "done date", receipt.done
    others = spellings(receipt.message_id) - {receipt.message_id} if receipt.message_id else set()
    if receipt.reference is not None:
        others.add(doubt_id(receipt.address, receipt.reference))
    yield "also", " ".join(sorted(others))


def _rank(receipt: Receipt) -> int:
    return list(ReportStatus).index(receipt.status)


def _reference_key(sent: Sent) -> tuple[str, int]:
    return _digits(sent.address), sent.reference


def _same_number(address: str, other: str) -> bool:
    return not other or _digits(address) == _digits(other)


def _digits(address: str) -> str:
    return "".join(filter(str.isdigit, address))


def _take_out(table: dict[K, list[Sent]], key: K, sent: Sent) -> None:
    left = [each for each in table.get(key, ()) if each is not sent]
    if left:
        table[key] = left
    else:
        table.pop(key, None)
