"""Human anchors of a run: blinding, the draw, planted agreement and nulls, the locked share, and the way into a run."""

import csv
import dataclasses
import json
import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from run_factory import Story, write_run
from sklearn.metrics import cohen_kappa_score
from small_keys import UNPROBED
from typer.testing import CliRunner

from selfreward.commands.anchors.agreement import agreement, gate_word
from selfreward.commands.anchors.candidates import Candidate, pool_answers
from selfreward.commands.anchors.draw import chances, draw, spread
from selfreward.commands.anchors.key import Key, KeyRow, read_key
from selfreward.commands.anchors.labels import settle
from selfreward.commands.anchors.sample import Wanted, make_key, sample
from selfreward.commands.anchors.scoring import anchors_of, means, score
from selfreward.commands.anchors.sheet import Sheet
from selfreward.commands.anchors.words import as_json, lines
from selfreward.commands.cli import app
from selfreward.commands.judge_diff import judge_diff
from selfreward.commands.prompt_checks import check_pools
from selfreward.commands.run import run
from selfreward.errors import DataError, RecipeError, StoreError
from selfreward.measuring.stats.clustered import Estimate
from selfreward.progress import Progress
from selfreward.recipe.read import build_recipe, load_recipe
from selfreward.records import Labelled, Measurement, Message, Prompt, Response
from selfreward.store.results import Store
from selfreward.tasks.anchors_file import anchor_lines, read_anchors
from selfreward.tasks.open_source import open_source
from selfreward.tasks.sets.labels import read_judge_calibration, read_truth_judge
from selfreward.tasks.verifiers.sandbox import SandboxVerifier

DATA = Path(__file__).parents[2] / "shared" / "data"
SMOKE = Path(__file__).parent.parent / "recipes" / "smoke.yaml"
TRUTH = SandboxVerifier()


def quality(row: KeyRow) -> int:
    """What an attentive person says of an answer of the sandbox."""
    prompt = Prompt("", row.candidate.messages, "gate", "sandbox")
    return int(TRUTH.check(prompt, row.shown[0]).quality)


@pytest.fixture(scope="module")
def view(tmp_path_factory):
    return write_run(Store(tmp_path_factory.mktemp("results")), "told", Story(skill=(0.3, 0.5), report=150))


def wrote(path):
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.reader(stream))


# Blinding and the draw


def test_a_sheet_of_everything_is_the_same_bytes_whatever_judge_said_what(tmp_path):
    """Two runs of equal answers; one judge is up to three points too generous. Nothing on the sheets tells which."""
    written = []
    for name, generosity in (("one", (0.0, 0.0)), ("other", (0.0, 3.0))):
        made = write_run(Store(tmp_path / name), name, Story(skill=(0.3, 0.5), generosity=generosity, report=30))
        done = sample(made, 1, tmp_path / f"{name}.csv", Wanted(10_000, "report", double=1.0))
        written.append([path.read_bytes() for path in (done.sheet, done.second)])
        scores = [row.candidate.judge for row in done.key.rows]
        assert len(scores) > 90
    assert written[0] == written[1]
    assert written[0][0] != written[0][1], "the second annotator has another order"


@pytest.mark.parametrize("unread", [0, 3])
def test_answers_that_the_judge_said_nothing_readable_about_are_told_where_there_are_some(unread, view, tmp_path):
    done = sample(view, 1, tmp_path / "s.csv", Wanted(20))
    told = dataclasses.replace(done, key=dataclasses.replace(done.key, unread=unread)).lines()
    assert [line for line in told if "readable" in line] == [
        f"left out: {count} answers without a readable score" for count in (unread,) if count
    ]


