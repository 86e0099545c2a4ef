"""Probing a checkpoint without a loop: the real sandbox model, a random one of a real family, and scripted people."""

import json
import random
import re
from pathlib import Path

import pytest
from evidence_factory import holds

from selfreward.commands.probe.command import probe_command
from selfreward.commands.probe.material import _pair, material
from selfreward.commands.probe.models import like, speaks_sandbox, subject
from selfreward.commands.probe.session import FAMILIES, probe, wanted_families
from selfreward.commands.probe.tables import as_markdown
from selfreward.errors import DataError, RecipeError, StoreError
from selfreward.measuring.probes.asked import changes, difference, measured, moved
from selfreward.measuring.probes.behaviour import behaviour
from selfreward.measuring.probes.questions import file_questions, questions_of, sandbox_questions
from selfreward.measuring.probes.sycophancy import are_you_sure, wrong_claim
from selfreward.progress import Progress
from selfreward.recipe import PROBES
from selfreward.recipe.read import build_recipe
from selfreward.report.tables import Table
from selfreward.store.results import Store
from selfreward.tasks.sandbox.demonstrator import format_answer
from selfreward.tasks.sandbox.draws import plausible_mistake, split_of
from selfreward.tasks.sandbox.oracle import read_reply
from selfreward.tasks.sandbox.pools import claim_pool
from selfreward.tasks.sandbox.tasks import parse_task
from selfreward.tasks.sandbox.words import DOUBT
from selfreward.tasks.sets import OWN_FOLDER, READERS
from selfreward.tasks.sets.labels import LabelledPair
from selfreward.tasks.sets.sets import read_set
from selfreward.tasks.sets.sycophancy import BehaviourRow

SMALL = ["measure.report=12", "measure.frozen=12", "measure.samples=2", "measure.judge_samples=1"]
QUIET = Progress(style="silent")


def nothing(name):
    raise StoreError(name)


def talk(begin, person):
    asked = next(begin)
    while True:
        try:
            asked = begin.send([person(prompt) for prompt in asked])
        except StopIteration as finished:
            return finished.value


def by_metric(values, number=1):
    return {row.metric: row for row in measured(values, round=number, policy="p") if row.cohort == "all"}


def resident(seed, *, knows=0.8, echoes=0.0, gives_up=0.0, wavers=0.0):
    """Somebody of the sandbox: knows the answer or not, echoes claims, gives up when doubted, or wavers."""
    rng = random.Random(seed)

    def answer(prompt):
        task = parse_task(prompt.messages[0].content)
        if len(prompt.messages) == 1:
            if task.claim is not None and rng.random() < echoes:
                said = task.claim
            else:
                said = task.gold if rng.random() < knows else plausible_mistake(task, rng)
        else:
            said = read_reply(prompt.messages[1].content).items
            if rng.random() < wavers or (prompt.messages[2].content == DOUBT and rng.random() < gives_up):
                said = plausible_mistake(task, rng, avoid=(said,))
        return format_answer(said, task.modifier)

    return answer


QUESTIONS = sandbox_questions("report", 150)


def sandbox_talk(person):
    probes = QUESTIONS.probes()
    return {
        **by_metric(talk(probes["are_you_sure"][0](), person)),
        **by_metric(talk(probes["wrong_claim"][0](), person)),
    }


def test_claims_and_doubts_that_are_planted_in_the_sandbox_are_found_with_their_size():
    found = sandbox_talk(resident(0, knows=1.0, echoes=0.5, gives_up=0.3))
    assert holds(found["wrong_claim_excess_echo"], 0.5) and found["wrong_claim_excess_echo"].low > 0.3
    assert holds(found["wrong_claim_loss"], 0.5)
    assert holds(found["are_you_sure_excess_flips"], 0.3) and found["are_you_sure_excess_flips"].low > 0.15
    assert all(row.oracle for row in found.values())


def test_one_who_only_wavers_is_no_sycophant_in_the_sandbox():
    alarms = 0
    for seed in range(60):
        found = sandbox_talk(resident(seed, wavers=0.3))
        alarms += found["are_you_sure_excess_flips"].low > 0 or found["wrong_claim_excess_echo"].low > 0
    # Two one-sided chances of 2.5 % in each of 60: 9 or more have a chance below 1 %.
    assert alarms <= 8 and found["are_you_sure_flips"].low > 0.15


def test_the_sandboxs_questions_are_pairs_of_one_split_that_differ_in_the_claim():
    pairs = claim_pool("gate", 60)
    assert len({task.text for task, _ in pairs}) == 60
    for task, claimed in pairs:
        assert claimed.text.startswith(task.text) and task.claim is None and not claimed.claim_is_right
        assert split_of(task.text) == split_of(claimed.text) == "gate"


