"""README.md of an exported policy: first what the run showed, then what the policy is made of and how it is used.

The first sentence is the report's own verdict (report/verdict.py), on the rounds up to the exported one. The licence is
the start model's, where its card or config says one: nothing here can give another.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePath, PureWindowsPath
from typing import Any

import yaml
from omegaconf import OmegaConf

from selfreward import __version__
from selfreward.measuring.selection import SELECTIONS
from selfreward.recipe import ModelReference, PolicyGradient, Recipe, SftRecipe, as_dict
from selfreward.records import Measurement
from selfreward.report.catalogue import place, words
from selfreward.report.reading import Reading
from selfreward.report.verdict import judge_run
from selfreward.store.view import RunView

# What a reader of the card asks first; all that the run measured stays in its measurements.jsonl.
CARD_POOLS = ("report", "frozen")
CAVEATS = (
    "Every policy is scored by a judge that is itself a policy of this run (`judge.model`), unless the recipe says "
    "otherwise: a higher judge mean can be a more generous judge. Rows marked oracle are against known truth.",
    "Intervals are 95 %, clustered by prompt, of this one run; they hold neither the spread between run seeds nor that "
    "between start models.",
    "Nothing here measures safety. Evaluate the model for the use that you have in mind.",
)
USAGE = """```python
from transformers import AutoModelForCausalLM, AutoTokenizer

model, tokenizer = (kind.from_pretrained("DIRECTORY") for kind in (AutoModelForCausalLM, AutoTokenizer))
asked = [{"role": "user", "content": "..."}]
inputs = tokenizer.apply_chat_template(asked, add_generation_prompt=True, return_dict=True, return_tensors="pt")
print(tokenizer.decode(model.generate(**inputs, max_new_tokens=200)[0, inputs["input_ids"].shape[1] :]))
```"""


def model_card(view: RunView, number: int, licence: str | None = None) -> str:
    """The card of round `number`; `licence` is the start model's, None where it is not known."""
    recipe = view.recipe()
    by = SELECTIONS[recipe.gates.select_by].said
    chosen = f"The best round is chosen on the selection pool by {by}; the report pool was not used to choose."
    verdict, details = _verdict(view, number)
    licensed = f"The start model's licence is {licence}." if licence else "The start model's licence is not known here."
    sections = [
        _header(recipe, licence),
        verdict,
        f"# {view.name}, round {number}",
        _origin(view, number),
        f"**Base model**: `{_model(recipe.model.path)}`. **Data**: {_data(recipe)} **Licence**: {licensed} The "
        "licence of the prompts is yours to look up.",
        f"## Use\n\n{USAGE}",
        "## Lineage\n\n"
        + _table(("round", "method", "pairs", "steps", "policy", "trained from", "reference"), _lineage(view, number)),
        "## Measured\n\n" + "\n\n".join([*details, _measured(measurements(view, number))]),
        "## Read this before you trust the numbers\n\n" + "\n".join(f"- {caveat}" for caveat in (*CAVEATS, chosen)),
        f"## Recipe\n\n```yaml\n{_public_recipe(recipe)}\n```",
    ]
    return "\n\n".join(sections) + "\n"


def licence_of(directory: Path) -> str | None:
    """What the card or the config of a model directory says of its licence."""
    card, config = directory / "README.md", directory / "config.json"
    if card.is_file():
        parts = card.read_text(encoding="utf-8", errors="replace").split("---", 2)
        try:
            header = yaml.safe_load(parts[1]) if len(parts) == 3 and not parts[0].strip() else None
        except yaml.YAMLError:
            header = None
        if isinstance(header, dict) and isinstance(header.get("license"), str):
            return str(header.get("license_name") or header["license"])
    found = yaml.safe_load(config.read_text(encoding="utf-8")) if config.is_file() else {}
    return found["license"] if isinstance(found, dict) and isinstance(found.get("license"), str) else None


def trained_rounds(view: RunView) -> list[int]:
    """Round 0 and those whose checkpoint is sealed."""
    return [number for number in view.rounds() if view.seal(number, "checkpoint") is not None]


def measurements(view: RunView, number: int) -> list[Measurement]:
    """What a round measured; nothing where it has not got there yet."""
    if view.seal(number, "measurements") is None:
        return []
    return view.read(number, "measurements", Measurement)


def _public_recipe(recipe: Recipe) -> str:
    """The recipe as YAML, each path cut to its last name: where somebody keeps models and data is nobody's business."""
    return str(OmegaConf.to_yaml(OmegaConf.create(without_paths(as_dict(recipe))))).strip()


def without_paths(value: Any) -> Any:
    """`value`, or what is inside it, without the directories of paths. Names of served models and URLs stay."""
    if isinstance(value, dict):
        return {without_paths(name): one if name == "served" else without_paths(one) for name, one in value.items()}
    if isinstance(value, list):
        return [without_paths(one) for one in value]
    if not isinstance(value, str):
        return value
    if re.match(r"[A-Za-z]:[\\/]|\\\\", value):
        return PureWindowsPath(value).name
    value = value.removeprefix("file://")
    if "/" not in value or "://" in value or ModelReference(value).server is not None:
        return value
    # KIND:PATH of a cohort or a probe file, PROTOCOL@PATH of an ensemble's member
    before, mark, path = re.fullmatch(r"(?:([a-z_]+)([:@]))?(.*)", value, re.DOTALL).groups("")  # type: ignore[union-attr]
    return f"{before}{mark}{PurePath(path).name}"


