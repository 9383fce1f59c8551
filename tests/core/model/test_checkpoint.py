import json
import pickle
import struct
from dataclasses import replace

import pytest
import torch
from golden import answers, inputs, published_state
from scenes import stiff_weights, with_views

from ssdiff_core.common.errors import WeightsError
from ssdiff_core.model import checkpoint
from ssdiff_core.model.checkpoint import load, save
from ssdiff_core.model.ssnet import state_of
from ssdiff_core.weights.card import read_card


@pytest.fixture
def made(tmp_path):
    source = stiff_weights(4)
    card = replace(source.card, training={"samples": 7}, scores={"gf2": [1, 2]}, wavelengths_nm=(450, 550, 650, 850))
    save(tmp_path / "w.safetensors", state_of(source.net), card)
    return tmp_path / "w.safetensors", card, source


def tamper(path, change):
    """Rewrites the header and the tensors of a file."""
    data = path.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    header, body = json.loads(data[8 : 8 + size]), bytearray(data[8 + size :])
    change(header, body)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)


def test_comes_back_as_it_was_written(made):
    path, card, source = made
    loaded = load(path)
    assert loaded.card == card == read_card(path)
    assert all(torch.equal(tensor, state_of(loaded.net)[name]) for name, tensor in state_of(source.net).items())
    assert not loaded.net.training
    assert len(loaded.sha256) == 64


def test_the_header_is_flat_strings_under_the_agreed_names(made):
    data = made[0].read_bytes()
    header = json.loads(data[8 : 8 + struct.unpack("<Q", data[:8])[0]])["__metadata__"]
    assert header["format"] == "ssdiff-1"
    names = "id sensor bands wavelengths_nm ratio scale residual_sigma base tile steps arch training scores licence"
    assert set(names.split()) <= set(header)
    assert all(isinstance(value, str) for value in header.values())


def test_files_from_before_there_were_views_have_none_and_those_with_come_back(made, tmp_path):
    path, card, source = made

    def older(header, body):
        arch = json.loads(header["__metadata__"]["arch"])
        assert arch.pop("views") == []
        header["__metadata__"]["arch"] = json.dumps(arch)

    tamper(path, older)
    assert load(path).card == card
    seeing = with_views(source)
    save(tmp_path / "v.safetensors", state_of(seeing.net), seeing.card)
    assert load(tmp_path / "v.safetensors").card.arch.views == ("bt-h",)
    assert load(tmp_path / "v.safetensors").card == seeing.card


def test_half_precision_is_read_as_single(made, tmp_path):
    _, card, source = made
    save(tmp_path / "half.safetensors", {name: t.half() for name, t in state_of(source.net).items()}, card)
    assert (tmp_path / "half.safetensors").stat().st_size < 2_700_000
    assert {tensor.dtype for tensor in load(tmp_path / "half.safetensors").net.state_dict().values()} <= {
        torch.float32,
        torch.int64,
    }


def drop(name):
    return lambda header, body: header.pop(name)


def set_meta(**values):
    return lambda header, body: header["__metadata__"].update(values)


def reshape(header, body):
    header["embed.0.bias"]["shape"] = [2, 256]


def poison(header, body):
    start = header["head.0.bias"]["data_offsets"][0]
    body[start : start + 4] = struct.pack("<f", float("nan"))


def rename(header, body):
    header["stranger"] = header.pop("head.0.bias")


FAULTS = {
    "not an SSDiff weights file": set_meta(format="other"),
    "format None": lambda header, body: header.pop("__metadata__"),
    "the header has no 'base'": lambda header, body: header["__metadata__"].pop("base"),
    "the header is invalid": set_meta(arch="{"),
    r"the header is invalid: .*unexpected": set_meta(arch='{"depth": 3}'),
    "bands is 99": set_meta(arch='{"bands": 99}'),
    "list 3 bands, but their network has 4": set_meta(bands='["r", "g", "b"]'),
    "need 4 positive numbers as residual_sigma": set_meta(residual_sigma="[0.1, 0.1, 0.1, 0]"),
    "scale -1": set_meta(scale="-1"),
    "have scale inf": set_meta(scale="inf"),
    "could not convert": set_meta(scale="much"),
    "have base 'no-such-method'": set_meta(base="no-such-method"),
    "'nearest' interpolation": set_meta(interpolation="nearest"),
    "have ratio 2": set_meta(ratio="2"),
    "has tile 32": set_meta(tile="32"),
    "set 0 steps": set_meta(steps="0"),
    "set 1.5 steps": set_meta(steps="1.5"),
    "set None steps": set_meta(steps="null"),
    "set 5000 steps": set_meta(steps="5000"),
    "bands is not a list": set_meta(bands='"blue"'),
    "band names that are not text": set_meta(bands="[1, 2, 3, 4]"),
    "need 4 positive numbers as residual_sigma ?": set_meta(residual_sigma='["a", 1, 1, 1]'),
    "have MS phase None": lambda header, body: header["__metadata__"].update(ms_phase='"None"'),
    "have MS phase nan": set_meta(ms_phase="NaN"),
    "not JSON objects": set_meta(training="null"),
    "header has no 'tile'": lambda header, body: header["__metadata__"].pop("tile"),
    "positive whole numbers": set_meta(arch='{"bands": 4.0}'),
    "must be three multiples": set_meta(arch='{"widths": [32, 64]}'),
    "views are .*each of these may occur once": set_meta(arch='{"views": ["gsa"]}'),
    "dropout is 5": set_meta(arch='{"dropout": 5}'),
    "recursion|overflow": set_meta(scores="[" * 100_000 + "]" * 100_000),
    r"2 wavelengths": set_meta(wavelengths_nm="[1, 2]"),
    r"embed\.0\.bias has shape \(2, 256\), not \(512,\)": reshape,
    r"head\.0\.bias holds NaN": poison,
    "is missing": rename,
}


