"""Stand-in wheels named torch, numpy and safetensors, and a local package index that serves them, with its lock."""

from __future__ import annotations

import hashlib
import json
import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from ssdiff_core.runtime import find_python, lock, wheels

TORCH = """
__version__ = {version!r}
CUDA = {cuda!r}


class device:
    def __init__(self, name):
        self.type = name.split(":")[0]


class Tensor:
    def view(self, *shape):
        return self

    sum = view

    def item(self):
        return 16 * 9 * 17.5


def arange(end, device):
    if device.type != "cpu" and not (device.type == "cuda" and CUDA is True):
        raise RuntimeError(CUDA or "Torch not compiled with " + device.type)
    return Tensor()


def ones(*shape, device):
    return Tensor()


class nn:
    class functional:
        conv2d = staticmethod(lambda image, kernel: image)


class cuda:
    device_count = staticmethod(lambda: 0 if CUDA is None else 1)
    get_device_properties = staticmethod(lambda device: cuda)
    name, total_memory = "stand-in", 2**30


def get_num_threads():
    return 1
"""


def base() -> find_python.Python:
    """Returns the Python that the environments of the tests are made of."""
    return find_python.properties(find_python.of_program(find_python.Host())[0])


def pins() -> dict[str, str]:
    """Returns the versions that would be installed with this Python without a GPU."""
    return dict(wheels.choose("cpu", base().version, base().platform, []).pins)


def wheel(folder: Path, name: str, version: str, text: str = "", needs: str = "") -> Path:
    """Writes a wheel with a single module and returns its path. needs: what it depends on."""
    needs = f"Requires-Dist: {needs}\n" if needs else ""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}/__init__.py": text or f"__version__ = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for member, content in files.items():
            archive.writestr(member, content)
    return path


def torch(folder: Path, version: str, cuda: bool | str | None = None, needs: str = "") -> Path:
    """Writes a stand-in for torch. cuda: None: no such device; True: it works; otherwise the reason why not."""
    return wheel(folder, "torch", version, TORCH.format(version=version, cuda=cuda), needs)


def others(folder: Path, pinned: dict[str, str]) -> None:
    for name in ("numpy", "safetensors"):
        wheel(folder, name, pinned[name])


def _package(path: Path) -> str:
    """Returns the name by which an index knows the package of a wheel."""
    return path.name.split("-")[0].replace("_", "-")


class Index:
    """A package index (PEP 503): /pypi/ has all packages but torch, /whl/BUILD/ has torch.

    `lock` is the file of a lock of what was added to it, for all builds.
    """

    def __init__(self, folder: Path):
        self.folder, self.asked = folder, []
        self.let_go = threading.Event()
        "until it is set, downloads of the wheel of safetensors wait"
        self.let_go.set()
        self.held = threading.Event()
        "set when a download waits"
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, self, directory=str(folder)))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.lock = folder.with_suffix(".json")
        self._python, self._locked = base(), {"rows": [], "wheels": {}}

    def add(self, index: str, path: Path) -> None:
        """Moves a wheel into an index: pypi, whl/cpu, ..."""
        name = _package(path)
        target = self.folder / index / name
        target.mkdir(parents=True, exist_ok=True)
        path.replace(target / path.name)
        links = "".join(
            f'<a href="{each.name.replace("+", "%2B")}#sha256={hashlib.sha256(each.read_bytes()).hexdigest()}">'
            f"{each.name}</a>\n"
            for each in target.glob("*.whl")
        )
        (target / "index.html").write_text(f"<!DOCTYPE html><html><body>{links}</body></html>")
        self._lock(index, target / path.name)

    def _lock(self, index: str, path: Path) -> None:
        name, version = _package(path), path.name.split("-")[1]
        requirement, digest = f"{name}=={version}", f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
        self._locked["wheels"][requirement] = {path.name: digest}
        if name != "torch":
            others = sorted(each for each in self._locked["wheels"] if not each.startswith("torch"))
            python = self._python.version, self._python.platform
            keys = [lock.key(*python[::-1], choice.requirements[0]) for choice in wheels.choices(*python)]
            self._locked["rows"] = [{"for": keys, "packages": others}]
        self.write_lock()

    def write_lock(self, **changes) -> None:
        """Writes the lock, with other values of its entries."""
        self.lock.write_text(json.dumps({**self._locked, **changes}))

    @property
    def locked(self) -> dict:
        """The lock of what was added."""
        return json.loads(json.dumps(self._locked))

    def close(self) -> None:
        self.let_go.set()
        self._server.shutdown()
        self._server.server_close()


class _Handler(SimpleHTTPRequestHandler):
    def __init__(self, index: Index, *arguments, **how):
        self.index = index
        super().__init__(*arguments, **how)

    def do_GET(self):
        self.index.asked.append(self.path)
        if "safetensors" in self.path and self.path.endswith(".whl") and not self.index.let_go.is_set():
            self.index.held.set()
            self.index.let_go.wait(600)
        super().do_GET()

    def log_message(self, *_):
        pass