def test_no_field_of_a_sheet_tells_run_round_policy_score_or_whether_it_is_locked(view, tmp_path):
    done = sample(view, 1, tmp_path / "s.csv", Wanted(60, audit=0.05))
    rows = wrote(done.sheet)
    assert rows[0] == ["id", "prompt", "answer", "label", "comment"]
    texts = {text for row in done.key.rows for text in (row.candidate.messages[0].content, *row.candidate.texts)}
    assert {cell for line in rows[1:] for cell in line[1:]} <= texts | {""}
    ids = [line[0] for line in rows[1:]]
    assert ids == sorted(ids) and len(set(map(len, ids))) == 1
    written = done.sheet.read_text(encoding="utf-8-sig")
    for row in done.key.rows:
        for secret in (view.name, row.candidate.template, row.candidate.id, row.candidate.prompt_id):
            assert secret not in written


def test_the_place_of_a_row_does_not_predict_its_score_part_or_lock(view):
    """Rank correlation of the place with each secret, over many sheets: within the noise of 60 rows, 95 %."""
    from scipy.stats import spearmanr

    outside = Counter()
    total = 0
    for rows in range(30, 71, 2):
        key, _ = make_key(view, 1, Wanted(rows, audit=0.05))
        place = np.arange(len(key.rows))
        total += 1
        for name, secret in (
            ("score", [row.candidate.judge for row in key.rows]),
            ("locked", [row.locked for row in key.rows]),
            ("audit", [row.part == "audit" for row in key.rows]),
        ):
            outside[name] += abs(spearmanr(place, secret).statistic) > 2.6 / np.sqrt(len(place))
    # Larger sheets contain most rows of the smaller ones, so these are not independent; a leak would be in all.
    assert max(outside.values()) < total / 2, outside


def test_rare_scores_are_drawn_like_common_ones(view):
    population, _ = pool_answers(view, 1, "report")
    points = Counter(one.point for one in population)
    wanted = 6 * min(points.values())
    drawn = Counter(one.point for one in spread(population, wanted))
    assert min(points.values()) < max(points.values()) / 4, "the story has rare scores"
    assert set(drawn.values()) == {min(points.values())}


@pytest.mark.parametrize("share", [0.1, 0.15, 0.2])
def test_the_locked_share_is_kept_and_a_prompt_is_locked_in_every_round_or_in_none(view, share):
    keys = [make_key(view, number, Wanted(50, locked=share))[0] for number in (0, 1)]
    locked = [{row.candidate.prompt_id for row in key.rows if row.locked} for key in keys]
    free = [{row.candidate.prompt_id for row in key.rows if not row.locked} for key in keys]
    assert not (locked[0] | locked[1]) & (free[0] | free[1])
    for key in keys:
        assert 0.1 <= sum(row.locked for row in key.rows) / len(key.rows) <= 0.2
    assert all(row.locked for row in make_key(view, 1, Wanted(20, "report"))[0].rows), "the report pool never steers"


def test_audits_are_two_to_five_percent_of_every_rounds_training_answers_and_no_anchors(tmp_path):
    made = write_run(Store(tmp_path), "long", Story(skill=(0.3, 0.4, 0.5)))
    key, _ = make_key(made, 2, Wanted(20, audit=0.04))
    audits = [row for row in key.rows if row.part == "audit"]
    for number in (1, 2):
        count = len({(row.prompt_id, row.text) for row in made.read(number, "responses", Response)})
        mine = [row for row in audits if row.candidate.round == number]
        assert 0.02 <= len(mine) / count <= 0.06
    assert all(row.locked for row in audits)
    labels = {row.id: quality(row) for row in key.rows}
    written = anchors_of(score(key, settle(key, [Sheet("s", labels, 0)])))
    anchors = sorted(row.candidate.texts[0] for row in key.rows if row.part == "anchor")
    assert sorted(one.answer for one in written) == anchors and len(anchors) == 20


