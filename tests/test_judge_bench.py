"""judge-bench: planted judges are found out, pools are what they say, and the cost is what passed the engine."""

import json
import random
from pathlib import Path

import pytest
from judging_factory import SEED, script
from test_judging_loop import go
from typer.testing import CliRunner

from selfreward.commands.cli import app
from selfreward.commands.judge_bench.alike import alike
from selfreward.commands.judge_bench.bench import bench
from selfreward.commands.judge_bench.output import as_json, require_endings, tables, write
from selfreward.commands.judge_bench.pools import read_pools
from selfreward.commands.judge_bench.specs import read_judges
from selfreward.commands.probe.models import Subject, subject
from selfreward.engines.tensors import weights_digest
from selfreward.errors import DataError, RecipeError, StoreError
from selfreward.progress import Progress
from selfreward.recipe import Recipe
from selfreward.recipe.read import build_recipe
from selfreward.records import Prompt, Response
from selfreward.roles.player import Policy
from selfreward.tasks.verifiers.protocol import load_verifier

QUIET = Progress(style="silent")
PAIRS = 20


def nowhere(name):
    raise StoreError(name)


def scripted(tmp_path, *rules):
    changes = ["engine.kind=scripted", "train.method=none", f"engine.script={script(tmp_path, *rules)}"]
    recipe = build_recipe([{"judge": {"question": {"template": "additive"}}}], changes)
    return Subject("scripted", recipe, Policy(0, weights_digest(SEED), SEED), sandbox=False)


def labelled_pairs(tmp_path, *, good="a good answer", bad="a bad answer", sources=("first", "second")):
    """The better reply is in slot a of every other row."""
    path = tmp_path / "judge_calibration_made.jsonl"
    rows = []
    for number in range(PAIRS):
        better = "ab"[number % 2]
        replies = {f"response_{side}": good if side == better else bad for side in "ab"}
        question = f"unheard {number}"
        rows.append(
            {
                "id": f"r{number}",
                "source": sources[number % len(sources)],
                "license": "none",
                "axis": "helpfulness",
                "prompt": question,
                "messages": [{"role": "user", "content": question}],
                **replies,
                "human_label": better,
                "label_type": "expert_gold",
                "annotator_labels": None,
                "meta": {},
            }
        )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


FIRST_IS_GOOD = r"<response-1-\w+>\n[^\n]*good"
SEES = (
    {"match": FIRST_IS_GOOD, "replies": ["so\nPreferred: 1"], "next": {"1": 0.8, "2": 0.1}},
    {"replies": ["so\nPreferred: 2"], "next": {"1": 0.2, "2": 0.7}},
)


def only(found, judge):
    return next(one for one in found if one.judge == judge)


def test_a_judge_that_looks_at_the_slot_alone_is_found_out_and_one_that_reads_is_right(tmp_path: Path):
    pool = labelled_pairs(tmp_path, sources=("one",))
    slot = scripted(tmp_path, {"replies": ["Preferred: 1"], "next": {"1": 0.9, "2": 0.05}})
    (blind,) = bench([pool], ["question=comparison"], slot, nowhere, QUIET)
    assert (blind.answers, blind.prompts, blind.verdicts, blind.unreadable) == (2 * PAIRS, PAIRS, 2 * PAIRS, 0)
    assert blind.estimates["first_slot"].value == 1.0 == blind.estimates["order_flips"].value
    assert blind.estimates["accuracy"].value == 0.5, "a verdict that flips is a tie, and a tie is half"
    asked = ["name=verdict,question=comparison", "name=soft,question=comparison,reading=probability"]
    found = bench([pool], asked, scripted(tmp_path, *SEES), nowhere, QUIET)
    for one in found:
        assert one.estimates["accuracy"].value == 1.0 == one.estimates["auc"].value
        assert one.estimates["order_flips"].value == 0.0 and one.estimates["best_of_n_gain"].value == 2.5
    verdict, soft = (only(found, name).estimates for name in ("verdict", "soft"))
    assert verdict["brier"].value is None and verdict["retest_flips"].value == 0.0
    assert soft["ece"].value == pytest.approx(1 / 6), "5/6 where it is always right"
    # P(better) is 8/9 in the first slot and 7/9 in the second.
    assert soft["brier"].value == pytest.approx((1 / 6) ** 2) and soft["retest_flips"].value is None
    assert soft["spearman"].value is None, "a preference between two answers is no score"


def test_a_judge_that_pays_for_length_is_told_from_labels_that_do(tmp_path: Path):
    long = "so many more words than are needed here"
    rules = ({"match": "so many more words", "replies": ["Score: 5"]}, {"replies": ["Score: 1"]})
    model = scripted(tmp_path, *rules)
    misled = labelled_pairs(tmp_path, good="short", bad=long, sources=("one",))
    (one,) = bench([misled], ["samples=2"], model, nowhere, QUIET)
    assert one.estimates["accuracy"].value == 0.0 and one.estimates["longer"].value == 1.0 and one.unscored == 0
    assert one.estimates["best_of_n_gain"].value == -2.5 and one.estimates["retest_flips"].value == 0.0
    assert one.estimates["retest_fleiss"].value == 1.0 and "retest κ, Fleiss" in tables([one])[0].header
    right = labelled_pairs(tmp_path, good=long, bad="short", sources=("one",))
    (one,) = bench([right], ["samples=2"], model, nowhere, QUIET)
    assert one.estimates["accuracy"].value == 1.0 and one.estimates["longer"].value == 0.0


