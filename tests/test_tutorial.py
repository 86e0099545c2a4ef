"""The tutorial runs: every block, in its order, in one empty directory, and says what stands under it."""

import itertools
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parent.parent / "docs" / "tutorial.md"
ROOT = PAGE.parent.parent
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.S | re.M)


def ran(kind: str, block: str, folder: Path) -> str:
    """What a block says. It ends the test where it fails."""
    tools = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    own = {"PATH": tools, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "COLUMNS": "160"}
    command = ["bash", "-euo", "pipefail", "-c", block] if kind == "bash" else [sys.executable, "-c", block]
    done = subprocess.run(command, cwd=folder, env={**os.environ, **own}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{block}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout


def says(expected: str, said: str) -> str | None:
    """The first expected line that does not come, in its order; `…` stands for anything within a line."""
    place = 0
    for line in expected.strip("\n").splitlines():
        pattern = ".*".join(re.escape(part) for part in line.split("…"))
        found = re.compile(f"^{pattern}", re.M).search(said, place)
        if found is None:
            return line
        place = found.end()
    return None


def test_an_expected_line_is_looked_for_in_its_order() -> None:
    assert says("a…c\nd", "abc\nxd\nd here") is None
    assert says("d\na", "a\nd") == "a" and says("b", "ab") == "b" and says("…b", "ab") is None


def test_every_text_stands_under_a_block_that_says_it() -> None:
    kinds = [kind for kind, _ in BLOCK.findall(PAGE.read_text(encoding="utf-8"))]
    assert set(kinds) == {"bash", "python", "text"} and kinds.count("bash") >= 5
    assert all(before != "text" for before, kind in itertools.pairwise(kinds) if kind == "text")


@pytest.mark.slow
def test_the_tutorial_runs_and_says_what_it_shows(tmp_path: Path) -> None:
    said = ""
    for kind, block in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        if kind == "text":
            assert (missing := says(block, said)) is None, f"not said: {missing}\n{said}"
        else:
            said = ran(kind, block, tmp_path)
    assert (tmp_path / "policy" / "README.md").exists()
