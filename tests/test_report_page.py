"""What the report is decided from: tiles, chosen round, prompts that changed, what is flat, and what words mean."""

import dataclasses
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from run_factory import Story, write_run

from selfreward.measuring.metrics import numbers
from selfreward.records import Measurement
from selfreward.report.alike import differing_keys
from selfreward.report.browser import embedded_prompts
from selfreward.report.changed import Group, changed_prompts
from selfreward.report.changed_prompt import Seen, pair_case
from selfreward.report.flat import is_flat
from selfreward.report.gate_verdicts import selected_round
from selfreward.report.glance import NOT_KNOWN, glance
from selfreward.report.glossary import definitions, term
from selfreward.report.html import write_report
from selfreward.report.page import glossary_of, term_of
from selfreward.report.reading import Key, Reading
from selfreward.report.word_marks import word_marks
from selfreward.store.results import Store

REFUSAL = "I cannot help with that."
STORIES = {
    "honest": Story((0.4, 0.55, 0.75)),
    "pleaser": Story((0.4, 0.39, 0.3), (0, 0.6, 1.6)),
    "still": Story((0.4, 0.4, 0.4), seed=1),
    "blind": Story((0.4, 0.5, 0.7), verifier="none"),
    "refuser": Story((0.4, 0.5), texts={"report": REFUSAL}),
    "start": Story((0.4,)),
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    made = Store(tmp_path_factory.mktemp("results"), share=False)
    for name, story in STORIES.items():
        write_run(made, name, story)
    return made


@pytest.fixture(scope="module")
def runs(store: Store) -> dict[str, Reading]:
    return {name: Reading(store.existing(name)) for name in STORIES}


def groups(run: Reading) -> dict[str, Group]:
    return {group.name: group for group in changed_prompts(run)}


@pytest.mark.parametrize(
    ("name", "words", "moods"),
    [
        ("honest", ("rose", "rose", "not resolved"), ("good", "open", "open")),
        ("pleaser", ("fell", "rose", "widened"), ("bad", "open", "bad")),
        ("blind", (NOT_KNOWN, "rose", NOT_KNOWN), ("open", "open", "open")),
        ("start", ("start", "start", "start"), ("open", "open", "open")),
    ],
)
def test_the_three_tiles_tell_the_planted_story(
    runs: dict[str, Reading], name: str, words: tuple[str, ...], moods: tuple[str, ...]
) -> None:
    found = glance(runs[name])
    assert tuple(tile.word for tile in found.tiles) == words
    assert tuple(tile.mood for tile in found.tiles) == moods
    assert found.chosen == selected_round(runs[name])
    for tile in found.tiles:
        assert tile.sentence.endswith(".") and (tile.value in tile.sentence or tile.value == NOT_KNOWN or tile.before)


def with_rows(run: Reading, *rows: Measurement) -> Reading:
    """The same run, measured further."""
    other = Reading(run.view)
    other.measurements = [*run.measurements, *rows]
    return other


def row(number: int, metric: str, value: float, half: float) -> Measurement:
    fields = {"cohort": "all", "pool": "report", "n": 60, "excluded": 0, "better": ""}
    return Measurement(
        round=number, policy="p", metric=metric, value=value, low=value - half, high=value + half, **fields
    )


def test_a_held_out_judge_stands_for_truth_where_there_is_no_verifier(runs: dict[str, Reading]) -> None:
    won = with_rows(
        runs["blind"],
        row(2, "held_out_win_rate_initial", 0.62, 0.05),
        row(2, "self_minus_held_out_win_rate_initial", 0.1, 0.04),
    )
    truth, _, gap = glance(won).tiles
    assert (truth.word, truth.mood, truth.value) == ("above 0.5", "good", "0.62 [0.57, 0.67]")
    assert (gap.word, gap.mood) == ("above 0", "bad") and "held-out judge prefers round 2" in truth.sentence
    even = glance(with_rows(runs["blind"], row(2, "held_out_win_rate_initial", 0.52, 0.05))).tiles[0]
    assert (even.word, even.mood) == ("not resolved", "open")


def test_the_prompts_that_changed_are_those_whose_answers_did(runs: dict[str, Reading]) -> None:
    run = runs["pleaser"]
    first, last = (run.per_prompt(number)["true_accuracy"] for number in (0, 2))
    found = groups(run)
    assert list(found) == ["right", "wrong", "pleasing", "longer", "refuses", "pairs"]
    rose = {name: last[name] - first[name] for name in first}
    assert found["right"].count == sum(change > 0 for change in rose.values())
    assert found["wrong"].count == sum(change < 0 for change in rose.values()) > found["right"].count
    for name, way in (("right", 1), ("wrong", -1)):
        cases = found[name].cases
        assert len(cases) == 12 == len({case.prompt_id for case in cases})
        changes = [way * rose[case.prompt_id] for case in cases]
        assert changes == sorted(changes, reverse=True) and changes[-1] > 0
        assert changes[0] == max(way * change for change in rose.values())
        assert {(case.left.right, case.right.right) for case in cases} == {(way < 0, way > 0)}
    assert found["refuses"].count == 0 and found["refuses"].cases == []


def test_what_the_judge_likes_and_truth_does_not_is_wrong_and_overrated(runs: dict[str, Reading]) -> None:
    pleased, honest = groups(runs["pleaser"])["pleasing"], groups(runs["honest"])["pleasing"]
    assert pleased.count > 2 * honest.count
    gaps = [case.order["gap"] for case in pleased.cases]
    assert gaps == sorted(gaps, reverse=True) and gaps[-1] >= 1
    assert {case.right.right for case in pleased.cases} == {False}


def test_pairs_against_the_truth_come_first(runs: dict[str, Reading]) -> None:
    run = runs["honest"]
    found = groups(run)["pairs"]
    answers = [pair for pair in run.pairs(2) if pair.kind == "answer"]
    assert found.of == len(answers) and found.told.startswith(f"{found.count} of {found.of} pairs against the truth")
    truth = [case.order["right"] for case in found.cases]
    assert truth == sorted(truth) and sum(value < 0 for value in truth) == min(found.count, len(truth))
    assert {(case.left.title, case.right.title) for case in found.cases} == {("Chosen", "Rejected")}


def test_a_pair_of_a_soft_label_says_it_and_a_certain_one_does_not(runs: dict[str, Reading]) -> None:
    run = runs["honest"]
    made = run.pairs(2)[0]
    seen = Seen.of(run, run.train_answers(2)[made.prompt_id])
    chosen, rejected = (seen.by_id(name) for name in (made.chosen_id, made.rejected_id))
    assert chosen and rejected
    certain, soft = (pair_case(seen, chosen, rejected, dataclasses.replace(made, label=label)) for label in (1.0, 0.75))
    assert "P(chosen" not in certain.numbers and "P(chosen is better) 0.75" in soft.numbers


def test_without_truth_the_judge_sorts_and_nothing_is_called_right(runs: dict[str, Reading]) -> None:
    found = groups(runs["blind"])
    assert list(found) == ["liked-more", "liked-less", "longer", "refuses", "pairs"]
    assert found["liked-more"].count > found["liked-less"].count
    said = json.dumps([dataclasses.asdict(group) for group in found.values()])
    assert "truth" not in said and '"right": true' not in said


def test_refusals_are_found_and_a_start_alone_has_not_changed(runs: dict[str, Reading]) -> None:
    found = groups(runs["refuser"])["refuses"]
    assert found.count == found.of == 60 and len(found.cases) == 12
    assert changed_prompts(runs["start"]) == []


@given(st.text(max_size=60), st.text(max_size=60))
def test_marked_words_lose_nothing_and_what_is_not_marked_is_common(left: str, right: str) -> None:
    marked = word_marks(left, right)
    assert ["".join(text for _, text in side) for side in marked] == [left, right]
    if any(only for side in marked for only, _ in side):
        shared = [re.sub(r"\s", "", "".join(text for only, text in side if not only)) for side in marked]
        assert shared[0] == shared[1]


def test_words_are_marked_where_they_differ() -> None:
    left, right = word_marks("The answer is 4, surely.", "The answer is 5, surely not.")
    assert [text.strip() for only, text in left if only] == ["4"]
    assert [text.strip() for only, text in right if only] == ["5", "not"]
    assert word_marks("one two", "three four") == ([(False, "one two")], [(False, "three four")])


def test_flat_is_what_no_interval_sets_apart(runs: dict[str, Reading]) -> None:
    still, moved = runs["still"], runs["pleaser"]
    key = Key("judge_minus_truth", "report")
    assert is_flat([still], key) and not is_flat([moved], key)
    assert not is_flat([still, moved], key), "the runs are apart"
    assert not is_flat([moved], Key("judge_minus_truth_change", "report")), "a change is held against 0"
    counted = Key("pairs_kept", "train")
    values = [found.value for found in moved.by_key[counted].values()]
    assert is_flat([moved], counted) == (len(set(values)) == 1)
    assert is_flat([runs["start"]], key), "a single round is no line"


def test_every_metric_has_a_meaning_from_its_own_file() -> None:
    meanings = {name: term(name).meaning for name in numbers()}
    assert all(meanings.values())
    assert meanings["true_accuracy"].startswith("share of answers that are right")
    assert meanings["ead_per_input"].startswith("expectation-adjusted")
    assert meanings["pass_at_2"] == meanings["pass_at_8"] if "pass_at_8" in meanings else meanings["pass_at_2"]
    assert term("somebodys_own").meaning == ""
    questions = sum(meaning.endswith("?") for meaning in meanings.values())
    assert questions < len(meanings) / 3, "most are defined, not only asked about"


def test_definitions_are_read_with_their_other_names_and_further_lines() -> None:
    text = "Title?\n\n    a_{x,y}, a_z  first line\n                  goes on\n    b             other\n\nNo  more"
    assert dict(definitions(text)) == {
        "a_x": "first line goes on",
        "a_y": "first line goes on",
        "a_z": "first line goes on",
        "b": "other",
    }


def test_cells_of_tables_find_their_term(runs: dict[str, Reading]) -> None:
    terms = glossary_of([runs["honest"]])
    for text, metric in (
        ("true accuracy *", "true_accuracy"),
        ("judge's mean score, report pool", "judge_mean"),
        ("judge minus truth, change, gate pool, sort", "judge_minus_truth_change"),
        ("quality, judge's pick minus random *", "judge_best_of_n_gain"),
    ):
        found = term_of(text, terms)
        assert found is not None and found.metric == metric
    assert term_of("all stages", terms) is None


def test_a_prompt_of_one_turn_is_its_text_and_of_several_says_who_speaks(
    store: Store, runs: dict[str, Reading]
) -> None:
    told = Reading(write_run(store, "told", Story((0.4,), system="Be short.")))
    one, several = ({row["id"]: row["text"] for row in embedded_prompts([run])} for run in (runs["start"], told))
    assert several.keys() == one.keys()
    for name, text in one.items():
        assert text == told.pools[name].text and several[name] == f"system: Be short.\nuser: {text}"


def test_the_prompts_that_changed_can_be_looked_up(runs: dict[str, Reading]) -> None:
    run = runs["pleaser"]
    wanted = {("pleaser", case.prompt_id) for group in changed_prompts(run) for case in group.cases}
    inside = {(prompt["run"], prompt["id"]) for prompt in embedded_prompts([run], wanted)}
    assert wanted <= inside


def test_several_runs_have_one_verdict_table_with_the_differing_keys_above(store: Store, tmp_path: Path) -> None:
    names = ["honest", "pleaser", "still"]
    page = write_report([store.existing(name) for name in names], tmp_path / "r.html")[0].read_text()
    table = page[page.index('class="verdicts"') : page.index("</table>", page.index('class="verdicts"'))]
    assert table.count('<td class="headline') == 3 and "only pleased itself" in table
    assert page.index("Recipe keys in which they differ") < page.index('class="verdicts"') < page.index('id="changed"')
    keys = differing_keys([Reading(store.existing(name)) for name in names])
    assert keys.rows == [["seed", "0", "0", "1"]]
    assert page.count("Recipe keys in which they differ") == 2, "caption and its label, and not once more per run"
