"""Fuzzers of the header of weights files and of the catalogue: each gives entries or one sentence."""

import json

from fuzzing import mangled, seeds, sentence_of

from ssdiff_core.common.errors import WeightsError
from ssdiff_core.common.paths import RESOURCES
from ssdiff_core.model import checkpoint
from ssdiff_core.weights.card import read_card
from ssdiff_core.weights.catalogue import home, known, published

WEIGHTS = RESOURCES / "weights" / "general-4-patches.safetensors"
LOADED_EVERY = 20
"only one in so many cases is also loaded as a network, which takes longer"


def assert_sentence_or_result(function, seed: int) -> None:
    said = sentence_of(function, WeightsError)
    assert "\n" not in said, f"seed {seed}"
    assert len(said) < 1000, f"seed {seed}"


def test_a_changed_header_of_weights_is_a_card_or_a_sentence(tmp_path):
    data = WEIGHTS.read_bytes()
    length = int.from_bytes(data[:8], "little")
    path = tmp_path / "w.safetensors"
    for seed in seeds(400):
        header = mangled(data[8 : 8 + length], seed)
        path.write_bytes(len(header).to_bytes(8, "little") + header + data[8 + length :])
        assert_sentence_or_result(lambda: read_card(path), seed)
        if seed % LOADED_EVERY == 0:
            assert len(known(folder=tmp_path)) >= len(published()), f"seed {seed}"
            assert_sentence_or_result(lambda: checkpoint.load(path), seed)


def test_a_changed_card_of_weights_is_a_card_or_a_sentence(tmp_path):
    """The header stays valid JSON, so that the changes reach the entries of the card."""
    data = WEIGHTS.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header, path = json.loads(data[8 : 8 + length]), tmp_path / "w.safetensors"
    names = sorted(header["__metadata__"])
    for seed in seeds(400):
        name = names[seed % len(names)]
        value = mangled(header["__metadata__"][name].encode(), seed).decode("utf-8", "replace")
        text = json.dumps({**header, "__metadata__": {**header["__metadata__"], name: value}}).encode()
        path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])
        assert_sentence_or_result(lambda: read_card(path), seed)
        if seed % LOADED_EVERY == 0:
            assert_sentence_or_result(lambda: checkpoint.load(path), seed)


def test_a_changed_catalogue_is_entries_or_a_sentence(tmp_path):
    data = (RESOURCES / "weights.json").read_bytes()
    for seed in seeds(400):
        (tmp_path / "weights.json").write_bytes(mangled(data, seed))
        assert_sentence_or_result(lambda: known(tmp_path, tmp_path), seed)
        assert_sentence_or_result(lambda: home(resources=tmp_path, environ={}), seed)
