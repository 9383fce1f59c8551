"""The command `ssdiff archive`."""

from __future__ import annotations

import json
import sys
import time
from argparse import ArgumentTypeError
from dataclasses import replace

from ..common import progress
from ..common.errors import ConfigError, SSDiffError
from ..common.progress import LINE_WIDTH, duration
from ..domain.methods import NETWORK
from ..domain.options import DEFAULT_PRESET, MAXIMUM_SECONDS, MINIMUM_SECONDS, NONE, PRESET_OPTION, PansharpenOptions
from .arguments import add_option, add_options, add_progress, between, file_name, options_from
from .console import handle_termination, print_message

ARCHIVE = "archive"
"value of --adapt for one set of weights"
OTHERWISE = ("uncertainty", "resume")
"options of pansharpen that mean something else here"


def add(commands) -> None:
    """Adds the command to the parser."""
    text = (
        "Fuse all scenes of folders, archives or lists into a catalogue of images, on this machine or a Dask cluster."
    )
    command = commands.add_parser("archive", help=text, description=text)
    command.add_argument("places", nargs="+", type=file_name, help="Folders, archives or lists, as for ssdiff scenes.")
    command.add_argument(
        "-o",
        "--out",
        required=True,
        type=file_name,
        help="Folder of the archive, or a name such as /vsis3/BUCKET/NAME.",
    )
    command.add_argument(
        "--name",
        default="{scene}.tif",
        metavar="PATTERN",
        help="Names of the images, with {scene}, {sensor} and {method}. (default: {scene}.tif)",
    )
    command.add_argument("--plan", action="store_true", help="Only list what would be done.")
    command.add_argument("--resume", action="store_true", help="Do only what is missing or has changed.")
    command.add_argument("--report", action="store_true", help="Also write a quality report for each scene.")
    command.add_argument(
        "--uncertainty", action="store_true", help="Also write the standard deviation of the network's samples."
    )
    command.add_argument("--json", action="store_true", help="Print a line of JSON for each event.")
    _add_cluster(command)
    add_option(command, "preset", PRESET_OPTION, DEFAULT_PRESET)
    add_options(command, PansharpenOptions, without=OTHERWISE)
    add_progress(command)
    command.set_defaults(run=run, usage_error=command.error)


def _add_cluster(command) -> None:
    group = command.add_argument_group("cluster")
    group.add_argument("--scheduler", default="", metavar="ADDRESS", help="Running Dask scheduler, as tcp://HOST:PORT.")
    group.add_argument(
        "--scheduler-file", default="", metavar="FILE", help="File that a running scheduler has written."
    )
    group.add_argument(
        "--workers",
        type=between(1),
        metavar="N",
        help="Local workers. Default: one for each GPU, otherwise one for each processor that has enough memory.",
    )
    group.add_argument(
        "--large",
        type=between(0, kind=float),
        default=100.0,
        metavar="MPX",
        help="Megapixels from which all workers fuse a scene together. (default: 100)",
    )
    group.add_argument(
        "--timeout",
        type=between(1, kind=float),
        default=1800.0,
        metavar="SECONDS",
        help="Time without progress after which a worker is restarted. (default: 1800)",
    )
    group.add_argument("--host", default="127.0.0.1", help="Address that local workers listen on. (default: 127.0.0.1)")
    group.add_argument(
        "--dashboard",
        default="127.0.0.1:0",
        metavar="ADDRESS:PORT",
        help="Address of the dashboard of local workers. (default: 127.0.0.1 with a free port)",
    )
    for name, what in (("ca-file", "certificate authority"), ("cert", "certificate"), ("key", "key")):
        group.add_argument(f"--tls-{name}", default="", metavar="FILE", help=f"File of the {what} for TLS (PEM).")


