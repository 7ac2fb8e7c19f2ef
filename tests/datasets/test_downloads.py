"""Downloads: fetched from a server of this test that cuts, changes, refuses and lies; nothing leaves the machine."""

import hashlib
import http.client
import http.server
import io
import re
import socket
import ssl
import tarfile
import threading
import zipfile

import numpy as np
import pytest
from conftest import ROOT
from full_disk import room_for

from manyfaces.commands.data import fetch as command
from manyfaces.datasets.downloads import fetch as module
from manyfaces.datasets.downloads.fetch import fetch, in_bytes, mirrored
from manyfaces.datasets.downloads.table import BACKBONES, DOWNLOADS, Download, File
from manyfaces.datasets.downloads.unpack import unpack
from manyfaces.errors import InputError

DATA = bytes(range(256)) * 4096  # 1 MiB


class Server:
    """Serves `content` at every path, and does wrong what a test asks for.

    Attributes:
        cuts: byte positions at which the next answers end.
        ranges: whether it knows them.
        status: of all answers, if not 200 or 206.
        kind: Content-Type.
        tag: ETag.
        asked: (Range, If-Range) of the requests.
    """

    def __init__(self):
        self.content, self.cuts, self.ranges, self.status = DATA, [], True, None
        self.kind, self.tag, self.asked, self.length = "application/zip", '"one"', [], True
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                server.answer(self)

            def log_message(self, *_):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.http.server_address[1]}"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    def answer(self, handler):
        wanted, same = handler.headers.get("Range"), handler.headers.get("If-Range")
        self.asked.append((wanted, same))
        if self.status:
            handler.send_error(self.status)
            return
        first = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1]) if wanted else 0
        partial = bool(self.ranges and wanted and same in (None, self.tag))
        first = first if partial else 0
        if partial and first >= len(self.content):
            handler.send_response(416)
            handler.send_header("Content-Range", f"bytes */{len(self.content)}")
            handler.end_headers()
            return
        handler.send_response(206 if partial else 200)
        handler.send_header("Content-Type", self.kind)
        handler.send_header("ETag", self.tag)
        if self.length:
            handler.send_header("Content-Length", str(len(self.content) - first))
        if partial:
            handler.send_header("Content-Range", f"bytes {first}-{len(self.content) - 1}/{len(self.content)}")
        handler.end_headers()
        end = self.cuts.pop(0) if self.cuts else len(self.content)
        handler.wfile.write(self.content[first:end])


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    running = Server()
    yield running
    running.http.shutdown()
    running.http.server_close()


def file_of(server, content=DATA, **changes):
    facts = {"size": len(content), "checksum": f"sha256:{hashlib.sha256(content).hexdigest()}", "source": "the test"}
    return File("set.zip", f"{server.address}/set.zip", **{**facts, **changes})


def test_a_cut_fetch_continues_where_it_stopped(server, tmp_path):
    server.cuts = [300_000, 300_100, 900_000]
    seen = []
    fetch(file_of(server), tmp_path, lambda done, total: seen.append((done, total)), pauses=(0, 0))
    assert (tmp_path / "set.zip").read_bytes() == DATA and [path.name for path in tmp_path.iterdir()] == ["set.zip"]
    assert server.asked == [(None, None), ("bytes=300000-", '"one"'), ("bytes=300100-", '"one"'),
                            ("bytes=900000-", '"one"')]
    assert seen[-1] == (len(DATA), len(DATA)) and [done for done, _ in seen] == sorted(done for done, _ in seen)
    fetch(file_of(server), tmp_path)
    assert len(server.asked) == 4, "what is there and right is not fetched again"


@pytest.mark.parametrize("error", [ssl.SSLError(1, "bad record"), OSError(113, "No route to host"), TimeoutError()])
@pytest.mark.parametrize("owner, name, good", [(http.client.HTTPResponse, "read", 1),
                                               (http.client.HTTPConnection, "getresponse", 0)])
