"""One file over networks that fail in each way that networks do. Servers and processes are real."""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from servers import (
    Files,
    Proxy,
    Socks,
    corrupt,
    cut,
    dripping,
    endless,
    packed,
    part,
    redirect,
    running,
    silent,
    stalled,
    status,
    whole,
)
from waiting import HANG_SECONDS, wait_until

from ssdiff_core.common.errors import Cancelled, DownloadError
from ssdiff_core.weights import download
from ssdiff_core.weights.download import DownloadRequest, fetch
from ssdiff_core.weights.http import Connection

DATA = random.Random(0).randbytes(300_000)
SHA = hashlib.sha256(DATA).hexdigest()
HASTY = Connection(proxies={}, connect=5, idle=0.5)


@pytest.fixture(autouse=True)
def _no_long_pauses(monkeypatch):
    monkeypatch.setattr(download, "PAUSE", 0.05)


@pytest.fixture
def server():
    with running(Files({"/w.bin": DATA})) as server:
        yield server


@pytest.fixture
def wanted(tmp_path):
    return DownloadRequest(tmp_path / "folder" / "w.bin", len(DATA), SHA, HASTY)


def left(wanted):
    """Returns the names of the files in the folder besides the lock."""
    return sorted(path.name for path in wanted.target.parent.iterdir() if path.name != download.LOCK)


def test_a_download_is_complete_and_reports_progress(server, wanted):
    shares = []
    assert fetch([f"{server.url}/w.bin"], replace(wanted, progress=shares.append)) == wanted.target
    assert wanted.target.read_bytes() == DATA
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert len(shares) > 10
    assert left(wanted) == ["w.bin"]


def test_an_intact_file_is_not_downloaded_again_but_a_damaged_one_is(server, wanted):
    fetch([f"{server.url}/w.bin"], wanted)
    fetch([f"{server.url}/w.bin"], wanted)
    assert len(server.asked) == 1
    wanted.target.write_bytes(DATA[:-1] + b"?")
    fetch([f"{server.url}/w.bin"], wanted)
    assert wanted.target.read_bytes() == DATA


RECOVERIES = {
    "the line breaks again and again": ([cut(102_400), cut(49_152)], [None, "bytes=102400-", "bytes=151552-"]),
    "nothing comes any more": ([stalled(81_920)], [None, "bytes=81920-"]),
    "nothing comes at all": ([silent], [None, None]),
    "it comes packed": ([packed], [None]),
    "the server fails and then works": ([status(500), status(503), status(429)], [None] * 4),
    "a proxy that knows no ranges": ([cut(102_400), whole], [None, "bytes=102400-"]),
    "more than was requested": ([cut(102_400), part(60_000)], [None, "bytes=102400-"]),
    "less than was requested": ([cut(102_400), part(150_000)], [None, "bytes=102400-", None]),
    "a part of who knows what": ([cut(102_400), part(102_400, "")], [None, "bytes=102400-", None]),
    "a part of another file": (
        [cut(102_400), part(102_400, f"bytes 102400-{len(DATA) - 1}/999999")],
        [None, "bytes=102400-", None],
    ),
    "a part that is told wrongly": (
        [cut(102_400), part(102_399, "bytes 102400-299999/300000")],
        [None, "bytes=102400-", None],
    ),
    "no such part": ([cut(102_400), status(416)], [None, "bytes=102400-", None]),
    "a part although all was requested": ([part(0)], [None]),
}


@pytest.mark.parametrize("what", RECOVERIES)
def test_a_download_is_resumed_after(what, server, wanted):
    server.script, ranges = list(RECOVERIES[what][0]), RECOVERIES[what][1]
    assert fetch([f"{server.url}/w.bin"], wanted).read_bytes() == DATA
    assert server.ranges == ranges
    assert left(wanted) == ["w.bin"]


REFUSALS = {
    "the file from 127.0.0.1 differs from the published file": corrupt,
    "the file from 127.0.0.1 differs": endless,
    "responds with status 404": status(404),
    "responds with status 403": status(403),
    "redirects more than 5 times": redirect("/w.bin"),
    "ftp://127.0.0.1/... is not an http or https URL": redirect("ftp://127.0.0.1/w.bin"),
    "file:... is not an http": redirect("file:///etc/passwd"),
    "has a file of 5 bytes instead of the expected": lambda handler, data: handler.send(200, b"login"),
}


