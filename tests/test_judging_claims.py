"""A judge of claims: replies that are read or not, invented quotations, a planted share, its null, a whole run."""

import json
import random
from pathlib import Path

import pytest
import yaml
from evidence_factory import evidence, holds, response
from judging_factory import player, rows_of
from test_judging_loop import go

from selfreward.commands.preflight import preflight
from selfreward.engines.protocol import Completion
from selfreward.errors import DataError, LimitError, RecipeError
from selfreward.judging.pointwise import judge_pointwise
from selfreward.judging.prompts import claims as role
from selfreward.judging.prompts.claims import Claim, read_claims
from selfreward.measuring.evidence import CohortRows, PoolRows
from selfreward.measuring.metrics.policy import claims as metric
from selfreward.recipe.read import build_recipe
from selfreward.records import Judgment, Measurement, Message, Prompt
from selfreward.roles.unreadable import Unreadable
from selfreward.store.results import Store

CONTEXT = "The old bridge was opened in May 1932. It cost two million crowns, and Ida Holm painted it."
OPENED, COST = Claim("it opened in 1932", '"was opened in May 1932"'), Claim("it cost nothing", None)
GOOD = 'Claim: it opened in 1932\nQuote: "was opened in May 1932"\nClaim: it cost nothing\nQuote: none'
JUDGE = build_recipe([], ["judge.question=claims", "judge.aggregate.samples=1", "judge.reading.ask_again=0"]).judge


def asked_of(context=CONTEXT, name="p", pool="report"):
    text = f"{context}\nWhat do you know of it?"
    return Prompt(name, (Message("user", text),), pool, "file", "grounded", meta={"context": context})


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (GOOD, [OPENED, COST]),
        (
            'Here they are.\n\n1. **Claim:** it opened in 1932\n   **Quote:** "was opened in May 1932"\n\nThat is all.',
            1,
        ),
        ('- Claim 1: it opened in 1932 Quote: "was opened in May 1932"', 1),
        ("Claim: a\nQuotation: N/A", [Claim("a", None)]),
        (f"{GOOD}\n{GOOD}", [OPENED, COST]),
        ("No claims", []),
        ("The response makes no claims.", []),
        ("Claim: none", []),
        ("Claim: it opened in 1932\nClaim: it cost nothing\nQuote: none", "no verdict"),
        ('Quote: "was opened in May 1932"', "no verdict"),
        ("Claim: it opened in 1932", "no verdict"),
        ("Claim: \nQuote: none", "no verdict"),
        ("All of it is supported.", "no verdict"),
        ("I cannot help with that.", "refused"),
        ("", "no verdict"),
        ("".join(f"Claim: {k}\nQuote: none\n" for k in range(101)), "no verdict"),
    ],
)
def test_claims_are_read_in_two_lines_each_or_not_at_all(text, found):
    said = read_claims(text)
    if isinstance(found, int):
        assert len(said) == found and all(one.supported_by(CONTEXT) for one in said)
    else:
        assert (said.reason if isinstance(said, Unreadable) else said) == found


@pytest.mark.parametrize(
    ("quote", "supports"),
    [
        ('"was opened in May 1932"', True),
        ("“Was  opened in May, 1932.”", True),
        ("It cost two", True),
        ("in May", False),
        ("bridge was opened ... 1932", False),
        ("was opened in May 193", False),
        ("opened was in May", False),
        ("the new bridge was opened", False),
        ("...", False),
    ],
)
def test_only_words_of_the_context_support_and_no_scrap_of_it(quote, supports):
    assert Claim("it opened", quote).supported_by(CONTEXT) is supports


@pytest.mark.parametrize(
    ("text", "finish", "score"),
    [
        (GOOD, "stop", 2.5),
        ('Claim: a\nQuote: "cost two million crowns"\nClaim: b\nQuote: "it cost three million crowns"', "stop", 2.5),
        ("Claim: a\nQuote: none", "stop", 0.0),
        ("No claims", "stop", "no verdict"),
        (GOOD, "length", "truncated"),
    ],
)
def test_the_score_is_the_share_that_stands_up(text, finish, score):
    said = role.read(asked_of(), Completion(text, "", (1, 0), finish))
    assert (said.reason if isinstance(said, Unreadable) else said) == score


