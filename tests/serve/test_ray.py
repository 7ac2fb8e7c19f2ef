"""The app on Ray Serve. What needs Ray is skipped without it; docs/serve.md says when it was run."""

import subprocess
import sys

import pytest
from conftest import ROOT

from manyfaces.errors import InputError
from manyfaces.serve.processes.on_ray import settings_of

TRY = """
import ray, sys
from ray import serve
sys.path[:0] = ["tests/serve", "tests"]
from benchmarks.service.client import ask, file_part, form
from benchmarks.service.load import Load
from free_ports import free_ports
from manyfaces.serve.processes.on_ray import application
from test_service import encoded
ray.init(num_cpus=4, include_dashboard=False, object_store_memory=100 << 20, log_to_driver=False)
port = free_ports(1)
serve.start(http_options={"host": "127.0.0.1", "port": port})
serve.run(application({"replicas": "2", "max_bytes": "1000000"}), route_prefix="/")
two = form([file_part("a", encoded()), file_part("b", b"text")])
answers = [ask(port, encoded()), ask(port, encoded(), "/v1/detect?threshold=9"), ask(port, bytes(2_000_000)),
           ask(port, two, content_type="multipart/form-data; boundary=b0undary"), ask(port, path="/", method="GET")]
assert [answer.code for answer in answers] == ["ok", "bad_parameter", "body_too_large", "ok", "ok"], answers
with Load(port, encoded(), 8, 100, faces=1) as load:
    load.wait()
assert load.outcome.codes == {"ok": 100}, load.outcome.codes
lines = [ask(port, path="/metrics", method="GET").body.decode().splitlines() for _ in range(30)]
starts = {line for text in lines for line in text if line.startswith("process_start_time_seconds")}
assert len(starts) == 2, "both replicas answer"
serve.shutdown()
"""


def test_arguments_of_the_command_line_of_ray():
    settings, replicas = settings_of({"replicas": "2", "model": "ssh_mobilenet_v1_025,mine=x.onnx", "max_pixels": "900",
                                      "page": "false", "body_seconds": "5"})
    assert (replicas, settings.models, settings.max_pixels) == (2, ("ssh_mobilenet_v1_025", "mine=x.onnx"), 900)
    assert settings.page is False and settings.body_seconds == 5 and settings.lanes == 1
    for wrong, message in (({"modle": "x"}, "modle: no such setting"), ({"replicas": "two"}, "replicas is 'two'"),
                           ({"queue": "x"}, "queue is 'x', expected a whole number"),
                           ({"grace_seconds": "x"}, "grace_seconds is 'x', expected a number")):
        with pytest.raises(InputError, match=message):
            settings_of(wrong)


@pytest.mark.slow
def test_two_replicas_answer_as_one_process_does():
    pytest.importorskip("ray.serve", reason="Ray is not installed: pip install 'ray[serve]'")
    done = subprocess.run([sys.executable, "-c", TRY], cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
