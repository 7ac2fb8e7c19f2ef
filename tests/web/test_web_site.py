"""The page's table of addresses, its server, the folder for a static host, and the fetch of its runtime: no browser."""

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading

import pytest

from manyfaces import pretrained, web
from manyfaces.commands.web import main
from manyfaces.errors import InputError
from manyfaces.web.build import build_site
from manyfaces.web.headers import ISOLATION, POLICY
from manyfaces.web.runtime import FILES, INPUTS, KEPT, PINNED, WEBGPU_FILES, fetch_runtime
from manyfaces.web.server import Server
from manyfaces.web.site import shipped

SSH = "ssh_mobilenet_v1_025"


@pytest.fixture(scope="module")
def runtime(tmp_path_factory):
    """A folder in place of onnxruntime-web: the names count here, not what is in the files."""
    folder = tmp_path_factory.mktemp("runtime")
    for name in KEPT:
        (folder / name).write_bytes(name.encode())
    (folder / "other.map").write_text("not for the page")
    return folder


def site_of(files):
    return json.loads(files["site.json"])


def test_the_table_holds_what_the_page_names(runtime):
    files = web.site_files(runtime=runtime, service=[SSH, "mtcnn"])
    site = site_of(files)
    addresses = [site["runtime"] + name for name in KEPT] + list(site["examples"])
    for row in site["models"]:
        addresses += filter(None, [row["onnx"], row["facts"]])
    page = files["index.html"].read_text(encoding="utf-8")
    addresses += re.findall(r'(?:src|href)="([^":]+)"', page)
    for path in web.page_folder().glob("*.js"):
        addresses += re.findall(r'(?:from|URL\() ?"(?:\./)?([\w.]+)"', path.read_text(encoding="utf-8"))
    assert len(addresses) > 25 and set(addresses) <= set(files)
    assert set(files) - set(addresses) == {"", "index.html", "site.json"}
    assert files[""] == files["index.html"]


def test_site_json_says_who_can_find_faces(runtime):
    here = site_of(web.site_files(runtime=runtime))
    assert (here["version"], here["runtime"], here["service"]) == (1, "browser/ort/", None)
    assert [row["name"] for row in here["models"]] == shipped() and shipped()[:2] == [
        SSH, "tiny_mobilenet_v1_025"]
    assert [row["name"] for row in here["models"] if row["default"]] == [SSH]
    assert all(0.5 < row["megabytes"] < 10 and not row["service"] for row in here["models"])

    there = site_of(web.site_files(service=[SSH, "mtcnn"]))
    assert (there["runtime"], there["service"], there["webgpu"]) == (None, "v1/detect", False)
    rows = {row["name"]: row for row in there["models"]}
    assert rows[SSH]["facts"] and not rows["mtcnn"]["facts"]
    assert all(row["service"] and row["onnx"] is None for row in rows.values())

    both = site_of(web.site_files(["tiny_mobilenet_v1_025"], runtime, [SSH], webgpu=False))
    assert {row["name"]: (bool(row["onnx"]), row["service"]) for row in both["models"]} == {
        "tiny_mobilenet_v1_025": (True, False), SSH: (False, True)}
    assert not both["webgpu"]


def test_a_model_of_ones_own_is_offered_first(runtime, tmp_path):
    for suffix in (".onnx", ".json"):
        shutil.copyfile(pretrained.model_file(SSH).with_suffix(suffix), tmp_path / f"mine{suffix}")
    files = web.site_files([tmp_path / "mine.onnx", SSH], runtime)
    assert [(row["name"], row["default"]) for row in site_of(files)["models"]] == [("mine", True), (SSH, False)]
    assert files["models/mine.onnx"] == tmp_path / "mine.onnx"
    (tmp_path / "sub").mkdir()
    for suffix in (".onnx", ".json"):
        shutil.copyfile(tmp_path / f"mine{suffix}", tmp_path / "sub" / f"mine{suffix}")
    with pytest.raises(InputError, match="two models of the name mine"):
        web.site_files([tmp_path / "mine.onnx", tmp_path / "sub" / "mine.onnx"], runtime)


@pytest.mark.parametrize("name", ["my model#1?", "50%41&+é", os.fsdecode(b"old\xe9"), "..", "a.b"])
def test_a_model_may_have_any_name(name, runtime, tmp_path):
    for suffix in (".onnx", ".json"):
        shutil.copyfile(pretrained.model_file(SSH).with_suffix(suffix), tmp_path / f"{name}{suffix}")
    files = web.site_files([tmp_path / f"{name}.onnx"], runtime)
    [row] = site_of(files)["models"]
    assert row["name"] == name
    with served(files) as server:
        for key, suffix in (("onnx", ".onnx"), ("facts", ".json")):
            assert not set(row[key]) & set(" #?&")
            answer, body = ask(server, f"/{row[key]}")
            assert (answer.status, body) == (200, (tmp_path / f"{name}{suffix}").read_bytes())
    build_site(tmp_path / "site", files)
    assert (tmp_path / "site" / "models" / f"{name}.onnx").is_file()


