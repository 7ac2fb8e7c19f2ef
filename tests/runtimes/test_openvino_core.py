"""What OpenVINO does to a process: signals after its detectors are gone, and threads that use it first."""

import subprocess
import sys

import pytest

SIGNAL = """
import os, signal
import numpy as np
from manyfaces import Detector
detectors = [Detector.load("mtcnn", runtime="openvino"), Detector.load("ssh_mobilenet_v1_025", runtime="openvino")]
for detector in detectors:
    detector.detect(np.zeros((64, 64, 3), np.uint8))
while detectors:
    detector = detectors.pop(0)
del detector
try:
    os.kill(os.getpid(), signal.SIGINT)
except KeyboardInterrupt:
    print("interrupted")
"""

THREADS = """
import sys, threading
import manyfaces.runtimes.openvino
import openvino

def use():
    barrier.wait()
    openvino.Type.f32.to_dtype()

sys.setswitchinterval(1e-6)
barrier = threading.Barrier(8)
threads = [threading.Thread(target=use) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("done")
"""


@pytest.mark.slow
def test_a_signal_after_the_detectors_are_gone():
    done = subprocess.run([sys.executable, "-c", SIGNAL], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "interrupted\n"), done.stderr


def test_threads_that_are_the_first_do_not_wait_for_each_other():
    """Without the table of types that the module fills, this hangs nearly always."""
    done = subprocess.run([sys.executable, "-c", THREADS], capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