@pytest.mark.parametrize("sentence", FAULTS)
def test_each_fault_is_one_clear_sentence(made, sentence):
    path = made[0]
    tamper(path, FAULTS[sentence])
    with pytest.raises(WeightsError, match=sentence) as caught:
        load(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("size", [0, 3, 8, 100, 5000, -1])
def test_a_truncated_file_is_refused(made, size):
    path = made[0]
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(WeightsError, match="not a whole safetensors file"):
        load(path)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(WeightsError, match="nowhere"):
        load(tmp_path / "nowhere.safetensors")


def test_a_foreign_file_is_refused(tmp_path):
    (tmp_path / "x").write_bytes(b"II*\0" + bytes(4000))
    with pytest.raises(WeightsError, match="not a whole safetensors file"):
        load(tmp_path / "x")


def test_saving_checks_first_and_leaves_nothing_behind(made, tmp_path):
    _, card, source = made
    folder = tmp_path / "new"
    folder.mkdir()
    state = state_of(source.net)
    state.pop("head.0.bias")
    with pytest.raises(WeightsError, match="missing"):
        save(folder / "w.safetensors", state, card)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("bands", [4, 8])
def test_a_published_checkpoint_is_imported_and_answers_the_same(tmp_path, bands):
    torch.save(published_state(bands), tmp_path / "published.pt")
    card = stiff_weights(bands).card
    imported = checkpoint.import_published(tmp_path / "published.pt", card)
    save(tmp_path / "w.safetensors", state_of(imported.net), imported.card)
    with torch.inference_mode():
        output = load(tmp_path / "w.safetensors").net(**inputs(bands)).numpy()
    assert abs(output - answers(bands)["output"]).max() < 1e-5


def test_nothing_is_ever_unpickled(tmp_path, made):
    target = tmp_path / "sprung"
    trap = type("Trap", (), {"__reduce__": lambda self: (open, (str(target), "w"))})
    globals()["Trap"] = trap
    trap.__qualname__, trap.__module__ = "Trap", __name__
    torch.save({"to_hrms.2.weight": trap()}, tmp_path / "evil.pt")
    with pytest.raises(WeightsError, match="not a checkpoint of plain tensors") as caught:
        checkpoint.import_published(tmp_path / "evil.pt", made[1])
    assert "weights_only" not in str(caught.value)  # as torch advises, who would do it after all
    (tmp_path / "evil.safetensors").write_bytes(pickle.dumps(trap()))
    with pytest.raises(WeightsError):
        load(tmp_path / "evil.safetensors")
    assert not target.exists()


def test_something_else_in_a_pt_file_is_refused(tmp_path, made):
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(WeightsError, match="not a state dict"):
        checkpoint.import_published(tmp_path / "list.pt", made[1])
    with pytest.raises(WeightsError, match="cannot be read"):
        checkpoint.import_published(tmp_path / "nowhere.pt", made[1])


def test_an_interrupt_just_after_the_rename_leaves_a_whole_file(made, tmp_path, monkeypatch):
    _, card, source = made

    def move_and_interrupt(partial, path):
        checkpoint.Path(partial).replace(path)
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "move", move_and_interrupt)
    with pytest.raises(KeyboardInterrupt):
        save(tmp_path / "other.safetensors", state_of(source.net), card)
    assert load(tmp_path / "other.safetensors").card == card
    assert not list(tmp_path.glob("*.part"))
