"""The lock that is part of SSDiff: every wheel of every installation has a checksum, or is known to have none."""

import itertools
import re
from dataclasses import replace

import pytest

from ssdiff_core.runtime import lock, wheels

PYTHONS = [(3, minor) for minor in range(9, 15)]
PLATFORMS = ("linux-x86_64", "linux-aarch64", "win-amd64", "macos-arm64", "macos-x86_64")
SYSTEMS = {
    "linux-x86_64": r"manylinux\S*_x86_64",
    "linux-aarch64": r"manylinux\S*_aarch64",
    "win-amd64": "win_amd64",
    "macos-arm64": r"macosx_\S*_(arm64|universal2)",
    "macos-x86_64": r"macosx_\S*_(x86_64|universal2)",
}
WHERE = [
    (platform, python) for platform, python in itertools.product(PLATFORMS, PYTHONS) if wheels.pins(python, platform)
]
WITHOUT_CHECKSUM = {
    "linux-x86_64 cpu": [9, 10],
    "linux-x86_64 cu126": [9, 10, 11, 12, 13, 14],
    "linux-x86_64 cu128": [9],
    "linux-aarch64 cpu": [9],
    "linux-aarch64 cu130": [10, 11, 12, 13, 14],
    "win-amd64 cu126": [9, 10, 13, 14],
    "win-amd64 cu128": [9],
    "win-amd64 cu130": [10, 11],
}
"versions of Python 3 for which torch of PyTorch's index has no checksum in the lock, as docs/install.md says"


def choices(platform, python):
    """Returns all builds that can be chosen for a platform and a Python."""
    of_pypi = wheels.of_pypi(python, platform, "")
    builds = wheels.builds_of(of_pypi.pins["torch"], platform)
    return [of_pypi, *(replace(of_pypi, build=build, index=f"{wheels.base_index()}/{build}") for build in builds)]


@pytest.mark.parametrize(("platform", "python"), WHERE)
def test_every_build_is_locked(platform, python):
    for choice in choices(platform, python):
        steps = lock.steps(choice, python, platform)
        assert [step.index for step in steps] == ([None, choice.index] if choice.index else [None])
        lines = [line for step in steps for line in step.lines]
        for requirement in choice.requirements:
            assert sum(line.split()[0] == requirement for line in lines) == 1, requirement
        for step in steps:
            assert step.hashed or step.index
            assert not step.hashed or all("--hash=sha256:" in line for line in step.lines), choice.build


@pytest.mark.parametrize(("platform", "python"), WHERE)
def test_every_locked_package_has_a_wheel_for_each_python_and_platform(platform, python):
    locked, tag = lock.content(), "cp{}{}".format(*python)
    suitable = re.compile(rf"\S+-(py3|py2\.py3|{tag}|cp3\d+)-(none|abi3|{tag})-(any|{SYSTEMS[platform]})\.whl")
    for choice in choices(platform, python):
        name = lock.key(platform, python, choice.build if choice.index else wheels.PYPI)
        (row,) = [row for row in locked["rows"] if name in row["for"]]
        torch = [] if choice.index else choice.requirements[:1]
        for requirement in [*row["pypi"], *torch]:
            found = [file for file in locked["wheels"][requirement] if suitable.fullmatch(file)]
            assert found, (name, requirement)


def test_torch_has_a_checksum_but_for_the_builds_that_the_documentation_lists():
    found = {}
    for platform, python in WHERE:
        for choice in choices(platform, python):
            if not lock.steps(choice, python, platform)[-1].hashed:
                found.setdefault(f"{platform} {choice.build}", []).append(python[1])
    assert found == WITHOUT_CHECKSUM
    assert lock.content()["open"] == ["linux-x86_64 3.9 cu126"]


def test_torch_is_hashed_where_the_wheel_for_this_python_and_platform_is_known(monkeypatch):
    choice = replace(wheels.of_pypi((3, 12), "linux-x86_64", ""), build="cpu", index="https://torch.invalid/cpu")
    torch, *others = choice.requirements
    content = {
        "rows": [{"for": ["linux-x86_64 3.12 cpu"], "pypi": others, "index": []}],
        "open": [],
        "wheels": {each: {f"{each}-py3-none-any.whl": "sha256:" + "1" * 64} for each in others},
    }
    monkeypatch.setattr(lock, "content", lambda: content)
    for names, hashed in {
        (): False,
        ("torch-1-cp312-cp312-manylinux_2_28_aarch64.whl",): False,
        ("torch-1-cp311-cp311-manylinux_2_28_x86_64.whl", "torch-1-cp312-cp312-win_amd64.whl"): False,
        ("torch-1-cp310-none-manylinux_2_28_x86_64.whl",): False,
        ("torch-1-cp312-cp312-manylinux_2_28_x86_64.whl", "torch-1-cp312-cp312-win_amd64.whl"): True,
    }.items():
        content["wheels"][torch] = {name: f"sha256:{number}" for number, name in enumerate(names)}
        of_pypi, of_index = lock.steps(choice, (3, 12), "linux-x86_64")
        assert (of_pypi.hashed, of_index.hashed, of_index.dependencies) == (True, hashed, False)
        assert of_index.lines[0].count("--hash=") == (len(names) if hashed else 0)
    content["open"] = ["linux-x86_64 3.12 cpu"]
    _, of_index = lock.steps(choice, (3, 12), "linux-x86_64")
    assert (of_index.lines, of_index.hashed, of_index.dependencies) == ((torch,), False, True)


def test_nothing_is_locked_twice_or_with_an_invalid_checksum():
    locked = lock.content()
    names = [name for row in locked["rows"] for name in row["for"]]
    assert len(names) == len(set(names))
    assert set(locked["open"]) <= set(names)
    digests = [digest for found in locked["wheels"].values() for digest in found.values()]
    assert all(re.fullmatch("sha256:[0-9a-f]{64}", digest) for digest in digests)
    assert len(digests) == len(set(digests))
