"""Progress reports: a bar for people, JSON lines for programs, or none."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

KINDS = ("auto", "bar", "json", "none")
INTERVAL_SECONDS = 0.2
"shortest time between two reports"
LINE_WIDTH = 78
"characters of a line of the bar; padded, because not every console can erase the longer line before it"


def reporter(kind: str, pixels: int, out=None, clock=time.monotonic) -> Callable[[float], None]:
    """Returns a function that reports progress; it takes the completed share of the work, from 0 to 1.

    kind: one of KINDS; auto is a bar on a terminal and none elsewhere.
    pixels: number of pixels of the whole work, from which the rate is computed; 0: no rate.
    """
    out = out or sys.stderr
    if kind != "json" and not shows_bar(kind, out):
        return lambda share: None
    return Reporter(write_json if kind == "json" else write_bar, pixels, out, clock)


def shows_bar(kind: str, out=None) -> bool:
    """Returns whether a kind of progress is a bar."""
    return kind == "bar" or (kind == "auto" and (out or sys.stderr).isatty())


class Reporter:
    """Reports at most once per interval, and the end exactly once.

    The first share counts as done before, so that the rate of a resumed run is right.
    """

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
        if share < 1 and self.last is not None and now - self.last < INTERVAL_SECONDS:
            return
        self.last, self.ended = now, share >= 1
        elapsed, gained = now - self.start[0], share - self.start[1]
        rate = gained * self.pixels / elapsed if elapsed > 0 else 0.0
        remaining = (1 - share) * elapsed / gained if gained > 0 else None
        self.write(self.out, share, rate, remaining)
        self.out.flush()


def write_bar(out, share: float, rate: float, remaining: float | None) -> None:
    """Writes a bar over the previous one."""
    filled = round(share * 30)
    bar = "#" * filled + "." * (30 - filled)
    time_left = "" if remaining is None else f", {duration(remaining)} left"
    speed = f"  {rate / 1e6:.3g} Mpx/s" if rate else ""
    line = f"[{bar}] {share:4.0%}{speed}{time_left}"
    out.write(f"\r{line:{LINE_WIDTH}}" + ("\n" if share >= 1 else ""))


def write_json(out, share: float, rate: float, remaining: float | None) -> None:
    """Writes a line of JSON."""
    seconds_left = remaining and round(remaining, 1)
    fields = {"progress": round(share, 4), "pixels_per_second": round(rate), "seconds_left": seconds_left}
    out.write(json.dumps(fields) + "\n")


def duration(seconds: float) -> str:
    """Returns a duration as text, such as "1 h 05 min"."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {seconds:02} s" if minutes else f"{seconds} s"


def rounded_duration(seconds: float) -> str:
    """Returns an estimated duration as text, such as "25 min"."""
    if seconds < 90:
        return f"{max(round(seconds), 1)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else duration(60 * minutes)


def file_size(count: float) -> str:
    """Returns a number of bytes as text, such as "1.5 MB"."""
    size, unit = next(((s, u) for s, u in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")) if count >= s), (1, "bytes"))
    return f"{count / size:.3g} {unit}"


def subrange(progress: Callable[[float], None], start: float, end: float) -> Callable[[float], None]:
    """Returns a progress callback for a part of the work, which covers start to end of the whole."""
    return lambda share: progress(start + (end - start) * share)
