"""Proof that the engine holds the weights that the trainer wrote.

The trainer scores the sequences it trained on under the old and the new policy, keeps those that moved most, and writes
them beside the weights. With o_i and n_i the summed log-probabilities of probe i under old and new, e_i the engine's
(means over probes):

    movement m = mean |n_i - o_i|     distance_new = mean |e_i - n_i|     distance_old = mean |e_i - o_i|

the engine is accepted when distance_new <= (1 - margin) m and distance_old - distance_new >= margin m. An engine that
kept the old weights has distance_new = m and distance_old = 0, and is refused at any margin above 0. Where m is below
`noise`, log-probabilities cannot tell, and the checksums of the tensors inside the engine decide; the report says so.
The same checksums decide where nothing was trained (equal digests) and for a start policy, which has no probes.

They are compared from the engine's side: every tensor that it computes with must be in the file, under its name and bit
for bit. A file may hold more (`inv_freq` of older Llamas, an adapter beside merged weights, a tied head once again):
no engine computes with that, and `trial.py` says so before a run begins.
"""

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from selfreward.engines.protocol import Engine, TokenSequence
from selfreward.engines.tensors import combined_digest, module_checksums, tensor_checksums, weight_files, weights_digest
from selfreward.errors import HandOffError
from selfreward.recipe import HandOffRecipe

HANDOFF_FILE = "handoff.json"
NOISE = {"float32": 1e-2, "bfloat16": 1.0, "float16": 1.0}
"""By dtype, the movement in nats per sequence below which an engine's own rounding could pass for another policy.

Measured: in bfloat16, trainer and engine differ by up to .17 nats on answers of 128 tokens.
"""


@dataclass(frozen=True, slots=True)
class Probe:
    """A sequence with its summed completion log-probability (nats) under the old and the new policy."""

    prompt_token_ids: tuple[int, ...]
    completion_token_ids: tuple[int, ...]
    logprob_old: float
    logprob_new: float


@dataclass(frozen=True, slots=True)
class HandOffReport:
    """How the engine was verified: by probes, by checksums, or against an unchanged policy's checksums.

    `not verified`: a served model, whose weights nobody here can see.
    """

    kind: Literal["probes", "checksums", "unchanged", "not verified"]
    digest: str
    probes: int
    movement: float
    distance_new: float | None
    distance_old: float | None
    margin: float


@runtime_checkable
class Proving(Protocol):
    """An engine that checks what it loaded last, where its weights are."""

    def prove(self, handoff: HandOffRecipe, dtype: str | None) -> HandOffReport: ...


def choose_probes(candidates: Iterable[Probe], count: int) -> list[Probe]:
    """The `count` distinct sequences that training moved most, the most moved first."""
    distinct = {(probe.prompt_token_ids, probe.completion_token_ids): probe for probe in candidates}
    moved = sorted(distinct.items(), key=lambda item: (-abs(item[1].logprob_new - item[1].logprob_old), item[0]))
    return [probe for _, probe in moved[:count]]


def write_handoff(directory: Path, start: Path, probes: Sequence[Probe]) -> str:
    """Write the hand-off file beside the new weights in `directory`; returns their digest."""
    digest = weights_digest(directory)
    content = {
        "old_digest": weights_digest(start),
        "new_digest": digest,
        "probes": [dataclasses.asdict(probe) for probe in probes],
    }
    (directory / HANDOFF_FILE).write_text(json.dumps(content, sort_keys=True) + "\n", encoding="utf-8")
    return digest


