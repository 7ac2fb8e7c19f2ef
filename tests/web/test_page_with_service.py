"""The page in headless Chromium where a service finds the faces, or may: a stand-in for `manyfaces serve` answers."""

import json

import cv2
import numpy as np
import pytest
from page import Service, is_clean, served

from manyfaces import Detections, web
from manyfaces.datasets.toy.portraits import portraits

pytest_plugins = ["web_fixtures"]
pytestmark = pytest.mark.slow
SSH = "ssh_mobilenet_v1_025"
FACE = {"box": [20.0, 30.0, 60.0, 90.0], "score": 0.9, "landmarks": [[30, 50], [50, 50], None, [33, 75], [48, 75]]}
ANSWER = (200, {}, {"model": SSH, "width": 256, "height": 300, "ms": 7, "faces": [FACE, {**FACE, "score": 0.1}]})


def error(code):
    return {"error": {"code": code, "message": f"The service says {code}."}}


def test_pictures_go_to_the_service_where_there_is_no_runtime(page):
    """And the page says so. Boxes are px of the service's image, whose size may differ from that of the page."""
    Service.sent, Service.answers = [], [ANSWER]
    with served(web.site_files(service=[SSH, "mtcnn"]), Service) as url:
        page.open(url)
        assert page.text("where") == f"Pictures are sent to {url.split('/')[2]}"
        assert page.shown("side") and not page.shown("webgpu") and not page.shown("places")
        page.put("model", "mtcnn")
        page.click("example")
        assert page.found() == "1 face found"
        path, headers, body = Service.sent[-1]
        assert path == "/v1/detect?model=mtcnn&threshold=0"
        assert headers["Content-Type"] == "image/jpeg" and "Authorization" not in headers
        assert body == web.site_files()["portrait.jpg"].read_bytes()
        assert "net 7 ms" in page.text("facts")
        kept = json.loads(page.kept("save-json").read_text())
        assert kept["faces"] == [{"box": [40, 60, 120, 180], "score": 0.9, "landmarks": [
            [60, 100], [100, 100], None, [66, 150], [96, 150]]}]
        assert Detections.from_json(json.dumps(kept)).landmarks.shape == (1, 5, 2)
        assert len(page.kept("save").read_bytes()) > 1000
        assert is_clean(page, url)


def test_a_service_gets_a_large_picture_as_small_as_the_browser_would(page, tmp_path):
    """So a face that fills it is found whole, and hidden whole."""
    Service.sent, Service.answers = [], [ANSWER]
    picture = tmp_path / "large.png"
    cv2.imwrite(str(picture), cv2.resize(portraits()[0].image[..., ::-1], (2048, 2400)))
    with served(web.site_files(service=[SSH]), Service) as url:
        page.open(url)
        page.choose(picture)
        assert page.found() == "1 face found"
        sent = [cv2.imdecode(np.frombuffer(Service.sent[-1][2], np.uint8), cv2.IMREAD_COLOR)]
        page.put("side", "640")
        page.wait("document.getElementById('facts').innerText.includes('640')")
        sent.append(cv2.imdecode(np.frombuffer(Service.sent[-1][2], np.uint8), cv2.IMREAD_COLOR))
        assert [image.shape for image in sent] == [(1280, 1092, 3), (640, 546, 3)]
        assert is_clean(page, url)


def test_what_a_service_refuses_is_said_in_words(page):
    Service.sent, Service.answers = [], [(401, {}, error("unauthorized")), (401, {}, error("unauthorized")), ANSWER]
    with served(web.site_files(service=[SSH]), Service) as url:
        page.open(url)
        page.click("example")
        assert page.message() == "The server wants a key. Type it below."
        page.put("key", "guessed")
        page.wait("document.getElementById('message').innerText === 'The server does not accept this key.'")
        page.put("key", " secret ")
        assert page.found() == "1 face found" and not page.shown("message")
        assert Service.sent[-1][1]["Authorization"] == "Bearer secret"
        for status, answer, words in (
                (413, error("that"), "The service says that."), (500, [], "The server failed (500)"),
                (503, error("busy"), "The service says busy."), (502, None, "The server is not")):
            Service.answers = [(status, {"Retry-After": "1"}, answer)]
            page.browser.evaluate("document.getElementById('message').hidden = true")
            page.click("example")
            assert page.message().startswith(words)
            assert page.text("count") == "No result"
        Service.answers = [(503, {"Retry-After": "0.1"}, error("busy")), ANSWER]
        page.click("camera")  # which goes on
        assert page.found() == "1 face found"
        assert Service.sent[-1][2][:3] == b"\xff\xd8\xff" and page.text("camera") == "Stop"
        page.click("camera")


def test_a_reader_chooses_where_pictures_are_processed(page, files, group):
    Service.sent, Service.answers = [], [ANSWER]
    runtime = files["browser/ort/ort.wasm.min.mjs"].parent
    with served(web.site_files([SSH, "tiny_mobilenet_v1_025"], runtime, [SSH]), Service) as url:
        page.open(url)
        assert page.shown("places") and page.text("where").startswith("In this browser")
        page.choose(group[0])
        assert page.found() == "2 faces found" and Service.sent == []
        page.browser.evaluate("document.querySelector('[value=service]').click()")
        page.wait("document.getElementById('count').textContent === '1 face found'")
        assert page.text("where").startswith("Pictures are sent to") and len(Service.sent) == 1
        assert Service.sent[0][2] == group[0].read_bytes()
        assert page.browser.evaluate("document.getElementById('model').length") == 1
        page.browser.evaluate("document.querySelector('[value=browser]').click()")
        page.wait("document.getElementById('count').textContent === '2 faces found'")
        assert len(Service.sent) == 1
