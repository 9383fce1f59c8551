"""Network settings of QGIS for downloads: proxy, authentication configuration and trusted certificate authorities.

The core downloads without Qt. So the settings are read once, in the main thread (prepareAlgorithm), as plain values.
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
from .i18n import log_notices, tr

PACKAGE_INDEX = "https://pypi.org/"
"address that package installers connect to; the system's proxy may depend on it"
PROXY_VARIABLES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")
CA_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT")
PROXY_SCHEMES = {
    QNetworkProxy.ProxyType.HttpProxy: "http",
    QNetworkProxy.ProxyType.HttpCachingProxy: "http",
    QNetworkProxy.ProxyType.Socks5Proxy: "socks5h",  # the proxy resolves host names, as in Qt
}


def weights_home() -> str:
    """Returns the base address of the published weights."""
    return catalogue.home(settings.weights_url())


def connection() -> Connection:
    """Returns the network settings of QGIS, without authentication."""
    manager = QgsNetworkAccessManager.instance()
    return Connection(
        proxies=_proxies(manager, weights_home()),
        direct=_direct(manager),
        ca=_authorities(),
        offline=settings.offline(),
    )


def fetcher(feedback, progress: Callable[[float], None]) -> catalogue.Fetch:
    """Returns the function that downloads weights for an algorithm, with its log, progress and cancel button."""
    try:
        headers = _headers(weights_home(), settings.authentication())
    except DownloadError as error:
        return _failing_fetch(error)  # raised only if a download is needed
    http = replace(connection(), headers=headers, home=weights_home())
    return catalogue.fetcher(http, progress, feedback.isCanceled, log_notices(feedback), settings.weights_url())


def _failing_fetch(error: DownloadError) -> catalogue.Fetch:
    def fetch(entry):
        raise error

    return fetch


def proxy_environment() -> dict[str, str]:
    """Returns environment variables with the proxy and certificates of QGIS, for package installers.

    Variables that are already set in the environment of QGIS are left out, so that they apply.
    """
    manager, variables = QgsNetworkAccessManager.instance(), {}
    proxies = None if _environment_has(PROXY_VARIABLES) else _proxies(manager, PACKAGE_INDEX)
    if proxies:
        direct = ["localhost", "127.0.0.1", *(urlsplit(url).hostname or url for url in _direct(manager))]
        variables |= dict.fromkeys(PROXY_VARIABLES, proxies["https"]) | {"NO_PROXY": ",".join(direct)}
    authorities = "" if _environment_has(CA_VARIABLES) else _authorities()
    if authorities:
        variables |= dict.fromkeys(CA_VARIABLES, authorities)
    return variables


def _environment_has(names: tuple[str, ...]) -> bool:
    return any(os.environ.get(name) or os.environ.get(name.lower()) for name in names)


def _direct(manager: QgsNetworkAccessManager) -> tuple[str, ...]:
    """Returns the URL prefixes that are accessed without a proxy."""
    return tuple(filter(None, [*manager.excludeList(), *manager.noProxyList()]))


def _proxies(manager: QgsNetworkAccessManager, url: str) -> dict[str, str] | None:
    """Returns the proxy of QGIS for requests, or None if it has none; then the environment may define one."""
    if manager.useSystemProxy():  # may depend on the address
        proxy = QNetworkProxyFactory.systemProxyForQuery(QNetworkProxyQuery(QUrl(url)))[0]
    else:
        proxy = manager.fallbackProxy()
    if proxy.type() not in PROXY_SCHEMES or not proxy.hostName():
        return None
    login = f"{quote(proxy.user(), '')}:{quote(proxy.password(), '')}@" if proxy.user() else ""
    port = f":{proxy.port()}" if proxy.port() else ""
    return dict.fromkeys(("http", "https"), f"{PROXY_SCHEMES[proxy.type()]}://{login}{proxy.hostName()}{port}")


def _headers(url: str, configuration: str) -> dict[str, str]:
    """Returns the headers that an authentication configuration adds to a request."""
    if not configuration:
        return {}
    done, request = QgsApplication.authManager().updateNetworkRequest(QNetworkRequest(QUrl(url)), configuration)
    if not done:
        raise DownloadError(
            tr("QGIS cannot use the authentication configuration {!r}. Unlock it, or select another one.").format(
                configuration
            )
        )
    return {bytes(name).decode(): bytes(request.rawHeader(name)).decode() for name in request.rawHeaderList()}


def _authorities() -> str:
    """Returns a PEM file of the certificate authorities that QGIS trusts: those of the system and of its settings."""
    pem = bytes(QgsApplication.authManager().trustedCaCertsPemText())
    if not pem:  # no authentication database
        pem = b"".join(bytes(each.toPem()) for each in QSslConfiguration.systemCaCertificates())
    if not pem:
        return ""
    pem += _certifi_authorities()
    file = settings.cache() / f"authorities-{hashlib.sha256(pem).hexdigest()[:12]}.pem"
    if not file.exists():
        _write(file, pem)
    return str(file)


def _certifi_authorities() -> bytes:
    """Returns the authorities of certifi if it is installed: Windows loads many of its own only on first use."""
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
