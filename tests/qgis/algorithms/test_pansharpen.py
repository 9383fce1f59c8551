"""The algorithms that fuse, assess and align, on real layers in qgis_process and PyQGIS."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from files import ramps, read, sample_files, write
from osgeo import gdal, ogr, osr
from scenes import tiny_file

from scripts import make_deliveries
from ssdiff_core.domain import sensors
from ssdiff_core.domain.methods import CLASSICAL


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    return sample_files(tmp_path_factory.mktemp("sample"), side=160)


def run(qgis_process, algorithm, expect=0, **parameters):
    arguments = [f"{name}={value}" for name, value in parameters.items()]
    done = qgis_process("run", f"ssdiff:{algorithm}", "--json", "--", *arguments)
    assert done.returncode == expect, done.stdout + done.stderr
    return json.loads(done.stdout)["results"] if not expect else done.stdout + done.stderr


def outputs_of(qgis_process, *runs):
    """Returns the outputs of several runs in one process."""
    ran = qgis_process.runs(*runs)
    assert all(outputs for outputs, _ in ran), ran
    return [outputs for outputs, _ in ran]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """Returns weights of a small network that is fast."""
    return tiny_file(tmp_path_factory.mktemp("weights"))


def ergas(fused, truth):
    fused, truth = fused.astype(float), truth.astype(float)
    return 25 * np.sqrt((((fused - truth) ** 2).mean((1, 2)) / truth.mean((1, 2)) ** 2).mean())


def test_a_layer_is_pansharpened_assessed_and_reported_on(qgis_process, sample, tmp_path):
    pan, ms, truth = sample
    inputs = {"SPECTRAL": ms, "PANCHROMATIC": pan}
    fused = run(qgis_process, "pansharpen", **inputs, OUTPUT=tmp_path / "fused.tif", REPORT=tmp_path / "report.html")
    assert fused["USED"] == "general-4-patches"
    assert "<html" in Path(fused["REPORT"]).read_text(encoding="utf-8")
    compared = {"INPUT": fused["OUTPUT"], "REFERENCE": truth}
    base, found, against, inside = outputs_of(
        qgis_process,
        ("pansharpenclassical", {**inputs, "METHOD": "mtf-glp-fs", "OUTPUT": tmp_path / "fs.tif"}),
        ("assess", {"INPUT": fused["OUTPUT"], "REPORT": tmp_path / "again.html", "JSON": tmp_path / "all.json"}),
        ("assess", compared),
        ("assess", {**compared, "CROP": True, "JSON": tmp_path / "inside.json"}),
    )
    assert base["USED"] == "mtf-glp-fs"
    assert ergas(read(fused["OUTPUT"]), read(truth)) < ergas(read(base["OUTPUT"]), read(truth))
    assert 0.5 < found["HQNR"] <= 1
    assert found["D_RHO"] > 0
    assert (
        json.loads(Path(found["JSON"]).read_text(encoding="utf-8"))["results"][0]["measures"]["HQNR"] == found["HQNR"]
    )
    assert 0 < against["ERGAS"] < 5
    assert "HQNR" not in against
    assert json.loads(Path(inside["JSON"]).read_text(encoding="utf-8"))["cropped"] is True
    assert inside["ERGAS"] != against["ERGAS"]


def test_an_image_equal_to_its_reference_has_no_psnr(qgis_process, sample):
    pan, ms, truth = sample
    found = run(qgis_process, "assess", INPUT=truth, SPECTRAL=ms, PANCHROMATIC=pan, REFERENCE=truth, SAMPLE=0.01)
    assert (found["ERGAS"], found["PSNR"]) == (0, None)


def test_an_uncertainty_is_written_on_request(qgis_process, sample, tiny, tmp_path):
    pan, ms, _ = sample
    how = {"SPECTRAL": ms, "PANCHROMATIC": pan, "WEIGHTS": tiny, "EXTENT": "400030,400070,4499940,4499980 [EPSG:32632]"}
    files = {"OUTPUT": tmp_path / "x.tif", "UNCERTAINTY": tmp_path / "y.tif"}
    (fused, _), (alone, _), (failed, said) = qgis_process.runs(
        ("pansharpen", {**how, "OUTPUT": tmp_path / "o.tif", "UNCERTAINTY": tmp_path / "u.tif"}),
        ("pansharpen", {**how, "OUTPUT": tmp_path / "alone.tif"}),
        ("pansharpen", {**how, **files, "SAMPLES": 1}),
    )
    apart, image = gdal.Open(fused["UNCERTAINTY"]), gdal.Open(fused["OUTPUT"])
    assert (apart.RasterCount, apart.GetGeoTransform()) == (4, image.GetGeoTransform())
    assert apart.ReadAsArray().min() > 0
    assert (image.GetMetadata()["SSDIFF_STEPS"], image.GetMetadata()["SSDIFF_SAMPLES"]) == ("1", "8")
    assert "UNCERTAINTY" not in alone
    assert gdal.Open(alone["OUTPUT"]).GetMetadata()["SSDIFF_SAMPLES"] == "1"
    assert failed is None
    assert "an uncertainty needs at least 2 samples, not 1" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["alone.tif", "o.tif", "u.tif"]


def test_only_the_network_offers_the_uncertainty_as_an_output(in_qgis):
    code = """
