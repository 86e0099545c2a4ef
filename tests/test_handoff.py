"""An engine with the wrong weights is caught, whatever it says about itself; the right one passes."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from training_factory import CPU, SHORT, random_pairs, tiny_policy, with_reference

from selfreward.engines.handoff import HANDOFF_FILE, NOISE, Probe, choose_probes, verify, write_handoff
from selfreward.engines.hugging_face.engine import HuggingFaceEngine
from selfreward.engines.tensors import weights_digest
from selfreward.errors import HandOffError
from selfreward.recipe import HandOffRecipe, ModelRecipe, TrainRecipe, TransformersRecipe
from selfreward.training.preference import train_preferences

RECIPE = HandOffRecipe()


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_policy(tmp_path_factory.mktemp("policy"))


def trained_from(start: Path, where: Path, recipe: TrainRecipe = SHORT, **fields: float) -> Path:
    pairs = with_reference(random_pairs(16, **fields), start)
    options = {"model": CPU, "seed": 0, "reference_is_start": True}
    return train_preferences(start, pairs, recipe, out=where / "out", scratch=where / "scratch", **options).directory


@pytest.fixture(scope="module")
def trained(start: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained_from(start, tmp_path_factory.mktemp("trained"))


def holding(directory: Path, model: ModelRecipe = CPU) -> HuggingFaceEngine:
    engine = HuggingFaceEngine(model, TransformersRecipe())
    engine.load(directory, weights_digest(directory))
    return engine


def test_the_engine_that_loaded_the_new_weights_passes_by_probes(trained):
    report = verify(holding(trained), trained, RECIPE)
    assert report.kind == "probes"
    assert report.probes == RECIPE.probes
    assert report.movement > 1
    assert report.distance_new < 1e-3
    assert report.distance_old == pytest.approx(report.movement, abs=1e-3)


def test_an_engine_that_kept_the_old_weights_is_caught_at_any_margin(start, trained):
    for margin in (0.0, 0.01, 0.5, 0.99):
        with pytest.raises(HandOffError, match="does not hold the weights"):
            verify(holding(start), trained, dataclasses.replace(RECIPE, margin=margin + 1e-6))


def test_an_engine_that_says_it_loaded_but_did_not_is_caught(start, trained):
    """The lie of a sleeping engine: `load` returns, the digest is the new one, the tensors are the old ones."""

    class Stale(HuggingFaceEngine):
        def load(self, directory: Path, digest: str) -> None:
            if self._model is None:
                super().load(directory, digest)
            self._policy = digest

    engine = Stale(CPU, TransformersRecipe())
    engine.load(start, weights_digest(start))
    engine.load(trained, weights_digest(trained))
    assert engine.policy == weights_digest(trained)
    with pytest.raises(HandOffError, match="probes"):
        verify(engine, trained, RECIPE)


def test_an_engine_part_of_the_way_or_opposite_or_elsewhere_is_caught(start, trained, tmp_path):
    old, new = (load_file(directory / "model.safetensors") for directory in (start, trained))

    def mixed(share: float) -> HuggingFaceEngine:
        shutil.copytree(trained, tmp_path / str(share))
        tensors = {name: old[name] + share * (new[name] - old[name]) for name in new}
        save_file(tensors, tmp_path / str(share) / "model.safetensors", metadata={"format": "pt"})
        return holding(tmp_path / str(share))

    verify(mixed(1.0), trained, RECIPE)
    for share in (0.2, 0.4, -1.0):
        with pytest.raises(HandOffError):
            verify(mixed(share), trained, RECIPE)
    with pytest.raises(HandOffError):
        verify(holding(tiny_policy(tmp_path / "elsewhere", seed=3)), trained, RECIPE)


def test_a_checkpoint_swapped_on_disk_is_caught_before_and_after_loading(start, trained, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(trained, copy)
    engine, digest = holding(copy), weights_digest(copy)
    shutil.copyfile(start / "model.safetensors", copy / "model.safetensors")
    with pytest.raises(HandOffError, match="changed on disk"):
        verify(engine, copy, RECIPE)
    with pytest.raises(HandOffError):
        holding(trained).load(copy, digest)


def test_one_changed_bit_on_disk_is_caught(trained, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(trained, copy)
    engine = holding(copy)
    content = bytearray((copy / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (copy / "model.safetensors").write_bytes(content)
    with pytest.raises(HandOffError, match="changed on disk"):
        verify(engine, copy, RECIPE)


def test_where_training_hardly_moved_anything_checksums_decide(start, tmp_path):
    slow = dataclasses.replace(SHORT, learning_rate=1e-7, epochs=0.5)
    barely = trained_from(start, tmp_path, slow)
    assert weights_digest(barely) != weights_digest(start)
    report = verify(holding(barely), barely, RECIPE)
    assert report.kind == "checksums"
    assert 0 < report.movement < NOISE["float32"]
    with pytest.raises(HandOffError, match=r"\d+ of \d+ tensors differ"):
        verify(holding(start), barely, RECIPE)


def test_equal_digests_skip_the_difference_and_still_check_the_tensors(start, tmp_path):
    same = trained_from(start, tmp_path, weight=0.0)
    assert weights_digest(same) == weights_digest(start)
    assert verify(holding(same), same, RECIPE).kind == "unchanged"
    with pytest.raises(HandOffError, match="tensors differ"):
        verify(holding(tiny_policy(tmp_path / "other", seed=1)), same, RECIPE)


def test_a_start_policy_is_verified_by_its_tensors(start, tmp_path):
    report = verify(holding(start), start, RECIPE)
    assert (report.kind, report.digest, report.probes) == ("checksums", weights_digest(start), 0)
    with pytest.raises(HandOffError, match="tensors differ"):
        verify(holding(tiny_policy(tmp_path / "other", seed=1)), start, RECIPE)


def test_a_start_policy_stored_in_another_dtype_is_cast_before_it_is_compared(start, tmp_path):
    half = ModelRecipe(device="cpu", dtype="bfloat16")
    assert verify(holding(start, half), start, RECIPE, dtype="bfloat16").kind == "checksums"
    with pytest.raises(HandOffError, match="tensors differ"):
        verify(holding(start, half), start, RECIPE, dtype="float32")
    with pytest.raises(HandOffError, match="tensors differ"):
        verify(holding(tiny_policy(tmp_path / "other", seed=1), half), start, RECIPE, dtype="bfloat16")


def test_an_unreadable_hand_off_file_is_an_error_that_names_it(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "copy")
    engine = holding(tmp_path / "copy")
    for content in ("", "{}", '{"old_digest": "", "new_digest": "", "probes": [{}]}', "[]"):
        (tmp_path / "copy" / HANDOFF_FILE).write_text(content)
        with pytest.raises(HandOffError, match="not a hand-off file"):
            verify(engine, tmp_path / "copy", RECIPE)


def test_the_file_holds_the_sequences_that_moved_most(start, trained):
    content = json.loads((trained / HANDOFF_FILE).read_text())
    assert (content["old_digest"], content["new_digest"]) == (weights_digest(start), weights_digest(trained))
    moved = [abs(probe["logprob_new"] - probe["logprob_old"]) for probe in content["probes"]]
    assert len(moved) == 16 and moved == sorted(moved, reverse=True)
    known = {p.chosen_token_ids for p in random_pairs(16)} | {p.rejected_token_ids for p in random_pairs(16)}
    assert {tuple(probe["completion_token_ids"]) for probe in content["probes"]} <= known


@given(st.lists(st.tuples(st.integers(0, 5), st.floats(-50, 0), st.floats(-50, 0)), max_size=20), st.integers(1, 8))
def test_probes_are_distinct_the_most_moved_and_independent_of_order(rows, count):
    by_token = {token: Probe((1,), (token,), old, new) for token, old, new in rows}
    candidates = [by_token[token] for token, _, _ in rows]
    chosen = choose_probes(candidates, count)
    assert chosen == choose_probes(reversed(candidates), count)
    assert len(chosen) == len(set(chosen)) == min(count, len(by_token))
    left = [abs(p.logprob_new - p.logprob_old) for p in by_token.values() if p not in chosen]
    assert all(abs(p.logprob_new - p.logprob_old) >= max(left, default=0) for p in chosen)


class Scripted:
    """Answers `logprobs` with given sums; the rest of an engine is not asked."""

    def __init__(self, sums: list[float]) -> None:
        self.sums = sums

    def logprobs(self, texts):
        return [(value / 2, value / 2) for value, _ in zip(self.sums, texts, strict=True)]


@given(
    st.lists(st.tuples(st.floats(-50, 0), st.floats(0.1, 20), st.booleans(), st.floats(-3, 3)), min_size=1, max_size=6),
    st.floats(0.05, 0.95),
)
def test_acceptance_is_the_documented_inequality(start, probes_of, margin):
    probes = [Probe((1,), (i,), old, old + (m if up else -m)) for i, (old, m, up, _) in enumerate(probes_of)]
    sums = [p.logprob_new + error for p, (*_, error) in zip(probes, probes_of, strict=True)]
    movement = sum(abs(p.logprob_new - p.logprob_old) for p in probes) / len(probes)
    new = sum(abs(s - p.logprob_new) for s, p in zip(sums, probes, strict=True)) / len(probes)
    old = sum(abs(s - p.logprob_old) for s, p in zip(sums, probes, strict=True)) / len(probes)
    slack = min(abs(new - (1 - margin) * movement), abs(old - new - margin * movement))
    if slack < 1e-6:
        return
    directory = start.parent / "scripted"
    if not directory.exists():
        shutil.copytree(tiny_policy(start.parent / "new", seed=9), directory)
    write_handoff(directory, start, probes)
    recipe = HandOffRecipe(margin=margin, probes=10)
    if new <= (1 - margin) * movement and old - new >= margin * movement:
        assert verify(Scripted(sums), directory, recipe).kind == "probes"
    else:
        with pytest.raises(HandOffError):
            verify(Scripted(sums), directory, recipe)


def test_log_probabilities_that_are_not_numbers_are_refused(trained):
    with pytest.raises(HandOffError):
        verify(Scripted([torch.nan] * RECIPE.probes), trained, RECIPE)
