"""The script that makes the lock, with local indexes and the real uv."""

import shutil
import sys
from pathlib import Path

import pytest
import standins

from scripts import lock_runtime
from ssdiff_core.runtime import lock, wheels

if not (shutil.which("uv") or Path(sys.executable).with_name("uv").exists()):
    pytest.skip("uv is neither on PATH nor beside this Python", allow_module_level=True)

PLATFORM, PYTHON = "linux-x86_64", (3, 12)
KEYS = [lock.key(PLATFORM, PYTHON, build) for build in ("pypi", "cpu", "cu130", "cu126")]


@pytest.fixture
def pinned():
    return wheels.pins(PYTHON, PLATFORM)


@pytest.fixture
def index(tmp_path, monkeypatch, pinned):
    """PyPI, whose torch needs CUDA 13.0, and PyTorch's index, whose torch for CUDA 12.6 needs what only it has."""
    index, made = standins.Index(tmp_path / "index"), tmp_path / "made"
    cuda = {"pypi": "nvidia_cuda_runtime_cu12", "cu130": "nvidia_cuda_runtime_cu12", "cu126": "nvidia_old", "cpu": ""}
    standins.others(made, pinned)
    for path in [*made.glob("*.whl"), standins.wheel(made, "nvidia_cuda_runtime_cu12", "13.0.1")]:
        index.add("pypi", path)
    index.add("pypi", standins.torch(made, pinned["torch"], needs=cuda.pop("pypi")))
    index.add("whl/cu126", standins.wheel(made, "nvidia_old", "12.6.1"))
    for build, needs in cuda.items():
        index.add(f"whl/{build}", standins.torch(made, f"{pinned['torch']}+{build}", needs=needs))
    monkeypatch.setattr(lock_runtime, "PYPI", f"{index.url}/pypi")
    monkeypatch.setattr(lock, "FILE", tmp_path / "lock.json")
    monkeypatch.setenv("SSDIFF_TORCH_INDEX", f"{index.url}/whl")
    lock_runtime.page.cache_clear()
    yield index
    index.close()


def locked():
    locking = lock_runtime.Locking(upgrade=True)
    locking.lock(PLATFORM, PYTHON)
    content = locking.content()
    rows = {name: (row["pypi"], row["index"]) for row in content["rows"] for name in row["for"]}
    return content, dict(sorted(rows.items(), key=lambda item: KEYS.index(item[0]))), locking


def names(requirements):
    return {each.split("==")[0] for each in requirements}


def test_all_builds_are_locked_with_the_checksums_that_the_indexes_state(index, pinned):
    content, rows, locking = locked()
    assert (list(rows), content["open"], locking.missing) == (KEYS, [], {})
    for build in ("", "+cpu", "+cu130", "+cu126"):
        requirement = f"torch=={pinned['torch']}{build}"
        assert list(content["wheels"][requirement].values()) == list(index.locked["wheels"][requirement].values())
    plain = {"numpy", "safetensors"}
    assert [names(of_pypi) for of_pypi, _ in rows.values()] == [
        plain | {"nvidia-cuda-runtime-cu12"},
        plain,
        plain | {"nvidia-cuda-runtime-cu12"},
        plain,
    ]
    assert [names(only_there) for _, only_there in rows.values()] == [set(), set(), set(), {"nvidia-old"}]


def test_without_pytorchs_index_the_rest_is_locked_and_what_is_missing_is_told(index, monkeypatch, pinned):
    monkeypatch.setenv("SSDIFF_TORCH_INDEX", "http://127.0.0.1:9/whl")
    content, rows, locking = locked()
    assert list(rows) == KEYS
    assert content["open"] == [KEYS[-1]]
    assert list(locking.missing) == [f"torch=={pinned['torch']}+{build}" for build in ("cpu", "cu130", "cu126")]
    assert [requirement for requirement in content["wheels"] if "+" in requirement] == []
    cuda = ["nvidia-cuda-runtime-cu12" in names(of_pypi) for of_pypi, _ in rows.values()]
    assert cuda == [True, False, True, False]
