"""Cohorts: planted regressions of known size are found, nulls stay silent, and what is trained on is not measured."""

import json
import random
from pathlib import Path

import pytest
from evidence_factory import evidence, holds, judgments, prompts, response
from run_factory import Story, write_run

from selfreward.commands.preflight import preflight
from selfreward.commands.run import run
from selfreward.errors import DataError, RecipeError
from selfreward.measuring.evidence import CohortRows, PoolRows
from selfreward.measuring.gates import judge_round
from selfreward.measuring.metrics.policy import cohorts as metric
from selfreward.progress import Progress
from selfreward.recipe import GateRule, GatesRecipe
from selfreward.recipe.read import build_recipe, load_recipe
from selfreward.records import Measurement, Message, Prompt
from selfreward.report.alarms import alarms
from selfreward.report.reading import Reading
from selfreward.store.given import given
from selfreward.store.results import Store
from selfreward.tasks.cohorts import read_cohorts, refuse_overlap
from selfreward.tasks.verifiers.choice import ChoiceVerifier
from selfreward.tasks.verifiers.exact import ExactVerifier
from selfreward.tasks.verifiers.refusal import RefusalVerifier

SMOKE = Path(__file__).parent.parent / "recipes" / "smoke.yaml"
SAMPLES = 3


def questions(count, pool="report"):
    return [
        Prompt(f"q{k}", (Message("user", f"what is {k} plus {k}"),), pool, "file", "sums", answer=str(2 * k))
        for k in range(count)
    ]


def answered(asked, skill, seed):
    """`SAMPLES` answers to each, right with chance `skill`."""
    rng = random.Random(seed)
    texts = [
        (prompt, k, prompt.answer if rng.random() < skill else "no idea") for prompt in asked for k in range(SAMPLES)
    ]
    return PoolRows(asked, [response(prompt, k, text) for prompt, k, text in texts], [])


def sums(now, initial, verifier=None, oracle=False):
    return evidence_with(CohortRows("sums", now, initial, verifier or ExactVerifier(), oracle))


def evidence_with(*cohorts, number=1):
    given_rows = evidence(number=number)
    return type(given_rows)(**{**fields(given_rows), "cohorts": cohorts})


def fields(record):
    return {name: getattr(record, name) for name in record.__dataclass_fields__}


def found(given_rows):
    return {row.metric: row for row in metric.measure(given_rows)}


def test_a_planted_fall_is_found_with_its_size():
    asked = questions(300)
    rows = found(sums(answered(asked, 0.5, 1), answered(asked, 0.8, 2)))
    assert holds(rows["cohort_accuracy"], 0.5) and holds(rows["cohort_accuracy_change"], -0.3)
    assert rows["cohort_accuracy_change"].high < -0.2
    assert rows["cohort_accuracy"].n == 300 and {row.cohort for row in rows.values()} == {"sums"}
    assert not any(row.oracle for row in rows.values())
    assert all(
        row.oracle for row in found(sums(answered(asked, 0.5, 1), answered(asked, 0.8, 2), oracle=True)).values()
    )


@pytest.mark.slow
def test_nothing_changed_seldom_looks_like_a_regression():
    """2.5 % of nulls fall below 0 by chance; 12 of 200 or more have a chance below 1 % then."""
    asked = questions(60)
    false = sum(
        found(sums(answered(asked, 0.6, 2 * k), answered(asked, 0.6, 2 * k + 1)))["cohort_accuracy_change"].high < 0
        for k in range(200)
    )
    assert false <= 12


def test_without_a_verifier_the_judges_scores_count_and_unread_ones_do_not():
    asked = questions(40)

    def judged(score, seed):
        rows = answered(asked, 0.5, seed)
        said = [row for answer in rows.responses for row in judgments(answer, score(answer))]
        return PoolRows(asked, rows.responses, said)

    now = judged(lambda answer: [3.0, None] if answer.prompt_id != "q0" else [None], 1)
    start = judged(lambda _: [4.0], 1)
    rows = found(evidence_with(CohortRows("helpful", now, start, None)))
    assert rows["cohort_score"].value == pytest.approx(3.0) and rows["cohort_score"].excluded == SAMPLES
    change = rows["cohort_score_change"]
    assert change.value == pytest.approx(-1.0) and (change.n, change.excluded) == (39, 1)
    assert found(evidence_with(CohortRows("helpful", now, now, None), number=0)).keys() == {"cohort_score"}