import ssdiff
plugin = ssdiff.classFactory(None)
plugin.initProcessing()
def names(definitions):
    return [each.name() for each in definitions]
answer = {each.name(): [names(each.parameterDefinitions()), names(each.outputDefinitions())]
          for each in plugin.provider.algorithms()}
"""
    described = in_qgis(code)
    assert all("UNCERTAINTY" in names for names in described["pansharpen"])
    assert not any("UNCERTAINTY" in names for names in described["pansharpenclassical"])


def test_extent_bands_mask_and_creation_options_are_applied(qgis_process, sample, tmp_path):
    pan, ms, _ = sample
    crs = osr.SpatialReference()
    crs.ImportFromEPSG(32632)
    vectors = ogr.GetDriverByName("GPKG").CreateDataSource(str(tmp_path / "mask.gpkg"))
    layer = vectors.CreateLayer("mask", crs)
    feature = ogr.Feature(layer.GetLayerDefn())
    feature.SetGeometry(ogr.CreateGeometryFromWkt(WEDGE))
    layer.CreateFeature(feature)
    vectors = layer = None
    fused = run(
        qgis_process,
        "pansharpenclassical",
        SPECTRAL=ms,
        PANCHROMATIC=pan,
        METHOD="exp",
        EXTENT="400012,400072,4499940,4499988 [EPSG:32632]",
        MASK=tmp_path / "mask.gpkg",
        BANDS="4;2",
        CREATION_OPTIONS="COMPRESS=LZW",
        NODATA="65535",
        OUTPUT=tmp_path / "fused.tif",
    )
    file = gdal.Open(fused["OUTPUT"])
    assert (file.RasterCount, file.GetMetadata("IMAGE_STRUCTURE")["COMPRESSION"]) == (2, "LZW")
    assert [file.GetRasterBand(i).GetDescription() for i in (1, 2)] == ["nir", "green"]
    assert file.GetRasterBand(1).GetNoDataValue() == 65535
    assert 0.3 < (file.ReadAsArray()[0] != 65535).mean() < 0.6
    assert file.GetGeoTransform()[0] >= 400020 - 0.6


def test_a_shift_is_measured(qgis_process, sample, tmp_path):
    pan, ms, _ = sample
    moved = write(tmp_path / "pan.tif", read(pan), (400_001.2, 0.6, 0.0, 4_500_000.0, 0.0, -0.6))
    bands = tmp_path / "bands.json"
    runs = [("align", {"SPECTRAL": ms, "PANCHROMATIC": each, "REPORT": bands}) for each in (moved, pan)]
    found, here = outputs_of(qgis_process, *runs)
    assert found["COLS"] - here["COLS"] == pytest.approx(-2, abs=0.1)
    assert len(json.loads(bands.read_text(encoding="utf-8"))["bands"]) == 4


def test_choices_can_be_given_by_the_numbers_that_the_help_lists(qgis_process, sample, tmp_path):
    pan, ms, _ = sample
    parameters = {"SPECTRAL": ms, "PANCHROMATIC": pan, "METHOD": 0, "SENSOR": 4, "OUTPUT": tmp_path / "fused.tif"}
    assert run(qgis_process, "pansharpenclassical", **parameters)["USED"] == CLASSICAL[0]
    assert gdal.Open(str(tmp_path / "fused.tif")).GetMetadataItem("SSDIFF_SENSOR") == sensors.ids()[3]
    shown = qgis_process("help", "ssdiff:pansharpenclassical").stdout
    assert not re.search("<p>|<br>|<b>", shown)


def test_one_layer_cannot_be_both_inputs(qgis_process, sample, tmp_path):
    pan, _, _ = sample
    said = run(qgis_process, "align", expect=1, SPECTRAL=pan, PANCHROMATIC=pan)
    assert "Select two different layers" in said


CANCELLED_TWICE = """
import json
import re
from pathlib import Path
from qgis.core import QgsProcessingContext, QgsProcessingFeedback
import ssdiff
class Cancelling(QgsProcessingFeedback):
    def isCanceled(self):
        journal = Path(sys.argv[3] + ".part.json")
        return journal.exists() and b"]]]" in journal.read_bytes()