def test_chances_undo_the_draw_and_lend_to_what_nobody_labelled():
    def one(name, point, cohort="a"):
        return Candidate(name, name, (Message("user", name),), cohort, ("x",), 1, float(point), "t")

    population = [*(one(f"five{n}", 5) for n in range(8)), one("four", 4), one("two", 2), one("other", 5, "b")]
    found = chances(population, {"five0", "five1", "two"})
    assert found["five7"] == pytest.approx(2 / 10) == found["four"] == found["other"]
    assert found["two"] == 1.0 and chances(population, set()) == {}
    certain = dataclasses.replace(one("same", 1), certain=1.0)
    assert chances([*population, certain], {"two"})["same"] == 1.0
    assert draw([certain], 5, 0.15)[0] == []


# Agreement: planted, null, and the gate


def made_up(rng, count, agree, levels=6):
    """Uniform points; the second rater repeats the first with chance `agree` and else guesses: kappa is `agree`."""
    first = [float(rng.randrange(levels)) for _ in range(count)]
    second = [one if rng.random() < agree else float(rng.randrange(levels)) for one in first]
    return first, second, [f"p{number}" for number in range(count)]


@pytest.mark.parametrize(("agree", "levels"), [(0.5, 6), (0.8, 6), (0.5, 3)])
def test_planted_kappa_is_recovered_and_is_scikit_learns(agree, levels):
    first, second, prompts = made_up(random.Random(1), 500, agree, levels)
    found = agreement(first, second, prompts, levels)
    assert found.kappa.low <= agree <= found.kappa.high and found.kappa.high - found.kappa.low < 0.13
    for name, weights in (("kappa", None), ("linear", "linear"), ("quadratic", "quadratic")):
        assert getattr(found, name).value == pytest.approx(cohen_kappa_score(first, second, weights=weights))
    assert found.raw.value == pytest.approx(np.mean(np.equal(first, second)))


def test_people_and_a_judge_who_guess_have_kappa_around_0_in_almost_all_of_200_nulls():
    rng, misses, passed = random.Random(0), 0, 0
    for _ in range(200):
        found = agreement(*made_up(rng, 60, 0.0), 6)
        misses += not found.kappa.low <= 0 <= found.kappa.high
        passed += gate_word(found.kappa, 0).word != "not passed"
    assert misses <= 22 and passed == 0


def test_few_rows_that_all_agree_do_not_pass_the_gate():
    few = agreement([0.0, 1.0, 5.0, 4.0], [0.0, 1.0, 5.0, 4.0], list("abcd"), 6)
    assert few.kappa.value == 1.0 and few.kappa.low < 0.5
    assert gate_word(few.kappa, 0).word == "not resolvable"
    first, second, prompts = made_up(random.Random(2), 300, 0.95)
    sure = agreement(first, second, prompts, 6)
    assert gate_word(sure.kappa, 0).word == "passed"
    assert gate_word(sure.kappa, 3).word == "not resolvable" and "3 disputed" in gate_word(sure.kappa, 3).sentence


def test_the_gates_three_words_and_how_many_prompts_would_tell():
    assert gate_word(Estimate(0.5, 0.4, 0.6, 100), 0).word == "not passed"
    unsure = gate_word(Estimate(0.80, 0.70, 0.88, 100), 0)
    assert unsure.word == "not resolvable" and unsure.needed == pytest.approx(100 * (0.10 / 0.08) ** 2, abs=1)
    below = gate_word(Estimate(0.68, 0.60, 0.76, 100), 0)
    assert below.word == "not resolvable" and below.needed == pytest.approx(100 * (0.08 / 0.04) ** 2, abs=1)
    for nothing in (Estimate(None, None, None, 0), Estimate(1.0, None, None, 1)):
        assert gate_word(nothing, 0).word == "not resolvable" and str(nothing.n) in gate_word(nothing, 0).sentence


# From labels to what is told


