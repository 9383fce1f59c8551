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
    ("text", "platform", "build", "torch"),
    [
        (LAPTOP, LINUX, "cu126", "2.7.1"),  # the driver is too old for CUDA 13
        (SERVER, LINUX, "cu130", "2.13.0"),
        (BLACKWELL, LINUX, "cu128", "2.9.1"),
        (VGPU, LINUX, "cu126", "2.7.1"),
        (SERVER, "linux-aarch64", "cu130", "2.13.0"),
        (MIXED, WINDOWS, "cu130", "2.13.0+cu130"),  # the newest GPU counts
        (PASCAL, WINDOWS, "cu126", "2.13.0+cu126"),  # CUDA 13 has no kernels for it
        (BLACKWELL, WINDOWS, "cu128", "2.8.0+cu128"),
    ],
)
def test_the_best_build_for_driver_and_gpu_is_chosen_on_linux_from_pypi(text, platform, build, torch):
    choice = chosen(text, platform)
    assert (choice.build, choice.requirements[0]) == (build, f"torch=={torch}")
    assert choice.index == (None if platform != WINDOWS else f"https://download.pytorch.org/whl/{build}")


# The build for a GPU and a driver in the Pythons 3.9, 3.10, ... 3.14.
GPUS = {
    "Maxwell": ("5.2", "553.0"),
    "Volta": ("7.0", "582.0"),
    "Turing": ("7.5", "582.0"),
    "Ampere, old driver": ("8.6", "535.0"),
    "Ada": ("8.9", "575.0"),
    "Hopper": ("9.0", "582.0"),
    "Blackwell": ("12.0", "582.0"),
    "Blackwell, old driver": ("12.0", "572.0"),
}
EXPECTED = {
    (LINUX, "Maxwell"): "cu126 cu126 cu126 cu126 cu126 cpu",
    (LINUX, "Volta"): "cu126 cu126 cu126 cu126 cu126 cpu",
    (LINUX, "Turing"): "cu128 cu130 cu130 cu130 cu130 cu130",
    (LINUX, "Ampere, old driver"): "cu126 cu126 cu126 cu126 cu126 cu128",
    (LINUX, "Ada"): "cu128 cu128 cu128 cu128 cu128 cu128",
    (LINUX, "Hopper"): "cu128 cu130 cu130 cu130 cu130 cu130",
    (LINUX, "Blackwell"): "cu128 cu130 cu130 cu130 cu130 cu130",
    (LINUX, "Blackwell, old driver"): "cu128 cu128 cu128 cu128 cu128 cu128",
    (WINDOWS, "Maxwell"): "cu124 cu124 cu126 cu126 cu126 cu126",
    (WINDOWS, "Volta"): "cu124 cu124 cu126 cu126 cu126 cu126",
    (WINDOWS, "Turing"): "cu128 cu128 cu126 cu130 cu130 cu130",
    (WINDOWS, "Ampere, old driver"): "cu124 cu124 cu126 cu126 cu126 cu126",
    (WINDOWS, "Ada"): "cu128 cu128 cu126 cu126 cu128 cu126",
    (WINDOWS, "Hopper"): "cu128 cu128 cu126 cu130 cu130 cu130",
    (WINDOWS, "Blackwell"): "cu128 cu128 cu128 cu130 cu130 cu130",
    (WINDOWS, "Blackwell, old driver"): "cu128 cu128 cu128 cu128 cu128 cpu",
    ("linux-aarch64", "Turing"): "cpu cpu cpu cpu cpu cpu",
    ("linux-aarch64", "Ampere, old driver"): "cpu cpu cpu cpu cpu cpu",
    ("linux-aarch64", "Hopper"): "cpu cu130 cu130 cu130 cu130 cu130",
    ("linux-aarch64", "Blackwell"): "cpu cu130 cu130 cu130 cu130 cu130",
}


@pytest.mark.parametrize(("platform", "name"), EXPECTED)
def test_each_python_gets_the_build_for_its_gpu_and_driver(platform, name):
    capability, driver = GPUS[name]
    gpus = [Gpu(name, driver, capability)]
    found = [wheels.choose("auto", (3, minor), platform, gpus).build for minor in range(9, 15)]
    assert " ".join(found) == EXPECTED[platform, name]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
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


def test_only_linux_on_x86_needs_more_than_pypi_for_the_cpu():
    for minor, platform in itertools.product(range(9, 15), PLATFORMS):
        choice = chosen("", platform, (3, minor))
        if platform == LINUX:
            assert choice.index == "https://download.pytorch.org/whl/cpu"
            continue
        assert choice.index is None
        assert choice.requirements == choice.pinned


def test_older_pythons_get_the_last_wheels_that_exist_for_them():
    assert chosen(BLACKWELL, version=(3, 9)).pins["torch"] == "2.8.0"
    assert chosen("", WINDOWS, version=(3, 9)).pins["torch"] == "2.8.0"
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
    assert chosen(SERVER, WINDOWS).index == "https://mirror.example/pytorch/cu130"


EVERYWHERE = [
    (platform, (3, minor))
    for platform, minor in itertools.product((*PLATFORMS, "macos-x86_64"), range(9, 15))
    if (platform, minor) not in (("macos-x86_64", 13), ("macos-x86_64", 14))
]


@pytest.mark.parametrize(("platform", "version"), EVERYWHERE)
def test_each_choice_has_a_name_of_its_own_by_which_its_versions_are_found(platform, version):
    choices = wheels.choices(version, platform)
    assert len({choice.build for choice in choices}) == len(choices)
    assert all(wheels.pins(choice.build, version, platform) == choice.pins for choice in choices)
    assert wheels.pins("cu999", version, platform) is None


@pytest.mark.parametrize(("platform", "version"), EVERYWHERE)
def test_pypi_has_a_torch_for_every_python_and_system(platform, version):
    choice = wheels.of_pypi(version, platform, "the index is blocked")
    assert (choice.build, choice.index, choice.cuda) == (wheels.PYPI, None, False)
    assert choice.requirements == choice.pinned
    assert choice.pins == wheels.pins(wheels.PYPI, version, platform)
    assert choice.download > 100


def test_a_python_that_pytorch_does_not_know_has_no_choices():
    assert wheels.choices((3, 8), LINUX) == wheels.choices((3, 12), "linux-riscv64") == []
    assert wheels.pins("cpu", (3, 8), LINUX) is None
    assert wheels.pins(wheels.PYPI, (3, 8), LINUX) is None
