"""Control of a headless browser in tests."""

from __future__ import annotations

import base64
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
OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars")


def program() -> str:
    """Returns the path of the browser. Without one, skips the test, or fails it if the variable CI is set."""
    found = next((path for path in map(shutil.which, NAMES) if path), None)
    if not found:
        missing = f"no browser was found; any of these is enough: {', '.join(NAMES)}"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    return found


def run(*arguments: str) -> subprocess.CompletedProcess:
    """Runs the headless browser to its end."""
    command = [program(), *OPTIONS, "--enable-logging=stderr", "--virtual-time-budget=4000", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)


def page(path: Path) -> tuple[str, list[str]]:
    """Returns the DOM after the scripts have run, and the lines of the console."""
    done = run("--dump-dom", path.as_uri())
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def screenshot(path: Path, out: Path, *arguments: str, size: str = "1200,1600") -> Path:
    run(f"--screenshot={out}", f"--window-size={size}", *arguments, path.as_uri())
    return out


class Tab:
    """A browser's open page with mouse and keyboard, controlled by the DevTools protocol over two pipes."""

    def __init__(self, commands, messages):
        self._commands, self._replies, self._numbers, self._session = commands, messages, itertools.count(1), {}

    def open(self, url: str) -> None:
        """Opens a page in a new tab, which has no settings of the tab before."""
        self._session = {}
        target = self.send("Target.createTarget", url=url)["targetId"]
        self._session = {"sessionId": self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]}
        wait_until(lambda: self.js("document.URL + document.readyState") == url + "complete", "the page to load")

    def send(self, method: str, **parameters) -> dict:
        number = next(self._numbers)
        command = {"id": number, "method": method, "params": parameters, **self._session}
        self._commands.write(json.dumps(command).encode() + b"\0")
        return next(message for message in self._messages() if message.get("id") == number)["result"]

    def _messages(self) -> Iterator[dict]:
        while True:
            yield json.loads(b"".join(iter(lambda: self._replies.read(1).rstrip(b"\0"), b"")))

    def screenshot(self, out: Path) -> Path:
        self._save("Page.captureScreenshot", out)
        return out

    def print(self, out: Path) -> None:
        """Prints the page to a PDF file."""
        self._save("Page.printToPDF", out)

    def _save(self, method: str, out: Path) -> None:
        out.write_bytes(base64.b64decode(self.send(method)["data"]))

    def js(self, code: str):
        """Returns the value of a JavaScript expression."""
        return self.send("Runtime.evaluate", expression=code, returnByValue=True)["result"].get("value")

    def drag(self, *points: tuple[float, float]) -> None:
        """Drags the mouse from the first point to the last."""
        (x, y), *_, last = points
        self.send("Input.dispatchMouseEvent", type="mousePressed", x=x, y=y, button="left", buttons=1, clickCount=1)
        for x, y in points:
            self.send("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y, button="left", buttons=1)
        x, y = last
        self.send("Input.dispatchMouseEvent", type="mouseReleased", x=x, y=y, button="left", clickCount=1)

    def press(self, key: str, code: int) -> None:
        for kind in ("keyDown", "keyUp"):
            self.send("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)


@contextlib.contextmanager
def tab() -> Iterator[Tab]:
    """Runs a browser, which needs a page to open, until the context ends."""
    (browser_in, commands_end), (messages_end, browser_out) = os.pipe(), os.pipe()

    def connect_pipes() -> None:
        high = [os.dup(end) for end in (browser_in, browser_out)]  # one of them may already be 3 or 4
        for end, number in zip(high, (3, 4)):
            os.dup2(end, number)

    command = [program(), *OPTIONS, "--remote-debugging-pipe", "--window-size=1200,1600", "about:blank"]
    process = subprocess.Popen(command, preexec_fn=connect_pipes, close_fds=False, stderr=subprocess.DEVNULL)
    os.close(browser_in)
    os.close(browser_out)
    with os.fdopen(commands_end, "wb", 0) as commands, os.fdopen(messages_end, "rb") as messages:
        try:
            yield Tab(commands, messages)
        finally:
            process.terminate()
            process.wait(300)
