"""Memory that large tensors have freed: kept while that is asked for, then given back."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource
import torch
from pipeline.memory import kept_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(4):
        torch.ones(2**23)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def held():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmRSS"))

before, usual = held(), faults()
with kept_memory():
    for _ in range(4):
        faults()
    print(usual, faults(), faults())
    large = torch.ones(2**26)
    del large
    assert held() - before > 2**18, "nothing is kept"
print(held() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the allocator is glibc's")
def test_freed_memory_is_taken_again_and_given_back_at_the_end() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    usual, kept, again, left = map(int, done.stdout.split())
    assert kept + again < usual / 4, f"{usual} faults as usual, {kept} and {again} with memory kept"
    assert left < 2**17, f"{left} KiB are still held"
