"""Groundedness by rule: examples with their known false alarms, planted inventions found by size, nulls silent."""

import dataclasses
import itertools
import json
import random

import pytest
from evidence_factory import evidence, holds, response

from selfreward.errors import DataError
from selfreward.measuring.evidence import CohortRows, PoolRows
from selfreward.measuring.metrics.policy import groundedness
from selfreward.recipe import CohortRecipe, MeasureRecipe
from selfreward.records import Message, Prompt
from selfreward.tasks.cohorts import read_cohorts
from selfreward.tasks.grounding import copied_share, facts

CONTEXT = (
    "The Golden Gate Bridge in San Francisco opened on 27 May 1937. It is 2,737 metres long and cost about thirty-five "
    "million dollars. Joseph Strauss was its chief engineer. Traffic grew by 3.5% from 2010."
)
ASKED = "When did the bridge open, and did Irving Morrow choose its colour in 1935?"
NAMES = ("Alma", "Boris", "Clara", "Dmitri", "Edith", "Farid", "Greta", "Hugo")
PLACES = ("Lisbon", "Oslo", "Quito", "Riga", "Turin", "Vigo", "Ypres", "Zurich")
SAMPLES = 3


@pytest.mark.parametrize(
    ("answer", "numbers", "names"),
    [
        ("It opened on 27 May 1937 and is 2737 metres long.", (), ()),
        ("It opened in 1938.", ("1938",), ()),
        ("It cost $35,000,000 and grew 3.50% after 2010.", (), ()),
        ("Its engineer was Joseph Strauss, and Strauss's colour was Irving Morrow's.", (), ()),
        ("In the end Charles Ellis did the mathematics in Chicago.", (), ("Charles Ellis", "Chicago")),
        ("Steps:\n1. It opened in 1937.\n2) See Step 3 and (4).\n- San Francisco", (), ()),
        ('I think I\'m right. It may be. Nobody knows: Perhaps. "Quite" so.', (), ()),
        ("", (), ()),
        ("NASA was here, as were 4,000 people.", ("4,000",), ()),
        ("People of NASA were here.", (), ("NASA",)),
        # False alarms that the rules have, each named in the module.
        ("It is 2.737 km long.", ("2.737",), ()),
        ("It opened 73 years before 2010.", ("73",), ()),
        ("Its builders were San Franciscan.", (), ("San Franciscan",)),
        # What they do not find.
        ("It is 1937 metres long.", (), ()),
        ("Ellis built it in seven days.", (), ()),
    ],
)
def test_what_is_not_in_the_context_is_found(answer, numbers, names):
    found = facts(answer, CONTEXT, ASKED)
    assert (found.unsupported_numbers, found.unsupported_names) == (numbers, names)


def test_the_longest_run_is_what_was_copied():
    assert copied_share("a b c d", "x b c y") == 0.5
    assert copied_share(CONTEXT, CONTEXT) == 1.0
    assert copied_share("", CONTEXT) == 0.0 == copied_share("nothing of it", "else")


def questions(count, pool="report"):
    made = []
    for k in range(count):
        rng = random.Random(k)
        context = f"{rng.choice(NAMES)} sold {1000 + k} boxes in {rng.choice(PLACES)} in the year {3000 + k}."
        text = f"{context}\nWho sold how many, and where?"
        meta = {"context": context}
        made.append(Prompt(f"q{k}", (Message("user", text),), pool, "file", "grounded", meta=meta))
    return made


def answered(asked, share, seed, invent="In all there were 77 of them."):
    """`SAMPLES` answers to each that keep to the context, a `share` of them with something invented."""
    rng = random.Random(seed)
    texts = []
    for prompt in asked:
        words = prompt.meta["context"].split()
        for k in range(SAMPLES):
            text = f"That was {words[0]}, who sold {words[2]} boxes in {words[5]}."
            texts.append((prompt, k, f"{text} {invent}" if rng.random() < share else text))
    return PoolRows(asked, [response(prompt, k, text) for prompt, k, text in texts], [])


def found(now, initial, number=1):
    given = dataclasses.replace(evidence(number=number), cohorts=(CohortRows("kept", now, initial, None),))
    return {row.metric: row for row in groundedness.measure(given)}


