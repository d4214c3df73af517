"""SMPP 3.4: a message centre spoken to directly, with a window of open requests and receipts on the same link.

Written anew and not on top of ``smpplib``: that has no window, no reading that does not wait, no IPv6, no check of the
host's name under TLS and no end for packets that claim four gigabytes, and it reads and writes packets several times
slower (``tests/benchmarks/bench_smpp.py``). It is what our simulated centre is checked with.
"""