plugin = ssdiff.classFactory(None)
plugin.initProcessing()
pan, ms, out = sys.argv[1:4]
def run(feedback, **more):
    algorithm = QgsApplication.processingRegistry().algorithmById("ssdiff:pansharpenclassical").create()
    parameters = {"PANCHROMATIC": pan, "SPECTRAL": ms, "METHOD": "mtf-glp-fs", "MEMORY": 64, "OUTPUT": out, **more}
    results, succeeded = algorithm.run(parameters, QgsProcessingContext(), feedback)
    return [results, feedback.textLog(), sorted(path.name for path in Path(out).parent.glob(Path(out).name + "*"))]
runs = [run(Cancelling()), run(QgsProcessingFeedback()), run(Cancelling()), run(QgsProcessingFeedback(), DISCARD=True)]
print("RAN", json.dumps(runs))
app.exitQgis()
"""


def test_a_cancelled_run_goes_on_unless_it_is_discarded(qgis_process, tmp_path):
    pan, ms, pan_at, ms_at = ramps(1536, 1536)
    files = write(tmp_path / "pan.tif", pan, pan_at), write(tmp_path / "ms.tif", ms, ms_at)
    done = qgis_process.python(CANCELLED_TWICE, *files, tmp_path / "out.tif")
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("RAN ")]
    (_, cancelled, kept), (_, resumed, left), (_, _, again), (_, discarded, _) = json.loads(line[4:])
    assert re.search(r"Cancelled: \d+ of \d+ blocks are kept", cancelled)
    assert kept == ["out.tif.part", "out.tif.part.json"]
    assert again == ["out.tif", *kept]
    assert "Resuming an interrupted run" in resumed
    assert left == ["out.tif"]
    assert "The working files of an interrupted run are removed" in discarded


def test_scripts_run_the_algorithms(qgis_process, sample):
    """processing.run calls methods that qgis_process does not."""
    code = """
import processing
from processing.core.Processing import Processing
Processing.initialize()
from ssdiff.ssdiff_qgis.provider import Provider
provider = Provider()
QgsApplication.processingRegistry().addProvider(provider)
print(json.dumps(processing.run("ssdiff:align", {"PANCHROMATIC": sys.argv[1], "SPECTRAL": sys.argv[2]})))
"""
    done = qgis_process.python(code, *sample[:2])
    assert done.returncode == 0, done.stderr
    assert abs(json.loads(done.stdout)["COLS"]) < 0.3


def test_a_model_uses_the_outputs_of_an_assessment(qgis_process, sample, tmp_path):
    """A second step writes a measured value into a raster."""
    pan, ms, truth = sample
    code = """
from qgis.core import *
import processing
from processing.core.Processing import Processing
Processing.initialize()
import ssdiff
plugin = ssdiff.classFactory(None)
plugin.initProcessing()
fused, ms, pan, out = sys.argv[1:]
Source = QgsProcessingModelChildParameterSource
model = QgsProcessingModelAlgorithm("measured", "test")
names = "ssdiff:assess", "native:createconstantrasterlayer"
first, then = (QgsProcessingModelChildAlgorithm(name) for name in names)
place = {"EXTENT": "0,9,0,9 [EPSG:32632]", "TARGET_CRS": "EPSG:32632", "PIXEL_SIZE": 1}
for number, (child, given) in enumerate((
    (first, {"INPUT": fused, "SPECTRAL": ms, "PANCHROMATIC": pan}),
    (then, {**place, "OUTPUT_TYPE": 5, "OUTPUT": out}),
)):
    child.setChildId(f"c{number}")
    for name, value in given.items():
        child.addParameterSources(name, [Source.fromStaticValue(value)])
