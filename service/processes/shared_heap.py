"""One heap for all threads of a process, so that any of them can use what another one freed."""

import ctypes

M_ARENA_MAX = -8  # as in <malloc.h>


def share_one_heap() -> None:
    """Ask glibc for it, for the threads that start from now on and for processes that are forked.

    Where the C library has no such heaps, as musl, nothing is to be done. Threads that wait for the
    interpreter one after another hardly wait for a heap.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_ARENA_MAX, 1)
