"""The TensorBoard logs of a training, read with TensorBoard's own reader."""

import io
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from command import ssdiff

from recipes import RECIPE as FOUR_STEPS
from recipes import place
from ssdiff_core.common.notices import Notice
from ssdiff_core.inprocess import imagery, train
from ssdiff_core.model import checkpoint as weights
from ssdiff_core.training import tensorboard

reader = pytest.importorskip(
    "tensorboard.backend.event_processing.event_accumulator",
    reason="tensorboard is not installed; `make setup` installs it",
)
RECIPE = FOUR_STEPS.replace("steps = 4", "steps = 8").replace("pool = 2", "pool = 2\nresidual_sigma = 2")
SCALARS = {"loss", "learning-rate", "samples-per-second", "held-out-error"}


class Run:
    """A recipe and imagery in a folder, and training with them."""

    def __init__(self, folder: Path):
        self.recipe, self.pack, self.out = (folder / name for name in ("recipe.toml", "pack.npz", "tiny.safetensors"))
        folder.mkdir(exist_ok=True)
        self.recipe.write_text(RECIPE)
        imagery.write_pack(self.pack, [place("here", 1), place("elsewhere", 2)])
        self.notices: list[Notice] = []

    def train(self, **options) -> bool:
        options = train.TrainOptions("cpu", **options)
        return train.train(self.recipe, [self.pack], self.out, self.notices.append, options)

    def log(self):
        found = reader.EventAccumulator(str(self.out.with_suffix(".events")), {"scalars": 0, "images": 0})
        return found.Reload()

    def steps(self, name: str) -> list[int]:
        return [event.step for event in self.log().Scalars(name)]


@pytest.fixture
def run(tmp_path) -> Run:
    return Run(tmp_path)


def pixels(event) -> np.ndarray:
    from PIL import Image  # comes with tensorboard

    return np.asarray(Image.open(io.BytesIO(event.encoded_image_string))).astype(float)


def test_the_log_has_curves_and_images_of_held_out_scenes(run):
    assert run.train()
    seen = run.log()
    assert set(seen.Tags()["scalars"]) == SCALARS
    assert run.steps("loss") == run.steps("learning-rate") == list(range(1, 9))
    assert run.steps("held-out-error") == [4, 8]
    rows = run.out.with_suffix(".csv").read_text().split()[1:]
    errors = [event.value for event in seen.Scalars("held-out-error")]
    assert errors == pytest.approx([float(row.split(",")[-1]) for row in rows])
    assert all(event.value > 0 for name in SCALARS for event in seen.Scalars(name))
    assert seen.Tags()["images"] == [tensorboard.PANELS.format(number) for number in (1, 2, 3, 4)]
    for name in seen.Tags()["images"]:
        assert [event.step for event in seen.Images(name)] == [4, 8]
        for image in map(pixels, seen.Images(name)):
            assert image.shape == (16, 5 * 16 + 4 * tensorboard.GAP, 3)
            panels = [image[:, at : at + 16] for at in range(0, image.shape[1], 16 + tensorboard.GAP)]
            assert all(panel.std() > 5 for panel in panels)
            assert all(np.abs(panel - panels[3]).mean() > 1 for panel in panels[:3])


def test_panels_have_the_stretch_of_the_truth_and_the_last_one_shows_the_error():
    truth = np.random.default_rng(0).uniform(2, 6, (4, 16, 16)).astype(np.float32)
    answer = truth.copy()
    answer[:, :4, :4] += 10
    example = {"MS": truth - 100, "base": truth, "answer": answer, "truth": truth}
    shown = tensorboard.comparison(example, [2, 1, 0])
    ms, base, answered, right, wrong = (shown[:, at : at + 16] for at in range(0, 90, 16 + tensorboard.GAP))
    assert not ms.any()
    assert np.array_equal(base, right)
    assert (answered[:4, :4] == 255).all()
    assert np.array_equal(answered[4:], right[4:])
    assert (wrong[:4, :4] == 255).all()
    assert not wrong[4:].any()
    assert not wrong[:, 4:].any()


def test_a_run_resumed_from_an_earlier_step_logs_each_step_once_and_gives_the_same_weights(run, tmp_path):
    checkpoint = run.out.with_suffix(".ckpt")
    for step in range(1, 7):
        assert not run.train(minutes=0)  # one step at a time
        shutil.copy(checkpoint, tmp_path / f"after-{step}")
    assert run.steps("loss") == [1, 2, 3, 4, 5, 6]
    shutil.copy(tmp_path / "after-3", checkpoint)
    assert run.train()
    assert run.steps("loss") == list(range(1, 9))
    assert run.steps("held-out-error") == [4, 8]
    whole = Run(tmp_path / "whole")
    assert whole.train()
    for name in ("loss", "learning-rate", "held-out-error"):
        one, other = ([event.value for event in each.log().Scalars(name)] for each in (run, whole))
        assert one == other
    once, stopped = (weights.load(each.out).net.state_dict() for each in (whole, run))
    assert all(tensor.equal(stopped[name]) for name, tensor in once.items())


def test_logs_of_runs_in_quick_succession_are_read_in_order(tmp_path, monkeypatch):
    """TensorBoard reads files in the order of their names; within a second, the tenth would precede the ninth."""
    writer = pytest.importorskip("tensorboard.summary.writer.event_file_writer")
    monkeypatch.setattr(writer, "_global_uid", writer.AtomicCounter(8))
    for taken in range(3):
        trainer = SimpleNamespace(state=SimpleNamespace(taken=taken))
        with tensorboard.callbacks(tmp_path, trainer, print) as callbacks:
            callbacks["on_step"](taken + 1, {"loss": 0.5})
    seen = reader.EventAccumulator(str(tmp_path), {"scalars": 0}).Reload()
    assert [event.step for event in seen.Scalars("loss")] == [1, 2, 3]


def test_without_tensorboard_training_reports_it_once_and_continues(run, monkeypatch):
    for name in [name for name in sys.modules if f"{name}.".startswith(("tensorboard.", "torch.utils.tensorboard."))]:
        monkeypatch.delitem(sys.modules, name)  # imported by this file and by other tests
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    printed = ssdiff("train", run.recipe, run.pack, "-o", run.out, "--device", "cpu").stderr
    assert printed.count("TensorBoard is not installed") == 1
    assert "training finished" in printed.splitlines()[-1]
    assert weights.load(run.out).card.training["steps"] == 8
    assert not run.out.with_suffix(".events").exists()
