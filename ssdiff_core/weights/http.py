"""HTTP requests whose responses are read in chunks and can be cancelled at any time.

`requests` (Debian: python3-requests, and python3-socks for SOCKS proxies; elsewhere QGIS includes it) is imported by
the first request, so that everything else works without it.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import urljoin, urlsplit

from .. import __version__
from ..common.errors import Cancelled, DownloadError

PIECE = 1 << 12
"bytes that are read at once"
TICK = 0.1
"interval of checking for cancellation, seconds"
REDIRECTS = 5
LATER = (408, 425, 429)
"status codes after which a request is repeated, as after all from 500 on"
AGENT = {"User-Agent": f"ssdiff/{__version__}", "Accept-Encoding": "identity"}


@dataclass(frozen=True)
class Connection:
    """Network settings. The default is the configuration of the environment and the system."""

    proxies: Mapping[str, str] | None = field(default=None, repr=False)
    "URL of the proxy for each scheme (http, https), with user and password; None: from the environment"
    direct: tuple[str, ...] = ()
    "beginnings of URLs that are requested without a proxy"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    "headers of the authentication"
    home: str = ""
    "URL of the server that receives the headers; mirrors and targets of redirects do not"
    ca: str = ""
    "PEM file of trusted certificate authorities; empty: the default of requests, or REQUESTS_CA_BUNDLE"
    connect: float = 20
    "timeout of connecting, seconds"
    idle: float = 60
    "timeout without a received byte, seconds"
    offline: bool = False

    @property
    def forbidden(self) -> bool:
        """Whether the network must not be used, by the setting or by SSDIFF_OFFLINE=1."""
        return self.offline or is_yes(os.environ.get("SSDIFF_OFFLINE", ""))


USUAL = Connection()


def is_yes(value: str) -> bool:
    return value.lower() not in ("", "0", "false", "no")


class Again(Exception):
    "Raised when a request failed and may succeed later."


class Useless(Exception):
    "Raised when a request to this address cannot succeed."


@dataclass(frozen=True)
class Answer:
    """Response of a server; its content is read while iterating over `pieces`."""

    status: int
    headers: Mapping[str, str]
    pieces: Iterator[bytes]


def shown(url: str) -> str:
    """Returns the URL without user and password."""
    return urlsplit(url)._replace(netloc=urlsplit(url).netloc.rpartition("@")[2]).geturl()


def host(url: str) -> str:
    return urlsplit(url).hostname or shown(url)


@contextlib.contextmanager
def asked(
    url: str, headers: Mapping[str, str], connection: Connection, cancelled: Callable[[], bool]
) -> Iterator[Answer]:
    """Requests a URL; the context is the response, which is the file or a part of it.

    A thread sends the request and reads, since a DNS look-up or a blocking read cannot be interrupted. After
    cancelling, the thread ends by itself with the next byte or timeout.
    """
    requests, heard, over = _requests(), queue.Queue(16), threading.Event()

    def tell(word) -> None:
        while not over.is_set():
            with contextlib.suppress(queue.Full):
                return heard.put(word, timeout=TICK)

    def listen() -> None:
        try:
            with requests.Session() as session, _opened(session, url, headers, connection) as response:
                tell(response)
                for piece in response.iter_content(PIECE):
                    tell(piece)
                    if over.is_set():
                        return
            tell(None)
        except Exception as error:
            tell(error)

    threading.Thread(target=listen, daemon=True).start()
    try:
        words = _heard(heard, url, connection, cancelled)
        response = next(words)
        _judge(response, url)
        yield Answer(response.status_code, response.headers, words)
    finally:
        over.set()


def _heard(words: queue.Queue, url: str, connection: Connection, cancelled: Callable[[], bool]) -> Iterator:
    """Yields what the thread puts into the queue until None. Counts ticks, so that time asleep is no timeout."""
    silent, patience = 0.0, connection.connect + connection.idle
    while True:
        if cancelled():
            raise Cancelled("cancelled")
        try:
            word, silent = words.get(timeout=TICK), 0.0
        except queue.Empty:
            silent += TICK
            if silent > patience:
                raise Again(f"{host(url)} does not answer") from None
            continue
        if word is None:
            return
        if isinstance(word, Exception):
            raise _understood(word, url) from None
        yield word


def _opened(session, url: str, headers: Mapping[str, str], connection: Connection):
    """Returns the response of the URL, following redirects."""
    home = urlsplit(connection.home)
    for _ in range(REDIRECTS + 1):
        own = connection.headers if urlsplit(url)[:2] == home[:2] else {}
        direct = any(url.startswith(start) for start in connection.direct)
        session.trust_env = connection.proxies is None and not direct
        response = session.get(
            _web(url),
            headers={**AGENT, **own, **headers},
            proxies={} if direct else connection.proxies,
            verify=connection.ca or True,
            timeout=(connection.connect, connection.idle),
            allow_redirects=False,  # requests would also go from https to http
            stream=True,
        )
        if not response.is_redirect:
            return response
        response.close()
        url = _referred(url, response.headers["location"])
    raise Useless(f"{host(url)} refers from one address to the next without end")


def _referred(url: str, location: str) -> str:
    target = urljoin(url, location)
    if urlsplit(url).scheme == "https" and urlsplit(target).scheme == "http":
        raise Useless(f"{host(url)} refers to an address without encryption")
    return target


def _web(url: str) -> str:
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        raise Useless(f"{shown(url)} is no http or https address")
    return url


def _judge(response, url: str) -> None:
    said = f"{host(url)} answers {response.status_code} ({response.reason})"
    if response.status_code in LATER or response.status_code >= 500:
        raise Again(said)
    if response.status_code not in (200, 206, 416):
        raise Useless(said)


def _requests():
    try:
        import requests
    except ImportError:
        raise DownloadError(
            "the Python package requests is missing, and nothing can be fetched without (Debian: python3-requests)"
        ) from None
    return requests


def _understood(error: Exception, url: str) -> Exception:
    """Converts errors of the network to Again or Useless with one sentence."""
    import requests
    import urllib3

    if isinstance(error, requests.exceptions.InvalidSchema):
        return Useless("a SOCKS proxy needs the Python package PySocks (Debian: python3-socks)")
    if isinstance(error, requests.exceptions.SSLError):
        return Useless(f"{host(url)} cannot be trusted: {_cause(error)}")
    if isinstance(error, requests.exceptions.ProxyError):
        return Again(f"the proxy does not let through to {host(url)}: {_cause(error)}")
    if isinstance(error, (OSError, http.client.HTTPException, urllib3.exceptions.HTTPError)):
        return Again(f"{host(url)} cannot be reached or broke off: {_cause(error)}")
    return error


def _cause(error: BaseException) -> str:
    """Returns the message of the innermost error, which requests and urllib3 wrap."""
    inner = [getattr(error, "reason", None), *error.args, error.__context__]
    deeper = next((one for one in inner if isinstance(one, BaseException)), None)
    return _cause(deeper) if deeper else getattr(error, "strerror", None) or str(error) or type(error).__name__
