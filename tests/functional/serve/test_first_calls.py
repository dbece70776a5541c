"""OpenVINO in processes that have not called it yet."""

import subprocess
import sys

FIRST_CALLS = """
import sys, threading
import numpy as np
from contract.engine import named, open_network
from tests.unit.serve.artifacts import CROP
from tests.unit.serve.onnx_bytes import network

sys.setswitchinterval(1e-6)
opened = open_network(network(CROP), named("openvino-fp32"), threads=2).streams(2)
picture, together = np.zeros((1, 3, CROP, CROP), dtype=np.float32), threading.Barrier(16)

def call():
    together.wait()
    opened.logits(picture)

callers = [threading.Thread(target=call) for _ in range(16)]
for caller in callers: caller.start()
for caller in callers: caller.join()
"""


def test_the_first_callers_of_a_process_may_come_at_once() -> None:
    for _ in range(3):  # on an idle machine 12 of 14 processes hung when these calls built OpenVINO's tables
        assert subprocess.run([sys.executable, "-c", FIRST_CALLS], timeout=20, check=False).returncode == 0
