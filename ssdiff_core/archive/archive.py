"""An archive run: from places to fused images, a catalogue of them and a table."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..common.errors import WorkerError
from ..common.locks import held
from ..common.notices import Notify
from ..common.paths import ensure_folder
from ..deliveries import Delivery
from ..weights.catalogue import Fetch
from . import adapting, checks, collection, shared_weights
from .cluster import ClusterOptions, connected, processors_of
from .items import complete
from .job import ArchiveRun, Outcome, SceneJob
from .prepare import LARGE, PATTERN, Prepared, prepare
from .runner import PATIENCE, SCHEDULER_LOST, Runner
from .storage import Storage


@dataclass(frozen=True)
class ArchiveSettings:
    """How an archive is run."""

    pattern: str = PATTERN
    "names of fused images"
    large: float = LARGE
    "megapixels from which many workers fuse a scene together"
    patience: float = PATIENCE
    "seconds without progress after which a worker counts as hung"
    resume: bool = False
    "whether scenes that are complete and unchanged are kept"
    adapt_seconds: float | None = None
    "seconds for adapting weights to the archive; 0: what the weights take by default; None: not to the archive"
    cluster: ClusterOptions = field(default_factory=ClusterOptions)


@dataclass(frozen=True)
class Plan:
    """What a run has to do."""

    prepared: Prepared
    done: tuple[Outcome, ...]
    "scenes that are complete already"

    @property
    def todo(self) -> list[SceneJob]:
        kept = {outcome.name for outcome in self.done}
        return [job for job in self.prepared.jobs if job.name not in kept]


@dataclass(frozen=True)
class Observer:
    """Receives what happens during a run."""

    notify: Notify
    begun: Callable[[Plan, str], None]
    "receives the plan and the address of the dashboard when the workers are ready"
    ended: Callable[[Outcome], None]
    "receives the outcome of each scene"
    progress: Callable[[float], None]
    "receives repeatedly the pixels of the scenes in work that are done"


def new_run(root: str, settings: ArchiveSettings, **values) -> ArchiveRun:
    """Returns what all scenes share. values: other fields of ArchiveRun."""
    if not root.startswith("/vsi"):
        root = Path(root).absolute().as_posix()
    processors = processors_of(settings.cluster, values["options"].memory)
    return ArchiveRun(root, id=os.urandom(6).hex(), processors=processors, **values)


def plan(
    deliveries: Sequence[Delivery], run: ArchiveRun, settings: ArchiveSettings, fetch: Fetch, notify: Notify
) -> Plan:
    """Returns what is to do; reads no pixels."""
    prepared = prepare(deliveries, run, settings.pattern, settings.large, fetch, notify)
    if settings.adapt_seconds is not None:
        prepared = adapting.with_adapted_before(prepared, run, settings.adapt_seconds)
    return Plan(prepared, _complete(prepared, run) if settings.resume else ())


def _complete(prepared: Prepared, run: ArchiveRun) -> tuple[Outcome, ...]:
    storage = Storage(run.root)
    found = ((job.name, complete(job, storage)) for job in prepared.jobs)
    return tuple(Outcome(name, "", item) for name, item in found if item)


def fuse_archive(
    deliveries: Sequence[Delivery], run: ArchiveRun, settings: ArchiveSettings, fetch: Fetch, observer: Observer
) -> list[Outcome]:
    """Fuses what is to do, writes the catalogue and the table, and returns the outcome of each scene.

    Raises WorkerError if the scheduler is lost; what is done is kept, and a run that resumes continues.
    """
    storage = Storage(run.root)
    with _claimed(storage):
        whole = plan(deliveries, run, settings, fetch, observer.notify)
        outcomes = [*whole.prepared.refused, *whole.done]
        if whole.todo:
            with connected(settings.cluster, run.options.memory) as client, _provided() as provide:
                checks.check_workers(client, whole.todo, run)
                provide(client, whole.prepared)
                if settings.adapt_seconds is not None:
                    whole = _adapted(client, whole.prepared, run, settings, observer.notify)
                    outcomes = [*whole.prepared.refused, *whole.done]
                    provide(client, whole.prepared)
                for job in () if settings.resume else whole.todo:
                    storage.remove(job.item)
                observer.begun(whole, client.dashboard_link)
                runner = Runner(client, run, whole.todo, settings.patience, observer.notify)
                with _resumable(whole, outcomes):
                    for outcome in runner.outcomes(lambda: observer.progress(runner.pixels())):
                        outcomes.append(outcome)
                        observer.ended(outcome)
        collection.write(storage, whole.prepared.jobs, outcomes)
        return outcomes


@contextlib.contextmanager
def _claimed(storage: Storage) -> Iterator[None]:
    """Holds the lock on a local archive, which only one run writes at a time."""
    if not storage.local:
        yield
        return
    with held(ensure_folder(storage.root) / "archive"):
        yield


@contextlib.contextmanager
def _provided() -> Iterator[Callable]:
    """Yields a function that offers weights to the workers that lack them, also to those that join later."""
    with contextlib.ExitStack() as at_end:

        def provide(client, prepared: Prepared) -> None:
            for path in prepared.weights.values():
                at_end.callback(shared_weights.withdraw, client, [shared_weights.publish(client, path)])

        yield provide


def _adapted(client, prepared: Prepared, run: ArchiveRun, settings: ArchiveSettings, notify: Notify) -> Plan:
    prepared = adapting.adapted_now(client, prepared, run, settings.adapt_seconds, notify)
    return Plan(prepared, _complete(prepared, run) if settings.resume else ())


@contextlib.contextmanager
def _resumable(whole: Plan, outcomes: Sequence[Outcome]) -> Iterator[None]:
    """Says in the messages of interrupts and lost schedulers how the run continues."""

    def told(what: str) -> str:
        done = sum(bool(outcome.item) for outcome in outcomes)
        total = len(whole.prepared.jobs)
        return f"{what}: {done} of {total} scenes are done; the same command with --resume continues"

    from distributed.comm import CommClosedError

    try:
        yield
    except (WorkerError, CommClosedError) as error:  # any request to the client may notice a lost scheduler first
        raise WorkerError(told(SCHEDULER_LOST if isinstance(error, CommClosedError) else str(error))) from None
    except KeyboardInterrupt:
        raise KeyboardInterrupt(told("interrupted")) from None