@pytest.mark.parametrize("sentence", REFUSALS)
def test_an_invalid_response_is_an_error_and_leaves_no_file(sentence, server, wanted):
    server.script = [REFUSALS[sentence]] * 20
    with pytest.raises(DownloadError, match=sentence) as caught:
        fetch([f"{server.url}/w.bin"], wanted)
    assert "\n" not in str(caught.value)
    assert not wanted.target.exists()
    server.script = []
    assert fetch([f"{server.url}/w.bin"], wanted).read_bytes() == DATA


@pytest.mark.parametrize("bad", [corrupt, status(404), status(500), cut(1000), endless])
def test_a_mirror_is_used_if_the_first_url_fails(bad, server, wanted):
    with running(Files({"/w.bin": DATA}, [bad])) as first:
        assert fetch([f"{first.url}/w.bin", f"{server.url}/w.bin"], wanted).read_bytes() == DATA
        assert len(first.asked) == len(server.asked) == 1


def test_a_download_fails_after_all_attempts_and_keeps_the_partial_file(server, wanted):
    server.script = [cut(8192)] * 20
    with pytest.raises(DownloadError, match="closed the connection"):
        fetch([f"{server.url}/w.bin"], wanted)
    assert len(server.asked) == download.ROUNDS
    server.script = []
    fetch([f"{server.url}/w.bin"], wanted)
    assert server.ranges[-1] == f"bytes={8192 * download.ROUNDS}-"


def test_attempts_with_progress_do_not_count(server, wanted):
    server.script = [cut(20_000)] * 14
    assert fetch([f"{server.url}/w.bin"], wanted).read_bytes() == DATA
    assert len(server.asked) == 15 > download.ROUNDS


def another_end(handler, data):
    """Sends what was requested, with other bytes."""
    start = int(handler.headers.get("Range", "bytes=0-")[6:-1])
    part(start)(handler, data[:-1000] + bytes(1000))


def beginning(size):
    """Sends this number of bytes from the start, whatever range was requested."""
    return lambda handler, data: handler.send(200, data[:size], length=len(data))


ENDLESS = {
    "another end each time": [cut(100_000), another_end],
    "another part each time": [cut(100_000), part(200_000)],
    "now more and now less, from the start": [beginning(100_000), beginning(50_000)],
}


@pytest.mark.parametrize("what", ENDLESS)
def test_a_server_that_gives_hope_again_and_again_is_given_up(what, server, wanted):
    server.script = ENDLESS[what] * 30
    with pytest.raises(DownloadError, match=r"127\.0\.0\.1"):
        fetch([f"{server.url}/w.bin"], wanted)
    assert len(server.asked) <= 3 * download.ROUNDS


def test_a_download_whose_end_was_another_one_starts_over_and_may_break_off_again(server, wanted):
    server.script = [cut(100_000), another_end, *[cut(20_000)] * 10]
    assert fetch([f"{server.url}/w.bin"], wanted).read_bytes() == DATA


def test_an_unreachable_server_gives_one_sentence(wanted):
    with pytest.raises(DownloadError, match=r"127.0.0.1 cannot be reached .*refused"):
        fetch(["http://127.0.0.1:9/w.bin"], wanted)
    with pytest.raises(DownloadError, match=r"nowhere\.invalid cannot be reached"):
        fetch(["http://user:secret@nowhere.invalid/w.bin"], wanted)
    with pytest.raises(DownloadError) as caught:
        fetch(["http://user:secret@nowhere.invalid/w.bin"], wanted)
    assert "secret" not in str(caught.value)


def test_a_partial_file_belongs_to_one_version(server, wanted):
    """What is left of one file is never the beginning of another of the same name."""
    server.script = [cut(10_000)] * 20
    with pytest.raises(DownloadError):
        fetch([f"{server.url}/w.bin"], wanted)
    other = DATA[::-1]
    server.script, server.files = [], {"/w.bin": other}
    newer = replace(wanted, sha256=hashlib.sha256(other).hexdigest())
    assert fetch([f"{server.url}/w.bin"], newer).read_bytes() == other
    assert server.ranges[-1] is None


def test_a_damaged_partial_file_is_downloaded_again(server, wanted):
    wanted.target.parent.mkdir()
    for spoilt in (bytes(100_000), bytes(len(DATA)), bytes(len(DATA) + 1)):
        wanted.partial.write_bytes(spoilt)
        assert fetch([f"{server.url}/w.bin"], wanted).read_bytes() == DATA
        wanted.target.unlink()


