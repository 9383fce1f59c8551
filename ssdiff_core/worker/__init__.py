"""The process boundary: QGIS must not import torch, so a separate process computes.

`client` runs in QGIS: it starts the process, sends requests, and reads the files that the process asks for. `server`
runs in the process: it answers requests as lines of JSON. Arrays are exchanged through memory that both map
(`shared_memory`), a file without a name, which the system frees when both processes have ended. Pixels are identical
to those computed in one process.

What happens when

- a request fails (weights, device, block, out of memory): the client raises the same error as in one process, and the
  process keeps running;
- the process is killed, crashes, prints invalid lines, has another protocol version or cannot start: the client raises
  a `WorkerError` with the last output in `log` and kills the process with all its children; the next request starts
  another;
- the process hangs: the same. It sends a line of type `alive` every second while it computes;
- the run is cancelled, or the progress callback raises: the process is killed at once;
- the process is idle: it ends after a while, and the next request starts another;
- the requesting program ends: standard input closes, and the process ends, even in the middle of a block.
"""