def run(args) -> None:
    from ..archive.archive import Observer, fuse_archive, new_run, plan
    from ..deliveries import find_scenes
    from ..weights import catalogue

    handle_termination()
    options = _options(args)
    seconds = _adapt_seconds(args, options.adapt)
    options = options if seconds is None else replace(options, adapt=NONE)
    settings = _settings(args, seconds)
    deliveries = find_scenes(args.places, print_message)
    if not deliveries:
        raise ConfigError(f"no scene was found in {', '.join(args.places)}; ssdiff scenes lists what is searched for")
    archive_run = new_run(
        args.out, settings, options=options, mask=args.mask, uncertainty=args.uncertainty, report=args.report
    )
    fetch = catalogue.fetcher(notify=print_message)
    if args.plan:
        show_plan(plan(deliveries, archive_run, settings, fetch, print_message), args.json)
        return
    display = Display(args)
    observer = Observer(print_message, display.begun, display.ended, display.progress)
    display.finish(fuse_archive(deliveries, archive_run, settings, fetch, observer), args.out)


def _options(args) -> PansharpenOptions:
    """Returns the options of each scene. The mask is read by the workers, as scenes differ in their CRS."""
    options = options_from(args, PansharpenOptions, args.preset, mask="", uncertainty="", resume=True)
    network_only = args.steps or args.samples or options.weights != "auto" or args.uncertainty
    if options.method != NETWORK and network_only:
        args.usage_error(f"--weights, --steps, --samples and --uncertainty are for --method {NETWORK}")
    return options


def _adapt_seconds(args, adapt: str) -> float | None:
    """Returns the seconds of --adapt archive or archive:SECONDS; None for other values."""
    name, colon, seconds = adapt.partition(":")
    if name != ARCHIVE:
        return None
    reader = between(MINIMUM_SECONDS, MAXIMUM_SECONDS, float)
    try:
        return reader(seconds) if colon else 0.0
    except (ValueError, ArgumentTypeError):
        args.usage_error(f"--adapt {ARCHIVE}:SECONDS needs seconds from {MINIMUM_SECONDS:g} to {MAXIMUM_SECONDS:g}")


def _settings(args, adapt_seconds: float | None):
    from ..archive.archive import ArchiveSettings
    from ..archive.cluster import ClusterOptions

    cluster = ClusterOptions(
        scheduler=args.scheduler,
        scheduler_file=args.scheduler_file,
        workers=args.workers,
        host=args.host,
        dashboard=args.dashboard,
        tls_ca=args.tls_ca_file,
        tls_cert=args.tls_cert,
        tls_key=args.tls_key,
    )
    if cluster.attached and args.workers:
        args.usage_error("--workers is for local workers; a running scheduler has its own")
    return ArchiveSettings(args.name, args.large, args.timeout, args.resume, adapt_seconds, cluster)


# --- what is shown ----------------------------------------------------------------------------------------------------

EVENT_SECONDS = 5.0
"time between two progress events of --json"
STATES = {True: "done", False: "to do"}


def show_plan(plan, as_json: bool) -> None:
    """Prints what would be done."""
    done = {outcome.name for outcome in plan.done}
    rows = [
        {
            **{"scene": job.name, "state": STATES[job.name in done], "sensor": job.sensor, "bands": len(job.bands)},
            **{"megapixels": round(job.pixels / 1e6, 3), "together": job.large, "weights": job.weights_id},
            **{"out": job.out, "reason": ""},
        }
        for job in plan.prepared.jobs
    ]
    for outcome in plan.prepared.refused:
        rows.append({"scene": outcome.name, "state": "impossible", "reason": outcome.reason})
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    for row in rows:
        size = f"{row['megapixels']:.4g} Mpx" if "megapixels" in row else ""
        means = "all workers" if row.get("together") else ""
        parts = row["state"], row["scene"], row.get("sensor"), size, row.get("weights"), means, row["reason"]
        print("  ".join(str(part) for part in parts if part))
    todo = plan.todo
    total = sum(job.pixels for job in todo) / 1e6
    print(f"{len(todo)} scenes to fuse ({total:.4g} Mpx), {len(done)} done, {len(plan.prepared.refused)} impossible")