def _model(path: str) -> str:
    """A model as others know it: an id of the hub whole, a directory by its last name."""
    of_hub = re.fullmatch(r"[\w.-]+/[\w.-]+(@[\w.-]+)?", path) is not None and not Path(path).exists()
    return path if of_hub else str(without_paths(path))


def _header(recipe: Recipe, licence: str | None) -> str:
    facts: dict[str, Any] = {"library_name": "transformers", "pipeline_tag": "text-generation"}
    facts["license"] = licence or "unknown"
    if recipe.model.path.kind != "sandbox" and not Path(recipe.model.path).exists():
        facts["base_model"] = recipe.model.path.partition("@")[0]
    facts["tags"] = ["selfreward", recipe.train.method]
    return f"---\n{yaml.safe_dump(facts, sort_keys=False).strip()}\n---"


def _verdict(view: RunView, number: int) -> tuple[str, tuple[str, ...]]:
    """The sentence that comes first, and the ones behind it."""
    if untrained(view, number):
        return f"**Nothing was trained: {_unchanged(view)}**", ()
    if not measurements(view, 0) or not measurements(view, number):
        return f"**Round {number} was not measured, so nothing is known about what its training did.**", ()
    reading = Reading(view)
    reading.rounds = [one for one in reading.rounds if one <= number]
    found = judge_run(reading)
    return f"**{found.headline}**", found.details


def untrained(view: RunView, number: int) -> bool:
    """Whether the weights of round `number` are still the start policy's."""
    seal, first = view.seal(number, "checkpoint"), view.seal(0, "checkpoint")
    return number == 0 or bool(seal and first and seal.facts["digest"] == first.facts["digest"])


def _unchanged(view: RunView) -> str:
    return f"these are the weights of the start policy `{_model(view.recipe().model.path)}`, unchanged."


def _origin(view: RunView, number: int) -> str:
    """What was done to the start policy."""
    recipe, last = view.recipe(), trained_rounds(view)[-1]
    start = f"`{_model(recipe.model.path)}`"
    if untrained(view, number):
        why = f" The run has {last} trained rounds; none of them was chosen." if number == 0 and last else ""
        return f"Exported by selfreward {__version__} from {start}.{why}"
    if recipe.pairs.mix.alone:
        return (
            f"Trained by selfreward {__version__} from {start} by {recipe.train.method.upper()} on pairs from outside."
        )
    if isinstance(recipe.train, SftRecipe):
        return f"Trained by selfreward {__version__} from {start} by SFT on demonstrations, not on its own pairs."
    asked = {"oracle": "they are scored against the truth", "none": "nobody scores them"}.get(
        recipe.judge.source,
        "scores its own answers" if recipe.judge.model.kind == "policy" else "another model scores them",
    )
    rows = "rewards" if isinstance(recipe.train, PolicyGradient) else "pairs"
    return (
        f"Trained by selfreward {__version__} from {start}: the model answers prompts, {asked}, and is "
        f"trained by {recipe.train.method.upper()} on the {rows} that follow."
    )


def _data(recipe: Recipe) -> str:
    def told(source: Any) -> str:
        return f"`{without_paths(source.path)}`" if source.kind == "file" else f"the {source.kind} prompts"

    mix, train = recipe.pairs.mix, recipe.train
    outside = f" and pairs of `{without_paths(mix.external)}`" if mix.external and not mix.alone else ""
    if isinstance(train, SftRecipe) and train.examples:
        return f"trained on `{without_paths(train.examples)}`, measured on {told(recipe.measure.source)}."
    asked = told(recipe.prompts.source)
    if recipe.generate.source:
        asked = f"responses of `{without_paths(recipe.generate.source)}`, which this policy did not sample"
    trained = f"pairs of `{without_paths(mix.external)}`" if mix.alone else asked + outside
    return f"trained on {trained}, measured on {told(recipe.measure.source)}."


def _lineage(view: RunView, number: int) -> list[Sequence[Any]]:
    rows: list[Sequence[Any]] = []
    for earlier in trained_rounds(view):
        seal = view.seal(earlier, "checkpoint")
        if seal is None or earlier > number:
            continue
        facts = seal.facts
        digests = (facts["digest"], facts["parent"], facts["reference"])
        rows.append(
            (earlier, facts["method"], facts["pairs"], facts["steps"], *(f"`{d[:16]}`" if d else "" for d in digests))
        )
    return rows


def _measured(rows: Iterable[Measurement]) -> str:
    shown = [row for row in rows if row.cohort == "all" and row.pool in CARD_POOLS and row.value is not None]
    if not shown:
        return "This round was not measured."
    cells = [
        (
            *(row.metric, words(row.metric), place(row.pool), f"{row.value:.3f}", _interval(row), row.n, row.better),
            "oracle" if row.oracle else "",
        )
        for row in shown
    ]
    return _table(("metric", "in words", "pool", "value", "95 % interval", "n", "better", ""), cells)


def _interval(row: Measurement) -> str:
    return "" if row.low is None or row.high is None else f"[{row.low:.3f}, {row.high:.3f}]"


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