def test_changes_are_paired_by_question():
    """A change in one tenth of the questions is resolved by the pairs, which the levels do not resolve."""
    before = talk(wrong_claim(QUESTIONS.claims, QUESTIONS.graded[0][1]), resident(3, echoes=0.3))
    half = {value.question for value in before if value.metric == "wrong_claim_echo" and value.value == 0.0}
    worse = set(sorted(half)[:15])
    after = [
        type(value)(**{**{n: getattr(value, n) for n in value.__dataclass_fields__}, "value": 1.0})
        if value.metric == "wrong_claim_echo" and value.question in worse
        else value
        for value in before
    ]
    rows = {row.metric: row for row in changes(after, before, round=2, policy="p")}
    assert rows["wrong_claim_echo_change"].value == pytest.approx(0.1) and rows["wrong_claim_echo_change"].low > 0
    loss = rows["wrong_claim_loss_change"]
    assert loss.value == 0.0 and loss.low < 0 < loss.high
    echo = [value for value in after if value.metric == "wrong_claim_echo"]
    one, excluded = difference(echo[:100], echo[50:])
    assert (one.n, excluded, one.value) == (50, 100, 0.0)
    assert {value.pool for value in moved(after, "gate")} == {"gate"}
    assert len({value.id for value in [*moved(after, "gate"), *after]}) == 2 * len(after)


def test_behaviours_are_counted_apart_and_unreadable_choices_left_out():
    rows = [BehaviourRow(f"b{k}", "s", "l", f"kind-{k % 2}", "?", " (B)", " (A)", None) for k in range(40)]
    values = talk(
        behaviour(rows), lambda prompt: {"kind-0": "(B)", "kind-1": "(A)"}[prompt.cohort] if prompt.id != "b0" else "hm"
    )
    found = {row.cohort: row for row in measured(values, round=0, policy="p")}
    assert (found["kind-0"].value, found["kind-1"].value) == (1.0, 0.0)
    assert (found["kind-0"].n, found["kind-0"].excluded, found["all"].n) == (19, 1, 39)


def test_sets_have_names(tmp_path: Path):
    assert read_set("own:arithmetic").verifier == "numeric"
    assert read_set(f"gsm8k:{OWN_FOLDER / 'arithmetic.jsonl'}").kind == "gsm8k"
    copy = tmp_path / "xstest_mine.jsonl"
    copy.write_bytes((OWN_FOLDER / "refusals.jsonl").read_bytes())
    assert (read_set(str(copy)).kind, read_set(str(copy)).verifier) == ("xstest", "refusal")
    plain = tmp_path / "mine.jsonl"
    plain.write_text('{"prompt": "why?"}\n')
    assert read_set(str(plain)).kind == "prompts"


def test_which_probes_have_questions_elsewhere():
    assert set(PROBES) - set(file_questions([], 5).probes()) == {"wrong_claim", "behaviour"}
    recipe = build_recipe(
        [{"prompts": {"source": "a"}, "measure": {"source": "b", "verifier": "none", "probes": ["behaviour"]}}]
    )
    with pytest.raises(RecipeError, match="behaviour_drift:PATH"):
        questions_of(recipe, [])
    gated = build_recipe(
        [
            {
                "measure": {"probes": ["are_you_sure", "wrong_claim"]},
                "gates": {"rules": [{"metric": "wrong_claim_excess_echo_change", "above": 0}]},
            }
        ]
    )
    assert {name: pool for name, (pool, _) in questions_of(gated, []).items()} == {
        "are_you_sure": "report",
        "wrong_claim": "gate",
    }


def test_labelled_pairs_become_a_better_and_a_worse_answer_whichever_side_they_are_on():
    pair = LabelledPair(
        "p", "s", "l", "honesty", "q", [{"role": "user", "content": "q"}], "good", "bad", "a", "expert_gold", None, {}
    )
    for one in (pair, pair.swap()):
        assert {row.response.text: row.label for row in _pair(one)} == {"good": 5.0, "bad": 0.0}
        assert {row.source for row in _pair(one)} == {"human"}


def run_probe(name, *changes, **options):
    return probe_command(name, [*SMALL, *changes], nothing, QUIET, questions=12, **options)


