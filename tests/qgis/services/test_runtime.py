"""Which Python computes, how it is installed from QGIS, and the options that say so; in a real QGIS."""

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
answer = [outputs, done]
"""


@pytest.fixture
def wheels(tmp_path):
    pinned = standins.pins()
    standins.others(tmp_path / "wheels", pinned)
    standins.torch(tmp_path / "wheels", pinned["torch"])
    return tmp_path / "wheels"


@pytest.fixture
def fresh(tmp_path):
    """Nothing is named, nothing is made, and pip has no options."""
    return {"SSDIFF_PYTHON": "", "SSDIFF_CACHE": str(tmp_path / "cache"), "PIP_CONFIG_FILE": os.devnull}


# --- Install runtime -------------------------------------------------------------------------------------------------


def test_install_runtime_makes_what_computes_and_diagnostics_find_it(torchless, outputs, wheels, fresh):
    made = outputs("installruntime", f"WHEELS={wheels}", "DEVICE=auto", **fresh)
    assert (made["READY"], made["DEVICE"]) == (True, "cpu")
    assert made["PYTHON"].startswith(fresh["SSDIFF_CACHE"])
    found = outputs("diagnostics", **fresh)
    report = json.loads(found["REPORT"])
    assert found["READY"] is True
    assert (report["python"], report["why"]) == (made["PYTHON"], "made by Install runtime")
    assert report["environments"][0]["state"] == "ready"
    assert sum(report["cache"].values()) > 0


def test_install_runtime_tells_what_it_does(qgis_process, wheels, fresh):
    done = qgis_process("run", "ssdiff:installruntime", f"WHEELS={wheels}", **fresh)
    assert done.returncode == 0, done.stderr
    for word in ("Installing torch==", str(wheels), "GB on the disk", "is complete: torch"):
        assert word in done.stdout


def test_install_runtime_says_that_another_python_is_named(qgis_process, wheels, fresh):
    done = qgis_process(
        "run", "ssdiff:installruntime", f"WHEELS={wheels}", **{**fresh, "SSDIFF_PYTHON": sys.executable}
    )
    assert done.returncode == 0, done.stderr
    assert f"computes with {sys.executable} all the same" in done.stdout + done.stderr


def test_a_missing_wheel_is_an_error_in_one_sentence(qgis_process, wheels, fresh):
    next(wheels.glob("numpy*")).unlink()
    done = qgis_process("run", "ssdiff:installruntime", f"WHEELS={wheels}", **fresh)
    assert done.returncode != 0
    assert "there is no wheel of numpy==" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_without_a_network_a_folder_must_be_named(qgis_process, fresh):
    done = qgis_process("run", "ssdiff:installruntime", SSDIFF_OFFLINE="1", **fresh)
    assert done.returncode != 0
    assert "name a folder of wheels" in done.stdout + done.stderr


def test_a_cancelled_installation_leaves_nothing_to_compute_with(in_qgis, wheels, fresh):
    code = INSTALL.format(cancel="Processing", parameters={"WHEELS": str(wheels)})
    assert in_qgis(code, **fresh) == [{"READY": False}, True]
    code = "from ssdiff.ssdiff_core.runtime import environment as managed\nanswer = managed.environments() == []"
    assert in_qgis(code, **fresh)


def test_install_runtime_is_for_no_batch(in_qgis):
    code = """
from qgis.core import QgsProcessingAlgorithm
from ssdiff.ssdiff_qgis.algorithms.install_runtime import InstallRuntime
flags = InstallRuntime().create().flags()
answer = [bool(flags & QgsProcessingAlgorithm.FlagSupportsBatch), bool(flags & QgsProcessingAlgorithm.FlagCanCancel)]
"""
    assert in_qgis(code) == [False, True]


# --- which Python ----------------------------------------------------------------------------------------------------


def test_the_first_of_named_own_and_made_computes(in_qgis):
    code = """
from ssdiff.ssdiff_core.common.errors import NoPythonError
from ssdiff.ssdiff_qgis.services.runtime import choose
def chosen(*known):
    try:
        return choose(*known).python
    except NoPythonError as error:
        return str(error)
answer = [
    chosen("named", "the options", "own", [], "made"),
    chosen("", "", "own", [], "made"),
    chosen("", "", "own", ["safetensors"], "made"),
    chosen("", "", "", [], "made"),
    chosen("", "", "own", ["torch"], ""),
]
"""
    *found, nothing = in_qgis(code)
    assert found == ["named", "own", "made", "made"]
    assert 'run the algorithm "Install runtime"' in nothing


def test_what_another_plugin_puts_on_the_path_of_qgis_does_not_count(in_qgis, tmp_path):
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").touch()
    code = f"""
