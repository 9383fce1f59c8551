"""Fuzzer of sets of images in HDF5: each gives images or one sentence. It runs in a process, which may crash."""

import h5py
import numpy as np
import pytest
from fuzzing import Command, fault_in_words, flipped, mangled, seeds

KNOWN_CRASHES = 0.005
"share of changed sets with which the HDF5 library itself may crash (docs/reliability.md); one crash may come early"
SHAPES = {"gt": (2, 4, 8, 8), "lms": (2, 4, 8, 8), "ms": (2, 4, 2, 2), "pan": (2, 1, 8, 8)}


@pytest.fixture(scope="module")
def read():
    command = Command("serve_image_sets")
    yield command
    command.close()


@pytest.mark.parametrize("options", [{}, {"compression": "gzip"}])
@pytest.mark.parametrize("version", ["earliest", "v110"])
def test_a_changed_set_gives_images_or_a_sentence(version, options, read, tmp_path):
    path, rng = tmp_path / "set.h5", np.random.default_rng(0)
    with h5py.File(path, "w", libver=(version, "v110")) as file:
        for name, shape in SHAPES.items():
            file.create_dataset(name, data=rng.integers(100, 2000, shape).astype(np.float32), **options)
    valid = path.read_bytes()
    assert not fault_in_words(read(path))
    crashes = count = 0
    for seed in seeds(60):
        path.write_bytes(flipped(valid, seed, len(valid)) if seed % 3 else mangled(valid, seed))
        fault, count = fault_in_words(read(path)), count + 1
        crashes += fault.startswith("the process has ended with -")
        known = fault.startswith("the process has ended with -") and crashes <= max(1, KNOWN_CRASHES * count)
        assert not fault or known, f"seed {seed}: {fault}"
