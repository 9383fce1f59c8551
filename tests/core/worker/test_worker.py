"""The computing process, always a real one: its results, and how it can fail."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from pythons import python_that, script
from scenes import smooth_scene, surveyed, tiny_file, with_views
from waiting import wait_until

from ssdiff_core.common.errors import BlockError, Cancelled, DeviceError, WeightsError, WorkerError
from ssdiff_core.common.isolated_python import environment
from ssdiff_core.common.notices import notice
from ssdiff_core.domain.band_groups import groups
from ssdiff_core.domain.block import Block
from ssdiff_core.domain.options import SamplingOptions
from ssdiff_core.fusion.engine import Engine
from ssdiff_core.fusion.grouped_engine import Grouped
from ssdiff_core.model import checkpoint
from ssdiff_core.model.ssnet import state_of
from ssdiff_core.worker.client import process as worker_process
from ssdiff_core.worker.client.engine import Callbacks, RemoteEngine, Worker
from ssdiff_core.worker.shared_memory import PROTOCOL, Memory, read_block, write_block

ROOT = Path(__file__).parents[3]
UNWANTED = ("osgeo", "qgis", "PyQt5", "PyQt6", "requests", "scipy", "PIL", "pandas")
LONG = SamplingOptions(steps=1000, samples=1000)
posix = pytest.mark.skipif(os.name == "nt", reason="scripts as interpreters, and signals")
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="open files are listed in /proc")


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Limits both processes to one thread, so that they compute the same and do not wait for busy processors."""
    before = os.environ.get("OMP_NUM_THREADS"), torch.get_num_threads()
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before[1])
    os.environ.pop("OMP_NUM_THREADS") if before[0] is None else os.environ.update(OMP_NUM_THREADS=before[0])


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return tiny_file(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def worker(tmp_path_factory):
    """A worker whose Python can import nothing but torch, numpy and safetensors of what programs often have."""
    python = sys.executable
    if os.name != "nt":
        first = f"sys.modules.update(dict.fromkeys({UNWANTED!r}))"
        python = python_that(tmp_path_factory.mktemp("worker") / "python", first)
    with Worker(python) as worker:
        yield worker


@pytest.fixture
def own():
    """A worker that a test may break. Checks that no process and no pipe is left."""
    before = open_pipes()
    with Worker(sys.executable) as worker:
        yield worker
        pid = worker.pid
    wait_until(lambda: pid is None or gone(pid), "the computing process to end")
    wait_until(lambda: open_pipes() <= before, "the pipes and the memory of the worker to be closed")


def open_pipes():
    """Returns the open pipes and shared memories of this process, by their inodes; a worker opens nothing else."""
    found = set()
    for number in os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else ():
        with contextlib.suppress(OSError):  # closed meanwhile
            name, inode = os.readlink(f"/proc/self/fd/{number}"), os.stat(f"/proc/self/fd/{number}").st_ino
            if name.startswith(("pipe:", "/memfd:")):
                found.add((name, inode))
    return found


def gone(pid):
    return not alive(pid)


def alive(pid):
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except ProcessLookupError:
        return False
    except FileNotFoundError:  # it has just ended, or this system has no /proc
        return not Path("/proc").exists()


def before_fusing(expression):
    """Returns statements for `python_that` that evaluate an expression each time the worker starts to fuse a block."""
    return f"""
sys.path.insert(0, {str(ROOT)!r})
from ssdiff_core.worker.server.service import Service
fuse = Service.fuse
Service.fuse = lambda *what, **more: ({expression}, fuse(*what, **more))[1]
"""


def at_work(action, seconds=0.2):
    """Returns a progress callback that starts a timer for the action once the worker has its block."""
    timer = threading.Timer(seconds, action)
    return lambda share: None if timer.ident else timer.start()


# --- results ---------------------------------------------------------------------------------------------------------


def test_its_pixels_are_identical_to_those_of_the_engine_in_this_process(worker, tiny):
    here = Engine(checkpoint.load(tiny), SamplingOptions(steps=2, samples=2, seed=7))
    with RemoteEngine(worker, tiny, SamplingOptions(steps=2, samples=2, seed=7)) as there:
        assert (there.reach, there.ms_halo, there.steps) == (here.reach, here.ms_halo, 2)
        assert (there.id, there.sha256) == ("tiny", checkpoint.sha256_of(tiny))
        for block in (smooth_scene(40, 50), smooth_scene(64, 90, origin=(12, 8))):  # the second needs more memory
            assert np.array_equal(there.fuse(block), here.fuse(block))
            assert np.array_equal(there.fuse_with_spread(block), here.fuse_with_spread(block))


def test_masks_number_types_and_views_arrive_unchanged(worker, tiny):
    scene = smooth_scene(40, 50)
    valid = np.ones((40, 50), bool)
    valid[5:9, 7:30] = False
    ms = scene.ms.copy()
    ms[2, 3, 4] = np.nan
    block = Block(
        *(scene.pan.astype(np.uint16)[:], ms, scene.ms_at, scene.ratio, scene.window, scene.window, valid, scene.stats)
    )
    engine = Engine(checkpoint.load(tiny))
    with RemoteEngine(worker, tiny) as there:
        for part in (block, block.crop(scene.window.grow(-10), engine.reach, engine.ms_halo)):
            assert np.array_equal(there.fuse(part), engine.fuse(part), equal_nan=True)


def test_more_bands_than_the_weights_take_are_fused_in_groups(worker, tiny):
    block, of_bands = smooth_scene(30, 30, bands=6), groups(6, 4)
    here = Grouped(Engine(checkpoint.load(tiny)), of_bands).fuse(block)
    with RemoteEngine(worker, tiny, groups=of_bands) as there:
        assert np.array_equal(there.fuse(block), here)


def test_statistics_of_band_groups_arrive_too(worker, tiny, tmp_path):
    seeing, of_bands = with_views(checkpoint.load(tiny)), groups(6, 4)
    path = tmp_path / "seeing.safetensors"
    checkpoint.save(path, state_of(seeing.net), seeing.card)
    block = surveyed(smooth_scene(30, 30, bands=6), of_bands=of_bands)
    here = Grouped(Engine(checkpoint.load(path)), of_bands).fuse(block)
    with RemoteEngine(worker, path, groups=of_bands) as there:
        assert np.array_equal(there.fuse(block), here)


def test_one_process_serves_engines_in_turn_and_side_by_side(worker, tiny):
    block = smooth_scene(30, 30)
    with (
        RemoteEngine(worker, tiny, SamplingOptions(seed=1)) as one,
        RemoteEngine(worker, tiny, SamplingOptions(seed=2)) as two,
    ):
        first, second = one.fuse(block), two.fuse(block)
        pid = worker.pid
        assert np.array_equal(one.fuse(block), first)
        assert not np.array_equal(first, second)
    with RemoteEngine(worker, tiny, SamplingOptions(seed=1)) as one:
        assert np.array_equal(one.fuse(block), first)
    assert worker.pid == pid


def test_progress_arrives_and_increases_to_the_end(worker, tiny):
    heard = []
    with RemoteEngine(worker, tiny, SamplingOptions(steps=15)) as engine:
        engine.fuse(smooth_scene(90, 90), heard.append)
    assert heard == sorted(heard)
    assert len(set(heard)) > 3
    assert 0 <= heard[0] < 0.5 < heard[-1] <= 1


@posix
def test_notices_arrive_with_kind_and_values(tiny, tmp_path):
    sent, received = notice("cpu_instead", device=notice("out_of_memory")), []
    first = before_fusing("what[0]._notify(notice('cpu_instead', device=notice('out_of_memory')))")
    python = python_that(tmp_path / "python", first + "from ssdiff_core.common.notices import notice\n")
    with Worker(python) as worker, RemoteEngine(worker, tiny, notify=received.append) as engine:
        engine.fuse(smooth_scene(12, 12))
    assert received == [sent]


def test_an_error_that_is_a_notice_arrives_as_one(worker, tiny):
    with pytest.raises(DeviceError) as raised:
        RemoteEngine(worker, tiny, SamplingOptions(device="cuda:9"))
    assert raised.value.notice.kind == "device_fails"
    assert raised.value.notice.values["device"] == "cuda:9"


def test_hello_returns_versions_and_tested_devices(worker):
    said = worker.hello()
    assert said["torch"] == torch.__version__
    assert said["devices"]["cpu"]["works"]


@posix
def test_started_by_hand_it_answers_each_line_until_bye():
    memory = Memory.make()
    number, how = memory.for_child()
    command = [sys.executable, "-m", "ssdiff_core.worker", "--memory", str(number)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=ROOT, **pipes, **how) as process:
        process.stdin.write(b'{"ask": "hello"}\nno request\n{"ask": "bye"}\n')
        process.stdin.flush()
        said = [json.loads(line) for line in process.stdout]
    memory.close()
    assert [line["type"] for line in said if line["type"] != "alive"] == ["done", "error", "bye"]
    assert process.returncode == 0


# --- errors of a request ---------------------------------------------------------------------------------------------


def test_a_failed_request_raises_the_error_of_this_process_and_the_process_goes_on(worker, tiny, tmp_path):
    (tmp_path / "torn.safetensors").write_bytes(tiny.read_bytes()[:1000])
    with RemoteEngine(worker, tiny) as engine:
        pid = worker.pid
        with pytest.raises(WeightsError, match=r"torn.safetensors is not a whole safetensors file"):
            RemoteEngine(worker, tmp_path / "torn.safetensors")
        with pytest.raises(WeightsError, match=r"cannot be read"):
            RemoteEngine(worker, tmp_path / "none.safetensors")
        with pytest.raises(DeviceError, match="'abacus' does not work here"):
            RemoteEngine(worker, tiny, SamplingOptions("abacus"))
        with pytest.raises(BlockError, match="MS has 5 bands"):
            engine.fuse(smooth_scene(30, 30, bands=5))
        with pytest.raises(WorkerError, match=r"unknown command 'dance': .* are hello, open, .*, bye"):
            worker.send(worker.running_process(Callbacks()), Callbacks(), "dance")
        with pytest.raises(WorkerError, match="no engine 99 is open") as caught:
            worker.send(worker.running_process(Callbacks()), Callbacks(), "close", engine=99)
        assert "Traceback" in caught.value.log
        with pytest.raises(WorkerError, match=r"TypeError.*This is a bug of SSDiff"):
            worker.send(worker.running_process(Callbacks()), Callbacks(), "open", colour="red")
        assert engine.fuse(smooth_scene(30, 30)).shape == (4, 30, 30)
        assert worker.pid == pid


@linux
def test_out_of_memory_is_an_error_of_that_block_and_the_process_goes_on(own, tiny):
    import resource

    with RemoteEngine(own, tiny) as engine:
        small = engine.fuse(smooth_scene(30, 30))
        pid, taken = own.pid, int(Path(f"/proc/{own.pid}/statm").read_text().split()[0]) * os.sysconf("SC_PAGESIZE")
        resource.prlimit(own.pid, resource.RLIMIT_AS, (taken + (1 << 25), resource.RLIM_INFINITY))
        with pytest.raises(DeviceError, match="out of memory"):
            engine.fuse(smooth_scene(2000, 2000))
        resource.prlimit(own.pid, resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        assert np.array_equal(engine.fuse(smooth_scene(30, 30)), small)
        assert own.pid == pid


# --- its end ---------------------------------------------------------------------------------------------------------


@posix
@pytest.mark.parametrize("attempt", range(2))
def test_a_kill_is_an_error_in_one_sentence_and_the_next_request_starts_another_process(own, tiny, attempt):
    block = smooth_scene(30, 30)
    engine = RemoteEngine(own, tiny, LONG)
    pid, moment = own.pid, np.random.default_rng().uniform(0, 0.5)
    with pytest.raises(WorkerError, match="killed from outside, as systems do that run out of memory"):
        engine.fuse(block, at_work(lambda: os.kill(pid, signal.SIGKILL), moment))
    assert own.pid is None
    with RemoteEngine(own, tiny) as again:
        assert again.fuse(block).shape == (4, 30, 30)


@posix
def test_a_crash_is_an_error_in_one_sentence(own, tiny):
    engine, pid = RemoteEngine(own, tiny, LONG), own.pid
    with pytest.raises(WorkerError, match=r"the computing process has crashed \(SIGSEGV\)"):
        engine.fuse(smooth_scene(30, 30), at_work(lambda: os.kill(pid, signal.SIGSEGV)))


@posix
def test_an_exit_is_reported_with_its_code_on_systems_without_signals_too(tmp_path, tiny, monkeypatch):
    """Windows, for instance, reports only an exit code."""
    ready = "import os, signal\nsignal.signal(signal.SIGUSR1, lambda *_: os._exit(0))"
    with Worker(python_that(tmp_path / "python", ready)) as worker, RemoteEngine(worker, tiny, LONG) as engine:
        monkeypatch.setattr(worker_process, "signal", SimpleNamespace(Signals=signal.Signals))
        monkeypatch.delattr(os, "killpg")
        pid = worker.pid
        with pytest.raises(WorkerError, match=r"the computing process has ended \(code 0\)"):
            engine.fuse(smooth_scene(30, 30), at_work(lambda: os.kill(pid, signal.SIGUSR1)))


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (None, "does not answer any more"),
        (3, "has ended (code 3)"),
        (-11, "has crashed (SIGSEGV)"),
        (-99, "(signal 99)"),
        (3221225477, "(0xC0000005)"),
    ],
)
def test_the_error_describes_how_the_process_ended(code, told):
    assert told in str(worker_process._describe_exit(code))


