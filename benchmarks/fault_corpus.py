"""The fault corpus (`tests/faults/`) on several checkouts: how many rows of each kind are right, and which are not.

    python benchmarks/fault_corpus.py OLD_CHECKOUT . [--failed] [--kinds k1_verifiers k7_time] [--limit 40]

The rows and their adapters (`tests/fault_adapters.py`) are those of this checkout; the code is that of each one named.
A recipe with keys that an older checkout did not know is refused there as well, and counts as right. Code that hangs
is ended with its row, which counts as wrong: no row takes longer than `--limit` seconds, by the clock.
"""

import argparse
import json
import os
import select
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent.parent
FAULTS = HERE / "tests" / "faults"


def rows(kind: str) -> list[dict]:
    return [json.loads(line) for line in (FAULTS / f"{kind}.jsonl").read_text(encoding="utf-8").splitlines()]


def tell(kind: str, after: int) -> None:
    """Of the checkout that is on the path: a line of JSON for each row behind the first `after`, of what is wrong."""
    sys.path.insert(1, str(HERE / "tests"))
    from fault_adapters import ADAPTERS

    for row in rows(kind)[after:]:
        try:
            wrong = ADAPTERS[kind](row)
        except Exception as problem:  # noqa: BLE001  an older checkout may raise anything: the row is wrong then
            wrong = f"{type(problem).__name__}: {str(problem)[:120]}"
        print(json.dumps(wrong), flush=True)


def told(checkout: Path, kind: str, limit: float) -> list[str]:
    """What is wrong with each row of a kind. What ends the process that tries them, or is too slow, is one row's."""
    found: list[str] = []
    while len(found) < len(rows(kind)):
        found += answered(checkout, kind, len(found), limit)
        found += [f"no answer within {limit:g} s"] if len(found) < len(rows(kind)) else []
    return found


def answered(checkout: Path, kind: str, after: int, limit: float) -> Iterator[str]:
    environment = {**os.environ, "PYTHONPATH": str(checkout.resolve())}
    command = [sys.executable, "-P", str(Path(__file__).resolve()), "--tell", kind, "--after", str(after)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, bufsize=0, start_new_session=True) as child:
        assert child.stdout is not None
        try:
            # Nothing is buffered here, so what select sees is all that there is.
            while select.select([child.stdout], [], [], limit)[0] and (line := child.stdout.readline()):
                yield json.loads(line)
        finally:
            os.killpg(child.pid, signal.SIGKILL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkouts", nargs="*", type=Path)
    parser.add_argument("--kinds", nargs="*", default=sorted(path.stem for path in FAULTS.glob("*.jsonl")))
    parser.add_argument("--failed", action="store_true", help="name the rows that are not right")
    parser.add_argument("--limit", type=float, default=40, metavar="SECONDS", help="for a row, by the clock")
    parser.add_argument("--tell", metavar="KIND", help=argparse.SUPPRESS)
    parser.add_argument("--after", type=int, default=0, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.tell:
        return tell(asked.tell, asked.after)
    found = {(one, kind): told(one, kind, asked.limit) for kind in asked.kinds for one in asked.checkouts}
    print("| kind | rows |" + "".join(f" wrong on {one.name or 'this one'} |" for one in asked.checkouts))
    print("| --- | ---: |" + " ---: |" * len(asked.checkouts))
    for kind in asked.kinds:
        counts = [Counter(map(bool, found[one, kind]))[True] for one in asked.checkouts]
        print(f"| {kind} | {len(rows(kind))} |" + "".join(f" {count} |" for count in counts))
    if asked.failed:
        for (one, kind), lines in found.items():
            print(*(f"{one}: {kind}:{row}: {wrong}" for row, wrong in enumerate(lines, 1) if wrong), sep="\n")
    return None


if __name__ == "__main__":
    main()
