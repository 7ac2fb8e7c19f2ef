"""The whole matrix of trainings on several hosts, as processes at the loopback: `make test-hosts`, or this program.

Equality: each case on two processes and on one, the largest difference of any variable after five steps, and whether
the processes have the same bits. Kills: each rank in turn is killed by SIGKILL at the end of a random step, or while
the first writes a checkpoint; the other must end within a minute with one line, and two processes must continue to the
bits of an uninterrupted run. Stops: SIGTERM to one; all stop after the same step with one checkpoint. Retries: the
launcher brings back a training of which one process was killed. Other numbers: four processes, then two, then one.
Decisions: the end by a selection, and a loss that is not finite. Nothing outlives the program.
"""

import argparse
import importlib.util
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import two_hosts
from free_ports import free_ports
from tiny_training import rows, state, write_scenes
from two_devices import COMMON
from two_hosts import STEPS, error_lines, farthest, found, run_one, run_ranks

CASES = ["ssh", "ssh_group", "grid", "ssd_sgd", "tiny", "rnet"]
NEAR = 1e-6
LIMIT = 60.0  # s that the other process has


def equality(folder, backend, case):
    """A line about a case, and whether it is right."""
    both, one = run_ranks(folder, case, backend=backend), run_one(folder, case, backend=backend)
    if any(ended.code for ended in (*both, one)):
        return "\n".join(ended.output for ended in (*both, one)), False
    whole, first, second = found(folder, f"{case}_1"), found(folder, case), found(folder, case, 1)
    same, far = farthest(first, second) == 0, farthest(first, whole)
    shares = np.array_equal(np.concatenate([first["faces"], second["faces"]]), whole["faces"])
    return f"{far:.1e} from one process, ranks {'the same bits' if same else 'DIFFER'}", same and shares and far < NEAR


def continued(folder, backend, case, name, end):
    """Whether two processes that resume a run reach the bits of an uninterrupted one."""
    again = run_ranks(folder, case, words=[f"NAME={name}", "--resume-or-start"], backend=backend)
    if any(ended.code for ended in again):
        return "\n".join(ended.output for ended in again), False
    now = state(folder, name)
    differs = [key for key in end if not np.array_equal(now[key], end[key])]
    return "the same bits at the end" if not differs else f"differs in {differs[:3]}", not differs


def kill(folder, backend, case, rank, name, rng, end):
    """A line about a kill, and whether all was right."""
    step = rng.randrange(1, STEPS)
    where = "save:2" if rank == 0 and rng.random() < 0.3 else str(step)
    ended = run_ranks(folder, case, words=[f"NAME={name}"], own={rank: [f"strike=KILL:{where}"]}, backend=backend)
    lost, other = ended[rank], ended[1 - rank]
    lines = error_lines(other.output)
    right = (lost.code == -9 and other.code == 1 and other.after < LIMIT and len(lines) == 1
             and f"rank {rank} (host 127.0.0.1) has ended" in lines[0])
    text, same = continued(folder, backend, case, name, end)
    return (f"killed at {where}, the other ended after {other.after:.1f} s with code {other.code}, {text}"
            + ("" if right else f"\n{other.output}"), right and same)


def stop(folder, backend, case, rank, name, rng, end):
    """As `kill`, with SIGTERM: both stop after the same step."""
    step = rng.randrange(1, STEPS)
    ended = run_ranks(folder, case, words=[f"NAME={name}"], own={rank: [f"strike=TERM:{step}"]}, backend=backend)
    texts = [error_lines(each.output) for each in ended]
    wanted = [f"stopped by SIGTERM after step {step}; continue with --resume"]
    right = all(each.code == 143 for each in ended) and texts == [wanted, wanted]
    text, same = continued(folder, backend, case, name, end)
    wrong = "" if right else f"\n{ended[0].output}{ended[1].output}"
    return f"stopped after step {step}, {text}{wrong}", right and same


def decided(folder, backend):
    """A selection lowers the rate and ends the training; then a loss that is not finite: both in the same step."""
    words = ["TRAIN__SCHEDULE=plateau", "TRAIN__SELECT_EVERY=1", "TRAIN__PATIENCE=0.4", "TRAIN__STOP_AFTER=1.3",
             "TRAIN__STEPS=12"]
    both = run_ranks(folder, "grid", ["NAME=ends", *words], backend=backend)
    one = run_one(folder, "grid", ["NAME=ends_1", *words], backend)
    right = not any(each.code for each in (*both, one)) and len(rows(folder / "output/ends/train.csv")) < 12
    first, second, whole = (found(folder, *where) for where in (("ends",), ("ends", 1), ("ends_1",)))
    right = right and farthest(first, second) == 0 and farthest(first, whole) < NEAR
    bad = run_ranks(folder, "grid", ["NAME=bad", "TRAIN__RATE=1e30"], backend=backend)
    names = (folder / "output/bad/nonfinite.txt").read_text().splitlines()[1:]
    right &= [each.code for each in bad] == [2, 2] and len(names) == COMMON["TRAIN__BATCH"]
    text = "" if right else "\n".join(each.output for each in (*both, one, *bad))
    return f"end by a selection, and a loss that is not finite, in the same step{text}", right


