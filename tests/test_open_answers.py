"""What a verifier leaves open: excluded from every truth, judged by the model in training, never a wrong answer."""

import dataclasses
import json
from collections import Counter

import pytest
from evidence_factory import evidence, measured, noisy, pair, prompts, rows, varied
from test_cream import SMOKE

from selfreward.commands.run import run
from selfreward.judging.by_verifier import left_to_the_model, merge
from selfreward.progress import Progress
from selfreward.recipe.read import load_recipe
from selfreward.records import Drop, Judgment, Pair, Prompt, Response
from selfreward.store.results import Store
from selfreward.tasks.sandbox.pools import prompt_pool
from selfreward.tasks.verifiers.protocol import Truth
from selfreward.tasks.verifiers.sandbox import SandboxVerifier


class Undecided(SandboxVerifier):
    """Knows the truth, and says nothing about the texts in `silent`."""

    def __init__(self, silent):
        self.silent = silent

    def check(self, prompt, text):
        truth = super().check(prompt, text)
        return Truth(0.0, False, truth.answer, False, None, open="out of time") if text in self.silent else truth


def test_open_answers_are_excluded_from_every_metric_of_truth():
    """Numbers are those of the decided answers alone, whatever the open ones would have been."""
    given = rows(varied(40), noisy(0))
    silent = {row.text for row in given.responses if row.sample == 0}
    decided = [row for row in given.responses if row.text not in silent]
    kept = {row.id for row in decided}
    only = dataclasses.replace(
        given, responses=decided, judgments=[row for row in given.judgments if row.response_id in kept]
    )
    full = measured(dataclasses.replace(evidence(given), verifier=Undecided(silent)))
    less = measured(evidence(only))
    compared = ("true_accuracy", "true_quality", "best_of_k_accuracy", "judge_minus_truth")
    for name in compared:
        assert full[name].value == pytest.approx(less[name].value), name
        assert full[name].excluded - less[name].excluded == len(given.responses) - len(decided), name
    plain = measured(evidence(given))
    assert plain["true_accuracy"].value != pytest.approx(full["true_accuracy"].value)


def test_pairs_with_an_open_side_are_not_counted_as_right_or_wrong():
    own = rows({prompt: [5, 0] for prompt in prompts(10, "train")}, noisy(0))
    pairs = [pair(own.responses[2 * i], own.responses[2 * i + 1]) for i in range(10)]
    given = evidence(own=own, pairs=pairs)
    silent = {row.text for row in own.responses[:6:2]}
    found = measured(dataclasses.replace(given, verifier=Undecided(silent)), "train")["pair_correct"]
    assert (found.value, found.n, found.excluded) == (1.0, 7, 3)


def verdict(prompt, sample, score):
    return Judgment(
        f"v{prompt}{sample}", f"{prompt}/{sample}", prompt, sample, "exact", "", (), "stop", 0, "verifier", score,
        None if score is not None else "left open: x", "verifier",
    )  # fmt: skip


def test_one_prompt_is_scored_by_one_of_the_two():
    verdicts = [verdict("a", 0, 5.0), verdict("a", 1, None), verdict("b", 0, None), verdict("b", 1, None)]
    responses = [
        Response(row.response_id, row.prompt_id, row.sample, "m", "t", "", (1,), "stop", 0, "plain") for row in verdicts
    ]
    asked = left_to_the_model(verdicts, responses)
    assert [row.id for row in asked] == ["b/0", "b/1"]
    opinions = [dataclasses.replace(verdict("b", i, 3.0), id=f"m{i}", source="judge") for i in range(2)]
    merged = merge(verdicts, opinions)
    assert Counter(row.source for row in merged) == {"verifier": 2, "judge": 2}
    assert {row.response_id for row in merged} == {row.id for row in responses} and len(merged) == 4


def test_a_run_on_files_where_half_of_the_rows_have_an_answer(tmp_path):
    """Verifier and judge share the round; external pairs are trained on; every row says who decided."""
    tasks = [*prompt_pool("train", 40), *prompt_pool("report", 40)]
    lines = []
    for number, task in enumerate(tasks):
        row = {"prompt": task.text, "id": f"t{number}"}
        lines.append({**row, "answer": " ".join(task.gold)} if number % 2 else row)
    train, report = tmp_path / "train.jsonl", tmp_path / "report.jsonl"
    train.write_text("".join(json.dumps(row) + "\n" for row in lines[:40]))
    report.write_text("".join(json.dumps(row) + "\n" for row in lines[40:]))
    outside = tmp_path / "pairs.jsonl"
    given = [
        {"prompt": task.text, "chosen": " ".join(task.gold), "rejected": "z z", "source": "human", "label": 0.9}
        for task in prompt_pool("selection", 20)
    ]
    outside.write_text("".join(json.dumps(row) + "\n" for row in given))
    keys = [
        f"prompts.source={train}",
        f"measure.source={report}",
        "measure.verifier=exact",
        "judge.source=verifier_then_model",
        "prompts.per_round=20",
        "prompts.writer.share=0",
        "meta.enabled=false",
        "measure.frozen=0",
        "gates.min_readable=0",
        f"pairs.mix.external={outside}",
        "pairs.mix.external_share=0.3",
        "pairs.mix.earlier_share=0.2",
    ]
    store = Store(tmp_path / "results")
    run(load_recipe(SMOKE, keys), store, "files", Progress())
    view = store.existing("files")
    for number in (1, 2):
        asked = {row.id: row for row in view.read(number, "prompts", Prompt)}
        by_source = {row.prompt_id: row.source for row in view.read(number, "judgments", Judgment)}
        assert len(asked) == 20
        for prompt_id, prompt in asked.items():
            assert by_source[prompt_id] == ("judge" if prompt.answer is None else "verifier")
        pairs = view.read(number, "pairs", Pair)
        sources = Counter(row.source for row in pairs)
        assert sources["external:human"] and sources["self"] + sources["verifier"]
        assert {row.label for row in pairs if row.source == "external:human"} == {0.9}
        assert bool(sources["round-1:verifier"] + sources["round-1:self"]) == (number == 2)
        own = [row for row in pairs if row.source in ("self", "verifier")]
        assert {row.source for row in own} <= {"self", "verifier"}
        for row in own:
            assert row.source == ("self" if asked[row.prompt_id].answer is None else "verifier")
        dropped = {row.subject for row in view.read(number, "dropped", Drop)}
        assert {row.prompt_id for row in own} | dropped >= set(asked)
