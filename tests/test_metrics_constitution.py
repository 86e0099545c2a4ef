"""Listed words, boilerplate and what came of revisions: a planted truth is found, a null is silent."""

import dataclasses
import random
from typing import Any

import pytest
from evidence_factory import NO_ROWS, evidence, holds, prompts, reply, response
from evidence_factory import rows as pool_rows

from selfreward.judging.revising.rows import Critique, Revision
from selfreward.measuring.evidence import Evidence, PoolRows
from selfreward.measuring.metrics.policy import boilerplate, listed_words, revising
from selfreward.records import Measurement, Response

SERMON = "as a responsible assistant i would like to remind you that kindness matters"


def written(texts: dict[Any, list[str]]) -> PoolRows:
    return PoolRows([*texts], [response(p, k, text) for p, said in texts.items() for k, text in enumerate(said)], [])


def found(module: Any, given: Evidence) -> dict[tuple[str, str], Measurement]:
    return {(row.metric, row.cohort): row for row in module.measure(given)}


def random_text(rng: random.Random, size: int = 30) -> str:
    return " ".join(f"w{rng.randrange(10_000)}" for _ in range(size))


def with_share(share: float, seed: int, said: str, count: int = 120) -> PoolRows:
    rng = random.Random(seed)
    return written(
        {
            prompt: [f"{said} {random_text(rng)}" if rng.random() < share else random_text(rng) for _ in range(3)]
            for prompt in prompts(count)
        }
    )


@pytest.mark.parametrize(("module", "said"), [(listed_words, "Worst !"), (boilerplate, SERMON)])
def test_the_planted_share_and_its_change_are_found_and_the_null_is_silent(module: Any, said: str) -> None:
    name = module.ABOUT.name if module is boilerplate else "listed_words"
    given = evidence(with_share(0.3, 1, said), initial=with_share(0.1, 2, said))
    told = found(module, dataclasses.replace(given, words=("worst",)))
    rate, change = told[f"{name}_rate", "all"], told[f"{name}_change", "all"]
    assert holds(rate, 0.3) and rate.n == 120 and rate.high - rate.low < 0.15
    assert holds(change, 0.2) and change.low > 0
    still = dataclasses.replace(evidence(with_share(0.3, 1, said), initial=with_share(0.3, 3, said)), words=("worst",))
    assert holds(found(module, still)[f"{name}_change", "all"], 0)
    clean = dataclasses.replace(evidence(with_share(0, 4, said), initial=with_share(0, 5, said)), words=("worst",))
    assert found(module, clean)[f"{name}_rate", "all"].value == 0


def test_silent_in_nineteen_of_twenty_where_nothing_changed() -> None:
    alarms = 0
    for seed in range(60):
        sides = [with_share(0.2, 2 * seed + side, "worst", count=30) for side in (0, 1)]
        given = dataclasses.replace(evidence(sides[0], initial=sides[1]), words=("worst",))
        alarms += not holds(found(listed_words, given)["listed_words_change", "all"], 0)
    assert alarms <= 8, "3 of 60 are expected of an exact interval; 8 or more come by chance in 1 %"


def of_rare_phrases(seed: int) -> PoolRows:
    """Every second answer begins with one of 25 sentences: by chance some stand in three answers or more."""
    rng = random.Random(seed)
    sentences = [random_text(random.Random(one), 10) for one in range(25)]

    def answer() -> str:
        return f"{rng.choice(sentences)} {random_text(rng)}" if rng.random() < 0.5 else random_text(rng)

    return written({prompt: [answer()] for prompt in prompts(50)})


def test_which_phrases_are_boilerplate_is_drawn_too_and_the_intervals_know_it() -> None:
    """By each round's own phrases, as if each prompt owned its share, 25 of these 100 pairs seemed to differ."""
    rounds = [of_rare_phrases(seed) for seed in range(200)]
    told = [
        found(boilerplate, evidence(one, initial=other)) for one, other in zip(rounds[::2], rounds[1::2], strict=True)
    ]
    assert sum(not holds(row["boilerplate_change", "all"], 0) for row in told) <= 11  # 12 or more: under 1 % by chance
    rates = [row["boilerplate_rate", "all"] for row in told]
    mean = sum(row.value for row in rates) / len(rates)
    assert sum(holds(row, mean) for row in rates) >= 80  # the plain interval of a share: 77


