"""The replies by which a judge shows what it likes: what differs between them is what is asked about, and no more."""

import dataclasses
import json
import random

import pytest
from evidence_factory import evidence, holds, judgments, prompts, reply, response

from selfreward.errors import DataError, RecipeError
from selfreward.measuring.metrics.judge import padding as judge_padding
from selfreward.measuring.metrics.judge import sycophancy as judge_sycophancy
from selfreward.measuring.probes.judge_replies import CUES, SANDBOX_FILLER, check_probes, probe_replies
from selfreward.recipe.read import build_recipe
from selfreward.tasks.sandbox.annotator import AnnotatorDials, annotate, read_score
from selfreward.tasks.sandbox.claims import claim_pairs
from selfreward.tasks.sandbox.draws import split_of
from selfreward.tasks.sandbox.oracle import check_reply, echoes_wrong_claim, oracle_score, read_reply
from selfreward.tasks.sandbox.tasks import parse_task
from selfreward.tasks.sandbox.words import VOCABULARY
from selfreward.tasks.sets import OWN_FOLDER

FILES = ("prompts.source=train.jsonl", "measure.source=eval.jsonl", "measure.verifier=none", "measure.frozen=0")
GIVEN = [(prompt, response(prompt, sample, reply(prompt, 3, sample))) for prompt in prompts(30) for sample in (0, 1)]


def units(recipe, question, given=GIVEN):
    found = {}
    for row in probe_replies(recipe, given):
        if row.question == question:
            found.setdefault(row.unit, {})[row.arm] = row
    return found


def test_a_padded_copy_in_the_sandbox_is_as_good_and_longer_by_two_sentences():
    padded = units(build_recipe([], []), "padded")
    assert len(padded) == 20, "one reply of each prompt, up to measure.judge_probes.padded"
    for arms in padded.values():
        task = parse_task(arms["plain"].prompt.text)
        plain, longer = arms["plain"].response.text, arms["padded"].response.text
        assert oracle_score(task, plain) == oracle_score(task, longer)
        assert longer.startswith(plain) and set(longer.split()) <= set(VOCABULARY)
        assert read_reply(longer).filler_sentences == read_reply(plain).filler_sentences + 2 <= SANDBOX_FILLER + 2
        assert arms["plain"].prompt == arms["padded"].prompt


def test_replies_that_are_cut_or_empty_or_full_of_filler_are_not_padded():
    prompt = prompts(1)[0]
    filler = "a b ; " + " ".join(["let me know !"] * 3)
    for text, finish in (("", "stop"), ("a b", "length"), (filler, "stop")):
        assert not units(build_recipe([], []), "padded", [(prompt, response(prompt, 0, text, finish))])


def test_claim_pairs_are_equally_wrong_and_exchangeable():
    pairs = claim_pairs(400)
    assert pairs[:40] == claim_pairs(40) and len({pair.task.text for pair in pairs}) == 400
    for pair in pairs:
        assert split_of(pair.task.text) == "report" and pair.echo != pair.other
        assert oracle_score(pair.task, pair.echo) == oracle_score(pair.task, pair.other) < 5
        assert echoes_wrong_claim(pair.task, pair.echo) and not echoes_wrong_claim(pair.task, pair.other)
    # Neither side is the commoner mistake: lengths do not tell them apart.
    longer = [len(pair.echo.split()) - len(pair.other.split()) for pair in pairs]
    assert abs(sum((gap > 0) - (gap < 0) for gap in longer)) < 3 * sum(gap != 0 for gap in longer) ** 0.5


def test_every_unit_has_prompts_of_its_own_and_every_reply_an_id():
    rows = probe_replies(build_recipe([], []), GIVEN)
    assert {row.question for row in rows} == {"padded", "claims"}
    assert len({row.id for row in rows}) == len(rows)
    owners = {row.prompt.id: row.unit for row in rows}
    assert all(owners[row.prompt.id] == row.unit and row.response.prompt_id == row.prompt.id for row in rows)
    assert probe_replies(build_recipe([], []), GIVEN[::-1]) == rows, "the order of what is given changes nothing"
    nothing = ("measure.judge_probes.padded=0", "measure.judge_probes.claims=0")
    assert probe_replies(build_recipe([], nothing), GIVEN) == []


def test_text_is_padded_from_a_file_of_sentences(tmp_path):
    own = units(build_recipe([], FILES), "padded")
    sentences = (OWN_FOLDER / "padding.txt").read_text(encoding="utf-8").splitlines()
    for arms in own.values():
        plain, longer = arms["plain"].response.text, arms["padded"].response.text
        assert longer.startswith(f"{plain}\n\n") and sum(line in longer for line in sentences) == 2
    path = tmp_path / "padding.txt"
    path.write_text("One.\n\nTwo.\n")
    mine = units(build_recipe([], [*FILES, f"measure.judge_probes.padding={path}"]), "padded")
    assert {arms["padded"].response.text.split("\n\n")[1] for arms in mine.values()} == {"One. Two.", "Two. One."}
    path.write_text("One.\n")
    with pytest.raises(RecipeError, match="has 1 sentences; expected 2 or more"):
        check_probes(build_recipe([], [*FILES, f"measure.judge_probes.padding={path}"]))


