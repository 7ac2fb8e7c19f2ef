"""A running service: what it answers to images, forms, parameters and errors."""

import json
import re
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest
from conftest import ROOT

from benchmarks.service.client import ask, file_part, form, request
from benchmarks.service.process import Served
from manyfaces import Detector
from manyfaces.datasets.toy.portraits import portraits
from manyfaces.serve.answers import CODES

pytest.importorskip("fastapi", reason="FastAPI is not installed: pip install 'manyfaces[serve]'")

from manyfaces.serve.schema import Error, Found, Models, Several  # noqa: E402

pytestmark = pytest.mark.slow
FORM = "multipart/form-data; boundary=b0undary"
LIMITS = ("--max-mb", "1", "--max-megapixels", "1", "--max-images", "3", "--queue", "8", "--patience", "2")


def encoded(ending=".jpg", side=256, mirrored=False):
    """Bytes of a portrait."""
    image = cv2.resize(next(iter(portraits())).image, (side, side), interpolation=cv2.INTER_AREA)[..., ::-1]
    return cv2.imencode(ending, image[:, ::-1] if mirrored else image)[1].tobytes()


@pytest.fixture(scope="module")
def served():
    with Served(*LIMITS) as running:
        yield running


def test_a_parameter_that_is_unknown_or_comes_twice_is_named(served):
    for words in ("thresold=0.3", "threshold=0.3&threshold=0.5", "model=ssh_mobilenet_v1_025&x=1"):
        assert ask(served.port, encoded(), f"/v1/detect?{words}").code == "bad_parameter"


def test_what_curl_damages_is_named(served):
    data = encoded().replace(b"\n", b"").replace(b"\r", b"")  # what -d leaves
    curl = "application/x-www-form-urlencoded"
    answers = [ask(served.port, data, content_type=kind) for kind in (curl, "image/jpeg")]
    assert [("--data-binary" in answer.json["error"]["message"]) for answer in answers] == [True, False]
    assert answers[0].code == answers[1].code
    assert ask(served.port, encoded(), content_type=curl).status == 200


@pytest.fixture(scope="module")
def detector():
    return Detector.load("ssh_mobilenet_v1_025", threads=1)


def faces_of(detector, data, threshold=None):
    """What the library finds in the same bytes."""
    return json.loads(detector.detect(data, threshold=threshold).to_json())


def test_an_image_gives_the_faces_of_the_library(served, detector):
    data = encoded()
    answer = ask(served.port, data)
    assert answer.status == 200 and answer.headers["content-type"] == "application/json"
    assert {**answer.json, "ms": 0} == {"model": "ssh_mobilenet_v1_025", "width": 256, "height": 256, "ms": 0,
                                        **faces_of(detector, data)}
    assert len(answer.json["faces"]) == 1 and len(answer.json["faces"][0]["landmarks"]) == 5
    Found.model_validate(answer.json)
    lower = ask(served.port, data, "/v1/detect?threshold=0.05&model=ssh_mobilenet_v1_025").json
    assert lower["faces"] == faces_of(detector, data, 0.05)["faces"] and lower["threshold"] == 0.05


