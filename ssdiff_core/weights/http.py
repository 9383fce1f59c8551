"""How the network is reached, and what one address answers, piece by piece.

`requests` (Debian: python3-requests, and python3-socks for SOCKS proxies; QGIS brings it elsewhere) is imported when
something is asked for, so all else works without.
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
"bytes that are read at once, and at most lost when a line breaks"
TICK = 0.1
"seconds until it is asked again whether anybody still wants the answer"
REDIRECTS = 5
LATER = (408, 425, 429)
"answers that may be others in a moment, as all from 500 on"
AGENT = {"User-Agent": f"ssdiff/{__version__}", "Accept-Encoding": "identity"}


@dataclass(frozen=True)
class Connection:
    """How the network is reached. The default is what the environment and the system say."""

    proxies: Mapping[str, str] | None = field(default=None, repr=False)
    "the address of a proxy by scheme (http, https), with user and password in it; None: as the environment says"
    direct: tuple[str, ...] = ()
    "how addresses begin that are reached without a proxy"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    "what an authentication wants"
    home: str = ""
    "an address of the server that this is for; no mirror, and none that it refers to, is told"
    ca: str = ""
    "a PEM file of authorities to trust; empty: those that requests knows, or REQUESTS_CA_BUNDLE names"
    connect: float = 20
    "seconds until a server must have been reached"
    idle: float = 60
    "seconds without a byte after which nothing more is waited for"
    offline: bool = False

    @property
    def forbidden(self) -> bool:
        """Whether the network is not to be used; SSDIFF_OFFLINE=1 says so for everything."""
        return self.offline or is_yes(os.environ.get("SSDIFF_OFFLINE", ""))


USUAL = Connection()


def is_yes(value: str) -> bool:
    return value.lower() not in ("", "0", "false", "no")


class Again(Exception):
    "It may go well another time."


class Useless(Exception):
    "It will not go well with this address."


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    pieces: Iterator[bytes]


def shown(url: str) -> str:
    """An address as it may be shown: without the login that it may hold."""
    return urlsplit(url)._replace(netloc=urlsplit(url).netloc.rpartition("@")[2]).geturl()


def host(url: str) -> str:
    return urlsplit(url).hostname or shown(url)


@contextlib.contextmanager
def asked(
    url: str, headers: Mapping[str, str], connection: Connection, cancelled: Callable[[], bool]
) -> Iterator[Answer]:
    """What an address answers, if it is the file or a part of it.

    A thread asks and reads, since nothing can interrupt the look-up of a name or the wait for a byte. It is left to
    itself when nobody wants the answer any more, and ends with the next byte or with its time.
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
    """What the thread tells, until it says None. Seconds are counted, so that a computer that slept has not waited."""
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
    """The answer of the address, or of the one that it refers to."""
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
    """The same in a sentence, if the network is to blame."""
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
    """What lies at the bottom: requests wraps what urllib3 wraps, and that what the system has said."""
    inner = [getattr(error, "reason", None), *error.args, error.__context__]
    deeper = next((one for one in inner if isinstance(one, BaseException)), None)
    return _cause(deeper) if deeper else getattr(error, "strerror", None) or str(error) or type(error).__name__
