"""The command line: usage, output streams and exit status."""

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from command import ssdiff
from files import sample_files
from golden import published_state
from scenes import stiff_weights

from ssdiff_core import __version__
from ssdiff_core.cli.arguments import add_options, options_from
from ssdiff_core.cli.main import main, parser
from ssdiff_core.domain.options import AdaptOptions, AssessOptions, PansharpenOptions
from ssdiff_core.model.checkpoint import load, save
from ssdiff_core.model.ssnet import state_of

ROOT = Path(__file__).parents[3]


def in_process(*arguments, expect=0, **environ):
    """Runs the command in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "ssdiff_core", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, **environ},
    )
    assert done.returncode == expect, done.stderr
    return done


def test_version():
    assert in_process("--version").stdout.strip() == f"ssdiff {__version__}"


def test_doctor_prints_one_json_object():
    report = json.loads(ssdiff("doctor", "--json").stdout)
    assert report["packages"]["torch"] == torch.__version__
    assert report["devices"]["cpu"]["works"]


def test_doctor_prints_the_first_lines_before_torch_is_imported():
    code = "import sys; sys.modules['torch'] = None; from ssdiff_core.cli.main import main; sys.exit(main(['doctor']))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert "torch        not installed" in done.stdout
    assert "torch cannot be loaded" in done.stdout
    assert lines_before_torch() >= 3


def lines_before_torch() -> int:
    """Returns the number of lines that doctor has printed when torch is imported."""
    code = """