def test_a_connection_that_fails_is_not_the_disk(server, tmp_path, monkeypatch, error, owner, name, good):
    calls, real = [], getattr(owner, name)

    def fails_once(self, *arguments):
        calls.append(name)
        if len(calls) == good + 1:
            raise error
        return real(self, *arguments)

    monkeypatch.setattr(owner, name, fails_once)
    with pytest.raises(InputError, match=rf"127\.0\.0\.1 stopped at .* \(.*{error.strerror or 'TimeoutError'}\); run"):
        fetch(file_of(server), tmp_path, pauses=())
    calls.clear()
    (tmp_path / "set.zip.part").unlink(missing_ok=True)
    fetch(file_of(server), tmp_path, pauses=(0,))
    assert (tmp_path / "set.zip").read_bytes() == DATA


def test_a_file_is_read_once_for_its_checksum(server, tmp_path, monkeypatch):
    read, real = [], module.digest
    monkeypatch.setattr(module, "digest", lambda path, kind="sha256": read.append(kind) or real(path, kind))
    file = file_of(server)
    assert fetch(file, tmp_path) == fetch(file, tmp_path) == file.checksum.removeprefix("sha256:")
    assert read == ["sha256"] * 2
    md5 = file_of(server, checksum=f"md5:{hashlib.md5(DATA).hexdigest()}")
    assert fetch(md5, tmp_path) == hashlib.sha256(DATA).hexdigest()


def test_a_second_command_continues_too_and_says_so(server, tmp_path):
    server.cuts = [500_000, 500_000, 500_000]
    with pytest.raises(InputError, match=r"set\.zip: 127\.0\.0\.1 stopped at 500\.0 kB of 1\.0 MB .*it continues"):
        fetch(file_of(server), tmp_path, pauses=(0, 0))
    assert (tmp_path / "set.zip.part").stat().st_size == 500_000
    fetch(file_of(server), tmp_path)
    assert server.asked[-1] == ("bytes=500000-", '"one"')


def test_two_versions_are_never_joined(server, tmp_path):
    server.cuts = [400_000]
    with pytest.raises(InputError):
        fetch(file_of(server), tmp_path, pauses=())
    server.content, server.tag = DATA[::-1], '"two"'
    assert fetch(file_of(server, DATA[::-1]), tmp_path) == hashlib.sha256(DATA[::-1]).hexdigest()


@pytest.mark.parametrize("ranges, length", [(False, True), (False, False), (True, False)])
def test_servers_without_ranges_or_lengths(server, tmp_path, ranges, length):
    server.ranges, server.length, server.cuts = ranges, length, [200_000] if length else []
    fetch(file_of(server), tmp_path, pauses=(0,))
    assert (tmp_path / "set.zip").read_bytes() == DATA


@pytest.mark.parametrize("extra", [b"", b"more"])
def test_a_part_that_is_whole_or_too_long(server, tmp_path, extra):
    (tmp_path / "set.zip.part").write_bytes(DATA + extra)
    fetch(file_of(server), tmp_path, pauses=(0,))
    assert (tmp_path / "set.zip").read_bytes() == DATA