def test_a_complete_partial_file_is_renamed_without_a_request(server, wanted):
    wanted.target.parent.mkdir()
    wanted.partial.write_bytes(DATA)
    assert fetch([f"{server.url}/w.bin"], wanted).read_bytes() == DATA
    assert server.asked == []


def test_only_old_partial_files_are_removed(server, wanted):
    wanted.target.parent.mkdir()
    old, young = (wanted.target.parent / f"{name}.part" for name in ("old", "young"))
    for path in (old, young):
        path.write_bytes(b"x")
    os.utime(old, (time.time() - download.PARTIAL_FILE_LIFETIME - 60,) * 2)
    fetch([f"{server.url}/w.bin"], wanted)
    assert left(wanted) == ["w.bin", "young.part"]


def test_offline_sends_no_request(server, wanted, monkeypatch):
    for connection in (Connection(offline=True), Connection()):
        monkeypatch.setenv("SSDIFF_OFFLINE", "" if connection.offline else "1")
        with pytest.raises(DownloadError, match="offline"):
            fetch([f"{server.url}/w.bin"], replace(wanted, connection=connection))
    monkeypatch.setenv("SSDIFF_OFFLINE", "0")
    fetch([f"{server.url}/w.bin"], replace(wanted, connection=Connection(proxies={})))
    assert len(server.asked) == 1


# --- cancelling ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["in the middle", "while nothing comes", "in a pause", "behind another process"])
def test_an_assessment_can_be_cancelled(where, server, wanted, monkeypatch):
    enough = threading.Event()
    patient = replace(wanted, connection=Connection(proxies={}), cancelled=enough.is_set)
    monkeypatch.setattr(download, "PAUSE", 600)
    server.script = {
        "in the middle": [dripping(10_000, 0.05)],
        "while nothing comes": [stalled(100_000)],
        "in a pause": [status(500)] * 4,
    }.get(where, [])
    wanted.target.parent.mkdir()
    other = download.locked(wanted.target.parent / download.LOCK, enough.is_set) if "behind" in where else nullcontext()
    threading.Timer(0.7, enough.set).start()
    begun = time.monotonic()
    with other, pytest.raises(Cancelled):
        fetch([f"{server.url}/w.bin"], patient)
    assert time.monotonic() - begun < HANG_SECONDS  # nothing here ends by itself before twice as long
    assert not wanted.target.exists()


# --- other processes -------------------------------------------------------------------------------------------------

FETCH = """
import sys
from pathlib import Path
from ssdiff_core.weights import download
from ssdiff_core.weights.http import Connection
url, target, size, sha = sys.argv[1:]
print("begun", flush=True)
download.fetch([url], download.DownloadRequest(Path(target), int(size), sha, Connection(proxies={})))
"""


def another(server, wanted, **how):
    """A process that fetches the same."""
    arguments = (f"{server.url}/w.bin", wanted.target, len(DATA), SHA)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    root = Path(__file__).parents[3]
    return subprocess.Popen([sys.executable, "-c", FETCH, *map(str, arguments)], cwd=root, text=True, **pipes, **how)


def test_two_concurrent_processes_download_a_file_once(server, wanted):
    server.script = [dripping(30_000, 0.1)]
    both = [another(server, wanted) for _ in range(2)]
    for process in both:
        assert process.wait(HANG_SECONDS) == 0, process.stderr.read()
    assert wanted.target.read_bytes() == DATA
    assert len(server.asked) == 1


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no kill -9 here")
def test_the_download_of_a_killed_process_is_resumed(server, wanted):
    server.script = [dripping(20_000, 0.2)]
    victim = another(server, wanted)
    wait_until(lambda: wanted.received > 50_000, "the first part of the file")
    victim.kill()
    victim.wait()
    there = wanted.received
    fetch([f"{server.url}/w.bin"], wanted)
    assert wanted.target.read_bytes() == DATA
    assert server.ranges == [None, f"bytes={there}-"]


# --- the disk --------------------------------------------------------------------------------------------------------


def test_free_disk_space_is_checked_before_the_first_request(server, wanted):
    with pytest.raises(DownloadError, match="free some space"):
        fetch([f"{server.url}/w.bin"], replace(wanted, size=10**18))
    assert server.asked == []