@posix
def test_a_hung_process_is_ended_with_an_error_in_one_sentence(tiny):
    with Worker(sys.executable, patience=3) as worker:
        engine, pid = RemoteEngine(worker, tiny, LONG), worker.pid
        with pytest.raises(WorkerError, match="no sign of life for 3 seconds and was ended"):
            engine.fuse(smooth_scene(30, 30), at_work(lambda: os.kill(pid, signal.SIGSTOP)))
        wait_until(lambda: gone(pid), "the computing process to end")


@posix
def test_a_long_computation_does_not_count_as_hung(tiny, tmp_path):
    """Checks a block that takes longer than `patience`, while signs of life come 20 times as often."""
    slow = (
        before_fusing("__import__('time').sleep(3)")
        + "import ssdiff_core.worker.server.main as m; m.ALIVE_SECONDS = 0.1\n"
    )
    with Worker(python_that(tmp_path / "python", slow), patience=2) as worker, RemoteEngine(worker, tiny) as engine:
        assert engine.fuse(smooth_scene(12, 12)).shape == (4, 12, 12)


@pytest.mark.parametrize("how", ["asked", "raised"])
def test_a_cancellation_ends_it_in_the_middle_of_a_block(own, tiny, how):
    enough = threading.Event()

    class Enough(Exception):
        pass

    def progress(share):
        if how == "raised" and enough.is_set():
            raise Enough

    with RemoteEngine(own, tiny, LONG, cancelled=lambda: how == "asked" and enough.is_set()) as engine:
        pid = own.pid
        threading.Timer(0.5, enough.set).start()
        with pytest.raises({"asked": Cancelled, "raised": Enough}[how]):
            engine.fuse(smooth_scene(30, 30), progress)
        wait_until(lambda: gone(pid), "the computing process to end")


