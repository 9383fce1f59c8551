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
CUDA = "nvidia-cuda-runtime-cu12"


@pytest.fixture
def torches():
    """The requirements of torch, of PyPI but for the last."""
    return [choice.requirements[0] for choice in wheels.choices(PYTHON, PLATFORM)]


@pytest.fixture
def index(tmp_path, monkeypatch, torches):
    """PyPI, whose torch needs CUDA, and PyTorch's index, whose torch for the CPU does not."""
    index, made = standins.Index(tmp_path / "index"), tmp_path / "made"
    standins.others(made, wheels.choices(PYTHON, PLATFORM)[0].pins)
    for path in [*made.glob("*.whl"), standins.wheel(made, CUDA.replace("-", "_"), "13.0.1")]:
        index.add("pypi", path)
    for version in {each.split("==")[1].split("+")[0] for each in torches}:
        index.add("pypi", standins.torch(made, version, needs=CUDA))
    index.add("whl/cpu", standins.torch(made, torches[-1].split("==")[1]))
    monkeypatch.setattr(lock_runtime, "PYPI", f"{index.url}/pypi")
    monkeypatch.setattr(lock, "FILE", tmp_path / "lock.json")
    monkeypatch.setenv("SSDIFF_TORCH_INDEX", f"{index.url}/whl")
    lock_runtime.page.cache_clear()
    yield index
    index.close()


def locked(stated=None):
    locking = lock_runtime.Locking(upgrade=True, stated=stated)
    locking.lock(PLATFORM, PYTHON)
    content = locking.content()
    rows = {name: row["packages"] for row in content["rows"] for name in row["for"]}
    return content, rows, locking


def names(requirements):
    return {each.split("==")[0] for each in requirements}


def test_all_builds_are_locked_with_the_checksums_that_the_indexes_state(index, torches):
    content, rows, locking = locked()
    keys = [lock.key(PLATFORM, PYTHON, torch) for torch in torches]
    assert (set(rows), locking.missing) == (set(keys), {})
    for torch in torches:
        assert list(content["wheels"][torch].values()) == list(index.locked["wheels"][torch].values())
    *of_pypi, of_index = (names(rows[key]) for key in keys)
    assert all(packages == {"numpy", "safetensors", CUDA} for packages in of_pypi)
    assert of_index == {"numpy", "safetensors"}


def test_without_pytorchs_index_the_rest_is_locked_and_what_is_missing_is_told(index, monkeypatch, torches):
    with_index = locked()[1]
    monkeypatch.setenv("SSDIFF_TORCH_INDEX", "http://127.0.0.1:9/whl")
    content, rows, locking = locked()
    assert rows == with_index
    assert list(locking.missing) == [torches[-1]]
    assert [requirement for requirement in content["wheels"] if "+" in requirement] == []


def test_an_index_without_a_wheel_of_torch_is_an_error(index, torches):
    for page in (index.folder / "whl" / "cpu" / "torch").glob("index.html"):
        page.write_text("<!DOCTYPE html><html><body></body></html>")
    with pytest.raises(SystemExit, match=r"/whl/cpu has no wheel of torch=="):
        locked()


def digest(index, requirement):
    ((name, digest),) = index.locked["wheels"][requirement].items()
    return name, digest


def test_checksums_from_elsewhere_are_locked_with_their_sources_and_kept(index, monkeypatch, torches):
    torch = torches[-1]
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


def test_a_checksum_from_elsewhere_must_be_that_of_the_index(index, torches):
    name, _ = digest(index, torches[-1])
    with pytest.raises(SystemExit, match="has different checksums"):
        locked({name: ("sha256:" + "0" * 64, ["a", "b"])})


def test_a_wheel_for_which_the_index_states_no_checksum_is_told(index, monkeypatch, torches):
    torch = torches[-1]
    name, stated = digest(index, torch)
    read = lock_runtime.wheels_of
    monkeypatch.setattr(
        lock_runtime, "wheels_of", lambda *given: {each: "" if each == name else d for each, d in read(*given).items()}
    )
    content, _, locking = locked()
    assert (torch in content["wheels"], locking.missing) == (False, {name: "the index states none"})
    content, _, locking = locked({name: (stated, ["a", "b"])})
    assert (content["wheels"][torch], locking.missing) == ({name: stated}, {})


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
