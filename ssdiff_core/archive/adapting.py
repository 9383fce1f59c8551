"""Weights adapted to an archive: one set for all scenes of a sensor, from windows of several of them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from ..common.fingerprints import sha256_of
from ..common.notices import Notify, notice
from ..weights.card import read_card
from ..weights.catalogue import SUFFIX
from . import tasks
from .job import ArchiveRun, SceneJob
from .prepare import Prepared, safe, same_kind, with_weights
from .storage import Storage

MAXIMUM_SCENES = 12
"scenes that weights are adapted to, evenly spread over those of a sensor"
FOLDER = "weights"
"folder of the archive that keeps adapted weights and what was found"


def with_adapted_before(prepared: Prepared, run: ArchiveRun, seconds: float) -> Prepared:
    """Returns the scenes with the weights that an earlier run has adapted to them, where there are any."""
    return _with_adapted(prepared, run, lambda group, name: Storage(run.root).read_json(f"{name}.json"), seconds)


def adapted_now(client, prepared: Prepared, run: ArchiveRun, seconds: float, notify: Notify) -> Prepared:
    """Returns the scenes with weights adapted to the archive; those that are not better are not used.

    seconds: of training for each sensor; 0: what the weights take by default.
    """
    storage = Storage(run.root)

    def found(group: Sequence[SceneJob], name: str) -> dict:
        record = storage.read_json(f"{name}.json")
        if record is None:
            chosen = spread_over(group)
            task = client.submit(tasks.adapt_to_scenes, chosen, run, name.rpartition("/")[2], seconds, pure=False)
            content, said = task.result()
            if content:
                storage.write(f"{name}{SUFFIX}", content)
            record = {"better": bool(content), "scenes": [job.name for job in chosen], "found": said}
            storage.write_json(f"{name}.json", record)
        notify(notice("archive_adapted", weights=group[0].weights_id, scenes=len(group), found=record["found"]))
        return record

    return _with_adapted(prepared, run, found, seconds)


def spread_over(group: Sequence[SceneJob]) -> list[SceneJob]:
    """Returns MAXIMUM_SCENES of the scenes at most, evenly spread."""
    step = max(len(group) / MAXIMUM_SCENES, 1)
    return [group[int(index * step)] for index in range(min(len(group), MAXIMUM_SCENES))]


def _with_adapted(prepared: Prepared, run: ArchiveRun, found, seconds: float) -> Prepared:
    """Returns the scenes with adapted weights. found: returns the record of a group, None if there is none."""
    jobs, weights = {}, dict(prepared.weights)
    for group in same_kind(prepared.jobs):
        name = _name(group, run, seconds)
        record = found(group, name) if group[0].weights else {"better": False}
        path = Storage(run.root).local_file(f"{name}{SUFFIX}") if record and record["better"] else None
        if path:
            digest = sha256_of(path)
            weights[digest] = path
            group = [with_weights(job, digest, read_card(path).id, run) for job in group]
        jobs |= {job.name: job for job in group}
    return replace(prepared, jobs=tuple(jobs[job.name] for job in prepared.jobs), weights=weights)


def _name(group: Sequence[SceneJob], run: ArchiveRun, seconds: float) -> str:
    """Returns the name of weights by all that they depend on."""
    parts = ([job.key for job in group], seconds, run.options.device, run.version)
    return f"{FOLDER}/{safe(group[0].sensor)}-archive-{hashlib.sha256(repr(parts).encode()).hexdigest()[:8]}"
