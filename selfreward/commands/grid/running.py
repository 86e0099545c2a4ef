"""The processes of a grid."""

import subprocess
import threading
from collections.abc import Sequence


class Running:
    """The processes of a grid that are under way, so that an interrupt can end them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._processes: set[subprocess.Popen[str]] = set()
        self._ended = False

    def finish(self, command: Sequence[str]) -> str:
        """Run `command` to its end; an empty string, or its exit code and last line where it failed."""
        with self._lock:
            if self._ended:
                return "not started"
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            self._processes.add(process)
        _, said = process.communicate()
        with self._lock:
            self._processes.discard(process)
        if process.returncode == 0:
            return ""
        lines = said.strip().splitlines() or ["no message"]
        return f"exit {process.returncode}: {lines[-1]}"

    def end(self) -> None:
        """Ask every process to stop as SIGTERM does: what is whole stays, and nothing new begins."""
        with self._lock:
            self._ended = True
            for process in self._processes:
                process.terminate()
