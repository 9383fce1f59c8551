from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).parents[1]

settings.register_profile("any machine", deadline=None)  # speed is measured by the bench, not here
settings.load_profile("any machine")


@pytest.fixture(scope="session")
def sample_weights():
    """The trained weights that ship with the project."""
    from ssdiff_core import weights

    return weights.load(ROOT / "resources" / "weights" / "general-4.safetensors")


@pytest.fixture(scope="session")
def eval_data() -> Path:
    """Real satellite scenes that may be measured on but not shipped."""
    folder = os.environ.get("SSDIFF_EVAL_DATA")
    if not folder:
        pytest.skip("SSDIFF_EVAL_DATA names no folder of evaluation scenes")
    return Path(folder)
