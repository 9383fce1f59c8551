"""The command `ssdiff pansharpen`."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from ..common import progress
from ..common.files import check_targets
from ..domain.methods import NETWORK
from ..domain.options import DEFAULT_PRESET, PRESET_OPTION, AssessOptions, PansharpenOptions
from .arguments import add_option, add_options, add_pair, add_progress, file_name, ms_files, options_from
from .console import handle_termination, print_message


def add(commands) -> None:
    """Adds the command to the parser."""
    text = "Fuse a PAN and an MS raster into one sharp multispectral raster."
    delivery = "In place of the two, PAN can be the folder or archive of a vendor's delivery."
    command = commands.add_parser("pansharpen", help=text, description=f"{text} {delivery}")
    add_pair(command)
    command.add_argument("out", type=file_name, help="GeoTIFF to write.")
    command.add_argument("--scene", default="", metavar="NAME", help="Scene of a delivery that contains several.")
    add_option(command, "preset", PRESET_OPTION, DEFAULT_PRESET)
    add_options(command, PansharpenOptions)
    add_progress(command)
    command.add_argument("--report", metavar="FILE.html", help="Also write a quality report, as ssdiff assess does.")
    command.set_defaults(run=run, usage_error=command.error)


def run(args) -> None:
    from ..inprocess.backend import LocalBackend
    from ..raster import input_files, polygon_mask, reader
    from ..workflows import pansharpen

    handle_termination()
    pan, files = pair_of(args)
    inputs = [file for file in (pan, *([files] if isinstance(files, str) else files), args.mask) if file]
    check_outputs(args, inputs)
    options = options_from(args, PansharpenOptions, args.preset, mask="")
    if options.method != NETWORK and (args.steps or args.samples or options.weights != "auto"):
        args.usage_error(f"--weights, --steps and --samples are for --method {NETWORK}")
    check_outputs(args, [*inputs, *input_files.files_read(inputs), options.weights])
    if args.mask:
        options = replace(options, mask=polygon_mask.read(args.mask, reader.read_header(pan)[1].crs))
    reporter = partial(progress.reporter, args.progress)
    pansharpen.pansharpen(pan, files, args.out, options, print_message, reporter, LocalBackend())
    if args.report:
        write_report(args, pan, files)


def check_outputs(args, inputs: list[str]) -> None:
    """Raises ConfigError if an output cannot be written or is one of the inputs."""
    for path in (args.out, args.uncertainty):
        check_targets(path, args.report, inputs=inputs)


def pair_of(args) -> tuple[str, str | list[str]]:
    """Returns PAN and MS: the files that are given, or those of a delivery, whose sensor is then used."""
    from ..deliveries import at_place

    if args.ms or args.ms_files or not at_place.is_place(args.pan):
        return args.pan, ms_files(args)
    pair = at_place.pair_at(args.pan, print_message, args.scene)
    args.sensor = pair.sensor if args.sensor == "auto" else args.sensor
    return pair.pan, pair.ms


def write_report(args, pan, ms) -> None:
    """Writes the report on the image that the command with these arguments has just made."""
    from ..assessment import html_report
    from ..workflows import assess

    options = AssessOptions(
        sensor=args.sensor, bands=args.bands, extent=args.extent, align=args.align, memory=args.memory
    )
    (study,) = assess.open_studies([Path(args.out)], pan, ms, None, options, lambda message: None)
    html_report.assess_and_report(study, options, args.report, lambda share: None)
