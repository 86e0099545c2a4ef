"""The fault corpus (`tests/faults/`) on several checkouts: how many rows of each kind are right, and which are not.

    python benchmarks/fault_corpus.py OLD_CHECKOUT . [--failed] [--kinds k1_verifiers k7_time]

The rows and their adapters (`tests/fault_adapters.py`) are those of this checkout; the code is that of each one named.
A recipe with keys that an older checkout did not know is refused there as well, and counts as right.
"""

import argparse
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

HERE = Path(__file__).parent.parent
FAULTS = HERE / "tests" / "faults"


def rows(kind: str) -> list[dict]:
    return [json.loads(line) for line in (FAULTS / f"{kind}.jsonl").read_text(encoding="utf-8").splitlines()]


def tell(kinds: list[str]) -> None:
    """Of the checkout that is on the path: a line of JSON for each row, of its kind, number and what is wrong."""
    sys.path.insert(1, str(HERE / "tests"))
    from fault_adapters import ADAPTERS

    for kind in kinds:
        for number, row in enumerate(rows(kind), 1):
            try:
                wrong = ADAPTERS[kind](row)
            except Exception as problem:  # noqa: BLE001  an older checkout may raise anything: the row is wrong then
                wrong = f"{type(problem).__name__}: {str(problem)[:120]}"
            print(json.dumps([kind, number, wrong]), flush=True)


def told(checkout: Path, kinds: list[str]) -> list[tuple[str, int, str]]:
    environment = {**os.environ, "PYTHONPATH": str(checkout.resolve())}
    command = [sys.executable, "-P", str(Path(__file__).resolve()), "--tell", "--kinds", *kinds]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return [(kind, number, wrong) for kind, number, wrong in map(json.loads, done.stdout.splitlines())]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkouts", nargs="*", type=Path)
    parser.add_argument("--kinds", nargs="*", default=sorted(path.stem for path in FAULTS.glob("*.jsonl")))
    parser.add_argument("--failed", action="store_true", help="name the rows that are not right")
    parser.add_argument("--tell", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.tell:
        return tell(asked.kinds)
    found = {checkout: told(checkout, asked.kinds) for checkout in asked.checkouts}
    print("| kind | rows |" + "".join(f" wrong on {checkout.name or 'this one'} |" for checkout in found))
    print("| --- | ---: |" + " ---: |" * len(found))
    for kind in asked.kinds:
        counts = [Counter(bool(wrong) for one, _, wrong in lines if one == kind)[True] for lines in found.values()]
        print(f"| {kind} | {len(rows(kind))} |" + "".join(f" {count} |" for count in counts))
    if asked.failed:
        for checkout, lines in found.items():
            print(*(f"{checkout}: {kind}:{number}: {wrong}" for kind, number, wrong in lines if wrong), sep="\n")
    return None


if __name__ == "__main__":
    main()
