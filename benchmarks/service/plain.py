"""The same work without a service: python -m benchmarks.service.plain FILE COUNT THREADS prints (processor) seconds."""

from __future__ import annotations

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path


def main(path: str, count: str, threads: str) -> None:
    """Detect in the bytes of a file, again and again, on so many threads of one core each, as a service does."""
    import cv2

    from manyfaces import Detector

    cv2.setNumThreads(1)
    detector, data = Detector.load("ssh_mobilenet_v1_025", threads=1), Path(path).read_bytes()
    for _ in range(3):
        detector.detect(data)
    with ThreadPoolExecutor(int(threads)) as pool:
        start, used = time.perf_counter(), time.process_time()
        list(pool.map(lambda _: detector.detect(data).to_json(), range(int(count))))
        print(json.dumps({"seconds": time.perf_counter() - start, "used": time.process_time() - used}))


if __name__ == "__main__":
    main(*sys.argv[1:])
