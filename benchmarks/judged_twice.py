"""How often a run's judges were asked what the same weights had been asked before: equal question, prompt and answer.

    python benchmarks/judged_twice.py RUN [RUN ...]

Counted over all judgments and comparisons of a run, in the order of its rounds: a row is a repetition where a row of
another answer, artifact or round had the same judge's weights, template, messages and text. `read` are readings of
probabilities, which come out alike and could be copied; `sampled` ones are draws of their own, and copying one would
take a draw for two. Several samples of one answer in one artifact are asked for and are no repetition. Rows of a
verifier, and ratings that are made of other rows, ask no model and are left out.
"""

import argparse
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from selfreward.store.view import RunView

Line = Mapping[str, Any]
KINDS = ("read", "sampled")


def texts_of(rows: list[Line]) -> Iterator[tuple[str, Any]]:
    """Ids of prompts and answers, also of those inside other rows, with what a judge reads of them."""
    for row in rows:
        for one in (row, row.get("prompt"), row.get("response")):
            if isinstance(one, Mapping) and "id" in one:
                if "messages" in one:
                    yield one["id"], str([(message["role"], message["content"]) for message in one["messages"]])
                elif "policy" in one and "text" in one:
                    yield one["id"], one["text"]


def asked_of(row: Line) -> tuple[str, ...] | None:
    """Ids of what a judge read, where the row is a reply of one."""
    if "judge" not in row or row.get("source", "judge") != "judge" or "winner" in row:
        return None
    if "response_id" in row:
        return row["prompt_id"], row["response_id"]
    return (row["prompt_id"], row["first_id"], row["second_id"]) if "first_id" in row else None


def count(run: RunView) -> tuple[Counter[str], Counter[str], Counter[str]]:
    """(readings, repetitions, repetitions by where the first and this one stand), by kind."""
    texts, first = dict[str, Any](), dict[tuple[Any, ...], tuple[int, str, str]]()
    readings, again, where = Counter[str](), Counter[str](), Counter[str]()
    for number in run.rounds():
        rows = {seal.artifact: run.plain(number, seal.artifact) for seal in run.seals(number) if seal.files is None}
        for lines in rows.values():
            texts |= dict(texts_of(lines))
        for seal in sorted(run.seals(number), key=lambda seal: seal.finished):
            for row in rows.get(seal.artifact, []):
                ids = asked_of(row)
                if ids is None or any(name not in texts for name in ids):
                    continue
                kind = "read" if row.get("mass") is not None and not row["token_ids"] else "sampled"
                kind = "read" if row["template"] == "scalar" else kind
                readings[kind] += 1
                key = (row["judge"], row["template"], row.get("principle"), *(texts[name] for name in ids))
                place = (number, seal.artifact, "/".join(ids))
                if first.setdefault(key, place) != place:
                    again[kind] += 1
                    earlier = first[key]
                    when = "same round" if earlier[0] == number else "earlier round"
                    where[f"{kind}: {seal.artifact}, after {earlier[1]} of the {when}"] += 1
    return readings, again, where


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    print("| run | read | of them again | sampled | of them again |\n|---|---:|---:|---:|---:|")
    told = []
    for path in parser.parse_args().runs:
        readings, again, where = count(RunView(path))
        cells = [f"{readings[kind]:,} | {again[kind]:,} ({again[kind] / max(1, readings[kind]):.1%})" for kind in KINDS]
        print(f"| {path.name} | {' | '.join(cells)} |", flush=True)
        told += [f"- {path.name}: {places:,} {place}" for place, places in where.most_common()]
    print("", *told, sep="\n")


if __name__ == "__main__":
    main()