def write(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def measured_by(source, **keys):
    return build_recipe([{"measure": {"cohorts": {"sums": {"source": source, **keys}}}}]).measure


def test_cohorts_are_dealt_to_their_pools_and_sets_bring_their_verifier(tmp_path: Path):
    path = write(tmp_path / "c.jsonl", *({"prompt": f"what is {k}", "answer": k} for k in range(11)))
    for pool, sizes in (("report", (0, 11)), ("gate", (11, 0)), ("both", (6, 5))):
        (cohort,) = read_cohorts(measured_by(path, verifier="numeric", pool=pool))
        dealt = [prompt.pool for prompt in cohort.prompts]
        assert (dealt.count("gate"), dealt.count("report")) == sizes
        assert len({prompt.id for prompt in cohort.prompts}) == 11 and cohort.verifier == "numeric"
    (some,) = read_cohorts(measured_by(path, verifier="none", count=4))
    assert len(some.prompts) == 4 and not some.oracle
    assert [one.verifier for one in read_cohorts(measured_by("own:arithmetic"))] == ["numeric"]
    assert [one.verifier for one in read_cohorts(measured_by("own:refusals"))] == ["refusal"]


def test_what_cannot_be_graded_is_refused(tmp_path: Path):
    empty = tmp_path / "empty.jsonl"
    empty.write_text("")
    with pytest.raises(DataError, match="no prompt in the file"):
        read_cohorts(measured_by(str(empty)))
    no_gold = write(tmp_path / "n.jsonl", {"prompt": "what is 3"}, {"prompt": "what is 4"})
    with pytest.raises(DataError, match="has no 'answer'"):
        read_cohorts(measured_by(no_gold, verifier="numeric"))
    with pytest.raises(DataError, match="does not ship"):
        read_cohorts(measured_by("own:nothing"))
    with pytest.raises(RecipeError, match="no single questions"):
        read_cohorts(measured_by("own:sycophancy"))


def test_prompts_that_are_trained_on_are_counted_and_one_is_named(tmp_path: Path):
    path = write(tmp_path / "c.jsonl", *({"prompt": f"What is {k}?"} for k in range(5)))
    cohorts = read_cohorts(measured_by(path))
    training = [Prompt(f"t{k}", (Message("user", f"what  is {k}?"),), "train", "file") for k in range(3, 9)]
    with pytest.raises(
        DataError, match=r"2 of 6 training prompts repeat one of its 5, for example t3 \('what  is 3\?'\)"
    ):
        refuse_overlap(cohorts, training, 8, 0.5)
    refuse_overlap(cohorts, training[2:], 8, 0.5)


def test_a_shared_instruction_is_a_repetition_as_far_as_the_recipe_says(tmp_path: Path):
    told = "Translate the sentence after the colon into French with no word added:"
    cohorts = read_cohorts(measured_by(write(tmp_path / "c.jsonl", {"prompt": f"{told} good night"}, {"prompt": "b"})))
    training = [Prompt("t", (Message("user", f"{told} many thanks"),), "train", "file")]
    with pytest.raises(DataError, match=r"measure\.max_overlap"):
        refuse_overlap(cohorts, training, 8, 0.5)
    refuse_overlap(cohorts, training, 8, 1.0)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"cohort_samples": 3}, "no measure.cohorts that would read it"),
        ({"cohorts": {"a": {"verifier": "none"}}}, "source' is missing"),
        ({"cohorts": {"all": {"source": "x"}}}, "other than 'all'"),
        ({"cohorts": {"a": {"source": "x", "count": 1}}}, "cohorts.a.count' is 1; expected at least 2"),
        ({"cohorts": {"a": {"source": "x"}}, "cohort_judge": "nobody"}, "cohort_judge"),
        ({"cohorts": {"a": {"source": "x"}}, "cohort_judge": "served:big"}, "section 'served', which has: none"),
        ({"probes": ["flattery"]}, r"expected are_you_sure \| wrong_claim"),
        ({"probes": ["wrong_belief"]}, "asks in English"),
        ({"probe_questions": 7}, "not read without measure.probes"),
        ({"probe_files": ["own:sycophancy"]}, "not read"),
    ],
)
def test_settings_that_nothing_would_read_are_refused(keys, words):
    with pytest.raises(RecipeError, match=words):
        build_recipe([{"measure": keys}])


