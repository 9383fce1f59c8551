"""Downloads of weights in a real QGIS with its network settings, from real servers and through real proxies."""

import base64
import json
import shutil

import pytest
from files import sample_files
from plugins import tiny
from servers import Files, Proxy, Socks, cut, running, stalled, status

MASTER = "correct horse battery"


@pytest.fixture
def qgis(qgis_with, plugin_of_release):
    return qgis_with(plugin_of_release)


@pytest.fixture
def server(release_server):
    return release_server


@pytest.fixture
def download(qgis, server, tmp_path):
    """Returns a function that runs the algorithm: it returns the outputs, or the log of a run that must fail."""

    def download(fails=False, environ=(), **parameters):
        environ = {"SSDIFF_CACHE": tmp_path / "cache", "SSDIFF_WEIGHTS_URL": server.url, **dict(environ)}
        given = [f"--{name}={value}" for name, value in parameters.items()]
        done = qgis("run", "ssdiff:downloadweights", "--json", *given, **environ)
        assert bool(done.returncode) == fails, done.stderr
        return done.stdout + done.stderr if fails else json.loads(done.stdout)["results"]

    return download


def test_weights_are_downloaded_once(qgis, download, server, release, tmp_path):
    server.script = [cut(102_400)]
    folder = tmp_path / "cache" / "weights"
    assert download(WEIGHTS="four") == {"COUNT": 1, "FOLDER": str(folder)}
    twice = [("downloadweights", {"WEIGHTS": "all"})] * 2
    ran = qgis.runs(*twice, SSDIFF_CACHE=tmp_path / "cache", SSDIFF_WEIGHTS_URL=server.url)
    assert [results["COUNT"] for results, _ in ran] == [1, 0]
    assert {path.read_bytes() for path in folder.glob("*.safetensors")} == {path.read_bytes() for path in release}
    whole, rest, other = server.ranges
    assert (whole, other) == (None, None)
    assert 0 < int(rest[len("bytes=") : -1]) <= 102_400


def test_a_file_is_imported_without_network_access(download, server, tmp_path):
    mine = tiny(tmp_path / "x.safetensors", "mine", 4)
    assert download(environ={"SSDIFF_OFFLINE": "1"}, FILE=mine)["COUNT"] == 1
    assert (tmp_path / "cache" / "weights" / "mine.safetensors").read_bytes() == mine.read_bytes()
    assert server.asked == []


def test_errors_are_one_sentence(qgis, download, server, tmp_path):
    server.script = [status(404)]
    (tmp_path / "x.safetensors").write_bytes(b"nothing")
    runs = [("downloadweights", given) for given in ({}, {"WEIGHTS": "eight"}, {"FILE": tmp_path / "x.safetensors"})]
    ran = qgis.runs(*runs, SSDIFF_CACHE=tmp_path / "cache", SSDIFF_WEIGHTS_URL=server.url)
    assert [results for results, _ in ran] == [None] * 3
    nothing, absent, damaged = (log for _, log in ran)
    assert "Select weights to download or a file to import" in nothing
    assert "127.0.0.1 responds with status 404" in absent
    assert "not a whole safetensors file" in damaged
    assert "import the file" in download(fails=True, environ={"SSDIFF_OFFLINE": "1"}, WEIGHTS="all")


def test_a_download_can_be_cancelled_and_qgis_does_not_import_torch(qgis, server, tmp_path):
    code = """
import threading, time
from qgis.core import QgsProcessingContext, QgsProcessingFeedback
from ssdiff.ssdiff_qgis.algorithms.download_weights import DownloadWeights
feedback = QgsProcessingFeedback()
threading.Timer(1, feedback.cancel).start()
start = time.monotonic()
results, succeeded = DownloadWeights().create().run({"WEIGHTS": "all"}, QgsProcessingContext(), feedback)
assert time.monotonic() - start < 300, "the server stalls for ten minutes"
print(succeeded, results, "torch" in sys.modules)
"""
    server.script = [stalled(100_000)] * 9
    done = qgis.python(code, SSDIFF_CACHE=tmp_path / "cache", SSDIFF_WEIGHTS_URL=server.url)
    assert done.stdout.split() == ["True", "{}", "False"], done.stderr


# --- QGIS's own settings ---------------------------------------------------------------------------------------------


def proxy_settings(kind, proxy, **more):
    host, port = proxy.address.split(":")
    return {"proxyEnabled": "true", "proxyType": kind, "proxyHost": host, "proxyPort": port, **more}


@pytest.mark.parametrize(("kind", "make"), [("HttpProxy", Proxy), ("Socks5Proxy", Socks)])
def test_the_proxy_of_qgis_is_used_with_its_password_but_not_for_excluded_addresses(kind, make, qgis, download, server):
    with running(make("me:p@ss word")) as proxy:
        login = {"proxyUser": "me", "proxyPassword": "p@ss word"}
        excluded = {"proxyExcludedUrls": f"{server.url}/eight"}
        qgis.settings(proxy=proxy_settings(kind, proxy, **login, **excluded))
        assert download(WEIGHTS="all")["COUNT"] == 2
        assert len(proxy.seen) == 1
        assert [path for path, _ in server.asked] == ["/four.safetensors", "/eight.safetensors"]


def test_the_system_proxy_is_used_if_qgis_is_set_to_it(qgis, download, server):
    with running(Proxy()) as proxy:
        qgis.settings(proxy={"proxyEnabled": "true", "proxyType": "DefaultProxy"})
        environ = {"http_proxy": f"http://{proxy.address}", "no_proxy": ""}
        assert download(environ=environ, WEIGHTS="four")["COUNT"] == 1
        assert len(proxy.seen) == 1


