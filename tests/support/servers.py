"""HTTP servers for the tests of downloads: correct ones, faulty ones, and proxies. All run on real sockets."""

from __future__ import annotations

import base64
import contextlib
import gzip
import http.client
import re
import select
import socket
import socketserver
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


@contextlib.contextmanager
def running(server):
    """Runs the server in a thread during the with block."""
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Quiet(BaseHTTPRequestHandler):
    """Handler that logs nothing."""

    def log_message(self, *_):
        pass


# --- a server of files -----------------------------------------------------------------------------------------------


class Files(ThreadingHTTPServer):
    """Serves files by path. `script` holds functions that answer the next requests; then it is correct."""

    def __init__(self, files: dict[str, bytes], script=(), certificate=None):
        super().__init__(("127.0.0.1", 0), FilesHandler)
        self.files, self.script, self.asked, self.over = files, list(script), [], threading.Event()
        self.certificate = certificate
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    @property
    def url(self) -> str:
        return f"{'https' if self.certificate else 'http'}://127.0.0.1:{self.server_address[1]}"

    @property
    def ranges(self) -> list:
        """Range header of each request."""
        return [headers.get("Range") for _, headers in self.asked]

    def handle_error(self, request, client_address):
        """Ignores errors, because the tests close connections on purpose."""

    def shutdown(self):
        self.over.set()
        super().shutdown()


class FilesHandler(Quiet):
    def do_GET(self):
        self.server.asked.append((self.path, self.headers))
        answer = self.server.script.pop(0) if self.server.script else correct
        answer(self, self.server.files.get(self.path))

    def send(self, status, body, length=None, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()


def correct(handler, data):
    if data is None:
        return handler.send(404, b"no such file")
    requested = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
    if not requested:
        return handler.send(200, data)
    first = int(requested[1])
    if first >= len(data):
        return handler.send(416, b"", Content_Range=f"bytes */{len(data)}")
    return part(first)(handler, data)


def whole(handler, data):
    """Answers like a proxy that does not support ranges."""
    handler.send(200, data)


def part(first, content_range=None):
    """Sends the file from this byte on, whatever range was requested."""

    def answer(handler, data):
        headers = (
            {"Content_Range": content_range or f"bytes {first}-{len(data) - 1}/{len(data)}"}
            if content_range != ""
            else {}
        )
        handler.send(206, data[first:], **headers)

    return answer


def cut(count):
    """Sends this number of bytes, then closes the connection."""

    def answer(handler, data):
        start = int((re.findall(r"\d+", handler.headers.get("Range", "")) or [0])[0])
        headers = {"Content_Range": f"bytes {start}-{len(data) - 1}/{len(data)}"} if start else {}
        handler.send(206 if start else 200, data[start : start + count], length=len(data) - start, **headers)
        handler.connection.shutdown(socket.SHUT_RDWR)

    return answer


def stalled(count):
    """Sends this number of bytes, then nothing more."""

    def answer(handler, data):
        handler.send(200, data[:count], length=len(data))
        handler.server.over.wait(600)

    return answer


def silent(handler, data):
    handler.server.over.wait(600)


def packed(handler, data):
    """Sends compressed data although the client did not accept that."""
    handler.send(200, gzip.compress(data), Content_Encoding="gzip")


def dripping(count, seconds):
    """Sends `count` bytes at a time and pauses for `seconds` between them."""

    def answer(handler, data):
        start = int((re.findall(r"\d+", handler.headers.get("Range", "")) or [0])[0])
        handler.send(200, b"", length=len(data))
        for at in range(start, len(data), count):
            handler.wfile.write(data[at : at + count])
            if handler.server.over.wait(seconds):
                return

    return answer


def corrupt(handler, data):
    handler.send(200, data[:-1] + bytes([data[-1] ^ 1]))


def endless(handler, data):
    """Sends more bytes than the file has, without a Content-Length."""
    handler.send_response(200)
    handler.end_headers()
    handler.wfile.write(data + b"and more")
    handler.close_connection = True


def status(code):
    return lambda handler, data: handler.send(code, b"sorry")


def redirect(target):
    return lambda handler, data: handler.send(302, b"", Location=target)


# --- proxies ---------------------------------------------------------------------------------------------------------


class Proxy(ThreadingHTTPServer):
    """A forward proxy for http and, with CONNECT, for https. login: USER:PASSWORD that it requires, if any."""

    def __init__(self, login: str = ""):
        super().__init__(("127.0.0.1", 0), ProxyHandler)
        self.login, self.seen = login, []

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"


class ProxyHandler(Quiet):
    def admitted(self) -> bool:
        expected = "Basic " + base64.b64encode(self.server.login.encode()).decode()
        if self.server.login and self.headers.get("Proxy-Authorization") != expected:
            self.send_error(407)
            return False
        self.server.seen.append(f"{self.command} {self.path}")
        return True

    def do_GET(self):
        if not self.admitted():
            return
        url = urlsplit(self.path)
        upstream = http.client.HTTPConnection(url.hostname, url.port)
        kept = {name: value for name, value in self.headers.items() if not name.startswith("Proxy-")}
        upstream.request("GET", url.path, headers=kept)
        answer = upstream.getresponse()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.read())

    def do_CONNECT(self):
        if not self.admitted():
            return
        host, port = self.path.rsplit(":", 1)
        with socket.create_connection((host, int(port))) as upstream:
            self.send_response(200)
            self.end_headers()
            relay(self.connection, upstream)


class Socks(socketserver.ThreadingTCPServer):
    """A SOCKS 5 proxy that requires user name and password and resolves host names itself."""

    def __init__(self, login: str):
        super().__init__(("127.0.0.1", 0), SocksHandler)
        self.login, self.seen = login, []

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"


class SocksHandler(socketserver.StreamRequestHandler):
    def handle(self):
        self.rfile.read(self.rfile.read(2)[1])
        self.wfile.write(b"\5\2")  # requires user name and password
        user = self.rfile.read(self.rfile.read(2)[1]).decode()
        password = self.rfile.read(self.rfile.read(1)[0]).decode()
        admitted = f"{user}:{password}" == self.server.login
        self.wfile.write(b"\1" + bytes([not admitted]))
        if not admitted:
            return
        kind = self.rfile.read(4)[3]
        host = self.rfile.read(self.rfile.read(1)[0]).decode() if kind == 3 else socket.inet_ntoa(self.rfile.read(4))
        port = int.from_bytes(self.rfile.read(2), "big")
        self.server.seen.append(f"{'name' if kind == 3 else 'address'} {host}")
        with socket.create_connection((host, port)) as upstream:
            self.wfile.write(b"\5\0\0\1\0\0\0\0\0\0")
            relay(self.connection, upstream)


def relay(one: socket.socket, other: socket.socket) -> None:
    """Passes data between two sockets until one of them is closed."""
    pairs = {one: other, other: one}
    with contextlib.suppress(OSError):
        while True:
            for ready in select.select(list(pairs), [], [], 10)[0] or [None]:
                data = ready and ready.recv(65536)
                if not data:
                    return
                pairs[ready].sendall(data)
