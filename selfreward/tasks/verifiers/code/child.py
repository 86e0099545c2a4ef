"""Runs a program and answers calls of it. Stand-alone: its text is given to a bare Python inside the confinement.

It knows the program and the calls, never a golden result, so whatever the program does to it can only spoil the
answer. Before the program is read it gives up what it will not need: limits of processor time, memory and processes, no
byte to any file, and a filter of system calls (no further process or thread, no other program, no socket, no look into
another process). Requests come as lines of JSON and so do replies; the program's own input and output lead nowhere.
"""

import ctypes
import json
import os
import platform
import resource
import sys
from typing import Any

NO_NEW_PRIVILEGES, SET_SECCOMP, FILTER = 38, 22, 2
ALLOW, REFUSE, KILL = 0x7FFF0000, 0x00050001, 0x80000000  # REFUSE is EPERM

REFUSED = {
    # clone, fork, vfork, clone3, execve, execveat, ptrace, process_vm_readv and _writev, socket, socketpair,
    # io_uring_setup, pidfd_getfd, memfd_create; kill and its like; unshare, setns
    "x86_64": (0xC000003E, (56, 57, 58, 435, 59, 322, 101, 310, 311, 41, 53, 425, 438, 319, 62, 200, 234, 272, 308)),
    "aarch64": (0xC00000B7, (220, 435, 221, 281, 117, 270, 271, 198, 199, 425, 438, 279, 129, 130, 131, 97, 268)),
}


class Step(ctypes.Structure):
    """struct sock_filter"""

    _fields_ = (("code", ctypes.c_uint16), ("yes", ctypes.c_uint8), ("no", ctypes.c_uint8), ("value", ctypes.c_uint32))


class Program(ctypes.Structure):
    """struct sock_fprog"""

    _fields_ = (("length", ctypes.c_uint16), ("steps", ctypes.POINTER(Step)))


def filter_calls() -> None:
    """Refuse the system calls of REFUSED; another machine's architecture has only the limits."""
    if platform.machine() not in REFUSED:
        return
    architecture, calls = REFUSED[platform.machine()]
    load, equal, at_least, give = 0x20, 0x15, 0x35, 0x06
    steps = [Step(load, 0, 0, 4), Step(equal, 1, 0, architecture), Step(give, 0, 0, KILL), Step(load, 0, 0, 0)]
    # Calls of the x32 form have this bit set and are all refused.
    steps += [Step(at_least, 0, 1, 0x40000000), Step(give, 0, 0, REFUSE)]
    for number in calls:
        steps += [Step(equal, 0, 1, number), Step(give, 0, 0, REFUSE)]
    steps.append(Step(give, 0, 0, ALLOW))
    listed = (Step * len(steps))(*steps)
    library = ctypes.CDLL(None, use_errno=True)
    whole = Program(len(steps), listed)
    if library.prctl(SET_SECCOMP, FILTER, ctypes.byref(whole), 0, 0):
        raise OSError(ctypes.get_errno(), "no filter of system calls")


def confine(limits: dict[str, int]) -> None:
    for kind, most in (
        (resource.RLIMIT_CPU, limits["cpu_seconds"]),
        (resource.RLIMIT_AS, limits["memory_bytes"]),
        (resource.RLIMIT_NPROC, 1),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, 32),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (most, most))
    if ctypes.CDLL(None, use_errno=True).prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "privileges could be gained")
    filter_calls()


def reply(channel: int, message: dict[str, Any]) -> None:
    line = json.dumps(message, allow_nan=False).encode() + b"\n"
    while line:
        line = line[os.write(channel, line) :]


def answer(request: dict[str, Any], names: dict[str, Any]) -> dict[str, Any]:
    """What the program makes of one request. A program may raise anything, and that is then its result."""
    try:
        if "program" in request:
            exec(compile(request["program"], "<program>", "exec", dont_inherit=True), names)  # noqa: S102
            return {"loaded": callable(names.get(request["entry"]))}
        value = names[request["entry"]](*request["args"], **request["kwargs"])
        json.dumps(value, allow_nan=False)
        return {"value": value}
    except BaseException as problem:  # noqa: BLE001 - see above
        return {"raised": type(problem).__name__}


def main() -> None:
    limits = json.loads(sys.argv[1])
    requests, channel = os.fdopen(os.dup(0), "rb"), os.dup(1)
    for standard in (0, 1):
        os.dup2(limits["nowhere"], standard)
    confine(limits)
    os.dup2(limits["nowhere"], 2)
    reply(channel, {"ready": True})
    names: dict[str, Any] = {"__name__": "program"}
    for line in requests:
        reply(channel, answer(json.loads(line), names))


if __name__ == "__main__":
    main()
