"""Freed memory stays with the process: the same arrays again cost no page faults."""

import subprocess
import sys

import pytest

SCRIPT = """
import resource
import numpy as np
from aec_core.memory import keep_freed_memory

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def work():
    for _ in range(100):
        arrays = [np.ones(250_000, np.float32) for _ in range(8)]  # 1 MB each

keep_freed_memory()
work()
before = faults()
work()
print(faults() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc only")
def test_arrays_of_a_hop_are_not_asked_for_anew():
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60, check=True
    )
    # 800 arrays of 244 pages each, had they been given back.
    assert int(run.stdout) < 1000
