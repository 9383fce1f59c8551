"""Locks the runtime: writes versions and SHA-256 of all wheels that *Install runtime* installs.

    python scripts/lock_runtime.py             keep the versions that are locked, where they still fit
    python scripts/lock_runtime.py --upgrade   take the newest versions of what torch depends on

Reads resources/runtime.json, which pins torch, numpy and safetensors, and writes resources/runtime_lock.json. uv finds
what torch depends on, for each Python, platform and build; the checksums are those that the indexes state. Where
PyTorch's index cannot be reached, the wheels that it alone has are locked without checksum: run the script again where
it can be reached. It prints what is missing.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections import defaultdict
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ssdiff_core.runtime import lock, wheels  # noqa: E402

PYPI = os.environ.get("PIP_INDEX_URL", "https://pypi.org/simple").rstrip("/")
PYTHONS = [(3, minor) for minor in range(9, 15)]
UV_PLATFORMS = {
    "linux-x86_64": "x86_64-manylinux_2_28",
    "linux-aarch64": "aarch64-manylinux_2_28",
    "win-amd64": "x86_64-pc-windows-msvc",
    "macos-arm64": "aarch64-apple-darwin",
    "macos-x86_64": "x86_64-apple-darwin",
}
"names that uv has for the platforms"
MACOS = {"macos-arm64": "14.0", "macos-x86_64": "10.15"}
"versions of macOS that the wheels must support"
CUDA_ONLY = ("nvidia-", "cuda-", "triton")
"beginnings of the names of packages that only a torch with CUDA depends on"
CUDA_VERSION = ("cuda-toolkit", "nvidia-cuda-runtime-cu12")
"packages whose version is that of CUDA"
SYSTEM = r"(any|win_amd64|manylinux\S*_(x86_64|aarch64)|macosx_\S*_(x86_64|arm64|universal2))\.whl"
WHEEL = re.compile(rf"\S+-((cp39|cp31[0-4]|py3|py2\.py3)-(none|cp39|cp31[0-4])|cp3\d+-abi3)-{SYSTEM}")
"names of wheels for the supported Pythons and platforms"


class UnreachableError(Exception):
    "Raised when an index cannot be reached."


class Links(HTMLParser):
    """The wheels that a page of an index lists, and their checksums."""

    def __init__(self, text: str):
        super().__init__()
        self.wheels: dict[str, str] = {}
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        address, fragment = urldefrag(dict(attrs).get("href") or "")
        name, digest = unquote(address.rpartition("/")[2]), re.fullmatch("sha256=[0-9a-f]{64}", fragment)
        if tag == "a" and digest:
            self.wheels[name] = fragment.replace("=", ":")


@cache
def page(index: str, name: str) -> dict[str, str]:
    """Returns the checksums of all files of a package, by their names."""
    try:
        with urllib.request.urlopen(f"{index}/{name}/", timeout=60) as answer:
            return Links(answer.read().decode("utf-8")).wheels
    except urllib.error.HTTPError as error:
        if error.code in (403, 404):  # PyTorch's index answers 403 for what it does not have
            return {}
        raise UnreachableError(f"{index} answers {error}") from None
    except OSError as error:
        raise UnreachableError(f"{index} cannot be reached: {error}") from None


def wheels_of(index: str, requirement: str) -> dict[str, str]:
    """Returns the checksums of the wheels of NAME==VERSION that suit a supported Python and platform."""
    name, version = requirement.split("==")
    return {
        file: digest
        for file, digest in sorted(page(index, name).items())
        if file.split("-")[1] == version and WHEEL.fullmatch(file)
    }


def resolve(requirements: list[str], python: tuple[int, int], platform: str, index: str | None, kept: list[str]):
    """Returns the requirements and all that they depend on, as NAME==VERSION. kept: versions to keep if they fit."""
    with tempfile.TemporaryDirectory() as folder:
        wanted, found = Path(folder, "requirements.in"), Path(folder, "requirements.txt")
        wanted.write_text("\n".join(requirements))
        found.write_text("\n".join(kept))
        options = {
            "--python-version": "{}.{}".format(*python),
            "--python-platform": UV_PLATFORMS[platform],
            "--default-index": PYPI,
            "--only-binary": ":all:",
            "--output-file": str(found),
            **({"--index": index, "--index-strategy": "unsafe-best-match"} if index else {}),
        }
        switches = ["--no-config", "--no-header", "--no-annotate", "--no-python-downloads", "--quiet"]
        uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
        command = [uv, "pip", "compile", str(wanted), *switches, *(word for pair in options.items() for word in pair)]
        environ = {**os.environ, "MACOSX_DEPLOYMENT_TARGET": MACOS.get(platform, "")}
        done = subprocess.run(command, capture_output=True, text=True, env=environ, check=False)
        if done.returncode:
            sys.exit(f"uv finds no versions for Python {python} on {platform}:\n{done.stderr}")
        return [line for line in found.read_text().split() if "==" in line]


def is_for_cuda(requirement: str) -> bool:
    return requirement.startswith(CUDA_ONLY)


def build_of(packages: list[str]) -> str:
    """Returns the build that PyPI's torch is, by the CUDA packages that it depends on."""
    versions = dict(each.split("==") for each in packages)
    version = next((versions[name] for name in CUDA_VERSION if name in versions), None)
    return "cu{}{}".format(*version.split(".")[:2]) if version else "cpu"