@pytest.mark.parametrize("orientation", [3, 6])
def test_exif_turns_the_image_as_for_the_library(served, detector, orientation):
    data = encoded()
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0" + bytes([orientation]) + b"\0\0\0\0\0\0\0"
    turned = data[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + data[2:]
    answer = ask(served.port, turned).json
    assert answer["faces"] == faces_of(detector, turned)["faces"] != faces_of(detector, data)["faces"]


def test_a_form_gives_a_row_per_image_and_errors_in_their_rows(served, detector):
    good, other = encoded(), encoded(".png", 200, mirrored=True)
    parts = [file_part("a.jpg", good), file_part("../../etc/b.png", other), file_part("c.jpg", good[:999])]
    answer = ask(served.port, form(parts), content_type=FORM)
    Several.model_validate(answer.json)
    rows = answer.json["images"]
    assert answer.status == 200 and [row["name"] for row in rows] == ["a.jpg", "b.png", "c.jpg"]
    assert [row.get("faces") for row in rows[:2]] == [faces_of(detector, data)["faces"] for data in (good, other)]
    assert rows[2]["error"]["code"] == "unreadable_image" and "faces" not in rows[2]
    fields = [('Content-Disposition: form-data; name="threshold"', b"0.05"),
              ('Content-Disposition: form-data; name="model"', b"ssh_mobilenet_v1_025")]
    lower = ask(served.port, form([*fields, file_part("a.jpg", good)]), content_type=FORM).json["images"][0]
    assert lower["faces"] == faces_of(detector, good, 0.05)["faces"]


def test_a_form_without_a_readable_image_has_the_status_of_the_first_error(served):
    answer = ask(served.port, form([file_part("a", b"text"), file_part("b", encoded()[:999])]), content_type=FORM)
    assert answer.status == 415 and answer.code == "not_an_image" and len(answer.json["images"]) == 2


@pytest.mark.parametrize(("query", "code"), [
    ("model=nothing", "unknown_model"), ("model=../../etc/passwd", "unknown_model"), ("threshold=2", "bad_parameter"),
    ("threshold=nan", "bad_parameter"), ("threshold=high", "bad_parameter"), ("model=" + "x" * 999, "bad_parameter")])
def test_wrong_parameters(served, query, code):
    answer = ask(served.port, encoded(), f"/v1/detect?{query}")
    Error.model_validate(answer.json)
    assert answer.code == code and answer.status == CODES[code][0]


def test_what_is_there_and_what_is_not(served):
    models = ask(served.port, path="/v1/models", method="GET").json
    Models.model_validate(models)
    assert models["limits"] == {"max_bytes": 1_000_000, "max_pixels": 1_000_000, "max_images": 3, "queue": 8}
    assert [ask(served.port, path=path, method="GET").status for path in ("/healthz", "/readyz", "/openapi.json",
                                                                          "/site.json", "/")] == [200] * 5
    assert [ask(served.port, path=path, method="GET").code for path in ("/docs", "/redoc", "/../setup.py", "/v1/"
                                                                        )] == ["not_found"] * 4
    wrong = ask(served.port, path="/v1/detect", method="GET")
    assert wrong.code == "method_not_allowed" and wrong.headers["allow"] == "POST"


def test_the_page_loads_nothing_from_elsewhere_and_knows_the_service(served):
    page = ask(served.port, path="/", method="GET")
    assert page.headers["content-type"].startswith("text/html") and "default-src 'none'" in page.headers[
        "content-security-policy"]
    script = ask(served.port, path="/app.js", method="GET")
    again = ask(served.port, path="/app.js", method="GET", if_none_match=script.headers["etag"])
    assert script.status == 200 and script.body and (again.status, again.body) == (304, b"")
    site = ask(served.port, path="/site.json", method="GET").json
    assert site["service"] == "v1/detect" and {row["name"] for row in site["models"] if row["service"]} == {
        "ssh_mobilenet_v1_025"}


def test_another_name_of_the_host_is_refused_where_only_this_machine_is_served(served):
    """A page elsewhere can point its own name to 127.0.0.1 and would then be of the same origin."""
    assert ask(served.port, encoded(), host="attacker.example:80").code == "wrong_host"
    assert ask(served.port, path="/", method="GET", host="attacker.example").code == "wrong_host"
    for name in ("localhost:8000", "127.0.0.1", "[::1]:9"):
        assert ask(served.port, path="/v1/models", method="GET", host=name).status == 200
    assert not [name for name in ask(served.port, encoded(), origin="https://a.example").headers
                if name.startswith("access-control")]


def test_openapi_has_an_example_of_each_answer_and_names_no_other_origin(served):
    text = ask(served.port, path="/openapi.json", method="GET").body.decode()
    found = json.loads(text)
    answers = found["paths"]["/v1/detect"]["post"]["responses"]
    codes = {code for answer in answers.values() for code in answer["content"]["application/json"]["examples"]}
    wanted = set(CODES) - {"not_found", "method_not_allowed"}  # of other addresses
    assert wanted <= codes and "http" not in re.sub(r'"#/[^"]*"', "", text).replace("HTTP", "")
    for status, answer in answers.items():
        for example in answer["content"]["application/json"]["examples"].values():
            for kind in [Error] if status != "200" else [Several if "images" in example["value"] else Found]:
                kind.model_validate(example["value"])


def test_the_log_has_a_line_per_request_and_no_image(served):
    answers = [ask(served.port, encoded()), ask(served.port, b"secret text")]
    ids = [answer.headers["x-request-id"] for answer in answers]
    while not set(ids) <= {row.get("id") for row in served.log()}:  # a thread writes the lines
        time.sleep(0.01)
    first, second = ([row for row in served.log() if row.get("id") == each] for each in ids)
    assert len(first) == len(second) == 1 and first[0]["faces"] == 1 and first[0]["bytes"] == len(encoded())
    first, second = first[0], second[0]
    assert (second["status"], second["code"], second["event"]) == (415, "not_an_image", "request")
    assert "secret" not in json.dumps(second)


def test_metrics_count_what_was_asked(served):
    def value(name, text):
        return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(name))

    def metrics():
        return ask(served.port, path="/metrics", method="GET").body.decode()

    name = 'manyfaces_requests_total{code="ok",route="/v1/detect",status="200"}'
    before = metrics()
    answers = [ask(served.port, encoded()) for _ in range(3)]
    after = metrics()
    assert {answer.status for answer in answers} == {200} and value(name, after) - value(name, before) == 3
    assert value("manyfaces_faces_total", after) - value("manyfaces_faces_total", before) == 3
    assert value("manyfaces_detect_seconds_count", after) - value("manyfaces_detect_seconds_count", before) == 3
    assert value("manyfaces_pending_images", after) == 0 == value("manyfaces_held_bytes", after)
    assert value("process_resident_memory_bytes", after) > 1e7


