"""Telling how far a run is: to a person, to a program, or not at all."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

KINDS = ("auto", "bar", "json", "none")
INTERVAL = 0.2
"seconds between two reports"
WIDTH = 78
"characters of a line, so that it covers a longer one before it; not every console knows how to wipe one"


def reporter(kind: str, pixels: int, out=None, clock=time.monotonic) -> Callable[[float], None]:
    """A function that hears the share of the work that is done, from 0 to 1, as often as it likes.

    auto is a bar on a terminal and nothing elsewhere. pixels: of the whole work; 0 where its speed says nothing.
    """
    out = out or sys.stderr
    if kind == "auto":
        kind = "bar" if out.isatty() else "none"
    if kind == "none":
        return lambda share: None
    return Reporter(line_of if kind == "bar" else json_of, pixels, out, clock)


class Reporter:
    """Reports at most every INTERVAL, and always the end, once. A resumed run begins with what was done before."""

    def __init__(self, write: Callable, pixels: int, out, clock: Callable[[], float]):
        self.write, self.pixels, self.out, self.clock = write, pixels, out, clock
        self.start = self.last = None
        self.ended = False

    def __call__(self, share: float) -> None:
        if self.ended:
            return
        now = self.clock()
        if self.start is None:
            self.start = now, share
        if share < 1 and self.last is not None and now - self.last < INTERVAL:
            return
        self.last, self.ended = now, share >= 1
        elapsed, gained = now - self.start[0], share - self.start[1]
        rate = gained * self.pixels / elapsed if elapsed > 0 else 0.0
        left = (1 - share) * elapsed / gained if gained > 0 else None
        self.write(self.out, share, rate, left)
        self.out.flush()


def line_of(out, share: float, rate: float, left: float | None) -> None:
    filled = round(share * 30)
    bar = "#" * filled + "." * (30 - filled)
    remaining = "" if left is None else f", {duration(left)} left"
    speed = f"  {rate / 1e6:.3g} Mpx/s" if rate else ""
    line = f"[{bar}] {share:4.0%}{speed}{remaining}"
    out.write(f"\r{line:{WIDTH}}" + ("\n" if share >= 1 else ""))


def json_of(out, share: float, rate: float, left: float | None) -> None:
    fields = {"progress": round(share, 4), "pixels_per_second": round(rate), "seconds_left": left and round(left, 1)}
    out.write(json.dumps(fields) + "\n")


def duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {seconds:02} s" if minutes else f"{seconds} s"


def amount(count: float) -> str:
    """Bytes in words."""
    size, unit = next(((s, u) for s, u in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")) if count >= s), (1, "bytes"))
    return f"{count / size:.3g} {unit}"


def part(heard: Callable[[float], None], start: float, end: float) -> Callable[[float], None]:
    """What hears the share done of a part of the work, from start to end of the whole."""
    return lambda share: heard(start + (end - start) * share)
