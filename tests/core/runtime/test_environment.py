"""Installation of the environment with real venvs, pip, uv, servers and processes; the wheels are stand-ins."""

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import standins
from waiting import HANG_SECONDS, wait_until

from ssdiff_core.common import guarded_process, paths
from ssdiff_core.common.errors import Cancelled, InstallError
from ssdiff_core.runtime import environment, find_python, installers, lock, wheels
from ssdiff_core.runtime.environment import Environment, InstallOptions, Listener

ROOT = Path(__file__).parents[3]
RTX = "NVIDIA GeForce RTX 3060, 580.95.05, 8.6"
UV = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
posix = pytest.mark.skipif(os.name == "nt", reason="signals, scripts as programs and /proc")


def set_up_user(tmp_path, monkeypatch):
    """Sets up a user with an empty cache, without uv, GPU and options for pip."""
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_", "SSDIFF_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("SSDIFF_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}/usr/bin{os.pathsep}/bin")
    monkeypatch.setattr(installers, "UV_FOLDERS", ())


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    set_up_user(tmp_path, monkeypatch)


@pytest.fixture(scope="module")
def pinned():
    return standins.pins()


def package_index(tmp_path, monkeypatch, pinned):
    """Starts PyPI and PyTorch's index, with wheels for the CPU."""
    index = standins.Index(tmp_path / "index")
    standins.others(tmp_path / "made", pinned)
    for path in (tmp_path / "made").glob("*.whl"):
        index.add("pypi", path)
    index.add("whl/cpu", standins.torch(tmp_path / "made", pinned["torch"] + "+cpu"))
    monkeypatch.setenv("PIP_INDEX_URL", f"{index.url}/pypi")
    monkeypatch.setenv("SSDIFF_TORCH_INDEX", f"{index.url}/whl")
    monkeypatch.setattr(lock, "FILE", index.lock)
    return index


@pytest.fixture
def index(tmp_path, monkeypatch, pinned):
    index = package_index(tmp_path, monkeypatch, pinned)
    yield index
    index.close()


@pytest.fixture(scope="module")
def installed(tmp_path_factory, pinned):
    """Installs an environment once; returns its cache folder and what its listener heard."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("installed")
        set_up_user(folder, patch)
        index = package_index(folder, patch, pinned)
        heard = Heard()
        environment.install(listener=heard)
        index.close()
    return folder / "cache", heard


@pytest.fixture
def made(installed, tmp_path):
    """A copy of the installed environment, which the test may change."""
    shutil.copytree(installed[0], tmp_path / "cache", symlinks=True)
    (made,) = environment.environments()
    return made


@pytest.fixture
def folder(tmp_path, pinned):
    """The same as a folder of wheels, with torch as on PyPI."""
    standins.others(tmp_path / "wheels", pinned)
    standins.torch(tmp_path / "wheels", pinned["torch"])
    return tmp_path / "wheels"


@pytest.fixture
def heard():
    return Heard()


class Heard(Listener):
    def __init__(self, cancelled=lambda: False):
        self.said, self.lines, self.shares = [], [], []
        super().__init__(lambda notice: self.said.append(str(notice)), self.lines.append, self.shares.append, cancelled)


def driver(tmp_path, row):
    """Writes an nvidia-smi that prints this row."""
    program = tmp_path / "bin" / "nvidia-smi"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f"#!/bin/sh\necho '{row}'\n")
    program.chmod(0o755)


def at_work(word):
    """Returns the processes whose command line contains a word."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if word.encode() in path.read_bytes() and int(path.parent.name) != os.getpid():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


# --- installation ----------------------------------------------------------------------------------------------------


def test_a_new_environment_works_and_is_found(made, installed, pinned):
    assert environment.usable() == made
    assert made.state == environment.READY
    assert made.note["pins"] == pinned
    assert made.note["build"] == "cpu"
    assert made.note["devices"]["cpu"]["works"]
    assert made.folder.parent == paths.runtime()
    version = subprocess.run([made.python, "-I", "-c", "import torch; print(torch.__version__)"], capture_output=True)
    assert version.stdout.decode().strip() == pinned["torch"] + "+cpu"
    assert installed[1].shares[-1] == 1.0