def test_a_connection_serves_several_requests_also_sent_at_once(served):
    import socket

    from benchmarks.service.client import read_answer

    with socket.create_connection(("127.0.0.1", served.port), timeout=30) as connection:
        connection.sendall(request(encoded()) + request(b"", "/healthz", "GET") + request(b"text"))
        first = read_answer(connection)
        second = read_answer(connection, rest=first.rest)
        third = read_answer(connection, rest=second.rest)
    assert [answer.code for answer in (first, second, third)] == ["ok", "ok", "not_an_image"]


@pytest.mark.parametrize(("width", "height"), [(1000, 1000), (15_625, 64), (15_625, 1), (1, 15_625), (1, 1)])
def test_the_largest_image_that_is_allowed_is_taken_in_every_shape(served, width, height):
    data = cv2.imencode(".png", np.zeros((height, width), np.uint8))[1].tobytes()
    answer = ask(served.port, data)
    assert answer.status == 200 and (answer.json["width"], answer.json["height"]) == (width, height)


@pytest.mark.parametrize(("width", "height"), [(1001, 1000), (1_000_000, 1), (1, 15_626)])
def test_one_that_takes_longer_is_refused_also_where_its_pixels_are_few(served, width, height):
    data = cv2.imencode(".png", np.zeros((height, width), np.uint8))[1].tobytes()
    assert ask(served.port, data).code == "image_too_large"


def test_the_health_check_of_the_image_fails_without_a_service_and_not_with_one(served):
    text = (ROOT / "Dockerfile").read_text()
    program, flag, code = json.loads(re.search(r"HEALTHCHECK.*?CMD (\[.*?\])\n", text, re.DOTALL)[1])
    assert (program, flag) == ("python", "-c")

    def result(port):
        return subprocess.run([sys.executable, "-c", code.replace("8000", str(port))], capture_output=True).returncode

    assert result(served.port) == 0 and result(1) == 1