def labelled(key, noise=0.0, seed=0, locked=None):
    """Truthful people who err by a point with chance `noise`; `locked` is what they say of locked rows instead."""
    rng = random.Random(seed)
    labels = {}
    for row in key.rows:
        step = rng.choice((-1, 1)) if rng.random() < noise else 0
        labels[row.id] = min(5, max(0, quality(row) + step)) if locked is None or not row.locked else locked
    return Sheet("sheet", labels, 0)


def test_what_locked_rows_are_labelled_changes_nothing_that_steers(view):
    key, _ = make_key(view, 1, Wanted(80))
    one, other = (score(key, settle(key, [labelled(key, 0.1, locked=said)])) for said in (None, 0))
    assert one.steering == other.steering and one.gate == other.gate and one.slices == other.slices
    assert one.locked.kappa != other.locked.kappa
    assert "locked rows (reported only)" in "\n".join(lines(one))


def test_the_pools_mean_from_some_labels_is_the_truth(view):
    """Labels by the oracle on 120 of the report pool's answers: the interval holds the mean of all labels."""
    key, _ = make_key(view, 1, Wanted(120, "report"))
    population, _ = pool_answers(view, 1, "report")
    everything = [
        float(quality(KeyRow("", "anchor", one, False, False))) for one in population for _ in range(one.copies)
    ]
    found = means(key, settle(key, [labelled(key)]))
    for name, value in (("mean score", np.mean(everything)), ("share above 2.5", np.mean(np.greater(everything, 2.5)))):
        powered = found[name]
        assert powered.rows == len(everything) > powered.labelled >= 120
        assert powered.estimate.low <= value <= powered.estimate.high
        assert powered.estimate.high - powered.estimate.low < powered.human_only.high - powered.human_only.low


def test_a_win_rate_from_pairs_is_the_truth_and_sides_do_not_matter(view):
    key, _ = make_key(view, 1, Wanted(100, "report", against=0))
    assert 0.3 < np.mean([row.swapped for row in key.rows]) < 0.7

    def prefers(row):
        alone = [dataclasses.replace(row.candidate, texts=(text,)) for text in row.shown]
        good = [quality(dataclasses.replace(row, candidate=one, swapped=False)) for one in alone]
        return 1 + (good[0] > good[1]) - (good[0] < good[1])

    found = score(key, settle(key, [Sheet("s", {row.id: prefers(row) for row in key.rows}, 0)]))
    powered = found.means["win rate against round 0"]
    everything = [
        prefers(KeyRow("", "anchor", one, False, False)) / 2 for one in key.population for _ in range(one.copies)
    ]
    assert powered.estimate.low <= np.mean(everything) <= powered.estimate.high
    assert powered.rows == len(everything) > powered.labelled
    assert found.gate is None and found.locked.kappa.value > 0.3
    turned = dataclasses.replace(key, rows=tuple(dataclasses.replace(row, swapped=not row.swapped) for row in key.rows))
    again = score(turned, settle(turned, [Sheet("s", {row.id: prefers(row) for row in turned.rows}, 0)]))
    assert again.means == found.means


def test_slices_are_parts_of_the_whole_and_the_json_is_whole(view):
    key, _ = make_key(view, 1, Wanted(80, audit=0.05))
    found = score(key, settle(key, [labelled(key, 0.2), labelled(key, 0.2, seed=1)]))
    for start, parts in (("cohort", 3), ("", None), ("judged by", 1)):
        mine = [part for part in found.slices if part.name.startswith(start)]
        assert parts is None or (len(mine) == parts and sum(p.found.rows for p in mine) == found.steering.rows)
    assert sum(part.found.rows for part in found.slices if part.name.endswith(" answers")) == found.steering.rows
    locked = {row.id for row in key.rows if row.locked}
    assert found.gate.waiting == len(set(found.settled.waiting) - locked) > 0 and "disputed" in found.gate.sentence
    told = json.loads(as_json(found))
    assert told["steering"]["kappa"]["value"] == found.steering.kappa.value and told["key"]["rows"]["audit"] >= 1
    assert told["settled"]["waiting"] == list(found.settled.waiting) and found.settled.waiting
    assert found.annotators.rows == len(key.rows)


