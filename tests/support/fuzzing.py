"""Fuzzing: random changes of valid input, with fixed seeds, and the command in a process that may crash.

The normal tests run a fixed number of cases. `make fuzz` sets SSDIFF_FUZZ_MINUTES, for which each fuzzer then runs, and
SSDIFF_FUZZ_SEED, from which other cases follow. The failure of a case names its seed.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from osgeo import gdal
from waiting import HANG_SECONDS

from ssdiff_core.common.errors import SSDiffError

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
TOKENS = (
    b"nan",
    b"inf",
    b"1e999",
    b"-1",
    b"9" * 20,
    b"9" * 400,
    b"\0",
    b"<",
    b"&",
    b'"',
    b"\xff\xfe",
    b"%s%n",
    b"../..",
)
"texts that readers of files often stumble over"


def seeds(count: int) -> Iterator[int]:
    """Yields the seeds of the cases of a fuzzer: this number, or until the time is over."""
    first = int(os.environ.get("SSDIFF_FUZZ_SEED", "0"))
    minutes = float(os.environ.get("SSDIFF_FUZZ_MINUTES", "0"))
    end = time.monotonic() + 60 * minutes
    number = 0
    while number < count or time.monotonic() < end:
        yield first + number
        number += 1


def mangled(data: bytes, seed: int) -> bytes:
    """Returns the data with one to five random changes."""
    rng, data = random.Random(seed), bytearray(data)
    for _ in range(rng.randint(1, 5)):
        if not data:
            break
        at, kind = rng.randrange(len(data)), rng.randrange(6)
        if kind == 0:
            data[at] = rng.randrange(256)
        elif kind == 1:
            del data[at : at + rng.randint(1, 40)]
        elif kind == 2:
            data[at:at] = rng.randbytes(rng.randint(1, 10))
        elif kind == 3:
            other = rng.randrange(len(data))
            data[at:at] = data[other : other + 60]
        elif kind == 4:
            data[at:at] = rng.choice(TOKENS)
        else:
            data[at:] = data[at:][::-1]
    return bytes(data)


def flipped(data: bytes, seed: int, head: int) -> bytes:
    """Returns the data with one to four bytes changed, mostly within its first `head` bytes."""
    rng, data = random.Random(seed), bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(min(head, len(data))) if rng.random() < 0.7 else rng.randrange(len(data))
        data[at] = rng.choice((0, 1, 127, 128, 255, rng.randrange(256)))
    return bytes(data)


def sentence_of(function: Callable[[], object], kind: type = SSDiffError) -> str:
    """Returns the message of the error of this kind that a function raises; "" if it raises none."""
    try:
        function()
    except kind as error:
        return str(error)
    return ""


# --- the command in a process of its own -----------------------------------------------------------------------------


class Command:
    """Runs commands in a process that imports SSDiff once; another one replaces it after a crash or a hang."""

    def __init__(self, serve: str = "serve"):
        """serve: name of the function of this module that runs in the process."""
        self._serve, self._process = serve, None

    def __call__(self, *arguments: object) -> tuple[int | str, str]:
        """Returns the exit code and standard error of a command; instead of the code, how the process has ended."""
        process = self._running()
        timer = threading.Timer(HANG_SECONDS, process.kill)
        timer.start()
        try:
            with contextlib.suppress(OSError):
                process.stdin.write(json.dumps([str(argument) for argument in arguments]).encode() + b"\n")
                process.stdin.flush()
            answer = process.stdout.readline()
        finally:
            timer.cancel()
        if not answer:
            self.close()
            return f"the process has ended with {process.returncode}", ""
        return tuple(json.loads(answer))

    def _running(self) -> subprocess.Popen:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-c", f"import fuzzing; fuzzing.{self._serve}()"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "SSDIFF_OFFLINE": "1", "PYTHONPATH": os.pathsep.join([str(ROOT), str(HERE)])},
                cwd=ROOT,
            )
        return self._process

    def close(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process.stdin.close()
            self._process.stdout.close()
            self._process = None


def serve() -> None:
    """Runs the commands that arrive as lines, and answers with exit code and standard error."""
    from ssdiff_core.cli.main import main

    _serve(main)


def serve_image_sets() -> None:
    """Reads all images of the sets whose paths arrive as lines, and answers like `serve`."""
    from ssdiff_core.common.failures import failure_of
    from ssdiff_core.raster.image_sets import StoredImages

    def read(paths: list[str]) -> int:
        try:
            for path in paths:
                images = StoredImages(path)
                for number in range(min(images.count, 3)):
                    images.read(number)
        except Exception as error:
            failure = failure_of(error, paths)
            sys.stderr.write(f"ssdiff: {failure.sentence}\n")
            return failure.code
        return 0

    _serve(read)


def _serve(run: Callable[[list[str]], int]) -> None:
    import io

    with contextlib.suppress(ImportError):  # POSIX: a header must not make the test take the machine's memory
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
        resource.setrlimit(resource.RLIMIT_FSIZE, (256 << 20, 256 << 20))
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    for line in sys.stdin.buffer:
        error = io.StringIO()
        with contextlib.redirect_stderr(error):
            code = run(json.loads(line))
        out.write(json.dumps([code, error.getvalue()]).encode() + b"\n")
        out.flush()


def fault_of(result: tuple[int | str, str], out: Path, before: set[Path]) -> str:
    """Returns what is wrong with the result of a command that writes `out`; "" if it is an image or one sentence.

    before: the files of the folder before the run.
    """
    left = sorted(path.name for path in set(out.parent.iterdir()) - before - {out})
    if fault := fault_in_words(result):
        return fault
    if left:
        return f"it left {left}"
    if result[0] == 0:
        return "" if gdal.Open(str(out)) else "there is no image"
    return "it failed and left an image" if out.exists() else ""


def fault_in_words(result: tuple[int | str, str]) -> str:
    """Returns what is wrong with the exit code and the last line of a command; "" if it worked, or says why not."""
    code, said = result
    last = (said.strip().splitlines() or [""])[-1]
    if code not in (0, 1):
        return f"{code}: {last}"
    if code == 1 and (not last.startswith("ssdiff: ") or last.endswith(("RuntimeError", "ValueError", "None"))):
        return f"no sentence with a reason: {last}"
    return ""
