"""Locks the runtime: writes versions and SHA-256 of all wheels that *Install runtime* installs.

    python scripts/lock_runtime.py             keep the versions that are locked, where they still fit
    python scripts/lock_runtime.py --upgrade   take the newest versions of what torch depends on
    python scripts/lock_runtime.py --checksums FILE FILE ...   also accept the checksums that two files agree on

Reads resources/runtime.json, which pins torch, numpy and safetensors, and writes resources/runtime_lock.json. uv finds
what torch depends on, for each Python, platform and build; the checksums are those that the indexes state.

PyTorch's index states none for some of its wheels, and where it cannot be reached, none at all. Lock files of public
projects state them too. A checksum is accepted from there only if two independent files agree, so that a mistake or a
forgery in one of them is not locked; files that differ are an error. A FILE is a uv.lock, or a list with a wheel and
its SHA-256 in each line, in either order, in hexadecimal or as Nix writes it; a first line that begins with # names the
source. That one file is not a copy of the other is for their reader to see. What was accepted stays in the lock.

What torch depends on is in scripts/torch_needs.json for builds whose index cannot be reached. The script prints
what is missing.
"""

from __future__ import annotations

import argparse
import base64
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

import tomllib

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
NEEDS = Path(__file__).with_name("torch_needs.json")
"file with what builds of torch depend on"
LISTED = re.compile(r"(?P<a>\S+)\s+(?P<b>\S+)")
"a line of a list of checksums"


class UnreachableError(Exception):
    "Raised when an index cannot be reached."


class Links(HTMLParser):
    """The wheels that a page of an index lists, and their checksums, "" where it states none."""

    def __init__(self, text: str):
        super().__init__()
        self.wheels: dict[str, str] = {}
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        address, fragment = urldefrag(dict(attrs).get("href") or "")
        name, digest = unquote(address.rpartition("/")[2]), re.fullmatch("sha256=[0-9a-f]{64}", fragment)
        if tag == "a":
            self.wheels[name] = fragment.replace("=", ":") if digest else ""


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


def normal_digest(text: str) -> str:
    """Returns a SHA-256 (HEX, sha256:HEX or sha256-BASE64) as the lock has it, "" for anything else."""
    if re.fullmatch("(sha256:)?[0-9a-f]{64}", text):
        return "sha256:" + text.removeprefix("sha256:")
    if re.fullmatch("sha256-[A-Za-z0-9+/]{43}=", text):
        return "sha256:" + base64.b64decode(text.removeprefix("sha256-")).hex()
    return ""