class Display:
    """Shows a run: a bar and sentences for people, or events as lines of JSON."""

    def __init__(self, args):
        self.json, self.kind = args.json, args.progress
        self.total = self.done = self.pixels = 0
        self.failed, self.sizes = [], {}
        self._report = lambda share: None
        self._said = 0.0

    def begun(self, plan, dashboard: str) -> None:
        """Shows how much there is to do."""
        self.sizes = {job.name: job.pixels for job in plan.todo}
        self.total = len(self.sizes)
        pixels = sum(self.sizes.values())
        self._event("begun", scenes=self.total, done=len(plan.done), pixels=pixels, dashboard=dashboard)
        print_message(f"{self.total} scenes to fuse, {len(plan.done)} done before; dashboard: {dashboard}")
        for outcome in plan.prepared.refused:
            self.failed.append(outcome)
            print_message(f"{outcome.name} is left out: {outcome.reason}")
        if self.json:
            self._report = progress.Reporter(self._write_event, pixels, sys.stdout, time.monotonic)
        elif self.kind == "json" or progress.shows_bar(self.kind):
            write = progress.write_json if self.kind == "json" else self._write_bar
            self._report = progress.Reporter(write, pixels, sys.stderr, time.monotonic)

    def progress(self, pixels: float) -> None:
        """Shows the share that is done. pixels: those of scenes in work."""
        total = sum(self.sizes.values())
        self._report(min((self.pixels + pixels) / total, 0.999) if total else 0.0)

    def ended(self, outcome) -> None:
        """Counts a scene, and reports it if it has failed."""
        self.done += 1
        self.pixels += self.sizes[outcome.name]
        properties = outcome.item.get("properties", {})
        if not outcome.item:
            self.failed.append(outcome)
            print_message(f"{outcome.name} has failed and is set aside: {outcome.reason}")
        found = {name: properties.get(f"ssdiff:{name}") for name in ("method", "weights", "seconds", "quality")}
        state = STATES[True] if outcome.item else "failed"
        self._event("scene", scene=outcome.name, state=state, worker=outcome.worker, reason=outcome.reason, **found)

    def finish(self, outcomes, root: str) -> None:
        """Shows the end; raises SSDiffError that lists what has failed."""
        self._report(1.0)
        done = sum(bool(outcome.item) for outcome in outcomes)
        self._event("ended", done=done, failed=len(outcomes) - done, root=root)
        print_message(f"{done} of {len(outcomes)} scenes are in {root}")
        failed = [f"{outcome.name} ({outcome.reason})" for outcome in outcomes if not outcome.item]
        if failed:
            raise SSDiffError(f"{len(failed)} scenes are not fused: " + "; ".join(failed))

    def _event(self, kind: str, **values) -> None:
        if self.json:
            print(json.dumps({"event": kind, **values}), flush=True)

    def _write_event(self, out, share: float, rate: float, remaining: float | None) -> None:
        now = time.monotonic()
        if now - self._said >= EVENT_SECONDS:
            self._said = now
            left = remaining and round(remaining, 1)
            counts = {"scenes": self.done, "of": self.total, "failed": len(self.failed)}
            self._event("progress", share=round(share, 4), **counts, pixels_per_second=round(rate), seconds_left=left)

    def _write_bar(self, out, share: float, rate: float, remaining: float | None) -> None:
        filled = round(share * 20)
        bar = "#" * filled + "." * (20 - filled)
        speed = f", {rate / 1e6:.3g} Mpx/s" if rate else ""
        left = "" if remaining is None or share >= 1 else f", {duration(remaining)} left"
        failed = f", {len(self.failed)} failed" if self.failed else ""
        line = f"[{bar}] {share:4.0%} {self.done}/{self.total} scenes{speed}{left}{failed}"
        out.write(f"\r{line:{LINE_WIDTH}}" + ("\n" if share >= 1 else ""))