def test_the_first_notice_tells_packages_source_folder_and_size(installed, pinned):
    cache, heard = installed
    announced = heard.said[0]
    for word in (
        f"torch=={pinned['torch']}+cpu",
        "from http://127.0.0.1:",
        "PyPI",
        str(cache / "runtime"),
        "GB",
        "no NVIDIA GPU",
    ):
        assert word in announced


def test_the_log_is_kept_and_downloads_are_removed(made, installed):
    kept = made.folder.with_name(made.folder.name + ".log").read_text(encoding="utf-8")
    assert "Successfully installed" in kept
    assert set(installed[1].lines) <= set(kept.splitlines())
    assert not made.folder.with_name(made.folder.name + ".work").exists()


def test_a_complete_environment_is_not_installed_again(index, made):
    at = (made.folder / environment.NOTE).stat().st_mtime_ns
    again = Heard()
    assert environment.install(listener=again) == made
    assert (made.folder / environment.NOTE).stat().st_mtime_ns == at
    assert not index.asked
    assert "is complete" in again.said[0]


def test_it_is_installed_again_on_request_or_for_other_pinned_versions(index, made, heard):
    stray = made.folder / "stray"
    for other in (False, True):
        stray.touch()
        if other:
            note = made.note
            note["pins"]["torch"] = "1.0"
            (made.folder / environment.NOTE).write_text(json.dumps(note))
            assert made.state == environment.OUTDATED
            assert environment.usable() == made
        assert environment.install(InstallOptions(reinstall=not other), heard).state == environment.READY
        assert not stray.exists()


def test_the_previous_environment_is_used_until_the_new_one_works(index, made, heard):
    before = made.note
    next((index.folder / "pypi").glob("numpy/*.whl")).unlink()
    with pytest.raises(InstallError):
        environment.install(InstallOptions(reinstall=True), heard)
    assert environment.environments() == [made]
    assert environment.usable().note == before
    assert subprocess.run([made.python, "-I", "-c", "import torch, numpy, safetensors"], check=False).returncode == 0


def test_an_environment_whose_python_is_gone_is_not_used(made):
    config = made.folder / "pyvenv.cfg"
    config.write_text("home = /nowhere/Python312\n")
    assert made.state == environment.BROKEN
    assert environment.usable() is None


def test_an_environment_for_another_kind_of_computer_on_a_shared_drive_is_not_used(made):
    note = {**made.note, "platform": "linux-riscv64"}
    (made.folder / environment.NOTE).write_text(json.dumps(note))
    assert environment.usable() is None


# --- without a network -----------------------------------------------------------------------------------------------


