"""Sends scenes to the workers, watches them, and tries again what has failed."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from ..common.errors import WorkerError, one_line
from ..common.notices import Notify, notice
from ..common.progress import duration
from . import tasks
from .job import ArchiveRun, Outcome, SceneJob
from .pulse import ENDED

RETRIES = 2
"times that a failed scene is tried again"
LARGE_AT_ONCE = 2
"large scenes that are fused at a time: all workers share each, and a second one fills the gaps at the end of the first"
TICK_SECONDS = 0.5
"time between two looks at the state of the run"
SCHEDULER_LOST = "the connection to the scheduler was lost"
PATIENCE = 1800.0
"seconds without progress after which a worker counts as hung, by default"
BUSY_SHARE = 0.05
"share of a processor that a process without progress must use to count as computing"
LOOKS = 4
"number of looks for workers that have not begun, in the time after which a worker counts as hung"
RESTART_SECONDS = 10
"time that a hung worker has to restart"


@dataclass
class _Scene:
    """A scene that is not done yet."""

    job: SceneJob
    failures: int = 0
    attempt: int = 0
    avoided: set[str] = field(default_factory=set)
    "workers on which it has failed"
    allowed: list[str] = field(default_factory=list)
    "workers that it waits for; empty: any"
    future: object = None


@dataclass
class _Signs:
    """What was last heard of a task."""

    worker: str
    share: float
    beats: int
    cpu: float
    "processor seconds of its process at the last progress"
    changed: float
    "time of the last progress"


class Runner:
    """Fuses scenes on a cluster."""

    def __init__(self, client, run: ArchiveRun, jobs: Sequence[SceneJob], patience: float, notify: Notify):
        """patience: seconds without progress after which a worker counts as hung."""
        self._client, self._run, self._patience, self._notify = client, run, patience, notify
        ordered = sorted(jobs, key=lambda job: -job.pixels)  # the last ones to end are then small
        self._open = {job.name: _Scene(job) for job in ordered}
        self._waiting = deque(job.name for job in ordered if job.large)
        self._ended: queue.Queue = queue.Queue()
        self._signs: dict[str, _Signs] = {}
        self._silent: dict[str, float] = {}
        "workers that have tasks of this run alone and have begun none, and since when"
        self._looked = 0.0
        "time of the last look for them"

    def outcomes(self, tick: Callable[[], None] = lambda: None) -> Iterator[Outcome]:
        """Yields the outcome of each scene when it is known. tick: called repeatedly.

        Raises WorkerError if the scheduler is lost.
        """
        self._client.subscribe_topic(self._run.topic, self._hear)
        try:
            for scene in [scene for scene in self._open.values() if not scene.job.large]:
                self._submit(scene)
            for _ in range(LARGE_AT_ONCE):
                self._submit_large()
            while self._open:
                yield from self._news()
                yield from self._hung()
                yield from self._not_begun()
                self._release()
                tick()
        finally:
            with contextlib.suppress(OSError, RuntimeError):  # the scheduler may be gone
                self._client.cancel([scene.future for scene in self._open.values() if scene.future])
                self._client.unsubscribe_topic(self._run.topic)

    def pixels(self) -> float:
        """Returns the pixels of the open scenes that are done."""
        shares = {task: signs.share for task, signs in list(self._signs.items())}
        return sum(scene.job.pixels * shares.get(name, 0.0) for name, scene in list(self._open.items()))

    # --- sending -----------------------------------------------------------------------------------------------------

    def _submit(self, scene: _Scene) -> None:
        scene.attempt += 1
        name, attempt = scene.job.name, scene.attempt
        if scene.avoided:
            scene.allowed = [worker for worker in self._client.nthreads() if worker not in scene.avoided]
        scene.future = self._client.submit(
            *(tasks.fuse_scene, scene.job, self._run),
            key=f"fuse-{self._run.id}-{name}-{attempt}",
            workers=scene.allowed or None,
            pure=False,
        )
        scene.future.add_done_callback(lambda future: self._ended.put((name, attempt, future)))

    def _submit_large(self) -> None:
        if self._waiting:
            self._submit(self._open[self._waiting.popleft()])

    def _release(self) -> None:
        """Sends scenes again whose allowed workers have all gone."""
        bound = [scene for scene in self._open.values() if scene.allowed]
        present = set(self._client.nthreads()) if bound else set()
        for scene in bound:
            if not present.intersection(scene.allowed):
                scene.future.cancel()
                self._submit(scene)

    # --- what ends ---------------------------------------------------------------------------------------------------

    def _news(self) -> Iterator[Outcome]:
        """Yields the outcomes of the scenes that have ended since; waits a moment for one."""
        try:
            name, attempt, future = self._ended.get(timeout=TICK_SECONDS)
        except queue.Empty:
            self._check_scheduler()
            return
        scene = self._open.get(name)
        if not scene or attempt != scene.attempt:
            return  # it was cancelled since
        outcome = self._outcome(name, future)
        if outcome.item:
            yield self._close(scene, outcome)
        else:
            yield from self._failed(scene, outcome)

    def _outcome(self, name: str, future) -> Outcome:
        from distributed import KilledWorker

        if future.status == "finished":
            return future.result()
        self._check_scheduler()
        error = future.exception() if future.status == "error" else None
        if isinstance(error, KilledWorker):
            worker = error.last_worker.address if error.last_worker else ""
            reason = f"{error.allowed_failures + 1} workers ended while they fused it"
            return Outcome(name, worker, reason=reason)
        reason = f"{type(error).__name__}: {one_line(error)}" if error else "the task was cancelled by another program"
        return Outcome(name, "", reason=reason)

    def _failed(self, scene: _Scene, outcome: Outcome) -> Iterator[Outcome]:
        """Tries a scene again, on another worker if there is one; yields the outcome if it has been enough."""
        scene.failures += 1
        scene.avoided.add(outcome.worker)
        if scene.failures > RETRIES:
            yield self._close(scene, outcome)
            return
        self._notify(notice("scene_tried_again", scene=scene.job.name, reason=outcome.reason))
        self._submit(scene)

    def _close(self, scene: _Scene, outcome: Outcome) -> Outcome:
        del self._open[scene.job.name]
        if scene.job.large:
            self._submit_large()
        return outcome

    def _check_scheduler(self) -> None:
        if self._client.status != "running":
            raise WorkerError(SCHEDULER_LOST)

    # --- what hangs --------------------------------------------------------------------------------------------------

    def _hear(self, event) -> None:
        """Receives a message of a task (see pulse); called in the thread of the client's event loop."""
        _, told = event
        task, now = told["task"], time.monotonic()
        if told["state"] == ENDED:
            self._signs.pop(task, None)
            return
        signs = self._signs.get(task)
        is_new = signs is None or signs.worker != told["worker"]
        if is_new or (told["share"], told["beats"]) != (signs.share, signs.beats) or self._computes(signs, told):
            self._signs[task] = _Signs(*(told[name] for name in ("worker", "share", "beats", "cpu")), now)
            scene = self._signs.get(task.partition("#")[0])
            if scene:
                scene.changed = now  # a part that advances is progress of its scene

    def _computes(self, signs: _Signs, told: dict) -> bool:
        """Returns whether a process without progress has used enough processor time to be at work."""
        return told["cpu"] - signs.cpu > BUSY_SHARE * self._patience

    def _hung(self) -> Iterator[Outcome]:
        """Restarts workers whose task makes no progress; yields the outcome of a scene if it has been enough."""
        latest = time.monotonic() - self._patience
        late = [task for task, signs in list(self._signs.items()) if signs.changed < latest]
        for task in sorted(late, key=lambda task: "#" not in task):  # parts first: their scenes only wait for them
            signs, name = self._signs.get(task), task.partition("#")[0]
            if not signs or signs.changed >= latest:
                continue
            self._forget(signs.worker, name)
            scene = self._open.get(name)
            if scene and signs.worker in self._client.nthreads():
                self._begin_restart(signs.worker)
                yield from self._has_hung(scene, self._no_progress(name, signs.worker), "#" in task)

    def _not_begun(self) -> Iterator[Outcome]:
        """Restarts workers that do not begin their tasks; yields the outcome of a scene if it has been enough."""
        now = time.monotonic()
        if now - self._looked < self._patience / LOOKS:
            return
        self._looked = now
        given = {worker: keys for worker, keys in self._client.processing().items() if keys and self._are_own(keys)}
        heard = {signs.worker for signs in list(self._signs.values())}
        self._silent = {worker: self._silent.get(worker, now) for worker in given if worker not in heard}
        for worker in [worker for worker, since in self._silent.items() if now - since >= self._patience]:
            del self._silent[worker]
            self._begin_restart(worker)
            for scene in [scene for scene in self._open.values() if scene.future and scene.future.key in given[worker]]:
                yield from self._has_hung(scene, self._no_progress(scene.job.name, worker), False)

    def _are_own(self, keys) -> bool:
        """Returns whether all tasks are of this run: a worker may be busy with those of others."""
        return all(self._run.id in str(key) for key in keys)

    def _no_progress(self, name: str, worker: str) -> Outcome:
        return Outcome(name, worker, reason=f"no progress for {duration(self._patience)} on the worker {worker}")

    def _begin_restart(self, worker: str) -> None:
        threading.Thread(target=self._restart, args=(worker,), daemon=True).start()

    def _has_hung(self, scene: _Scene, outcome: Outcome, is_part: bool) -> Iterator[Outcome]:
        """Tries a scene again like one that has failed. A part of it is computed again by Dask on another worker."""
        if is_part and scene.failures < RETRIES:
            scene.failures += 1
            self._notify(notice("scene_tried_again", scene=scene.job.name, reason=outcome.reason))
            return
        scene.future.cancel()
        yield from self._failed(scene, outcome)

    def _forget(self, worker: str, name: str) -> None:
        """Forgets what a worker has told, and begins to wait for a scene again."""
        self._signs = {task: signs for task, signs in list(self._signs.items()) if signs.worker != worker}
        if name in self._signs:
            self._signs[name].changed = time.monotonic()

    def _restart(self, worker: str) -> None:
        """Kills the process of a worker, which its nanny starts again; without a nanny, the scheduler drops it."""
        with contextlib.suppress(OSError):  # the run has ended in the meantime
            try:
                self._client.restart_workers([worker], timeout=RESTART_SECONDS, raise_for_error=False)
            except ValueError:
                self._client.run_on_scheduler(_drop, worker)


async def _drop(worker: str, dask_scheduler=None) -> None:
    """Has the scheduler regard a worker as lost."""
    await dask_scheduler.remove_worker(worker, stimulus_id="ssdiff-hung", close=False)
