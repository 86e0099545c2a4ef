"""`selfreward answer`: the best of N by the sandbox's own judge, and by planted judges; what has no score says why."""

import json
from pathlib import Path

import pytest
from judging_factory import SEED, prompt, script
from typer.testing import CliRunner

from selfreward.commands.best_answers import ALONE, CUT, best_answers, summary
from selfreward.commands.cli import app
from selfreward.commands.probe.models import Subject, subject
from selfreward.engines.tensors import weights_digest
from selfreward.errors import DataError, RecipeError
from selfreward.progress import Progress
from selfreward.recipe.read import build_recipe
from selfreward.roles.player import Policy
from selfreward.tasks.sandbox.source import SandboxSource
from selfreward.tasks.verifiers.protocol import load_verifier

QUIET = Progress(style="silent")
GOOD = {"match": r"response-\w+>\n[^\n]*good", "replies": ["so\nScore: 4"]}
BAD = {"match": r"response-\w+>\n[^\n]*bad", "replies": ["so\nScore: 1"]}
MUTE = {"match": r"<response-\w+>", "replies": ["I like it"]}


def scripted(tmp_path, *rules):
    changes = ["engine.kind=scripted", "train.method=none", f"engine.script={script(tmp_path, *rules)}"]
    recipe = build_recipe([{"judge": {"question": {"template": "additive"}}}], changes)
    return Subject("scripted", recipe, Policy(0, weights_digest(SEED), SEED), sandbox=False)


def asked(tmp_path, *rules, judge="samples=1", n=12, answers=("a good answer", "a bad answer")):
    model = scripted(tmp_path, *rules, {"replies": list(answers)})
    return best_answers(model, judge, [prompt("p", "one"), prompt("q", "two")], n, QUIET)


def test_the_answer_is_the_one_that_the_judge_scores_highest(tmp_path: Path):
    for one in asked(tmp_path, GOOD, BAD):
        assert {candidate.text for candidate in one.candidates} == {"a good answer", "a bad answer"}
        assert one.candidates[one.chosen].text == "a good answer" and one.reason is None and one.tied == 0
        assert all(row.score == (4.0 if "good" in row.text else 1.0) for row in one.candidates)
        assert one.chosen == next(k for k, row in enumerate(one.candidates) if "good" in row.text), "the first drawn"


def test_an_answer_that_was_cut_off_is_not_chosen_and_not_judged(tmp_path: Path):
    cut = {"text": "a good answer that goes on", "truncated": True}
    for one in asked(tmp_path, GOOD, BAD, answers=(cut, "a bad answer")):
        assert one.candidates[one.chosen].text == "a bad answer"
        assert all((row.reason == CUT) == ("goes on" in row.text) for row in one.candidates)
        assert all(row.score is None for row in one.candidates if row.reason)
    found = asked(tmp_path, GOOD, answers=(cut,))
    assert [one.chosen for one in found] == [None, None] and found[0].reason == f"{CUT} (12)"
    assert summary(found)[0] == "0 of 2 prompts have an answer" and "max_tokens" in summary(found)[1]


def test_what_the_judge_says_nothing_readable_about_is_not_chosen(tmp_path: Path):
    for one in asked(tmp_path, BAD, MUTE):
        assert one.candidates[one.chosen].text == "a bad answer", "unread is no number, however good it may be"
        assert {row.reason for row in one.candidates} == {None, "unreadable: no verdict"}
    found = asked(tmp_path, MUTE)
    assert found[0].chosen is None and found[0].reason == "unreadable: no verdict (12)"
    assert found[0].row(False)["answer"] is None and "candidates" not in found[0].row(False)


def test_equal_scores_are_told_and_one_text_alone_needs_no_comparison(tmp_path: Path):
    both = {"match": r"<response-\w+>", "replies": ["Score: 3"]}
    assert [(one.chosen, one.tied) for one in asked(tmp_path, both)] == [(0, 1), (0, 1)]
    compared = "question=comparison"
    for one in asked(tmp_path, MUTE, judge=compared, answers=("the same",)):
        assert (one.chosen, one.reason, one.candidates[0].score) == (0, ALONE, None)
    first = {"match": r"<response-1-\w+>\n[^\n]*good", "replies": ["Preferred: 1"]}
    second = {"match": r"<response-2-\w+>\n[^\n]*good", "replies": ["Preferred: 2"]}
    for one in asked(tmp_path, first, second, judge=compared):
        assert "good" in one.candidates[one.chosen].text and one.candidates[one.chosen].score > 2.5


def test_members_that_disagree_leave_no_answer(tmp_path: Path):
    judge = "aggregate=ensemble,members=[additive,sandbox],samples=1,max_disagreement=1"
    found = asked(tmp_path, GOOD, {"match": "^judge", "replies": ["Score: 1"]}, judge=judge, answers=("good",))
    assert found[0].chosen is None and found[0].reason.startswith("low agreement: members differ by 3")


def test_a_judge_that_is_none_is_refused_before_anything_is_sampled(tmp_path: Path):
    for judge, said in [("source=oracle", "asks no judge"), ("control=shuffled", "to other answers")]:
        with pytest.raises(RecipeError, match=said):
            asked(tmp_path, judge=judge)
    with pytest.raises(DataError, match="does not know"):
        best_answers(subject("sandbox:seed-0", [], None), "samples=1", [prompt("p", "unheard of")], 2, QUIET)


@pytest.mark.slow
def test_best_of_n_by_the_sandbox_model_itself_is_right_more_often_than_one_sample():
    model = subject("sandbox:seed-0", ["generate.sampling.temperature=1"], None)
    prompts = [row for row in SandboxSource(model.recipe).pools() if row.pool == "gate"][:60]
    verifier = load_verifier("sandbox")
    by_id = {row.id: row for row in prompts}
    found = best_answers(model, "samples=3", prompts, 6, QUIET)
    right = {
        (one.prompt.id, k): verifier.check(by_id[one.prompt.id], row.text).correct
        for one in found
        for k, row in enumerate(one.candidates)
    }
    best = sum(right[one.prompt.id, one.chosen] for one in found)
    random = sum(right.values()) / 6
    assert best > random + 5, (best, random)


def test_the_command_writes_a_row_a_prompt_whole(tmp_path: Path):
    rows, out = tmp_path / "prompts.jsonl", tmp_path / "new" / "answers.jsonl"
    rows.write_text('{"prompt": "sum 2 and 3 ; in brackets"}\n{"prompt": "sum 1 and 1"}\n', encoding="utf-8")
    asked = ["answer", "sandbox:seed-0", str(rows), "--n", "2", "--candidates", "--judge", "samples=1"]
    done = CliRunner().invoke(app, [*asked, "--out", str(out)])
    assert done.exit_code == 0, done.output
    written = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert [row["prompt"] for row in written] == ["sum 2 and 3 ; in brackets", "sum 1 and 1"]
    assert all(len(row["candidates"]) == row["drawn"] == 2 for row in written)
    assert all(row["score"] == max(one["score"] for one in row["candidates"]) for row in written)
    refused = CliRunner().invoke(app, [*asked, "--out", str(tmp_path / "answers.csv")])
    assert isinstance(refused.exception, RecipeError) and not (tmp_path / "answers.csv").exists()
