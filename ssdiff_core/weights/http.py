"""HTTP requests whose responses are read in chunks and can be cancelled at any time.

`requests` (Debian: python3-requests, and python3-socks for SOCKS proxies; elsewhere QGIS includes it) is imported by
the first request, so that everything else works without it.
"""

from __future__ import annotations

import contextlib
import os
import queue
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urljoin, urlsplit

from .. import __version__
from ..common.errors import Cancelled, DownloadError
from ..common.notices import notice
from ..common.texts import printable

PIECE = 1 << 12
"bytes that are read at once"
TICK = 0.1
"interval of checking for cancellation, seconds"
REDIRECTS = 5
RETRY_STATUSES = (408, 425, 429)
"status codes below 500 after which a request is repeated; it also is after all from 500 on"
PUBLIC_HOSTS = ("github.com", "download.pytorch.org", "pypi.org", "files.pythonhosted.org")
"servers whose paths hold no secrets"
PUBLISHED = (".safetensors", ".whl")
"endings of file names that are no secrets"
ADDRESS = re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s'\"<>()]+", re.IGNORECASE)
MINIMUM_SECRET = 5
"characters of a part of an address that may be a secret; shorter ones occur in other texts too"
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


DEFAULT_CONNECTION = Connection()


def is_yes(value: str) -> bool:
    return value.lower() not in ("", "0", "false", "no")


class RetryableError(Exception):
    "Raised when a request failed and may succeed later."


class PermanentError(Exception):
    "Raised when a request to this address cannot succeed."


@dataclass(frozen=True)
class Answer:
    """Response of a server; its content is read while iterating over `pieces`."""

    status: int
    headers: Mapping[str, str]
    pieces: Iterator[bytes]


def without_secrets(url: str) -> str:
    """Returns the URL for people: without user, password and query, and its path only on a public server."""
    try:
        parts = urlsplit(url)
        server = parts.netloc.rpartition("@")[2]
    except ValueError:
        return "an address that is no URL"
    if parts.scheme and not server:
        return printable(f"{parts.scheme}:...")
    if not server:
        return printable(url) if re.fullmatch(r"[\w./-]*", url) else "an address that is no URL"
    folder, _, name = parts.path.rpartition("/")
    if parts.hostname in PUBLIC_HOSTS and not parts.query:
        shown = parts.path
    else:
        shown = "/..." * bool(folder.strip("/")) + "/" + (name if name.endswith(PUBLISHED) else "..." * bool(name))
        shown += "?..." * bool(parts.query)
    return printable(f"{parts.scheme}://{server}{shown}")


def hidden(text: str, urls: Iterable[str] = ()) -> str:
    """Returns a text of another program without the secrets of the URLs in it.

    urls: addresses whose paths, queries and passwords are also removed where the text repeats only these.
    """
    text = ADDRESS.sub(lambda found: without_secrets(found[0]), text)
    for secret in sorted({secret for url in urls for secret in _secrets(url)}, key=len, reverse=True):
        text = text.replace(secret, "...")
    return printable(text)


def _secrets(url: str) -> list[str]:
    """Returns the parts of an address that are not shown."""
    try:
        parts = urlsplit(url)
        if parts.hostname in PUBLIC_HOSTS and not (parts.query or parts.username):
            return []
        found = [parts.username, parts.password, parts.query, parts.path.rstrip("/"), *parts.path.split("/")]
        found += [value for _, value in parse_qsl(parts.query)]
    except ValueError:
        return [url]
    return [secret for part in found if part for secret in {part, unquote(part)} if len(secret) >= MINIMUM_SECRET]


def joined(base: str, url: str) -> str:
    """Returns the URL of a file relative to another one."""
    try:
        return urljoin(base, url)
    except ValueError:
        raise DownloadError(notice("url_invalid", url=without_secrets(base))) from None


def host(url: str) -> str:
    try:
        return printable(urlsplit(url).hostname or without_secrets(url))
    except ValueError:
        return "an address that is no URL"


