"""Choice and installation of the Python interpreter, and the settings, in a real QGIS."""

import json
import os
import sys
from pathlib import Path

import pytest
import standins

INSTALL = """
from qgis.core import QgsProcessingContext, QgsProcessingFeedback
from ssdiff.ssdiff_qgis.algorithms.install_runtime import InstallRuntime

class Feedback(QgsProcessingFeedback):
    lines = []
    def pushConsoleInfo(self, line):
        self.lines.append(line)
        if {cancel!r} in line:
            self.cancel()

algorithm, feedback = InstallRuntime().create(), Feedback()
outputs, done = algorithm.run({parameters!r}, QgsProcessingContext(), feedback)
from ssdiff.ssdiff_core.runtime import environment
answer = [outputs, done, len(environment.environments())]
"""


def wheels_in(folder):
    """Writes stand-ins for the packages of a runtime; returns their folder."""
    pinned = standins.pins()
    standins.others(folder / "wheels", pinned)
    standins.torch(folder / "wheels", pinned["torch"])
    return folder / "wheels"


def without_python(folder):
    """Returns environment variables for a QGIS without configured interpreter, runtime or options of pip."""
    return {"SSDIFF_PYTHON": "", "SSDIFF_CACHE": str(folder / "cache"), "PIP_CONFIG_FILE": os.devnull}


@pytest.fixture
def wheels(tmp_path):
    return wheels_in(tmp_path)


@pytest.fixture
def fresh(tmp_path):
    return without_python(tmp_path)


# --- Install runtime -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def installed(qgis_process, tmp_path_factory):
    """Runs Install runtime; returns what it printed as JSON, and the folder of its cache and wheels."""
    folder = tmp_path_factory.mktemp("installed")
    parameters = f"WHEELS={wheels_in(folder)}", "DEVICE=auto"
    done = qgis_process("run", "ssdiff:installruntime", "--json", *parameters, **without_python(folder))
    assert done.returncode == 0, done.stderr
    return done.stdout, folder


def test_an_installed_runtime_works_and_is_reported_by_diagnostics(torchless, installed, outputs):
    made, folder = json.loads(installed[0])["results"], installed[1]
    assert (made["READY"], made["DEVICE"]) == (True, "cpu")
    assert made["PYTHON"].startswith(str(folder / "cache"))
    found = outputs("diagnostics", f"REPORT={folder / 'report.json'}", **without_python(folder))
    report = json.loads(Path(found["REPORT"]).read_text(encoding="utf-8"))
    assert found["READY"] is True
    assert (report["python"], report["why"]) == (made["PYTHON"], "installed by Install runtime")
    assert report["environments"][0]["state"] == "ready"
    assert sum(report["cache"].values()) > 0


def test_install_runtime_logs_its_steps(installed):
    printed, folder = installed
    for word in ("Installing torch==", str(folder / "wheels"), "GB on the disk", "is complete: torch"):
        assert word in json.dumps(json.loads(printed)["log"])


def test_install_runtime_warns_if_another_interpreter_is_in_use(qgis_process, wheels, fresh):
    done = qgis_process(
        "run", "ssdiff:installruntime", f"WHEELS={wheels}", **{**fresh, "SSDIFF_PYTHON": sys.executable}
    )
    assert done.returncode == 0, done.stderr
    assert f"still uses {sys.executable}" in done.stdout + done.stderr


def test_a_missing_wheel_is_an_error_in_one_sentence(qgis_process, wheels, fresh):
    next(wheels.glob("numpy*")).unlink()
    done = qgis_process("run", "ssdiff:installruntime", f"WHEELS={wheels}", **fresh)
    assert done.returncode != 0
    assert "there is no wheel of numpy==" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_offline_mode_requires_a_wheels_folder(qgis_process, fresh):
    done = qgis_process("run", "ssdiff:installruntime", SSDIFF_OFFLINE="1", **fresh)
    assert done.returncode != 0
    assert "select a wheels folder" in done.stdout + done.stderr


def test_a_cancelled_installation_leaves_no_environment(in_qgis, wheels, fresh):
    code = INSTALL.format(cancel="Processing", parameters={"WHEELS": str(wheels)})
    assert in_qgis(code, **fresh) == [{"READY": False}, True, 0]


def test_install_runtime_does_not_support_batch(in_qgis):
    code = """
from qgis.core import QgsProcessingAlgorithm
from ssdiff.ssdiff_qgis.algorithms.install_runtime import InstallRuntime
flags = InstallRuntime().create().flags()
answer = [bool(flags & QgsProcessingAlgorithm.FlagSupportsBatch), bool(flags & QgsProcessingAlgorithm.FlagCanCancel)]
"""
    assert in_qgis(code) == [False, True]


# --- interpreter -----------------------------------------------------------------------------------------------------