class Locking:
    """The lock that is being put together."""

    def __init__(self, upgrade: bool):
        self.old = {} if upgrade or not lock.FILE.exists() else lock.content()
        self.rows: dict[tuple, list[str]] = defaultdict(list)
        self.open: list[str] = []
        self.wheels: dict[str, dict[str, str]] = {}
        self.missing: dict[str, str] = {}

    def kept(self, key: str) -> list[str]:
        """Returns the locked versions of a key."""
        rows = [row for row in self.old.get("rows", []) if key in row["for"]]
        return [each for row in rows for each in (*row["pypi"], *row["index"])]

    def lock(self, platform: str, python: tuple[int, int]) -> None:
        """Locks all builds for a platform and a Python."""
        pins = wheels.pins(python, platform)
        wanted = [f"{name}=={version}" for name, version in pins.items()]
        key = lock.key(platform, python, wheels.PYPI)
        packages = resolve(wanted, python, platform, None, self.kept(key))
        torch, *_ = wanted
        packages.remove(torch)
        self.add(key, packages, [])
        self.add_wheels(PYPI, torch)
        for build in wheels.builds_of(pins["torch"], platform):
            self.lock_build(build, torch, wanted[1:], (platform, python), packages)

    def lock_build(self, build: str, torch: str, others: list[str], where: tuple, of_pypi: list[str]) -> None:
        """Locks a build of PyTorch's index. of_pypi: what PyPI's torch depends on."""
        key, index, labelled = lock.key(*where, build), f"{wheels.base_index()}/{build}", f"{torch}+{build}"
        try:
            self.add_wheels(index, labelled)
            platform, python = where
            packages = resolve([labelled, *others], python, platform, index, self.kept(key))
            packages.remove(labelled)
            only_there = [each for each in packages if not self.add_wheels(PYPI, each)]
            for each in only_there:
                self.add_wheels(index, each)
            self.add(key, [each for each in packages if each not in only_there], only_there)
        except UnreachableError as error:
            self.missing[labelled] = str(error)
            cuda = build.startswith("cu") and not where[0].startswith("win")  # on Windows torch contains CUDA
            if cuda and build_of(of_pypi) != build:
                self.open.append(key)
            same = cuda and key not in self.open
            self.add(key, [each for each in of_pypi if same or not is_for_cuda(each)], [])

    def add(self, key: str, packages: list[str], only_there: list[str]) -> None:
        for each in packages:
            self.add_wheels(PYPI, each)
        self.rows[tuple(packages), tuple(only_there)].append(key)

    def add_wheels(self, index: str, requirement: str) -> bool:
        """Records the wheels of a requirement; returns whether the index has some."""
        if requirement not in self.wheels:
            found = wheels_of(index, requirement)
            if found:
                self.wheels[requirement] = found
            return bool(found)
        return True

    def content(self) -> dict:
        rows = [
            {"for": keys, "pypi": list(packages), "index": list(rest)} for (packages, rest), keys in self.rows.items()
        ]
        return {
            "about": " ".join(lock.__doc__.split()) + " Made by scripts/lock_runtime.py.",
            "open": self.open,
            "rows": rows,
            "wheels": dict(sorted(self.wheels.items())),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--upgrade", action="store_true", help="Take the newest versions of what torch depends on.")
    locking = Locking(parser.parse_args().upgrade)
    for platform in UV_PLATFORMS:
        for python in PYTHONS:
            if wheels.pins(python, platform):
                print(f"{platform}, Python {python[0]}.{python[1]}", file=sys.stderr)
                locking.lock(platform, python)
    lock.FILE.write_text(json.dumps(locking.content(), indent=1) + "\n", encoding="utf-8")
    print(f"{lock.FILE}: {len(locking.wheels)} packages, {sum(map(len, locking.wheels.values()))} wheels")
    for requirement, reason in locking.missing.items():
        print(f"no checksums of {requirement}: {reason}")


if __name__ == "__main__":
    main()
