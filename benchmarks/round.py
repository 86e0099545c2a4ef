"""Seconds of a steady round, ours beside the loop as people write it (baselines/), and each lever alone.

    python benchmarks/round.py [--prompts 64] [--answers 6] [--judgments 11] [--repeats 3] [--only NAME ...] [--write]
    python benchmarks/round.py --model DIR ...     a real instruct model: round_real.py, which says more with --help

Needs vLLM (its CPU build will do). About ten processor minutes; --write replaces results/tables/round.md and
round.json. Every system gets one round to warm up, which is shown apart, as is starting it; then the systems take
turns, a round each, `--repeats` times, and who waits is stopped. Seconds are wall-clock; processor seconds, of all
processes of a system, stand beside them, because a loaded machine moves the first more than the second. B0, which
compiles in every process, gets one round. All have one thread a process. What a tiny model on a CPU shows is mostly
start-ups and overhead; the arithmetic for large models is `selfreward plan`'s.

The small form, in about a minute, is `--only "B1" "ours, transformers"`. What is measured is set beside the last table
by how many times as fast ours is, in processor seconds: that hardly depends on the machine, as seconds do.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from baselines.served import Served
from baselines.systems import CACHE, EAGER, Stages, Worker
from baselines.taking_turns import take_turns
from baselines.timed import Timed, ratio, row, table, turns
from baselines.workload import Work

from selfreward.commands.preflight_models import model_directory
from selfreward.engines.vllm.settings import require_vllm

TABLES = Path(__file__).parent.parent / "results" / "tables"
DTYPE = {"dtype": "float32"}
"""Left alone, vLLM halves the precision of a float32 checkpoint: then it would not do the same work."""
BEST_FLAGS = {**DTYPE, "enforce_eager": True, "block_size": 32, "max_num_seqs": 256}
IN_PROCESS = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", **EAGER}

LEVERS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "beside the levers: ours, vLLM": ((), ()),
    "without prefix cache": (("prefix cache",), ()),
    "without one engine": (("one engine",), ()),
    "without deduplication": ((), ("generate.deduplicate=false",)),
    "with prefix-shared training": ((), ("train.prefix_sharing=always",)),
    "with adaptive N": ((), ("judge.aggregate=adaptive", "judge.aggregate.cap={judgments}")),
    "with adaptive N, in waves": (("no barrier",), ("judge.aggregate=adaptive", "judge.aggregate.cap={judgments}")),
    "with one rationale, expected score": ((), ("judge.reading=rationale", "judge.aggregate.samples=1")),
}
"""Name -> what is taken away in the worker, and recipe keys."""

WHOLE = next(iter(LEVERS))


def ours(root: Path, name: str, work: Work, repeats: int, engine: str) -> Timed:
    away, keys = LEVERS.get(name, ((), ()))
    recipe = [
        f"rounds={repeats + 1}",
        f"engine.kind={engine}",
        *(["engine.in_process=true", "engine.memory_share=0.02"] if engine == "vllm" else []),
        *work.keys(),
        "model.device=cpu",
        *(f"measure.{name}=2" for name in ("gate", "selection", "report", "samples")),
        "measure.frozen=0",
        "measure.judge_samples=1",
    ]
    if "judge.aggregate.samples=1" in keys or any("adaptive" in key for key in keys):
        recipe = [key for key in recipe if not key.startswith("judge.aggregate.samples=")]
    recipe += [key.format(judgments=work.judgments) for key in keys]
    folder = root / "".join(letter if letter.isalnum() else "-" for letter in name)
    arguments = [str(folder), json.dumps(list(away)), *recipe]
    return Timed(Worker("baselines.ours", arguments, root / f"{folder.name}.log"), repeats=repeats)


def systems(root: Path, work: Work, repeats: int) -> dict[str, Timed]:
    model, told = model_directory(work.model), work.write(root / "work.json")
    one = Worker("baselines.one_process", [str(model), str(told), str(root / "b1")], root / "b1.log")
    best = Stages(model, work, root / "b2", BEST_FLAGS, IN_PROCESS)
    return {
        "B0 process per stage, defaults": Timed(
            Stages(model, work, root / "b0", DTYPE, CACHE), warms_up=False, repeats=1
        ),
        "B1 one process, generate": Timed(one, repeats=repeats),
        "B2 process per stage, best flags": Timed(best, warms_up=False, repeats=repeats),
        "B3 server and scripts": Timed(Served(model, work, root / "b3"), repeats=repeats),
        "ours, transformers": ours(root, "ours, transformers", work, repeats, "transformers"),
        "ours, vLLM": ours(root, "ours, vLLM", work, repeats, "vllm"),
        **{name: ours(root, name, work, repeats, "vllm") for name in LEVERS},
    }


def claims(timed: Mapping[str, Timed]) -> list[str]:
    lines = []
    for mine in ("ours, vLLM", "ours, transformers"):
        for other, wanted in (
            ("B2 process per stage, best flags", 5.0),
            ("B1 one process, generate", 1.0),
            ("B3 server and scripts", 1.0),
        ):
            if mine in timed and other in timed:
                turns = zip(timed[other].seconds, timed[mine].seconds, strict=False)
                kept = statistics.median(theirs / own for theirs, own in turns) >= wanted
                lines.append(
                    f"- {mine} against {other.partition(' ')[0]}: {ratio(timed, mine, other)} times as fast "
                    f"(in CPU seconds {ratio(timed, mine, other, 'processor')}); "
                    f"wanted at least {wanted:g}: **{'yes' if kept else 'no'}**"
                )
    for name in list(LEVERS)[1:]:
        if name in timed and WHOLE in timed:
            lines.append(
                f"- lever alone, {name}: {ratio(timed, WHOLE, name)} times the seconds "
                f"({ratio(timed, WHOLE, name, 'processor')} of CPU) of ours, vLLM beside it"
            )
    return lines


def compared(timed: Mapping[str, Timed], setting: str, last: Mapping[str, Any]) -> list[str]:
    """Ours against each baseline that the `last` table has, too, then and now; apart where the spreads do not meet."""
    if last["setting"][0] != setting:
        return [f"- not compared with the last table, which is of another size: {last['setting'][0]}"]
    then = {
        name: Timed(None, seconds=known["seconds"], processor=known["processor"])
        for name, known in last["systems"].items()
        if name in timed
    }
    lines = []
    for mine in (name for name in then if name.startswith("ours")):
        for other in (name for name in then if name.startswith("B")):
            now, before = turns(timed, mine, other, "processor"), turns(then, mine, other, "processor")
            told = "faster" if min(now) > max(before) else "slower" if max(now) < min(before) else "as then"
            lines.append(
                f"- {mine} against {other.partition(' ')[0]}, in CPU seconds: {ratio(timed, mine, other, 'processor')} "
                f"times as fast, in the last table {ratio(then, mine, other, 'processor')}: **{told}**"
            )
    return lines


def main() -> None:
    if any(word.partition("=")[0] == "--model" for word in sys.argv[1:]):
        import round_real

        round_real.main()
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=64)
    parser.add_argument("--answers", type=int, default=6)
    parser.add_argument("--judgments", type=int, default=11)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", nargs="+", help="systems whose names begin so")
    parser.add_argument("--write", action="store_true", help="replace the tables in results/tables")
    given = parser.parse_args()
    vllm = require_vllm()
    work = Work(given.prompts, given.answers, given.judgments)
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as directory:
        timed = systems(Path(directory), work, given.repeats)
        if given.only:
            timed = {name: one for name, one in timed.items() if name.startswith(tuple(given.only))}
        # In two companies, so that not all engines are in memory at once.
        companies = [{name: one for name, one in timed.items() if (name in LEVERS) == lever} for lever in (False, True)]
        loads = [load for company in companies for load in (take_turns(company, given.repeats) if company else [])]
    libraries = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "trl"))
    facts = [
        f"{work.prompts} prompts, K = {work.answers}, N = {work.judgments}, {work.model}, one thread a process",
        f"{os.cpu_count()} cores ({platform.machine()}), load {min(loads):.1f} to {max(loads):.1f}, "
        f"median {statistics.median(loads):.1f}",
        f"vLLM {vllm} (CPU), {libraries}; whole benchmark {time.perf_counter() - begun:.0f} s",
    ]
    rows = [row(name, one) for name, one in timed.items()]
    text = "\n".join([*facts, "", table(rows), "", *claims(timed), ""])
    last = json.loads(TABLES.joinpath("round.json").read_text(encoding="utf-8"))
    print(text, *compared(timed, facts[0], last), sep="\n")
    if given.write:
        TABLES.joinpath("round.md").write_text(f"# A steady round, ours and baselines\n\n{text}", encoding="utf-8")
        kept = {
            name: {key: getattr(one, key) for key in ("start", "first", "seconds", "processor", "facts", "check")}
            for name, one in timed.items()
        }
        content = {"setting": facts, "systems": kept}
        TABLES.joinpath("round.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
