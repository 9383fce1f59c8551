"""Nothing is lost: processes are killed, stopped and out of disk, and the images are those of an undisturbed run."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from archives import hold, make_pairs, pids
from command import ssdiff
from files import read
from waiting import HANG_SECONDS, wait_until

psutil = pytest.importorskip("psutil", reason="Dask distributed, which needs psutil, is not installed")

SCENES = 3
COMMAND = sys.executable, "-m", "ssdiff_core", "archive"
METHOD = "--method", "mtf-glp-fs"


@pytest.fixture(scope="module")
def undisturbed(shared_client, tmp_path_factory):
    """The folder of the scenes, and the images of a run without any fault."""
    folder = tmp_path_factory.mktemp("undisturbed")
    places = make_pairs(folder / "in", SCENES, side=128)
    ssdiff("archive", places, "-o", folder / "out", "--scheduler", shared_client.scheduler.address, *METHOD)
    return places, images(folder / "out")


def images(out: Path) -> dict[str, bytes]:
    return {path.name: read(path).tobytes() for path in sorted(out.glob("*.tif"))}


@contextlib.contextmanager
def meanwhile(disturb: Callable[[], None]) -> Iterator[None]:
    """Calls a function in another thread during the block, and raises its error at the end."""
    with ThreadPoolExecutor(1) as pool:
        disturbance = pool.submit(disturb)
        yield
        disturbance.result()


def working(client) -> list[str]:
    """Returns the workers that have a task."""
    return [worker for worker, tasks in client.processing().items() if tasks]


@pytest.mark.parametrize("large", [False, True], ids=["one worker a scene", "all workers together"])
def test_killed_workers_cost_no_scene_and_no_pixel(client, undisturbed, tmp_path, large):
    places, expected = undisturbed
    hold(client, tmp_path / "gate")
    options = ("--large", 0) if large else ()
    command = ("archive", places, "-o", tmp_path / "out", "--scheduler", client.scheduler.address, *METHOD, *options)

    def kill() -> None:
        wait_until(lambda: working(client))
        os.kill(pids(client)[working(client)[0]], signal.SIGKILL)
        (tmp_path / "gate").unlink()

    with meanwhile(kill):
        ssdiff(*command)
    assert images(tmp_path / "out") == expected


def test_a_worker_that_hangs_is_replaced(client, undisturbed, tmp_path):
    places, expected = undisturbed
    hold(client, tmp_path / "gate")
    command = ("archive", places, "-o", tmp_path / "out", "--scheduler", client.scheduler.address, *METHOD)
    stopped = []

    def stop() -> None:
        wait_until(lambda: len(working(client)) == 2)
        stopped.append(pids(client)[working(client)[0]])
        os.kill(stopped[0], signal.SIGSTOP)
        (tmp_path / "gate").unlink()

    with meanwhile(stop):
        told = ssdiff(*command, "--timeout", 10).stderr
    assert "no progress for 10 s on the worker" in told
    assert images(tmp_path / "out") == expected
    wait_until(lambda: not psutil.pid_exists(stopped[0]))


def test_a_scene_is_fused_by_another_worker_if_the_disk_of_one_is_full(client, undisturbed, tmp_path):
    places, expected = undisturbed
    full, _ = client.nthreads()
    client.run(_limit_files, 20_000, workers=[full])
    try:
        command = ("archive", places, "-o", tmp_path / "out", "--scheduler", client.scheduler.address, *METHOD)
        told = ssdiff(*command).stderr
    finally:
        client.run(_limit_files, resource.RLIM_INFINITY)
    assert "cannot be written" in told
    assert images(tmp_path / "out") == expected


def _limit_files(size: int) -> None:
    """Has the system refuse this process to write files beyond a size, as on a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def test_a_run_whose_scheduler_is_killed_says_so_and_can_be_resumed(undisturbed, tmp_path):
    places, expected = undisturbed
    file, out, processes = tmp_path / "scheduler.json", tmp_path / "out", []
    try:
        processes.append(
            start(
                sys.executable,
                "-m",
                "dask",
                "scheduler",
                "--host",
                "127.0.0.1",
                "--port",
                "0",
                "--dashboard-address",
                "127.0.0.1:0",
                "--scheduler-file",
                file,
            )
        )
        wait_until(file.exists)
        processes.append(
            start(
                sys.executable,
                "-m",
                "dask",
                "worker",
                "--scheduler-file",
                file,
                "--nthreads",
                "1",
                "--no-dashboard",
                "--host",
                "127.0.0.1",
                "--death-timeout",
                "60",
            )
        )
        run = subprocess.Popen(
            [*COMMAND, places, "-o", out, *METHOD, "--scheduler-file", file, "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        until(run, "scene")
        processes[0].kill()
        told = run.communicate(timeout=HANG_SECONDS)[1]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    if len(list(out.glob("*.json"))) < SCENES:  # otherwise it was done before the kill
        assert run.returncode == 1
        assert "the connection to the scheduler was lost: " in told
    ssdiff("archive", places, "-o", out, *METHOD, "--workers", 1, "--resume")
    assert images(out) == expected


def start(*command) -> subprocess.Popen:
    return subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def until(run: subprocess.Popen, kind: str) -> dict:
    """Reads events of a run until one of this kind."""
    for line in run.stdout:
        event = json.loads(line)
        if event["event"] == kind:
            return event
    raise AssertionError(run.stderr.read())


def test_a_killed_client_leaves_no_process_and_its_run_can_be_resumed(undisturbed, certificate, tmp_path):
    places, expected = undisturbed
    out, (cert, key) = tmp_path / "out", certificate
    tls = "--tls-ca-file", cert, "--tls-cert", cert, "--tls-key", key
    run = subprocess.Popen(
        [*COMMAND, places, "-o", out, *METHOD, "--workers", "1", "--json", *tls],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until(run, "begun")
    client = psutil.Process(run.pid)
    family = [client, *client.children(recursive=True)]
    listening = [socket.laddr.ip for process in family for socket in process.net_connections() if is_open(socket)]
    assert set(listening) == {"127.0.0.1"}
    assert not [file for file in Path(f"/proc/{run.pid}/maps").read_text().splitlines() if "libtorch" in file]
    assert until(run, "scene")["worker"].startswith("tls://127.0.0.1:")
    run.kill()
    run.communicate()
    psutil.wait_procs(family, timeout=HANG_SECONDS)
    assert not [process for process in family if process.is_running()]
    done = {path: path.stat().st_mtime_ns for path in out.glob("*.tif") if path.with_suffix(".json").exists()}
    ssdiff("archive", places, "-o", out, *METHOD, "--workers", 1, "--resume")
    assert done
    assert {path: path.stat().st_mtime_ns for path in done} == done
    assert images(out) == expected


def is_open(socket) -> bool:
    return socket.status == psutil.CONN_LISTEN
