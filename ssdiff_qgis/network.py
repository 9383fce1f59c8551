"""How QGIS reaches the network, for programs that do not ask QGIS: as variables of their environment.

What the environment of QGIS says itself wins.
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote, urlsplit

from qgis.core import QgsApplication, QgsNetworkAccessManager
from qgis.PyQt.QtCore import QUrl
from qgis.PyQt.QtNetwork import QNetworkProxy, QNetworkProxyFactory, QNetworkProxyQuery

ASKED = "https://pypi.org/"
"for what address the system is asked for a proxy"
SCHEMES = {QNetworkProxy.ProxyType.HttpProxy: "http", QNetworkProxy.ProxyType.Socks5Proxy: "socks5h"}
PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")
AUTHORITIES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT")


def variables(folder: Path) -> dict[str, str]:
    """The proxy and the authorities that QGIS knows; these in a file in the folder."""
    found = {}
    proxy = "" if _says(PROXIES) else proxy_url()
    if proxy:
        found.update(dict.fromkeys(PROXIES, proxy), NO_PROXY=",".join(["localhost", "127.0.0.1", *direct()]))
    pem = b"" if _says(AUTHORITIES) else authorities()
    if pem:
        path = folder / "authorities.pem"
        folder.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pem)
        found.update(dict.fromkeys(AUTHORITIES, str(path)))
    return found


def proxy_url() -> str:
    """The address of the proxy with name and password, from the options of QGIS or else of the system; or nothing."""
    chosen = QgsNetworkAccessManager.instance().fallbackProxy()
    of_system = QNetworkProxyFactory.systemProxyForQuery(QNetworkProxyQuery(QUrl(ASKED)))
    for proxy in (chosen, *of_system):
        if proxy.type() in SCHEMES and proxy.hostName():
            who = ":".join(quote(part, safe="") for part in (proxy.user(), proxy.password()) if part)
            return f"{SCHEMES[proxy.type()]}://{who + '@' if who else ''}{proxy.hostName()}:{proxy.port()}"
    return ""


def direct() -> list[str]:
    """Hosts that are reached without a proxy."""
    addresses = QgsNetworkAccessManager.instance().noProxyList()
    return [urlsplit(address).hostname or address for address in addresses if address]


def authorities() -> bytes:
    """Certificates that QGIS trusts, those of an organisation too, and those that requests brings; PEM."""
    manager = QgsApplication.authManager()
    trusted = b"" if manager.isDisabled() else bytes(manager.trustedCaCertsPemText())
    try:
        import certifi  # Windows knows some of its own only after they were needed once
    except ImportError:
        return trusted
    return trusted and trusted + b"\n" + certifi.contents().encode()


def _says(names: tuple[str, ...]) -> bool:
    return any(os.environ.get(name) or os.environ.get(name.lower()) for name in names)
