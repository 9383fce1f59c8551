"""Checks of the workers before anything starts: what each of them lacks is said at once."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Sequence

from .. import __version__
from ..common.errors import ConfigError, SSDiffError, one_line
from .job import ArchiveRun, SceneJob
from .storage import Storage, size_of

MAXIMUM_FILES = 200
"input files that each worker looks for, evenly spread over the archive: more would take long on many workers"
MAXIMUM_TOLD = 10
"workers whose problems are told in full"


def check_workers(client, jobs: Sequence[SceneJob], run: ArchiveRun) -> None:
    """Raises ConfigError that says which worker lacks what; weights are not among it, as they are sent."""
    files = spread([file for job in jobs for file in job.delivery.files])
    storage, probe = Storage(run.root), f"probe-{run.id}"
    storage.write(probe, run.id.encode())
    try:
        found = client.run(examine, files, run, on_error="return")
    finally:
        storage.remove(probe)
    if not found:
        raise ConfigError("the cluster has no workers: start some, then run the command again")
    problems = [f"{worker}: {problem}" for worker, told in found.items() for problem in _problems(told)]
    if problems:
        more = f"; and {len(problems) - MAXIMUM_TOLD} more" if len(problems) > MAXIMUM_TOLD else ""
        raise ConfigError("workers are not ready: " + "; ".join(problems[:MAXIMUM_TOLD]) + more)


def examine(files: Sequence[str], run: ArchiveRun) -> dict:
    """Returns what a worker has of what the run needs; runs on the worker."""
    problems = []
    if run.version != __version__:
        problems.append(f"it has SSDiff {__version__}, not {run.version}")
    missing = [file for file in files if not _visible(file)]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        problems.append(f"it does not see {missing[0]}{more}")
    problem = _root_problem(run)
    if problem:
        problems.append(problem)
    return {"host": platform.node(), "problems": problems}


def spread(files: Sequence[str]) -> list[str]:
    """Returns all files, or MAXIMUM_FILES of them evenly spread."""
    step = max(len(files) / MAXIMUM_FILES, 1)
    return [files[int(index * step)] for index in range(min(len(files), MAXIMUM_FILES))]


def _problems(told: dict | Exception) -> Iterable[str]:
    if isinstance(told, Exception):
        return [f"SSDiff {__version__} cannot be used there ({type(told).__name__}: {one_line(told)})"]
    return [f"({told['host']}) {problem}" for problem in told["problems"]]


def _visible(file: str) -> bool:
    return size_of(file) is not None or os.path.exists(file)


def _root_problem(run: ArchiveRun) -> str:
    """Returns why a worker cannot write to the archive; "" if it can."""
    storage, own = Storage(run.root), f"probe-{run.id}-{platform.node()}-{os.getpid()}"
    try:
        if storage.read(f"probe-{run.id}") != run.id.encode():
            return f"it does not see the archive {run.root}: the folder must be shared by all workers"
        storage.write(own, b"")
        storage.remove(own)
    except (SSDiffError, OSError) as error:
        return f"it cannot write to the archive: {one_line(error)}"
    return ""
