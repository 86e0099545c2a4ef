"""Runs with a planted story go through the real store and metrics; the report must tell that story and no other."""

import csv
import dataclasses
import html
import io
import json
import re
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from run_factory import Story, write_run
from scipy import stats as scipy_stats

from selfreward.errors import DataError, GateError, StoreError
from selfreward.judging.readable import require_readable
from selfreward.measuring.metrics import numbers as known_metrics
from selfreward.measuring.selection import best_round
from selfreward.measuring.stats.multiplicity import holm, p_value
from selfreward.measuring.stats.nested_difference import nested_paired_difference
from selfreward.measuring.stats.sign_test import sign_test
from selfreward.recipe import Recipe
from selfreward.recipe.shape import keys
from selfreward.records import Judgment, Measurement
from selfreward.report.ablation import ablation_table
from selfreward.report.alarms import alarms, keys_against
from selfreward.report.browser import embedded_prompts, script_safe
from selfreward.report.catalogue import words as metric_words
from selfreward.report.compare import Compared, by_evidence, compare, comparison_table
from selfreward.report.figures import nice_ticks
from selfreward.report.html import write_report
from selfreward.report.judge_skill import KNOW, LEARN
from selfreward.report.reading import Key, Reading
from selfreward.report.show import print_prompt
from selfreward.report.tables import number_text, pairs_table
from selfreward.report.terminal import print_comparison, print_report
from selfreward.report.verdict import judge_run
from selfreward.store.results import Store

ATTACK = "</script><script>document.title='taken'</script><!-- <b>\u2028 & \"quoted\" <img src=x onerror=alert(1)>"
STORIES = {
    "honest": Story((0.4, 0.55, 0.75)),
    "pleaser": Story((0.4, 0.39, 0.3), (0, 0.6, 1.6)),
    "still": Story((0.4, 0.4, 0.4)),
    "still-too": Story((0.4, 0.4, 0.4), seed=1),
    "peaked": Story((0.3, 0.8, 0.5)),
    "overtaken": Story((0.3, 0.8, 0.5), (0, 0, 1.2)),
    "blind": Story((0.4, 0.5, 0.7), verifier="none"),
    "attacked": Story((0.4, 0.5), texts={"report": ATTACK, "train": ATTACK}),
    "elsewhere": Story((0.4, 0.5), prompts_seed="other"),
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    made = Store(tmp_path_factory.mktemp("results"), share=False)
    for name, story in STORIES.items():
        write_run(made, name, story)
    return made


def reading(store: Store, name: str) -> Reading:
    return Reading(store.existing(name))


def text_of(print_into, *arguments) -> str:
    stream = io.StringIO()
    print_into(*arguments, Console(file=stream, width=120))
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "tone", "says"),
    [
        ("honest", "good", "really improved"),
        ("pleaser", "bad", "only pleased itself"),
        ("still", "open", "not resolved"),
        ("peaked", "mixed", "improved until round 1 and then lost part of it again."),
        ("overtaken", "mixed", "improved until round 1 and then lost part of it again, while its judge's belief ran"),
        ("blind", "open", "cannot be known"),
    ],
)
def test_the_verdict_tells_the_planted_story(store: Store, name: str, tone: str, says: str) -> None:
    verdict = judge_run(reading(store, name))
    assert verdict.tone == tone
    assert says in verdict.headline


def test_without_a_verifier_nothing_is_said_about_truth(store: Store) -> None:
    verdict = judge_run(reading(store, "blind"))
    assert "The length in tokens" in " ".join(verdict.details)
    said = " ".join((verdict.headline, *verdict.details))
    assert "accuracy" not in said and "minus truth" not in said
    assert "held-out judge or human labels" in said


@pytest.mark.slow
def test_verdicts_on_runs_without_any_change_are_rarely_wrong(tmp_path: Path) -> None:
    made = Store(tmp_path, share=False)
    tones = [
        judge_run(Reading(write_run(made, f"null-{seed}", Story((0.5, 0.5), seed=seed)))).tone for seed in range(12)
    ]
    # Each is wrong with a chance of 5 % for truth and 2.5 % for the gap: four of twelve would happen once in 200 tries.
    assert tones.count("open") >= 9


