"""A real browser for tests, if this machine has one."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from waiting import wait_until

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
USUAL = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars")
DARK = "--blink-settings=preferredColorScheme=0"


def program() -> str:
    """The path of the browser. Without one the test is skipped, but fails where the variable CI is set."""
    found = next((path for path in map(shutil.which, NAMES) if path), None)
    if not found:
        missing = f"no browser was found; any of these is enough: {', '.join(NAMES)}"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    return found


def run(*arguments: str) -> subprocess.CompletedProcess:
    command = [program(), *USUAL, "--enable-logging=stderr", "--virtual-time-budget=4000", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)


def page(path: Path) -> tuple[str, list[str]]:
    """The page as it stands once its script has run, and what the console was told."""
    done = run("--dump-dom", path.as_uri())
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def screenshot(path: Path, out: Path, *arguments: str, size: str = "1200,1600") -> Path:
    run(f"--screenshot={out}", f"--window-size={size}", *arguments, path.as_uri())
    return out


class Tab:
    """A page that stays open, for a mouse and a keyboard: the browser is spoken to over two pipes."""

    def __init__(self, asks, answers):
        self._asks, self._answers, self._numbers, self._session = asks, answers, itertools.count(1), {}

    def open(self, url: str) -> None:
        target = self.ask("Target.createTarget", url=url)["targetId"]
        self._session = {"sessionId": self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]}
        wait_until(lambda: self.js("document.URL + document.readyState") == url + "complete", "the page to load")

    def ask(self, method: str, **parameters) -> dict:
        number = next(self._numbers)
        asked = {"id": number, "method": method, "params": parameters, **self._session}
        self._asks.write(json.dumps(asked).encode() + b"\0")
        return next(told for told in self._told() if told.get("id") == number)["result"]

    def _told(self) -> Iterator[dict]:
        while True:
            yield json.loads(b"".join(iter(lambda: self._answers.read(1).rstrip(b"\0"), b"")))

    def js(self, code: str):
        """What an expression is, as plain values."""
        return self.ask("Runtime.evaluate", expression=code, returnByValue=True)["result"].get("value")

    def drag(self, *points: tuple[float, float]) -> None:
        """The mouse with its button held, from the first point to the last."""
        (x, y), *_, last = points
        self.ask("Input.dispatchMouseEvent", type="mousePressed", x=x, y=y, button="left", buttons=1, clickCount=1)
        for x, y in points:
            self.ask("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y, button="left", buttons=1)
        x, y = last
        self.ask("Input.dispatchMouseEvent", type="mouseReleased", x=x, y=y, button="left", clickCount=1)

    def press(self, key: str, code: int) -> None:
        for kind in ("keyDown", "keyUp"):
            self.ask("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)


@contextlib.contextmanager
def tab(path: Path) -> Iterator[Tab]:
    (theirs_in, ours_out), (ours_in, theirs_out) = os.pipe(), os.pipe()

    def as_it_expects() -> None:
        high = [os.dup(end) for end in (theirs_in, theirs_out)]  # one of them may be 3 or 4 itself
        for end, number in zip(high, (3, 4)):
            os.dup2(end, number)

    command = [program(), *USUAL, "--remote-debugging-pipe", "--window-size=1200,1600", "about:blank"]
    process = subprocess.Popen(command, preexec_fn=as_it_expects, close_fds=False, stderr=subprocess.DEVNULL)
    os.close(theirs_in)
    os.close(theirs_out)
    with os.fdopen(ours_out, "wb", 0) as asks, os.fdopen(ours_in, "rb") as answers:
        try:
            shown = Tab(asks, answers)
            shown.open(path.as_uri())
            yield shown
        finally:
            process.terminate()
            process.wait(300)