@pytest.mark.parametrize("model, message", [
    ("mtcnn", "mtcnn: does not run in a browser; expected"),
    ("grid_mobilenet_v2_100", "does not run in a browser|manyfaces-weights"),
    ("missing.onnx", "missing.onnx: no such model file"), ("photo.jpg", "photo.jpg: does not run")])
def test_a_model_that_no_browser_runs_is_an_error_before_anything_is_fetched(model, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match=message):
        main(["--model", model])


def test_the_page_and_the_headers_have_one_policy_without_other_hosts():
    page = (web.page_folder() / "index.html").read_text(encoding="utf-8")
    assert f'content="{POLICY}"' in page
    assert POLICY in web.HEADERS["Content-Security-Policy"]
    assert "unsafe-inline" not in POLICY and "unsafe-eval" not in POLICY.replace("'wasm-unsafe-eval'", "") and (
        "http" not in POLICY and "*" not in POLICY)
    for path in web.page_folder().iterdir():
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "://" not in text, path.name
    assert not re.search(r"<script(?![^>]*src=)|\son\w+=|style=", page)


# ------------------------------------------------------------------ the server


@contextlib.contextmanager
def served(files, **more):
    with Server(files, 0, **more) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def ask(server, path, method="GET", **headers):
    connection = http.client.HTTPConnection(*server.server_address, timeout=20)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer, body


def test_each_address_is_answered_with_its_type_and_the_headers(runtime):
    files = web.site_files(runtime=runtime)
    with served(files) as server:
        for address in files:
            answer, body = ask(server, f"/{address}?anything=1")
            assert answer.status == 200, address
            assert body == (files[address] if isinstance(files[address], bytes) else files[address].read_bytes())
            assert all(answer.headers[name] == value for name, value in web.HEADERS.items())
            kind = answer.headers["Content-Type"].partition(";")[0]
            assert kind == {"": "text/html", "html": "text/html", "js": "text/javascript", "mjs": "text/javascript",
                            "css": "text/css", "wasm": "application/wasm", "json": "application/json",
                            "jpg": "image/jpeg", "onnx": "application/octet-stream"}[address.rpartition(".")[2]]
        first, _ = ask(server, "/app.js")
        again, body = ask(server, "/app.js", **{"If-None-Match": first.headers["ETag"]})
        assert (again.status, body) == (304, b"")
        head, body = ask(server, "/app.js", "HEAD")
        assert (head.status, body, head.headers["Content-Length"]) == (200, b"", first.headers["Content-Length"])


def test_without_threads_only_the_two_headers_for_them_are_missing():
    with served(web.site_files(), threads=False) as server:
        answer, _ = ask(server, "/")
        assert {name for name in web.HEADERS if name not in answer.headers} == set(ISOLATION)


@pytest.mark.parametrize("path", [
    "/../pyproject.toml", "/..%2f..%2fetc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd", "/etc/passwd",
    "/app.js/", "/models/../../site.py", "/models/", "/browser/ort", "/./app.js", "/app.js%00.txt", "/\\..\\..\\x",
    "/%ff", "/site.py"])
def test_nothing_but_the_table_is_answered(path, runtime):
    with served(web.site_files(runtime=runtime)) as server:
        answer, body = ask(server, path)
        assert (answer.status, body) == (404, b"no such address\n")


def test_other_methods_and_broken_requests_do_not_end_the_server():
    with served(web.site_files()) as server:
        assert ask(server, "/", "POST")[0].status == 501
        for data in (b"\x00\xff\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET /" + b"a" * 70000, b""):
            with socket.create_connection(server.server_address, timeout=10) as client:
                client.sendall(data)
        assert ask(server, "/")[0].status == 200


def test_a_file_that_has_gone_is_404(tmp_path):
    (tmp_path / "a.js").write_text("1")
    with served({"a.js": tmp_path / "a.js"}) as server:
        assert ask(server, "/a.js")[0].status == 200
        (tmp_path / "a.js").unlink()
        assert ask(server, "/a.js")[0].status == 404


def test_it_listens_on_this_machine_only_and_a_taken_port_is_an_error():
    with Server({}, 0) as server:
        assert server.server_address[0] == "127.0.0.1" and server.url == f"http://127.0.0.1:{server.server_address[1]}/"
        with pytest.raises(InputError, match=rf"--port {server.server_address[1]}: cannot listen on 127.0.0.1 \(Addr"):
            Server({}, server.server_address[1])


def test_the_first_choice_of_a_port_gives_way(monkeypatch):
    with Server({}, 0) as server:
        monkeypatch.setattr("manyfaces.web.server.PORT", server.server_address[1])
        with Server({}) as other:
            assert other.server_address[1] not in (0, server.server_address[1])


# ------------------------------------------------------------------ the folder