@posix
def test_a_cancellation_while_it_starts_ends_it_too(tiny, tmp_path):
    """Checks a process that would need an hour to start."""
    python = script(tmp_path / "python", "#!/bin/sh\nexec sleep 3600\n")
    with Worker(python, start=7200) as worker:
        with pytest.raises(Cancelled):
            RemoteEngine(worker, tiny, cancelled=lambda: worker.pid)
        wait_until(lambda: worker.pid is None, "the computing process to end")


def test_a_run_that_waits_for_another_is_told_its_name_and_can_be_cancelled_alone(own, tiny):
    engine, busy, told = RemoteEngine(own, tiny, LONG, run="Adapt: town"), threading.Event(), []

    def compute():
        with contextlib.suppress(Cancelled):
            engine.fuse(smooth_scene(30, 30), lambda share: busy.set())

    computing = threading.Thread(target=compute)
    computing.start()
    busy.wait(300)
    try:
        with pytest.raises(Cancelled):
            own.hello(Callbacks(notify=told.append, cancelled=lambda: bool(told), run="Preview"))
        assert told == [notice("worker_busy", run="Adapt: town")]
        assert own.pid
    finally:
        own.close()
        computing.join()


def test_closing_from_another_thread_ends_it_in_the_middle_of_a_block(own, tiny):
    engine, pid = RemoteEngine(own, tiny, LONG), own.pid
    with pytest.raises(Cancelled, match="was closed"):
        engine.fuse(smooth_scene(30, 30), at_work(own.close))
    wait_until(lambda: gone(pid), "the computing process to end")


