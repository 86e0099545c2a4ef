"""A process without network, other processes and files but those named. Stand-alone, by Linux namespaces.

    python jail.py '{"sources": [...], "links": {...}, "masks": [...]}' COMMAND ARGUMENT ...

Root takes the namespaces as root and then becomes a user that nobody else is; anybody else makes a user namespace
of their own (which some distributions forbid). The new root is a file system in memory, read-only, in which
`sources` stand where they stood and `masks` are empty folders. The first process of the namespace waits for the command
and ends with it, and with it the kernel ends whatever is left in there.
"""

import ctypes
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any, NoReturn

NEW_FILES, NEW_NAMES, NEW_IPC, NEW_USER, NEW_PROCESSES, NEW_NETWORK = (
    *(0x00020000, 0x04000000, 0x08000000),
    *(0x10000000, 0x20000000, 0x40000000),
)
READ_ONLY, NO_SETUID, NO_DEVICES, REMOUNT, BIND, MOVE, ALL_BELOW, PRIVATE = (
    *(1, 2, 4, 32),
    *(4096, 8192, 16384, 1 << 18),
)
KEPT = {8: 8, 1024: 1024, 2048: 2048, 4096: 1 << 21}
"""Flags of a file system that a user namespace may not clear, as `statvfs` and as `mount` write them."""

DEATH_SIGNAL = 1
SPARE = ("/mnt", "/media", "/srv", "/tmp", "/var")
"""Folders that the new root may be built over; only this process sees it."""

FIRST_USER = 1_000_000_000

library = ctypes.CDLL(None, use_errno=True)


def demand(result: int, what: str) -> None:
    if result:
        raise SystemExit(f"{what}: {os.strerror(ctypes.get_errno())}")


def mount(source: str, target: str, flags: int, kind: str = "", options: str = "") -> None:
    given = [text.encode() for text in (source, target, kind, options)]
    demand(library.mount(given[0], given[1], given[2], ctypes.c_ulong(flags), given[3]), f"mount {target}")


def own_namespaces(root: bool) -> None:
    user, group = os.getuid(), os.getgid()
    kinds = NEW_FILES | NEW_NAMES | NEW_IPC | NEW_PROCESSES | NEW_NETWORK
    demand(library.unshare(kinds | (0 if root else NEW_USER)), "unshare")
    if not root:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")


def new_root(plan: dict[str, Any]) -> None:
    mount("none", "/", ALL_BELOW | PRIVATE)
    top = next(place for place in SPARE if Path(place).is_dir() and not any(_below(s, place) for s in plan["sources"]))
    mount("tmpfs", top, NO_SETUID | NO_DEVICES, "tmpfs", "size=1m,mode=755")
    for source in plan["sources"]:
        target = Path(top + source)
        target.parent.mkdir(parents=True, exist_ok=True)
        if Path(source).is_dir():
            target.mkdir(exist_ok=True)
        else:
            target.touch()
        mount(source, str(target), BIND | ALL_BELOW)
        kept = sum(flag for bit, flag in KEPT.items() if os.statvfs(source).f_flag & bit)
        mount("none", str(target), REMOUNT | BIND | READ_ONLY | NO_SETUID | NO_DEVICES | kept)
    for masked in plan["masks"]:
        mount("tmpfs", top + masked, READ_ONLY | NO_SETUID | NO_DEVICES, "tmpfs", "size=4k,mode=555")
    for place, target_name in plan["links"].items():
        Path(top + place).symlink_to(target_name)
    mount("none", top, REMOUNT | BIND | READ_ONLY | NO_SETUID | NO_DEVICES)
    os.chdir(top)
    mount(".", "/", MOVE)
    os.chroot(".")
    os.chdir("/")


def _below(path: str, place: str) -> bool:
    return Path(path).is_relative_to(place)


def become_nobody() -> None:
    """A user of this process's own: no file is its, and a limit of processes counts its alone."""
    own = FIRST_USER + os.getpid() + (int.from_bytes(os.urandom(3), "big") << 4)
    os.setgroups([])
    os.setresgid(own, own, own)
    os.setresuid(own, own, own)


def wait_for(process: int) -> NoReturn:
    _, status = os.waitpid(process, 0)
    os._exit(max(0, os.waitstatus_to_exitcode(status)))


def main(plan: dict[str, Any], command: list[str]) -> None:
    root = os.geteuid() == 0
    if plan["sources"]:
        own_namespaces(root)
        first = os.fork()
        if first:
            wait_for(first)
        demand(library.prctl(DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0), "prctl")
        new_root(plan)
        second = os.fork()
        if second:
            wait_for(second)
    if root:
        become_nobody()
    os.execve(command[0], command, dict(os.environ))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), sys.argv[2:])
