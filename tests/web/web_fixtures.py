"""Fixtures of the tests of the page: node, a browser with a camera, the site with its runtime, a picture."""

import json
import shutil
import subprocess

import cv2
import numpy as np
import pytest
from chromium import Browser, find_chromium
from page import Page, served

from manyfaces import web
from manyfaces.datasets.toy.portraits import portraits
from manyfaces.errors import InputError
from manyfaces.web.runtime import fetch_runtime

HELPERS = """
import { readFileSync } from "node:fs";
const job = JSON.parse(readFileSync("job.json", "utf8"));
const bytes = name => { const b = readFileSync(name); return b.buffer.slice(b.byteOffset, b.byteOffset + b.length); };
const array = name => { const { dims, kind } = job.kinds[name], data = bytes(name + ".bin");
  return { dims, data: kind === "float32" ? new Float32Array(data) : new Uint8ClampedArray(data) }; };
const answer = value => console.log(JSON.stringify(value));
"""


@pytest.fixture
def node(tmp_path):
    """node(program, job, arrays) -> what the program gives to `answer`; skipped where there is no node.

    The program finds `job`, and `array(name)` with {data, dims} for each float32 or uint8 array.
    """
    program = shutil.which("node")
    if program is None:
        pytest.skip("no node on this machine; Debian: apt install nodejs")

    def run(source, job, arrays):
        for path in web.page_folder().glob("*.js"):  # node takes .js for modules only where a package.json says so
            (tmp_path / path.name).write_bytes(path.read_bytes())
        (tmp_path / "package.json").write_text('{"type": "module"}')
        kinds = {}
        for name, values in arrays.items():
            (tmp_path / f"{name}.bin").write_bytes(values.tobytes())
            kinds[name] = {"dims": list(values.shape), "kind": str(values.dtype)}
        (tmp_path / "job.json").write_text(json.dumps({**job, "kinds": kinds}))
        (tmp_path / "main.js").write_text(HELPERS + source)
        done = subprocess.run([program, "main.js"], cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr[-2000:]
        return json.loads(done.stdout)

    return run


@pytest.fixture(scope="module")
def files():
    """The table of the site with the runtime itself, which npm fetches into the user's cache where it is not there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("npm_config_fetch_retries", "0")  # a machine without a network does not wait for minutes
        patch.setenv("npm_config_fetch_timeout", "30000")
        try:
            return web.site_files(runtime=fetch_runtime())
        except InputError as error:
            pytest.skip(f"no onnxruntime-web on this machine: {error}")


@pytest.fixture(scope="module")
def url(files):
    with served(files) as address:
        yield address


@pytest.fixture(scope="module")
def group(tmp_path_factory):
    """Path of a PNG with two faces, and its pixels: lossless, so the page and Python have the same ones."""
    hopper, collins = (portrait.image for portrait in portraits())
    image = np.full((613, 1031, 3), 90, np.uint8)
    image[:600, :512], image[50:562, 517:1029] = hopper, collins
    path = tmp_path_factory.mktemp("pictures") / "group.png"
    cv2.imwrite(str(path), image[..., ::-1])
    return path, image


@pytest.fixture(scope="module")
def page(group, tmp_path_factory):
    """A browser whose camera shows the group."""
    chromium = find_chromium()
    if chromium is None:
        pytest.skip("no Chromium on this machine; Debian: apt install chromium")
    folder = tmp_path_factory.mktemp("camera")
    frame = np.zeros((480, 640, 3), np.uint8)
    frame[:381, :] = cv2.resize(group[1], (640, 381), interpolation=cv2.INTER_AREA)
    (folder / "camera.mjpeg").write_bytes(cv2.imencode(".jpg", frame[..., ::-1])[1].tobytes() * 2)
    flags = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream",
             f"--use-file-for-fake-video-capture={folder / 'camera.mjpeg'}")
    (folder / "downloads").mkdir()
    with Browser(chromium, tmp_path_factory.mktemp("profile"), flags=flags) as browser:
        yield Page(browser, folder / "downloads")