# The command


def test_the_command_from_sheet_to_anchors(view, tmp_path):
    def call(*words):
        return CliRunner().invoke(app, ["anchors", *map(str, words)])

    sheet = tmp_path / "sheet.csv"
    done = call("sample", f"{view.path}@1", "--out", sheet, "--n", 60, "--audit")
    assert done.exit_code == 0 and "9 of them locked" in done.output
    for path, noise, seed in ((sheet, 0.05, 0), (tmp_path / "sheet-second.csv", 0.3, 1)):
        _fill(path, noise, seed)
    both = (sheet, tmp_path / "sheet-second.csv")
    done = call("score", *both, "--out", tmp_path / "anchors.jsonl", "--json", tmp_path / "found.json")
    assert done.exit_code == 0 and "wait for adjudication" in done.output and "gate, lower bound" in done.output
    disputed = len(wrote(tmp_path / "sheet-adjudicate.csv")) - 1
    audited = {row.id for row in read_key(tmp_path / "sheet.key.json").rows if row.part == "audit"}
    waiting = {line[0] for line in wrote(tmp_path / "sheet-adjudicate.csv")[1:]} - audited
    assert waiting and len(read_anchors(tmp_path / "anchors.jsonl")) == 60 - len(waiting)
    _fill(tmp_path / "sheet-adjudicate.csv", 0.0, 2)
    done = call("score", *both, "--adjudicated", tmp_path / "sheet-adjudicate.csv", "--out", tmp_path / "anchors.jsonl")
    assert done.exit_code == 0 and f"{disputed} were adjudicated" in done.output
    anchored = read_anchors(tmp_path / "anchors.jsonl")
    assert len(anchored) == 60 and sum(row.prompt.pool == "locked" for row in anchored) == 9
    assert isinstance(call("sample", view.path, "--out", sheet).exception, DataError)
    for words, kind in (
        (("sample", view.path, "--out", tmp_path / "x.csv", "--audit-share", 0.03), RecipeError),
        (("sample", view.path, "--out", tmp_path / "x.csv", "--against", 1), RecipeError),
        (("sample", f"{view.path}@7", "--out", tmp_path / "x.csv"), DataError),
        (("score", sheet, sheet), RecipeError),
        (("sample", view.path, "--out", tmp_path / "no" / "x.csv"), StoreError),
        (("score", sheet, "--out", tmp_path / "no" / "x.jsonl"), StoreError),
    ):
        assert isinstance(call(*words).exception, kind)
    assert call("sample", view.path, "--out", tmp_path / "x.csv", "--locked", 0.5).exit_code == 2


def _fill(path, noise, seed):
    rng, rows = random.Random(seed), wrote(path)
    for line in rows[1:]:
        prompt = Prompt("", (Message("user", line[1]),), "gate", "sandbox")
        step = rng.choice((-1, 1)) if rng.random() < noise else 0
        line[3] = str(min(5, max(0, int(TRUTH.check(prompt, line[2]).quality) + step)))
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows(rows)


# The way into a run


