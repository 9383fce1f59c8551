"""Locks the runtime: writes versions and SHA-256 of all wheels that *Install runtime* installs.

    python scripts/lock_runtime.py             keep the versions that are locked, where they still fit
    python scripts/lock_runtime.py --upgrade   take the newest versions of what torch depends on
    python scripts/lock_runtime.py --checksums FILE FILE ...   also accept the checksums that two files agree on

Reads resources/runtime.json, which pins torch, numpy and safetensors, and writes resources/runtime_lock.json. uv finds
what PyPI's torch depends on, for each Python and platform; a torch of PyTorch's index depends on the same, but for the
packages with CUDA: it has none on Linux and contains CUDA on Windows. The checksums are those that the indexes state.

PyTorch's index states none for some of its wheels, and where it cannot be reached, none at all. Lock files of public
projects state them too. A checksum is accepted from there only if two independent files agree, so that a mistake or a
forgery in one of them is not locked; files that differ are an error. A FILE is a uv.lock, or a list with a wheel and
its SHA-256 in each line, in either order, in hexadecimal or as Nix writes it; a first line that begins with # names the
source. That one file is not a copy of the other is for their reader to see. What was accepted stays in the lock.

The script prints what is missing.
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
"beginnings of the names of packages that only a torch with CUDA for Linux depends on"
SYSTEM = r"(any|win_amd64|(?:many)?linux\S*_(x86_64|aarch64)|macosx_\S*_(x86_64|arm64|universal2))\.whl"
WHEEL = re.compile(rf"\S+-((cp39|cp31[0-4]|py3|py2\.py3)-(none|cp39|cp31[0-4])|cp3\d+-abi3)-{SYSTEM}")
"names of wheels for the supported Pythons and platforms"
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


def resolve(requirements: list[str], python: tuple[int, int], platform: str, kept: list[str]) -> list[str]:
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
        }
        switches = ["--no-config", "--no-header", "--no-annotate", "--no-python-downloads", "--quiet"]
        uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
        command = [uv, "pip", "compile", str(wanted), *switches, *(word for pair in options.items() for word in pair)]
        environ = {**os.environ, "MACOSX_DEPLOYMENT_TARGET": MACOS.get(platform, "")}
        done = subprocess.run(command, capture_output=True, text=True, env=environ, check=False)
        if done.returncode:
            sys.exit(f"uv finds no versions for Python {python} on {platform}:\n{done.stderr}")
        return [line for line in found.read_text().split() if "==" in line]


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
        self.rows: dict[tuple[str, ...], list[str]] = defaultdict(list)
        self.wheels: dict[str, dict[str, str]] = {}
        self.missing: dict[str, str] = {}

    def kept(self, key: str) -> list[str]:
        """Returns the locked versions of a key."""
        return [each for row in self.old.get("rows", []) if key in row["for"] for each in row["packages"]]

    def lock(self, platform: str, python: tuple[int, int]) -> None:
        """Locks all builds for a platform and a Python."""
        for choice in wheels.choices(python, platform):
            torch, *_ = choice.requirements
            key = lock.key(platform, python, torch)
            packages = resolve(choice.pinned, python, platform, self.kept(key))
            packages.remove(choice.pinned[0])
            if choice.index:
                packages = [each for each in packages if not each.startswith(CUDA_ONLY)]
            self.add_wheels(choice.index or PYPI, torch)
            for each in packages:
                self.add_wheels(PYPI, each)
            self.rows[tuple(packages)].append(key)

    def add_wheels(self, index: str, requirement: str) -> None:
        """Records the wheels of a requirement; those that are known if its index cannot be reached."""
        if requirement in self.wheels or requirement in self.missing:
            return
        try:
            listed = wheels_of(index, requirement)
            if not listed:
                sys.exit(f"{index} has no wheel of {requirement}")
        except UnreachableError as error:
            name, version = requirement.split("==")
            known = sorted(each for each in {*self.known, *self.stated} if each.split("-")[:2] == [name, version])
            listed = {each: "" for each in known if WHEEL.fullmatch(each)}
            self.missing[requirement] = str(error)
        self.record(requirement, listed)

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
        return {
            "about": " ".join(lock.__doc__.split()) + " Made by scripts/lock_runtime.py.",
            "sources": {each: sorted(found) for each, found in sorted(self.sources.items()) if found},
            "rows": [{"for": keys, "packages": list(packages)} for packages, keys in self.rows.items()],
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
            if wheels.choices(python, platform):
                print(f"{platform}, Python {python[0]}.{python[1]}", file=sys.stderr)
                locking.lock(platform, python)
    lock.FILE.write_text(json.dumps(locking.content(), indent=1) + "\n", encoding="utf-8")
    print(f"{lock.FILE}: {len(locking.wheels)} packages, {sum(map(len, locking.wheels.values()))} wheels")
    for name, reason in locking.missing.items():
        known = len(locking.wheels.get(name, {}))
        print(f"{f'only {known}' if known else 'no'} checksums of {name}: {reason}")


if __name__ == "__main__":
    main()
