"""`ssdiff train`: reads imagery, writes weights that the engine runs, and resumes interrupted runs."""

import csv

import numpy as np
import pytest
from image_sets import arrays, write_set
from osgeo import gdal
from scenes import smooth_scene, surveyed

from recipes import RECIPE, place, set_recipe
from ssdiff_core.cli.main import main
from ssdiff_core.common.errors import ConfigError
from ssdiff_core.domain.options import SamplingOptions
from ssdiff_core.fusion.engine import Engine
from ssdiff_core.inprocess import imagery
from ssdiff_core.model import checkpoint


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE)
    return path


def raster(path, names=("Red", "green", "BLUE", "NIR"), side=300, hole=True):
    image = np.random.default_rng(0).integers(1, 2000, (4, side, side)).astype(np.uint16)
    if hole:
        image[:, 10:12, 280:] = 0
    file = gdal.GetDriverByName("GTiff").Create(str(path), side, side, 4, gdal.GDT_UInt16)
    for index, name in enumerate(names, 1):
        band = file.GetRasterBand(index)
        band.SetDescription(name)
        band.SetNoDataValue(0)
        band.WriteArray(image[index - 1])
    return image


def test_a_pack_preserves_places_and_pictures(tmp_path):
    places = [place("here", 1), place("elsewhere", 2, 3)]
    imagery.write_pack(tmp_path / "pack.npz", places)
    read = imagery.load([tmp_path / "pack.npz"])
    assert [(p.name, len(p.pictures), p.pictures[0].wavelengths) for p in read] == [
        (p.name, len(p.pictures), p.pictures[0].wavelengths) for p in places
    ]
    assert np.array_equal(read[1].pictures[2].image, places[1].pictures[2].image)


