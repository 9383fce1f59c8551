"""How good fused files are: measured on their scene, of any size, beside interpolation and a classical fusion.

A `Study` is a scene, images of it and perhaps a reference; `measure` goes over it block by block and keeps the sums of
each block, so what is true of the whole is known of every part as well. Scenes beyond a stated size are measured in
blocks drawn from a seed.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial, reduce
from pathlib import Path

import numpy as np

from ..common.pipeline import PerThread
from ..domain import measures
from ..domain.options import AssessOptions
from ..domain.scene import Scene
from ..domain.study import Result, Sample, Study, distinct, method_of
from ..domain.window import Window
from ..fusion.parallel import hands, side_by_side
from ..metrics.arrays import FullScale, Referenced, Reprojected, Setting
from ..metrics.conventions import convention
from ..metrics.reference import inside, pieces
from .baseline import Computed

SIDES = (512, 256, 128, 64)
"of the blocks: the largest that the memory holds, and that leaves a small scene some to compare"
PIXEL = 200
"bytes that measuring takes for each pixel of a block and each of its bands"
AROUND = 100
"pixels that a block has around itself, both sides together"
PARTS = 4
"blocks that a scene should have at least, so that images can be compared in each"


def side_for(scene: Scene, memory: int) -> int:
    """Side of the blocks: small enough for the memory, and such that the scene has parts to compare, if it can."""
    bands, (height, width) = len(scene.ms), scene.window.shape
    fit = [side for side in SIDES if (side + AROUND) ** 2 * bands * PIXEL * hands() < memory * 2**20]
    return next((side for side in fit if height * width >= PARTS * side**2), SIDES[-1])


def chosen(cores: list[Window], asked: AssessOptions) -> list[Window]:
    """All blocks, or of a large scene some, drawn from the seed; in their order."""
    total = sum(core.height * core.width for core in cores) / 1e6
    if not asked.sample or total <= asked.sample:
        return cores
    count = max(round(len(cores) * asked.sample / total), 1)
    drawn = np.random.default_rng(asked.seed).choice(len(cores), count, replace=False)
    return [cores[i] for i in sorted(drawn)]


def sample_of(study: Study, asked: AssessOptions) -> Sample:
    cores = pieces(measured(study, asked), side_for(study.scene, asked.memory))
    picked = chosen(cores, asked)
    return Sample(len(picked), len(cores), sum(core.height * core.width for core in picked) / 1e6, asked.seed)


def measured(study: Study, asked: AssessOptions) -> Window:
    """The part of the scene that has a say."""
    return inside(study.scene.window) if asked.crop and study.reference else study.scene.window


def setting_of(study: Study) -> Setting:
    """What the measures must know of the study."""
    scene, how = study.scene, convention(study.convention)
    shape, placement = scene.ms_grid.window.shape, scene.placement
    return Setting(scene.window, placement.at, shape, placement.ratio, study.sensor.mtf, how, study.rounded)


def with_beside(study: Study, asked: AssessOptions, without: Sequence[str] = ()) -> Study:
    """The study, with what its images are compared with beside them."""
    wanted = [method for method in asked.baselines if method not in without]
    beside = [Computed.of(method, study.scene, study.sensor, study.open_reader, asked.memory) for method in wanted]
    return replace(study, images=(*study.images, *beside))


def measure(study: Study, asked: AssessOptions, progress: Callable[[float], None] = lambda share: None) -> list[Result]:
    """Of each image of the study; files first."""
    side = side_for(study.scene, asked.memory)
    if study.reference:
        return _referenced(study, asked, side, progress)
    full, share = _full_scale(study, asked, side, lambda done: progress(done / 2))
    low = _reprojected(study, asked, side, lambda done: progress(0.5 + done / 2))
    return [_result(image, [*both], valid) for image, *both, valid in zip(study.images, full, low, share)]


def measure_all(studies: Sequence[Study], asked: AssessOptions, progress=lambda share: None) -> list[list[Result]]:
    n, found = len(studies), []
    for i, (study, name) in enumerate(zip(studies, distinct([Path(study.inputs[0]).stem for study in studies]))):
        results = measure(study, asked, lambda share, i=i: progress((i + share) / n))
        found.append([replace(result, scene=name) for result in results])
    return found


def _referenced(study: Study, asked: AssessOptions, side: int, progress) -> list[Result]:
    scene = study.scene.window
    of = Referenced(measured(study, asked), study.scene.placement.ratio, study.rounded)

    def gather(core: Window):
        here = core.grow(of.reach) & scene
        truth = study.reference.over(here)
        fused = [image.over(here) for image in study.images]
        return [(of.gather(one, truth, here, core), _valid(one, here, core)) for one in fused]

    sums, share = _gathered(chosen(of.cores(side), asked), gather, progress)
    return [_result(image, [(of.values, one)], valid) for image, one, valid in zip(study.images, sums, share)]


def _full_scale(study: Study, asked: AssessOptions, side: int, progress):
    of, reader = FullScale(setting_of(study)), PerThread(study.open_reader)

    def gather(core: Window):
        block = reader().read(core, of.reach, of.ms_halo)
        fused = [image.over(block.window) for image in study.images]
        return [(of.gather(block, one), _valid(one, block.window, core)) for one in fused]

    sums, share = _gathered(chosen(of.cores(side), asked), gather, progress)
    return [(of.values, one) for one in sums], share


def _reprojected(study: Study, asked: AssessOptions, side: int, progress):
    of, reader = Reprojected(setting_of(study)), PerThread(study.open_reader)
    cores = chosen(of.cores(side), asked)
    shifts = shifts_of(of, reader, cores)

    def gather(core: Window):
        block = reader().read(core, of.reach, of.ms_halo)
        return [(of.gather(block, image.over(block.window), shifts), 1.0) for image in study.images]

    sums, _ = _gathered(cores, gather, progress)
    return [(partial(of.values, shifts=shifts), one) for one in sums]


def shifts_of(of: Reprojected, reader: PerThread, cores: list[Window]):
    """By how much each band lies beside its place."""
    return of.shifts(
        reduce(operator.add, side_by_side(lambda c: of.look(reader().read(c, of.reach, of.ms_halo)), cores))
    )


def _gathered(cores: list[Window], gather, progress):
    """For each image the sums of each core, and the share of pixels that count."""
    rows = []
    for answer in side_by_side(gather, cores):
        rows.append(answer)
        progress(len(rows) / len(cores))
    area = [core.height * core.width for core in cores]
    images = list(zip(*rows))
    sums = [[one for one, _ in image] for image in images]
    return sums, [float(np.average([share for _, share in image], weights=area)) for image in images]


def _valid(image: np.ndarray, window: Window, core: Window) -> float:
    return float(np.isfinite(image[(slice(None), *core.within(window))]).all(0).mean())


def _result(image, measured, valid: float) -> Result:
    """measured: how values are made of sums, and the sums of each block; for each kind of measure."""
    values, parts, extra = {}, {}, {}
    for values_of, sums in measured:
        whole = values_of(reduce(operator.add, sums))
        kept = [measure.name for measure in measures.of(whole)]
        with np.errstate(all="ignore"):  # a block may hold nothing that is valid
            each = [values_of(one) for one in sums]
        values |= {name: float(whole[name]) for name in kept}
        parts |= {name: np.array([one[name] for one in each], float) for name in kept}
        extra |= {name: value for name, value in whole.items() if name not in kept}
    return Result(image.name, image.path, values, parts, valid, extra, method_of(image))
