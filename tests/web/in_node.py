"""The page's JavaScript run by node, without a browser."""

import json
import shutil
import subprocess

import pytest

from manyfaces.web import page_folder

READ = """
import { readFileSync } from "node:fs";
const job = JSON.parse(readFileSync("job.json", "utf8"));
const bytes = name => { const b = readFileSync(name); return b.buffer.slice(b.byteOffset, b.byteOffset + b.length); };
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
        for path in page_folder().glob("*.js"):  # node takes .js for a module only below a package.json that says so
            (tmp_path / path.name).write_bytes(path.read_bytes())
        (tmp_path / "package.json").write_text('{"type": "module"}')
        kinds = {}
        for name, values in arrays.items():
            (tmp_path / f"{name}.bin").write_bytes(values.tobytes())
            kinds[name] = {"dims": list(values.shape), "kind": str(values.dtype)}
        (tmp_path / "job.json").write_text(json.dumps({**job, "kinds": kinds}))
        helpers = """
const array = name => { const { dims, kind } = job.kinds[name], data = bytes(name + ".bin");
  return { dims, data: kind === "float32" ? new Float32Array(data) : new Uint8ClampedArray(data) }; };
const answer = value => console.log(JSON.stringify(value));
"""
        (tmp_path / "main.js").write_text(READ + helpers + source)
        done = subprocess.run([program, "main.js"], cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr[-2000:]
        return json.loads(done.stdout)

    return run