def test_a_folder_of_wheels_is_enough(folder, heard, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/")
    made = environment.install(InstallOptions(wheels=str(folder)), heard)
    assert made.state == environment.READY
    assert str(folder) in heard.said[0]
    assert "to download" not in heard.said[0]


def test_the_error_names_a_missing_wheel(folder, heard):
    next(folder.glob("safetensors*")).unlink()
    with pytest.raises(InstallError, match=r"no wheel of safetensors==\S+ for this Python"):
        environment.install(InstallOptions(wheels=str(folder)), heard)
    assert environment.usable() is None


def test_a_missing_wheels_folder_is_an_error(heard):
    with pytest.raises(InstallError, match="no folder /nowhere"):
        environment.install(InstallOptions(wheels="/nowhere"), heard)


def test_an_unreachable_index_is_another_error_than_a_missing_wheel(heard, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/")
    monkeypatch.setenv("SSDIFF_TORCH_INDEX", "http://127.0.0.1:9/")
    monkeypatch.setenv("PIP_RETRIES", "1")
    with pytest.raises(InstallError, match=r"127\.0\.0\.1 cannot be reached.*SSDIFF_TORCH_INDEX"):
        environment.install(listener=heard)


def test_torch_comes_from_pypi_if_only_its_own_index_is_blocked(index, heard, monkeypatch, pinned, tmp_path):
    index.add("pypi", standins.torch(tmp_path / "made", wheels.of_pypi(*asked(), "").pins["torch"]))
    monkeypatch.setenv("SSDIFF_TORCH_INDEX", "http://localhost:9/")
    monkeypatch.setenv("PIP_RETRIES", "0")
    made = environment.install(listener=heard)
    assert (made.state, made.note["build"]) == (environment.READY, "pypi")
    assert any(
        sentence.startswith("localhost cannot be reached: PyTorch is installed from PyPI") for sentence in heard.said
    )
    index.asked = []
    assert environment.install(listener=heard).note == made.note
    assert not index.asked  # it is not tried again each time


# --- CUDA ------------------------------------------------------------------------------------------------------------


def add_cuda(index, tmp_path, works):
    """Adds the torch for the GPU of this computer to its index; returns the choice."""
    driver(tmp_path, RTX)
    choice = wheels.choose("auto", *asked(), wheels.gpus())
    version = choice.requirements[0].split("==")[1]
    wheel = standins.torch(tmp_path / "made", version, cuda=works)
    index.add(f"whl/{choice.build}" if choice.index else "pypi", wheel)
    return choice


@posix
def test_a_gpu_gets_cuda_which_is_tested_by_a_kernel(index, heard, tmp_path):
    choice = add_cuda(index, tmp_path, works=True)
    made = environment.install(listener=heard)
    assert (made.note["wanted"], made.note["build"]) == (choice.build, choice.build)
    assert made.note["pins"] == choice.pins
    assert made.note["devices"]["cuda:0"]["works"]
    assert made.state == environment.READY


@posix
def test_the_cpu_build_replaces_cuda_that_does_not_work_with_a_reason(index, heard, pinned, tmp_path):
    reason = "no kernel image is available for execution on the device"
    build = add_cuda(index, tmp_path, works=reason).build
    made = environment.install(listener=heard)
    assert (made.note["wanted"], made.note["build"], made.note["pins"]) == (build, "cpu", pinned)
    assert any(reason in sentence and "CPU" in sentence for sentence in heard.said)
    index.asked = []
    environment.install(listener=heard)
    assert not index.asked  # CUDA is not tried again each time


@posix
def test_nothing_replaces_a_folder_of_wheels_whose_cuda_does_not_work(folder, heard, tmp_path):
    driver(tmp_path, RTX)
    choice = wheels.choose("auto", *asked(), wheels.gpus())
    reason = "no kernel image is available for execution on the device"
    standins.torch(folder, choice.pins["torch"], cuda=reason)
    options = InstallOptions(wheels=str(folder))
    made = environment.install(options, heard)
    assert (made.note["build"], made.note["pins"], made.state) == (choice.build, choice.pins, environment.READY)
    assert reason in made.note["why"]
    assert environment.install(options, heard).note == made.note


def asked():
    base = find_python.properties(find_python.of_program(find_python.Host())[0])
    return base.version, base.platform


def test_an_environment_without_a_working_device_is_removed(folder, heard, pinned):
    standins.wheel(folder, "torch", pinned["torch"], "raise OSError('[WinError 126] Error loading c10.dll')")
    with pytest.raises(InstallError, match=r"do not work: .*Visual C"):
        environment.install(InstallOptions(wheels=str(folder)), heard)
    assert not environment.environments()


@posix
def test_a_torch_that_crashes_is_an_error_in_one_sentence(folder, heard, pinned):
    standins.wheel(folder, "torch", pinned["torch"], "import os; os.abort()")
    with pytest.raises(InstallError, match=r"do not work: .*cannot run SSDiff"):
        environment.install(InstallOptions(wheels=str(folder)), heard)


# --- interrupted -----------------------------------------------------------------------------------------------------

SCRIPT = """
import sys
from pathlib import Path
from ssdiff_core.runtime import environment as managed, lock
lock.FILE = Path(sys.argv[1])
managed.install(managed.InstallOptions(), managed.Listener(lambda said: print(said, flush=True)))
"""


def installing():
    """An installation in a process of its own."""
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", SCRIPT, str(lock.FILE)]
    return subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True)


@posix
def test_after_a_kill_no_process_is_left_and_the_next_installation_starts_over(index, heard, tmp_path):
    index.let_go.clear()
    process = installing()
    assert index.held.wait(HANG_SECONDS)
    assert at_work(str(paths.runtime()))
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    wait_until(lambda: not at_work(str(paths.runtime())), "the processes to end")
    (half,) = environment.environments()
    assert half.state == environment.HALF_MADE
    assert environment.usable() is None
    (half.folder / "stray").touch()
    index.let_go.set()
    made = environment.install(listener=heard)
    assert environment.environments() == [made]
    assert made.state == environment.READY
    assert not (made.folder / "stray").exists()


@posix
def test_a_cancellation_does_not_wait_for_downloads_and_keeps_complete_ones(index):
    index.let_go.clear()
    stop = threading.Event()
    heard = Heard(stop.is_set)
    cancelled = []

    def install():
        with pytest.raises(Cancelled):
            environment.install(listener=heard)
        cancelled.append(True)

    thread = threading.Thread(target=install)
    thread.start()
    assert index.held.wait(HANG_SECONDS)
    stop.set()
    thread.join(HANG_SECONDS)  # the server would wait twice as long
    assert cancelled
    wait_until(lambda: not at_work(str(paths.runtime())), "the processes to end")
    assert sorted(path.suffix for path in paths.runtime().iterdir()) == [".lock", ".log", ".work"]
    (work,) = paths.runtime().glob("*.work")
    assert not (work / "tmp").exists()


@posix
def test_a_second_installation_waits_for_the_first_and_finds_it_complete(index, heard):
    index.let_go.clear()
    first = installing()
    assert index.held.wait(HANG_SECONDS)
    done = []
    second = threading.Thread(target=lambda: done.append(environment.install(listener=heard)))
    second.start()
    wait_until(lambda: heard.said, "a notice")
    assert "waiting" in heard.said[0]
    index.let_go.set()
    assert first.communicate(timeout=HANG_SECONDS)
    second.join(HANG_SECONDS)
    assert first.returncode == 0
    assert done[0].state == environment.READY
    downloaded = [path for path in index.asked if path.endswith(".whl")]
    assert len(downloaded) == len(set(downloaded)) == 3


@posix
def test_waiting_for_another_installation_can_be_cancelled(index):
    index.let_go.clear()
    process = installing()
    assert index.held.wait(HANG_SECONDS)
    heard = Heard()
    with pytest.raises(Cancelled):
        environment.install(listener=Heard(lambda: True))
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert not heard.said


# --- installers ------------------------------------------------------------------------------------------------------


def without(modules, folder):
    """Creates a real Python whose standard library lacks some modules."""
    if os.name == "nt":
        pytest.skip("a Python is put together from links")
    version = "python{}.{}".format(*sys.version_info)
    library = Path(os.__file__).parent
    (folder / "bin").mkdir(parents=True)
    (folder / "lib" / version / "site-packages").mkdir(parents=True)
    for path in library.iterdir():
        if path.name not in (*modules, "site-packages", "dist-packages", "sitecustomize.py"):
            (folder / "lib" / version / path.name).symlink_to(path)
    python = folder / "bin" / version
    shutil.copy(os.path.realpath(sys.executable), python)
    return find_python.Host("linux", str(python), str(folder), sys.version_info[:2])


@pytest.fixture
def nowhere_else(monkeypatch):
    monkeypatch.setattr(find_python, "SYSTEM_FOLDERS", {})


def test_the_error_for_a_python_without_pip_says_what_to_install(tmp_path, heard, nowhere_else):
    host = without(["ensurepip"], tmp_path / "bare")
    base = find_python.properties(find_python.of_program(host)[0])
    assert (base.venv, base.ensurepip, base.pip) == (True, False, None)
    with pytest.raises(InstallError, match=r"has no pip: .* select a Python"):
        environment.install(listener=heard, host=host)


@pytest.mark.parametrize(
    ("there", "word"),
    [
        ("/etc/debian_version", "sudo apt install python3.11-venv"),
        ("/.flatpak-info", "~/.local/bin"),
        ("", "docs.astral.sh/uv"),
    ],
)
def test_the_error_names_the_way_to_pip_on_each_system(there, word):
    base = find_python.Python("/usr/bin/python3", (3, 11), "linux-x86_64", True, False, None)
    sentence = str(installers.no_installer_error(base, find_python.Host("linux"), lambda path: path == there))
    assert word in sentence


def test_the_environment_gets_its_own_pip_if_the_python_has_ensurepip(index, heard, tmp_path, nowhere_else):
    host = without([], tmp_path / "bare")
    assert find_python.properties(find_python.of_program(host)[0]).pip is None
    made = environment.install(listener=heard, host=host)
    assert made.state == environment.READY
    assert any("-m pip install" in line and line.startswith(f"> {made.folder}.new") for line in heard.lines)


def test_no_python_is_an_error_in_one_sentence(heard, nowhere_else, tmp_path):
    host = find_python.Host("linux", str(tmp_path / "qgis"), str(tmp_path), (3, 11))
    with pytest.raises(InstallError, match="no Python was found"):
        environment.install(listener=heard, host=host)


@pytest.fixture
def uv(tmp_path):
    """The real uv, on the PATH of this user."""
    if not UV:
        pytest.skip("uv is neither on PATH nor beside this Python")
    (tmp_path / "bin").mkdir(exist_ok=True)
    (tmp_path / "bin" / "uv").symlink_to(UV)


def test_uv_installs_if_it_is_found(uv, index, heard, monkeypatch, tmp_path):
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    made = environment.install(listener=heard)
    assert made.state == environment.READY
    assert "with uv" in heard.said[0]
    assert not [line for line in heard.lines if "pip install" in line and "-m pip" in line]


def test_uv_installs_from_a_folder_of_wheels(uv, folder, heard, monkeypatch, tmp_path):
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    assert environment.install(InstallOptions(wheels=str(folder)), heard).state == environment.READY
    next(folder.glob("safetensors*")).unlink()
    with pytest.raises(InstallError, match="no wheel of safetensors"):
        environment.install(InstallOptions(wheels=str(folder), reinstall=True), heard)


def test_pip_installs_if_uv_fails(index, heard, tmp_path):
    program = tmp_path / "bin" / "uv"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho error: dns error >&2\nexit 2\n")
    program.chmod(0o755)
    assert environment.install(listener=heard).state == environment.READY
    assert any("uv has failed: the network cannot be reached" in sentence for sentence in heard.said)


def test_passwords_are_on_no_command_line_in_no_log_and_in_no_notice(index, heard, monkeypatch):
    secret = "s3cret"
    monkeypatch.setenv("SSDIFF_TORCH_INDEX", index.url.replace("//", f"//user:{secret}@") + "/whl")
    index.let_go.clear()
    seen = []

    def look():
        index.held.wait(HANG_SECONDS)
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                seen.append(path.read_bytes())
            except OSError:
                continue
        index.let_go.set()

    thread = threading.Thread(target=look)
    thread.start()
    made = environment.install(InstallOptions(variables={"HTTPS_PROXY": f"http://user:{secret}@127.0.0.1:9"}), heard)
    thread.join()
    assert any(b"--require-hashes" in line for line in seen)
    assert not any(secret.encode() in line for line in seen)
    assert secret not in "".join(heard.said + heard.lines)
    assert secret not in made.folder.with_name(made.folder.name + ".log").read_text()


def test_variables_that_redirect_installers_are_ignored(index, heard, monkeypatch, tmp_path):
    monkeypatch.setenv("PIP_TARGET", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("PIP_USER", "1")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert environment.install(listener=heard).state == environment.READY
    assert not (tmp_path / "elsewhere").exists()


# --- the lock --------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["pip", "uv"])
def installer(request):
    """Each installer in turn."""
    if request.param == "uv":
        request.getfixturevalue("uv")
    return request.param


def test_a_wheel_with_other_bytes_than_the_lock_is_refused(installer, index, heard, tmp_path, pinned):
    numpy = f"numpy=={pinned['numpy']}"
    index.add("pypi", standins.wheel(tmp_path / "made", "numpy", pinned["numpy"], "import os; os.abort()"))
    ((name, _),) = index.locked["wheels"][numpy].items()
    index.write_lock(wheels={**index.locked["wheels"], numpy: {name: "sha256:" + "0" * 64}})
    with pytest.raises(
        InstallError, match=rf"the file of {numpy} differs from the published one \(SHA-256\)"
    ) as caught:
        environment.install(listener=heard)
    assert "\n" not in str(caught.value)
    assert not environment.environments()
    assert any(line.startswith(("> uv", f"> {tmp_path}")) for line in heard.lines) == (installer == "uv")


def test_torch_of_its_own_index_is_compared_with_the_lock_too(installer, index, heard, pinned):
    torch = f"torch=={pinned['torch']}+cpu"
    (name,) = index.locked["wheels"][torch]
    index.write_lock(wheels={**index.locked["wheels"], torch: {name: "sha256:" + "0" * 64}})
    with pytest.raises(InstallError, match=r"the file of torch==\S+\+cpu differs from the published one"):
        environment.install(listener=heard)
    assert not environment.environments()


def test_a_package_that_the_lock_does_not_know_is_not_installed(installer, index, heard, tmp_path, pinned):
    index.add("pypi", standins.wheel(tmp_path / "made", "intruder", "9.0"))
    locked = index.locked
    (row,) = locked["rows"]
    row["packages"] = [each for each in row["packages"] if "intruder" not in each]
    index.add("whl/cpu", standins.torch(tmp_path / "made", pinned["torch"] + "+cpu", needs="intruder"))
    index.write_lock(rows=[row])
    with pytest.raises(InstallError, match=r"torch needs the package intruder, which this SSDiff does not know"):
        environment.install(listener=heard)
    assert not any("intruder" in path for path in index.asked)
    assert not environment.environments()


@pytest.mark.parametrize("others", [{}, {"torch-1-cp37-cp37m-manylinux1_i686.whl": "sha256:" + "0" * 64}])
def test_torch_without_a_known_checksum_comes_from_its_own_index_alone_and_is_told_before(
    installer, index, heard, pinned, others
):
    torch = f"torch=={pinned['torch']}+cpu"
    index.write_lock(wheels={**index.locked["wheels"], torch: others})
    assert environment.install(listener=heard).note["build"] == "cpu"
    assert [path for path in index.asked if "torch" in path and not path.startswith("/whl/cpu/torch/")] == []
    assert heard.said[1].startswith(f"The file of {torch} from {index.url}/")
    assert heard.said[1].endswith(" is installed without comparison: its SHA-256 is not known")


def test_nothing_is_told_of_checksums_that_are_known(installed):
    assert not any("SHA-256" in sentence for sentence in installed[1].said)


def test_a_build_that_is_not_locked_is_not_installed(index, heard):
    index.write_lock(rows=[])
    with pytest.raises(InstallError, match=r"runtime_lock\.json does not list \S+ 3\.\d+ torch==\S+\+cpu"):
        environment.install(listener=heard)
    assert not index.asked


def test_too_little_disk_space_is_an_error_before_the_download(index, heard, monkeypatch):
    full = shutil._ntuple_diskusage(10**9, 10**9, 10**8)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: full)
    with pytest.raises(InstallError, match=r"has 0\.1 GB free and 1\.2 GB are needed"):
        environment.install(listener=heard)
    assert not index.asked


def test_an_environment_can_be_removed_twice(made):
    environment.remove(made.folder)
    environment.remove(made.folder)
    assert environment.environments() == []


# --- a program and its guard -----------------------------------------------------------------------------------------


@posix
def test_an_exception_of_tick_ends_the_program_with_its_children():
    mark = f"sleep 3600.{os.getpid()}"

    def tick():
        if at_work(mark.replace(" ", "\0")):
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        guarded_process.run(["sh", "-c", f"{mark} & {mark}"], lambda line: None, tick=tick, guard=sys.executable)
    wait_until(lambda: not at_work(mark.replace(" ", "\0")), "the processes to end")


def test_the_guard_passes_on_lines_and_exit_codes():
    lines = []
    code = guarded_process.run([sys.executable, "-c", "print('a\\nb'); exit(3)"], lines.append, guard=sys.executable)
    assert (code, lines) == (3, ["a", "b"])
    assert Environment(Path("/nowhere")).state == environment.HALF_MADE


# --- shared folders, damaged records, secrets, the current folder ----------------------------------------------------


DAMAGED_NOTES = (
    *("", "[]", "null", "{}", '{"made": 5}', '"x"', "[" * 100_000, '{"pins": 1, "version": "a", "platform": 7}'),
    '{"made": "9", "pins": {}, "version": [3], "platform": "linux-x86_64"}',
)


@pytest.mark.parametrize("note", DAMAGED_NOTES)
def test_a_damaged_record_means_that_the_installation_is_incomplete(note, made):
    (made.folder / environment.NOTE).write_text(note)
    assert [each.state for each in environment.environments()] == [environment.HALF_MADE]
    assert environment.usable() is None


def test_a_damaged_configuration_means_that_the_environment_is_not_used(made):
    (made.folder / "pyvenv.cfg").write_bytes(b"\xff\xfe\0")
    assert made.state == environment.BROKEN


@posix
@pytest.mark.parametrize("part", ["", environment.NOTE, "pyvenv.cfg", "bin", "lib"])
def test_an_environment_that_others_can_change_is_not_used(part, made):
    path = made.folder / part
    path.chmod(path.stat().st_mode | stat.S_IWOTH)
    assert made.state == environment.FOREIGN
    assert environment.usable() is None


@posix
@pytest.mark.skipif(os.name != "nt" and os.getuid() != 0, reason="only the administrator can give files away")
def test_an_environment_of_another_user_is_not_used_in_a_shared_cache(made):
    for path in [made.folder, *made.folder.rglob("*")]:
        os.chown(path, 65534, 65534, follow_symlinks=False)
    made.folder.parent.chmod(0o1777)
    assert made.state == environment.FOREIGN
    assert environment.usable() is None


@posix
def test_a_link_to_an_environment_is_not_followed(made):
    moved = made.folder.parent.parent / "moved"
    made.folder.rename(moved)
    made.folder.symlink_to(moved)
    assert environment.usable() is None


@posix
def test_an_own_environment_in_a_shared_folder_is_used(made):
    made.folder.parent.chmod(0o1777)
    assert environment.usable() == made


@posix
def test_an_installation_is_writable_by_its_user_alone_whatever_the_umask(index, heard):
    before = os.umask(0)
    try:
        made = environment.install(listener=heard)
    finally:
        os.umask(before)
    assert made.usable
    parts = [paths.cache(), made.folder.parent, made.folder, *made.folder.rglob("*")]
    loose = [str(each) for each in parts if not each.is_symlink() and each.stat().st_mode & stat.S_IWOTH]
    assert not loose, loose[:5]


def test_tokens_of_indexes_are_in_no_log_and_in_no_notice(index, heard, monkeypatch):
    index.folder.joinpath("T0KEN").symlink_to(index.folder / "whl")
    monkeypatch.setenv("SSDIFF_TORCH_INDEX", f"{index.url}/T0KEN")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", f"{index.url}/S3CRET/simple")
    made = environment.install(listener=heard)
    log = made.folder.with_name(made.folder.name + ".log").read_text()
    assert "torch" in log
    for secret in ("T0KEN", "S3CRET"):
        assert secret not in "".join(heard.said + heard.lines) + log + (made.folder / environment.NOTE).read_text()


@posix
@pytest.mark.parametrize("path", ["/usr/bin::/bin", "/usr/bin:/bin:", ".:/usr/bin", "", "bin"])
def test_no_program_of_the_current_folder_is_run(path, tmp_path, monkeypatch):
    for folder in (tmp_path, tmp_path / "bin"):
        folder.mkdir(exist_ok=True)
        for name in ("uv", "nvidia-smi"):
            (folder / name).write_text(f"#!/bin/sh\ntouch {tmp_path / 'taken'}\n")
            (folder / name).chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", path)
    assert installers.find_uv() is None
    wheels.gpus()
    assert not (tmp_path / "taken").exists()


@posix
@pytest.mark.parametrize("line", ["{", "{}", '{"packages": {}, "devices": {}}', "[" * 100_000])
def test_a_torch_that_prints_what_looks_like_a_report_is_one_sentence(line, folder, heard, pinned):
    for wheel in folder.glob("torch*"):
        wheel.unlink()
    text = f"import os\nprint({line[:40]!r} * {max(len(line) // 40, 1)}, flush=True)\nos._exit(0)\n"
    standins.wheel(folder, "torch", pinned["torch"], text)
    with pytest.raises(InstallError) as caught:
        environment.install(InstallOptions(wheels=str(folder)), heard)
    assert "\n" not in str(caught.value)