def verify(engine: Engine, directory: Path, recipe: HandOffRecipe, dtype: str | None = None) -> HandOffReport:
    """Check that `engine` computes with the weights in `directory`. Raises HandOffError with the numbers.

    Several engines that are asked as one check it themselves, each.

    `dtype` is the one that the engine computes in: a start policy may be stored in another, and is cast before its
    tensors are compared. What a trainer wrote is in the recipe's dtype already.
    """
    if isinstance(engine, Proving):
        return engine.prove(recipe, dtype)
    checksums = tensor_checksums(directory)
    found = combined_digest(checksums)
    path = directory / HANDOFF_FILE
    if not path.exists():
        if dtype is not None and _differing(engine.checksums(), checksums):
            checksums = _cast_checksums(directory, dtype)
        _compare_checksums(engine, checksums, directory)
        return HandOffReport("checksums", found, 0, 0.0, None, None, recipe.margin)
    old, new, probes = _read(path)
    if found != new:
        raise HandOffError(
            f"checkpoint {directory}: its weights are {found[:16]}, but the trainer wrote {new[:16]}; the file was "
            "changed on disk; train the round again, or put the trained file back"
        )
    if old == new:
        _compare_checksums(engine, checksums, directory)
        return HandOffReport("unchanged", new, 0, 0.0, None, None, recipe.margin)
    probes = probes[: recipe.probes]
    movement = _mean(abs(probe.logprob_new - probe.logprob_old) for probe in probes)
    texts = [TokenSequence(probe.prompt_token_ids, probe.completion_token_ids) for probe in probes]
    values = [sum(tokens) for tokens in engine.logprobs(texts)] if texts else []
    distance_new = _mean(abs(value - probe.logprob_new) for value, probe in zip(values, probes, strict=True))
    distance_old = _mean(abs(value - probe.logprob_old) for value, probe in zip(values, probes, strict=True))
    if not movement >= (recipe.noise or NOISE[dtype or "float32"]):
        _compare_checksums(engine, checksums, directory)
        return HandOffReport("checksums", new, len(probes), movement, distance_new, distance_old, recipe.margin)
    near = distance_new <= (1 - recipe.margin) * movement
    if not (near and distance_old - distance_new >= recipe.margin * movement):
        raise HandOffError(
            f"the engine does not hold the weights of {directory}: on {len(probes)} probes its log-probabilities are "
            f"{distance_new:.4g} nats from the new policy and {distance_old:.4g} from the old one, where training "
            f"moved them by {movement:.4g}; expected at most {(1 - recipe.margin) * movement:.4g} from the new policy "
            f"and at least {recipe.margin * movement:.4g} further from the old one; load the "
            "checkpoint again. Where the engine computes in half precision, set a larger handoff.noise"
        )
    return HandOffReport("probes", new, len(probes), movement, distance_new, distance_old, recipe.margin)


def _read(path: Path) -> tuple[str, str, list[Probe]]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        probes = [
            Probe(
                tuple(item["prompt_token_ids"]),
                tuple(item["completion_token_ids"]),
                item["logprob_old"],
                item["logprob_new"],
            )
            for item in content["probes"]
        ]
        return content["old_digest"], content["new_digest"], probes
    except (ValueError, KeyError, TypeError) as problem:
        raise HandOffError(f"{path}: not a hand-off file ({problem!r}); train the round again") from problem


def _cast_checksums(directory: Path, dtype: str) -> dict[str, str]:
    import torch
    from safetensors.torch import load_file

    checksums: dict[str, str] = {}
    for file in weight_files(directory):
        tensors = load_file(file)
        cast = {name: t.to(getattr(torch, dtype)) if t.is_floating_point() else t for name, t in tensors.items()}
        checksums |= module_checksums(cast)
    return checksums


def _compare_checksums(engine: Engine, expected: Mapping[str, str], directory: Path) -> None:
    """Every tensor in the engine must be the file's, bit for bit. What only the file has, the engine cannot use."""
    held = engine.checksums()
    wrong = _differing(held, expected) if held else sorted(expected)
    if wrong:
        state = f"is {held[wrong[0]][:16]}" if wrong[0] in held else "is missing"
        wanted = expected.get(wrong[0], "none of that name in the file")[:40]
        raise HandOffError(
            f"the engine does not hold the weights of {directory}: {len(wrong)} of {len(held)} tensors differ; "
            f"{wrong[0]} {state}, expected {wanted}; load the checkpoint into the engine again"
        )


def _differing(held: Mapping[str, str], expected: Mapping[str, str]) -> list[str]:
    """The tensors of the engine that are not the file's. A second name (a tied head) may be the engine's alone."""
    contents = set(expected.values())
    return sorted(
        name
        for name, checksum in held.items()
        if expected.get(name, checksum) != checksum or (name not in expected and checksum not in contents)
    )


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return sum(listed) / len(listed) if listed else 0.0
