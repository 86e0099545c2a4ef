"""The transformers engine of this checkout beside an older one's, on a real model: tokens a second, and a hand-off.

    python benchmarks/two_commits.py OTHER --model DIR [--threads 1] [--turns 3] [--only rates] [--out FILE]

OTHER is a checkout of another commit, for example `git worktree add OTHER 2b57ac8`. Every measurement is a process
that imports one of the two packages; the two take turns. Seconds are the processor's, of all threads, so that other
work on the machine counts little. Rates are in bfloat16, of the same rows:

    prefill         the next token's probabilities after different prompts
    judge           the same where the prompts begin alike, as judgments do
    decode          replies sampled at temperature 1, with and without top_p; reading the prompts is taken off
    score           log-probabilities of given tokens

A hand-off is of float32 weights, from the moment when a checkpoint is written until the engine that computes with it
is proven: its hashes, the engine's load and the proof by probes. Each is of a fresh copy, so no hash is remembered.
"""

import argparse
import json
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from baselines.either_package import Package

HERE = Path(__file__).parent.parent

WORDS = ("water", "garden", "letter", "music", "winter", "river", "paper", "bread")


class Size(NamedTuple):
    """Rows, words of a prompt and of what the prompts of judges have in common, tokens of a reply."""

    rows: int = 16
    prompt: int = 192
    head: int = 144
    reply: int = 16


FULL = Size()


