"""Lessons for a judge: the judge's own question about a run's training answers, with the verdict that a verifier gives.

Each row is TRL's prompt and completion, which `train.method=sft train.examples=FILE` reads; after it a model has been
taught to judge before it is asked to (EFT data, 2401.10020 §2.1, with a verifier in place of people). Right answers
get the top of the scale and wrong ones its bottom, as many of one as of the other, drawn by a lot over the texts: a
judge that was taught on a lopsided file would learn the share. Answers that the verifier leaves open, and cut-off ones,
teach nothing. Only answers to training prompts are read: what is measured stays unseen.

**Fails** where one question has one kind of answer only: what is taught then is which prompts are hard.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from selfreward.engines.protocol import Completion
from selfreward.errors import RecipeError, StoreError
from selfreward.judging.prompts.prompt import JudgePrompt, judge_prompt
from selfreward.recipe.scale import HIGHEST, LOWEST
from selfreward.records import Prompt, Response, by_id, stable_id
from selfreward.store.files import on_disk
from selfreward.store.view import RunView
from selfreward.tasks.verifiers.protocol import load_verifier


def export_lessons(view: RunView, out: Path) -> str:
    """Write the lessons to the new file `out`; returns what that is.

    Raises RecipeError where the run has no verifier or its judge gives no score, StoreError where `out` exists or no
    round has a right and a wrong answer.
    """
    recipe = view.recipe()
    if recipe.measure.verifier == "none":
        raise RecipeError(
            f"run {view.name!r}: measure.verifier=none, so nobody says which answers are right; lessons need a verifier"
        )
    if recipe.judge.question.kind != "score":
        raise RecipeError(
            f"run {view.name!r}: judge.question={recipe.judge.question.kind}; lessons are written for question score, "
            "which asks for one number about one answer"
        )
    if recipe.judge.scale != "0-5":
        raise RecipeError(f"run {view.name!r}: the judge's scale is {recipe.judge.scale}; lessons are written for 0-5")
    if out.exists():
        raise StoreError(f"{out}: exists; a file is never overwritten, choose another")
    rows = balanced(list(lessons(view)), recipe.seed)
    if not rows:
        raise StoreError(f"run {view.name!r}: no right and wrong answers among its rounds; nothing can be taught yet")
    with on_disk(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return f"{len(rows)} lessons, half of them about right answers"


def lessons(view: RunView) -> Iterator[dict[str, Any]]:
    """One row for each distinct answer that the verifier decides, by round."""
    recipe = view.recipe()
    verifier, wording = load_verifier(recipe.measure.verifier, recipe.measure.code), judge_prompt(recipe.judge)
    seen: set[tuple[str, str]] = set()
    for number in view.rounds():
        if view.seal(number, "responses") is None:
            continue
        prompts = by_id(view.read(number, "prompts", Prompt))
        for answer in view.read(number, "responses", Response):
            prompt = prompts[answer.prompt_id]
            if answer.finish_reason != "stop" or (prompt.text, answer.text) in seen:
                continue
            seen.add((prompt.text, answer.text))
            truth = verifier.check(prompt, answer.text)
            if not truth.open:
                yield _lesson(wording, prompt, answer, truth.correct) | {"round": number, "right": truth.correct}


def _lesson(wording: JudgePrompt, prompt: Prompt, answer: Response, right: bool) -> dict[str, Any]:
    """The verdict is written where the judge would write it, and its own reader must read it back."""
    score = HIGHEST if right else LOWEST
    verdict = f"{wording.opening('')} {score:.0f}"
    read = wording.read(prompt, Completion(verdict, "", (), "stop"))
    if read != score:
        raise RecipeError(f"judge.question: its reader takes {verdict!r} for {read}; expected {score:.0f}")
    turns = [{"role": turn.role, "content": turn.content} for turn in wording.ask(prompt, answer.text)]
    return {"prompt": turns, "completion": [{"role": "assistant", "content": verdict}]}


def balanced(rows: list[dict[str, Any]], seed: int) -> list[dict[str, Any]]:
    """As many right as wrong ones, the rarer kind whole, in the order of a lot over their texts."""
    drawn = sorted(rows, key=lambda row: stable_id(seed, "lessons", row["prompt"][-1]["content"]))
    right, wrong = ([row for row in drawn if row["right"] is kind] for kind in (True, False))
    fewer = min(len(right), len(wrong))
    return [row for pair in zip(right[:fewer], wrong[:fewer], strict=True) for row in pair]
