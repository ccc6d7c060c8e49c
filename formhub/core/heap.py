"""What large bodies took of memory goes back to the system with them."""

import ctypes

LARGE_BYTES = 128 * 1024
ARENAS = 2
_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8  # of glibc's malloc.h


def tame() -> bool:
    """Once, before a process makes its threads; whether the system's allocator is one that can be told.

    glibc takes large pieces from the system and gives them back, but raises what it calls large with each that it has
    given back, to 32 MiB; from then on bodies come to lie among small things that stay, in an arena for each thread.
    Under a flood of bodies of 1 MiB that makes three times the memory that is held of them, for good.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES) and mallopt(_M_ARENA_MAX, ARENAS))