def test_a_full_disk_gives_one_sentence(server, wanted):
    resource = pytest.importorskip("resource")
    limit = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))}
    process = another(server, wanted, **limit)
    said = process.communicate(timeout=HANG_SECONDS)[1].strip().splitlines()[-1]
    assert process.returncode == 1
    assert said.endswith("w.bin cannot be written: File too large")
    assert fetch([f"{server.url}/w.bin"], wanted).read_bytes() == DATA
    assert server.ranges[-1].startswith("bytes=")


def test_a_folder_that_cannot_be_created_gives_one_sentence(server, wanted):
    wanted.target.parent.write_bytes(b"a file")
    with pytest.raises(DownloadError, match="cannot be written"):
        fetch([f"{server.url}/w.bin"], wanted)


def test_a_drive_without_locks_can_be_used(server, wanted, monkeypatch):
    """The missing locks are simulated, because no such drive is available."""
    fcntl = pytest.importorskip("fcntl")

    def none(*_):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    assert fetch([f"{server.url}/w.bin"], wanted).read_bytes() == DATA


# --- redirects, proxies, certificates --------------------------------------------------------------------------------


@pytest.fixture
def safe(certificate):
    with running(Files({"/w.bin": DATA}, certificate=certificate)) as server:
        yield server


def test_a_redirect_is_followed_without_the_credentials(server, wanted):
    with running(Files({}, [redirect(f"{server.url}/w.bin")])) as first:
        signed = replace(HASTY, headers={"Authorization": "Bearer secret"}, home=f"{first.url}/")
        fetch([f"{first.url}/w.bin"], replace(wanted, connection=signed))
    assert first.asked[0][1]["Authorization"] == "Bearer secret"
    assert server.asked[0][1]["Authorization"] is None


def test_a_mirror_does_not_receive_the_credentials(server, wanted):
    with running(Files({})) as home:
        signed = replace(HASTY, headers={"Authorization": "Bearer secret"}, home=f"{home.url}/")
        fetch([f"{home.url}/w.bin", f"{server.url}/w.bin"], replace(wanted, connection=signed))
    assert home.asked[0][1]["Authorization"] == "Bearer secret"
    assert server.asked[0][1]["Authorization"] is None


def test_an_untrusted_certificate_is_an_error(safe, wanted):
    with pytest.raises(DownloadError, match=r"certificate of 127\.0\.0\.1 cannot be verified"):
        fetch([f"{safe.url}/w.bin"], wanted)
    assert safe.asked == []
    trusting = replace(HASTY, ca=safe.certificate[0])
    assert fetch([f"{safe.url}/w.bin"], replace(wanted, connection=trusting)).read_bytes() == DATA


def test_a_redirect_from_https_to_http_is_refused(safe, server, wanted):
    safe.script = [redirect(f"{server.url}/w.bin")]
    with pytest.raises(DownloadError, match="redirects from https to http"):
        fetch([f"{safe.url}/w.bin"], replace(wanted, connection=replace(HASTY, ca=safe.certificate[0])))
    assert server.asked == []
    server.script = [redirect(f"{safe.url}/w.bin")]
    fetch([f"{server.url}/w.bin"], replace(wanted, connection=replace(HASTY, ca=safe.certificate[0])))


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_with_a_password(scheme, request, wanted):
    server = request.getfixturevalue("server" if scheme == "http" else "safe")
    trusting = replace(HASTY, ca=server.certificate[0] if server.certificate else "")
    with running(Proxy("me:p@ss")) as proxy:
        stranger = replace(trusting, proxies=dict.fromkeys(("http", "https"), f"http://{proxy.address}"))
        with pytest.raises(DownloadError, match="407"):
            fetch([f"{server.url}/w.bin"], replace(wanted, connection=stranger))
        assert (proxy.seen, server.asked) == ([], [])
        known = replace(trusting, proxies=dict.fromkeys(("http", "https"), f"http://me:p%40ss@{proxy.address}"))
        assert fetch([f"{server.url}/w.bin"], replace(wanted, connection=known)).read_bytes() == DATA
        assert len(proxy.seen) == 1
        wanted.target.unlink()
        fetch([f"{server.url}/w.bin"], replace(wanted, connection=replace(known, direct=(server.url,))))
        assert len(proxy.seen) == 1


def test_a_socks_proxy_with_a_password_that_resolves_names(server, wanted):
    pytest.importorskip("socks", reason="PySocks is not installed")
    with running(Socks("me:secret")) as proxy:
        socks = {"http": f"socks5h://me:secret@{proxy.address}"}
        url = f"{server.url}/w.bin".replace("127.0.0.1", "localhost")
        assert fetch([url], replace(wanted, connection=replace(HASTY, proxies=socks))).read_bytes() == DATA
        assert proxy.seen == ["name localhost"]