def test_the_configured_interpreter_comes_before_qgis_and_the_runtime(in_qgis):
    code = """
from ssdiff.ssdiff_core.common.errors import NoPythonError
from ssdiff.ssdiff_qgis.services.runtime import choose
def chosen(*known):
    try:
        return choose(*known).python
    except NoPythonError as error:
        return str(error)
answer = [
    chosen("configured", "the options", "own", [], "installed"),
    chosen("", "", "own", [], "installed"),
    chosen("", "", "own", ["safetensors"], "installed"),
    chosen("", "", "", [], "installed"),
    chosen("", "", "own", ["torch"], ""),
]
"""
    *found, nothing = in_qgis(code)
    assert found == ["configured", "own", "installed", "installed"]
    assert 'Run the algorithm "Install runtime"' in nothing


def test_packages_that_another_plugin_adds_to_the_path_do_not_count(in_qgis, tmp_path):
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").touch()
    code = f"""
import importlib.util, site
sys.path.insert(0, {str(tmp_path)!r})
site.getsitepackages = lambda: ["/nowhere"]
from ssdiff.ssdiff_qgis.services import runtime
answer = [importlib.util.find_spec("torch") is not None, runtime.missing_packages(), "torch" in sys.modules]
"""
    assert in_qgis(code) == [True, ["torch", "numpy", "safetensors"], False]


def test_all_runs_share_a_worker_per_interpreter_and_none_outlives_the_plugin(in_qgis, tmp_path):
    other = tmp_path / "python"
    other.symlink_to(sys.executable)
    code = f"""
import os
from ssdiff import classFactory
from ssdiff.ssdiff_qgis.services import runtime
plugin = classFactory(None)
plugin.initProcessing()
first = runtime.worker()
hello, pid = first.hello(), first.pid
same = runtime.worker() is first and runtime.worker().pid == pid
os.environ["SSDIFF_PYTHON"] = {str(other)!r}
second = runtime.worker()
plugin.unload()
answer = [hello["devices"]["cpu"]["works"], same, second.python, first.pid, "torch" in sys.modules]
"""
    assert in_qgis(code) == [True, True, str(other), None, False]


def test_a_preview_gets_a_second_process_only_while_a_run_uses_the_first_and_memory_allows(in_qgis):
    code = """
from ssdiff import classFactory
from ssdiff.ssdiff_qgis.services import runtime
plugin = classFactory(None)
plugin.initProcessing()
first = runtime.worker()
alone = runtime.worker(preview=True) is first
with runtime.use("Pansharpen, town"):
    chosen = []
    for runtime.MEMORY_OF_SECOND in (0, 1 << 60):
        chosen.append(runtime.worker(preview=True) is first)
    answer = [alone, chosen, runtime.worker() is first, runtime.runs()]
answer.append(runtime.runs())
plugin.unload()
"""
    assert in_qgis(code) == [True, [False, True], True, ["Pansharpen, town"], []]


def test_without_an_interpreter_the_error_says_what_to_do(in_qgis, fresh):
    code = """
import site
site.getsitepackages = lambda: []
from ssdiff.ssdiff_qgis.services import runtime
try:
    runtime.worker()
except Exception as error:
    answer = [type(error).__name__, str(error)]
"""
    kind, sentence = in_qgis(code, **fresh)
    assert kind == "NoPythonError"
    assert "Install runtime" in sentence


# --- settings --------------------------------------------------------------------------------------------------------

READ = """
from pathlib import Path
from qgis.core import QgsSettings
from ssdiff import classFactory
from ssdiff.ssdiff_core.common import paths
from ssdiff.ssdiff_qgis.services import settings
def read():
    return [settings.python(), str(settings.cache()), settings.device(), settings.memory(), settings.offline(),
            settings.weights_url()]
"""
NO_VARIABLES = dict.fromkeys(("SSDIFF_PYTHON", "SSDIFF_CACHE"), "")


def test_settings_are_shown_in_processing_until_the_plugin_is_unloaded(in_qgis):
    code = (
        READ
        + """
from processing.core.ProcessingConfig import ProcessingConfig
plugin = classFactory(None)
plugin.initProcessing()
shown = [option.name for option in ProcessingConfig.getSettings()["SSDiff"]]
plugin.unload()
answer = [shown, "SSDiff" in ProcessingConfig.getSettings()]
"""
    )
    shown, left = in_qgis(code)
    names = "PYTHON", "CACHE", "DEVICE", "MEMORY", "OFFLINE", "WEIGHTS_URL", "AUTHCFG"
    assert shown == [f"SSDIFF_{name}" for name in names]
    assert not left


