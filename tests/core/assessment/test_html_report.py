"""The HTML report: self-contained, complete, and displayed by a browser without errors."""

from __future__ import annotations

import json
import os
import re
import shutil

import browser
import numpy as np
import pytest
from files import read, sample_files, write
from osgeo import gdal

from ssdiff_core.assessment import html_report
from ssdiff_core.assessment.html_report import saturation
from ssdiff_core.assessment.report_data import CellMeans, Spectrum, crop_windows, samples_of
from ssdiff_core.classical.scene_sums import Histogram
from ssdiff_core.cli.main import main
from ssdiff_core.domain.window import Window
from ssdiff_core.raster.reader import Reader, open_scene

SECTIONS = ("measures", "crops", "maps", "histograms", "spectra", "correlation", "inputs")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the fused sample and its report."""
    folder = tmp_path_factory.mktemp("report")
    pan, ms, _ = sample_files(folder)
    out = folder / "fused.tif"
    command = ["pansharpen", str(pan), str(ms), str(out), "--method", "gsa", "--progress", "none"]
    assert main([*command, "--report", str(folder / "report.html")]) == 0
    return folder


@pytest.fixture(scope="module")
def page(folder):
    return (folder / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def one_browser():
    if os.name == "nt":
        pytest.skip("the browser is controlled through inherited pipes")
    with browser.tab() as tab:
        yield tab


@pytest.fixture
def tab(one_browser, folder):
    """A new tab with the report."""
    one_browser.open((folder / "report.html").as_uri())
    return one_browser


def test_the_report_is_self_contained(page):
    assert len(page.encode()) < 3e6
    links = re.findall(r"""(?:src|href|xlink:href|action)\s*=\s*["']?([^"'\s>]+)""", page)
    assert links
    assert all(link.startswith("data:image/png;base64,") for link in links)
    without_pictures = re.sub(r"data:image/png;base64,[A-Za-z0-9+/=]+", "", page)
    assert not re.search(r"https?:|//\w+\.\w|@import|url\(|<link|<iframe|fetch\(|XMLHttp", without_pictures)


def test_every_section_is_present_and_every_placeholder_is_filled(page):
    assert all(f'<section id="{name}">' in page for name in SECTIONS)
    assert "$" not in re.sub(r"<script>.*</script>", "", page, flags=re.DOTALL)
    assert "prefers-color-scheme: dark" in page
    assert "@media print" in page
    assert "HQNR rewards interpolation" in page
    assert "gsa" in page.split("Inputs and provenance")[1]


def test_the_table_has_the_values_of_assess(folder, page, capsys):
    capsys.readouterr()
    assert main(["assess", str(folder / "fused.tif"), "--json"]) == 0
    for result in json.loads(capsys.readouterr().out)["results"]:
        row = re.search(rf'<tr[^>]*><th scope="row">{result["name"]}</th>(.*?)</tr>', page).group(1)
        shown = [float(cell) for cell in re.findall(r">([\d.]+)</td>", row)]
        assert shown == pytest.approx(list(result["measures"].values()), abs=6e-4)


def test_a_browser_displays_the_report_without_errors_and_the_controls_work(folder, page):
    """Moves the slider, chooses another left image and another zoom."""
    script = """<script>
      const crop = document.querySelector(".crop"), slider = crop.querySelector("input");
      const at = () => getComputedStyle(crop.querySelector("img.after")).clipPath;
      const seen = {start: at(), crops: document.querySelectorAll(".crop").length};
      slider.focus(); slider.value = 80; slider.dispatchEvent(new Event("input", {bubbles: true})); seen.moved = at();
      const choice = document.querySelector("[name=before][value=PAN]"); choice.click();
      seen.left = crop.querySelector("img.before").dataset.of;
      const narrow = crop.getBoundingClientRect().width;
      [...document.querySelectorAll("[name=zoom]")].pop().click();
      seen.wider = crop.getBoundingClientRect().width / narrow;
      seen.broken = [...document.images].filter((image) => !image.complete || !image.naturalWidth).length;
      seen.over = document.documentElement.scrollWidth - document.documentElement.clientWidth;
      document.body.dataset.seen = JSON.stringify(seen);
    </script></body>"""
    copy = folder / "copy.html"
    copy.write_text(page.replace("</body>", script), encoding="utf-8")
    dom, said = browser.page(copy)
    assert said == []
    found = json.loads(re.search(r'data-seen="([^"]*)"', dom).group(1).replace("&quot;", '"'))
    assert found["crops"] >= 3
    assert ("50%" in found["start"], "80%" in found["moved"], found["left"]) == (True, True, "PAN")
    assert found["broken"] == 0
    assert found["over"] <= 0
    assert found["wider"] == 2


def test_the_divider_follows_mouse_and_keys(tab):
    tab.js("document.querySelector('.stage').scrollIntoView({block: 'center'})")
    box = tab.js("document.querySelector('.stage').getBoundingClientRect().toJSON()")
    seen, middle = [], box["y"] + box["height"] / 2
    tab.drag(*((box["x"] + share * box["width"], middle) for share in (0.5, 0.4, 0.2)))
    at = "parseFloat(getComputedStyle(document.querySelector('.stage img.after')).clipPath.split(' ').pop())"
    seen.append(tab.js(at))
    for key, code in (("ArrowRight", 39), ("Home", 36), ("End", 35)):
        tab.press(key, code)
        seen.append(tab.js(at))
    assert seen == [20, 21, 0, 100]
    assert tab.js("getComputedStyle(document.activeElement.parentElement).outlineStyle") == "solid"
    tab.js("document.querySelector('[name=before]:checked').focus()")
    tab.press("ArrowLeft", 37)  # of PAN, MS, EXP and so on: MS
    assert tab.js("document.querySelector('.stage img.before').dataset.of") == "MS"


def test_in_print_both_images_are_side_by_side_and_named(tab):
    tab.send("Emulation.setEmulatedMedia", media="print")
    shown = tab.js("document.querySelector('.choices').innerText").split()
    assert shown == ["Left", "EXP", "Right", "fused"]
    left, right = (
        tab.js(f"document.querySelector('.stage img.{side}').getBoundingClientRect().toJSON()")
        for side in ("before", "after")
    )
    assert left["right"] <= right["left"]
    assert left["width"] == pytest.approx(right["width"])


@pytest.mark.parametrize(("scheme", "light"), [("light", True), ("dark", False)])
def test_the_report_follows_the_light_or_dark_colour_scheme(tab, tmp_path, scheme, light):
    tab.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    image = gdal.Open(str(tab.screenshot(tmp_path / "s.png"))).ReadAsArray()[:3]
    assert (np.median(image) > 200) == light
    assert image.std() > 10


def test_nothing_overflows_a_small_screen(tab):
    tab.send("Emulation.setDeviceMetricsOverride", width=500, height=900, deviceScaleFactor=1, mobile=False)
    assert tab.js("innerWidth") == 500
    over = """[...document.querySelectorAll("section > *, .figures > div")]
      .filter((part) => !part.classList.contains("wide") && part.getBoundingClientRect().right > innerWidth + 1).length
    """
    assert tab.js(over) == 0


def test_the_report_prints_on_a_few_pages(tab, tmp_path):
    tab.print(tmp_path / "r.pdf")
    pages = len(re.findall(rb"/Type\s*/Page\b", (tmp_path / "r.pdf").read_bytes()))
    assert 2 <= pages <= 8


def test_file_names_are_escaped(folder, tmp_path, capsys):
    odd = tmp_path / "a<img src=x onerror=alert(1)>&'.tif"
    shutil.copy(folder / "fused.tif", odd)
    small = ("--extent", "400000,4499961.6,400038.4,4500000", "--align", "none")
    assert main(["assess", str(odd), *small, "--report", str(tmp_path / "r.html")]) == 0
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "<img src=x" not in text
    assert "a&lt;img src=x onerror=alert(1)&gt;&amp;" in text


def test_maps_and_crops_are_written_as_png_files(folder, tmp_path):
    assert main(["assess", str(folder / "fused.tif"), "--png", str(tmp_path / "png")]) == 0
    names = {path.stem for path in (tmp_path / "png").iterdir()}
    assert {"overview", "D_rho_fused", "R-SAM_EXP", "crop1_PAN", "crop1_fused"} <= names
    assert gdal.Open(str(tmp_path / "png" / "overview.png")).ReadAsArray().shape == (3, 256, 256)


def test_reports_with_a_reference_and_of_the_reduced_resolution_assessment(folder, tmp_path):
    pan, ms, truth = (str(folder / f"{name}.tif") for name in ("pan", "ms", "truth"))
    out = tmp_path / "r.html"
    assert main(["assess", str(folder / "fused.tif"), "--reference", truth, "--report", str(out)]) == 0
    assert all(word in out.read_text() for word in ("Reference", "truth.tif", "root mean square", "ERGAS"))
    wald = ["assess", "--protocol", "wald", "--pan", pan, "--ms", ms, "--methods", "gsa,ssdiff"]
    assert main([*wald, "--report", str(out), "--crop"]) == 0
    assert "<h1>GSA, SSDiff</h1>" in out.read_text()
    provenance = out.read_text().split("Inputs and provenance")[1]
    assert all(word in provenance for word in (pan, ms, "weights general-4-patches, SHA-256", "MATLAB toolbox"))


def test_a_report_that_cannot_be_written_is_an_error_and_leaves_no_file(folder, tmp_path, capsys):
    assert main(["assess", str(folder / "fused.tif"), "--report", str(tmp_path / "no" / "r.html")]) == 1
    assert capsys.readouterr().err.startswith("ssdiff: ")
    assert not list(tmp_path.iterdir())


def test_a_shift_saturation_and_missing_data_are_warnings(folder, tmp_path):
    pan, ms = read(folder / "pan.tif"), read(folder / "ms.tif")
    ms = np.minimum(ms, np.quantile(ms, 0.9).astype(np.uint16))
    pan[:40, :60] = 0
    write(tmp_path / "pan.tif", pan, (400_000.0, 0.6, 0.0, 4_500_000.0, 0.0, -0.6), nodata=0)
    write(tmp_path / "ms.tif", ms, (400_001.2, 2.4, 0.0, 4_499_998.2, 0.0, -2.4))  # by 3 rows, 2 columns
    files = [str(tmp_path / name) for name in ("pan.tif", "ms.tif", "f.tif")]
    assert main(["pansharpen", *files, "--method", "gsa", "--align", "warn", "--report", str(tmp_path / "r.html")]) == 0
    warned = re.search(r'<ul class="warnings">(.*?)</ul>', (tmp_path / "r.html").read_text()).group(1)
    assert all(word in warned for word in ("colours will bleed", "probably saturated"))
    assert re.findall(r"<li>([^<]*have no data[^<]*)</li>", warned) == [
        "3.3% of the pixels have no data and are excluded."
    ]


# --- the data of the figures -----------------------------------------------------------------------------------------


def test_cell_means_do_not_depend_on_the_blocks():
    window, field = Window(10, 20, 50, 70), np.random.default_rng(0).random((50, 70))
    field[5:9, 5:9] = np.nan
    whole, parts = CellMeans(window, 7), CellMeans(window, 7)
    whole.add(field, np.arange(10, 60), np.arange(20, 90))
    for r in (0, 13, 40):
        rows = np.arange(r, {0: 13, 13: 40, 40: 50}[r])
        parts.add(field[rows], rows + 10, np.arange(20, 90))
    assert np.allclose(whole.mean, parts.mean, equal_nan=True)
    assert whole.mean[1, 1] == pytest.approx(np.nanmean(field[7:14, 7:14]))


def test_the_spectrum_of_a_wave_peaks_at_its_frequency():
    spectrum = Spectrum(128, 1.0)
    spectrum.add_all(np.sin(2 * np.pi * 0.25 * np.arange(300))[None, None] * np.ones((1, 300, 1)))
    at, power = spectrum.curve
    assert spectrum.count == 4
    assert at[power.argmax()] == pytest.approx(0.25, abs=0.0126)


def test_the_power_density_of_noise_does_not_depend_on_the_pixel_size():
    """MS and PAN share one chart: the density of white noise is its variance times the area of a pixel."""
    noise = np.random.default_rng(0).normal(0, 3, (2, 512, 512))
    for pixel in (1.0, 4.0):
        spectrum = Spectrum(64, pixel)
        spectrum.add_all(noise)
        assert spectrum.curve[1].mean() == pytest.approx(9 * pixel**2, rel=0.05)


def test_crops_are_where_images_differ_most_and_do_not_overlap():
    window = Window(5, 9, 960, 960)
    canvas, field = CellMeans(window, 24), np.zeros((960, 960))
    field[100:120, 700:720], field[800:820, 200:220] = 2, 5
    canvas.add(field, np.arange(5, 965), np.arange(9, 969))
    first, second = crop_windows(canvas, window, 2)
    assert Window(805, 209, 20, 20) in first
    assert Window(105, 709, 20, 20) in second
    assert first in window
    assert not first & second


def test_each_ms_sample_is_counted_in_one_block(folder):
    scene = open_scene(folder / "pan.tif", folder / "ms.tif")
    reader, seen = Reader(scene), []
    for core in (Window(0, 0, 100, 256), Window(100, 0, 156, 130), Window(100, 130, 156, 126)):
        seen.append(samples_of(reader.read(core, 40, 1))[0].reshape(4, -1))
    wanted = read(folder / "ms.tif").reshape(4, -1)
    assert np.array_equal(np.sort(np.concatenate(seen, 1), 1), np.sort(wanted, 1))


def test_only_an_accumulation_at_the_maximum_is_saturation():
    class Data:
        bands = ("blue",)

    values = np.random.default_rng(0).normal(500, 100, 100_000).astype(np.float32)
    for most, found in ((5000, 0), (600, 2)):
        of = Histogram.of(np.round(np.minimum(values, most)))
        Data.histograms = {"PAN": [of], "MS": [of]}
        assert len(saturation(Data)) == found


def test_the_template_is_well_formed():
    text = html_report.TEMPLATE.read_text(encoding="utf-8")
    assert text.count("$") == 4
    assert text.count("{") == text.count("}")