def test_url_and_offline_mode_can_be_set(qgis, download, server):
    qgis.settings(Processing={r"Configuration\SSDIFF_WEIGHTS_URL": server.url})
    assert download(environ={"SSDIFF_WEIGHTS_URL": ""}, WEIGHTS="four")["COUNT"] == 1
    qgis.settings(Processing={r"Configuration\SSDIFF_OFFLINE": "true"})
    assert "offline" in download(fails=True, WEIGHTS="eight")


STORE = """
from pathlib import Path
from qgis.core import QgsAuthMethodConfig
manager = QgsApplication.authManager()
assert manager.setMasterPassword(sys.argv[1], True)
config = QgsAuthMethodConfig("Basic")
config.setId("abc1234"), config.setName("mirror")
config.setConfig("username", "me"), config.setConfig("password", "p@ss")
assert manager.storeAuthenticationConfig(config)
"""


@pytest.fixture(scope="module")
def locked(qgis_with, plugin_of_release):
    """Returns a profile with a stored authentication configuration abc1234."""
    qgis = qgis_with(plugin_of_release)
    done = qgis.python(STORE, MASTER)
    assert done.returncode == 0, done.stderr
    return qgis.profile


@pytest.fixture
def unlocked(qgis, locked, tmp_path):
    """Gives QGIS this profile; returns the environment that unlocks the configuration."""
    shutil.copytree(locked, qgis.profile, dirs_exist_ok=True)
    (tmp_path / "master").write_text(MASTER)
    return {"QGIS_AUTH_PASSWORD_FILE": tmp_path / "master"}


def test_an_authentication_configuration_is_used_for_a_private_server(qgis, download, server, unlocked):
    for number, (named, weights) in enumerate((("abc1234", "four"), ("mirror", "eight"))):
        qgis.settings(Processing={r"Configuration\SSDIFF_AUTHCFG": named})
        download(environ=unlocked, WEIGHTS=weights)
        header = server.asked[number][1]["Authorization"]
        assert base64.b64decode(header.split()[1]) == b"me:p@ss"


def test_an_unknown_authentication_configuration_is_an_error(qgis, download, unlocked):
    qgis.settings(Processing={r"Configuration\SSDIFF_AUTHCFG": "nowhere"})
    assert "authentication configuration 'nowhere'" in download(fails=True, environ=unlocked, WEIGHTS="eight")


CHOOSE = """
import ssdiff
ssdiff.classFactory(None).initProcessing()
from processing.core.ProcessingConfig import ProcessingConfig
for name in ("", "mirror", "abc1234", "nowhere"):
    try:
        ProcessingConfig.setSettingValue("SSDIFF_AUTHCFG", name)
        print(name)
    except ValueError as error:
        print(error)
"""


def test_the_settings_accept_only_known_authentication_configurations(qgis, unlocked):
    *accepted, error = qgis.python(CHOOSE).stdout.splitlines()
    assert accepted == ["", "mirror", "abc1234"]
    assert "QGIS has no authentication configuration 'nowhere'" in error


def test_an_authentication_configuration_is_used_for_the_proxy(qgis, download, unlocked):
    with running(Proxy("me:p@ss")) as proxy:
        qgis.settings(proxy=proxy_settings("HttpProxy", proxy, authcfg="abc1234"))
        assert download(environ=unlocked, WEIGHTS="four")["COUNT"] == 1
        assert len(proxy.seen) == 1


TRUST = """
import ssdiff
plugin = ssdiff.classFactory(None)
plugin.initProcessing()
from qgis.core import QgsProcessingContext, QgsProcessingFeedback
feedback = QgsProcessingFeedback()
download = QgsApplication.processingRegistry().createAlgorithmById("ssdiff:downloadweights")
succeeded = download.run({"WEIGHTS": "four"}, QgsProcessingContext(), feedback)[1]
print(succeeded, feedback.textLog())
from qgis.PyQt.QtNetwork import QSslCertificate
(certificate,) = QSslCertificate.fromPath(sys.argv[1])
assert QgsApplication.authManager().storeCertAuthority(certificate)
"""


def test_a_certificate_authority_added_in_qgis_is_trusted(qgis, download, release, certificate):
    with running(Files({"/four.safetensors": release[0].read_bytes()}, certificate=certificate)) as safe:
        environ = {"SSDIFF_WEIGHTS_URL": safe.url}
        done = qgis.python(TRUST, certificate[0], **environ)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("False")
        assert "certificate of 127.0.0.1 cannot be verified" in done.stdout
        assert download(environ=environ, WEIGHTS="four")["COUNT"] == 1


def test_pansharpening_downloads_weights_with_the_same_network_settings(qgis, server, tmp_path):
    pan, ms, _ = sample_files(tmp_path)
    layers = {"PANCHROMATIC": pan, "SPECTRAL": ms, "EXTENT": "400012,400072,4499940,4499988 [EPSG:32632]"}
    given = {**layers, "WEIGHTS": "four", "DEVICE": "cpu", "OUTPUT": tmp_path / "fused.tif"}
    arguments = [f"{name}={value}" for name, value in given.items()]
    with running(Proxy("me:secret")) as proxy:
        qgis.settings(proxy=proxy_settings("HttpProxy", proxy, proxyUser="me", proxyPassword="secret"))
        done = qgis("run", "ssdiff:pansharpen", "--json", "--", *arguments, SSDIFF_WEIGHTS_URL=server.url)
        assert done.returncode == 0, done.stderr
        assert proxy.seen == [f"GET {server.url}/four.safetensors"]
    assert json.loads(done.stdout)["results"]["USED"] == "four"