def test_an_idle_process_ends_and_the_engine_starts_another(tiny):
    block = smooth_scene(30, 30)
    with Worker(sys.executable, idle=0.3) as worker, RemoteEngine(worker, tiny) as engine:
        first, pid = engine.fuse(block), worker.pid
        wait_until(lambda: worker.pid is None, "the computing process to end")
        assert np.array_equal(engine.fuse(block), first)
        assert worker.pid != pid


@posix
def test_a_request_sent_as_the_idle_process_ends_is_repeated(tiny):
    block = smooth_scene(30, 30)
    with Worker(sys.executable, idle=2) as worker, RemoteEngine(worker, tiny) as engine:
        first, pid = engine.fuse(block), worker.pid
        os.kill(pid, signal.SIGSTOP)  # seems to run, but finds its idle time exceeded when it continues
        time.sleep(2.2)
        threading.Timer(0.3, os.kill, (pid, signal.SIGCONT)).start()
        assert np.array_equal(engine.fuse(block), first)


PARENT = """
import sys
sys.path[:0] = {path!r}
from scenes import smooth_scene
from ssdiff_core.domain.options import SamplingOptions
from ssdiff_core.worker.client.engine import RemoteEngine, Worker
worker = Worker(sys.executable)
engine = RemoteEngine(worker, {weights!r}, SamplingOptions(steps=1000, samples=1000))
print(worker.pid, flush=True)
engine.fuse(smooth_scene(30, 30))
"""


