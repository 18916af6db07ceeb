"""Take away from this process what it does not need to read bytes that it already holds.

Three layers, each of which alone keeps files shut, and each left out where a system lacks it:

- Landlock (Linux 5.13 and later): no file, no folder; where the kernel knows them (6.7, 6.12), no
  TCP, no sockets or signals out of the process's own domain.
- seccomp (Linux on x86-64 and ARM64): only the system calls that computing needs.
- no new file descriptor (all but Windows): nothing can be opened or connected, whatever it is.

None can be undone by the process. What a module imports late must have been imported before.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from contextlib import suppress
from pathlib import Path

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 4, 22, 38
_SECCOMP_MODE_FILTER = 2
_SIGKILL = 9

_LANDLOCK_CREATE, _LANDLOCK_RESTRICT = 444, 446
_LANDLOCK_RIGHTS = ((5, 16), (3, 15), (2, 14), (1, 13))
"""Kinds of access to files that a version of Landlock knows, from that version on."""

_LOAD_WORD, _JUMP_IF_EQUAL, _JUMP_IF_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050000 | 1, 0x80000000
"""Answers of a filter; what is refused fails with EPERM."""
_X32 = 0x40000000
_NUMBER, _ARCHITECTURE = 0, 4
"""Offsets in the data that a filter receives."""
_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_CALLS = {
    # name: number on x86-64, on ARM64
    "read": (0, 63),
    "write": (1, 64),
    "close": (3, 57),
    "lseek": (8, 62),
    "mmap": (9, 222),
    "mprotect": (10, 226),
    "munmap": (11, 215),
    "brk": (12, 214),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "sched_yield": (24, 124),
    "mremap": (25, 216),
    "madvise": (28, 233),
    "nanosleep": (35, 101),
    "getpid": (39, 172),
    "exit": (60, 93),
    "uname": (63, 160),
    "gettimeofday": (96, 169),
    "getrlimit": (97, 163),
    "getrusage": (98, 165),
    "sysinfo": (99, 179),
    "times": (100, 153),
    "sigaltstack": (131, 132),
    "gettid": (186, 178),
    "futex": (202, 98),
    "sched_getaffinity": (204, 123),
    "restart_syscall": (219, 128),
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "clock_nanosleep": (230, 115),
    "exit_group": (231, 94),
    "set_robust_list": (273, 99),
    "getcpu": (309, 168),
    "getrandom": (318, 278),
    "membarrier": (324, 283),
    "rseq": (334, 293),
}


def seal(memory: int, seconds: int) -> tuple[str, ...]:
    """Bound this process for good, and take from it whatever opens a file or a connection.

    Parameters
    ----------
    memory
        Address space that it may take beyond what it has, in bytes.
    seconds
        Time of a processor that it may take.

    Returns
    -------
    tuple of str
        The layers that hold, in words.
    """
    if sys.platform == "win32":
        return ()
    _limit(memory, seconds)
    layers = []
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        for option, value in (
            (_PR_SET_PDEATHSIG, _SIGKILL),
            (_PR_SET_DUMPABLE, 0),
            (_PR_SET_NO_NEW_PRIVS, 1),
        ):
            libc.prctl(option, value, 0, 0, 0)
        if version := _shut_files(libc):
            layers.append(f"Landlock (version {version})")
    if _shut_descriptors():
        layers.append("no new file descriptor")
    if sys.platform == "linux" and _filter_calls(libc):
        layers.append("seccomp")
    return tuple(layers)


def _limit(memory: int, seconds: int) -> None:
    """Bound memory and time, also for when nobody is left to stop this process."""
    if sys.platform == "win32":
        return
    import resource

    for limit, value in (
        (resource.RLIMIT_AS, _address_space() + memory),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
    ):
        _, most = resource.getrlimit(limit)
        with suppress(ValueError, OSError):  # macOS refuses some
            resource.setrlimit(limit, (value if most < 0 else min(value, most), most))
    if sys.platform == "linux":  # where memory runs out, this goes, not the server
        with suppress(OSError):  # a /proc that cannot be written
            Path("/proc/self/oom_score_adj").write_text("1000")


def _address_space() -> int:
    """Return what this process has of it already: Python and its libraries."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except OSError:  # a system without /proc
        return 2 * 1024**3
    return pages * os.sysconf("SC_PAGE_SIZE")


def _shut_files(libc: ctypes.CDLL) -> int:
    """Have Landlock refuse every file; return its version, 0 where the kernel has none."""
    version = int(libc.syscall(_LANDLOCK_CREATE, None, 0, 1))
    if version < 1:
        return 0
    n_rights = next(n for since, n in _LANDLOCK_RIGHTS if version >= since)
    handled = ((1 << n_rights) - 1, 0b11 if version >= 4 else 0, 0b11 if version >= 6 else 0)
    n_fields = 3 if version >= 6 else 2 if version >= 4 else 1
    attributes = struct.pack(f"={n_fields}Q", *handled[:n_fields])
    rules = libc.syscall(_LANDLOCK_CREATE, attributes, len(attributes), 0)
    if rules < 0:
        return 0
    shut = libc.syscall(_LANDLOCK_RESTRICT, rules, 0) == 0
    os.close(rules)
    return version if shut else 0


def _shut_descriptors() -> bool:
    """Let no file descriptor be made; those that are open stay."""
    if sys.platform == "win32":
        return False
    import resource

    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
    except (ValueError, OSError):
        return False
    return True


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def _filter_calls(libc: ctypes.CDLL) -> bool:
    """Let through the system calls of ``_CALLS``; tell whether that holds."""
    machine = os.uname().machine
    if machine not in _ARCHITECTURES or sys.maxsize < 2**32 or sys.byteorder != "little":
        return False
    column = list(_ARCHITECTURES).index(machine)
    numbers = [numbers[column] for numbers in _CALLS.values()]
    n = len(numbers)
    instructions = [
        (_LOAD_WORD, 0, 0, _ARCHITECTURE),
        (_JUMP_IF_EQUAL, 1, 0, _ARCHITECTURES[machine]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD_WORD, 0, 0, _NUMBER),
        (_JUMP_IF_AT_LEAST, n, 0, _X32),
        *((_JUMP_IF_EQUAL, n - i, 0, number) for i, number in enumerate(numbers)),
        (_RETURN, 0, 0, _REFUSE),
        (_RETURN, 0, 0, _ALLOW),
    ]
    code = b"".join(struct.pack("=HBBI", *instruction) for instruction in instructions)
    program = _Program(len(instructions), code)
    return bool(libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0) == 0)