import builtins, sys
from ssdiff_core.cli import doctor
lines, at_torch = [], []
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            at_torch.append(len(lines))
sys.meta_path.insert(0, Finder())
builtins.print, show = (lambda *texts, **how: lines.append(texts)), print
doctor.run(type("Args", (), {"json": False}))
show(at_torch[0])
"""
    return int(subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True).stdout)


def test_doctor_lists_every_package(capsys):
    assert main(["doctor"]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in ("torch", "numpy", "safetensors", "osgeo.gdal", "cpu"))


@pytest.mark.parametrize("arguments", [(), ("nonsense",), ("weights",), ("weights", "import", "x.pt")])
def test_wrong_usage_exits_with_2(arguments):
    assert "usage:" in in_process(*arguments, expect=2).stderr


PAIR = ("p.tif", "m.tif")
PANSHARPEN, ADAPT = ("pansharpen", *PAIR, "o.tif"), ("adapt", *PAIR, "-o", "w")
TRAIN, SIMULATE = ("train", "r.toml", "i.tif", "-o", "w"), ("simulate", "i.tif", "-o", "s", "--sensor", "gf2")


@pytest.mark.parametrize(
    ("command", "wrong", "message"),
    [
        *((command, ("--memory", "63"), "must be at least 64, not 63") for command in (PANSHARPEN, ADAPT)),
        (PANSHARPEN, ("--memory", "-5"), "must be at least 64, not -5"),
        (("assess", "f.tif"), ("--memory", "-5"), "must be at least 64, not -5"),
        (ADAPT, ("--memory", "much"), "invalid number value: 'much'"),
        *((command, ("--seed", "-1"), "must be at least 0, not -1") for command in (PANSHARPEN, ADAPT, SIMULATE)),
        (("assess", "f.tif"), ("--seed", "-1"), "must be at least 0, not -1"),
        (TRAIN, ("--minutes", "nan"), "must be at least 0, not nan"),
        (ADAPT, ("--minutes", "nan"), "must be at least 0.1, not nan"),
        (ADAPT, ("--minutes", "0"), "must be at least 0.1, not 0"),
        *((ADAPT, ("--steps", steps), f"must be at least 1, not {steps}") for steps in ("-1", "0")),
        *(
            (PANSHARPEN, ("--method", "gsa", *words), "--weights, --steps and --samples are for --method ssdiff")
            for words in (("--weights", "general-4"), ("--steps", "3"), ("--samples", "2"))
        ),
        *(
            (("assess", "f.tif"), words, f"{words[0]} needs --protocol wald")
            for words in (("--methods", "gsa"), ("--weights", "auto"), ("--steps", "1"), ("--device", "cpu"))
        ),
        (TRAIN, (), "the name of a weights file ends with .safetensors, not w"),
        (("pansharpen", *PAIR), (), "give MS once: as one file after PAN, or as files with --ms"),
        (PANSHARPEN, ("--ms", "m.tif"), "give MS once: as one file after PAN, or as files with --ms"),
        (("adapt", "p.tif", "-o", "w"), (), "give MS once: as one file after PAN, or as files with --ms"),
        (("pansharpen", "", "m.tif", "o.tif"), (), "the file name is empty"),
        (("align", "p.tif"), ("",), "the file name is empty"),
    ],
)
def test_invalid_arguments_are_wrong_usage_before_any_file_is_opened(command, wrong, message, capsys):
    with pytest.raises(SystemExit, match="2"):
        main([*command, *wrong])
    assert capsys.readouterr().err.rstrip().endswith(message)


@pytest.mark.parametrize("wrong", ["folder", "no/file"])
@pytest.mark.parametrize(
    "command",
    [
        ("pansharpen", *PAIR),
        (*PANSHARPEN, "--report"),
        (*PANSHARPEN, "--uncertainty"),
        ("assess", "f.tif", "--report"),
        ("assess", "f.tif", "--csv"),
        ("train", "r.toml", "i.tif", "-o"),
        ("weights", "import", "p.pt", "--id", "x", "--bands", "a,b,c,d", "-o"),
    ],
)
def test_an_output_that_cannot_be_written_is_an_error_before_anything_is_read(
    command, wrong, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    assert main([*command, wrong]) == 1
    message = {"folder": "is a folder: give a file in it", "no/file": "cannot be written: the folder no does not exist"}
    assert f"ssdiff: {Path(wrong)} {message[wrong]}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ((*PANSHARPEN, "--report", "p.tif"), "p.tif is one of the inputs"),
        (
            ("pansharpen", "p.tif", "o.tif", "--ms", "b1.tif", "--ms", "b2.tif", "--report", "b2.tif"),
            "b2.tif is one of",
        ),
        ((*PANSHARPEN, "--report", "o.tif"), "o.tif is used for two outputs"),
        ((*PANSHARPEN, "--report", "../here/o.tif"), "o.tif is used for two outputs"),
        ((*PANSHARPEN, "--uncertainty", "r.html", "--report", "r.html"), "r.html is used for two outputs"),
        (("assess", "f.tif", "--report", "f.tif"), "f.tif is one of the inputs"),
        (("assess", "f.tif", "--reference", "t.tif", "--csv", "t.tif"), "t.tif is one of the inputs"),
        (("assess", "f.tif", "--pan", "p.tif", "--ms", "m.tif", "--csv", "m.tif"), "m.tif is one of the inputs"),
        (("assess", "f.tif", "--csv", "a.html", "--report", "a.html"), "a.html is used for two outputs"),
    ],
)
def test_an_output_replaces_neither_an_input_nor_another_output(command, message, tmp_path, monkeypatch, capsys):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert main(list(command)) == 1
    assert message in capsys.readouterr().err


def test_a_file_is_refused_as_folder_for_pictures(tmp_path, capsys):
    assert main(["assess", "f.tif", "--png", __file__]) == 1
    assert capsys.readouterr().err.strip() == f"ssdiff: {__file__} is a file: choose a folder"


@pytest.mark.skipif(os.name == "nt", reason="a shell and its pipes")
def test_a_closed_pipe_ends_the_command_quietly():
    listed = f"{sys.executable} -m ssdiff_core weights list"
    done = subprocess.run(f"({listed}; echo $? >&2) | true", shell=True, capture_output=True, text=True)
    assert done.stderr == "1\n"


def test_an_extent_may_start_with_a_minus(capsys):
    assert main(["pansharpen", "no.tif", "no.tif", "out.tif", "--extent", "-73.9,40.1,-73.8,40.2", "--seed", "1"]) == 1
    assert "no.tif cannot be opened" in capsys.readouterr().err


def test_measures_are_printed_in_code_pages_without_arrows(tmp_path):
    """Windows redirects output in such a code page."""
    _, _, truth = sample_files(tmp_path)
    arguments = ["assess", truth, "--pan", tmp_path / "pan.tif", "--ms", tmp_path / "ms.tif", "--reference", truth]
    said = in_process(*arguments, PYTHONIOENCODING="cp1252").stdout
    assert "? 0 is ideal" in said


def test_verify_shows_the_card_of_an_intact_file(tmp_path):
    path = tmp_path / "w.safetensors"
    save(path, state_of(stiff_weights(4).net), stiff_weights(4).card)
    card = json.loads(ssdiff("weights", "verify", str(path), "--json").stdout)
    assert card["id"] == "stiff"
    assert card["arch"]["bands"] == 4
    path.write_bytes(path.read_bytes()[:-1])
    failed = ssdiff("weights", "verify", str(path), expect=1)
    assert failed.stderr.startswith("ssdiff: ")
    assert failed.stderr.count("\n") == 1
    assert failed.stdout == ""


def test_a_published_checkpoint_becomes_a_weights_file(tmp_path):
    torch.save(published_state(4), tmp_path / "p.pt")
    out = tmp_path / "w.safetensors"
    names = ("--id", "qb-published", "--sensor", "qb", "--bands", "blue,green,red,nir")
    ssdiff("weights", "import", str(tmp_path / "p.pt"), "-o", str(out), *names)
    card = load(out).card
    assert (card.id, card.sensor, card.bands) == ("qb-published", "qb", ("blue", "green", "red", "nir"))
    assert (card.scale, card.base, card.interpolation, card.ms_phase) == (2047, "lms", "23tap", 2.0)
    three = ("--id", "x", "--bands", "a,b,c")
    failed = ssdiff("weights", "import", str(tmp_path / "p.pt"), "-o", str(tmp_path / "no"), *three, expect=1)
    assert "list 3 bands, but their network has 4" in failed.stderr
    assert not (tmp_path / "no").exists()


def test_an_import_that_fails_is_one_sentence(tmp_path):
    torch.save(published_state(4), tmp_path / "p.pt")
    many = ("--id", "x", "--bands", ",".join("abcdefghijklmnopq"))
    failed = ssdiff("weights", "import", str(tmp_path / "p.pt"), "-o", str(tmp_path / "w"), *many, expect=1)
    assert failed.stderr == "ssdiff: bands is 17; it must be 1 to 16\n"
    nowhere = ("-o", str(tmp_path / "no" / "w"), "--id", "x", "--bands", "a,b,c,d")
    failed = ssdiff("weights", "import", str(tmp_path / "p.pt"), *nowhere, expect=1)
    assert failed.stderr.count("\n") == 1


def commands():
    """All parsers of commands and their actions, with their names."""
    todo = [("ssdiff", parser())]
    while todo:
        name, one = todo.pop()
        yield name, one
        for action in one._actions:
            if isinstance(action, argparse._SubParsersAction):
                todo += [(f"{name} {word}", sub) for word, sub in action.choices.items()]


@pytest.mark.parametrize(("name", "one"), list(commands()), ids=lambda value: value if isinstance(value, str) else "")
def test_every_command_and_argument_has_a_help_text(name, one):
    assert one.description or name == "ssdiff weights"
    missing = [
        action.dest for action in one._actions if not action.help and action.metavar not in ("COMMAND", "ACTION")
    ]
    assert missing == []


@pytest.mark.parametrize("options", [PansharpenOptions, AdaptOptions, AssessOptions])
def test_options_default_to_those_of_python(options):
    defaults = argparse.ArgumentParser()
    add_options(defaults, options)
    assert options_from(defaults.parse_args([]), options) == options()


# --- the boundary for errors -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def broken_copy(tmp_path_factory):
    """A copy of SSDiff whose command `bench` has a bug, and whose fusion fails with an error that is not its own."""
    folder = tmp_path_factory.mktemp("broken")
    root = Path(__file__).parents[3]
    for name in ("ssdiff_core", "resources"):
        shutil.copytree(root / name, folder / name, ignore=shutil.ignore_patterns("unbundled", "__pycache__"))
    with open(folder / "ssdiff_core" / "cli" / "bench.py", "a") as file:
        file.write("\n\ndef run(args):\n    raise KeyError('lost')\n")
    with open(folder / "ssdiff_core" / "raster" / "tiled_tiff.py", "a") as file:
        file.write("\n\ndef put(*arguments):\n    raise LookupError('no place')\n")
    return folder


def in_copy(folder, *arguments, expect, **environ):
    done = subprocess.run(
        [sys.executable, "-m", "ssdiff_core", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, **environ},
    )
    assert done.returncode == expect, done.stderr
    return done


def test_a_bug_is_told_as_one_with_exit_code_70(broken_copy):
    said = in_copy(broken_copy, "bench", expect=70).stderr
    assert said.startswith("ssdiff: SSDiff has failed (KeyError: 'lost', in ssdiff_core/cli/bench.py:")
    assert "please report it at https://github.com/" in said
    assert len(said.splitlines()) == 1


def test_a_traceback_is_shown_with_ssdiff_debug_alone(broken_copy):
    said = in_copy(broken_copy, "bench", expect=70, SSDIFF_DEBUG="1").stderr
    assert "Traceback (most recent call last)" in said
    assert said.splitlines()[-1].startswith("ssdiff: SSDiff has failed")


def test_a_run_that_fails_by_a_bug_names_its_files_and_leaves_none(broken_copy, tmp_path):
    pan, ms, _ = sample_files(tmp_path, 64)
    before = set(tmp_path.iterdir())
    command = "pansharpen", pan, ms, tmp_path / "out.tif", "--method", "exp"
    said = in_copy(broken_copy, *command, expect=70).stderr
    assert "LookupError: no place" in said
    assert f"with {pan}, {ms} (" in said
    assert set(tmp_path.iterdir()) == before


def test_a_wrong_proj_lib_is_one_sentence_or_an_image(tmp_path):
    pan, ms, _ = sample_files(tmp_path, 64)
    command = "pansharpen", pan, ms, tmp_path / "out.tif", "--method", "exp"
    done = subprocess.run(
        [sys.executable, "-m", "ssdiff_core", *map(str, command)],
        capture_output=True,
        text=True,
        env={**os.environ, "PROJ_LIB": str(tmp_path), "PROJ_DATA": str(tmp_path)},
    )
    assert done.returncode in (0, 1), done.stderr
    assert "Traceback" not in done.stderr
    if done.returncode:
        assert done.stderr.splitlines()[-1].startswith("ssdiff: ")


def test_control_characters_of_a_file_do_not_reach_the_terminal(tmp_path):
    path = tmp_path / "a\x1b[31m.tif"
    said = ssdiff("align", path, path, expect=1).stderr
    assert "\x1b" not in said
    assert "\\x1b[31m.tif" in said
