"""Notices: typed messages of a run to its user, which become text only where they are shown.

A notice is a kind and its values, so that code can tell notices apart without reading sentences. `str(notice)` is the
English text, which the command line prints; the plugin translates the template of the kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from .error_texts import ERRORS

_SHIFT = "MS is shifted against PAN by {rows:+.2f} rows and {cols:+.2f} columns (confidence {confidence:.2f})"
_BANDS = ", and bands {bands} differ from that by up to {furthest:.2f} PAN pixels"
_BLEED = ': colours will bleed at edges; auto as "Shift between PAN and MS" (--align) corrects it'

_METADATA = "Sensor {sensor}: the metadata entry {key} names {label}"
_PRODUCT = "Sensor {sensor}: the product name in the metadata entry {key} names {label}"
_FILE = "Sensor {sensor}: the file name {key} names {label}"
_BAND_SET = "Sensor {sensor}: the bands are those of {label}"
_ASSUMED_ORDER = "; nothing identifies its bands: they are assumed to be {bands}"
_UNKNOWN_BANDS = ", but nothing identifies its {count} bands: the general profile is used"

TEMPLATES: dict[str, str] = {
    # fusion
    "fewer_tiles": "{device} is short of memory: fewer tiles are computed at a time",
    "cpu_instead": "{device} has too little memory for a single tile: computing on the CPU",
    # worker.client
    "worker_busy": "Waiting for another run that is computing: {run}",
    **ERRORS,
    # domain.sensors; the command line and other packages select them by the prefix "sensor"
    "sensor_by_metadata": _METADATA,
    "sensor_by_metadata_assumed_order": _METADATA + _ASSUMED_ORDER,
    "sensor_by_metadata_unknown_bands": _METADATA + _UNKNOWN_BANDS,
    "sensor_by_product": _PRODUCT,
    "sensor_by_product_assumed_order": _PRODUCT + _ASSUMED_ORDER,
    "sensor_by_product_unknown_bands": _PRODUCT + _UNKNOWN_BANDS,
    "sensor_by_file": _FILE,
    "sensor_by_file_assumed_order": _FILE + _ASSUMED_ORDER,
    "sensor_by_file_unknown_bands": _FILE + _UNKNOWN_BANDS,
    "sensor_by_bands": _BAND_SET,
    "sensor_by_bands_assumed_order": _BAND_SET + _ASSUMED_ORDER,
    "sensor_by_bands_unknown_bands": _BAND_SET + _UNKNOWN_BANDS,
    "sensor_without_profile": (
        "Sensor {sensor}: the metadata entry {key} is '{text}', for which there is no profile: the general profile "
        "is used"
    ),
    "sensor_unknown": (
        "Sensor {sensor}: nothing identifies the sensor of {count} bands at ratio {ratio:g}: the general profile "
        "is used"
    ),
    # raster.identify_sensor
    "bands_left_out": 'Left out ("Bands", --bands, keeps them), as {label} is pansharpened in {bands}: {left_out}',
    # raster.input_nodata
    "fill_is_nodata": (
        "{share:.1%} of {path} has the value {value:.8g}, which is taken for nodata although the file does not declare "
        'it; "Input nodata value" nan (--nodata-in nan) keeps it as data'
    ),
    "fill_suspected": (
        "{share:.1%} of {path} is a border or a block of the value {value:.8g}: if it is fill, give it as input nodata "
        "value (--nodata-in), or colours will be wrong elsewhere too"
    ),
    # raster.reader
    "pan_has_several_bands": "PAN has {count} bands; the first is used",
    "not_georeferenced": "Neither PAN nor MS is georeferenced: both are assumed to cover the same ground",
    "ms_warped_other_crs": ("MS has another CRS than PAN: it is warped onto PAN's grid, at a ratio of {ratio:g}"),
    "ms_warped_not_parallel": (
        "MS is not parallel to PAN's rows and columns at one ratio: it is warped onto PAN's grid, at a ratio "
        "of {ratio:g}"
    ),
    # raster.output
    "creation_option_unknown": "There is no creation option {key}: it is ignored; there are {known}",
    "creation_option_value_unknown": "{key}={value} may be ignored: for {key} GDAL lists {values}",
    # weights.catalogue
    "weights_download": "Downloading weights {weights}, {size}",
    "weights_skipped": "The weights file {path} is skipped: {reason}",
    "weights_instead": "{reason}; weights {weights} are used instead",
    # deliveries
    "search_listing": "Looking for deliveries: {count} files so far",
    "search_checking": "Checking delivery {number} of {total}",
    "place_truncated": "{place} has more than {count:,} files: only these are looked at",
    "place_unreadable": "{place} is skipped, as it cannot be listed: {reason}",
    "names_not_text": "{count} file(s) in {place} are skipped, as GDAL cannot open names that are not UTF-8",
    "archive_slow": "{path} is compressed as a whole, so that reading it is slow: unpack it first",
    "delivery_without_pan": "no PAN file is there",
    "delivery_without_ms": "no MS file is there",
    "delivery_tiles_missing": "{count} of {total} tiles are missing: {names}",
    "delivery_bands_missing": "band files are missing: {bands}",
    "delivery_unusable": "{reason}",
    "delivery_remote": "{path} refers to an address ({source}): give it by its name to have it opened",
    "delivery_doubt": "{name}: {doubt}",
    "delivery_found": "Delivery {name} ({layout}, sensor {sensor}): {pan} PAN file(s), {ms} MS file(s)",
    "delivery_several": "there are several {role} files: {used} is used, and not {others}",
    "delivery_metadata_unreadable": "the metadata in {path} cannot be read",
    # raster.open_pair
    "shift_small": _SHIFT,
    "shift_small_bands": _SHIFT + _BANDS,
    "shift_large": _SHIFT + _BLEED,
    "shift_large_bands": _SHIFT + _BANDS + _BLEED,
    "shift_corrected": _SHIFT + ": corrected",
    "shift_corrected_bands": _SHIFT + _BANDS + ": corrected",
    "pair_unrelated": (
        "PAN and MS hardly correlate ({correlation:.2f} of 1): if they are of other places or times, or far out of "
        "position, the result has wrong colours and false detail"
    ),
    # workflows
    "ratio_resampled": (
        "PAN is {ratio:.3g} times finer than MS, and weights are for {target}: MS is resampled to that ratio"
    ),
    "ratio_resampled_far": (
        "PAN is {ratio:.3g} times finer than MS, and weights are for {target}: MS is resampled to that "
        "ratio; so far from it, a classical method such as mtf-glp-fs is usually better"
    ),
    "shift_unknown": "The shift of MS against PAN could not be measured: too little detail, or too little in common",
    "align_as_adapted": "The weights were adapted to aligned scenes: the shift is corrected here too",
    "values_clipped": "MS is {source}; {target} holds {minimum} to {maximum}: values beyond are clipped",
    "sampling": "Weights {weights}: {samples} sample(s) of {steps} step(s)",
    "sampling_for_uncertainty": (
        "The image is the mean of {samples} samples of {steps} step(s), and the uncertainty their standard deviation: "
        "{work:.3g} times the work of an image alone"
    ),
    "bands_reordered": "The network sees the bands in the order {bands}; the output has them in the order of MS",
    "near_infrared_recognised": (
        "Band {band} of MS correlates with the others as near infrared does: the network takes it for that"
    ),
    "band_order_assumed": (
        "Nothing identifies the bands of MS: the network takes them for {bands}. If that is wrong, name the bands, or "
        'give them in this order ("Bands", --bands)'
    ),
    "band_groups": (
        "Weights {weights} take {size} bands: the {bands} bands of MS are fused in {groups} group(s) of {size}"
    ),
    "estimate": "Estimated time: {duration} on {device}, with weights {weights}{adapting_part}{faster_part}{gpu_part}",
    "estimate_part_adapting": ", of which adapting to the scene takes {duration}",
    "estimate_part_adapted": ", adapted to this scene before",
    "estimate_part_faster": "; classical {method}: {duration}",
    "estimate_part_no_gpu": "; an NVIDIA GPU was not found",
    "estimate_part_other_gpu": "; the GPU {gpu} is not used",
    "estimate_classical": "Estimated time: {duration} on {device}, with {method}",
    "estimate_rough": (
        "No run of this kind has been measured on this computer yet: the estimate may be wrong by a factor of three"
    ),
    "resumed": "Resuming an interrupted run: {done} of {blocks} blocks are done",
    "blocks_kept": (
        "Cancelled: {done} of {blocks} blocks are kept, and the same run with the same output goes on from there"
    ),
    "old_leftovers_removed": (
        "The working files of a run onto {path} are removed, as it was interrupted more than {days} days ago"
    ),
    "leftovers_removed": "The working files of an interrupted run are removed",
    "leftovers_of_other_run_removed": (
        "The working files of an interrupted run with other inputs or options are removed"
    ),
    "no_common_pixel": "PAN and MS have no valid pixel in common: {path} has no data",
    "adapted_to_scene": (
        "Adapted to this scene in {seconds:.0f} s: held-out error {before:.2f} -> {after:.2f} (ERGAS), best classical "
        "{classical:.2f}"
    ),
    "adapted_before": (
        "Adapted to this scene in an earlier run: held-out error {before:.2f} -> {after:.2f} (ERGAS), best classical "
        "{classical:.2f}"
    ),
    "adapting_scene_no_gain": (
        "Adapting to this scene for {seconds:.0f} s brought nothing: {weights} is used as it is (held-out error "
        "{before:.2f} (ERGAS), best classical {classical:.2f})"
    ),
    "not_measured": "The quality of the image could not be measured: {reason}",
    "scene_tried_again": "{scene} has failed and is tried again: {reason}",
    "archive_adapted": "Weights {weights} and the archive's {scenes} scenes of this kind: {found}",
    "scene_not_adapted": "The weights are not adapted to this scene: {reason}",
    "invalid_pixels_are_zero": (
        "{count:,} pixels of {path} have no valid value and are written as 0, since the output has no nodata value: "
        "set one to mark them"
    ),
    "digits_lost": (
        "{path} has counts of up to {largest:,}: the computation has 24 significant bits, so they are exact to within "
        "{step:,} only"
    ),
    "adapted": "Held out: {scores}; best classical: {classical}. Weights: {path}",
    "adapting_no_gain": "Adapting does not help here (held out: {scores}): no file is written, use {best}",
    "adapting_lost_native": (
        "Adapting does not help here (held out: {scores}, but HQNR or D_rho at native resolution would be worse): "
        "no file is written, use {best}"
    ),
    "base_of_other_ratio": (
        "Weights {weights} are for ratio {trained}, and the ratio here is {ratio:.3g}: training starts from them, and "
        "the method to improve on is mtf-glp-fs"
    ),
    # adaptation
    "clouds_excluded": "Clouds are excluded from training: {share:.0%} of {path}",
    "adapting_pieces": "Training on {train} piece(s), {held_out} held out; initial scores there: {scores}",
    "adapting_resumed": "Resuming an interrupted run: {share:.0%} of the training is done",
    "mixture_scored": (
        "Mixture with {share:.0%} of the adapted weights: held-out error {error:.4f}; at native resolution {scores}"
    ),
    # training
    "training_step": (
        "Stage {stage}, tile {tile}, step {step} of {steps}: loss {loss:.4f} ({zero:.4f} without a network), "
        "{samples_per_second:.1f} samples/s"
    ),
    "held_out_scores": "Stage {stage}, step {step}: held-out {scores}",
    "epoch_scores": "Stage {stage}, epoch {epoch}, step {step}: held-out {scores}",
    "no_tensorboard": (
        "TensorBoard is not installed: no curves and images are written (install it with: pip install tensorboard)"
    ),
    # runtime
    "install_waiting": "Another program is installing into {folder}: waiting until it has finished",
    "install_started": (
        "Installing {packages} ({reason}) from {source} into {folder} with {tool} and Python {python}: "
        "{download_gb:.1f} GB to download, {disk_gb:.1f} GB on the disk. The output of the installer is kept in {log}"
    ),
    "install_started_offline": (
        "Installing {packages} ({reason}) from {source} into {folder} with {tool} and Python {python}: "
        "{disk_gb:.1f} GB on the disk. The output of the installer is kept in {log}"
    ),
    "install_without_checksum": (
        "The file of {package} from {index} is installed without comparison: its SHA-256 is not known"
    ),
    "installer_failed": "{tool} has failed: {reason}",
    "install_progress": "{done_mb:,.0f} of about {total_mb:,.0f} MB",
    "torch_from_pypi": (
        "{host} cannot be reached: PyTorch is installed from PyPI instead, {download_gb:.1f} GB to download and "
        "{disk_gb:.1f} GB on the disk. SSDIFF_TORCH_INDEX names a mirror of PyTorch's index"
    ),
    "cuda_failed": "{reason}. The CPU build is used instead",
    "install_finished": "{folder} is complete: {summary}",
    # inprocess
    "training_resumed": "Resuming from {path}: stage {stage}, step {step}",
    "scene_simulated": "{name}: PAN of {width} x {height} pixels, from {place}",
    "lms_differs": (
        "{path}: lms differs from the 23-tap interpolation of ms by up to {difference:.1f} counts in the first image; "
        "methods interpolate ms themselves"
    ),
    "bench_device": "Measuring on {device} ({name}); on a CPU this takes minutes",
    "bench_rate": "{bands} bands, {steps:2} steps: {pixels_per_second:,} PAN pixels per second",
    "bench_weights": (
        "Weights {weights}: {pixels_per_second:,} PAN pixels per second with their default options, "
        "{pixels_per_processor_second:,} per second of processor time"
    ),
    "bench_tile": "One tile: {plain_s:.4f} s with plain code, {ours_s:.4f} s optimised, {ratio:.1f} times faster",
    "bench_image": (
        "An image of 256 x 256 pixels: {published_s:.2f} s as published, {ours_s:.3f} s optimised, "
        "{ratio:.0f} times faster"
    ),
    "bench_attention": "Attention takes {share:.0%} of a forward pass",
}
"the English text of each kind, with the values as fields of a format string"


@dataclass(frozen=True)
class Notice:
    """One message of a run: its kind, a key of TEMPLATES, and the values that its template shows."""

    kind: str
    values: Mapping[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.worded(lambda text: text)

    def worded(self, translated: Callable[[str], str]) -> str:
        """Returns the translated template filled in with the values; lists are joined by commas.

        A value may be a notice, such as the reason of an error, which is translated too.
        """
        shown = {name: _shown(value, translated) for name, value in self.values.items()}
        return translated(TEMPLATES[self.kind]).format_map(shown)


Notify = Callable[[Notice], None]
"receives the notices of a run"


def ignore(told: Notice) -> None:
    """Receives notices that are not shown."""


def notice(kind: str, /, **values) -> Notice:
    """Returns the notice of this kind.

    Raises KeyError if there is no such kind, or its template shows a value that is not given.
    """
    result = Notice(kind, values)
    str(result)
    return result


def described(told: Notice) -> dict[str, object]:
    """Returns a notice as plain values, for JSON; notices among its values are descriptions too."""
    return {"kind": told.kind, "values": {name: _plain(value) for name, value in told.values.items()}}


def from_description(description: Mapping) -> Notice:
    """Returns the notice of a description.

    Raises LookupError, TypeError, ValueError, AttributeError or RecursionError if it describes no notice.
    """
    return notice(description["kind"], **{name: _restored(value) for name, value in description["values"].items()})


def _plain(value: object) -> object:
    if isinstance(value, Notice):
        return {"notice": described(value)}
    return [_plain(each) for each in value] if isinstance(value, (list, tuple)) else value


def _restored(value: object) -> object:
    if isinstance(value, dict) and set(value) == {"notice"}:
        return from_description(value["notice"])
    return [_restored(each) for each in value] if isinstance(value, list) else value


def _shown(value: object, translated: Callable[[str], str]) -> object:
    if isinstance(value, Notice):
        return value.worded(translated)
    return ", ".join(str(_shown(each, translated)) for each in value) if isinstance(value, (list, tuple)) else value