model.addChildAlgorithm(first)
offered = [source.outputName() for source in model.availableSourcesForChild("c1", [], ["outputNumber"])]
then.addParameterSources("NUMBER", [Source.fromChildOutput("c0", "D_RHO")])
model.addChildAlgorithm(then)
found, ok = model.run({}, QgsProcessingContext(), QgsProcessingFeedback())
direct = processing.run("ssdiff:assess", {"INPUT": fused, "SPECTRAL": ms, "PANCHROMATIC": pan})
print(json.dumps([offered, ok, direct["D_RHO"]]))
"""
    done = qgis_process.python(code, truth, ms, pan, tmp_path / "value.tif")
    assert done.returncode == 0, done.stderr
    offered, ok, direct = json.loads(done.stdout.splitlines()[-1])
    assert ok, done.stderr
    assert {"SAM", "ERGAS", "Q2N", "HQNR", "D_RHO", "R_SAM"} <= set(offered)
    assert read(tmp_path / "value.tif") == pytest.approx(direct, rel=1e-6)


WEDGE = "POLYGON ((400020 4499980,400060 4499980,400020 4499950,400020 4499980))"
LAYER = """
from qgis.core import *
import processing
from processing.core.Processing import Processing
Processing.initialize()
import ssdiff
plugin = ssdiff.classFactory(None)
plugin.initProcessing()
"""


def test_loaded_layers_are_styled_and_have_a_history(qgis_process, sample, tiny):
    code = (
        LAYER
        + """
import json
ms = QgsRasterLayer(sys.argv[1], "some ms")
renderer = QgsMultiBandColorRenderer(ms.dataProvider(), 4, 3, 2)
for number, put in ((4, renderer.setRedContrastEnhancement), (3, renderer.setGreenContrastEnhancement),
                    (2, renderer.setBlueContrastEnhancement)):
    stretch = QgsContrastEnhancement(ms.dataProvider().dataType(number))
    stretch.setMinimumValue(10 * number); stretch.setMaximumValue(100 * number)
    put(stretch)
ms.setRenderer(renderer)
project = QgsProject.instance()
project.addMapLayer(ms)
context = QgsProcessingContext(); context.setProject(project)
feedback = QgsProcessingFeedback()
algorithm = QgsApplication.processingRegistry().createAlgorithmById("ssdiff:pansharpen")
output, apart = (QgsProcessingOutputLayerDefinition("TEMPORARY_OUTPUT", project) for _ in range(2))
results = {}
wanted = {"SPECTRAL": ms, "PANCHROMATIC": sys.argv[2], "OUTPUT": output, "UNCERTAINTY": apart, "WEIGHTS": sys.argv[3],
          "STEPS": 1, "SAMPLES": 2}
task = QgsProcessingAlgRunnerTask(algorithm, wanted, context, feedback)
task.executed.connect(lambda ok, found: (results.update(found, ok=ok), app.quit()))
QgsApplication.taskManager().addTask(task)
app.exec()
assert results["ok"], feedback.textLog()
from processing.gui.Postprocessing import handleAlgorithmResults
handleAlgorithmResults(algorithm, context, feedback)
layers = {layer.name(): layer for layer in project.mapLayers().values()}
fused, apart = layers["some ms pansharpened (SSDiff)"], layers["some ms uncertainty (SSDiff)"]
renderer, colours = fused.renderer(), apart.renderer()
red = renderer.redContrastEnhancement()
ramp = colours.shader().rasterShaderFunction()
known = apart.dataProvider().bandStatistics(1, QgsRasterBandStats.All)
print(json.dumps({
    "layers": sorted(layers), "apart": {
        "band": colours.band(), "type": colours.type(), "from": colours.classificationMin(),
        "to": colours.classificationMax(), "most": min(known.mean + 2 * known.stdDev, known.maximumValue),
        "colours": [item.color.name() for item in ramp.colorRampItemList()],
        "at": [item.value for item in ramp.colorRampItemList()],
        "history": apart.metadata().history()},
    "bands": [renderer.redBand(), renderer.greenBand(), renderer.blueBand()],
    "limits": [red.minimumValue(), red.maximumValue()], "history": fused.metadata().history(),
    "size": [fused.width(), fused.height()]}))