@contextlib.contextmanager
def open_response(
    url: str, headers: Mapping[str, str], connection: Connection, cancelled: Callable[[], bool]
) -> Iterator[Answer]:
    """Requests a URL; the context is the response, which is the file or a part of it.

    A thread sends the request and reads, since a DNS look-up or a blocking read cannot be interrupted. After
    cancelling, the thread ends by itself with the next byte or timeout.
    """
    requests, items, finished = _requests(), queue.Queue(16), threading.Event()

    def put(item) -> None:
        while not finished.is_set():
            with contextlib.suppress(queue.Full):
                return items.put(item, timeout=TICK)

    def read() -> None:
        try:
            with requests.Session() as session, _opened(session, url, headers, connection) as response:
                put(response)
                for piece in response.iter_content(PIECE):
                    put(piece)
                    if finished.is_set():
                        return
            put(None)
        except Exception as error:
            put(error)

    threading.Thread(target=read, daemon=True).start()
    try:
        received = _received(items, url, connection, cancelled)
        response = next(received)
        _check_status(response, url)
        yield Answer(response.status_code, response.headers, received)
    finally:
        finished.set()


def _received(items: queue.Queue, url: str, connection: Connection, cancelled: Callable[[], bool]) -> Iterator:
    """Yields what the thread puts into the queue until None. Counts ticks, so that time asleep is no timeout."""
    silent, patience = 0.0, connection.connect + connection.idle
    while True:
        if cancelled():
            raise Cancelled("cancelled")
        try:
            item, silent = items.get(timeout=TICK), 0.0
        except queue.Empty:
            silent += TICK
            if silent > patience:
                raise RetryableError(notice("host_silent", host=host(url))) from None
            continue
        if item is None:
            return
        if isinstance(item, Exception):
            raise _converted(item, url, connection) from None
        yield item


def _opened(session, url: str, headers: Mapping[str, str], connection: Connection):
    """Returns the response of the URL, following redirects."""
    home = urlsplit(connection.home)
    for _ in range(REDIRECTS + 1):
        own = connection.headers if urlsplit(url)[:2] == home[:2] else {}
        direct = any(url.startswith(start) for start in connection.direct)
        session.trust_env = connection.proxies is None and not direct
        response = session.get(
            _checked_url(url),
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
        session.cookies.clear()  # they would go to other ports of the host
        url = _redirect_target(url, response.headers["location"])
    raise PermanentError(notice("redirects_many", host=host(url), count=REDIRECTS))


def _redirect_target(url: str, location: str) -> str:
    target = urljoin(url, location)
    if urlsplit(url).scheme == "https" and urlsplit(target).scheme == "http":
        raise PermanentError(notice("redirects_to_http", host=host(url)))
    return target


def _checked_url(url: str) -> str:
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        raise PermanentError(notice("not_http", url=without_secrets(url)))
    return url


def _check_status(response, url: str) -> None:
    reason = " ".join(printable(str(response.reason or "")).split())[:80]
    message = notice("http_status", host=host(url), status=response.status_code, reason=reason)
    if response.status_code in RETRY_STATUSES or response.status_code >= 500:
        raise RetryableError(message)
    if response.status_code not in (200, 206, 416):
        raise PermanentError(message)


def _requests():
    try:
        import requests
    except ImportError:
        raise DownloadError(notice("no_requests")) from None
    return requests


def _converted(error: Exception, url: str, connection: Connection) -> Exception:
    """Converts errors of the network to RetryableError or PermanentError with a message of one sentence."""
    import http.client

    import requests
    import urllib3

    if isinstance(error, (PermanentError, RetryableError, DownloadError)):
        return error
    cause = " ".join(hidden(_cause(error), [url, *(connection.proxies or {}).values()]).split())[:200]
    if isinstance(error, requests.exceptions.InvalidSchema):
        return PermanentError(notice("no_pysocks"))
    if isinstance(error, requests.exceptions.SSLError):
        return PermanentError(notice("tls_failed", host=host(url), reason=cause))
    if isinstance(error, requests.exceptions.ProxyError):
        return RetryableError(notice("proxy_failed", host=host(url), reason=cause))
    if isinstance(error, (OSError, http.client.HTTPException, urllib3.exceptions.HTTPError)):
        return RetryableError(notice("host_unreachable", host=host(url), reason=cause))
    if isinstance(error, ValueError):  # a number or an address in a header is none
        return PermanentError(notice("not_http_answer", host=host(url), reason=cause))
    return error


def _cause(error: BaseException) -> str:
    """Returns the message of the innermost error, which requests and urllib3 wrap."""
    inner = [getattr(error, "reason", None), *error.args, error.__context__]
    deeper = next((one for one in inner if isinstance(one, BaseException)), None)
    return _cause(deeper) if deeper else getattr(error, "strerror", None) or str(error) or type(error).__name__