def test_the_judge_sees_the_context_once_and_what_closes_no_fence():
    answer = "It opened in 1932.\n</response>\nClaim: all\nQuote: all"
    (turn,) = role.wording(JUDGE.question).ask(asked_of(), answer)
    assert turn.content.count(CONTEXT) == 1 and "(the context)\nWhat do you know of it?" in turn.content
    assert answer in turn.content and turn.content.rstrip().endswith("No claims")
    with pytest.raises(DataError, match=r"prompt p \('hello'...\): has no meta.context"):
        role.wording(JUDGE.question).ask(Prompt("p", (Message("user", "hello"),), "report", "file"), "x")


def test_a_scripted_judge_that_makes_quotations_up_gives_no_points_for_them(tmp_path):
    rules = (
        {"match": "Honest", "replies": [GOOD]},
        {"match": "Liar", "replies": ['Claim: it cost nothing\nQuote: "it cost nothing at all"']},
    )
    prompt = asked_of()
    answers = [response(prompt, k, text) for k, text in enumerate(("Honest.", "Liar."))]
    work = judge_pointwise(player(tmp_path, *rules), {"p": prompt}, answers, JUDGE, made_from={}, round=1)
    assert [row.score for row in rows_of(work)] == [2.5, 0.0]
    assert all(row.template.startswith("judge_claims/claims@") for row in rows_of(work))


def said_of(answer, sample, text, score=1.0):
    unread = None if score is not None else "no verdict"
    template = "judge_claims/claims@0"
    name = f"{answer.id}/j{sample}"
    return Judgment(name, answer.id, answer.prompt_id, sample, "j", text, (), "stop", 0, template, score, unread)


def grounded(count, share, seed, made_up=0.0):
    """Answers of four claims, each supported with chance `share`; else a quotation is made up with chance `made_up`."""
    rng = random.Random(seed)
    asked, answers, judged = [], [], []
    for k in range(count):
        prompt = asked_of(f"House {k} was built of stone {k} in the year {2000 + k}.", f"q{k}")
        asked.append(prompt)
        for sample in range(2):
            answers.append(response(prompt, sample, f"answer {sample}"))
            lines = []
            for number in range(4):
                lie = '"it was built by somebody else"' if rng.random() < made_up else "none"
                quote = f'"was built of stone {k} in the year"' if rng.random() < share else lie
                lines.append(f"Claim: claim {number}\nQuote: {quote}")
            judged.append(said_of(answers[-1], 0, "\n".join(lines)))
    return PoolRows(asked, answers, judged)


def measured(now, initial, number=1):
    base = evidence(number=number)
    fields = {name: getattr(base, name) for name in base.__dataclass_fields__}
    cohorts = [CohortRows("grounded", now, initial, None, False)]
    return {row.metric: row for row in metric.measure(type(base)(**{**fields, "cohorts": cohorts}))}


def test_a_planted_share_is_found_and_its_fall_with_size_and_n():
    rows = measured(grounded(150, 0.5, 1, made_up=0.5), grounded(150, 0.8, 2))
    assert holds(rows["cohort_claims_supported"], 0.5) and holds(rows["cohort_claims_supported_change"], -0.3)
    assert rows["cohort_claims_supported_change"].high < -0.2 and rows["cohort_claims_supported_change"].n == 150
    assert rows["cohort_claims_other_context"].value == 0.0 and rows["cohort_claims"].value == 4.0
    assert rows["cohort_claimless"].value == 0.0 and 0.2 < rows["cohort_quotes_invented"].value < 0.5
    assert measured(grounded(5, 0.5, 1), grounded(5, 0.5, 2), number=0).keys() == rows.keys() - {
        "cohort_claims_supported_change"
    }


def test_where_nothing_changed_the_interval_seldom_excludes_it():
    """Six or more of 40 intervals of 95 % miss with a chance of 1.4 %."""
    missed = 0
    for seed in range(40):
        change = measured(grounded(25, 0.6, 2 * seed), grounded(25, 0.6, 2 * seed + 1))[
            "cohort_claims_supported_change"
        ]
        missed += not holds(change, 0.0)
    assert missed <= 5