"""
    )
    done = qgis_process.python(
        code, sample[1], sample[0], tiny, PYTHONPATH=f"{qgis_process.plugins}:/usr/share/qgis/python/plugins"
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["layers"] == ["some ms", "some ms pansharpened (SSDiff)", "some ms uncertainty (SSDiff)"]
    assert (found["bands"], found["limits"]) == ([4, 3, 2], [40, 400])
    assert found["size"] == [160, 160]
    assert any(line.startswith("weights: tiny") for line in found["history"])
    apart = found["apart"]
    assert (apart["band"], apart["type"], apart["from"]) == (1, "singlebandpseudocolor", 0)
    assert apart["to"] == pytest.approx(apart["most"], rel=1e-4)
    assert apart["to"] > 0
    assert apart["colours"] == ["#440154", "#3b528b", "#21918c", "#5ec962", "#fde725"]
    assert apart["at"] == pytest.approx([apart["to"] * part / 4 for part in range(5)])
    assert any(line.startswith("samples: 2") for line in apart["history"])


def test_invalid_parameters_are_errors_in_one_sentence(qgis_process, sample, tmp_path):
    pan, ms, _ = sample
    inputs = {"SPECTRAL": ms, "PANCHROMATIC": pan, "OUTPUT": tmp_path / "out.tif"}
    errors = {
        "unknown weights 'nothing'": {"WEIGHTS": "nothing"},
        "device 'cuda' does not work here": {"DEVICE": "cuda"},
        "does not touch PAN": {"EXTENT": "0,10,0,10 [EPSG:32632]"},
    }
    ran = qgis_process.runs(*(("pansharpen", {**inputs, **wrong}) for wrong in errors.values()))
    for sentence, (outputs, log) in zip(errors, ran):
        assert outputs is None
        assert sentence in log
    assert not list(tmp_path.iterdir())


def test_without_a_runtime_the_error_says_what_to_do(torchless, qgis_process, sample, tmp_path):
    arguments = [f"SPECTRAL={sample[1]}", f"PANCHROMATIC={sample[0]}", f"OUTPUT={tmp_path / 'out.tif'}"]
    done = qgis_process("run", "ssdiff:pansharpen", "--", *arguments, SSDIFF_PYTHON="")
    assert done.returncode
    assert 'Run the algorithm "Install runtime"' in done.stdout + done.stderr


def test_classical_methods_reports_measures_and_the_shift_need_no_runtime(torchless, qgis_process, sample, tmp_path):
    pan, ms, truth = sample
    inputs, page = {"SPECTRAL": ms, "PANCHROMATIC": pan}, tmp_path / "report.html"
    ran = qgis_process.runs(
        ("pansharpenclassical", {**inputs, "METHOD": "gsa", "OUTPUT": tmp_path / "gsa.tif", "REPORT": page}),
        ("pansharpen", {**inputs, "PRESET": "classical", "OUTPUT": tmp_path / "preset.tif"}),
        ("assess", {**inputs, "INPUT": tmp_path / "gsa.tif", "REFERENCE": truth}),
        ("align", inputs),
        SSDIFF_PYTHON="",
    )
    for outputs, log in ran:
        assert outputs is not None, log
    (_, told), (preset, _), (assessed, _), _ = ran
    assert "Estimated time: " in told
    assert preset["USED"] == "mtf-glp-fs"
    assert assessed["ERGAS"] == pytest.approx(ergas(read(tmp_path / "gsa.tif"), read(truth)), rel=0.01)
    assert page.stat().st_size > 10_000


def test_an_invalid_setting_is_an_error_in_one_sentence(qgis_process, sample, tmp_path):
    arguments = [f"SPECTRAL={sample[1]}", f"PANCHROMATIC={sample[0]}", f"OUTPUT={tmp_path / 'out.tif'}"]
    done = qgis_process("run", "ssdiff:pansharpen", "--", *arguments, SSDIFF_MEMORY="lots")
    assert done.returncode
    assert "The memory must be at least 64 MB, not 'lots'" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_a_report_assesses_the_bands_that_were_fused(qgis_process, sample, tmp_path):
    inputs = {"SPECTRAL": sample[1], "PANCHROMATIC": sample[0], "METHOD": "gsa", "BANDS": "4;2"}
    out, page = tmp_path / "out.tif", tmp_path / "report.html"
    run(qgis_process, "pansharpenclassical", **inputs, OUTPUT=out, REPORT=page)
    assert page.stat().st_size > 10_000


UNCHECKED = """
from qgis.core import QgsFeatureRequest, QgsProcessingContext, QgsProcessingFeedback
from processing.core.Processing import Processing
from ssdiff.ssdiff_qgis.provider import Provider
Processing.initialize()
provider = Provider()
QgsApplication.processingRegistry().addProvider(provider)
context, feedback = QgsProcessingContext(), QgsProcessingFeedback()
context.setInvalidGeometryCheck(QgsFeatureRequest.GeometryNoCheck)
algorithm = QgsApplication.processingRegistry().algorithmById("ssdiff:pansharpenclassical")
names = ("SPECTRAL", "PANCHROMATIC", "MASK", "OUTPUT")
_, done = algorithm.run({"METHOD": "exp", "NODATA": 0, **dict(zip(names, sys.argv[1:]))}, context, feedback)
print(json.dumps([done, feedback.textLog()]))
"""


def unchecked(qgis_process, *parameters):
    """Runs the algorithm without QGIS's check of geometries; returns whether it succeeded, and the log."""
    ran = qgis_process.python(UNCHECKED, *parameters)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout.splitlines()[-1])


