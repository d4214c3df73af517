"""What every channel over a gateway must hold, asked in one place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from clinic_dispatch_plugin.api import OutgoingMessage, ReferencePack, SendResult, Uncertain
from clinic_dispatch_plugin.simulators.gateways.plans import Trouble
from clinic_dispatch_plugin.simulators.gateways.server import HttpSimulator
from clinic_dispatch_plugin.testing.judgement import explained

#: Silence is the contract suite's matter.
BAD = [each for each in Trouble if each is not Trouble.SILENCE]


class Place(Protocol):
    """One gateway, and a sender to it that stays open."""

    simulator: HttpSimulator[Any]

    def message(self, words: str = "") -> OutgoingMessage:
        """A message to a number of which the gateway has been told these words."""

    def send(self, *messages: OutgoingMessage) -> list[SendResult]:
        """What became of each."""


def a_bad_answer_leaves_a_true_state_with_a_note(
    place: Place, packs: Sequence[ReferencePack]
) -> None:
    """Nobody knows whether it was taken; the answer is described; the gateway's ledger says what was true."""
    for trouble in BAD:
        taken, untaken = place.message(f"trouble:{trouble}"), place.message(f"untaken:{trouble}")
        for message, times in ((taken, 1), (untaken, 0)):
            (result,) = place.send(message)
            assert isinstance(result, Uncertain), trouble
            assert explained(result.answer, packs).described, trouble
            digits = message.address.removeprefix("+")
            ledger = place.simulator.gateway.ledger.taken
            assert [line.recipient for line in ledger].count(digits) == times