import importlib.util, site
sys.path.insert(0, {str(tmp_path)!r})
site.getsitepackages = lambda: ["/nowhere"]
from ssdiff.ssdiff_qgis.services import runtime
answer = [importlib.util.find_spec("torch") is not None, runtime.lacking(), "torch" in sys.modules]
"""
    assert in_qgis(code) == [True, ["torch", "numpy", "safetensors"], False]


def test_one_process_computes_for_all_until_another_python_is_chosen_and_none_outlives_the_plugin(in_qgis, tmp_path):
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


def test_where_nothing_computes_the_worker_says_what_to_do(in_qgis, fresh):
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


# --- options ---------------------------------------------------------------------------------------------------------

READ = """
from pathlib import Path
from qgis.core import QgsSettings
from ssdiff import classFactory
from ssdiff.ssdiff_core.common import paths as places
from ssdiff.ssdiff_qgis.services import settings
def read():
    return [settings.python(), str(settings.cache()), settings.device(), settings.memory(), settings.offline(),
            settings.weights_url()]
"""
NO_VARIABLES = dict.fromkeys(("SSDIFF_PYTHON", "SSDIFF_CACHE"), "")


def test_options_are_shown_in_processing_and_go_with_the_plugin(in_qgis):
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


def test_what_is_set_in_the_dialog_is_what_is_read_at_once_and_the_environment_wins(in_qgis, tmp_path):
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
weights = str(places.weights())
after = read()
os.environ.update(SSDIFF_DEVICE="cpu", SSDIFF_OFFLINE="0", SSDIFF_MEMORY="4096", SSDIFF_CACHE="/from/environment")
won = read()
for name in ("PYTHON", "CACHE", "DEVICE", "MEMORY", "OFFLINE", "WEIGHTS_URL"):
    QgsSettings().remove("Processing/Configuration/SSDIFF_" + name)
answer = [before, after, won, weights, settings.come_from("SSDIFF_DEVICE"), settings.come_from("SSDIFF_WEIGHTS_URL")]
"""
    )
    before, after, won, weights, *origins = in_qgis(code, **NO_VARIABLES)
    assert before[:1] + before[2:] == ["", "auto", 1024, False, ""]
    assert after == [sys.executable, str(tmp_path), "cuda:1", 256, True, "https://mirror.example/"]
    assert weights == str(tmp_path / "weights")
    assert won[1:5] == ["/from/environment", "cpu", 4096, False]
    assert origins == ["the environment variable SSDIFF_DEVICE", "the default"]


def test_options_are_read_where_processing_is_not_there(in_qgis):
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


def test_values_that_make_no_sense_are_sentences_that_say_where_they_come_from(in_qgis):
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
        "The device 'tpu' is none of auto, cpu, cuda, cuda:1 ..., mps (the environment variable SSDIFF_DEVICE)"
    )
    assert "The memory 'lots' is no number of MB" in memory
    assert "'gpu'" in dialog


# --- the network -----------------------------------------------------------------------------------------------------

PROXY = """
from qgis.core import QgsNetworkAccessManager, QgsSettings
from ssdiff.ssdiff_qgis.services import http as network
values = {"proxyEnabled": True, "proxyType": "HttpProxy", "proxyHost": "proxy.example", "proxyPort": "3128",
          "proxyUser": "me@work", "proxyPassword": "p/w:d", "noProxyUrls": ["https://intern.example/maps"]}
for name, value in values.items():
    QgsSettings().setValue("proxy/" + name, value)
QgsNetworkAccessManager.instance().setupDefaultProxyAndCache()
found = network.variables()
QgsSettings().remove("proxy")
answer = found
"""
NO_NETWORK = dict.fromkeys(
    ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT"), ""
)


def test_an_installer_hears_of_the_proxy_of_qgis_and_of_the_authorities_it_trusts(in_qgis, tmp_path):
    found = in_qgis(PROXY, SSDIFF_CACHE=str(tmp_path), **NO_NETWORK)
    assert found["HTTPS_PROXY"] == found["HTTP_PROXY"] == "http://me%40work:p%2Fw%3Ad@proxy.example:3128"
    assert "intern.example" in found["NO_PROXY"].split(",")
    assert "BEGIN CERTIFICATE" in Path(found["SSL_CERT_FILE"]).read_text()
    assert found["SSL_CERT_FILE"] == found["PIP_CERT"]


def test_what_the_environment_says_of_proxy_and_authorities_wins(in_qgis, tmp_path):
    given = {**NO_NETWORK, "HTTPS_PROXY": "http://other.example:8080", "SSL_CERT_FILE": "/etc/ssl/mine.pem"}
    assert in_qgis(PROXY, SSDIFF_CACHE=str(tmp_path), **given) == {}
