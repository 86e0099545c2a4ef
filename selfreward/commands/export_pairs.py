"""A run's preference pairs as a data set: texts instead of tokens, in the form that TRL trains on, with a card.

Each row is conversational (`prompt`, `chosen`, `rejected`: lists of turns), with `label` (the probability that chosen
is better), `weight`, `source`, and where it is from: `round`, `kind` (of answers or of judgments), `judge` (the judging
policy's digest, or a served model's name) and `template` (the version of its prompt and rubric), empty where nobody
judged. The prompt is the user's, not what the generator's template made of it; answers are the texts that were judged,
without what a model thought before them. `pairs.jsonl` and `pairs.parquet` hold the same rows; a file of pairs from
outside is read from either (tasks/pairs_file.py), and what it reads is what stands here.

A preference that stands twice, as one that a later round mixed in again, is one row, of its first round. A label below
one half is told the other way round. What a run trained on from outside is read from its file again.
"""

import dataclasses
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from selfreward import __version__
from selfreward.commands.export import written_beside
from selfreward.engines.served.engine import served_digest
from selfreward.errors import DataError, StoreError
from selfreward.judging.prompts.prompt import judge_prompt
from selfreward.judging.revising.asking import REVISIONS
from selfreward.pairing.mixing import EARLIER
from selfreward.recipe import Recipe, to_yaml
from selfreward.records import Judgment, Message, Pair, Prompt, Response, by_id
from selfreward.store.view import RunView
from selfreward.tasks.open_source import open_source
from selfreward.tasks.pairs_file import ExternalPair, pair_id, read_pairs

LINES, PARQUET = "pairs.jsonl", "pairs.parquet"


def export_pairs(view: RunView, out: Path) -> str:
    """Write the run's pairs and their card into the new directory `out`; returns what that is.

    Raises StoreError where `out` holds something or there is no pair, DataError where a text is no longer to be had.
    """
    if view.recipe().pairs.rule == "steps":
        raise StoreError(
            f"run {view.name!r}: its pairs are of steps (pairs.rule=steps) and begin in the middle of an answer, which "
            "rows of whole turns cannot say; pairs.jsonl of each round holds them in tokens"
        )
    rows = list(pair_rows(view))
    if not rows:
        raise StoreError(f"run {view.name!r}: no pair is sealed yet; run it to the end of a round first")
    with written_beside(out) as beside:
        with (beside / LINES).open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        _write_parquet(rows, beside / PARQUET)
        (beside / "README.md").write_text(_card(view, rows), encoding="utf-8")
    return f"{len(rows)} pairs"


def pair_rows(view: RunView) -> Iterator[dict[str, Any]]:
    """The rows, by round; each preference once."""
    outside = _Outside(view)
    seen: set[str] = set()
    for number in view.rounds():
        if view.seal(number, "pairs") is None:
            continue
        made = _Round(view, number, outside)
        for pair in view.read(number, "pairs", Pair):
            if pair.source.startswith(EARLIER):
                continue  # a row of the round that it is from
            row = made.row(pair if pair.label >= 0.5 else pair.swap())
            identity = pair_id([(turn["role"], turn["content"]) for turn in row["prompt"]], *_texts(row))
            if identity not in seen:
                seen.add(identity)
                yield row


class _Outside:
    """What stands in no artifact of the run: the file of pairs, and gold answers; read when first wanted."""

    def __init__(self, view: RunView) -> None:
        self.recipe = view.recipe()
        self._pairs: dict[str, ExternalPair] | None = None

    def pair(self, pair: Pair) -> ExternalPair:
        file = self.recipe.pairs.mix.external
        if self._pairs is None:
            self._pairs = {row.id: row for row in read_pairs(file)} if file else {}
        if pair.id not in self._pairs:
            raise DataError(f"pair {pair.id} is no longer in {file}, from which the run read it; restore that file")
        return self._pairs[pair.id]

    def gold(self, prompt: Prompt) -> str:
        return open_source(self.recipe).gold([prompt])[prompt.id]


