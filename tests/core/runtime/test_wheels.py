"""Which wheels suit which computer: the table, and what real drivers have answered."""

import itertools

import pytest

from ssdiff_core.common.errors import InstallError
from ssdiff_core.runtime import wheels
from ssdiff_core.runtime.wheels import Gpu

LINUX, WINDOWS, MAC = "linux-x86_64", "win-amd64", "macos-arm64"
PLATFORMS = (LINUX, "linux-aarch64", WINDOWS, MAC)

# What `nvidia-smi --query-gpu=name,driver_version,compute_cap --format=csv,noheader` prints.
LAPTOP = "NVIDIA GeForce RTX 3060 Laptop GPU, 535.183.01, 8.6\n"
SERVER = "NVIDIA H100 80GB HBM3, 580.95.05, 9.0\n" * 2
MIXED = "NVIDIA GeForce GTX 1080, 581.29, 6.1\r\nNVIDIA GeForce RTX 5090, 581.29, 12.0\r\n"
PASCAL = "NVIDIA GeForce GTX 1060 6GB, 560.94, 6.1\n"
BLACKWELL = "NVIDIA GeForce RTX 5070 Ti, 572.83, 12.0\n"
VGPU = "GRID T4-16Q, 550.90.07, [N/A]\n"
OLD = 'Field "compute_cap" is not a valid field to query.\n\n'
OLD_TOO = "GeForce GTX 970, 418.226.00\n"
KEPLER = "Tesla K80, 470.256.02, 3.7\n"
BROKEN = (
    "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that the latest NVIDIA "
    "driver is installed and running.\n\n"
)
MISMATCH = "Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 535.183\n"
NONE = "No devices were found\n"
# What /proc/driver/nvidia/version holds.
CLOSED = (
    "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12 19:39:15 UTC 2024\n"
    "GCC version:  gcc version 12.3.0 (Ubuntu 12.3.0-1ubuntu1~22.04)\n"
)
OPEN = (
    "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build  (dvs-builder@U22)  "
    "Tue Sep 23 09:55:41 UTC 2025\nGCC version:  gcc version 13.3.0 (Ubuntu 13.3.0-6ubuntu2~24.04)\n"
)


def chosen(text, platform=LINUX, version=(3, 12), device="auto"):
    return wheels.choose(device, version, platform, wheels.parse_nvidia_smi(text))


def test_the_output_of_nvidia_smi_is_parsed():
    assert wheels.parse_nvidia_smi(LAPTOP) == [Gpu("NVIDIA GeForce RTX 3060 Laptop GPU", "535.183.01", "8.6")]
    assert [gpu.capability for gpu in wheels.parse_nvidia_smi(MIXED)] == ["6.1", "12.0"]
    assert wheels.parse_nvidia_smi(VGPU) == [Gpu("GRID T4-16Q", "550.90.07", None)]
    assert wheels.parse_nvidia_smi(OLD_TOO) == [Gpu("GeForce GTX 970", "418.226.00", None)]


@pytest.mark.parametrize("text", [OLD, BROKEN, MISMATCH, NONE, "", "nonsense, really"])
def test_error_messages_of_nvidia_smi_are_no_gpus(text):
    assert wheels.parse_nvidia_smi(text) == []
    choice = chosen(text)
    assert (choice.build, str(choice.why)) == ("cpu", "no NVIDIA GPU was found")


def test_the_kernel_module_reports_the_driver_without_nvidia_smi():
    assert wheels.parse_kernel_module(CLOSED) == [Gpu("an NVIDIA GPU", "535.183.01")]
    assert wheels.parse_kernel_module(OPEN) == [Gpu("an NVIDIA GPU", "580.95.05")]
    assert wheels.parse_kernel_module("nothing") == []


