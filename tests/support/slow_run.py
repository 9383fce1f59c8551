"""A run in a process of its own that can be killed while it writes blocks."""

from __future__ import annotations

import contextlib
import multiprocessing
import time
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from files import Interpolate

from ssdiff_core.domain.block import SceneStats
from ssdiff_core.raster.output import output_for, spread_output
from ssdiff_core.raster.reader import open_scene
from ssdiff_core.workflows.block_writer import BlockRun, fuse

_method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
context = multiprocessing.get_context(_method)
context.set_forkserver_preload(["osgeo.gdal_array", "ssdiff_core.fusion.network_inputs", __name__, "crashing"])
# The processes are copies of one that has imported PyTorch: importing it in each takes seconds.


class _Slow(Interpolate):
    """Reports that a block has begun, then interpolates it slowly; or, if it is held, once the connection is closed."""

    def __init__(self, begun: Connection, held: bool):
        self.begun, self.held = begun, held

    def fuse(self, block, progress=None):
        with contextlib.suppress(OSError):
            self.begun.send(True)
        if self.held:
            with contextlib.suppress(EOFError, OSError):
                self.begun.recv()
        else:
            time.sleep(0.05)
        return super().fuse(block, progress)


def _fuse(begun: Connection, held: bool, pan: str, ms: str, out: str, apart: str) -> None:
    scene = open_scene(pan, ms)
    output = output_for(scene, out)
    outputs = [output, spread_output(output, apart)] if apart else [output]
    fuse(scene, _Slow(begun, held), outputs, SceneStats(), {"method": "exp"}, BlockRun(resume=True, side=64))


def start(pan: str, ms: str, out: str, apart: str = "", held: bool = False) -> BaseProcess:
    """Starts or resumes a run that writes the file `out`, and its uncertainty to the file `apart` if one is named.

    Returns its process when the first block has begun, or the run has ended without one. held: the block is not
    finished until the process is killed or its connection `begun` is closed.
    """
    begun, sender = context.Pipe()
    process = context.Process(target=_fuse, args=(sender, held, pan, ms, out, apart))
    process.start()
    sender.close()
    while process.is_alive() and not begun.poll(0.02):
        pass
    process.begun = begun  # open as long as the process sends to it
    return process
