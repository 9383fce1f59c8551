"""Downloads of weights in a real QGIS with its network settings, from real servers and through real proxies."""

import base64
import json

import pytest
from files import sample_files
from plugins import plugin_with, tiny
from servers import Files, Proxy, Socks, cut, running, stalled, status

MASTER = "correct horse battery"


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    folder = tmp_path_factory.mktemp("release")
    return [tiny(folder / f"{name}.safetensors", name, bands) for name, bands in (("four", 4), ("eight", 8))]


@pytest.fixture(scope="module")
def plugin(tmp_path_factory, release):
    """Returns a plugin folder whose catalogue has weights that are not included."""
    return plugin_with(tmp_path_factory.mktemp("with") / "plugin", *release)


@pytest.fixture
def qgis(qgis_with, plugin):
    return qgis_with(plugin)


@pytest.fixture
def server(release):
    with running(Files({f"/{path.name}": path.read_bytes() for path in release})) as server:
        yield server


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


def test_weights_are_downloaded_once(download, server, release, tmp_path):
    server.script = [cut(102_400)]
    folder = tmp_path / "cache" / "weights"
    assert download(WEIGHTS="four") == {"COUNT": 1, "FOLDER": str(folder)}
    assert download(WEIGHTS="all")["COUNT"] == 1
    assert download(WEIGHTS="all")["COUNT"] == 0
    assert {path.read_bytes() for path in folder.glob("*.safetensors")} == {path.read_bytes() for path in release}
    whole, rest, other = server.ranges
    assert (whole, other) == (None, None)
    assert 0 < int(rest[len("bytes=") : -1]) <= 102_400


def test_a_file_is_imported_without_network_access(download, server, tmp_path):
    mine = tiny(tmp_path / "x.safetensors", "mine", 4)
    assert download(environ={"SSDIFF_OFFLINE": "1"}, FILE=mine)["COUNT"] == 1
    assert (tmp_path / "cache" / "weights" / "mine.safetensors").read_bytes() == mine.read_bytes()
    assert server.asked == []


def test_errors_are_one_sentence(download, server, tmp_path):
    assert "Select weights to download or a file to import" in download(fails=True)
    server.script = [status(404)]
    assert "127.0.0.1 responds with status 404" in download(fails=True, WEIGHTS="eight")
    assert "import the file" in download(fails=True, environ={"SSDIFF_OFFLINE": "1"}, WEIGHTS="all")
    (tmp_path / "x.safetensors").write_bytes(b"nothing")
    assert "not a whole safetensors file" in download(fails=True, FILE=tmp_path / "x.safetensors")


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
def test_the_proxy_of_qgis_is_used_with_its_password(kind, make, qgis, download, server):
    with running(make("me:p@ss word")) as proxy:
        login = {"proxyUser": "me", "proxyPassword": "p@ss word"}
        qgis.settings(proxy=proxy_settings(kind, proxy, **login))
        assert download(WEIGHTS="four")["COUNT"] == 1
        assert len(proxy.seen) == 1
        qgis.settings(proxy={"proxyExcludedUrls": f"{server.url}/"})
        assert download(WEIGHTS="eight")["COUNT"] == 1
        assert len(proxy.seen) == 1


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


@pytest.fixture
def unlocked(qgis, tmp_path):
    """Stores an authentication configuration abc1234 in QGIS; returns the environment that unlocks it."""
    done = qgis.python(STORE, MASTER)
    assert done.returncode == 0, done.stderr
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
from qgis.PyQt.QtNetwork import QSslCertificate
(certificate,) = QSslCertificate.fromPath(sys.argv[1])
assert QgsApplication.authManager().storeCertAuthority(certificate)
"""


def test_a_certificate_authority_added_in_qgis_is_trusted(qgis, download, release, certificate):
    with running(Files({"/four.safetensors": release[0].read_bytes()}, certificate=certificate)) as safe:
        environ = {"SSDIFF_WEIGHTS_URL": safe.url}
        assert "certificate of 127.0.0.1 cannot be verified" in download(fails=True, environ=environ, WEIGHTS="four")
        done = qgis.python(TRUST, certificate[0])
        assert done.returncode == 0, done.stderr
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