@posix
def test_it_ends_with_its_parent_and_leaves_no_files(tiny, tmp_path):
    code = PARENT.format(path=[p for p in sys.path if p], weights=str(tiny))
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=env)
    pid = int(parent.stdout.readline())
    time.sleep(0.5)
    assert alive(pid)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    wait_until(lambda: gone(pid), "the computing process to end")
    assert list(tmp_path.iterdir()) == []


# --- other Pythons ---------------------------------------------------------------------------------------------------


def startup_error(python, match, **limits):
    before = open_pipes()
    with Worker(python, **limits) as worker, pytest.raises(WorkerError, match=match) as caught:
        worker.hello()
    assert worker.pid is None
    assert "\n" not in str(caught.value)
    wait_until(lambda: open_pipes() <= before, "the pipes and the memory of the worker to be closed")
    return caught.value


def test_a_missing_interpreter_is_an_error_in_one_sentence():
    startup_error("/nowhere/python", r"the Python interpreter /nowhere/python cannot be started \(No")


@posix
def test_a_python_without_torch_is_an_error_in_one_sentence_with_a_log(tmp_path):
    bare = python_that(tmp_path / "python", "sys.modules['torch'] = None")
    error = startup_error(bare, r"cannot compute: import of torch halted")
    assert "Traceback" in error.log


