"""The Dask cluster: one that is running, or local workers for the time of the run."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass

from ..common.errors import ConfigError, WorkerError, one_line
from ..common.memory import free_memory
from ..runtime import wheels

NO_PROFILE = {"distributed.worker.profile.enabled": False}
"configuration of workers without Dask's profiler, which looks at the stacks of tasks a hundred times a second"
WORKER_MEMORY = 1536
"MiB that a worker needs besides --memory: Python, PyTorch and a network"
ATTACH_SECONDS = 60.0
"time for the first worker of a running scheduler to appear"
LOCAL = "127.0.0.1"
QUIET = logging.CRITICAL
"level of Dask's messages to the terminal: what matters is told by SSDiff"


@dataclass(frozen=True)
class ClusterOptions:
    """Which cluster is used, and how it listens."""

    scheduler: str = ""
    "address of a running scheduler"
    scheduler_file: str = ""
    "file that a running scheduler has written"
    workers: int | None = None
    "number of local workers; None: as many as processors, memory and GPUs allow"
    host: str = LOCAL
    "address that a local cluster listens on"
    dashboard: str = f"{LOCAL}:0"
    "address that the dashboard of a local cluster listens on"
    tls_ca: str = ""
    tls_cert: str = ""
    tls_key: str = ""
    "files of TLS; empty: as Dask is configured"

    @property
    def attached(self) -> bool:
        return bool(self.scheduler or self.scheduler_file)


def import_distributed():
    """Returns the module distributed; raises ConfigError if it is not installed."""
    try:
        import distributed
    except ImportError as error:
        raise ConfigError(
            f"archives need Dask distributed ({one_line(error)}): pip install 'ssdiff-qgis[archive]'"
        ) from None
    return distributed


@contextlib.contextmanager
def connected(options: ClusterOptions, memory: int) -> Iterator:
    """Yields the client of a cluster; a local cluster ends with the block. memory: that of a task, in MB."""
    distributed = import_distributed()
    security = _security(options, distributed)
    if options.attached:
        where = {"scheduler_file": options.scheduler_file} if options.scheduler_file else {"address": options.scheduler}
        try:
            client = distributed.Client(**where, security=security, set_as_default=False)
        except (OSError, ValueError) as error:
            name = options.scheduler or options.scheduler_file
            raise WorkerError(f"the scheduler {name} does not answer: {one_line(error)}") from None
        with client:
            with contextlib.suppress(distributed.TimeoutError):  # the check of the workers says that there are none
                client.wait_for_workers(1, timeout=ATTACH_SECONDS)
            yield client
        return
    with (
        _local(options, memory, security, distributed) as cluster,
        distributed.Client(cluster, security=security, set_as_default=False) as client,
    ):
        client.wait_for_workers(len(cluster.worker_spec))
        yield client


def processors_of(options: ClusterOptions, memory: int) -> int:
    """Returns the processors that a task computes with: those of a thread of Dask, or a local worker's share."""
    return 1 if options.attached else max((os.cpu_count() or 1) // len(worker_places(options.workers, memory)), 1)


def worker_places(workers: int | None, memory: int) -> list[dict[str, str]]:
    """Returns the environment variables that tell each local worker its device."""
    gpus = _gpus()
    if workers is None:
        by_memory = int(free_memory() // ((memory + WORKER_MEMORY) * 2**20))
        workers = len(gpus) or max(min(os.cpu_count() or 1, by_memory), 1)
    return [{"CUDA_VISIBLE_DEVICES": gpus[index % len(gpus)]} if gpus else {} for index in range(workers)]


def _gpus() -> list[str]:
    """Returns the numbers of the GPUs of this machine, without importing PyTorch."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [number for number in visible.split(",") if number not in ("", "-1")]
    return [str(number) for number in range(len(wheels.gpus()))]


def _local(options: ClusterOptions, memory: int, security, distributed):
    """Returns a cluster of processes on this machine."""
    common = {"host": options.host, "security": security}
    scheduler = {"cls": distributed.Scheduler, "options": {**common, "dashboard_address": options.dashboard}}
    worker = {
        **common,
        "nthreads": 1,
        "config": NO_PROFILE,
        "memory_limit": 0,
        "silence_logs": QUIET,
        "dashboard_address": f"{options.host}:0",
    }
    places = worker_places(options.workers, memory)
    workers = {
        index: {"cls": distributed.Nanny, "options": {**worker, "env": place}} for index, place in enumerate(places)
    }
    return distributed.SpecCluster(
        workers=workers, scheduler=scheduler, security=security, silence_logs=QUIET, name="ssdiff"
    )


def _security(options: ClusterOptions, distributed):
    """Returns the settings of TLS; None for those of Dask's configuration."""
    if not (options.tls_ca or options.tls_cert or options.tls_key):
        return None
    if not (options.tls_ca and options.tls_cert):
        raise ConfigError("TLS needs --tls-ca-file and --tls-cert (and --tls-key, unless the certificate contains it)")
    key = options.tls_key or options.tls_cert
    files = {"cert": options.tls_cert, "key": key}
    roles = "client", "scheduler", "worker"
    own = {f"tls_{role}_{kind}": file for role in roles for kind, file in files.items()}
    return distributed.Security(tls_ca_file=options.tls_ca, require_encryption=True, **own)
