"""What becomes of the memory that large tensors have freed.

The allocator of glibc maps what is large by itself and gives it back when it is freed, so the kernel clears the same
pages again for every batch: half of the time of an EfficientNet that encodes pictures (``benchmarks/kept_memory.py``).
"""

import contextlib
import ctypes
import platform
from collections.abc import Iterator

# The numbers of malloc.h, and what they are set to: never map a large tensor by itself, never give back what is free;
# and, afterwards, glibc's own numbers, the threshold as it stands once large blocks have been freed.
TRIM_THRESHOLD, MMAP_MAX = -1, -4
KEEPING = {TRIM_THRESHOLD: -1, MMAP_MAX: 0}
USUAL = {TRIM_THRESHOLD: 64 * 2**20, MMAP_MAX: 65_536}


@contextlib.contextmanager
def kept_memory() -> Iterator[None]:
    """Keep freed memory for what comes next, and give it back at the end; with another libc than glibc, do nothing.

    It holds for the whole process. Of two at once, the first that ends does so for both.
    """
    if platform.libc_ver()[0] != "glibc":
        yield
        return
    libc = ctypes.CDLL(None)
    for parameter, value in KEEPING.items():
        libc.mallopt(parameter, value)
    try:
        yield
    finally:
        for parameter, value in USUAL.items():
            libc.mallopt(parameter, value)
        libc.malloc_trim(0)