@pytest.mark.parametrize(
    ("invent", "kind", "other"),
    [
        ("In all there were 77 of them.", "cohort_unsupported_numbers", "cohort_unsupported_names"),
        ("It was told by Ottilie.", "cohort_unsupported_names", "cohort_unsupported_numbers"),
    ],
)
def test_a_planted_invention_is_found_with_its_size_and_as_its_kind(invent, kind, other):
    asked = questions(200)
    rows = found(answered(asked, 0.4, 1, invent), answered(asked, 0.1, 2, invent))
    assert holds(rows[kind], 0.4) and holds(rows[f"{kind}_change"], 0.3) and rows[f"{kind}_change"].low > 0.2
    assert rows[other].value == 0.0 == rows[f"{other}_change"].value
    assert rows[kind].n == 200 and {row.cohort for row in rows.values()} == {"kept"}
    assert {row.better for name, row in rows.items() if "_change" in name} == {"lower"}
    assert not any(row.oracle for row in rows.values())


def test_against_another_context_nearly_nothing_is_supported():
    asked = questions(60)
    rows = found(answered(asked, 0.0, 1), answered(asked, 0.0, 2))
    assert rows["cohort_unsupported_numbers"].value == 0.0 < 0.9 < rows["cohort_unsupported_numbers_other_context"].low
    assert rows["cohort_unsupported_names_other_context"].low > 0.6
    assert rows["cohort_factless"].value == 0.0 and 0.2 < rows["cohort_copied"].value < 0.6


def test_saying_nothing_and_copying_show():
    asked = questions(30)
    mute = PoolRows(asked, [response(prompt, 0, "I cannot tell.") for prompt in asked], [])
    rows = found(mute, mute)
    assert rows["cohort_factless"].value == 1.0 and rows["cohort_unsupported_numbers"].value == 0.0
    copies = PoolRows(asked, [response(prompt, 0, prompt.meta["context"]) for prompt in asked], [])
    assert found(copies, copies)["cohort_copied"].value == 1.0


@pytest.mark.slow
def test_nothing_changed_seldom_looks_like_invention():
    """2.5 % of nulls rise above 0 by chance; 12 of 200 or more have a chance below 1 % then."""
    asked = questions(40)
    low = [
        found(answered(asked, 0.3, 2 * k), answered(asked, 0.3, 2 * k + 1))["cohort_unsupported_numbers_change"].low
        for k in range(200)
    ]
    assert sum(one > 0 for one in low) <= 12


def test_larger_effects_are_found_more_often():
    """The effect-size curve: of 20 rounds of 40 prompts, how many show that a share of answers began to invent."""
    asked = questions(40)
    curve = []
    for size in (0.02, 0.05, 0.1, 0.2, 0.4):
        rows = [found(answered(asked, 0.1 + size, 2 * k), answered(asked, 0.1, 2 * k + 1)) for k in range(20)]
        curve.append(sum(row["cohort_unsupported_numbers_change"].low > 0 for row in rows))
    assert all(later >= earlier - 2 for earlier, later in itertools.pairwise(curve)), curve
    assert curve[0] <= 6 and curve[-2] >= 16 and curve[-1] == 20, curve


def test_prompts_without_a_context_are_left_out_and_counted():
    asked = questions(10)
    plain = [dataclasses.replace(prompt, id=f"plain{prompt.id}", meta={}) for prompt in asked[:3]]
    answers = [response(prompt, 0, "In 1999.") for prompt in (*asked, *plain)]
    rows = found(PoolRows([*asked, *plain], answers, []), PoolRows([], [], []), number=0)
    assert rows["cohort_unsupported_numbers"].n == 10 and rows["cohort_unsupported_numbers"].excluded == 3
    assert not any(name.endswith("_change") for name in rows)
    only = PoolRows(plain, [response(prompt, 0, "In 1999.") for prompt in plain], [])
    assert found(only, only) == {}


@pytest.mark.parametrize(
    ("prompt", "context", "words"),
    [
        ("Ada has 3 cats.\n\nHow many?", "Ada has 3 cats.", ""),
        ("Ada  has 3\ncats. How many?", "Ada has 3 cats.", ""),
        ("How many cats?", "Ada has 3 cats.", "is not in the prompt"),
        ("How many cats?", 3, "meta.context is '3'; expected the text"),
        ("How many cats?", " ", "expected the text to keep to"),
    ],
)
def test_a_context_that_no_answer_could_keep_to_is_refused(tmp_path, prompt, context, words):
    path = tmp_path / "kept.jsonl"
    rows = [{"prompt": f"{prompt} ({k})", "meta": {"context": context}} for k in range(2)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe = MeasureRecipe(cohorts={"kept": CohortRecipe(str(path), verifier="none")})
    if not words:
        assert len(read_cohorts(recipe)[0].prompts) == 2
        return
    with pytest.raises(DataError, match="prompt") as refused:
        read_cohorts(recipe)
    assert words in str(refused.value)
