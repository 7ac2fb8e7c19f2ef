"""The engine on Ray Data; left out where Ray is not installed. Kills: `make bulk-kills`."""

import os
import pickle
import sys

import pytest
from bulk_data import folder_of, opener, rows_of

from manyfaces.bulk.on_ray import Actor
from manyfaces.bulk.run import run_bulk
from manyfaces.bulk.sources.find import find_source
from manyfaces.bulk.worker import Job
from manyfaces.errors import InputError


def test_without_ray_the_engine_says_what_to_install(tmp_path, monkeypatch):
    folder_of(tmp_path / "photos", 2)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"the package ray is not installed: pip install 'manyfaces\[bulk\]'; on one"):
        run_bulk(find_source(str(tmp_path / "photos")), tmp_path / "out", opener, engine="ray")


@pytest.fixture
def ray(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))  # Ray's workers find the detector of the tests by it
    return pytest.importorskip("ray", reason="ray is not installed: pip install 'manyfaces[bulk]'")


@pytest.mark.slow
def test_rows_are_those_of_the_local_engine_and_ray_is_gone_afterwards(ray, tmp_path, monkeypatch):
    folder_of(tmp_path / "photos", 12)
    (tmp_path / "photos" / "bad.jpg").write_bytes(b"")
    source = find_source(str(tmp_path / "photos"))
    run_bulk(source, tmp_path / "local", opener, 0.2, rows=4, workers=1)
    monkeypatch.delenv("RAY_USAGE_STATS_ENABLED", raising=False)
    done = run_bulk(source, tmp_path / "ray", opener, 0.2, rows=4, workers=1, engine="ray")
    assert (done.images, done.errors) == (13, 1) and rows_of(tmp_path / "ray") == rows_of(tmp_path / "local")
    assert not ray.is_initialized() and os.environ["RAY_USAGE_STATS_ENABLED"] == "0"


def test_what_a_worker_refuses_comes_back_as_its_words(tmp_path):
    job = Job(opener, "other 123", 0.2, (1.0,), None, "files", None, str(tmp_path / "_tries"))
    row, = Actor(pickle.dumps(job))({"task": [b""]})["part"]
    assert "expected other 123, which the run began with" in pickle.loads(row)


@pytest.mark.slow
def test_too_few_slots_are_an_error_at_once(ray, tmp_path):
    from ray.cluster_utils import Cluster

    from benchmarks.ray_nodes import patiently

    folder_of(tmp_path / "photos", 4)
    one_slot = {"num_cpus": 1, "include_dashboard": False, "object_store_memory": 200 * 2 ** 20}
    cluster = patiently(lambda: Cluster(initialize_head=True, head_node_args=one_slot))
    try:
        for options, words in (({"workers": 2}, "has 1 CPU slots on 1 nodes, but 2 are needed, one per worker"),
                               ({"workers": 1, "gpus": 1}, "has 0 GPU slots of 1 on 1 nodes, but 1 are needed")):
            with pytest.raises(InputError, match=words):
                run_bulk(find_source(str(tmp_path / "photos")), tmp_path / "out", opener, address=cluster.address,
                         **options)
        done = run_bulk(find_source(str(tmp_path / "photos")), tmp_path / "out", opener, address=cluster.address)
        assert done.images == 4
    finally:
        cluster.shutdown()
