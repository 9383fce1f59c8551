"""The lock that is part of SSDiff: every wheel of every installation has a checksum, or is known to have none."""

import itertools
import re

import pytest

from ssdiff_core.runtime import lock, wheels

PYTHONS = [(3, minor) for minor in range(9, 15)]
PLATFORMS = ("linux-x86_64", "linux-aarch64", "win-amd64", "macos-arm64", "macos-x86_64")
SYSTEMS = {
    "linux-x86_64": r"(manylinux\S*|linux)_x86_64",
    "linux-aarch64": r"manylinux\S*_aarch64",
    "win-amd64": "win_amd64",
    "macos-arm64": r"macosx_\S*_(arm64|universal2)",
    "macos-x86_64": r"macosx_\S*_(x86_64|universal2)",
}
WHERE = [
    (platform, python) for platform, python in itertools.product(PLATFORMS, PYTHONS) if wheels.choices(python, platform)
]
WITHOUT_CHECKSUM = {"win-amd64 cu124": [9], "win-amd64 cu126": [14], "win-amd64 cu128": [9]}
"versions of Python 3 for which torch of PyTorch's index has no checksum in the lock, as docs/install.md says"


@pytest.mark.parametrize(("platform", "python"), WHERE)
def test_every_build_is_locked(platform, python):
    for choice in wheels.choices(python, platform):
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
    for choice in wheels.choices(python, platform):
        torch, *_ = choice.requirements
        name = lock.key(platform, python, torch)
        (row,) = [row for row in locked["rows"] if name in row["for"]]
        hashed = lock.steps(choice, python, platform)[-1].hashed
        for requirement in [*row["packages"], *([torch] if hashed else [])]:
            found = [file for file in locked["wheels"][requirement] if suitable.fullmatch(file)]
            assert found, (name, requirement)


def test_torch_has_a_checksum_but_for_the_builds_that_the_documentation_lists():
    found = {}
    for platform, python in WHERE:
        for choice in wheels.choices(python, platform):
            if not lock.steps(choice, python, platform)[-1].hashed:
                found.setdefault(f"{platform} {choice.build}", []).append(python[1])
    assert dict(sorted(found.items())) == WITHOUT_CHECKSUM


@pytest.mark.parametrize(("platform", "python"), WHERE)
def test_cuda_is_locked_on_linux_and_only_there_and_torch_of_pypi_is_locked_as_what_it_replaces(platform, python):
    for choice in wheels.choices(python, platform):
        lines = [line for step in lock.steps(choice, python, platform) for line in step.lines]
        has_cuda = any(line.startswith(("nvidia-", "cuda-toolkit")) for line in lines)
        assert has_cuda == (choice.cuda and platform.startswith("linux")), choice.build
    of_pypi = wheels.of_pypi(python, platform, "")
    (step,) = lock.steps(of_pypi, python, platform)
    assert (step.index, step.hashed) == (None, True)


def test_torch_is_hashed_where_the_wheel_for_this_python_and_platform_is_known(monkeypatch):
    choice = wheels.choose("cpu", (3, 12), "linux-x86_64", [])
    torch, *others = choice.requirements
    content = {
        "rows": [{"for": [lock.key("linux-x86_64", (3, 12), torch)], "packages": others}],
        "wheels": {each: {f"{each}-py3-none-any.whl": "sha256:" + "1" * 64} for each in others},
    }
    monkeypatch.setattr(lock, "content", lambda: content)
    for names, hashed in {
        (): False,
        ("torch-1-cp312-cp312-manylinux_2_28_aarch64.whl",): False,
        ("torch-1-cp312-cp312-musllinux_1_2_x86_64.whl",): False,
        ("torch-1-cp311-cp311-manylinux_2_28_x86_64.whl", "torch-1-cp312-cp312-win_amd64.whl"): False,
        ("torch-1-cp310-none-manylinux_2_28_x86_64.whl",): False,
        ("torch-1-cp312-cp312-manylinux_2_28_x86_64.whl", "torch-1-cp312-cp312-win_amd64.whl"): True,
        ("torch-1-cp312-cp312-linux_x86_64.whl",): True,
    }.items():
        content["wheels"][torch] = {name: f"sha256:{number}" for number, name in enumerate(names)}
        of_pypi, of_index = lock.steps(choice, (3, 12), "linux-x86_64")
        assert (of_pypi.hashed, of_index.hashed) == (True, hashed)
        assert of_index.lines[0].count("--hash=") == (len(names) if hashed else 0)


def test_nothing_is_locked_twice_or_with_an_invalid_checksum():
    locked = lock.content()
    names = [name for row in locked["rows"] for name in row["for"]]
    assert len(names) == len(set(names))
    digests = [digest for found in locked["wheels"].values() for digest in found.values()]
    assert all(re.fullmatch("sha256:[0-9a-f]{64}", digest) for digest in digests)
    assert len(digests) == len(set(digests))


def test_nothing_is_locked_that_is_not_installed():
    locked = lock.content()
    names = {name for row in locked["rows"] for name in row["for"]}
    everything = [(where, choice) for where in WHERE for choice in wheels.choices(*where[::-1])]
    assert names == {lock.key(*where, choice.requirements[0]) for where, choice in everything}
    packages = {each for row in locked["rows"] for each in row["packages"]}
    assert set(locked["wheels"]) <= packages | {choice.requirements[0] for _, choice in everything}