def test_recomputed_values_agree_with_the_measurements(store: Store) -> None:
    run = reading(store, "honest")
    for number in run.rounds:
        values = run.per_prompt(number)
        for metric in ("true_accuracy", "true_quality", "judge_mean", "length_tokens", "distinct_answers"):
            row = run.by_key[Key(metric, "report")][number]
            # The judge's mean is over answers there and over prompts here: unread verdicts make a small difference.
            tolerance = 0.02 if metric == "judge_mean" else 1e-9
            assert np.mean(list(values[metric].values())) == pytest.approx(row.value, abs=tolerance)


def test_comparing_a_run_with_itself_finds_nothing(store: Store) -> None:
    rows = compare(reading(store, "honest"), reading(store, "honest"))
    assert {row.difference.estimate.value for row in rows} == {0.0}
    assert {row.verdict for row in rows} == {"same by construction"}
    assert {row.difference.estimate.low for row in rows} == {None}
    shown = text_of(print_comparison, store.existing("honest"), store.existing("honest"))
    assert "same by construction" in shown


def test_answers_that_agree_by_chance_leave_room_and_are_not_the_same_by_construction(
    store: Store, tmp_path: Path
) -> None:
    """Other weights, equal answers: the bytes are equal, what they were made from is not."""
    other = tmp_path / "fork"
    shutil.copytree(store.existing("honest").path, other)
    for seal in other.glob("round-02/eval_*.done.json"):
        text = seal.read_text(encoding="utf-8")
        seal.unlink()
        seal.write_text(re.sub(r'"fingerprint": "[0-9a-f]{4}', '"fingerprint": "0000', text), encoding="utf-8")
    rows = compare(reading(store, "honest"), Reading(store.existing(str(other))))
    assert {row.round_b for row in rows if row.verdict == "same by construction"} == {0, 1}
    found = {row.metric: row.difference for row in rows if row.round_b == 2}
    for difference in found.values():
        assert difference.estimate.value == 0 and difference.smallest_effect > difference.estimate.high > 0
    accuracy = found["true_accuracy"]
    assert accuracy.estimate.high == pytest.approx(4.0 / (60 + 4.0), abs=0.001)
    assert p_value(accuracy) == 1.0


def test_a_pool_of_which_nothing_is_ever_right_claims_no_smallest_effect_of_0(tmp_path: Path) -> None:
    made = Store(tmp_path, share=False)
    verdict = judge_run(Reading(write_run(made, "hopeless", Story((0.0, 0.0), report=16))))
    sentence = next(text for text in verdict.details if text.startswith("True accuracy"))
    assert "+0.00 [-0.22, +0.22], 16 prompts" in sentence and "one of 0.311 would be" in sentence


def test_two_runs_show_the_recipe_keys_in_which_they_differ(store: Store) -> None:
    shown = text_of(print_comparison, store.existing("still"), store.existing("still-too"))
    table = shown.split("Recipe keys in which they differ")[1].split("Shared in")[0]
    assert shown.index("Recipe keys in which") < shown.index("Shared in") < shown.index("paired by prompt")
    assert re.search(r"seed\s+0\s+1", table) and "measure" not in table


def test_a_comparison_says_what_is_shared_and_orders_the_rest_by_its_evidence(store: Store, tmp_path: Path) -> None:
    forked = Store(tmp_path, share=False)
    shutil.copytree(store.existing("honest").path, tmp_path / "honest")
    honest = forked.existing("honest")
    forked.fork("honest", 1, "other", honest.recipe(), {})
    shutil.copytree(store.existing("peaked").directory(2), tmp_path / "other" / "round-02")
    shown = " ".join(text_of(print_comparison, honest, forked.existing("other")).split())
    assert "Their recipes have the same values." in shown
    assert "Shared in rounds 0, 1: everything (same by construction" in shown
    a, b = Reading(honest), Reading(forked.existing("other"))
    rows = by_evidence(compare(a, b))
    assert {row.round_b for row, _, _ in rows} == {2}, "what is shared is not listed"
    chances = [chance for _, chance, _ in rows if chance is not None]
    assert chances == sorted(chances) and len(chances) == len(rows) >= 5
    assert [adjusted for _, _, adjusted in rows] == pytest.approx(holm(chances))
    first = comparison_table([row for row, _, _ in reversed(rows)], a.name, b.name).rows[0]
    assert first[0] == metric_words(rows[0][0].metric)


