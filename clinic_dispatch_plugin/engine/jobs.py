"""The functions RQ runs: they take ids, find the application, and call one function each."""

from __future__ import annotations

import signal
import threading

from clinic_dispatch_plugin.engine import drain
from clinic_dispatch_plugin.engine.pump import pump as pump_once
from clinic_dispatch_plugin.queue.context import in_app
from clinic_dispatch_plugin.registry import current_dispatch


@in_app
def pump() -> int:
    """Send what is due; returns how many messages were handled."""
    if threading.current_thread() is threading.main_thread():
        # A service manager may signal every process: what is open is finished, as when the worker is asked.
        signal.signal(signal.SIGTERM, lambda *_: drain.request())
    return pump_once(current_dispatch())
