"""How many texts a second go over one SMPP link: a window of 1, of 10, of 50, and smpplib; prints the ratios.

Run it: ``python tests/benchmarks/bench_smpp.py``. Figures belong to the machine, ratios carry over. The centre is a
process of its own, and answers each text after 10 ms, as one far away would.
"""

from __future__ import annotations

import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import smpplib.client
import smpplib.smpp

from clinic_dispatch_plugin.api import Accepted
from clinic_dispatch_plugin.testing.batches import ListBatch
from clinic_dispatch_sms.smpp.pdu import BodyReader, Command, Packet, PacketReader
from clinic_dispatch_sms.smpp.texts import Composer
from tests.benchmarks.figures import Findings, sized
from tests.benchmarks.wires import WORTH
from tests.smpp.making import a_message, channel_for, messages, settings_of

_CENTRE = """
import sys
from clinic_dispatch_plugin.simulators.smpp import CentreSettings, SmppSimulator
with SmppSimulator(CentreSettings(latency=float(sys.argv[1]))) as centre:
    print(centre.port, flush=True)
    sys.stdin.read()
"""
ROUNDS = 3
#: Seconds to each answer.
LATENCY = 0.01


def by_the_gateway(port: int, count: int, window: int) -> float:
    """Texts a second through the channel."""
    options = f"window={window}&receipts=off"
    channel, account = channel_for(f"smpp://clinic:x@127.0.0.1:{port}", options)
    batch = ListBatch(messages(count))
    with channel.open(account) as sender:
        start = time.perf_counter()
        accepted = sum(isinstance(each, Accepted) for each in sender.send(batch))
        took = time.perf_counter() - start
    if accepted != count:
        raise SystemExit(f"only {accepted} of {count} were accepted")
    return count / took


def by_smpplib(port: int, count: int) -> float:
    """Texts a second through smpplib as its own example sends: one, its answer, the next."""
    client = smpplib.client.Client("127.0.0.1", port, timeout=10, allow_unknown_opt_params=True)
    taken: list[Any] = []
    client.set_message_sent_handler(lambda pdu: taken.append(pdu))
    client.connect()
    client.bind_transceiver(system_id="clinic", password="x")
    start = time.perf_counter()
    for number in range(1, count + 1):
        client.send_message(
            source_addr="Klinik",
            source_addr_ton=5,
            destination_addr=f"49151{20_000_000 + number}",
            dest_addr_ton=1,
            dest_addr_npi=1,
            short_message=b"Bis Montag!",
        )
        while len(taken) < number:
            client.read_once()
    took = time.perf_counter() - start
    client.unbind()
    client.disconnect()
    return count / took


def reading_and_writing(count: int) -> tuple[float, float]:
    """Packets a second made and read again, by our code and by smpplib."""
    composer, message = Composer(settings_of()), a_message()
    start = time.perf_counter()
    for number in range(1, count + 1):
        data = Packet(Command.SUBMIT_SM, 0, number, composer.compose(message).bodies[0]).encode()
        for packet in PacketReader().feed(data):
            BodyReader(packet.body).text()
    ours = count / (time.perf_counter() - start)
    client = smpplib.client.Client("127.0.0.1", 1, allow_unknown_opt_params=True)
    start = time.perf_counter()
    for _ in range(count):
        pdu = smpplib.smpp.make_pdu(
            "submit_sm",
            client=client,
            source_addr="Klinik",
            destination_addr="4915120000001",
            short_message=b"Bis Montag!",
            user_message_reference=7,
        )
        smpplib.smpp.parse_pdu(pdu.generate(), client=client, allow_unknown_opt_params=True)
    return ours, count / (time.perf_counter() - start)


def best(measure: Callable[[], float]) -> float:
    """The best of some rounds: what disturbs only slows."""
    return max(measure() for _ in range(ROUNDS))


def main() -> int:
    """Measure and print."""
    warnings.simplefilter("ignore")
    with Findings(__file__, "SMPP: one link, answers after 10 ms") as findings:
        _links(findings, sized(1_000))
        ours, library = reading_and_writing(sized(1_000))
        findings.tell("smpp: packets made and read again", ours, "packets/s")
        findings.tell("smpp: packets made and read again / smpplib", ours / library, "×")
    return 0


def _links(findings: Findings, count: int) -> None:
    few = max(count // 10, 20)
    with centre() as port:
        one = best(lambda: by_the_gateway(port, few, 1))
        ten = best(lambda: by_the_gateway(port, count, 10))
        fifty = best(lambda: by_the_gateway(port, count, 50))
        theirs = best(lambda: by_smpplib(port, few))
    findings.tell("smpp: one text at a time", one, "msg/s")
    findings.tell("smpp: window of 10", ten, "msg/s")
    findings.tell("smpp: window of 50", fifty, "msg/s")
    findings.tell("smpp: window of 10 / one text at a time", ten / one, "×", least=WORTH)
    findings.tell("smpp: window of 50 / one text at a time", fifty / one, "×", least=WORTH)
    findings.tell("smpp: window of 50 / smpplib as its example sends", fifty / theirs, "×")


@contextmanager
def centre() -> Iterator[int]:
    """A message centre in a process of its own; gives its port."""
    program = subprocess.Popen(
        [sys.executable, "-c", _CENTRE, str(LATENCY)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert program.stdout is not None
        yield int(program.stdout.readline())
    finally:
        program.communicate()


if __name__ == "__main__":
    sys.exit(main())