def rates(package: Package, given: argparse.Namespace, size: Size = FULL) -> dict[str, float]:
    engine = package.built("bfloat16", given.threads)
    engine.load(given.model, package.digest(given.model))
    drawn = random.Random(0)

    def text(length: int) -> str:
        return " ".join(drawn.choices(WORDS, k=length))

    def starts(texts: list[str]) -> list[Any]:
        return [package.start(str(n), (package.message("user", one),), "") for n, one in enumerate(texts)]

    head = text(size.head)
    apart = starts([text(size.prompt) for _ in range(size.rows)])
    alike = starts([f"{head} {text(size.prompt - size.head)}" for _ in range(size.rows)])
    short = [(package.message("user", text(16)),) for _ in range(size.rows)]

    def read(asked: list[Any]) -> float:
        count = sum(len(engine.prompt_token_ids(one.messages)) for one in asked)
        return count / _seconds(lambda: engine.next_token_logprobs(asked, ["1", "2"]))

    def sampled(top_p: float) -> float:
        def ask(limit: int) -> int:
            requests = [package.request(str(n), one, 2, 1.0, top_p, limit, n) for n, one in enumerate(short)]
            return sum(len(reply.token_ids) for group in engine.generate(requests, 7) for reply in group)

        once = _seconds(lambda: ask(1))
        begun = time.process_time()
        tokens = ask(size.reply)
        return (tokens - 2 * size.rows) / max(time.process_time() - begun - once, 1e-9)

    rows = [engine.prompt_token_ids(one.messages) for one in apart]
    halves = [package.text(one[: len(one) // 2], one[len(one) // 2 :]) for one in rows]
    read(apart[:4])  # the first pass of a shape also pays for memory and kernels
    return {
        "prefill, tokens/s": read(apart),
        "judge: prompts that begin alike, tokens/s": read(alike),
        "decode, tokens/s": sampled(1.0),
        "decode with top_p = .95, tokens/s": sampled(0.95),
        "score, tokens/s": sum(map(len, rows)) / _seconds(lambda: engine.logprobs(halves)),
    }


def hand_off(package: Package, given: argparse.Namespace) -> dict[str, float]:
    """Seconds of one, from the start policy to weights that are a hundredth larger."""
    start, trained = given.scratch / "start", given.scratch / "trained"
    engine = package.built("float32", given.threads)
    engine.load(start, package.digest(start))
    fresh = Path(shutil.copytree(trained, given.scratch / f"fresh-{os.getpid()}"))
    kept = json.loads((trained / package.handoff.HANDOFF_FILE).read_text(encoding="utf-8"))["probes"]
    probes = [package.handoff.Probe(**{**one, **{k: tuple(one[k]) for k in one if k.endswith("ids")}}) for one in kept]
    package.digest(start)  # of the policy that was trained from; known since the round before
    begun, clock = time.process_time(), time.perf_counter()
    digest = package.handoff.write_handoff(fresh, start, probes)
    if hasattr(engine, "sleep"):
        engine.sleep()
    engine.load(fresh, digest)
    report = package.handoff.verify(engine, fresh, package.handoff_recipe(), "float32")
    seconds, by_clock = time.process_time() - begun, time.perf_counter() - clock
    shutil.rmtree(fresh)
    assert report.kind == "probes", report
    return {"hand-off, s": seconds, "hand-off by the clock, s": by_clock}


def prepare(model: Path, threads: int, scratch: Path) -> None:
    """The start policy, and another with the probes by which an engine is told from one that kept the start's."""
    import torch
    from transformers import AutoModelForCausalLM

    package = Package()
    start, trained = Path(shutil.copytree(model, scratch / "start")), scratch / "trained"
    shutil.copytree(model, trained)
    module = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    with torch.no_grad():
        for weight in module.parameters():
            weight.mul_(1.01)
    module.save_pretrained(trained)
    del module
    engine, found = package.built("float32", threads), []
    engine.load(start, package.digest(start))
    asked = [(package.message("user", f"Name {n} things."),) for n in range(2, 18)]
    requests = [package.request(str(n), one, 1, 1.0, 1.0, 16, n) for n, one in enumerate(asked)]
    replies = [reply.token_ids for (reply,) in engine.generate(requests, 7)]
    texts = [package.text(engine.prompt_token_ids(one), ids) for one, ids in zip(asked, replies, strict=True)]
    for directory in (start, trained):
        engine.load(directory, package.digest(directory))
        found.append([sum(tokens) for tokens in engine.logprobs(texts)])
    rows = zip(texts, *found, strict=True)
    probes = [package.handoff.Probe(one.prompt_token_ids, one.completion_token_ids, old, new) for one, old, new in rows]
    package.handoff.write_handoff(trained, start, probes)


PARTS: dict[str, Callable[..., dict[str, float]]] = {"rates": rates, "hand-off": hand_off}


def _seconds(work: Callable[[], Any]) -> float:
    begun = time.process_time()
    work()
    return max(time.process_time() - begun, 1e-9)


def in_child(checkout: Path, part: str, given: argparse.Namespace, scratch: Path) -> dict[str, float]:
    """One measurement of the package of `checkout`, in a process of its own."""
    command = [sys.executable, str(Path(__file__).resolve()), str(checkout), "--part", part, "--scratch", str(scratch)]
    command += ["--model", str(given.model.resolve()), "--threads", str(given.threads)]
    wanted = {"PYTHONPATH": str(checkout), "OMP_NUM_THREADS": str(given.threads), "TOKENIZERS_PARALLELISM": "false"}
    done = subprocess.run(
        command, cwd=checkout, env={**os.environ, **wanted}, stdout=subprocess.PIPE, text=True, check=True
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def table(found: dict[str, dict[str, list[float]]]) -> str:
    """Markdown: medians with their range, and how many times as fast this checkout is, turn by turn."""
    before, now = found.values()
    lines = [f"| what | {' | '.join(found)} | times as fast |", "| --- | ---: | ---: | ---: |"]
    for what, values in now.items():
        pairs = zip(before[what], values, strict=True)
        ratios = [old / new if what.endswith(", s") else new / old for old, new in pairs]
        cells = [_spread(one, 1) for one in (before[what], values)] + [_spread(ratios, 2)]
        lines.append(f"| {what} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _spread(values: list[float], digits: int) -> str:
    return f"{statistics.median(values):.{digits}f} [{min(values):.{digits}f}, {max(values):.{digits}f}]"


def options_of(given: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", type=Path, help="a checkout of another commit")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    parser.add_argument("--scratch", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args(given)


def main() -> None:
    given = options_of(sys.argv[1:])
    if given.part:
        print(json.dumps(PARTS[given.part](Package(), given)))
        return
    checkouts = {f"before ({given.other.resolve().name})": given.other.resolve(), "now": HERE}
    found: dict[str, dict[str, list[float]]] = {name: {} for name in checkouts}
    with tempfile.TemporaryDirectory() as directory:
        scratch = Path(directory)
        if "hand-off" in given.only:
            prepare(given.model, given.threads, scratch)
        for turn in range(given.turns):
            for part in given.only:
                names = list(checkouts)
                for name in names[turn % 2 :] + names[: turn % 2]:
                    for what, value in in_child(checkouts[name], part, given, scratch).items():
                        found[name].setdefault(what, []).append(value)
                        print(f"{name}, {what}: {value:.2f}", flush=True)
    text = (
        f"{given.model.name}, {given.threads} threads, {os.cpu_count()} cores ({platform.machine()}), n = {given.turns}"
    )
    text += f" turns, median [least, most].\n\n{table(found)}\n"
    print(text)
    if given.out:
        given.out.write_text(f"# The transformers engine, two commits\n\n{text}", encoding="utf-8")


if __name__ == "__main__":
    main()
