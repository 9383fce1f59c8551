"""The script that makes the lock, with local indexes and the real uv."""

import base64
import json
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
    monkeypatch.setattr(lock_runtime, "NEEDS", tmp_path / "needs.json")
    lock_runtime.NEEDS.write_text('{"needs": {}}')
    monkeypatch.setenv("SSDIFF_TORCH_INDEX", f"{index.url}/whl")
    lock_runtime.page.cache_clear()
    yield index
    index.close()


def locked(stated=None):
    locking = lock_runtime.Locking(upgrade=True, stated=stated)
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


def digest(index, requirement):
    ((name, digest),) = index.locked["wheels"][requirement].items()
    return name, digest


def test_checksums_from_elsewhere_are_locked_with_their_sources_and_kept(index, monkeypatch, pinned):
    torch = f"torch=={pinned['torch']}+cpu"
    name, stated = digest(index, torch)
    monkeypatch.setenv("SSDIFF_TORCH_INDEX", "http://127.0.0.1:9/whl")
    for given in ({name: (stated, ["a", "b"])}, None):
        content, _, locking = locked(given)
        assert content["wheels"][torch] == {name: stated}
        assert content["sources"] == {torch: ["a", "b"]}
        assert torch in locking.missing
        lock.FILE.write_text(json.dumps(content))
    with pytest.raises(SystemExit, match=rf"{name.replace('+', '.')} has different checksums: sha256:"):
        locked({name: ("sha256:" + "0" * 64, ["a", "b"])})


def test_a_checksum_from_elsewhere_must_be_that_of_the_index(index, pinned):
    name, _ = digest(index, f"torch=={pinned['torch']}+cpu")
    with pytest.raises(SystemExit, match="has different checksums"):
        locked({name: ("sha256:" + "0" * 64, ["a", "b"])})


def test_what_a_build_needs_is_locked_if_it_is_known_and_its_index_cannot_be_reached(index, monkeypatch, pinned):
    lock_runtime.NEEDS.write_text(
        json.dumps({"needs": {f"torch=={pinned['torch']}+cu126": ["nvidia-cuda-runtime-cu12<14"]}})
    )
    monkeypatch.setenv("SSDIFF_TORCH_INDEX", "http://127.0.0.1:9/whl")
    content, rows, _ = locked()
    assert content["open"] == []
    assert rows[KEYS[-1]][0].count("nvidia-cuda-runtime-cu12==13.0.1") == 1


def test_a_wheel_for_which_the_index_states_no_checksum_is_told(index, monkeypatch, pinned):
    name, stated = digest(index, f"torch=={pinned['torch']}+cpu")
    read = lock_runtime.wheels_of
    monkeypatch.setattr(
        lock_runtime, "wheels_of", lambda *given: {each: "" if each == name else d for each, d in read(*given).items()}
    )
    content, _, locking = locked()
    assert (f"torch=={pinned['torch']}+cpu" in content["wheels"], locking.missing) == (
        False,
        {name: "the index states none"},
    )
    content, _, locking = locked({name: (stated, ["a", "b"])})
    assert (content["wheels"][f"torch=={pinned['torch']}+cpu"], locking.missing) == ({name: stated}, {})


WHEEL = "torch-2.13.0+cpu-cp312-cp312-manylinux_2_28_x86_64.whl"
HEX = "4ca4a9394b0c771238a4f73590fdbbc4debad85ed0fa63d026ae1b085da7d6e2"
LISTS = {
    "hexadecimal": f"{WHEEL} sha256:{HEX}\n",
    "as of sha256sum": f"{HEX}  {WHEEL}\n",
    "as of Nix": f"# nix\n{WHEEL} sha256-{base64.b64encode(bytes.fromhex(HEX)).decode()}\n",
}


def written(tmp_path, *texts, suffix=".txt"):
    paths = [tmp_path / f"{number}{suffix}" for number in range(len(texts))]
    for path, text in zip(paths, texts):
        path.write_text(text)
    return paths


def test_checksums_in_all_forms_agree(tmp_path):
    lock_file = f"""[[package]]
name = "torch"
wheels = [
    {{ url = "https://r2.invalid/{WHEEL.replace("+", "%2B")}", hash = "sha256:{HEX}" }},
    {{ url = "https://r2.invalid/torch-1-py3-none-any.whl", upload-time = "2026-07-08T11:19:11Z" }},
]
"""
    paths = written(tmp_path, *LISTS.values())
    paths += written(tmp_path, lock_file, suffix=".lock")
    sources = ["0.txt", "1.txt", "nix", "0.lock"]
    assert lock_runtime.agreed_checksums(paths) == {WHEEL: ("sha256:" + HEX, sources)}


def test_a_checksum_of_one_file_alone_is_not_accepted(tmp_path):
    other = LISTS["hexadecimal"].replace("cp312", "cp311")
    assert lock_runtime.agreed_checksums(written(tmp_path, LISTS["hexadecimal"], other)) == {}
    with pytest.raises(SystemExit, match="two of the files are the same"):
        lock_runtime.agreed_checksums(written(tmp_path, LISTS["hexadecimal"], LISTS["hexadecimal"]))
    same_source = "# nix\n" + LISTS["hexadecimal"]
    assert lock_runtime.agreed_checksums(written(tmp_path, LISTS["as of Nix"], same_source)) == {}


def test_files_that_state_different_checksums_are_an_error(tmp_path):
    third = LISTS["hexadecimal"].replace(HEX, "0" * 64)
    with pytest.raises(SystemExit, match=rf"different checksums of torch-2.*\n  sha256:{HEX} 0.txt\n.*\n  sha256:0+ 2"):
        lock_runtime.agreed_checksums(written(tmp_path, LISTS["hexadecimal"], LISTS["as of Nix"], third))
    with pytest.raises(SystemExit, match="states two checksums"):
        lock_runtime.agreed_checksums(written(tmp_path, LISTS["hexadecimal"] + third))


@pytest.mark.parametrize("line", ["torch", f"{WHEEL} sha256:123", f"{HEX} torch.tar.gz", f"{WHEEL} {HEX} x"])
def test_a_line_that_is_no_wheel_with_its_checksum_is_an_error(tmp_path, line):
    with pytest.raises(SystemExit, match="this line is not a wheel and its SHA-256"):
        lock_runtime.agreed_checksums(written(tmp_path, line))