def test_a_built_site_holds_the_table_and_is_built_again_without_old_models(runtime, tmp_path):
    files = web.site_files([SSH, "tiny_mobilenet_v1_025"], runtime)
    size = build_site(tmp_path / "new" / "site", files)
    found = {path.relative_to(tmp_path / "new" / "site").as_posix(): path.read_bytes()
             for path in (tmp_path / "new" / "site").rglob("*") if path.is_file()}
    rules = found.pop("_headers").decode()
    del files[""]
    assert found == {name: data if isinstance(data, bytes) else data.read_bytes() for name, data in files.items()}
    assert size == sum(map(len, found.values())) + len(rules)
    assert rules.startswith("/*\n") and all(f"  {name}: {value}\n" in rules for name, value in web.HEADERS.items())
    build_site(tmp_path / "new" / "site", web.site_files([SSH], runtime, webgpu=False))
    left = {path.name for path in (tmp_path / "new" / "site").rglob("*")}
    assert "tiny_mobilenet_v1_025.onnx" not in left and not left & set(WEBGPU_FILES) and set(FILES) <= left


def test_a_folder_with_other_files_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("my only copy")
    with pytest.raises(InputError, match="the folder holds other files"):
        build_site(tmp_path, web.site_files())
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(InputError, match="is a file"):
        build_site(tmp_path / "thesis.tex", web.site_files())


# ------------------------------------------------------------------ the runtime


@pytest.fixture
def npm(tmp_path, monkeypatch):
    """npm(program) puts an npm in the path that is this Python program, and an empty cache of the user."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))

    def put(program):
        path = tmp_path / "bin" / "npm"
        path.write_text(f"#!{sys.executable}\nimport os, sys, pathlib\n{program}\n")
        path.chmod(0o755)

    return put


INSTALLS = f"""
assert sys.argv[1:3] == ["ci", "--ignore-scripts"] and sorted(os.listdir(".")) == {sorted(INPUTS)}
place = pathlib.Path("node_modules/onnxruntime-web/dist")
place.mkdir(parents=True)
for name in [*{KEPT}, "ort.all.min.mjs"]:
    (place / name).write_text(name)
"""


def test_the_runtime_is_fetched_once_and_only_what_the_page_loads_is_kept(npm, tmp_path, capsys):
    npm(INSTALLS)
    assert web.runtime_folder() is None
    folder = fetch_runtime()
    assert folder == web.runtime_folder() and folder.is_relative_to(tmp_path / "cache" / "manyfaces")
    assert sorted(os.listdir(folder)) == sorted(KEPT)
    assert "fetching the page's runtime" in capsys.readouterr().err
    npm("sys.exit(1)")
    assert fetch_runtime() == folder
    (folder / KEPT[0]).unlink()  # a fetch that was cut short, or a cleaner of caches
    assert web.runtime_folder() is None
    npm(INSTALLS)
    assert fetch_runtime() == folder


def test_without_npm_one_line_says_what_to_do(npm):
    with pytest.raises(InputError, match=r"npm is not installed; .*Install Node.js") as error:
        main([])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("program, message", [
    ("sys.exit('npm error code EAI_AGAIN\\nnpm error request failed')", "npm error request failed"),
    ("sys.exit(3)", r"exit code 3\): without a message"),
    ("", "onnxruntime-web holds no ort.wasm.min.mjs")])
def test_an_npm_that_fails_is_one_line_and_leaves_nothing_half_done(npm, tmp_path, program, message):
    npm(program)
    with pytest.raises(InputError, match=message):
        fetch_runtime()
    assert web.runtime_folder() is None
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file()] == []


def test_the_lock_pins_every_package_at_the_public_registry():
    package, lock = (json.loads((PINNED / name).read_text()) for name in INPUTS)
    assert re.fullmatch(r"\d+\.\d+\.\d+", package["dependencies"]["onnxruntime-web"])
    root = lock["packages"].pop("")
    assert root["dependencies"] == package["dependencies"]
    rows = lock["packages"].values()
    assert all(row["resolved"].startswith("https://registry.npmjs.org/") for row in rows)
    assert all(row["integrity"].startswith("sha512-") for row in rows)
    assert lock["packages"]["node_modules/onnxruntime-web"]["version"] == package["dependencies"]["onnxruntime-web"]


@pytest.mark.parametrize("words, message", [
    (["--port", "70000"], "--port"), (["--port", "-1"], "--port"),
    (["--build", "x", "--port", "1"], "--build writes files"), (["--build", "x", "--no-threads"], "--build writes")])
def test_options_that_do_not_fit(words, message, npm):
    with pytest.raises(InputError, match=message):
        main(words)


def test_the_command_builds_a_site(npm, tmp_path, monkeypatch, capsys):
    npm(INSTALLS)
    monkeypatch.chdir(tmp_path)
    main(["--build", "public", "--model", SSH])
    assert re.match(r"public: \d+ files, \d+ MB", capsys.readouterr().out)
    assert (tmp_path / "public" / "models" / f"{SSH}.onnx").is_file()


def test_the_command_serves_until_it_is_interrupted(npm):
    npm(INSTALLS)
    command = [sys.executable, "-m", "manyfaces", "web", "--port", "0", "--model", SSH]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        port = re.match(r"http://127.0.0.1:(\d+)/ shows the page", process.stdout.readline())[1]
        connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=20)
        connection.request("GET", "/site.json")
        assert [row["name"] for row in json.load(connection.getresponse())["models"]] == [SSH]
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        assert "Traceback" not in process.stderr.read()
