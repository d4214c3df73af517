"""The functions RQ runs: they take ids, find the application, and call one function each."""

from __future__ import annotations

import gc
import signal
import sys
import threading

from clinic_dispatch_plugin.engine import drain
from clinic_dispatch_plugin.engine.pump import pump as pump_once
from clinic_dispatch_plugin.queue.context import in_app
from clinic_dispatch_plugin.registry import current_dispatch

#: Seconds one thread may keep the other waiting: one hands over while one records, each in very short steps.
_SWITCH_SECONDS = 0.001


@in_app
def pump() -> int:
    """Send what is due; returns how many messages were handled."""
    if threading.current_thread() is threading.main_thread():
        # A service manager may signal every process: what is open is finished, as when the worker is asked.
        signal.signal(signal.SIGTERM, lambda *_: drain.request())
        sys.setswitchinterval(_SWITCH_SECONDS)
        gc.freeze()  # what was there before lives as long as the process: nobody need look through it again
    return pump_once(current_dispatch())