def test_self_intersecting_polygons_are_repaired(qgis_process, sample, tmp_path):
    pan, ms, _ = sample
    bow = "400010 4499950,400050 4499990,400050 4499950,400010 4499990,400010 4499950"
    other = "400020 4499940,400060 4499980,400060 4499940,400020 4499980,400020 4499940"
    mask = tmp_path / "mask.csv"
    mask.write_text(f'id,WKT\n1,"POLYGON (({bow}))"\n2,"POLYGON (({other}))"\n')
    out = tmp_path / "out.tif"
    done, log = unchecked(qgis_process, ms, pan, mask, out)
    assert done, log
    assert 0.2 < (read(out)[0] != 0).mean() < 0.8


def test_a_missing_mask_is_an_error(qgis_process, sample, tmp_path):
    pan, ms, _ = sample
    done, log = unchecked(qgis_process, ms, pan, tmp_path / "none.gpkg", tmp_path / "out.tif")
    assert not done
    assert "none.gpkg not found" in log
    assert not (tmp_path / "out.tif").exists()


def test_a_delivery_is_pansharpened_in_place_of_two_layers(qgis_process, sample, tmp_path):
    roots = make_deliveries.make(tmp_path / "in", 5, 64)
    layers = {"SPECTRAL": str(sample[1]), "PANCHROMATIC": str(sample[0])}
    method = {"METHOD": "exp", "ALIGN": "none"}
    runs = [
        (
            "pansharpenclassical",
            {**method, **(layers if not number else {}), "DELIVERY": str(root), "OUTPUT": f"{tmp_path}/{number}.tif"},
        )
        for number, root in enumerate(roots)
    ]
    for number, (outputs, log) in enumerate(qgis_process.runs(*runs)):
        assert outputs, log
        assert "Delivery " in log
        scene = make_deliveries.make_scene(number, 64)
        assert read(outputs["OUTPUT"]).shape == ((6 if number == 3 else 4), *scene.pan.shape)


def test_two_layers_or_a_delivery_are_needed(qgis_process, sample, tmp_path):
    out = {"OUTPUT": str(tmp_path / "o.tif"), "METHOD": "exp"}
    (one, first), (two, second) = qgis_process.runs(
        ("pansharpenclassical", {**out, "SPECTRAL": str(sample[1])}),
        ("pansharpenclassical", {**out, "DELIVERY": str(tmp_path)}),
    )
    assert (one, two) == (None, None)
    assert "Select a multispectral and a panchromatic layer, or give a delivery." in first
    assert "no PAN and MS were found in" in second
