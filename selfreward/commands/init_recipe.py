"""The words of the recipe that `selfreward init` writes: one line a key, with the reason beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from selfreward.commands.init_data import Dealt
from selfreward.commands.init_machine import Fit, Machine, batch_tokens, fit, learning_rate, look
from selfreward.commands.plan.shapes import ModelShape, read_shape
from selfreward.commands.plan.units import size
from selfreward.commands.question_checks import context_length
from selfreward.engines.chat import load_renderer
from selfreward.errors import DataError
from selfreward.judging.prompts import pointwise
from selfreward.recipe.read import build_recipe
from selfreward.records import Prompt
from selfreward.tasks.english.requests import draw_requests

LEAST_ANSWER = 16
FEW = {"gate": 16, "selection": 16, "report": 48}
"""Evaluation prompts where a few cores must answer them after every round."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Tokens: the longest prompt, the judge's longest question without an answer, an answer at most, the context."""

    prompt: int
    mean: float
    question: int
    answer: int
    context: int


def recipe_for(path: str, directory: Path, dealt: Dealt | None) -> str:
    """The recipe for the model in `directory`. Raises DataError for a model that no run would take."""
    shape = read_shape(directory)
    machine = look(directory)
    prompts = dealt.prompts if dealt else draw_requests("train", 200, "train")
    sizes = measure_sizes(directory, prompts, 128 if machine.is_small else 512)
    longest = -(-(sizes.question + sizes.answer + 1) // 64) * 64
    sections = [
        _opening(machine, shape),
        _model(path, machine, shape, min(longest, sizes.context)),
        _prompts(machine, dealt, sizes),
    ]
    draft = build_recipe([yaml.safe_load("\n".join([*sections, _measure(machine, dealt, sizes)]))])
    way = fit(machine, draft, shape, sizes.mean, sizes.question - sizes.mean)
    return "\n".join(
        [*sections, _train(way, machine, shape, sizes), _measure(machine, dealt, sizes), _closing(machine)]
    )


def measure_sizes(directory: Path, prompts: Sequence[Prompt], wanted: int) -> Sizes:
    """Lengths under the model's own template; answers get what the context leaves beside the judge's question."""
    renderer = load_renderer(directory)
    lengths = [len(tokens) for tokens in renderer.prompt_token_ids([prompt.messages for prompt in prompts])]
    asked = [pointwise.ask("additive", prompt, "") for prompt in prompts]
    question = max(len(tokens) for tokens in renderer.prompt_token_ids(asked))
    context = context_length(directory, None)
    answer = min(wanted, context - question - 1)
    if answer < LEAST_ANSWER:
        raise DataError(
            f"{directory}: a context of {context} tokens has no room for an answer beside the judge's longest question "
            f"({question}); leave out the longest prompts, or take a model with a longer context"
        )
    return Sizes(max(lengths), sum(lengths) / len(lengths), question, answer, context)


def _word(path: object) -> str:
    """A path as YAML writes it on one line, quoted where it must be."""
    return yaml.safe_dump(str(path), width=float("inf")).splitlines()[0]


def _opening(machine: Machine, shape: ModelShape) -> str:
    where = "a GPU" if machine.device == "cuda" else f"{machine.threads} of the CPU's cores"
    return f"""\
# Shows: {shape.name} judging its own answers, on this machine. Written by `selfreward init`, and yours to change.
# Hardware: {where}, {size(machine.memory)} of memory, as found here.
# Minutes: `selfreward check` computes them from a measurement.
seed: 0 # of every draw
rounds: {2 if machine.is_small else 3} # may be raised later: the same command goes on"""


def _model(path: str, machine: Machine, shape: ModelShape, longest: int) -> str:
    tokens = batch_tokens(machine, shape, longest)
    speed, engine = machine.speed, "vllm" if machine.vllm else "transformers"
    why = "half the memory of float32" if speed is None else f"the fastest here: {speed.sampled:,.0f} tokens/s sampled"
    if machine.device == "cpu":
        kind = "no GPU here, where alone vLLM would pay"
    else:
        kind = (
            "installed, and a GPU is here" if machine.vllm else "vLLM is not installed; it samples several times faster"
        )
    return f"""\
model:
  path: {_word(path)} # the start policy, which is only read
  dtype: {machine.dtype} # {why}
  device: {machine.device} # as found here
engine:
  kind: {engine} # {kind}
  threads: {machine.threads} # {"measured together with the dtype" if speed else "the GPU does the work"}
  batch_tokens: {tokens} # a quarter of the free memory, by a token's cache and activations
  chunk: {256 if machine.is_small else 1024} # replies that a stop can cost at most
  max_length: {longest} # the judge's longest question and the longest answer"""


def _prompts(machine: Machine, dealt: Dealt | None, sizes: Sizes) -> str:
    rounds, most = (2, 64) if machine.is_small else (3, 1000)
    if dealt and dealt.pairs:
        return _given_pairs(min(4 * most, dealt.train // rounds), dealt)
    count = min(most, dealt.train // rounds) if dealt else most
    source = _word(dealt.training) if dealt else "english"
    why = f"{dealt.train} rows of yours" if dealt else "requests that ship; their instructions can be verified"
    limit = (
        "what the context leaves beside the judge's question" if sizes.answer not in (128, 512) else "enough for most"
    )
    return f"""\
prompts:
  source: {source} # {why}
  per_round: {count} # fresh ones every round{", few: a CPU is slow" if machine.is_small else ""}
  writer: {{template: few_shot}} # read only with a share of prompts that the model writes itself (share: 0.25)
generate:
  samples: 4 # answers to each prompt, as in the paper (2401.10020)
  template: plain # the prompt as it stands, under the model's own chat template
  sampling: {{temperature: 0.7, top_p: 0.9, max_tokens: {sizes.answer}}} # the paper's; {limit}
judge:
  question: {{template: additive}} # the paper's rubric of five points
  reading: probability # reads the probabilities of the scores; small models write rationales that cannot be read
meta:
  template: pairwise # read only with enabled: true
pairs:
  rule: best_vs_worst # of each prompt's answers
  min_gap: 0.1 # points below which two scores are as good as equal"""


def _given_pairs(count: int, dealt: Dealt) -> str:
    """In the place of prompts, answers and a judge."""
    return f"""\
prompts:
  per_round: {count} # of your {dealt.train} pairs, fresh ones every round
  writer: {{template: few_shot}} # not read: no prompt is written or asked
generate:
  template: plain # how a prompt is put to the model, in training and measuring
judge:
  source: none # the pairs say what is preferred
  question: {{template: additive}} # not read while measure.judge is false
  reading: probability # not read either
meta:
  template: pairwise # read only with enabled: true
pairs:
  mix: {{external: {_word(dealt.training)}, external_share: 1}} # your pairs and no others"""


def _train(way: Fit, machine: Machine, shape: ModelShape, sizes: Sizes) -> str:
    rate = learning_rate(shape.parameters, way.lora)
    how = "an adapter" if way.lora else "all weights"
    said = f"{how}: about {size(way.bytes)} by arithmetic" + (
        "" if way.fits else ", MORE THAN this machine has to spare"
    )
    lora = "{rank: 16, alpha: 32} # merged after every round" if way.lora else "null # not needed"
    return f"""\
train:
  method: dpo # on pairs of better and worse answers
  reference: previous # the round's start, as in the paper
  beta: 0.1 # the paper's
  nll: 0.2 # keeps the chosen answers likely
  learning_rate: {rate:.1e} # for {shape.parameters / 1e6:,.0f} M parameters; ten times as much with an adapter
  batch_size: 16 # the paper's
  micro_batch_size: {way.micro} # {said}
  epochs: 1.0 # one pass over the round's pairs
  warmup_steps: 2 # of the few that a round has
  max_length: {-(-(sizes.prompt + sizes.answer + 1) // 64) * 64} # the longest prompt and the longest answer
  lora: {lora}
  accumulate: full_precision # small updates of several rounds are not rounded away"""


def _measure(machine: Machine, dealt: Dealt | None, sizes: Sizes) -> str:
    pools = dealt.pools if dealt else {"gate": 100, "selection": 100, "report": 200}
    if machine.is_small:
        pools = {name: min(count, FEW[name]) for name, count in pools.items()}
    source = _word(dealt.evaluation) if dealt else "english"
    if dealt is None:
        verifier = "ifeval # checks the instructions of the requests: the truth of this run"
    elif dealt.verifier == "exact":
        verifier = "exact # the answer that a reply states: the truth of this run; contains takes sentences too"
    elif dealt.verifier != "none":
        verifier = f"{dealt.verifier} # every row that is measured brings what it checks: the truth of this run"
    else:
        brought = f"{dealt.answered} of {len(dealt.prompts)} rows bring something to check"
        verifier = f"none # {brought}; those that are measured all must, and one verifier must take them"
    asked = ""
    if dealt is not None and dealt.pairs:
        verifier = "none # nothing says what is right; a held-out judge would tell more"
        asked = "\n  judge: false # the model judges nothing here"
    return f"""\
measure:{asked}
  source: {source} # other prompts than those that are trained on
  gate: {pools["gate"]} # prompts that gates may read
  selection: {pools["selection"]} # prompts that choose the best round
  report: {pools["report"]} # prompts that are only read; wider intervals with fewer
  frozen: 0 # labelled answers, which only the sandbox and measure.anchors have
  samples: 2 # answers to each of these prompts
  verifier: {verifier}
  sampling: {{temperature: 0.7, top_p: 0.9, max_tokens: {sizes.answer}}} # as in training
  judge_probes: {{padded: 0, claims: 0, feedback: 0, initial: 0}} # raise them to see what the judge likes
  # held_out: # another judge would tell whether answers become better or only please this one
  #   model: served:big # with served.big.url and served.big.model; a directory works too
  # anchors: anchors.jsonl # labels by people would tell whether the judge is right (selfreward anchors sample)"""


def _closing(machine: Machine) -> str:
    noise = "1.0 # bfloat16: trainer and engine differ by .1 to .2 nats on 100 tokens"
    return f"""\
handoff:
  noise: {"null # float32: follows from the dtype" if machine.dtype == "float32" else noise}
keep:
  checkpoints: needed # start, best and last; the digests of all stay
# limits:
#   hours: 8 # stops in good order; the same command goes on
"""