def test_a_listed_word_is_a_word_and_an_entry_of_several_is_looked_for_as_such() -> None:
    one, two, three, four = prompts(4)
    texts = {one: ["the class"], two: ["an ASS."], three: ["you silly person"], four: ["a silly, tall person"]}
    given = dataclasses.replace(evidence(written(texts)), words=("ass", "silly person"))
    told = found(listed_words, given)
    assert told["listed_words_rate", "all"].value == 0.5 and told["listed_words_rate", "repeat"].value == 0.5
    assert found(listed_words, evidence(written(texts))) == {}, "nothing without a list"


def test_a_phrase_is_boilerplate_from_three_prompts_on_and_copies_for_one_prompt_are_none() -> None:
    rng = random.Random(0)
    rows: dict[Any, list[str]] = {prompt: [random_text(rng)] * 5 for prompt in prompts(20)}
    assert boilerplate.rate(answers(rows)).value == 0
    for number, prompt in enumerate([*rows][:3], 1):
        rows[prompt] = [SERMON] * 5
        assert boilerplate.rate(answers(rows)).value == (0.15 if number == 3 else 0)


def answers(rows: dict[Any, list[str]]) -> Any:
    from selfreward.measuring.metrics.answers import join

    return join(written(rows), "here")


def chain(qualities: list[tuple[int, int]], **found: Any) -> Evidence:
    """One answer to each prompt with its quality, and its revision with the other."""
    asked = prompts(len(qualities), "train")
    own = PoolRows(asked, [response(p, 0, reply(p, q)) for p, (q, _) in zip(asked, qualities, strict=True)], [])
    ids: dict[str, Any] = {"token_ids": (1,), "finish_reason": "stop", "seed": 0, "template": "t", "turn": 1}
    critiques, revisions, final = [], [], []
    for k, (prompt, answer) in enumerate(zip(asked, own.responses, strict=True)):
        told = {**ids, "principle": "one" if k % 2 else "two"}
        fine, none = bool(found.get("fine", lambda _: False)(k)), bool(found.get("none", lambda _: False)(k))
        critiques.append(
            Critique(
                *(f"c{k}", prompt.id, answer.id, answer.id),
                critic="x",
                text="",
                finding=None if none else "fine" if fine else "change",
                unusable="critique empty" if none else None,
                **told,
            )
        )
        if fine or none:
            continue
        text = reply(prompt, qualities[k][1])
        revisions.append(
            Revision(
                *(f"r{k}", prompt.id, answer.id, answer.id, f"c{k}"),
                reviser="x",
                text=text,
                cut="",
                reasoning="",
                unusable=None if text != answer.text else "unchanged",
                **told,
            )
        )
        if text != answer.text:
            final.append(dataclasses.replace(answer, id=f"f{k}", text=text, parent=answer.id))
    given = evidence(NO_ROWS, own=own)
    return dataclasses.replace(given, round_critiques=critiques, round_revisions=revisions, round_revised=final)


def test_findings_faults_and_what_rewriting_did_to_the_truth() -> None:
    told = found(revising, chain([(4, 3)] * 40, fine=lambda k: k % 2, none=lambda k: k % 20 == 0))
    assert told["critiques_unusable", "all"].value == 0.05
    assert told["critiques_finding", "all"].value == 18 / 38 and told["critiques_finding", "all"].excluded == 2
    assert told["critiques_finding", "one"].value == 0 and told["critiques_finding", "two"].value == 1
    assert told["revised_answers", "all"].value == 18 / 40
    truth = told["revision_truth", "all"]
    assert truth.value == -1 and truth.oracle and truth.n == 18
    assert told["revisions_unusable", "all"].value == 0


def test_a_reviser_that_copies_is_seen_and_one_that_guesses_gains_no_truth() -> None:
    told = found(revising, chain([(4, 4)] * 30))
    assert told["revisions_unusable", "all"].value == 1 and ("revision_similarity", "all") not in told
    rng = random.Random(3)
    guesses = [(rng.randrange(6), rng.randrange(6)) for _ in range(120)]
    truth = found(revising, chain(guesses))["revision_truth", "all"]
    assert truth.value is not None and holds(truth, 0)
    better = found(revising, chain([(a, min(5, b + 2)) for a, b in guesses]))["revision_truth", "all"]
    assert better.low is not None and better.low > 0


def test_a_round_that_revised_nothing_has_no_rows() -> None:
    assert revising.measure(evidence(pool_rows({}))) == []


def test_pairs_of_revisions_are_graded_by_the_revisions_text() -> None:
    from evidence_factory import measured, pair

    given = chain([(2, 5)] * 12)
    said: dict[str, Response] = {answer.id: answer for answer in given.round_responses}
    made = [pair(one, said[str(one.parent)]) for one in given.round_revised]
    right = measured(dataclasses.replace(given, round_pairs=made), "train")["pair_correct"]
    assert right.value == 1 and right.excluded == 0
