"""Waiting for a condition, without any assumption on how fast the machine is."""

from __future__ import annotations

import time
from collections.abc import Callable

HANG_SECONDS = 300.0
"a bound that only a hang exceeds, however busy the machine is"


def wait_until(condition: Callable[[], object], what: str = "", pause: float = 0.02) -> None:
    """Returns as soon as the condition is true; fails after HANG_SECONDS.

    what: names in the failure what was waited for.
    """
    end = time.monotonic() + HANG_SECONDS
    while not condition():
        assert time.monotonic() < end, f"waited {HANG_SECONDS:.0f} s in vain for {what or condition}"
        time.sleep(pause)