@pytest.mark.parametrize("changes, words", [
    ({"checksum": "sha256:" + "0" * 64}, r"its sha256 is [0-9a-f]{64}, expected 0{64} \(as the test says\)"),
    ({"checksum": "md5:" + "0" * 32}, r"its md5 is [0-9a-f]{32}, expected 0{32}"),
    ({"size": 12}, r"it has 1,048,576 bytes, expected 12"),
])
def test_another_file_is_removed(server, tmp_path, changes, words):
    with pytest.raises(InputError, match=words + r".*is damaged or has changed"):
        fetch(file_of(server, **changes), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_file_that_was_there_stays(server, tmp_path):
    (tmp_path / "set.zip").write_bytes(b"mine")
    with pytest.raises(InputError, match=r"set\.zip: it has 4 bytes, expected 1,048,576.*delete or move it"):
        fetch(file_of(server), tmp_path)
    assert (tmp_path / "set.zip").read_bytes() == b"mine" and not server.asked


def test_a_file_without_known_checksum_is_taken_as_it_comes(server, tmp_path):
    file = file_of(server, size=None, checksum="")
    assert fetch(file, tmp_path) == hashlib.sha256(DATA).hexdigest()


@pytest.mark.parametrize("status, words", [(404, "404 Not Found .the file has moved."), (403, "403 Forbidden")])
def test_a_refusal_says_what_to_do(server, tmp_path, status, words):
    server.status = status
    with pytest.raises(InputError, match=rf"127.*set\.zip: the server answers {words}.*put it where.*--mirror"):
        fetch(file_of(server), tmp_path, pauses=(0,))
    assert len(server.asked) == 1


def test_a_busy_server_is_asked_again(server, tmp_path):
    server.status = 503
    with pytest.raises(InputError, match=r"503 Service Unavailable"):
        fetch(file_of(server), tmp_path, pauses=(0, 0))
    assert len(server.asked) == 3


def test_a_web_page_is_no_file(server, tmp_path):
    server.kind = "text/html; charset=utf-8"
    with pytest.raises(InputError, match="sent a web page instead of the file .a log-in, a quota"):
        fetch(file_of(server), tmp_path)
    assert not (tmp_path / "set.zip").exists()


def test_no_server_and_no_proxy(tmp_path, monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    file = File("set.zip", f"http://127.0.0.1:{port}/set.zip", 10**9)
    with pytest.raises(InputError, match=r"127\.0\.0\.1: cannot be reached .*refused.*Without a network: fetch "
                                         r"http://127.*1\.0 GB.*put it at .*set\.zip, and run"):
        fetch(file, tmp_path, pauses=(0,))
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
    with pytest.raises(InputError, match=rf"example\.invalid: cannot be reached through http_proxy=http://127.0.0.1:{port}"):
        fetch(File("set.zip", "http://example.invalid/set.zip"), tmp_path, pauses=())


def test_a_full_disk_keeps_what_came(server, tmp_path):
    with room_for(300_000), pytest.raises(InputError, match=r"set\.zip\.part: cannot be written .*it continues there"):
        fetch(file_of(server), tmp_path, pauses=(0,))
    fetch(file_of(server), tmp_path)
    assert (tmp_path / "set.zip").read_bytes() == DATA
    (first, _), (again, _) = server.asked
    assert first is None and 0 < int(again.removeprefix("bytes=").removesuffix("-")) <= 300_000


def test_a_disk_without_room_is_told_before(server, tmp_path, monkeypatch):
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    with pytest.raises(InputError, match=r"1\.0 kB are free, set\.zip needs 1\.0 MB more; free some space"):
        fetch(file_of(server), tmp_path)


# ---------------------------------------------------------------- unpacking


def archive(kind, files):
    data = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(data, "w") as target:
            for name, content in files.items():
                target.writestr(name, content)
    else:
        with tarfile.open(fileobj=data, mode="w:gz") as target:
            for name, content in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                target.addfile(member, io.BytesIO(content))
    return data.getvalue()


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_archives_are_unpacked_below_their_folder_only(tmp_path, kind):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "set.zip").write_bytes(archive(kind, {"a/b.txt": b"1", "a/c.txt": b"2"}))
    assert unpack(File("set.zip", "", unpack=kind), folder) == 2
    assert (folder / "a/b.txt").read_bytes() == b"1"
    assert unpack(File("set.zip", "", unpack=kind, members={"a/c.txt": "d/e.txt"}), folder) == 1
    assert (folder / "d/e.txt").read_bytes() == b"2"
    with pytest.raises(InputError, match="has no x.txt"):
        unpack(File("set.zip", "", unpack=kind, members={"x.txt": "x.txt"}), folder)
    for name in ("../out.txt", str(tmp_path / "out.txt")):
        (folder / "set.zip").write_bytes(archive(kind, {name: b"3"}))
        with pytest.raises(InputError, match="would be written outside"):
            unpack(File("set.zip", "", unpack=kind), folder)
    assert not (tmp_path / "out.txt").exists()


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_of_a_damaged_archive_nothing_is_written(tmp_path, kind):
    """Else the folder that it gives would count as unpacked once the archive is deleted, as the message says."""
    random = np.random.default_rng(0)
    files = {name: random.bytes(20_000) for name in ("a.jpg", "b.jpg")}
    whole = archive(kind, files)
    changed = bytearray(whole)
    changed[30_000] ^= 1  # in the second file, whose bytes cannot be compressed
    before = bytearray(whole)
    before[-8:] = b"\xff" * 8
    for content in (whole[:-30], whole[:60], changed, before):
        (tmp_path / "set.zip").write_bytes(content)
        with pytest.raises(InputError, match="cannot be unpacked"):
            unpack(File("set.zip", "", unpack=kind), tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["set.zip"]
    (tmp_path / "set.zip").write_bytes(whole)
    assert unpack(File("set.zip", "", unpack=kind), tmp_path) == 2
    assert {name: (tmp_path / name).read_bytes() for name in files} == files


# ------------------------------------------------------------------ command


def test_the_command_fetches_unpacks_and_says_what_is_next(server, tmp_path, monkeypatch, capsys):
    server.content = archive("zip", {"x/images/1.jpg": b"1", "__MACOSX/x": b""})
    checksum = f"sha256:{hashlib.sha256(server.content).hexdigest()}"
    row = Download("a set", "some", (File("x.zip", "http://example.invalid/x.zip", len(server.content), checksum,
                                          "the test", "zip", gives="x/images"),), "page", "free", "do this")
    monkeypatch.setitem(DOWNLOADS, "some", row)
    words = ["some", "--out", str(tmp_path), "--mirror", server.address]
    command.main(words)
    output = capsys.readouterr().out
    assert "1 files unpacked into" in output and "then: do this" in output and "as expected" in output
    assert (tmp_path / "some/x/images/1.jpg").exists() and not (tmp_path / "some/x.zip").exists()
    assert not (tmp_path / "some/__MACOSX").exists()
    command.main(words)
    assert "x/images is there" in capsys.readouterr().out and len(server.asked) == 1
    with pytest.raises(InputError, match=r"NAME is 'wides', expected list or some of wider, "):
        command.main(["wides"])
    with pytest.raises(InputError, match=r"facemask: can only be fetched by hand from https://www.kaggle"):
        command.main(["facemask", "--out", str(tmp_path)])


def test_the_table_is_whole(capsys):
    command.main(["list"])
    printed = capsys.readouterr().out
    for name, row in DOWNLOADS.items():
        assert f"{name}: {row.line}" in printed and row.licence and row.page.startswith("http")
        for file in row.files:
            assert file.address in printed and file.gives
            assert bool(file.size or file.checksum) == bool(file.source), "a figure has a source"
            kind, _, digits = file.checksum.partition(":")
            assert len(digits) == {"sha256": 64, "sha1": 40, "md5": 32, "": 0}[kind]
            assert mirrored(file, "http://m/d/").address == f"http://m/d/{file.name}"
    assert "resnet101_slim.weights.h5" in BACKBONES
    for weights, name in BACKBONES.items():
        assert weights in DOWNLOADS[name].then
    assert [in_bytes(size) for size in (None, 5, 1500, 363e6, 1.47e9)] == ["unknown size", "5 bytes", "1.5 kB",
                                                                           "363.0 MB", "1.5 GB"]


def test_the_page_shows_the_table():
    page = (ROOT / "docs" / "reproduce.md").read_text(encoding="utf-8")
    assert f"```text\n{command.table()}\n```" in page