def test_noise_shows_in_the_second_reading_and_unread_replies_are_counted_apart(tmp_path: Path):
    pool = labelled_pairs(tmp_path)
    coin = scripted(tmp_path, {"replies": [f"Score: {score}" for score in range(6)]})
    noisy = bench([pool], ["samples=1"], coin, nowhere, QUIET)
    assert [one.pool.rpartition(", ")[2] for one in noisy] == ["first", "second"], "each source is a pool of its own"
    assert all(one.estimates["retest_flips"].low > 0.05 for one in noisy)
    assert all(one.estimates["retest_alpha"].low < 0.4 for one in noisy), "a coin agrees with itself by chance alone"
    assert all(one.estimates["retest_fleiss"].low < 0.3 for one in noisy)
    assert bench([pool], ["samples=1"], coin, nowhere, QUIET, again=False)[0].estimates["retest_flips"].value is None
    mute = scripted(tmp_path, {"match": "good", "replies": ["I cannot say"]}, {"replies": ["Score: 1"]})
    for one in bench([pool], ["samples=2"], mute, nowhere, QUIET):
        assert (one.unreadable, one.verdicts, one.unscored) == (PAIRS, 2 * PAIRS, PAIRS // 2)
        assert one.estimates["accuracy"].value is None and one.estimates["best_of_n_gain"].value == -2.5


def test_judges_that_err_alike_are_told_from_judges_that_err_apart(tmp_path: Path):
    rng = random.Random(0)
    keys = [(f"p{k}", "good", "bad") for k in range(200)]
    one, other = ({key: float(rng.random() < 0.7) for key in keys} for _ in range(2))
    (apart,) = alike("pool", [("one", one), ("other", other)])
    (same,) = alike("pool", [("one", one), ("one again", one)])
    assert apart.capa.low < 0 < apart.capa.high and same.capa.value == pytest.approx(1)
    assert alike("pool", [("one", one), ("mute", {})])[0].capa.value is None
    coin = scripted(tmp_path, {"replies": [f"Score: {score}" for score in range(6)]})
    pool = labelled_pairs(tmp_path, sources=("one",))
    found = bench([pool], ["name=one,samples=1", "name=again,samples=1"], coin, nowhere, QUIET, again=False)
    assert found[0].outcomes == found[1].outcomes and len(found[0].outcomes) == PAIRS
    assert [table.header[-1] for table in tables(found)] == ["seconds", "CAPA"]
    assert json.loads(as_json(found))["alike"][0]["capa"]["value"] > 0.4


def test_the_cost_is_what_was_read_and_sampled(tmp_path: Path):
    pool = labelled_pairs(tmp_path, sources=("one",))
    model = scripted(tmp_path, {"replies": ["Score: 3"], "next": {"3": 1.0}})
    asked = ["name=one,samples=1", "name=three,samples=3", "name=soft,reading=probability"]
    one, three, soft = bench([pool], asked, model, nowhere, QUIET)
    # "Score: 3" is two words and the end of the turn; a question is read once however many replies it has.
    assert (one.reply_tokens, three.reply_tokens, soft.reply_tokens) == (6 * PAIRS, 18 * PAIRS, 0)
    assert one.question_tokens == three.question_tokens > 2 * PAIRS * 100
    assert three.tokens_each == (three.question_tokens + three.reply_tokens) / (2 * PAIRS)
    assert min(one.seconds, three.seconds, soft.seconds) > 0


def test_the_sandboxs_judge_is_right_about_its_frozen_pool_and_a_shuffled_one_is_not():
    model = subject("sandbox:seed-0", ["measure.frozen=90"], nowhere)
    skilled, shuffled = bench(
        ["sandbox"], ["name=own,samples=1", "name=lot,samples=1,control=shuffled"], model, nowhere, QUIET
    )
    assert skilled.estimates["accuracy"].low > 0.8 and skilled.estimates["spearman"].low > 0.6
    assert shuffled.estimates["accuracy"].low < 0.5 < shuffled.estimates["accuracy"].high + 0.1
    assert skilled.estimates["best_of_n_gain"].low > 0 > shuffled.estimates["best_of_n_gain"].low


def test_specs_are_the_recipes_own_keys(tmp_path: Path):
    base = Recipe()
    (one,) = read_judges(["template=additive,samples=5,max_tokens=99,model=initial"], base)
    judge = one.recipe.judge
    assert (judge.template, judge.samples, judge.sampling.max_tokens, judge.model) == ("additive", 5, 99, "initial")
    (one,) = read_judges(["aggregate=ensemble,aggregate.members=[additive, sandbox],name=two"], base)
    assert one.name == "two" and one.recipe.judge.members == ("additive", "sandbox")
    (one,) = read_judges(["judge.reading=probability,judge.template=additive"], base)
    assert (one.recipe.judge.protocol, one.recipe.judge.template) == ("expected", "additive")
    path = tmp_path / "judges.yaml"
    path.write_text("soft: {question: comparison, reading: probability}\nplain: {}\n", encoding="utf-8")
    assert [(one.name, one.recipe.judge.protocol) for one in read_judges([str(path)], base)] == [
        ("soft", "pairwise"),
        ("plain", "pointwise"),
    ]
    for spec, named in (("colour=red", "colour"), ("samples=none", "samples"), ("name=plain", "two judges")):
        with pytest.raises(RecipeError, match=named):
            read_judges([str(path), spec], base)
    with pytest.raises(RecipeError, match="source=none"):
        bench(["sandbox"], ["source=none"], subject("sandbox:seed-0", [], nowhere), nowhere, QUIET)


def test_a_sandbox_model_is_not_asked_about_words_that_it_does_not_know(tmp_path: Path):
    model = subject("sandbox:seed-0", [], nowhere)
    with pytest.raises(DataError, match="'unheard', which 'sandbox:seed-0' does not know"):
        bench([labelled_pairs(tmp_path)], ["samples=1"], model, nowhere, QUIET)
    with pytest.raises(DataError, match="labels no answers"):
        read_pools(["own:arithmetic"], model, nowhere, None)


def test_pools_of_a_run_are_its_gate_answers_with_the_verifiers_word(tmp_path: Path):
    view = go(tmp_path, "small", "measure.gate=6", "measure.samples=3")
    (pool,) = read_pools(["small@1"], subject("sandbox:seed-0", [], nowhere), lambda name: view, None)
    gate = {row.id: row for row in view.read(0, "pools", Prompt) if row.pool == "gate"}
    texts = {(row.prompt_id, row.text) for row in view.read(1, "eval_responses", Response) if row.prompt_id in gate}
    assert {(row.prompt.id, row.response.text) for row in pool.rows} == texts and len(gate) == 6
    verifier = load_verifier("sandbox")
    assert all(row.label == verifier.check(row.prompt, row.response.text).quality for row in pool.rows)
    with pytest.raises(DataError, match="number of a round"):
        read_pools(["small@last"], subject("sandbox:seed-0", [], nowhere), lambda name: view, None)


def test_answers_are_sampled_and_anchors_read_without_the_locked(tmp_path: Path):
    anchors = tmp_path / "anchors.jsonl"
    marked = [{"prompt": f"p{n}", "answer": f"a{k}", "label": k, "locked": n > 1} for n in range(4) for k in range(3)]
    anchors.write_text("".join(json.dumps(row) + "\n" for row in marked), encoding="utf-8")
    model = scripted(tmp_path, {"match": "Score|score", "replies": ["Score: 2"]}, {"replies": ["it is 3", "it is 4"]})
    (pool,) = read_pools([f"anchors:{anchors}"], model, nowhere, None)
    assert pool.graded and [row.label for row in pool.rows] == [0.0, 1.0, 2.0] * 2
    (found,) = bench(["sampled:own:arithmetic"], ["samples=1"], model, nowhere, QUIET, count=3)
    assert found.prompts == 3 and found.estimates["first_slot"].value is None


def test_the_files_hold_the_same_numbers_and_the_page_needs_no_network(tmp_path: Path):
    pool = labelled_pairs(tmp_path)
    asked = ["name=<b>one</b>,question=comparison", "name=two,question=comparison,reading=probability"]
    found = bench([pool], asked, scripted(tmp_path, *SEES), nowhere, QUIET)
    outs = [tmp_path / "made" / f"bench.{ending}" for ending in ("html", "md", "json")]
    write(found, outs)
    html, markdown, data = (out.read_text(encoding="utf-8") for out in outs)
    assert html.count('<svg viewBox="0 0 360') == 2 and "&lt;b&gt;one" in html and "<b>one" not in html
    assert "src=" not in html and "http" not in html.replace("http://www.w3.org/2000/svg", "").replace("http-equiv", "")
    assert json.loads(data)["results"][0]["estimates"]["accuracy"]["value"] == 1.0 and data == as_json(found)
    assert "1.000" in markdown and len(tables(found)) == 2
    with pytest.raises(RecipeError, match="ending"):
        require_endings([tmp_path / "bench.txt"])


def test_the_command(tmp_path: Path):
    out = tmp_path / "bench.json"
    asked = ["judge-bench", "sandbox", "--count", "4", "--judge", "samples=1", "--no-again", "--out", str(out)]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0, done.output
    assert "pairwise" in done.output and json.loads(out.read_text(encoding="utf-8"))["results"][0]["prompts"] == 4
