"""A run in a process of its own that ends at one of its steps: a write, a sync, a rename, a removal, a step of GDAL.

What the step itself writes is torn: only its first half is written. If power is lost, so is all that was written to
working files since they were synced; the journal is kept, which is the worst case.
"""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Sequence
from pathlib import Path

from files import Interpolate
from slow_run import context

from ssdiff_core.domain.block import SceneStats
from ssdiff_core.raster import output as outputs
from ssdiff_core.raster.reader import open_scene
from ssdiff_core.workflows.block_writer import BlockRun, fuse

CRASHED = 88
"exit code of a run that ended at a step"


class Steps:
    """Counts the steps of this process, and ends it at one of them."""

    def __init__(self, crash_at: int, power_lost: bool):
        self.crash_at, self.power_lost, self.count = crash_at, power_lost, 0
        self.lock, self.names, self.unsynced = threading.RLock(), {}, {}

    def step(self, tear=lambda: None) -> None:
        with self.lock:
            self.count += 1
            if self.count == self.crash_at:
                tear()
                if self.power_lost:
                    self.undo()
                os._exit(CRASHED)

    def undo(self) -> None:
        """Restores what working files contained when they were synced, or made."""
        for (name, at), before in reversed(self.unsynced.items()):
            if os.path.exists(name):
                with io.FileIO(name, "r+") as file:
                    file.seek(at)
                    file.write(before)

    def around(self, owner, name: str, after: bool = False) -> None:
        """Makes each call of a function a step; two steps with `after`."""
        function = getattr(owner, name)

        def counted(*given, **named):
            self.step()
            result = function(*given, **named)
            if after:
                self.step()
            return result

        setattr(owner, name, counted)

    def install(self) -> None:
        steps, opened, fdopen, fsync = self, os.open, os.fdopen, os.fsync

        def remember(path, *given, **named):
            file = opened(path, *given, **named)
            self.names[file] = os.fspath(path)
            return file

        def synced(file):
            self.step()
            fsync(file)
            name = self.names.get(file)
            with self.lock:
                self.unsynced = {key: before for key, before in self.unsynced.items() if key[0] != name}

        class File(io.FileIO):
            def write(self, data):
                steps.step(lambda: super(File, self).write(bytes(data)[: len(data) // 2]))
                name, at = steps.names[self.fileno()], self.tell()
                if not name.endswith(".json"):
                    before = self.read(len(data)).ljust(len(data), b"\0")
                    self.seek(at)
                    with steps.lock:
                        steps.unsynced.setdefault((name, at), before)
                return super().write(data)

            def truncate(self, size=None):
                steps.step()
                return super().truncate(size)

        os.open, os.fsync = remember, synced
        os.fdopen = lambda file, mode="r", *given, **named: (
            File(file, "r+") if mode == "r+b" else fdopen(file, mode, *given, **named)
        )
        self.around(os, "replace", after=True)
        self.around(Path, "unlink", after=True)
        self.around(outputs, "_close", after=True)
        self.around(outputs, "_write_statistics", after=True)


def _run(connection, crash_at: int, power_lost: bool, inputs: Sequence[str], names: Sequence[str], how: dict) -> None:
    steps = Steps(crash_at, power_lost)
    steps.install()
    scene = open_scene(*inputs)
    image = outputs.output_for(scene, names[0], **how)
    files = [image, *(outputs.spread_output(image, name) for name in names[1:])]
    fuse(scene, Interpolate(), files, SceneStats(), {"method": "exp"}, BlockRun(resume=True, side=64))
    connection.send(steps.count)


def run(
    inputs: Sequence[str], names: Sequence[str], how: dict, crash_at: int = 0, power_lost: bool = False
) -> tuple[int, int]:
    """Runs or resumes a run that writes these outputs; returns its exit code, and the number of its steps.

    crash_at: the step that is the last one; 0: the run ends by itself. how: arguments of output_for.
    """
    here, there = context.Pipe()
    process = context.Process(target=_run, args=(there, crash_at, power_lost, inputs, names, how))
    process.start()
    there.close()
    process.join()
    with here:
        return process.exitcode, here.recv() if process.exitcode == 0 else 0
