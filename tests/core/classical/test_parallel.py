"""Passes over a scene: the same result however threads take turns, and little is held."""

import operator
import random
import subprocess
import sys
import threading
import weakref
from pathlib import Path
from textwrap import dedent

import pytest
from files import ramps, write
from osgeo import gdal

from ssdiff_core.classical.parallel import InOrder, scene_stats
from ssdiff_core.classical.scene_statistics import Survey
from ssdiff_core.domain.options import PansharpenOptions
from ssdiff_core.raster.open_pair import open_pair
from ssdiff_core.raster.reader import Reader


def test_values_are_combined_in_the_order_of_their_numbers():
    numbers = list(range(50))
    random.shuffle(numbers)
    total = InOrder(operator.add)
    threads = [threading.Thread(target=total.add, args=(number, [number])) for number in numbers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert total.value == list(range(50))


def test_values_are_not_held_once_those_before_them_are_there():
    class Value:
        def __add__(self, other):
            return Value()

    total, held = InOrder(operator.add), []
    for number in (1, 2, 3, 0, 4):
        value = Value()
        held.append(weakref.ref(value))
        total.add(number, value)
        del value
    assert not any(reference() for reference in held)


def test_the_histograms_of_a_scene_are_not_held_for_each_block(tmp_path):
    pan, ms, pan_at, ms_at = ramps(1024, 1024)
    files = write(tmp_path / "pan.tif", pan, pan_at), write(tmp_path / "ms.tif", ms, ms_at)
    scene, _ = open_pair(*files, PansharpenOptions(sensor="general"), lambda message: None)
    histograms, most = [], [0]

    class Counting(Survey):
        def gather(self, block):
            sums = super().gather(block)
            histograms.append(weakref.ref(sums.values[0]))
            most[0] = max(most[0], sum(reference() is not None for reference in histograms))
            return sums

    survey = Counting("gsa", (0.3,) * 3, 4.0)
    stats = scene_stats(scene, lambda: Reader(scene), survey, memory=64)
    assert most[0] <= 4  # of 16 blocks
    assert stats == scene_stats(scene, lambda: Reader(scene), survey, memory=64, workers=3)


@pytest.mark.parametrize(("memory", "cache"), [(64, 64), (1024, 256)])
def test_the_cache_is_bounded_before_the_first_pixel_is_read(tmp_path, memory, cache):
    pan, ms, pan_at, ms_at = ramps(160, 160)
    files = write(tmp_path / "pan.tif", pan, pan_at), write(tmp_path / "ms.tif", ms, ms_at)
    before = gdal.GetCacheMax()
    gdal.SetCacheMax(2**30)
    open_pair(*files, PansharpenOptions(memory=memory), lambda message: None)
    assert gdal.GetCacheMax() == cache * 2**20
    gdal.SetCacheMax(before)


LARGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")


@pytest.mark.skipif(not LARGE_PAGES.exists(), reason="the system has no large pages")
def test_large_pages_are_requested_for_the_heap_without_using_memory():
    program = """
        import resource
        from pathlib import Path
        from ssdiff_core.classical.parallel import keep_memory

        def requested():
            lines = Path("/proc/self/smaps").read_text().splitlines()
            return any(" hg" in line for line in lines if line.startswith("VmFlags"))

        before, used = requested(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        keep_memory()
        print(before, requested(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - used < 20_000)
    """
    done = subprocess.run([sys.executable, "-c", dedent(program)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True", "True"]