def test_a_difference_that_does_not_survive_holm_is_not_called_one() -> None:
    def row(metric: str, value: float) -> Compared:
        table = {("", "", str(number)): value + (number % 2 - 0.5) / 2 for number in range(40)}
        difference = nested_paired_difference(table, (-1.0, 1.0))
        return Compared(metric, 1, 1, 0.5, 0.5 + value, difference, sign_test(table.values()))

    faint = row("true_accuracy", 0.095)
    assert faint.verdict == "higher" and 0.01 < p_value(faint.difference) < 0.05
    alone = comparison_table([faint], "a", "b")
    among = comparison_table([faint, *(row("claim_echo", 0.0) for _ in range(9))], "a", "b")
    assert (alone.rows[0][6], among.rows[0][6]) == ("higher", "not after Holm")


def test_comparison_is_antisymmetric_and_finds_the_planted_difference(store: Store) -> None:
    forth = compare(reading(store, "honest"), reading(store, "pleaser"))
    back = compare(reading(store, "pleaser"), reading(store, "honest"))
    for one, other in zip(forth, back, strict=True):
        assert one.difference.estimate.value == pytest.approx(-other.difference.estimate.value)
        if one.difference.estimate.low is not None:
            assert one.difference.estimate.low == pytest.approx(-other.difference.estimate.high)
    last = {row.metric: row.verdict for row in forth if row.round_b == 2}
    assert (last["true_accuracy"], last["judge_minus_truth"]) == ("lower", "higher")


def test_runs_with_different_pools_are_not_compared(store: Store) -> None:
    with pytest.raises(DataError, match=r"'honest' and 'elsewhere'.*report pools differ in 120 prompts"):
        compare(reading(store, "honest"), reading(store, "elsewhere"))
    with pytest.raises(DataError, match=r"measure.verifier is 'sandbox' and 'none'"):
        compare(reading(store, "honest"), reading(store, "blind"))


def test_a_run_without_measurements_is_refused(store: Store, tmp_path: Path) -> None:
    empty = Store(tmp_path, share=False)
    with empty.open_run("empty", store.existing("honest").recipe(), environment={}):
        pass
    with pytest.raises(StoreError, match="no round is measured yet"):
        Reading(empty.existing("empty"))


def test_the_terminal_report_has_every_kind_of_number(store: Store) -> None:
    said = text_of(print_report, [store.existing("pleaser")])
    for words in (
        "true accuracy *",
        "judge minus truth",
        "↑",
        "score entropy",
        "unreadable verdicts",
        "dropped answer: tie",
    ):
        assert words in said
    assert max(map(len, said.splitlines())) <= 120
    row = reading(store, "pleaser").by_key[Key("true_accuracy", "report")][0]
    assert number_text(row.value, row.low, row.high) in said