def test_a_raster_is_cut_into_pictures_without_holes_by_the_names_of_its_bands(tmp_path):
    image = raster(tmp_path / "city.tif")
    (found,) = imagery.load([tmp_path])
    assert found.name == "city"
    assert found.pictures[0].wavelengths == (660.0, 555.0, 480.0, 835.0)
    assert np.array_equal(found.pictures[0].image, image[:, :256, :256])
    assert found.pictures[0].full == pytest.approx(np.quantile(image[:, :256, :256], 0.999))
    raster(tmp_path / "other.tif", names=("a", "b", "c", "d"))
    with pytest.raises(ConfigError, match="has a band 'a'"):
        imagery.load([tmp_path / "other.tif"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="there is no imagery"):
        imagery.load([tmp_path / "empty"])
    np.savez(tmp_path / "no.npz", a=np.zeros(3))
    with pytest.raises(ConfigError, match="not a pack"):
        imagery.load([tmp_path / "no.npz"])


def test_training_from_the_command_line_gives_weights_that_fuse(tmp_path, recipe, capsys):
    imagery.write_pack(tmp_path / "pack.npz", [place("here", 1), place("elsewhere", 2)])
    out = tmp_path / "tiny.safetensors"
    command = ["train", str(recipe), str(tmp_path / "pack.npz"), "-o", str(out), "--device", "cpu", "--licence", "CC0"]
    assert main([*command, "--minutes", "0"]) == 0
    assert "not finished" in capsys.readouterr().err
    assert out.with_suffix(".ckpt").exists()
    assert main(command) == 0
    assert "Resuming from" in capsys.readouterr().err
    assert not out.with_suffix(".ckpt").exists()
    trained = checkpoint.load(out)
    assert trained.card.training["places"] == ["here"]
    assert trained.card.training["samples"] == 8
    assert trained.card.licence == "CC0"
    assert trained.card.training["recipe"] == RECIPE
    with open(out.with_suffix(".csv")) as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == ["4"]
    assert 0.5 < float(rows[0]["error"]) < 2
    scene = smooth_scene(48, 48)
    assert np.isfinite(Engine(trained, SamplingOptions("cpu")).fuse(scene)).all()


def test_a_checkpoint_of_another_recipe_is_an_error(recipe, tmp_path, capsys):
    imagery.write_pack(tmp_path / "pack.npz", [place("here", 1)])
    command = ["train", str(recipe), str(tmp_path / "pack.npz"), "-o", str(tmp_path / "w.safetensors")]
    assert main([*command, "--minutes", "0"]) == 0
    recipe.write_text(RECIPE.replace("[32, 32, 32]", "[32, 64, 96]"))
    capsys.readouterr()
    assert main(command) == 1
    printed = capsys.readouterr().err.splitlines()
    assert "w.ckpt is damaged or belongs to another recipe" in printed[-1]


def test_a_foreign_file_next_to_the_weights_is_kept(recipe, tmp_path, capsys):
    imagery.write_pack(tmp_path / "pack.npz", [place("here", 1)])
    (tmp_path / "w.csv").write_text("my,table\n")
    command = ["train", str(recipe), str(tmp_path / "pack.npz"), "-o", str(tmp_path / "w.safetensors")]
    assert main([*command, "--minutes", "0"]) == 1
    assert "w.csv is a file that SSDiff has not made" in capsys.readouterr().err
    assert (tmp_path / "w.csv").read_text() == "my,table\n"


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 broken", b"no pack"])
def test_a_damaged_pack_is_an_error(tmp_path, content):
    (tmp_path / "pack.npz").write_bytes(content)
    with pytest.raises(ConfigError, match=r"pack\.npz is not a pack of imagery"):
        imagery.load([tmp_path / "pack.npz"])


def test_a_missing_recipe_is_an_error(tmp_path, capsys):
    assert main(["train", str(tmp_path / "no.toml"), str(tmp_path), "-o", str(tmp_path / "o.safetensors")]) == 1
    assert "the recipe" in capsys.readouterr().err


def test_training_starts_from_other_weights(recipe, tmp_path):
    imagery.write_pack(tmp_path / "pack.npz", [place("here", 1), place("elsewhere", 2)])
    first, then = tmp_path / "first.safetensors", tmp_path / "then.safetensors"
    assert main(["train", str(recipe), str(tmp_path / "pack.npz"), "-o", str(first), "--device", "cpu"]) == 0
    none = tmp_path / "none.toml"
    none.write_text(RECIPE.replace("steps = 4", "steps = 0"))
    words = ["train", str(none), str(tmp_path / "pack.npz"), "-o", str(then), "--device", "cpu"]
    assert main([*words, "--start", str(first)]) == 0
    learnt, begun = checkpoint.load(first), checkpoint.load(then)
    assert begun.card.residual_sigma == learnt.card.residual_sigma
    for name, tensor in learnt.net.state_dict().items():
        assert tensor.equal(begun.net.state_dict()[name]), name
    none.write_text('views = ["bt-h"]' + none.read_text())
    assert main([*words, "--start", str(first)]) == 0
    seeing, scene = checkpoint.load(then), surveyed(smooth_scene(48, 48))
    assert seeing.card.arch.views == ("bt-h",)
    assert (
        np.abs(
            Engine(seeing, SamplingOptions("cpu")).fuse(scene) - Engine(begun, SamplingOptions("cpu")).fuse(scene)
        ).max()
        < 1e-3
    )
    none.write_text("ratio = 2\n" + none.read_text())
    assert main([*words, "--start", str(first)]) == 0
    half = checkpoint.load(then)
    assert (half.card.ratio, half.card.ms_phase, half.card.arch.ratio) == (2, 0.5, 2)
    name = "fusion.0.apfm.out.weight"
    assert half.net.state_dict()[name].equal(learnt.net.state_dict()[name])


SET_RECIPE = set_recipe(tile=32, batch=2)


def test_training_on_a_set_of_images_tells_every_epoch_what_the_held_out_set_says_and_continues(tmp_path, capsys):
    recipe, train, valid = tmp_path / "recipe.toml", tmp_path / "train.h5", tmp_path / "valid.h5"
    recipe.write_text(SET_RECIPE)
    write_set(train, arrays(4, side=32)), write_set(valid, arrays(2, side=32, seed=1))
    command = ["train", str(recipe), str(train), "--validate", str(valid), "--device", "cpu", "-o"]
    assert main([*command, str(tmp_path / "whole.safetensors")]) == 0
    printed = capsys.readouterr().err
    assert "epoch 1, step 2: held-out error" in printed
    assert "epoch 2, step 4: held-out error" in printed
    while (tmp_path / "parts.ckpt").exists() or not (tmp_path / "parts.safetensors").exists():
        assert main([*command, str(tmp_path / "parts.safetensors"), "--minutes", "0"]) == 0
    assert "Resuming from" in capsys.readouterr().err
    whole, parts = (checkpoint.load(tmp_path / f"{name}.safetensors") for name in ("whole", "parts"))
    assert all(tensor.equal(parts.net.state_dict()[name]) for name, tensor in whole.net.state_dict().items())
    assert whole.card.training["places"] == ["train.h5"]
    assert (whole.card.base, whole.card.scale, whole.card.interpolation, whole.card.sensor) == (
        *("lms", 2047, "23tap", "qb"),
    )
    with open(tmp_path / "whole.csv") as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == ["2", "4"]
    assert set(rows[0]) == {"stage", "step", "samples", "error", "SAM", "ERGAS", "Q2n", "SCC"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train.h5", "train.h5"], "one set of images is trained on at a time"),
        (["train.h5", "--processes", "2"], "--processes is for imagery"),
        (["pack.npz", "--validate", "train.h5"], "--validate is for training on a set of images"),
        (["pack.npz"], "validate = 0 in the recipe"),
        (["train.h5", "--validate", "missing.h5"], "missing.h5 cannot be read"),
    ],
)
def test_sets_and_imagery_are_not_mixed(tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipe.toml").write_text(SET_RECIPE)
    write_set(tmp_path / "train.h5", arrays(4, side=32))
    imagery.write_pack(tmp_path / "pack.npz", [place("here", 1)])
    assert main(["train", "recipe.toml", *words, "-o", "out.safetensors"]) == 1
    assert message in capsys.readouterr().err