@pytest.mark.parametrize(
    ("text", "platform", "build"),
    [
        (LAPTOP, LINUX, "cu126"),  # the driver is too old for CUDA 13
        (SERVER, LINUX, "cu130"),
        (MIXED, WINDOWS, "cu130"),  # the newest GPU counts
        (PASCAL, WINDOWS, "cu126"),  # CUDA 13 has no kernels for it
        (VGPU, LINUX, "cu126"),
        (SERVER, "linux-aarch64", "cu130"),
    ],
)
def test_the_best_build_for_driver_and_gpu_is_chosen(text, platform, build):
    choice = chosen(text, platform)
    assert choice.build == build
    assert choice.index == f"https://download.pytorch.org/whl/{build}"
    assert choice.requirements[0] == f"torch=={choice.pins['torch']}+{build}"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (BLACKWELL, "the NVIDIA driver 572.83 is too old, 580.88 or newer is needed"),
        (OLD_TOO, "the NVIDIA driver 418.226.00 is too old, 528.33 or newer is needed"),
        (KEPLER, "has no kernels for Tesla K80 (compute capability 3.7)"),
    ],
)
def test_an_unsupported_gpu_gives_a_reason_and_the_cpu_build(text, reason):
    choice = chosen(text, WINDOWS)
    assert choice.build == "cpu"
    assert reason in str(choice.why)
    with pytest.raises(InstallError) as refused:
        chosen(text, WINDOWS, device="cuda")
    assert reason in str(refused.value)


def test_the_cpu_build_can_be_selected_and_macs_have_their_own_build():
    assert chosen(SERVER, device="cpu").build == "cpu"
    assert chosen("", MAC).build == "mps"
    with pytest.raises(InstallError, match="Macs have no CUDA"):
        chosen("", MAC, device="cuda")
    with pytest.raises(InstallError, match="must be one of auto, cpu, cuda, not 'tpu'"):
        chosen("", device="tpu")


def test_windows_and_macos_need_only_pypi_for_the_cpu():
    for platform in (WINDOWS, MAC):
        choice = chosen("", platform)
        assert choice.index is None
        assert choice.requirements == choice.pinned


def test_older_pythons_get_the_last_wheels_that_exist_for_them():
    assert chosen(LAPTOP, version=(3, 9)).pins["torch"] == "2.8.0"
    assert chosen(BLACKWELL, WINDOWS, version=(3, 9)).build == "cu128"
    assert chosen("", "macos-x86_64", version=(3, 9)).pins == {
        "torch": "2.2.2",
        "numpy": "1.26.4",
        "safetensors": "0.7.0",
    }


def test_every_python_of_qgis_has_wheels_on_every_system():
    for minor, platform, text in itertools.product(range(9, 15), PLATFORMS, ("", SERVER)):
        choice = chosen(text, platform, (3, minor))
        assert list(choice.pins) == ["torch", "numpy", "safetensors"]
        assert choice.download
        assert choice.disk


@pytest.mark.parametrize(("version", "platform"), [((3, 8), LINUX), ((3, 15), WINDOWS), ((3, 13), "macos-x86_64")])
def test_a_python_without_wheels_is_an_error_in_one_sentence(version, platform):
    with pytest.raises(InstallError, match=f"no PyTorch for Python {version[0]}.{version[1]} on {platform}: select a"):
        wheels.choose("auto", version, platform, [])


def test_a_mirror_of_the_index_can_be_selected(monkeypatch):
    monkeypatch.setenv("SSDIFF_TORCH_INDEX", "https://mirror.example/pytorch/")
    assert chosen(SERVER).index == "https://mirror.example/pytorch/cu130"


def test_each_build_in_the_table_is_for_a_pinned_torch():
    table = wheels.table()
    installed = {row["pins"]["torch"] for row in table["packages"]}
    assert all(set(build["torch"]) <= installed for build in table["builds"])


def test_pypi_has_a_torch_for_every_python_and_system():
    for row in wheels.table()["packages"]:
        for platform in row["platforms"]:
            version = tuple(map(int, row["python"][0].split(".")))
            choice = wheels.of_pypi(version, platform, "the index is blocked")
            assert (choice.build, choice.index, choice.cuda) == (wheels.PYPI, None, False)
            assert choice.requirements[0] == f"torch=={row['pins']['torch']}"
            assert choice.download > 100