@posix
def test_a_program_that_ends_at_once_is_an_error_with_its_last_output(tmp_path):
    startup_error(
        script(tmp_path / "python", "#!/bin/sh\necho no licence >&2\nexit 3\n"), "cannot run SSDiff: no licence"
    )


@posix
@pytest.mark.parametrize("garbage", ["yes", "cat /dev/zero", "while true; do echo '[1, {'; done"])
def test_a_program_that_prints_garbage_is_an_error_in_one_sentence(tmp_path, garbage):
    startup_error(script(tmp_path / "python", f"#!/bin/sh\n{garbage}\n"), "printed a line that is no message of SSDiff")


@posix
def test_garbage_during_a_request_is_an_error_in_one_sentence(tmp_path, tiny):
    loose = "import os\nos.dup2 = lambda a, b: print('hello', flush=True)\n"
    python = python_that(tmp_path / "python", loose + before_fusing("os.write(1, b'oops\\n')"))
    with Worker(python) as worker, RemoteEngine(worker, tiny, LONG) as engine:
        with pytest.raises(WorkerError, match="printed a line that is no message of SSDiff"):
            engine.fuse(smooth_scene(30, 30))
        assert worker.pid is None


@posix
def test_output_of_libraries_does_not_disturb_the_answers(tmp_path, tiny):
    chatty = "import os\n" + before_fusing("(print('chat', flush=True), os.system('echo chat'))")
    greeting = "print('welcome to this computer', flush=True)"
    python = python_that(tmp_path / "python", f"{greeting}\n{chatty}")
    with Worker(python) as worker, RemoteEngine(worker, tiny) as engine:
        assert engine.fuse(smooth_scene(30, 30)).shape == (4, 30, 30)
        wait_until(lambda: worker.log.count("chat") == 2, "what was printed to be in the log")


@posix
def test_a_program_that_prints_nothing_is_an_error_in_one_sentence(tmp_path):
    python = script(tmp_path / "python", "#!/bin/sh\nexec sleep 100\n")
    startup_error(python, "has not started SSDiff within 0.5 seconds", start=0.5)


@pytest.mark.skipif(not hasattr(os, "waitid"), reason="only killed where ends are told before their code is read")
def test_a_child_of_a_script_that_has_ended_keeps_nobody_waiting_and_ends(tmp_path):
    note = tmp_path / "pid"
    python = script(tmp_path / "python", f"#!/bin/sh\nsleep 3600 &\necho $! > {note}\nexit 3\n")
    startup_error(python, "cannot run SSDiff: it ended with code 3", start=7200)
    wait_until(lambda: gone(int(note.read_text())), "the child to end")


@posix
def test_another_protocol_version_is_an_error_in_one_sentence(tmp_path):
    old = python_that(
        tmp_path / "python",
        f"sys.path.insert(0, {str(ROOT)!r})\nimport ssdiff_core.worker.shared_memory as w\nw.PROTOCOL = 0",
    )
    startup_error(old, f"with protocol 0, but protocol {PROTOCOL} is needed: restart the program after an update")


@posix
def test_a_python_started_by_a_script_ends_with_the_script(tmp_path, tiny):
    note = tmp_path / "pid"
    child = f'"{sys.executable}" "$@" <&3 & echo $! > {note}; wait\n'
    python = script(tmp_path / "python", f"#!/bin/sh\nexec 3<&0\n{child}")
    with Worker(python) as worker:
        engine = RemoteEngine(worker, tiny, LONG)
        pid = int(note.read_text())
        with pytest.raises(Cancelled):
            engine.fuse(smooth_scene(30, 30), at_work(worker.close))
    wait_until(lambda: gone(pid), "the computing process to end")