def read_checksums(path: Path) -> tuple[str, dict[str, str]]:
    """Returns the name of the source of a uv.lock or a list, and the checksums of its wheels, by their names."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".lock":
        packages = tomllib.loads(text).get("package", [])
        stated = [(each["url"], each.get("hash", "")) for package in packages for each in package.get("wheels", [])]
        found = {unquote(address.rpartition("/")[2]): normal_digest(digest) for address, digest in stated}
        return path.name, {name: digest for name, digest in found.items() if digest}
    first, _, rest = text.partition("\n") if text.startswith("#") else (path.name, "", text)
    found = {}
    for line in filter(None, map(str.strip, rest.splitlines())):
        words = LISTED.fullmatch(line)
        name, digest = sorted(words.groups(), key=lambda word: not word.endswith(".whl")) if words else (line, "")
        if not name.endswith(".whl") or not normal_digest(digest):
            sys.exit(f"{path}: this line is not a wheel and its SHA-256: {line}")
        if found.setdefault(unquote(name), normal_digest(digest)) != normal_digest(digest):
            sys.exit(f"{path} states two checksums of {name}")
    return first.lstrip("# ").strip(), found


def agreed_checksums(paths: list[Path]) -> dict[str, tuple[str, list[str]]]:
    """Returns the checksum of each wheel that two files state, and who states it. Exits if two files differ."""
    stated = defaultdict(list)
    contents = {path.read_bytes(): path for path in paths}
    if len(contents) < len(paths):
        sys.exit("two of the files are the same: a checksum needs two independent ones")
    for source, found in map(read_checksums, paths):
        for name, digest in found.items():
            stated[name].append((digest, source))
    for name, digests in stated.items():
        if len({digest for digest, _ in digests}) > 1:
            lines = "".join(f"\n  {digest} {source}" for digest, source in digests)
            sys.exit(f"the files state different checksums of {name}:{lines}")
    agreed = {name: digests for name, digests in stated.items() if len({source for _, source in digests}) > 1}
    return {name: (digests[0][0], [source for _, source in digests]) for name, digests in agreed.items()}


class Locking:
    """The lock that is being put together. stated: checksums from elsewhere, and who states each."""

    def __init__(self, upgrade: bool, stated: dict[str, tuple[str, list[str]]] | None = None):
        before = lock.content() if lock.FILE.exists() else {}
        self.old = {} if upgrade else before
        self.known = {name: digest for found in before.get("wheels", {}).values() for name, digest in found.items()}
        self.stated, self.before = stated or {}, before.get("sources", {})
        self.sources: dict[str, set[str]] = defaultdict(set)
        self.needs = json.loads(NEEDS.read_text(encoding="utf-8"))["needs"]
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
            page(index, "torch")
            self.add_wheels(index, labelled)
            platform, python = where
            packages = resolve([labelled, *others], python, platform, index, self.kept(key))
            packages.remove(labelled)
            only_there = [each for each in packages if not self.add_wheels(PYPI, each)]
            for each in only_there:
                self.add_wheels(index, each)
            self.add(key, [each for each in packages if each not in only_there], only_there)
        except UnreachableError as error:
            self.add_known(labelled, str(error))
            platform, python = where
            cuda = build.startswith("cu") and not platform.startswith("win")  # on Windows torch contains CUDA
            packages = [each for each in of_pypi if not is_for_cuda(each)]
            if cuda and build_of(of_pypi) == build:
                packages = of_pypi
            elif cuda and labelled in self.needs:
                packages = resolve([*packages, *self.needs[labelled]], python, platform, None, self.kept(key))
            elif cuda:
                self.open.append(key)
            self.add(key, packages, [])

    def add(self, key: str, packages: list[str], only_there: list[str]) -> None:
        for each in packages:
            self.add_wheels(PYPI, each)
        self.rows[tuple(packages), tuple(only_there)].append(key)

    def add_wheels(self, index: str, requirement: str) -> bool:
        """Records the wheels of a requirement; returns whether the index has some."""
        if requirement not in self.wheels:
            listed = wheels_of(index, requirement)
            if listed:
                self.record(requirement, listed)
            return bool(listed)
        return True

    def add_known(self, requirement: str, reason: str) -> None:
        """Records the wheels of a torch whose index cannot be reached, as far as their checksums are known."""
        name, version = requirement.split("==")
        names = {*self.known, *self.stated}
        listed = dict.fromkeys(sorted(each for each in names if each.split("-")[:2] == [name, version]), "")
        self.record(requirement, {each: "" for each in listed if WHEEL.fullmatch(each)})
        self.missing[requirement] = reason

    def record(self, requirement: str, listed: dict[str, str]) -> None:
        """Records wheels and the checksums that an index states; where it states none, those that are known."""
        digests = {}
        for name, digest in listed.items():
            elsewhere, sources = self.stated.get(name, ("", []))
            all_stated = {each for each in (digest, elsewhere, self.known.get(name, "")) if each}
            if len(all_stated) > 1:
                sys.exit(f"{name} has different checksums: {', '.join(sorted(all_stated))}")
            if not all_stated:
                self.missing[name] = "the index states none"
                continue
            (digests[name],) = all_stated
            if not digest:
                self.sources[requirement].update(sources or self.before.get(requirement, []))
        if digests:
            self.wheels[requirement] = digests

    def content(self) -> dict:
        rows = [
            {"for": keys, "pypi": list(packages), "index": list(rest)} for (packages, rest), keys in self.rows.items()
        ]
        return {
            "about": " ".join(lock.__doc__.split()) + " Made by scripts/lock_runtime.py.",
            "open": self.open,
            "sources": {each: sorted(found) for each, found in sorted(self.sources.items()) if found},
            "rows": rows,
            "wheels": dict(sorted(self.wheels.items())),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--upgrade", action="store_true", help="Take the newest versions of what torch depends on.")
    parser.add_argument(
        "--checksums",
        nargs="+",
        type=Path,
        default=[],
        metavar="FILE",
        help="Files with checksums to accept.",
    )
    given = parser.parse_args()
    locking = Locking(given.upgrade, agreed_checksums(given.checksums))
    for platform in UV_PLATFORMS:
        for python in PYTHONS:
            if wheels.pins(python, platform):
                print(f"{platform}, Python {python[0]}.{python[1]}", file=sys.stderr)
                locking.lock(platform, python)
    lock.FILE.write_text(json.dumps(locking.content(), indent=1) + "\n", encoding="utf-8")
    print(f"{lock.FILE}: {len(locking.wheels)} packages, {sum(map(len, locking.wheels.values()))} wheels")
    for name, reason in locking.missing.items():
        known = len(locking.wheels.get(name, {}))
        print(f"{f'only {known}' if known else 'no'} checksums of {name}: {reason}")


if __name__ == "__main__":
    main()
