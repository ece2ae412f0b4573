"""A seccomp filter that refuses memfd_create, as a container's may; stands alone, to be run inside a package too."""

import ctypes
import errno
import os
import platform
import struct

MEMFD_CREATE = {"x86_64": 319, "aarch64": 279}[platform.machine()]
PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, SECCOMP_MODE_FILTER = 22, 38, 2


def refuse_memfd_create() -> bool:
    """Have the kernel answer memfd_create with EPERM in this process from now on; return whether it does."""
    instructions = [  # struct sock_filter: code, jump if true, jump if false, value
        (0x20, 0, 0, 0),  # load the number of the system call
        (0x15, 0, 1, MEMFD_CREATE),  # is it this one?
        (0x06, 0, 0, 0x00050000 | errno.EPERM),  # return an error
        (0x06, 0, 0, 0x7FFF0000),  # allow
    ]
    filters = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *instruction) for instruction in instructions))
    program = ctypes.create_string_buffer(struct.pack("HP", len(instructions), ctypes.addressof(filters)))
    prctl = ctypes.CDLL(None).prctl
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0)
    try:
        os.close(os.memfd_create("try"))
    except PermissionError:
        return True
    return False