def test_every_family_of_a_sandbox_model_is_measured_and_the_same_twice(tmp_path: Path):
    texts = []
    for name in ("a", "b"):
        made, notes = run_probe("sandbox:seed-0", out=tmp_path / f"{name}.json")
        texts.append((tmp_path / f"{name}.json").read_text(encoding="utf-8"))
    assert texts[0] == texts[1]
    told = json.loads(texts[0])
    assert set(told["families"]) == set(FAMILIES) - {"behaviour", "choices", "conversation"}
    assert all(told["families"].values()) and told["against"] is None
    assert [table.caption for table in made] == list(told["families"]) and "truth" in notes[1]
    oracle = {row["metric"]: row["oracle"] for rows in told["families"].values() for row in rows}
    assert oracle["true_accuracy"] and oracle["are_you_sure_flips"] and not oracle["length_tokens"]


def test_a_model_against_itself_differs_in_nothing_and_against_another_by_what_the_two_levels_say(tmp_path: Path):
    out = tmp_path / "x.json"
    run_probe("sandbox:seed-0", against="sandbox:seed-0", family="truth,length,sycophancy", out=out)
    same = json.loads(out.read_text(encoding="utf-8"))["differences"]
    assert len(same) >= 10 and all(row["value"] in (0.0, None) for row in same)
    run_probe("sandbox:seed-0", against="sandbox:seed-1", family="truth,sycophancy", out=out)
    told = json.loads(out.read_text(encoding="utf-8"))
    level = [
        {(row["metric"], row["pool"]): row["value"] for row in side["families"]["truth"] if row["cohort"] == "all"}
        for side in (told, told["against"])
    ]
    for row in told["differences"]:
        key = (row["metric"], row["pool"])
        if key in level[0]:
            assert row["value"] == pytest.approx(level[0][key] - level[1][key])
    assert any(row["value"] for row in told["differences"])


def test_a_directory_is_known_by_its_words_and_a_random_model_gets_the_small_sets(tmp_path: Path):
    from random_models import save_random_model

    directory = save_random_model("qwen25", tmp_path / "random")
    model = subject(str(directory), ["measure.samples=2", "measure.sampling.max_tokens=8"], nothing)
    assert not model.sandbox and model.recipe.judge.template == "additive"
    sandbox = subject("sandbox:seed-0", [], nothing)
    assert speaks_sandbox(sandbox.policy.directory)
    assert subject(str(sandbox.policy.directory), [], nothing).sandbox
    with pytest.raises(DataError, match="no question can be put to both"):
        like(sandbox, model)
    asked = material(model, [], None, "report", 3, 4)
    assert [(one.name, one.verifier) for one in asked.prompts] == [("arithmetic", "numeric"), ("refusals", "refusal")]
    found = probe(model, asked, ["truth", "refusal", "sycophancy"], QUIET)
    rows = {(row.metric, row.pool): row for family in found.families.values() for row in family}
    assert rows["true_accuracy", "arithmetic"].n == 3 and not rows["true_accuracy", "arithmetic"].oracle
    assert ("unsafe_refusal_rate", "refusals") in rows or ("false_refusal_rate", "refusals") in rows
    assert rows["wrong_belief_echo", "asked"].n + rows["wrong_belief_echo", "asked"].excluded == 4


@pytest.mark.parametrize(
    ("name", "options", "error", "words"),
    [
        ("nowhere", {}, DataError, "expected sandbox:seed-K"),
        ("sandbox:seed-0", {"family": "lenght"}, RecipeError, "'lenght' is unknown"),
        ("sandbox:seed-0", {"family": "behaviour"}, RecipeError, "has nothing to ask"),
        ("sandbox:seed-0", {"family": " , "}, RecipeError, "nothing is named"),
        ("sandbox:seed-0", {"source": "own:arithmetic"}, DataError, "does not know"),
        ("sandbox:seed-0", {"files": ["own:sycophancy"]}, RecipeError, "words only"),
        ("sandbox:seed-0", {"out": Path("x.txt")}, RecipeError, r"expected \.json or \.md"),
    ],
)
def test_what_cannot_be_probed_is_refused_before_a_model_is_asked(name, options, error, words):
    with pytest.raises(error, match=words):
        run_probe(name, **options)


def test_files_that_say_nothing_about_a_model_are_refused(tmp_path: Path):
    labels = tmp_path / "refusal_labels.jsonl"
    row = {"id": "1", "source": "s", "license": "l", "xstest_id": "x", "prompt": "p", "completion": "c"}
    labels.write_text(json.dumps({**row, "human_label": "full_refusal", "annotator_labels": []}) + "\n")
    model = subject("sandbox:seed-0", [], nothing)
    elsewhere = type(model)(model.name, model.recipe, model.policy, sandbox=False)
    with pytest.raises(RecipeError, match="say nothing about a model"):
        material(elsewhere, [str(labels)], None, "report", None, 5)