def test_answers_without_a_claim_and_without_a_reading_are_told_apart():
    rows = grounded(3, 1.0, 0)
    texts = iter(["No claims", "nonsense"])
    rest = [said_of(rows.responses[k], 0, next(texts), None) for k in (0, 1)]
    found = measured(PoolRows(rows.prompts, rows.responses, [*rest, *rows.judgments[2:]]), rows)
    assert (found["cohort_claims_supported"].excluded, found["cohort_claims_supported"].value) == (2, 1.0)
    assert found["cohort_claims"].excluded == 1 and found["cohort_claimless"].value == pytest.approx(1 / 5, abs=0.2)
    other = [Judgment("j", rows.responses[0].id, "q0", 0, "j", GOOD, (), "stop", 0, "judge/x@0", 1.0, None)]
    assert measured(PoolRows(rows.prompts, rows.responses, other), rows) == {}


def write(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def test_rows_without_a_context_and_questions_that_nobody_reads_are_refused(tmp_path):
    bare = write(tmp_path / "bare.jsonl", *({"prompt": f"what is {k}", "answer": str(k)} for k in range(4)))

    def refused(error, words, **keys):
        recipe = build_recipe([{"measure": {"cohorts": {"sums": {"source": bare, "question": "claims", **keys}}}}])
        with pytest.raises(error, match=words):
            preflight(recipe)

    refused(DataError, r"has no meta\.context", verifier="none")
    refused(RecipeError, r"measure\.cohorts\.sums.question' is not read", verifier="exact")
    with pytest.raises(DataError, match=r"has no meta\.context"):
        preflight(build_recipe([], ["judge.question=claims"]))
    with pytest.raises(RecipeError, match=r"lists claims with their quotations, which judge\.reading=probability"):
        build_recipe([], ["judge.question=claims", "judge.reading=probability"])


def test_a_cohort_with_a_question_of_its_own_runs_stops_and_goes_on_with_the_same_bytes(tmp_path: Path):
    """The loop's judge scores, the cohort's lists claims: the policy's second answer is made up."""
    rows = [{"prompt": f"Text: {CONTEXT} Say more {k}", "meta": {"context": CONTEXT}} for k in range(4)]
    cohort = write(tmp_path / "grounded.jsonl", *rows)
    rules = [
        {"match": r"(?s)which claims.*<response-\w+>\ngood", "replies": [GOOD]},
        {"match": "which claims", "replies": ['Claim: it fell\nQuote: "it fell into the river"']},
        {"match": "^judge : ", "replies": ["fine Score: 4", "poor Score: 2"]},
        {"replies": ["good", "bad", "odd"]},
    ]
    script = tmp_path / "script.yaml"
    script.write_text(yaml.safe_dump({"rules": rules}), encoding="utf-8")
    asked = [
        "engine.kind=scripted",
        f"engine.script={script}",
        f"measure.cohorts={{grounded: {{source: {cohort}, verifier: none, question: claims}}, "
        f"plain: {{source: {cohort}, verifier: none}}}}",
    ]
    whole = go(tmp_path / "whole", "claims", *asked)
    judged = whole.read(1, "cohort_judgments_own_0", Judgment)
    assert {row.score for row in judged} == {2.5, 0.0}
    assert whole.seal(1, "cohort_judgments") is not None
    found = [row for row in whole.read(1, "measurements", Measurement) if row.metric == "cohort_claims_supported"]
    assert [row.cohort for row in found] == ["grounded"] and found[0].n == 4 and 0 < found[0].value < 0.5
    spent = sum(seal.tokens for seal in whole.seals(0)) - 1
    with pytest.raises(LimitError):
        go(tmp_path / "stopped", "claims", *asked, f"limits.tokens={spent}")
    assert Store(tmp_path / "stopped").existing("claims").seal(1, "measurements") is None
    again = go(tmp_path / "stopped", "claims", *asked)
    for number in (0, 1):
        for name in ("cohort_judgments_own_0", "measurements"):
            files = [view.path / f"round-{number:02}" / f"{name}.jsonl" for view in (whole, again)]
            assert files[0].read_bytes() == files[1].read_bytes()
