"""Places of processes: what --hosts, --rank and the environments of Slurm, Kubernetes and torchrun say."""

import json

import pytest

from manyfaces.errors import InputError
from manyfaces.hosts.place import PORT, Place, expand, find_place

SLURM = {"SLURM_PROCID": "5", "SLURM_NTASKS": "8", "SLURM_JOB_NODELIST": "gpu[09-12]", "SLURM_JOB_ID": "1234567",
         "SLURM_LOCALID": "1"}
TFJOB = {"cluster": {"chief": ["c.ns.svc:2222"], "worker": ["w0.ns.svc:2222", "w1.ns.svc:2222"]},
         "task": {"type": "worker", "index": 1}}


@pytest.mark.parametrize("text, names", [
    ("a,b", ["a", "b"]), ("gpu[1-3]", ["gpu1", "gpu2", "gpu3"]), ("n[08-11].x,m", ["n08.x", "n09.x", "n10.x", "n11.x",
                                                                                   "m"]),
    ("n[1,3-4]-ib", ["n1-ib", "n3-ib", "n4-ib"]), ("10.0.0.1,10.0.0.2:5", ["10.0.0.1", "10.0.0.2:5"])])
def test_names_and_ranges(text, names):
    assert expand(text) == names


@pytest.mark.parametrize("text", ["", ",", "a,", "a,,b", "a[1-", "a[x-2]", "a[2-1000000000000]", "a[1-5000]", "[1]]"])
def test_lists_that_cannot_be_read(text):
    with pytest.raises(InputError, match="--hosts"):
        find_place(text, 0, {})


def test_a_place_from_the_command_line():
    assert find_place("a,b,c", 2, {}) == Place(2, ("a", "b", "c"), PORT, 0)
    assert find_place("a:5000,b:5000", 1, {}).port == 5000
    # One process per GPU: the host is named as often as it has some.
    assert [find_place("a,a,b,b", rank, {}).local for rank in range(4)] == [0, 1, 0, 1]
    assert find_place("[::1]:5000,[::2]", 0, {}) == Place(0, ("::1", "::2"), 5000, 0)


@pytest.mark.parametrize("variable", ["JOB_COMPLETION_INDEX", "SLURM_PROCID", "RANK"])
def test_the_rank_may_come_from_the_environment(variable):
    assert find_place("a,b", None, {variable: "1"}).rank == 1
    assert find_place("a,b", 0, {variable: "1"}).rank == 0
    with pytest.raises(InputError, match=f"{variable} is 'x', expected a whole number"):
        find_place("a,b", None, {variable: "x"})


@pytest.mark.parametrize("hosts, rank, message", [
    ("a", 0, "found 1 process, expected at least 2"), ("a,b", 2, "--rank is 2, expected a whole number, from 0 to 1"),
    ("a,b", -1, "--rank is -1"), ("a:1,b:2", 0, "found the ports 1, 2; expected one"), ("a b,c", 0, "is no host"),
    ("a:65534,b", 0, "the port of --hosts is 65534"), ("a:0,b", 0, "is 0, expected"),
    ("a,b", None, "Give --rank 0 to 1, or start all of them from here with --launch")])
def test_what_is_no_place(hosts, rank, message):
    with pytest.raises(InputError, match=message):
        find_place(hosts, rank, {})


def test_slurm():
    place = find_place("env", None, SLURM)
    assert (place.rank, place.world, place.hosts[0], place.local) == (5, 8, "gpu09", 1)
    other = find_place("env", None, {**SLURM, "SLURM_JOB_ID": "1234568"})
    assert abs(place.port - other.port) > place.world, "two jobs share no port"
    step = {**SLURM, "SLURM_STEP_NUM_TASKS": "6", "SLURM_STEP_NODELIST": "gpu[11-12]"}
    assert find_place("env", None, step).hosts[0] == "gpu11" and find_place("env", None, step).world == 6


def test_kubeflow():
    place = find_place("env", None, {"TF_CONFIG": json.dumps(TFJOB)})
    assert place == Place(2, ("c.ns.svc", "w0.ns.svc", "w1.ns.svc"), 2222, 0)
    chief = {**TFJOB, "task": {"type": "chief", "index": 0}}
    assert find_place("env", None, {"TF_CONFIG": json.dumps(chief)}).rank == 0
    torch = {"MASTER_ADDR": "m", "MASTER_PORT": "2345", "WORLD_SIZE": "4", "RANK": "3", "LOCAL_RANK": "1"}
    assert find_place("env", None, {**SLURM, **torch}) == Place(3, ("m", "", "", ""), 2345, 1)


@pytest.mark.parametrize("environment, message", [
    ({}, "found neither MASTER_ADDR"), ({"TF_CONFIG": "{"}, "TF_CONFIG"), ({"TF_CONFIG": "[1]"}, "expected a cluster"),
    ({"TF_CONFIG": json.dumps({**TFJOB, "task": {"type": "ps", "index": 0}})}, "the task is 'ps'"),
    ({**SLURM, "SLURM_NTASKS": "1"}, "found 1 process"), ({**SLURM, "SLURM_JOB_NODELIST": ""}, "expected names"),
    ({"MASTER_ADDR": "m", "WORLD_SIZE": "2"}, "RANK")])
def test_environments_that_describe_no_group(environment, message):
    with pytest.raises(InputError, match=message):
        find_place("env", None, environment)
