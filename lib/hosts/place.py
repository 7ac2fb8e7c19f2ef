"""The place of a process among those that train together, from --hosts and --rank or from the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from ..errors import InputError, Range, check_whole, shown
from ..parsing import parse_json

PORT = 29400
"""Where the first process listens for the others; the next ones are for the backend, one per process."""
RANKS = ("JOB_COMPLETION_INDEX", "SLURM_PROCID", "RANK")
"""Variables that number the processes: Kubernetes (an indexed Job), Slurm, Kubeflow and torchrun."""
MOST = 1024  # processes; a longer list is a mistake


@dataclass(frozen=True)
class Place:
    """One of several processes.

    Attributes:
        rank: its number, from 0.
        hosts: the host of each process; "" where the environment names only the first one.
        port: the first of len(hosts) + 1 ports.
        local: its number among the processes of its host, which is the number of its GPU.
    """

    rank: int
    hosts: tuple[str, ...]
    port: int = PORT
    local: int = 0

    @property
    def world(self) -> int:
        """Number of processes."""
        return len(self.hosts)


def find_place(hosts: str, rank: int | None = None, environment: Mapping[str, str] = os.environ) -> Place:
    """The place of this process.

    Args:
        hosts: one name per process, such as `a,b`, `gpu[01-04]` or `a:5000,b`, where a port is that of the first
            process; or `env`: MASTER_ADDR and WORLD_SIZE, TF_CONFIG or Slurm's variables describe the group.
        rank: number of this process; None: that of the environment.

    Raises:
        InputError: they do not describe a group, or the rank is missing or too large.

    Examples:
        >>> find_place("a,b:5000", 1, {})
        Place(rank=1, hosts=('a', 'b'), port=5000, local=0)
        >>> find_place("a,a,b,b", None, {"JOB_COMPLETION_INDEX": "1"}).local
        1
    """
    if hosts == "env":
        return _from_environment(rank, environment)
    names, ports = [], set()
    for word in expand(hosts):
        name, port = _split(word)
        names.append(name)
        ports |= set() if port is None else {port}
    if len(ports) > 1:
        raise InputError(f"--hosts {shown(hosts)}: found the ports {', '.join(map(str, sorted(ports)))}; expected one, "
                         f"that of the first process")
    if rank is None:
        rank = next((_number(environment, key) for key in RANKS if key in environment), None)
    if rank is None:
        raise InputError(f"--hosts {shown(hosts)}: which of them is this? Give --rank 0 to {len(names) - 1}, or start "
                         f"all of them from here with --launch; {', '.join(RANKS)} are not set")
    return _checked(rank, names, ports.pop() if ports else PORT, None)


def expand(text: str) -> list[str]:
    """Names of hosts, with ranges as Slurm writes them.

    Raises:
        InputError: there is none, or the text cannot be read.

    Examples:
        >>> expand("gpu[08-10,2],b:5000")
        ['gpu08', 'gpu09', 'gpu10', 'gpu2', 'b:5000']
        >>> expand("[::1]:5000,[fe80::2]")
        ['[::1]:5000', '[fe80::2]']
    """
    words = re.findall(r"(?:[^,\[\]]|\[[^\[\]]*\])+", text)
    if ",".join(words) != text or not words:
        raise InputError(f"--hosts {shown(text)}: expected names joined by commas, such as a,b or gpu[01-04]")
    names = []
    for word in words:
        match = re.fullmatch(r"(.*?)\[([\d,-]+)\](.*)", word)
        for middle in _numbers(match[2], text) if match else [""]:
            names.append(f"{match[1]}{middle}{match[3]}" if match else word.strip())
        if len(names) > MOST:
            raise InputError(f"--hosts {shown(text)}: more than {MOST} processes")
    return names


def _numbers(ranges, text):
    for part in ranges.split(","):
        first, _, last = part.partition("-")
        if not first.isdigit() or not (last or first).isdigit() or len(first) > 9 or len(last) > 9:
            raise InputError(f"--hosts {shown(text)}: {shown(part)} is no range such as 01-04")
        for number in range(int(first), min(int(last or first), int(first) + MOST) + 1):
            yield f"{number:0{len(first)}d}"


def _split(word):
    """(name, port or None) of name, name:port, [::1] or [::1]:port."""
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.%\w]+)\]|([^\s:\[\]]+))(?::(\d+))?", word)
    if not match:
        raise InputError(f"--hosts: {shown(word)} is no host such as a, a:{PORT}, 10.0.0.1 or [::1]")
    return match[1] or match[2], int(match[3]) if match[3] else None


def _number(environment, key):
    try:
        return int(environment[key])
    except (KeyError, ValueError):
        found = shown(environment[key]) if key in environment else "not set"
        raise InputError(f"{key} is {found}, expected a whole number") from None


def _checked(rank, names, port, local):
    if len(names) < 2:
        raise InputError(f"--hosts: found {len(names)} process, expected at least 2; train without --hosts")
    check_whole(rank, "--rank", Range(least=0, most=len(names) - 1))
    check_whole(port, "the port of --hosts", Range(least=1, most=65535 - len(names)))
    same = names[:rank].count(names[rank]) if local is None else local
    return Place(rank, tuple(names), port, same)


def _from_environment(rank, environment):
    """The place that the environment describes; what is named explicitly there comes first."""
    if "MASTER_ADDR" in environment and "WORLD_SIZE" in environment:
        world, number = _number(environment, "WORLD_SIZE"), _number(environment, "RANK") if rank is None else rank
        port = _number(environment, "MASTER_PORT") if "MASTER_PORT" in environment else PORT
        local = _number(environment, "LOCAL_RANK") if "LOCAL_RANK" in environment else 0
        return _checked(number, _first_of(environment["MASTER_ADDR"], world, "WORLD_SIZE"), port, local)
    if "TF_CONFIG" in environment:
        return _from_tf_config(environment["TF_CONFIG"], rank)
    if "SLURM_PROCID" in environment:
        world = _number(environment, "SLURM_STEP_NUM_TASKS" if "SLURM_STEP_NUM_TASKS" in environment else
                        "SLURM_NTASKS")
        listed = environment.get("SLURM_STEP_NODELIST") or environment.get("SLURM_JOB_NODELIST") or ""
        # Two jobs on one node need different ports.
        port = 10000 + 100 * (_number(environment, "SLURM_JOB_ID") % 190) if "SLURM_JOB_ID" in environment else PORT
        local = _number(environment, "SLURM_LOCALID") if "SLURM_LOCALID" in environment else 0
        number = _number(environment, "SLURM_PROCID") if rank is None else rank
        return _checked(number, _first_of(expand(listed)[0], world, "SLURM_NTASKS"), port, local)
    raise InputError("--hosts env: found neither MASTER_ADDR and WORLD_SIZE, nor TF_CONFIG, nor SLURM_PROCID; name the "
                     "hosts (--hosts a,b)")


def _first_of(host, world, key):
    check_whole(world, key, Range(least=1, most=MOST))
    return [host, *[""] * (world - 1)]


def _from_tf_config(text, rank):
    """TF_CONFIG as Kubeflow's TFJob writes it: a chief, if there is one, is the first process."""
    try:
        config = parse_json(text)
        workers = [*config["cluster"].get("chief", []), *config["cluster"]["worker"]]
        task, index = config["task"]["type"], int(config["task"]["index"])
        index += len(config["cluster"].get("chief", [])) if task == "worker" else 0
        places = [_split(str(word)) for word in workers]
    except InputError:
        raise
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InputError(f"TF_CONFIG {shown(text)}: expected a cluster of workers and a task ({error})") from None
    if task not in ("chief", "worker"):
        raise InputError(f"TF_CONFIG: the task is {shown(task)}, expected worker or chief")
    return _checked(index if rank is None else rank, [name for name, _ in places], places[0][1] or PORT, None)