def file_of(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


GOOD = {"prompt": "why?", "answer": "so", "label": 4}


def test_the_file_of_anchors_comes_back(view, tmp_path):
    key, _ = make_key(view, 1, Wanted(40))
    found = score(key, settle(key, [labelled(key)]))
    path = tmp_path / "anchors.jsonl"
    path.write_text(anchor_lines(anchors_of(found)), encoding="utf-8")
    rows = read_anchors(path)
    by_text = {(row.prompt.messages, row.response.text): row for row in rows}
    assert len(by_text) == len(key.rows) == 40
    for one in key.rows:
        row = by_text[one.candidate.messages, one.candidate.texts[0]]
        assert (row.label, row.source, row.prompt.pool == "locked") == (float(quality(one)), "human", one.locked)
        assert row.prompt.cohort == one.candidate.cohort


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        (GOOD | {"label": 6}, "label is 6; expected a number from 0 to 5"),
        (GOOD | {"label": True}, "label is true or false"),
        ({"prompt": "why?", "answer": "so"}, "label is null"),
        (GOOD | {"locked": "yes"}, "locked is a string"),
        (GOOD | {"answer": None}, "answer is null"),
        (GOOD | {"lable": 3}, "unknown field 'lable'"),
        (GOOD | {"answer": "fine"}, "the same prompt and answer as line 1"),
        (GOOD | {"locked": True}, "'locked' alike on all rows of a prompt"),
    ],
)
def test_an_anchor_that_cannot_be_used_is_named(tmp_path, row, complaint):
    path = file_of(tmp_path / "a.jsonl", GOOD | {"answer": "fine"}, row)
    with pytest.raises(DataError, match=rf"a\.jsonl:2: .*{complaint}"):
        read_anchors(path)
    with pytest.raises(DataError, match="no row"):
        read_anchors(file_of(tmp_path / "empty.jsonl"))


def test_a_gate_cannot_name_the_locked_share():
    with pytest.raises(RecipeError, match="locked"):
        build_recipe([], ["gates.rules=[{metric: judge_kappa, below: 0.72, pool: locked, proof: health}]"])
    with pytest.raises(RecipeError, match=r"measure\.anchors"):
        build_recipe([], ["measure.anchors=a.jsonl", "measure.frozen=0"])


def small(results, name, anchors, *overrides):
    store = Store(results, share=True)
    keys = [
        "rounds=1",
        "train.method=none",
        "meta.enabled=false",
        "prompts.writer.share=0",
        "prompts.per_round=16",
        "measure.report=8",
        *UNPROBED,
    ]
    run(load_recipe(SMOKE, [*keys, f"measure.anchors={anchors}", *overrides]), store, name, Progress())
    return store.existing(name)


HEALTH = "gates.rules=[{metric: judge_kappa, below: 0.72, pool: frozen, proof: health, action: stop}]"


@pytest.fixture(scope="module")
def steered(tmp_path_factory):
    """A run, its gate pool labelled by people who agree with nobody, and two runs on that with a gate.

    They differ in the labels of the locked rows. The directory, the key and both runs.
    """
    results = tmp_path_factory.mktemp("steered")
    key, _ = make_key(small(results, "start", "null"), 0, Wanted(100))
    rng = random.Random(0)
    said = {row.id: rng.randrange(6) for row in key.rows}
    for name, locked in (("one", None), ("other", 0)):
        labels = {row.id: said[row.id] if locked is None or not row.locked else locked for row in key.rows}
        found = score(key, settle(key, [Sheet("s", labels, 0)]))
        (results / f"{name}.jsonl").write_text(anchor_lines(anchors_of(found)), encoding="utf-8")
    return results, key, [small(results, name, results / f"{name}.jsonl", HEALTH) for name in ("one", "other")]


