"""Seconds of a round of a real instruct model, ours beside the loop as people write it, by stage and at equal counts.

    python benchmarks/round.py --model DIR [--prompts 16] [--judgments 3] [--repeats 3] [--only NAME ...] [--out FILE]

B1   one process: transformers' `generate` with left padding and batches by length, TRL's DPOTrainer
B2   a process per stage, vLLM with its best flags; DPOTrainer
B3   a vLLM server that stays, scripts around it, weights exchanged in place; DPOTrainer
ours this package, by transformers

All have the same prompts, answers, judgments, words, limits, threads, dtype (float32 weights are trained under
autocast), reference and epochs; equal answers are judged again by all, and nobody measures. A model of 135 M writes no
verdict that can be read, so on every side the score of a reply is drawn by lot from its text. B2 and B3 need vLLM. The
first round is apart; then the systems take turns, a round each, and who waits is stopped. What each did is counted, and
where that differs no ratio is printed: rows must be equal, and what follows from the replies that every side samples
itself, tokens and pairs, to 15 %.
--out FILE keeps what was measured in FILE.json, one entry for each N and company of systems, and writes all to FILE.md;
turns of the same work are added to those that are there, so that a long comparison may be sliced (--minutes).
"""

import argparse
import json
import math
import os
import platform
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from baselines.english import write_prompts
from baselines.real_table import B1, B2, B3, OURS, render
from baselines.served import Served
from baselines.systems import EAGER, Stages, Worker
from baselines.taking_turns import take_turns
from baselines.timed import Timed
from baselines.workload import Work

from selfreward.engines.vllm.settings import vllm_version

IN_PROCESS = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0"}


def ours_keys(work: Work, root: Path) -> list[str]:
    """The work as a recipe in which nothing more is done than the others do."""
    return [
        *work.keys(),
        f"rounds={work.rounds + 1}",
        "model.device=cpu",
        "engine.kind=transformers",
        "generate.deduplicate=false",
        f"measure.source={write_prompts(root / 'measured.jsonl', 100, held_out=True)}",
        "measure.verifier=none",
        # Round 0 and the last one are always measured; the last one is never reached.
        f"measure.every={work.rounds + 1}",
        *(f"measure.{name}=2" for name in ("gate", "selection", "report", "samples")),
        *(f"measure.judge_probes.{name}=0" for name in ("padded", "claims", "feedback", "initial")),
        "measure.frozen=0",
        "measure.judge_samples=1",
        f"measure.sampling.max_tokens={work.tokens['generate']}",
        *([] if work.dtype == "float32" else ["handoff.noise=1.0"]),
    ]


def ours(root: Path, work: Work) -> Timed:
    arguments = [str(root / "ours"), json.dumps(["verdicts"] if work.planted else []), *ours_keys(work, root)]
    return Timed(Worker("baselines.ours", arguments, root / "ours.log", work.threads))


def systems(root: Path, work: Work, names: tuple[str, ...], repeats: int) -> dict[str, Timed]:
    model, told = Path(work.model), work.write(root / "work.json")
    flags = {"dtype": work.dtype, "enforce_eager": True, "block_size": 32, "max_num_seqs": 256}
    one = [str(model), str(told), str(root / "b1")]
    made = {
        B1: lambda: Timed(Worker("baselines.one_process", one, root / "b1.log", work.threads), warm_up=0),
        B2: lambda: Timed(Stages(model, work, root / "b2", flags, {**IN_PROCESS, **EAGER}), warms_up=False),
        B3: lambda: Timed(Served(model, work, root / "b3"), warm_up=0),
        OURS: lambda: ours(root, work),
    }
    found = {name: make() for name, make in made.items() if name.startswith(names)}
    for timed in found.values():
        timed.repeats = repeats
    return found


def options_of(given: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="a directory with an instruct model")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="bfloat16")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--prompts", type=int, default=16)
    parser.add_argument("--answers", type=int, default=4)
    parser.add_argument("--judgments", type=int, default=3)
    parser.add_argument("--answer-tokens", type=int, default=48)
    parser.add_argument("--judge-tokens", type=int, default=32)
    parser.add_argument("--positions", type=int, default=24_576, help="of a batch, in ours and in B1")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=math.inf, help="after which no turn is begun")
    parser.add_argument("--only", nargs="+", default=[B1, OURS], help="systems whose names begin so")
    parser.add_argument("--out", type=Path, help="the tables' name without an ending")
    return parser.parse_args(given)


def work_of(given: argparse.Namespace, root: Path) -> Work:
    rounds = given.repeats + 1
    return Work(
        given.prompts,
        given.answers,
        given.judgments,
        model=str(given.model.resolve()),
        dtype=given.dtype,
        threads=given.threads,
        tokens={"generate": given.answer_tokens, "judge": given.judge_tokens},
        temperature={"generate": 0.8, "judge": 0.8},
        # So little that all sides go on sampling answers of one length.
        training={"beta": 0.1, "learning_rate": 2e-6, "num_train_epochs": 2, "warmup_steps": 0},
        batch=8,
        micro_batch=4,
        positions=given.positions,
        question={"template": "additive"},
        planted=True,
        file=str(write_prompts(root / "prompts.jsonl", (rounds + 1) * given.prompts)),
        rounds=rounds,
    )


def entry_of(work: Work, timed: Mapping[str, Timed], loads: list[float]) -> dict[str, Any]:
    libraries = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "trl"))
    limits = f"K = {work.answers} of at most {work.tokens['generate']} tokens"
    limits += f", N = {work.judgments} of at most {work.tokens['judge']}"
    setting = [
        f"{Path(work.model).name}, {work.dtype}, {work.threads} threads a process: {work.prompts} prompts, {limits}.",
        f"{os.cpu_count()} cores ({platform.machine()}); {libraries}, vLLM {vllm_version()}.",
    ]
    names = ("start", "first", "seconds", "processor", "facts", "check")
    kept = {name: {key: getattr(one, key) for key in names} for name, one in timed.items()}
    return {"setting": setting, "judgments": work.judgments, "loads": loads, "systems": kept}


def added(before: Mapping[str, Any] | None, entry: dict[str, Any]) -> dict[str, Any]:
    """The entry with the turns that were taken before, where these were of the same work on the same machine."""
    if before is None or before["setting"] != entry["setting"]:
        return entry
    joined = {
        name: {**one, **{key: [*before["systems"][name][key], *one[key]] for key in ("seconds", "processor", "facts")}}
        for name, one in entry["systems"].items()
    }
    return {**entry, "loads": [*before["loads"], *entry["loads"]], "systems": joined}


def main() -> None:
    given, begun = options_of(sys.argv[1:]), time.perf_counter()
    with tempfile.TemporaryDirectory() as directory:
        work = work_of(given, Path(directory))
        timed = systems(Path(directory), work, tuple(given.only), given.repeats)
        loads = take_turns(timed, given.repeats, 60 * given.minutes - (time.perf_counter() - begun))
    name = f"N = {work.judgments}: {', '.join(one.partition(' ')[0].strip(',') for one in timed)}"
    entry = entry_of(work, timed, loads)
    print(render({name: entry}))
    if given.out:
        path = given.out.with_suffix(".json")
        before = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        entries = {**before, name: added(before.get(name), entry)}
        path.write_text(json.dumps(entries, indent=1) + "\n", encoding="utf-8")
        given.out.with_suffix(".md").write_text(render(entries), encoding="utf-8")


if __name__ == "__main__":
    main()
