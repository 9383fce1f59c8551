"""The process boundary: QGIS must not import torch, so a process of its own computes.

`client` runs in QGIS: it starts the process, sends requests, and reads the files that the process asks for. `server`
runs in the process: it answers requests as lines of JSON. Arrays are exchanged through memory that both map
(`shared_memory`), a file without a name that needs no clean-up however either process ends. Pixels are identical to
those computed in one process.

- A request fails: weights, device, block, out of memory: the error that it would be in one process; the process goes
  on.
- The process is killed, crashes, prints garbage, has another version, cannot start: one `WorkerError` with its last
  output in `log`; it is killed with all its children; the next request starts another.
- It gives no sign of life: the same; it gives one every second while it computes.
- Cancelled, or the progress callback raises: it is killed at once.
- Idle: it ends by itself; the next request starts another.
- The requesting program ends: standard input closes, and the process ends, even within a block.
"""