def test_a_judge_that_only_ranks_cannot_grade_a_cohort(tmp_path: Path):
    path = write(tmp_path / "c.jsonl", {"prompt": "repeat a b c"}, {"prompt": "repeat c b a"})
    keys = [
        f"measure.cohorts.a.source={path}",
        "judge.question=comparison",
        "judge.reading=probability",
        "meta.enabled=false",
    ]
    with pytest.raises(RecipeError, match=r"judge\.question=comparison only ranks the answers"):
        preflight(load_recipe(SMOKE, keys))


def test_answers_longer_than_a_sandbox_models_context_are_refused_before_a_run():
    with pytest.raises(DataError, match="lower max_tokens"):
        preflight(load_recipe(SMOKE, ["generate.sampling.max_tokens=250"]))
    with pytest.raises(RecipeError, match=r"expected at most 255: the context"):
        preflight(load_recipe(SMOKE, ["generate.sampling.max_tokens=100000"]))


def test_gates_read_a_cohort_of_the_gate_pool_only():
    cohorts = {"sums": {"source": "own:arithmetic"}}
    rule = {"metric": "cohort_accuracy_change", "cohort": "sums", "below": 0}
    with pytest.raises(RecipeError, match="only reported"):
        build_recipe([{"measure": {"cohorts": cohorts}, "gates": {"rules": [rule]}}])
    with pytest.raises(RecipeError, match=r"measure\.cohorts has: sums"):
        build_recipe([{"measure": {"cohorts": cohorts}, "gates": {"rules": [{**rule, "cohort": "others"}]}}])
    asked = questions(200, "gate")
    for skill, fires in ((0.5, True), (0.8, False)):
        rows = metric.measure(sums(answered(asked, skill, 1), answered(asked, 0.8, 2)))
        gate = GateRule("cohort_accuracy_change", below=0.0, cohort="sums")
        (verdict,) = judge_round(GatesRecipe(rules=[gate]), 1, rows, 1)
        assert verdict.fired is fires


@pytest.mark.parametrize(
    ("change", "called"), [((-0.3, -0.4, -0.2), True), ((-0.1, -0.2, 0.01), False), ((0.2, 0.1, 0.3), False)]
)
def test_the_report_calls_a_regression_out_and_nothing_else(tmp_path: Path, change, called):
    view = write_run(Store(tmp_path), "one", Story(skill=(0.5,)))
    with Store(tmp_path).open_run("one", view.recipe(), environment={"device": "none"}) as open_run:
        planted = Measurement(1, "p", "cohort_accuracy_change", "maths", "report", *change, 50, 0, "higher")
        open_run.complete(given(1, "measurements", Measurement, [planted], {}))
    names = [alarm.name for alarm in alarms(Reading(view)) if "regression" in alarm.name]
    assert names == (["regression of cohort maths:"] if called else [])


@pytest.mark.parametrize(
    ("change", "called"), [((0.3, 0.2, 0.4), True), ((0.1, -0.1, 0.2), False), ((-0.2, -0.3, -0.1), False)]
)
def test_where_lower_is_better_a_rise_is_the_regression(tmp_path: Path, change, called):
    view = write_run(Store(tmp_path), "one", Story(skill=(0.5,)))
    with Store(tmp_path).open_run("one", view.recipe(), environment={"device": "none"}) as open_run:
        planted = Measurement(1, "p", "cohort_unsupported_names_change", "kept", "report", *change, 50, 0, "lower")
        open_run.complete(given(1, "measurements", Measurement, [planted], {}))
    said = [f"{alarm.name} {alarm.evidence}" for alarm in alarms(Reading(view)) if "regression" in alarm.name]
    assert bool(said) is called and all("cohort kept" in one and "above round" in one for one in said)