def test_kept_and_dropped_account_for_every_prompt(store: Store) -> None:
    run = reading(store, "honest")
    table = pairs_table(run)
    for column, number in enumerate(run.rounds[1:], start=1):
        assert sum(int(row[column]) for row in table.rows) == len(run.prompts_of(number))


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        # Half widths of .03, .22, .05, 12, 3.25, .0096 and 1.15: the rule's examples are .827 ± .119 and .827 ± .367.
        ((0.512, 0.482, 0.542), "0.512 [0.482, 0.542]"),
        ((0.827, 0.708, 0.946), "0.83 [0.71, 0.95]"),
        ((0.827, 0.46, 1.194), "0.8 [0.5, 1.2]"),
        ((0.5, 0.45, 0.55), "0.50 [0.45, 0.55]"),
        ((134, 122, 146), "134 [122, 146]"),
        ((31.44, 28.19, 34.69), "31.4 [28.2, 34.7]"),
        ((0.5, 0.4904, 0.5096), "0.500 [0.490, 0.510]"),
        ((0.05, 0.002, 0.098), "0.050 [0.002, 0.098]"),
        ((1.0, 1.0, 1.0), "1.000 [1.000, 1.000]"),
        ((0.0, 0.0, 1e-300), "0.0000 [0.0000, 0.0000]"),
        ((2.0, None, None), "2.000"),
        ((-0.001, -0.07, 0.06), "0.00 [-0.07, 0.06]"),
        ((-0.00001, None, None), "0.0000"),
        ((None, None, None), "–"),
    ],
)
def test_a_number_has_the_decimals_that_its_interval_deserves(numbers: tuple[float | None, ...], text: str) -> None:
    assert number_text(*numbers) == text


def test_a_fall_that_rounds_to_0_is_not_shown_with_the_sign_of_a_rise():
    assert number_text(-0.04, -0.6, 0.5, signed=True) == "0.0 [-0.6, +0.5]"
    assert number_text(0.04, -0.5, 0.6, signed=True) == "+0.0 [-0.5, +0.6]"


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_a_resolved_interval_is_never_shown_as_one_that_holds_0(low: float, width: float) -> None:
    shown = re.findall(r"[+-]?[\d.]+", number_text(low, low, low + width, signed=True))
    assert float(shown[0]) == float(shown[1]), "the value has the decimals of its interval"
    if low >= 5e-5:
        assert float(shown[1]) > 0
    if low + width <= -5e-5:
        assert float(shown[2]) < 0


def test_every_alarm_names_keys_that_exist_and_what_stands_there(store: Store) -> None:
    everything = {key.name for key in keys(Recipe)}
    worries = [(one.name, worry) for one in known_metrics().values() for worry in one.worries]
    assert len(worries) > 20
    for metric, worry in worries:
        assert worry.remedies, metric
        assert {remedy.key for remedy in worry.remedies} <= everything, metric
    assert {remedy.key for remedy in (*KNOW, *LEARN)} <= everything
    run = reading(store, "pleaser")
    fired = alarms(run)
    known = [found for alarm in fired for found in keys_against(run, alarm)]
    assert {remedy.key: now for remedy, now in known}["judge.model"] == "policy"
    assert "Against it: judge.model" in " ".join(text_of(print_report, [store.existing("pleaser")]).split())


def test_terminal_comparison_and_show(store: Store) -> None:
    honest, run = store.existing("honest"), reading(store, "honest")
    assert "paired by prompt" in text_of(print_comparison, honest, store.existing("pleaser"))
    pair = run.pairs(1)[0]
    said = text_of(print_prompt, honest, pair.prompt_id)
    assert said.count("CHOSEN") == said.count("REJECTED") == 1
    assert "became a pair" in said and "round 1" in said and "round 2" not in said
    pool_prompt = next(prompt for prompt in run.pools.values() if prompt.pool == "report")
    said = text_of(print_prompt, honest, pool_prompt.id[:12])
    assert f" · report pool · {pool_prompt.cohort} · " in said
    assert [f"round {number}" in said for number in (0, 1, 2)] == [True] * 3 and "CHOSEN" not in said
    with pytest.raises(DataError, match="no prompt 'zzz'"):
        print_prompt(honest, "zzz", Console())
    with pytest.raises(DataError, match=r"begins \d+ ids"):
        print_prompt(honest, "", Console())


@given(st.text())
def test_no_text_can_leave_the_script_element(text: str) -> None:
    safe = script_safe({"text": text})
    assert not re.search("[<>&\u2028\u2029]", safe)
    assert json.loads(safe) == {"text": text}