class _Round:
    """The rows of one round, by which ids become texts."""

    def __init__(self, view: RunView, number: int, outside: _Outside) -> None:
        self.number, self.outside, self.recipe = number, outside, view.recipe()

        def rows(artifact: str, kind: type[Any]) -> dict[str, Any]:
            return by_id(view.read(number, artifact, kind)) if view.seal(number, artifact) else {}

        self.prompts = rows("prompts", Prompt)
        self.responses = rows("responses", Response) | rows(REVISIONS, Response)
        self.judgments = rows("judgments", Judgment)
        self.names = served_names(self.recipe)
        self.judged = {row.response_id: row for row in self.judgments.values()}

    def row(self, pair: Pair) -> dict[str, Any]:
        """One pair. An external one is known by its prompt, which the round did not ask."""
        judgment: Judgment | None = None
        if pair.prompt_id not in self.prompts:
            given = self.outside.pair(pair)
            asked, texts = given.prompt.messages, (given.chosen, given.rejected)
        elif pair.kind == "judgment":
            judgment = self.judgments[pair.chosen_id]
            judged = self.responses[judgment.response_id].text
            asked = judge_prompt(self.recipe.judge).ask(self.prompts[pair.prompt_id], judged)
            texts = (judgment.text, self.judgments[pair.rejected_id].text)
        else:
            judgment = self.judged.get(pair.chosen_id)
            asked = self.prompts[pair.prompt_id].messages
            texts = (self._answer(pair.chosen_id, pair), self._answer(pair.rejected_id, pair))
        return {
            "prompt": _turns(asked),
            "chosen": _turns((Message("assistant", texts[0]),)),
            "rejected": _turns((Message("assistant", texts[1]),)),
            "label": pair.label,
            "weight": pair.weight,
            "source": pair.source,
            "kind": pair.kind,
            "round": self.number,
            "judge": self.names.get(judgment.judge, judgment.judge) if judgment else "",
            "template": judgment.template if judgment else "",
            "chosen_score": pair.chosen_score,
            "rejected_score": pair.rejected_score,
        }

    def _answer(self, identity: str, pair: Pair) -> str:
        found = self.responses.get(identity)
        return found.text if found else self.outside.gold(self.prompts[pair.prompt_id])


def served_names(recipe: Recipe) -> dict[str, str]:
    """The digest under which a served model's judgments are kept -> what its server calls it."""
    return {served_digest(server): server.model for server in recipe.served.values()}


def _turns(messages: Sequence[Message]) -> list[dict[str, str]]:
    return [dataclasses.asdict(message) for message in messages]


def _texts(row: dict[str, Any]) -> tuple[str, str]:
    return row["chosen"][-1]["content"], row["rejected"][-1]["content"]


def _write_parquet(rows: list[dict[str, Any]], path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    parquet.write_table(pyarrow.Table.from_pylist(rows), path)


def _judges(recipe: Recipe, rows: Sequence[dict[str, Any]]) -> str:
    """What stands in the rows' column `judge`."""
    there = {row["judge"] for row in rows} - {""}
    served = sorted(there & set(served_names(recipe).values()))
    named = f"the name of the served model that judged ({', '.join(f'`{name}`' for name in served)})"
    digest = "the digest of the policy that judged"
    return digest if not served else named if there <= set(served) else f"{named} or {digest}"


def _card(view: RunView, rows: list[dict[str, Any]]) -> str:
    """README.md in the hub's form for data sets."""
    recipe = view.recipe()
    by_source = Counter((row["kind"], row["source"], row["round"]) for row in rows)
    lines = [f"| {kind} | {source} | {number} | {count} |" for (kind, source, number), count in by_source.items()]
    table = "\n".join(lines)
    return f"""---
license: unknown
task_categories:
- text-generation
tags:
- preference
- dpo
- selfreward
- trl
configs:
- config_name: default
  data_files: {PARQUET}
---

# {view.name}: {len(rows)} preference pairs

Made by selfreward {__version__} in a run that began with `{recipe.model.path}`: a model's preferences, unless a row's
`source` says `external:` or `gold`. Nobody has checked them by hand, and no licence is known: those of the start model
and of the prompts hold.

| kind | source | round | pairs |
| --- | --- | --- | --- |
{table}

`prompt`, `chosen` and `rejected` are lists of turns, as TRL's DPOTrainer takes them. `label` is the probability that
chosen is better, `weight` multiplies the row's loss. `judge` is {_judges(recipe, rows)}, `template`
the version of its prompt and rubric. `{LINES}` holds the same rows as `{PARQUET}`.

```python
from datasets import load_dataset

pairs = load_dataset("parquet", data_files="{PARQUET}", split="train").select_columns(["prompt", "chosen", "rejected"])
```

To train on them here: `pairs.mix.external={LINES} pairs.mix.external_share=1 judge.source=none`.

## Recipe

```yaml
{to_yaml(recipe).strip()}
```
"""