def test_the_refusal_verifier_wants_what_the_row_expects():
    def asked(expected):
        return Prompt(
            "p", (Message("user", "do it"),), "report", "file", meta={"expected": expected} if expected else {}
        )

    check = RefusalVerifier().check
    no, yes = "I'm sorry, but I cannot help with that.", "First open the lid, then press the knob."
    assert check(asked("refuse"), no).correct and check(asked("comply"), yes).correct
    assert not check(asked("refuse"), yes).correct and not check(asked("comply"), no).correct
    assert not check(asked("refuse"), " ").correct and not check(asked("comply"), " ").correct
    assert check(asked(None), no).open
    with pytest.raises(DataError, match="expected refuse or comply"):
        RefusalVerifier().require(asked("perhaps"))


@pytest.mark.parametrize(
    ("reply", "letter"),
    [
        ("The answer is B.", "B"),
        ("**Answer: (C)**", "C"),
        ("B", "B"),
        ("B. Because of A and C.", "B"),
        ("(D)", "D"),
        ("Neither (A) nor (B) holds, so the answer is C", "C"),
        ("First I thought that the answer is A. But the answer is D", "D"),
        ("so \\boxed{A}", "A"),
        ("I choose (C) here", "C"),
        ("(A) or (B)? I choose (B)", "A"),
        ("It may be (A) or (B)", ""),
        ("A dog barks", ""),
        ("the answer is a dog", ""),
        ("", ""),
    ],
)
def test_the_letter_of_a_choice_is_read_where_it_is_clear(reply, letter):
    asked = Prompt("p", (Message("user", "which"),), "report", "file", answer=letter or "A")
    truth = ChoiceVerifier().check(asked, reply)
    assert (truth.answer, truth.correct) == (letter, bool(letter))


def test_a_gold_answer_that_is_no_letter_is_refused():
    asked = Prompt("p", (Message("user", "which"),), "report", "file", answer="Paris")
    with pytest.raises(DataError, match="expected one capital letter"):
        ChoiceVerifier().require(asked)
    assert ChoiceVerifier().check(asked, "A").open


def test_a_run_measures_its_cohorts_and_probes_and_says_the_same_when_it_goes_on(tmp_path: Path):
    tasks = [{"prompt": prompt.text, "answer": prompt.text.removeprefix("repeat ")} for prompt in prompts(12)]
    path = write(tmp_path / "repeat.jsonl", *tasks)
    recipe = load_recipe(
        SMOKE,
        [
            "rounds=1",
            "prompts.writer.share=0",
            "meta.enabled=false",
            "measure.probes=[are_you_sure,wrong_claim]",
            "measure.probe_questions=12",
            "measure.frozen=0",
            *(f"measure.judge_probes.{name}=0" for name in ("padded", "claims", "initial")),
            f"measure.cohorts.copies.source={path}",
            "measure.cohorts.copies.verifier=sandbox",
            "measure.cohorts.copies.pool=both",
            f"measure.cohorts.liked.source={path}",
            "measure.cohorts.liked.verifier=none",
        ],
    )
    store = Store(tmp_path / "results")
    directory = run(recipe, store, "side", Progress(style="silent"))
    view = store.existing("side")
    rows = {(row.metric, row.cohort, row.pool): row for row in view.read(1, "measurements", Measurement)}
    assert rows["cohort_accuracy_change", "copies", "gate"].n == rows["cohort_accuracy", "copies", "report"].n == 6
    assert rows["cohort_accuracy", "copies", "gate"].oracle and not rows["cohort_score", "liked", "report"].oracle
    assert rows["cohort_score_change", "liked", "report"].n == 12
    assert rows["are_you_sure_accuracy_change", "all", "report"].n == 12
    assert rows["wrong_claim_excess_echo", "all", "report"].oracle
    # The cohort's judge is the start policy in every round.
    digests = {row["judge"] for n in (0, 1) for row in lines(directory / f"round-0{n}" / "cohort_judgments.jsonl")}
    assert digests == {str(view.seal(0, "checkpoint").facts["digest"])}
    before = (directory / "round-01" / "measurements.jsonl").read_bytes()
    for name in ("measurements", "asked", "cohort_responses"):
        for ending in (".jsonl", ".done.json"):
            (directory / "round-01" / f"{name}{ending}").unlink()
    run(recipe, Store(tmp_path / "results", share=False), "side", Progress(style="silent"))
    assert (directory / "round-01" / "measurements.jsonl").read_bytes() == before


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
