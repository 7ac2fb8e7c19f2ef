"""Section `service` of the benchmark: `manyfaces serve` under load, under attack, and stopped under load.

Everything runs on this machine: clients, service and whatever else it does. Processor time of the service is that of
its process alone, so it hardly depends on other work; latencies and rates do.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import cv2

from manyfaces.datasets.toy.portraits import portraits

from ..machine import cores, packages_of
from ..timing import Table, environment
from .client import ask
from .hostile import cases
from .hostile import run as run_hostile
from .load import Load, Outcome
from .process import Served

CLIENTS = 1, 8, 32
TURNS = 3  # of plain loop and service, of whose figures the median counts
BOMB_SIDE = 8000  # px
PACKAGES = (*packages_of("onnxruntime"), "fastapi", "uvicorn")
LIMITS = {"max_bytes": 20_000_000, "max_pixels": 25_000_000, "max_images": 16}  # the defaults


def run(requests: int = 10_000, calls: int = 200, stops: int = 20) -> list[Table]:
    """Measure all of it.

    Args:
        requests: of the run for memory, with a small image.
        calls: requests per number of clients, with an ordinary one.
        stops: how often the service is stopped under load.
    """
    return [load(calls), steady(requests), refusals(), attacked(), stopped(stops), restarted()]


def photo(width: int, height: int) -> bytes:
    """A JPEG with one face."""
    image = cv2.resize(next(iter(portraits())).image, (width, height), interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", image[..., ::-1])[1].tobytes()


def load(calls: int) -> Table:
    """Rate, latency and processor time at each number of clients, beside plain loops over the same bytes."""
    image, most = photo(640, 640), cores()
    plain, served = {threads: [] for threads in sorted({1, most})}, {clients: [] for clients in CLIENTS}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "photo.jpg")
        path.write_bytes(image)
        for _ in range(TURNS):
            for threads, turns in plain.items():
                turns.append(_plain(path, calls, threads))
            with Served("--queue", "64") as service:
                ask(service.port, image)
                for clients, turns in served.items():
                    turns.append(_turn(service, image, clients, calls))
    used, rows = {}, []
    for threads, turns in plain.items():
        rate, used[threads] = (statistics.median(column) for column in zip(*turns, strict=True))
        rows.append([f"plain loop, {threads} thread{'s' if threads > 1 else ''}", f"{rate:.1f}", "", "",
                     f"{used[threads]:.1f}", ""])
    for clients, turns in served.items():
        rate, p50, p99, each = (statistics.median(column) for column in zip(*turns, strict=True))
        rows.append([f"{clients} client{'s' if clients > 1 else ''}", f"{rate:.1f}", f"{p50:.0f}", f"{p99:.0f}",
                     f"{each:.1f}", f"{each / used[min(clients, most)]:.2f}"])
    return Table("Service: load", ["clients", "requests/s", "p50 ms", "p99 ms", "processor ms per request",
                                   "of the plain loop's"], rows,
                 f"A JPEG of 640 x 640 px, {calls} requests, median of {TURNS} turns. The last column compares with "
                 "the plain loop of as many threads as work. Rates and latencies depend on what else the machine does; "
                 "processor time is of the service's process alone.", PACKAGES)


def _plain(path, calls, threads):
    """(images/s, processor ms per image)."""
    words = [sys.executable, "-m", "benchmarks.service.plain", str(path), str(calls), str(threads)]
    done = json.loads(subprocess.run(words, check=True, env=environment(), capture_output=True, text=True).stdout)
    return calls / done["seconds"], done["used"] / calls * 1e3


def _turn(service, image, clients, calls):
    """(requests/s, p50, p99, processor ms per request)."""
    used, start = service.seconds(), time.perf_counter()
    with Load(service.port, image, clients, calls, faces=1) as running:
        running.wait()
    seconds = time.perf_counter() - start
    outcome = running.outcome
    _check(outcome, {"ok"})
    return (calls / seconds, outcome.percentile(50), outcome.percentile(99),
            (service.seconds() - used) / calls * 1e3)


def steady(requests: int) -> Table:
    """Memory over many requests."""
    image, rows = photo(96, 96), []
    with Served() as service:
        done = 0
        for part in (0.1, 0.4, 0.5):
            count = round(requests * part)
            with Load(service.port, image, 4, count) as running:
                running.wait()
            _check(running.outcome, {"ok"})
            done += running.outcome.codes["ok"]
            rows.append([f"after {done:,} requests", f"{service.megabytes():.0f}"])
        _end(service)
    return Table("Service: memory", ["", "resident MB"], rows, "A JPEG of 96 x 96 px, 4 clients.", PACKAGES)


def refusals() -> Table:
    """How fast a full queue refuses."""
    with Served("--queue", "2", "--max-images", "2", "--parallel", "1") as service:
        with Load(service.port, photo(1600, 1600), 16) as running:
            time.sleep(10)
        rows = [row["total_ms"] for row in service.log() if row.get("code") == "busy"]
        _end(service)
    outcome = running.outcome
    _check(outcome, {"ok", "busy"})
    rows.sort()
    return Table("Service: full queue", ["", "value"], [
        ["answers 200", outcome.codes["ok"]], ["answers 503", outcome.codes["busy"]],
        ["ms to 503 in the service, median", f"{statistics.median(rows):.1f}"],
        ["ms to 503 in the service, 99 %", f"{rows[int(len(rows) * 0.99)]:.1f}"],
        ["% of the 503 within 100 ms", f"{sum(ms <= 100 for ms in rows) / len(rows) * 100:.1f}"],
        ["ms to 503 at the client, slowest", f"{outcome.slowest_refusal * 1e3:.0f}"],
        ["Retry-After, s", " ".join(sorted(outcome.retry))]],
        "16 clients, room for 3 images of 1600 x 1600 px, one thread, 10 s.", PACKAGES)


def attacked() -> Table:
    """Each kind of hostile request, and how many of them were answered as they should be."""
    image = photo(256, 256)
    with Served("--patience", "4") as service:
        before = service.megabytes()
        done = run_hostile(service.port, list(cases(image, bomb_side=BOMB_SIDE, **LIMITS)))
        healthy = ask(service.port, image).code == "ok"
        after = service.megabytes()
        _end(service)
    for case in done:
        if case.wrong():
            print(f"service: {case.kind}, {case.name}: {case.wrong()}", file=sys.stderr)
    kinds, right = Counter(case.kind for case in done), Counter(case.kind for case in done if not case.wrong())
    rows = [[kind, count, right[kind]] for kind, count in kinds.items()]
    return Table("Service: hostile requests", ["kind", "sent", "answered rightly"], [
        *rows, ["all", len(done), sum(right.values())],
        ["a photograph afterwards", 1, int(healthy)]],
        f"Memory of the service: {before:.0f} MB before, {after:.0f} MB after.")


def stopped(stops: int) -> Table:
    """SIGTERM under load, again and again."""
    image, total, codes, seconds = photo(256, 256), Counter(), Counter(), []
    for _ in range(stops):
        with Served() as service:
            with Load(service.port, image, 8, faces=1) as running:
                _until(running.outcome, 20)
                code, took = service.stop()
            codes[code] += 1
            seconds.append(took)
            total += running.outcome.codes
    return Table("Service: SIGTERM under load", ["", "count"], [
        ["SIGTERM", stops], ["exit code 0", codes[0]], ["answered 200", total["ok"]],
        ["answered 503", total["stopping"]], ["lost", total["lost"] + total["wrong"]],
        ["s until it ended, slowest", f"{max(seconds):.1f}"]],
        "8 clients that send a JPEG of 256 x 256 px without a pause. Lost: sent, and the connection ended without the "
        "right answer.", PACKAGES)


def restarted() -> Table:
    """Two restarts on the same port while clients go on."""
    image = photo(256, 256)
    with Served() as service:
        port, outcome = service.port, Outcome()
        with Load(port, image, 8, faces=1) as running:
            outcome = running.outcome
            for _ in range(2):
                _until(outcome, 20)
                service.stop()
                service = Served("--port", str(port)).__enter__()
            _until(outcome, 20)
        service.__exit__()
    return Table("Service: two restarts", ["", "count"], [
        ["answered 200", outcome.codes["ok"]], ["answered 503", outcome.codes["stopping"]],
        ["refused connections", outcome.codes["refused"]],
        ["lost", outcome.codes["lost"] + outcome.codes["wrong"]]],
        "The same 8 clients all the time; between stop and start connections are refused.", PACKAGES)


def _until(outcome, more):
    """Wait for so many further answers."""
    end, wanted = time.monotonic() + 120, outcome.codes["ok"] + more
    while outcome.codes["ok"] < wanted and time.monotonic() < end:
        time.sleep(0.01)


def _end(service):
    code, _ = service.stop()
    if code:
        raise RuntimeError(f"the service ended with {code}: {service.said()[-1000:]}")


def _check(outcome, allowed):
    if not set(outcome.codes) <= allowed:
        raise RuntimeError(f"found {dict(outcome.codes)}, expected only {', '.join(allowed)}")