def test_the_files_hold_the_same_numbers(store: Store, tmp_path: Path) -> None:
    page, as_json, as_markdown, as_csv = write_report(
        [store.existing("honest"), store.existing("pleaser")], tmp_path / "new" / "report.html"
    )
    rows = list(csv.DictReader(as_csv.open()))
    runs = json.loads(as_json.read_text())["runs"]
    assert len(rows) == sum(len(run["measurements"]) for run in runs)
    first = reading(store, "honest").measurements[0]
    assert rows[0] == {"run": "honest"} | {k: "" if v is None else str(v) for k, v in dataclasses.asdict(first).items()}
    for text in (page.read_text(), as_markdown.read_text()):
        assert runs[1]["verdict"]["headline"] in html.unescape(text)
    again = write_report([store.existing("honest"), store.existing("pleaser")], tmp_path / "again" / "report.html")
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in (page, as_json, as_markdown, as_csv)]


def test_the_page_asks_nothing_of_the_network_and_runs_no_text_of_a_model(store: Store, tmp_path: Path) -> None:
    page = write_report([store.existing("attacked")], tmp_path / "report.html")[0].read_text()
    assert not re.search(r"""(src|href)\s*=\s*["']?(https?:|//)|url\(|@import""", page)
    assert page.count("<script") == page.count("</script>") == 2
    assert "<img" not in page


