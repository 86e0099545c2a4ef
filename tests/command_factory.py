"""The command in this process: the same door, exit code and words, without the seconds that a new interpreter takes."""

import contextlib
import io
import signal
import subprocess
import sys
from pathlib import Path
from unittest import mock

from selfreward.commands import cli


def selfreward_here(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """What `selfreward ARGUMENTS` ends with in `cwd`. For what does not turn on its being a process of its own."""
    words = ["selfreward", *map(str, arguments)]
    out, err = io.StringIO(), io.StringIO()
    held = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        with (
            contextlib.chdir(cwd),
            mock.patch.object(sys, "argv", words),
            mock.patch.dict("os.environ"),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            cli.main()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())
    finally:
        for number, handler in held.items():  # the command takes these over
            signal.signal(number, handler)
    raise AssertionError("the command returned instead of ending its process")