def test_changed_settings_apply_at_once_and_the_environment_overrides_them(in_qgis, tmp_path):
    code = (
        READ
        + f"""
import os
from processing.core.ProcessingConfig import ProcessingConfig
plugin = classFactory(None)
plugin.initProcessing()
before = read()
for name, value in {{"PYTHON": {sys.executable!r}, "CACHE": {str(tmp_path)!r}, "DEVICE": "cuda:1", "MEMORY": "256",
                    "OFFLINE": True, "WEIGHTS_URL": "https://mirror.example/"}}.items():
    ProcessingConfig.setSettingValue("SSDIFF_" + name, value)
plugin.provider.refreshAlgorithms()  # as the dialog does
weights = str(paths.weights())
after = read()
os.environ.update(SSDIFF_DEVICE="cpu", SSDIFF_OFFLINE="0", SSDIFF_MEMORY="4096", SSDIFF_CACHE="/from/environment")
won = read()
for name in ("PYTHON", "CACHE", "DEVICE", "MEMORY", "OFFLINE", "WEIGHTS_URL"):
    QgsSettings().remove("Processing/Configuration/SSDIFF_" + name)
answer = [before, after, won, weights, settings.origin_of("SSDIFF_DEVICE"), settings.origin_of("SSDIFF_WEIGHTS_URL")]
"""
    )
    before, after, won, weights, *origins = in_qgis(code, **NO_VARIABLES)
    assert before[:1] + before[2:] == ["", "auto", 1024, False, ""]
    assert after == [sys.executable, str(tmp_path), "cuda:1", 256, True, "https://mirror.example/"]
    assert weights == str(tmp_path / "weights")
    assert won[1:5] == ["/from/environment", "cpu", 4096, False]
    assert origins == ["the environment variable SSDIFF_DEVICE", "the default"]


def test_settings_are_read_without_the_plugin_processing(in_qgis):
    code = (
        READ
        + """
QgsSettings().setValue("Processing/Configuration/SSDIFF_DEVICE", "mps")
plugin = classFactory(None)
plugin.initProcessing()
answer = [settings.device(), "processing" in sys.modules]
plugin.unload()
QgsSettings().remove("Processing/Configuration/SSDIFF_DEVICE")
"""
    )
    assert in_qgis(code, processing=False) == ["mps", False]


def test_an_invalid_value_is_an_error_that_names_its_origin(in_qgis):
    code = (
        READ
        + """
from ssdiff.ssdiff_core.common.errors import ConfigError
from processing.core.ProcessingConfig import ProcessingConfig
plugin = classFactory(None)
plugin.initProcessing()
answer = []
for read_it in (settings.device, settings.memory, lambda: ProcessingConfig.setSettingValue("SSDIFF_DEVICE", "gpu")):
    try:
        read_it()
    except (ConfigError, ValueError) as error:
        answer.append(str(error))
"""
    )
    device, memory, dialog = in_qgis(code, SSDIFF_DEVICE="tpu", SSDIFF_MEMORY="lots")
    assert device == (
        "The device must be auto, cpu, cuda, cuda:N or mps, not 'tpu' (the environment variable SSDIFF_DEVICE)"
    )
    assert "The memory must be at least 64 MB, not 'lots'" in memory
    assert "'gpu'" in dialog


# --- network ---------------------------------------------------------------------------------------------------------

PROXY = """
from qgis.core import QgsNetworkAccessManager, QgsSettings
from ssdiff.ssdiff_qgis.services import http
values = {"proxyEnabled": True, "proxyType": "HttpProxy", "proxyHost": "proxy.example", "proxyPort": "3128",
          "proxyUser": "me@work", "proxyPassword": "p/w:d", "noProxyUrls": ["https://intern.example/maps"]}
for name, value in values.items():
    QgsSettings().setValue("proxy/" + name, value)
QgsNetworkAccessManager.instance().setupDefaultProxyAndCache()
found = http.proxy_environment()
QgsSettings().remove("proxy")
answer = found
"""
NO_NETWORK = dict.fromkeys(
    ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT"), ""
)


def test_an_installer_gets_the_proxy_and_the_authorities_of_qgis(in_qgis, tmp_path):
    found = in_qgis(PROXY, SSDIFF_CACHE=str(tmp_path), **NO_NETWORK)
    assert found["HTTPS_PROXY"] == found["HTTP_PROXY"] == "http://me%40work:p%2Fw%3Ad@proxy.example:3128"
    assert "intern.example" in found["NO_PROXY"].split(",")
    assert "BEGIN CERTIFICATE" in Path(found["SSL_CERT_FILE"]).read_text()
    assert found["SSL_CERT_FILE"] == found["PIP_CERT"]


def test_proxy_and_authorities_of_the_environment_take_precedence(in_qgis, tmp_path):
    given = {**NO_NETWORK, "HTTPS_PROXY": "http://other.example:8080", "SSL_CERT_FILE": "/etc/ssl/mine.pem"}
    assert in_qgis(PROXY, SSDIFF_CACHE=str(tmp_path), **given) == {}