@posix
def test_it_needs_only_torch_numpy_and_safetensors(worker, tiny):
    with RemoteEngine(worker, tiny) as engine:
        assert engine.fuse(smooth_scene(30, 30)).shape == (4, 30, 30)


def test_the_requesting_program_needs_no_torch():
    path = f"import sys; sys.path.insert(0, {str(ROOT)!r}); sys.modules['torch'] = None"
    code = f"{path}; import ssdiff_core.worker.client.engine"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_it_does_not_inherit_variables_that_would_mislead_another_python(monkeypatch, tmp_path):
    (tmp_path / "numpy.py").write_text("raise ImportError('the wrong numpy')")
    for name in ("PYTHONHOME", "PYTHONPATH", "LD_LIBRARY_PATH", "QGIS_PREFIX_PATH", "PROJ_LIB", "GDAL_DATA"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("SSDIFF_KEPT", "yes")
    monkeypatch.chdir(tmp_path)
    assert environment()["SSDIFF_KEPT"] == "yes"
    assert str(tmp_path) not in {value for name, value in environment().items() if name not in ("PWD", "OLDPWD")}
    with Worker(sys.executable) as worker:
        assert worker.hello()["devices"]["cpu"]["works"]


# --- memory ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("system", ["this", "other"])
def test_a_block_is_read_from_shared_memory_as_it_was_written(monkeypatch, tmp_path, system):
    if system == "other":  # without memory files and without a way to reserve space
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        monkeypatch.delattr(os, "memfd_create", raising=False)
        monkeypatch.delattr(os, "posix_fallocate", raising=False)
    memory = Memory.make()
    for side in (20, 400, 30):
        block = smooth_scene(side, side)
        told = json.loads(json.dumps(write_block(memory, block, [np.dtype(np.float32)])))
        read, (answer,) = read_block(memory, told)
        assert (read.window, read.core, read.stats, read.ms_at) == (block.window, block.core, block.stats, block.ms_at)
        assert np.array_equal(read.pan, block.pan)
        assert np.array_equal(read.ms, block.ms)
        assert answer.shape == (4, side, side)
    memory.close()
    assert list(tmp_path.iterdir()) == []


FULL = """
import sys
sys.path.insert(0, {root!r})
import resource
from ssdiff_core.worker.shared_memory import Memory
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
Memory.make().reserve(2_000_000)
"""


@posix
def test_too_little_shared_memory_is_an_error_in_one_sentence():
    done = subprocess.run([sys.executable, "-c", FULL.format(root=str(ROOT))], capture_output=True, text=True)
    last = done.stderr.splitlines()[-1]
    assert "WorkerError: 2 MB of shared memory for a block cannot be reserved" in last
    assert last.endswith(": allow less memory")


@posix
@pytest.mark.parametrize(
    "line",
    [
        '{"type": "notice", "kind": "weights_\\ndownload", "values": {}}',
        '{"type": "notice", "kind": "weights_download"}',
        '{"type": "read"}',
        '{"type": "error"}',
        '{"type": "progress", "share": "much"}',
        "[" * 100_000,
    ],
)
def test_a_message_that_lacks_its_entries_is_one_sentence(tmp_path, line):
    (tmp_path / "line").write_text(line + "\n")
    python = script(tmp_path / "python", f"#!/bin/sh\ncat {tmp_path / 'line'}\n")
    with Worker(python) as worker, pytest.raises(WorkerError) as caught:
        worker.hello()
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="the system shows no environments of processes")
def test_the_process_is_not_told_passwords_of_proxies(monkeypatch):
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://me:s3cret@127.0.0.1:9")
    with Worker(sys.executable) as worker:
        worker.hello()
        assert b"s3cret" not in Path(f"/proc/{worker.pid}/environ").read_bytes()
