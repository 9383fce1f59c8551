"""The network as QGIS reaches it: its proxy, its authentications and the authorities it trusts.

What fetches knows no Qt, so all of that is told it once, as plain values, from the main thread (prepareAlgorithm).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote, urlsplit

from qgis.core import QgsApplication, QgsNetworkAccessManager
from qgis.PyQt.QtCore import QUrl
from qgis.PyQt.QtNetwork import (
    QNetworkProxy,
    QNetworkProxyFactory,
    QNetworkProxyQuery,
    QNetworkRequest,
    QSslConfiguration,
)

from ...ssdiff_core.common.errors import DownloadError
from ...ssdiff_core.weights import catalogue
from ...ssdiff_core.weights.http import Connection
from . import settings
from .i18n import tr

PACKAGES = "https://pypi.org/"
"where an installer goes, for systems whose proxy depends on that"
PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")
AUTHORITIES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT")
SCHEMES = {
    QNetworkProxy.ProxyType.HttpProxy: "http",
    QNetworkProxy.ProxyType.HttpCachingProxy: "http",
    QNetworkProxy.ProxyType.Socks5Proxy: "socks5h",  # the proxy looks names up, as Qt has it
}


def home() -> str:
    """The address that weights lie under."""
    return catalogue.home(settings.weights_url())


def connection() -> Connection:
    manager = QgsNetworkAccessManager.instance()
    return Connection(
        proxies=_proxies(manager, home()),
        direct=_direct(manager),
        ca=_authorities(),
        offline=settings.offline(),
    )


def fetcher(feedback, progress: Callable[[float], None]) -> catalogue.Fetch:
    """What brings weights, for an algorithm whose user hears of it and may cancel it."""
    try:
        headers = _headers(home(), settings.authentication())
    except DownloadError as error:
        return _refusing(error)  # whose weights are here need not hear of it
    reached = replace(connection(), headers=headers, home=home())
    return catalogue.fetcher(reached, progress, feedback.isCanceled, feedback.pushInfo, settings.weights_url())


def _refusing(error: DownloadError) -> catalogue.Fetch:
    def fetch(entry):
        raise error

    return fetch


def variables() -> dict[str, str]:
    """What a program is told that fetches packages, and asks its environment; what that of QGIS says itself wins."""
    manager, found = QgsNetworkAccessManager.instance(), {}
    proxies = None if _says(PROXIES) else _proxies(manager, PACKAGES)
    if proxies:
        direct = ["localhost", "127.0.0.1", *(urlsplit(url).hostname or url for url in _direct(manager))]
        found |= dict.fromkeys(PROXIES, proxies["https"]) | {"NO_PROXY": ",".join(direct)}
    authorities = "" if _says(AUTHORITIES) else _authorities()
    if authorities:
        found |= dict.fromkeys(AUTHORITIES, authorities)
    return found


def _says(names: tuple[str, ...]) -> bool:
    return any(os.environ.get(name) or os.environ.get(name.lower()) for name in names)


def _direct(manager: QgsNetworkAccessManager) -> tuple[str, ...]:
    """How addresses begin that are reached without a proxy."""
    return tuple(filter(None, [*manager.excludeList(), *manager.noProxyList()]))


def _proxies(manager: QgsNetworkAccessManager, url: str) -> dict[str, str] | None:
    """The proxy of QGIS; None where it has none: then the environment may name one."""
    if manager.useSystemProxy():  # which may depend on where one goes
        proxy = QNetworkProxyFactory.systemProxyForQuery(QNetworkProxyQuery(QUrl(url)))[0]
    else:
        proxy = manager.fallbackProxy()
    if proxy.type() not in SCHEMES or not proxy.hostName():
        return None
    login = f"{quote(proxy.user(), '')}:{quote(proxy.password(), '')}@" if proxy.user() else ""
    port = f":{proxy.port()}" if proxy.port() else ""
    return dict.fromkeys(("http", "https"), f"{SCHEMES[proxy.type()]}://{login}{proxy.hostName()}{port}")


def _headers(url: str, configuration: str) -> dict[str, str]:
    """What an authentication configuration adds to a request."""
    if not configuration:
        return {}
    done, request = QgsApplication.authManager().updateNetworkRequest(QNetworkRequest(QUrl(url)), configuration)
    if not done:
        raise DownloadError(
            tr("QGIS cannot use its authentication configuration {!r}: unlock it, or choose another one").format(
                configuration
            )
        )
    return {bytes(name).decode(): bytes(request.rawHeader(name)).decode() for name in request.rawHeaderList()}


def _authorities() -> str:
    """A PEM file of the authorities that QGIS trusts: the system's, and those that were added in its settings."""
    pem = bytes(QgsApplication.authManager().trustedCaCertsPemText())
    if not pem:  # no authentication database
        pem = b"".join(bytes(each.toPem()) for each in QSslConfiguration.systemCaCertificates())
    if not pem:
        return ""
    pem += _common_authorities()
    file = settings.cache() / f"authorities-{hashlib.sha256(pem).hexdigest()[:12]}.pem"
    if not file.exists():
        _write(file, pem)
    return str(file)


def _common_authorities() -> bytes:
    """Those that Python's packages bring, if they do: Windows knows many of its own only once they were needed."""
    try:
        import certifi
    except ImportError:
        return b""
    return b"\n" + certifi.contents().encode()


def _write(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f"{file.name}.{os.getpid()}")
    partial.write_bytes(content)
    os.replace(partial, file)