def test_the_proxy_of_the_environment_is_the_default(server, wanted, monkeypatch):
    with running(Proxy()) as proxy:
        monkeypatch.setenv("http_proxy", f"http://{proxy.address}")
        monkeypatch.delenv("no_proxy", raising=False)
        fetch([f"{server.url}/w.bin"], replace(wanted, connection=Connection()))
        assert proxy.seen == [f"GET {server.url}/w.bin"]
        wanted.target.unlink()
        fetch([f"{server.url}/w.bin"], replace(wanted, connection=Connection(direct=(server.url,))))
        assert len(proxy.seen) == 1


# --- what it needs ---------------------------------------------------------------------------------------------------


def test_neither_torch_nor_qt_nor_gdal_is_needed_and_requests_only_to_fetch():
    names = ("torch", "requests", "osgeo", "PyQt5", "numpy")
    code = (
        f"import sys, json, ssdiff_core.weights.download\nprint(json.dumps([n for n in {names} if n in sys.modules]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[3], check=True
    )
    assert json.loads(done.stdout) == []


def test_without_requests_the_error_says_what_to_install(server, wanted, monkeypatch):
    monkeypatch.setitem(sys.modules, "requests", None)
    with pytest.raises(DownloadError, match="python3-requests"):
        fetch([f"{server.url}/w.bin"], wanted)


# --- hostile servers and folders -------------------------------------------------------------------------------------


def raw(head: bytes):
    """Answers with these bytes as they are."""

    def answer(handler, data):
        handler.wfile.write(head.replace(b"\n", b"\r\n") + b"\r\n\r\n" + data)
        handler.close_connection = True

    return answer


ODD_ANSWERS = {
    "an address with half a bracket": redirect("http://["),
    "a port that is none": redirect("http://127.0.0.1:99999/"),
    "an address of two slashes": redirect("//"),
    "a status that is none": raw(b"HTTP/1.1 999999 x"),
    "no HTTP": raw(b"SSH-2.0-x"),
    "escape sequences as reason": raw(b"HTTP/1.1 404 \x1b[31mred\x07"),
    "an encoding that it has not": raw(b"HTTP/1.1 200 OK\nContent-Encoding: gzip"),
}


@pytest.mark.parametrize("case", ODD_ANSWERS)
def test_an_odd_answer_is_one_printable_sentence(case, server, wanted):
    server.script = [ODD_ANSWERS[case]] * 20
    with pytest.raises(DownloadError) as caught:
        fetch([f"{server.url}/w.bin"], wanted)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 600
    assert not wanted.target.exists()


@pytest.mark.parametrize("length", ["²", "9" * 5000, "abc"])
def test_a_length_that_is_no_number_does_not_matter_if_the_bytes_are_right(length, server, wanted):
    server.script = [raw(b"HTTP/1.1 200 OK\nContent-Length: " + length.encode("latin-1"))]
    assert fetch([f"{server.url}/w.bin"], wanted).read_bytes() == DATA


@pytest.mark.skipif(not hasattr(os, "O_NOFOLLOW"), reason="the system has no links that could be followed")
@pytest.mark.parametrize("exists", [True, False])
def test_a_link_in_place_of_the_partial_file_is_not_followed(exists, server, wanted, tmp_path):
    victim = tmp_path / "victim"
    if exists:
        victim.write_bytes(b"precious")
    wanted.partial.parent.mkdir()
    wanted.partial.symlink_to(victim)
    assert fetch([f"{server.url}/w.bin"], wanted).read_bytes() == DATA
    assert (victim.read_bytes() == b"precious") if exists else not victim.exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_a_pipe_in_place_of_the_partial_file_does_not_hang(server, wanted):
    wanted.partial.parent.mkdir()
    os.mkfifo(wanted.partial)
    assert fetch([f"{server.url}/w.bin"], wanted).read_bytes() == DATA


def test_a_redirect_takes_no_cookies_to_another_server(server, wanted):
    def answer(handler, data):
        handler.send(302, b"", Location=f"{server.url}/w.bin", Set_Cookie="session=secret")

    with running(Files({}, [answer])) as first:
        fetch([f"{first.url}/w.bin"], wanted)
    assert "Cookie" not in server.asked[0][1]
