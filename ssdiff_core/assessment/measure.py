"""Measures of a study: block by block, for scenes of any size.

The sums of each block are kept, so the measures are known for the scene and for each block. Of scenes larger than
`sample` megapixels only a random sample of blocks is measured.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial, reduce
from pathlib import Path

import numpy as np

from ..classical.parallel import default_workers, side_by_side
from ..common.pipeline import PerThread
from ..domain import measures
from ..domain.options import AssessOptions
from ..domain.scene import Scene
from ..domain.study import Result, Sample, Study, distinct, method_of
from ..domain.window import Window
from ..metrics.arrays import FullScale, Referenced, Reprojected, Setting
from ..metrics.conventions import convention
from ..metrics.reference import block_cores, without_border
from .baseline import BaselineImage

SIDES = (512, 256, 128, 64)
"sides of blocks in pixels, largest first"
BYTES_PER_VALUE = 200
"memory for each pixel and band of a block"
HALO = 100
"pixels around a block, both sides together"
MINIMUM_BLOCKS = 4
"blocks of a scene below which smaller blocks are used, as images are compared by block"


def side_for(scene: Scene, memory: int) -> int:
    """Returns the largest side of blocks that fits the memory and leaves at least MINIMUM_BLOCKS."""
    bands, (height, width) = len(scene.ms), scene.window.shape
    fit = [side for side in SIDES if (side + HALO) ** 2 * bands * BYTES_PER_VALUE * default_workers() < memory * 2**20]
    return next((side for side in fit if height * width >= MINIMUM_BLOCKS * side**2), SIDES[-1])


def sampled_blocks(cores: list[Window], options: AssessOptions) -> list[Window]:
    """Returns all blocks, or a random sample of a large scene in their order."""
    total = sum(core.height * core.width for core in cores) / 1e6
    if not options.sample or total <= options.sample:
        return cores
    count = max(round(len(cores) * options.sample / total), 1)
    drawn = np.random.default_rng(options.seed).choice(len(cores), count, replace=False)
    return [cores[i] for i in sorted(drawn)]


def sample_of(study: Study, options: AssessOptions) -> Sample:
    """Returns which share of the scene is measured."""
    cores = block_cores(measured_window(study, options), side_for(study.scene, options.memory))
    picked = sampled_blocks(cores, options)
    return Sample(len(picked), len(cores), sum(core.height * core.width for core in picked) / 1e6, options.seed)


def measured_window(study: Study, options: AssessOptions) -> Window:
    """Returns the window that is measured: the scene, without its border if options.crop is set."""
    return without_border(study.scene.window) if options.crop and study.reference else study.scene.window


def setting_of(study: Study) -> Setting:
    """Returns the geometry and sensor that the measures without a reference need."""
    scene, how = study.scene, convention(study.convention)
    shape, placement = scene.ms_grid.window.shape, scene.placement
    return Setting(scene.window, placement.at, shape, placement.ratio, study.sensor.mtf, how, study.rounded)


def with_baselines(
    study: Study, options: AssessOptions, without: Sequence[str] = (), tick: Callable[[], None] = lambda: None
) -> Study:
    """Returns the study with the images of options.baselines added, except the methods in `without`.

    tick: see classical.parallel.scene_stats.
    """
    methods = [method for method in options.baselines if method not in without]
    baselines = [
        BaselineImage.of(method, study.scene, study.sensor, study.open_reader, options.memory, tick)
        for method in methods
    ]
    return replace(study, images=(*study.images, *baselines))


def measure(
    study: Study, options: AssessOptions, progress: Callable[[float], None] = lambda share: None
) -> list[Result]:
    """Returns the result of each image of the study, files first."""
    side = side_for(study.scene, options.memory)
    if study.reference:
        return _referenced(study, options, side, progress)
    full, share = _full_scale(study, options, side, lambda done: progress(done / 2))
    low = _reprojected(study, options, side, lambda done: progress(0.5 + done / 2))
    return [_result(image, [*both], valid) for image, *both, valid in zip(study.images, full, low, share)]


def measure_all(studies: Sequence[Study], options: AssessOptions, progress=lambda share: None) -> list[list[Result]]:
    """Returns the results of each study, with the names of their scenes."""
    n, found = len(studies), []
    for i, (study, name) in enumerate(zip(studies, distinct([Path(study.inputs[0]).stem for study in studies]))):
        results = measure(study, options, lambda share, i=i: progress((i + share) / n))
        found.append([replace(result, scene=name) for result in results])
    return found


def _referenced(study: Study, options: AssessOptions, side: int, progress) -> list[Result]:
    scene = study.scene.window
    metric = Referenced(measured_window(study, options), study.scene.placement.ratio, study.rounded)

    def gather(core: Window):
        window = core.grow(metric.reach) & scene
        truth = study.reference.read(window)
        fused = [image.read(window) for image in study.images]
        return [(metric.gather(one, truth, window, core), _valid(one, window, core)) for one in fused]

    sums, share = _gathered(sampled_blocks(metric.cores(side), options), gather, progress)
    return [_result(image, [(metric.values, one)], valid) for image, one, valid in zip(study.images, sums, share)]


def _full_scale(study: Study, options: AssessOptions, side: int, progress):
    metric, reader = FullScale(setting_of(study)), PerThread(study.open_reader)

    def gather(core: Window):
        block = reader().read(core, metric.reach, metric.ms_halo)
        fused = [image.read(block.window) for image in study.images]
        return [(metric.gather(block, one), _valid(one, block.window, core)) for one in fused]

    sums, share = _gathered(sampled_blocks(metric.cores(side), options), gather, progress)
    return [(metric.values, one) for one in sums], share


def _reprojected(study: Study, options: AssessOptions, side: int, progress):
    metric, reader = Reprojected(setting_of(study)), PerThread(study.open_reader)
    cores = sampled_blocks(metric.cores(side), options)
    shifts = shifts_of(metric, reader, cores, lambda done: progress(done / 2))

    def gather(core: Window):
        block = reader().read(core, metric.reach, metric.ms_halo)
        return [(metric.gather(block, image.read(block.window), shifts), 1.0) for image in study.images]

    sums, _ = _gathered(cores, gather, lambda done: progress(0.5 + done / 2))
    return [(partial(metric.values, shifts=shifts), one) for one in sums]


def shifts_of(
    metric: Reprojected, reader: PerThread, cores: list[Window], progress: Callable[[float], None] = lambda share: None
):
    """Returns the shift of each band of MS against PAN."""

    def correlations(core: Window):
        return metric.correlations(reader().read(core, metric.reach, metric.ms_halo))

    return metric.shifts(reduce(operator.add, _told(side_by_side(correlations, cores), len(cores), progress)))


def _gathered(cores: list[Window], gather, progress):
    """Returns for each image the sums of each core, and the share of valid pixels."""
    rows = list(_told(side_by_side(gather, cores), len(cores), progress))
    area = [core.height * core.width for core in cores]
    images = list(zip(*rows))
    sums = [[one for one, _ in image] for image in images]
    return sums, [float(np.average([share for _, share in image], weights=area)) for image in images]


def _told(answers: Iterable, count: int, progress: Callable[[float], None]) -> Iterator:
    """Yields the answers, and reports the share of them."""
    for done, answer in enumerate(answers, 1):
        yield answer
        progress(done / count)


def _valid(image: np.ndarray, window: Window, core: Window) -> float:
    return float(np.isfinite(image[(slice(None), *core.within(window))]).all(0).mean())


def _result(image, measured, valid: float) -> Result:
    """Returns the result of an image.

    measured: for each group of measures the function from sums to values, and the sums of each block.
    """
    values, parts, extra = {}, {}, {}
    for values_of, sums in measured:
        whole = values_of(reduce(operator.add, sums))
        kept = [measure.name for measure in measures.of(whole)]
        with np.errstate(all="ignore"):  # a block may have no valid pixel
            each = [values_of(one) for one in sums]
        values |= {name: float(whole[name]) for name in kept}
        parts |= {name: np.array([one[name] for one in each], float) for name in kept}
        extra |= {name: value for name, value in whole.items() if name not in kept}
    return Result(image.name, image.path, values, parts, valid, extra, method_of(image))