@pytest.mark.parametrize("kind", sorted(set(READERS) - {"refusal_labels"}))
def test_every_public_extract_gives_something_to_ask(tmp_path: Path, kind):
    from test_probes import extract

    if kind == "ifeval":
        pytest.importorskip("langdetect")
    model = subject("sandbox:seed-0", [], nothing)
    elsewhere = type(model)(model.name, model.recipe, model.policy, sandbox=False)
    asked = material(elsewhere, [f"{kind}:{extract(kind)}"], None, "report", 10, 10)
    found = [*asked.prompts, *asked.labels]
    rows = sum(len(one.prompts) for one in asked.prompts) + sum(len(one.rows) for one in asked.labels)
    rows += sum(map(len, asked.choices.values()))
    talks = {"sycophancy": "opinion_mirroring", "behaviour_drift": "behaviour"}
    if kind in talks:
        assert not found and talks[kind] in asked.questions.probes()
    else:
        assert rows == {"judge_calibration": 20}.get(kind, 10)


@pytest.mark.parametrize("taste", ["good", "bad"])
def test_labelled_pairs_measure_the_model_as_a_judge_each_source_apart(tmp_path: Path, taste):
    from random_models import save_random_model

    script = tmp_path / "script.yaml"
    rules = [{"match": f"an answer that is {taste}", "replies": ["Fine. Score: 5"]}, {"replies": ["Poor. Score: 1"]}]
    script.write_text(json.dumps({"rules": rules}), encoding="utf-8")
    labels = tmp_path / "judge_calibration.jsonl"
    rows = [
        {
            "id": f"p{k}",
            "source": f"source {k % 2}",
            "license": "l",
            "axis": "honesty",
            "prompt": f"question {k}",
            "messages": [{"role": "user", "content": f"question {k}"}],
            "response_a": "an answer that is good",
            "response_b": "an answer that is bad",
            "human_label": "a",
            "label_type": "expert_gold",
            "annotator_labels": None,
            "meta": {},
        }
        for k in range(10)
    ]
    labels.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    directory = save_random_model("qwen25", tmp_path / "random")
    scripted = ["engine.kind=scripted", f"engine.script={script}", "train.method=none"]
    made, _ = probe_command(str(directory), scripted, nothing, QUIET, family="judge", files=[str(labels)])
    body = {(row[0], row[1]): row for row in made[0].rows}
    for source in ("source 0", "source 1"):
        _, _, value, n, left_out = body["judge pairwise accuracy", f"judge_calibration, {source}"]
        assert value.startswith("1.00 " if taste == "good" else "0.00 ") and (n, left_out) == ("5", "0")
    assert len(body) == 2 and not any("*" in row[0] for row in made[0].rows)


def test_a_round_of_a_run_is_probed_as_it_was_asked_in_the_run(tmp_path: Path):
    from run_factory import Story, write_run

    store = Store(tmp_path)
    write_run(store, "planted", Story(skill=(0.5, 0.8)))
    with pytest.raises(StoreError, match="expected best, last or one of 0, 1"):
        subject("planted@7", [], store.existing)


def test_the_docs_name_every_family_and_the_commands_parse():
    section = (Path(__file__).parent.parent / "docs" / "trust.md").read_text(encoding="utf-8")
    for family in FAMILIES:
        assert re.search(rf"\b{family}\b", section)
    assert wanted_families(
        "truth, truth ,length", material(subject("sandbox:seed-0", SMALL, nothing), [], None, "report", None, 5)
    ) == ["truth", "length"]


def test_are_you_sure_without_a_final_turn_takes_the_second_reply():
    seen = []

    def person(prompt):
        seen.append(len(prompt.messages))
        return "1" if len(prompt.messages) == 1 else "2"

    (questions, verifier) = QUESTIONS.graded[0]
    values = talk(are_you_sure(questions[:3], verifier, QUESTIONS.turns), person)
    assert sorted(set(seen)) == [1, 3] and len(seen) == 9
    assert {value.oracle for value in values} == {False}


def test_a_table_in_markdown_has_as_many_rules_as_columns() -> None:
    text = as_markdown([Table("c", ["a", "b", "c"], [["1", "2|", "3"]])], ["title", "note"])
    assert text == "# title\n\nnote\n\n## c\n\n| a | b | c |\n|---|---|---|\n| 1 | 2/ | 3 |\n"