def test_anchors_steer_a_run_and_locked_ones_only_report(steered):
    _, key, views = steered
    rows = [view.read(1, "measurements", Measurement) for view in views]
    frozen, locked = ([[row for row in side if (row.pool == "locked") == only] for side in rows] for only in (0, 1))
    assert frozen[0] == frozen[1] and locked[0] != locked[1]
    kappa = {row.pool: row for row in rows[0] if row.metric == "judge_kappa"}
    assert not kappa["frozen"].oracle and not kappa["locked"].oracle
    assert kappa["frozen"].low < 0.72
    pools = Counter(row.prompt.pool for row in views[0].read(0, "frozen", Labelled))
    assert pools["locked"] == sum(row.locked for row in key.rows) and pools["frozen"]
    events = [json.loads(line) for line in (views[0].path / "journal.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["decision"] for line in events if line["event"] == "verdict"] == ["stop"]


def test_a_judge_is_not_chosen_by_the_locked_rows(steered):
    _, key, views = steered
    told = judge_diff(views[0], 0, ["aggregate.samples=1"], ["aggregate.samples=2"], again=False)
    free = sum(not row.locked for row in key.rows)
    assert told.difference.answers + told.first.unread + told.second.unread >= free >= told.difference.answers


def test_a_row_of_the_report_pool_must_be_locked(steered):
    results, _, _ = steered
    shown = Store(results).existing("start").read(0, "pools", Prompt)
    asked = next(one for one in shown if one.pool == "report")
    leak = {"messages": [{"role": "user", "content": asked.text}], "answer": "x", "label": 1}
    with pytest.raises(DataError, match=r"of the report pool, which never steers"):
        small(results, "leak", file_of(results / "leak.jsonl", leak))
    recipe = build_recipe([], [f"measure.anchors={file_of(results / 'kept.jsonl', leak | {'locked': True})}"])
    source = open_source(recipe)
    check_pools(recipe, source, source.training(1, recipe.rounds * recipe.prompts.per_round))


def test_a_training_prompt_is_no_anchor(steered):
    results, _, _ = steered
    asked = open_source(build_recipe([], [])).training(1, 1)[0]
    leak = {"messages": [{"role": "user", "content": asked.text}], "answer": "x", "label": 1}
    recipe = build_recipe([], [f"measure.anchors={file_of(results / 'trained.jsonl', leak)}"])
    source = open_source(recipe)
    with pytest.raises(DataError, match="frozen"):
        check_pools(recipe, source, source.training(1, recipe.rounds * recipe.prompts.per_round))


# Labels by real people


def extract(name):
    if not (DATA / f"{name}_dev.jsonl").is_file():
        pytest.skip("the extracts are not there")
    return DATA / f"{name}_dev.jsonl"


def test_three_real_annotators_and_a_judge_who_prefers_the_longer_reply():
    """PandaLM: 201 pairs, three people each. Their kappas are scikit-learn's; the length judge is right on .67."""
    pairs = [row for row in read_judge_calibration(extract("judge_calibration")) if row.annotator_labels]
    place = {"b": 0, "tie": 1, "a": 2}
    rows, people, final = [], [{}, {}, {}], {}
    for number, pair in enumerate(pairs):
        texts = pair.response_a, pair.response_b
        longer = float(1 + (len(texts[0]) > len(texts[1])) - (len(texts[0]) < len(texts[1])))
        made = Candidate(pair.id, pair.id, pair.turns, pair.axis, texts, 1, longer, "length")
        rows.append(KeyRow(pair.id, "anchor", made, number % 7 == 0, True))
        for one, label in zip(people, pair.annotator_labels, strict=True):
            one[pair.id] = place[label]
        if len(set(pair.annotator_labels)) > 1:
            final[pair.id] = place[pair.human_label]
    key = Key("pairs", "people", 1, 0, "report", 0, tuple(rows), tuple(row.candidate for row in rows))
    settled = settle(key, [Sheet(str(n), one, 0) for n, one in enumerate(people)], Sheet("majority", final, 0))
    assert len(settled.labels) == len(pairs) == 201 and not settled.waiting
    assert all(settled.labels[pair.id] == place[pair.human_label] for pair in pairs)
    assert len(final) / len(pairs) == pytest.approx(0.17, abs=0.01), "all three agree on 83 %"
    found = score(key, settled)
    firsts, seconds = ([double[side] for double in settled.doubles] for side in (1, 2))
    assert found.annotators.kappa.value == pytest.approx(cohen_kappa_score(firsts, seconds))
    assert found.annotators.kappa.low > 0.6
    decided = [row for row in rows if settled.labels[row.id] != 1 and row.judge != 1]
    assert np.mean([row.judge == settled.labels[row.id] for row in decided]) == pytest.approx(0.67, abs=0.006)
    assert found.gate.word == "not passed" and found.steering.kappa.low > 0, "better than chance, and no judge"
    assert found.steering.rows + found.locked.rows == 201


def test_few_real_truth_labels_and_a_poor_judge_cover_the_share_of_true_answers():
    """200 answers, half of them true; 60 labels at a time and an answer's length as the judge: covered, never wider."""
    answers = read_truth_judge(extract("truth_judge"))
    truth_of = [float(row.human_label) for row in answers]
    judge = [min(5.0, len(row.answer) / 20) for row in answers]
    from selfreward.measuring.stats.prediction_powered import prediction_powered_mean

    hits, ratios = 0, []
    for seed in range(300):
        chosen = set(random.Random(seed).sample(range(len(answers)), 60))
        labels = [value if number in chosen else None for number, value in enumerate(truth_of)]
        found = prediction_powered_mean(judge, labels, [row.question for row in answers])
        hits += found.estimate.low <= 0.5 <= found.estimate.high
        ratios.append((found.estimate.high - found.estimate.low) / (found.human_only.high - found.human_only.low))
    assert hits / 300 >= 0.93
    assert np.median(ratios) < 1.02


def test_means_through_the_whole_draw_are_covered():
    """500 pools of 400 answers, a generous judge, 80 labels drawn evenly over scores: mean and share hold the truth."""
    rng = np.random.default_rng(0)
    everyone = np.clip(np.round(3 + rng.normal(scale=2**0.5, size=1_000_000)), 0, 5)
    truths = {"mean score": everyone.mean(), "share above 2.5": (everyone > 2.5).mean()}
    hits = Counter()
    for seed in range(500):
        rng = np.random.default_rng(seed)
        level = np.repeat(rng.normal(size=100), 4)
        label = np.clip(np.round(3 + level + rng.normal(size=400)), 0, 5)
        judge = np.clip(np.round(3 * (0.8 * label + 1 + 0.5 * rng.normal(size=400))) / 3, 0, 5)
        asked = (Message("user", "?"),)
        pool = [
            Candidate(f"{seed}-{n}", f"p{n // 4}", asked, "abc"[n // 4 % 3], ("x",), 1, float(judge[n]), "t", 1 + n % 2)
            for n in range(400)
        ]
        drawn, locked = draw(pool, 80, 0.15)
        rows = [KeyRow(one.id, "anchor", one, one.prompt_id in locked, False) for one in drawn]
        key = Key("score", "run", 1, None, "gate", 0, tuple(rows), tuple(pool))
        said = {row.id: int(label[int(row.id.split("-")[1])]) for row in rows}
        for name, found in means(key, settle(key, [Sheet("s", said, 0)])).items():
            hits[name] += found.estimate.low <= truths[name] <= found.estimate.high
            hits[f"{name}, judge alone"] += found.judge_only.low <= truths[name] <= found.judge_only.high
    assert all(0.92 <= hits[name] / 500 <= 0.98 for name in truths), hits
    assert all(hits[f"{name}, judge alone"] < 100 for name in truths), hits


@pytest.mark.slow
def test_the_gate_lets_a_judge_at_its_limit_through_in_at_most_one_of_forty():
    """Kappa exactly .72 on 100 prompts, one point three times as common as the others: 400 sheets, 2.5 % plus noise."""
    passed = covered = 0
    shares = np.asarray([1, 1, 1, 1, 1, 3]) / 8
    for seed in range(400):
        rng = np.random.default_rng(seed)
        first = rng.choice(6, 100, p=shares)
        second = np.where(rng.random(100) < 0.72, first, rng.choice(6, 100, p=shares))
        found = agreement(first, second, [f"p{n}" for n in range(100)], 6).kappa
        passed += gate_word(found, 0).word == "passed"
        covered += found.low <= 0.72 <= found.high
    assert passed <= 17 and 0.92 <= covered / 400 <= 0.985
