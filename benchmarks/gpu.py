"""What a GPU really does with this package: one script of at most twelve minutes for one GPU.

    python benchmarks/gpu.py [--model DIR | --shape qwen2.5-0.5b] [--dtype bfloat16] [--only PART ...] [--out FILE.json]

    sampling   the transformers engine: decode and score beside the roofline, memory, rest and waking
    training   DPO: plain, shared prefixes, gradient checkpointing, an adapter; tokens a second and memory
    hand-off   trainer to engine in half precision: distances in nats, refusal of other weights, seconds
    flex       FlexAttention's backward beside the dense mask's, and how often it is compiled
    vllm       build, decode, sleep, wake with other weights, proof, a second build on another checkpoint
    round      one whole round: english_smoke on --model, else the sandbox's smoke

Without --model the weights are random, in the shape of a known model. Each part is a process of its own with a limit of
its own, so one that hangs, crashes or cannot run on this machine says so, and the others go on. Prints a table and
writes it as JSON with the device's name. Not run on a GPU yet; every part but `flex` and `vllm` is tested on a CPU.
"""

import argparse
import dataclasses
import importlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gpu_parts import PARTS

MINUTES = 12.0


def measure(part: str, options: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    """One part in this process. What the machine cannot do is told as `unable`, anything else as the error it is."""
    import torch
    from gpu_parts import subject as subjects

    from selfreward.errors import SelfRewardError

    module, _, function = PARTS[part][0].partition(":")
    size = subjects.SMALL if options.small else subjects.Size()
    try:
        subject = subjects.prepare(options.model, options.shape, options.device, options.dtype, scratch, size)
        figures = getattr(importlib.import_module(module), function)(subject)
    except subjects.UnableError as reason:
        return {"unable": str(reason)}
    except (SelfRewardError, RuntimeError, ImportError, ValueError, TypeError, OSError, AssertionError) as problem:
        words = " ".join(str(problem).split())
        return {"failed": f"{type(problem).__name__}: {words}"[:600]}
    name = torch.cuda.get_device_name() if subject.on_gpu else "cpu"
    return {"device": name, "figures": [dataclasses.asdict(one) for one in figures]}


def in_child(part: str, arguments: Sequence[str], seconds: float) -> dict[str, Any]:
    """The same in a process of its own, which ends after `seconds`."""
    with tempfile.TemporaryDirectory() as scratch:
        told = Path(scratch) / "told.json"
        command = [sys.executable, __file__, *arguments, "--part", part, "--scratch", scratch, "--out", str(told)]
        begun = time.perf_counter()
        try:
            code = subprocess.run(command, timeout=seconds, stdout=sys.stderr, check=False).returncode
        except subprocess.TimeoutExpired:
            return {"failed": f"not done after {seconds:.0f} s", "seconds": seconds}
        taken = {"seconds": round(time.perf_counter() - begun, 1)}
        if not told.is_file():
            return {"failed": f"its process ended with code {code}; what it wrote above says more", **taken}
        return {**json.loads(told.read_text(encoding="utf-8")), **taken}


def table(results: dict[str, dict[str, Any]]) -> str:
    """Markdown: a row for each figure, or for the reason why a part has none."""
    lines = ["| part | what | measured | roofline | share |", "|---|---|---|---|---|"]
    for part, result in results.items():
        for one in result.get("figures", ()):
            value, floor, unit = one["value"], one["floor"], one["unit"]
            share = f"{value / floor:.0%}" if floor and unit.endswith("/s") else ""
            shown = f"{floor:,.4g} {unit}" if floor else ""
            lines.append(f"| {part} | {one['what']} | {value:,.4g} {unit} | {shown} | {share} |")
        for kind in ("unable", "failed"):
            if kind in result:
                lines.append(f"| {part} | {kind}: {result[kind]} | | | |")
    return "\n".join(lines)


def options_of(given: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="a model directory")
    parser.add_argument("--shape", default="qwen2.5-0.5b", help="of random weights, where there is no --model")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--small", action="store_true", help="just enough work to see that it works")
    parser.add_argument("--minutes", type=float, default=MINUTES)
    parser.add_argument("--out", type=Path, default=Path("gpu.json"))
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    parser.add_argument("--scratch", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args(given)


def main(given: Sequence[str]) -> None:
    options = options_of(given)
    if options.part:
        options.out.write_text(json.dumps(measure(options.part, options, options.scratch)), encoding="utf-8")
        return
    ends = time.monotonic() + 60 * options.minutes
    results: dict[str, dict[str, Any]] = {}
    for part in options.only:
        left = min(PARTS[part][1], ends - time.monotonic())
        passed = [
            f"--{name}={value}" for name in ("model", "shape", "device", "dtype") if (value := vars(options)[name])
        ]
        passed += ["--small"] if options.small else []
        results[part] = in_child(part, passed, left) if left > 5 else {"failed": "no time was left for it"}
        print(f"{part}: {results[part].get('seconds', 0):.0f} s", file=sys.stderr, flush=True)
        whole = {"model": str(options.model or options.shape), "dtype": options.dtype, "parts": results}
        options.out.write_text(json.dumps(whole, indent=2), encoding="utf-8")  # what was measured stays, whatever comes
    print(next((one["device"] for one in results.values() if "device" in one), "no device") + "\n")
    print(table(results))


if __name__ == "__main__":
    main(sys.argv[1:])