def test_feedback_differs_in_the_users_liking_alone():
    recipe = build_recipe([], [*FILES, "measure.judge_probes.feedback=7"])
    found = units(recipe, "feedback")
    assert len(found) == 7
    for arms in found.values():
        assert set(arms) == set(CUES) and len({row.response.text for row in arms.values()}) == 1
        stripped = {row.prompt.text.removesuffix(CUES[arm]) for arm, row in arms.items()}
        assert len(stripped) == 1 and len({row.prompt.id for row in arms.values()}) == 3
    assert not units(build_recipe([], []), "feedback"), "the sandbox has no words for it"


def test_claims_come_from_a_file_with_and_without_the_claim():
    path = OWN_FOLDER / "sycophancy.jsonl"
    recipe = build_recipe([], [*FILES, f"measure.judge_probes.claims_file={path}"])
    check_probes(recipe)
    found = units(recipe, "claims")
    given = {row["id"]: row for row in map(json.loads, path.read_text(encoding="utf-8").splitlines())}
    assert found and all(given[unit]["probe"] == "wrong_belief" for unit in found)
    for unit, arms in found.items():
        assert {arm: row.response.text for arm, row in arms.items()} == {
            "echo": given[unit]["sycophantic_answer"],
            "other": given[unit]["correct_answer"],
            "echo/neutral": given[unit]["sycophantic_answer"],
            "other/neutral": given[unit]["correct_answer"],
        }
        assert arms["echo"].prompt == arms["other"].prompt != arms["echo/neutral"].prompt


def test_probe_files_that_cannot_be_used_are_refused(tmp_path):
    with pytest.raises(RecipeError, match=r"not read with measure\.source=sandbox"):
        check_probes(build_recipe([], ["measure.judge_probes.padding=x.txt"]))
    with pytest.raises(RecipeError, match="cannot be read"):
        check_probes(build_recipe([], [*FILES, "measure.judge_probes.padding=/nowhere/x.txt"]))
    with pytest.raises(DataError):
        check_probes(build_recipe([], [*FILES, f"measure.judge_probes.claims_file={tmp_path / 'none.jsonl'}"]))
    others = tmp_path / "others.jsonl"
    lines = (OWN_FOLDER / "sycophancy.jsonl").read_text(encoding="utf-8").splitlines()
    others.write_text("\n".join(line for line in lines if json.loads(line)["probe"] != "wrong_belief") + "\n")
    with pytest.raises(RecipeError, match="no row with probe wrong_belief"):
        check_probes(build_recipe([], [*FILES, f"measure.judge_probes.claims_file={others}"]))


def annotated(dials, size, given=GIVEN):
    """The evidence of probes that the sandbox's annotator scores three times, under these dials."""
    recipe = build_recipe([], [f"measure.judge_probes.claims={size}"])
    rng, replies = random.Random(0), probe_replies(recipe, given)
    said = []
    for row in replies:
        words = [annotate(parse_task(row.prompt.text), row.response.text, rng, dials) for _ in range(3)]
        said += judgments(row.response, [float(read_score(text)) for text in words])
    return dataclasses.replace(evidence(), probes=replies, probe_judgments=said)


def rows_of(metric, given):
    return {row.metric: row for row in metric.measure(given)}


def test_the_annotators_agreement_dial_is_found_at_its_size():
    pairs = claim_pairs(200)
    # Taking the claim for the reference is worth this much; with the right reference both are equally wrong.
    worth = [
        sum(check_reply(pair.task, pair.echo, pair.task.claim))
        - sum(check_reply(pair.task, pair.other, pair.task.claim))
        for pair in pairs
    ]
    planted = 0.7 * sum(worth) / len(worth)
    biased = rows_of(judge_sycophancy, annotated(AnnotatorDials(agreement_bias=0.7, noise=0.0), 200))
    row = biased["judge_sycophancy"]
    assert holds(row, planted) and row.low > planted / 2 and row.n == 200 and row.oracle
    careless = rows_of(judge_sycophancy, annotated(AnnotatorDials(noise=0.5), 200))
    assert holds(careless["judge_sycophancy"], 0.0)


def test_the_annotators_length_dial_is_found_at_its_size():
    asked = [(prompt, response(prompt, 0, reply(prompt, 3, 1))) for prompt in prompts(60)]
    # One sentence of filler has become three: .3 points more for each of two, rounded at random.
    biased = rows_of(judge_padding, annotated(AnnotatorDials(length_bias=0.3, noise=0.0), 1, asked))
    assert holds(biased["padded_score_change"], 0.6) and biased["padded_win_rate"].low > 0.5
    careless = rows_of(judge_padding, annotated(AnnotatorDials(noise=0.5), 1, asked))
    assert holds(careless["padded_score_change"], 0.0) and holds(careless["padded_win_rate"], 0.5)
