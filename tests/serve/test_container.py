"""The files for containers, as far as they can be checked without Docker: what they name exists, and none is root."""

import fnmatch
import json
import re
import shlex

import pytest
import yaml
from conftest import ROOT

from manyfaces.commands.serve import settings_of


@pytest.fixture(scope="module")
def stages():
    """List of (instruction, rest) of each stage of the Dockerfile."""
    text = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text())
    rows = [line.partition(" ")[::2] for line in text.splitlines() if line and not line.startswith("#")]
    starts = [number for number, row in enumerate(rows) if row[0] == "FROM"] + [len(rows)]
    return [rows[a:b] for a, b in zip(starts, starts[1:], strict=False)]


def test_the_image_is_slim_pinned_to_a_release_and_not_root(stages):
    final = stages[-1]
    for stage in stages:
        assert re.fullmatch(r"python:3\.1[123]-slim-\w+( AS \w+)?", stage[0][1])
        assert not [rest for word, rest in stage if word == "ADD" or "http" in rest and word == "RUN"]
    words = [word for word, _ in final]
    users = [rest for word, rest in final if word == "USER"]
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", users[-1]) and words.index("USER") > words.index("COPY")
    assert not [rest for word, rest in final if word == "RUN" and "apt" in rest], "no compiler in the image"
    assert not re.search(r"(?i)key|secret|token|password", " ".join(rest for word, rest in final if word in (
        "ENV", "ARG", "ENTRYPOINT", "CMD")))


def test_what_is_copied_exists_and_is_not_ignored(stages):
    ignored = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert ignored[0] == "*"
    for word, rest in stages[0]:
        if word == "COPY":
            for name in shlex.split(rest)[:-1]:
                assert (ROOT / name).exists() and f"!{name}" in ignored
    built = {path.relative_to(ROOT).as_posix() for folder in ("lib", "cfgs") for path in (ROOT / folder).rglob("*.*")}
    left = {name for name in built if not any(fnmatch.fnmatch(name, line.removeprefix("**/")) or fnmatch.fnmatch(
        name, line.replace("**/", "*/")) for line in ignored[1:] if not line.startswith("!"))}
    assert {"lib/pretrained/ssh_mobilenet_v1_025.onnx", "lib/web/page/index.html", "lib/nms/cpu_nms.pyx"} <= left
    assert not [name for name in left if name.endswith((".so", ".weights.h5"))]


def test_its_command_is_one_of_this_package(stages):
    found = dict(stages[-1])
    command, name, *words = json.loads(found["ENTRYPOINT"]) + json.loads(found["CMD"])
    settings = settings_of(words)
    assert (command, name) == ("manyfaces", "serve") and settings.host == "0.0.0.0"
    assert found["EXPOSE"] == str(settings.port) and f":{settings.port}/healthz" in found["HEALTHCHECK"]


def test_the_compose_file_adds_nothing_that_the_image_gave_up():
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())
    service = compose["services"]["manyfaces"]
    assert service["read_only"] is True and service["cap_drop"] == ["ALL"] and not service.get("privileged")
    assert service["security_opt"] == ["no-new-privileges:true"] and not service["user"].startswith(("0", "root"))
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert [path.partition(":")[0] for path in service["tmpfs"]] == ["/tmp"], "metrics of --workers are files there"
    settings = settings_of(service["command"])
    assert int(service["stop_grace_period"].rstrip("s")) > settings.grace_seconds + 5
    assert service["environment"] == {"MANYFACES_API_KEY_FILE": "/run/secrets/api_key"} and service["secrets"] == [
        "api_key"] and compose["secrets"]["api_key"] == {"file": "./api_key"}
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert "/api_key" in ignored, "a key must not be committed"