def test_several_runs_of_one_name_and_of_different_pools_are_refused(store: Store, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    with pytest.raises(DataError, match="same name"):
        write_report([store.existing("honest")] * 2, page)
    strangers = [store.existing("honest"), store.existing("pleaser"), store.existing("elsewhere")]
    for make in (lambda: write_report(strangers, page), lambda: text_of(print_report, strangers)):
        with pytest.raises(DataError, match=r"'honest' and 'elsewhere' cannot be compared: .*pools differ in 120"):
            make()
    assert not page.exists()
    assert "pleaser minus honest" in text_of(print_report, strangers[:2])


def test_the_browser_takes_at_most_300_prompts_from_everywhere(store: Store, tmp_path: Path) -> None:
    big = reading(
        Store(tmp_path, share=False), write_run(Store(tmp_path, share=False), "big", Story((0.4, 0.5), report=400)).name
    )
    prompts = embedded_prompts([big, reading(store, "honest")])
    assert len(prompts) == 300
    where = {(prompt["run"], prompt["pool"]) for prompt in prompts}
    assert where == {(run, pool) for run in ("big", "honest") for pool in ("report", "train")}
    assert {prompt["cohort"] for prompt in prompts} == {"repeat", "sort", "count"}


def test_ablation_of_one_run_each(store: Store) -> None:
    grid = {
        arm: {("sandbox:seed-0", 0): name} for arm, name in zip("abc", ("honest", "still", "still-too"), strict=True)
    }
    result = ablation_table(store, grid, [("a", "b"), ("b", "c")])
    rows = {(row.arm, row.metric): row for row in result.contrasts}
    assert rows["a", "true_accuracy"].verdict == "higher"
    assert rows["b", "true_accuracy"].verdict.startswith("not resolved")
    assert rows["b", "judge_spearman"].verdict == "no interval"
    # The factory's two judges of one seed said the same of the frozen pool, from equal ingredients: one artifact.
    shared = rows["a", "judge_spearman"]
    assert (shared.verdict, shared.p, shared.difference.estimate.low) == ("same by construction", None, None)
    assert "same by construction" in result.markdown() and "inside each metric's scale" in result.markdown()
    assert rows["a", "true_accuracy"].difference.unit == "prompts of one run"
    start = next(row.start for row in result.arms if (row.arm, row.metric) == ("a", "judge_exact"))
    measured = reading(store, "honest").by_key[Key("judge_exact", "frozen")][0]
    assert start.estimate.value == pytest.approx(measured.value, abs=0.02)


@pytest.mark.slow
def test_ablation_pairs_arms_by_model_seed_and_prompt(tmp_path: Path) -> None:
    made = Store(tmp_path, share=False)
    grid = {
        arm: {(f"model-{model}", seed): f"{arm}-{model}-{seed}" for model in range(3) for seed in range(2)}
        for arm in ("good", "control", "alike")
    }
    ends = {"good": 0.75, "control": 0.4, "alike": 0.41}
    for arm, cells in grid.items():
        for (model, seed), name in cells.items():
            lift = 0.04 * int(model[-1])
            write_run(made, name, Story((0.4 + lift, ends[arm] + lift), seed=10 * int(model[-1]) + seed))
    result = ablation_table(made, grid, [("good", "control"), ("alike", "control")])
    rows = {(row.arm, row.metric): row for row in result.contrasts}
    assert rows["good", "true_accuracy"].verdict == "higher"
    assert rows["alike", "true_accuracy"].verdict.startswith("not resolved")
    difference = rows["good", "true_accuracy"].difference
    assert (difference.models, difference.runs, difference.prompts) == (3, 6, 60)
    assert difference.estimate.low < 0.35 < difference.estimate.high
    gain = next(row.gain for row in result.arms if (row.arm, row.metric) == ("good", "true_accuracy"))
    assert gain.estimate.low > 0
    assert "Holm" in result.markdown() and "not resolved" in result.markdown()
    assert len(json.loads(result.as_json())["contrasts"]) == len(result.contrasts) == 8
    with pytest.raises(DataError, match="no arm 'missing'"):
        ablation_table(made, grid, [("missing", "control")])


# Where every prompt moved: otherwise there is room for moves that none shows, and the t-test has none.
@given(st.lists(st.floats(-1, 1), min_size=3, max_size=30).filter(lambda v: all(v) and np.std(v) > 1e-3))
def test_p_values_of_one_run_are_those_of_the_t_test(values: list[float]) -> None:
    difference = nested_paired_difference({("m", "r", str(index)): value for index, value in enumerate(values)})
    expected = max(1e-12, scipy_stats.ttest_1samp(values, 0).pvalue)
    assert p_value(difference) == pytest.approx(expected, rel=1e-3, abs=1e-9)


@given(st.integers(2, 5), st.integers(2, 20), st.floats(-1, 1), st.integers(0, 2**20))
@settings(max_examples=50)
def test_a_p_value_below_five_percent_means_resolved(models: int, prompts: int, shift: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    table = {(str(m), "r", str(p)): shift + rng.normal() for m in range(models) for p in range(prompts)}
    difference = nested_paired_difference(table)
    chance = p_value(difference)
    assert chance is not None
    if abs(chance - 0.05) > 1e-4:
        assert (chance < 0.05) == difference.resolved


def test_holm_by_hand_and_its_bounds() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == [] and holm([0.9, 0.8]) == [1.0, 1.0]


@given(st.floats(-1e6, 1e6), st.floats(0, 1e6))
def test_ticks_cover_the_data_and_are_few(low: float, width: float) -> None:
    ticks = nice_ticks(low, low + width)
    slack = 1e-6 * max(1.0, abs(low), width)
    assert ticks[0] <= low + slack and ticks[-1] >= low + width - slack
    assert 2 <= len(ticks) <= 8


def row(number: int, metric: str, value: float, low: float | None = None, **more) -> Measurement:
    fields = {"cohort": "all", "pool": "selection", "excluded": 0, "better": "", "high": None, "n": 100} | more
    return Measurement(round=number, policy="p", metric=metric, value=value, low=low, **fields)


def gains(*values_and_halves: tuple[float, float], metric: str = "judge_mean_change") -> list[Measurement]:
    rows = [row(0, "judge_mean", 3.0)]
    for number, (value, half) in enumerate(values_and_halves, start=1):
        rows.append(row(number, metric, value, value - half, high=value + half))
    return rows


def test_best_round_needs_a_resolved_rise() -> None:
    assert best_round([]) == 0
    assert best_round(gains((0.4, 0.5), (0.2, 0.5))) == 0
    assert best_round(gains((0.4, 0.3), (0.6, 0.7))) == 1
    assert best_round(gains((0.4, 0.3), (0.6, 0.4), (0.6, 0.4))) == 3
    assert best_round(gains((0.4, 0.3), (0.6, 0.4), (0.6, 0.4)), rejected={3}) == 2


def test_the_latest_within_one_standard_error_of_the_highest_is_taken() -> None:
    # A 95 % half-width of .2 over 100 prompts is 1.984 standard errors: one of them is .1008.
    assert best_round(gains((0.6, 0.2), (0.5, 0.2))) == 2
    assert best_round(gains((0.6, 0.2), (0.498, 0.2))) == 1
    assert best_round(gains((0.6, 0.1), (0.5, 0.2))) == 1, "the error is that of the highest"
    assert best_round(gains((0.6, 0.2), (0.55, 0.6))) == 1, "a round without a resolved gain is none of the candidates"


@given(st.lists(st.tuples(st.floats(0.01, 1), st.floats(0.001, 0.5)), min_size=1, max_size=6))
def test_a_round_that_is_no_longer_the_best_never_is_again(found: list[tuple[float, float]]) -> None:
    """Weights of rounds that were not the best may be discarded."""
    chosen = [best_round(gains(*found[:count])) for count in range(1, len(found) + 1)]
    assert chosen == sorted(chosen)


def test_the_held_out_judge_selects_where_it_is_asked_to() -> None:
    rows = gains((0.6, 0.1), (0.2, 0.1)) + gains((0.55, 0.04), (0.7, 0.04), metric="held_out_win_rate_initial")[1:]
    assert best_round(rows) == 1 and best_round(rows, select_by="held_out") == 2
    even = gains((0.52, 0.04), metric="held_out_win_rate_initial")
    assert best_round(even, select_by="held_out") == 0, "half of the pairs is no gain"


def test_best_round_never_looks_at_truth_or_at_another_pool() -> None:
    rows = gains((0.4, 0.1), (0.2, 0.1))
    more = {"low": 4.9, "high": 5.1}
    unseen = [row(2, "true_accuracy", 1.0, oracle=True), row(2, "judge_mean_change", 5.0, pool="report", **more)]
    other = row(2, "judge_mean_change", 5.0, cohort="sort", **more)
    assert best_round([*rows, *unseen, other]) == best_round(rows) == 1
    with pytest.raises(GateError, match="oracle"):
        best_round([dataclasses.replace(item, oracle=True) for item in rows])


def test_unreadable_verdicts_stop_the_round() -> None:
    def judgment(number: int, score: float | None) -> Judgment:
        reason = None if score is not None else "no verdict"
        return Judgment(str(number), "r", "p", 0, "j", "", (), "stop", 0, "t", score, reason)

    verdicts = [judgment(number, 3.0 if number < 5 else None) for number in range(10)]
    require_readable(verdicts, 0.5, 1)
    with pytest.raises(GateError, match=r"round 2: 5 of 10 .*at least 60%.*no verdict 5"):
        require_readable(verdicts, 0.6, 2)
    with pytest.raises(GateError, match="no verdict was asked for"):
        require_readable([], 0.0, 1)


def test_the_advice_for_probabilities_names_no_key_of_sampled_replies() -> None:
    silent = Judgment("1", "r", "p", 0, "j", "", (), "stop", 0, "t", None, "no score mass")
    with pytest.raises(GateError) as refused:
        require_readable([silent], 0.5, 1)
    assert "sampling" not in str(refused.value) and "judge.reading=verdict" in str(refused.value)
    with pytest.raises(GateError, match=r"judge\.reading\.sampling\.max_tokens"):
        require_readable([dataclasses.replace(silent, unreadable="truncated")], 0.5, 1)


@pytest.mark.slow
def test_a_large_report_is_small_and_quick(tmp_path: Path) -> None:
    long = "word " * 600
    made = Store(tmp_path, share=False)
    write_run(made, "large", Story((0.4,) * 5, texts={"report": long, "train": long}, report=300))
    begun = time.perf_counter()
    page = write_report([made.existing("large")], tmp_path / "report.html")[0]
    assert page.stat().st_size < 15e6
    assert time.perf_counter() - begun < 20