def other_numbers(folder, backend, case):
    """Four processes, of which one is killed; one continues, then two: against one without a stop."""
    name = "numbers"
    lost = run_ranks(folder, case, [f"NAME={name}", "TRAIN__SAVE_EVERY=1"], {2: ["strike=KILL:3"]}, backend, count=4)
    ways = [run_ranks(folder, case, [f"NAME={name}", "TRAIN__SAVE_EVERY=1", "--resume"], {0: ["strike=TERM:4"]},
                      backend, count=2),
            [run_one(folder, case, [f"NAME={name}", "TRAIN__SAVE_EVERY=1", "--resume"], backend)]]
    whole = run_one(folder, case, backend=backend)
    right = [each.code for each in lost] == [1, 1, -9, 1] and [each.code for each in ways[0]] == [143, 143]
    right &= ways[1][0].code == whole.code == 0
    far = farthest(found(folder, name), found(folder, f"{case}_1")) if right else np.inf
    text = "" if right else "\n".join(each.output for each in (*lost, *ways[0], *ways[1], whole))
    return f"four processes, then two, then one: {far:.1e} from one without a stop{text}", right and far < NEAR


def retried(folder, backend, case, name, end):
    """The launcher starts both again after the second was killed in its first try."""
    hosts = f"127.0.0.1:{free_ports(3)},127.0.0.1"
    process = two_hosts.start(folder, case, [f"NAME={name}", "once=KILL:3", "--hosts", hosts, "--launch", "--retries",
                                             "2"], backend)
    try:
        output, _ = process.communicate(timeout=two_hosts.PATIENCE)
    except subprocess.TimeoutExpired:
        process.terminate()
        output, _ = process.communicate()
    finally:
        process.kill()  # the others stop with it
    now = state(folder, name)
    right = process.returncode == 0 and output.count("all of them are started again") == 1
    same = all(np.array_equal(now[key], end[key]) for key in end)
    wrong = "" if right else f"\n{output}"
    return f"brought back by the launcher, {'the same bits' if same else 'DIFFERS'}{wrong}", right and same


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backends", default="tensorflow,jax", help="default: %(default)s; one that is not installed "
                        "is left out with a line")
    parser.add_argument("--cases", default=",".join(CASES), help="of the equality; empty: none (default: %(default)s)")
    parser.add_argument("--kills", type=int, default=10, metavar="N", help="of each rank, and stops of each rank "
                        "(default: 10)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the steps (default: 0)")
    options = parser.parse_args(arguments)
    wrong, rng = 0, random.Random(options.seed)

    def report(label, result):
        text, right = result
        print(f"{label}: {text}{'' if right else '  WRONG'}", flush=True)
        return not right

    for backend in options.backends.split(","):
        if importlib.util.find_spec(backend) is None:
            print(f"{backend}: not installed, left out", flush=True)
            continue
        with tempfile.TemporaryDirectory(prefix="hosts-") as place:
            folder = Path(place)
            write_scenes(folder)
            for case in filter(None, options.cases.split(",")):
                wrong += report(f"{backend} {case}", equality(folder, backend, case))
            if not options.kills:
                continue
            case = "grid" if backend == "tensorflow" else "ssd_sgd"
            whole = run_ranks(folder, case, words=["NAME=whole"], backend=backend)
            assert not any(ended.code for ended in whole), whole[0].output
            end = state(folder, "whole")
            for number in range(options.kills):
                for rank in range(2):
                    for what in (kill, stop):
                        name = f"{what.__name__}{number}_{rank}"
                        wrong += report(f"{backend} {what.__name__} {number + 1} of rank {rank}",
                                        what(folder, backend, case, rank, name, rng, end))
            wrong += report(f"{backend} decisions", decided(folder, backend))
            wrong += report(f"{backend} other numbers", other_numbers(folder, backend, case))
            wrong += report(f"{backend} retries", retried(folder, backend, case, "retried", end))
    print(f"{wrong} wrong", flush=True)
    return int(wrong > 0)


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.exit(main())
