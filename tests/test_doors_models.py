"""What `model.path` may name: a directory, the hub, an adapter on its base."""

import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from selfreward.commands.model_source import MERGED, local_model
from selfreward.commands.preflight_models import SANDBOX_SEEDS, start_policy
from selfreward.engines.tensors import weights_digest
from selfreward.errors import DataError
from selfreward.recipe import ModelRecipe, Recipe

BASE = SANDBOX_SEEDS / "seed-0"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SELFREWARD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def save_adapter(path: Path, base: Path, seed: int = 0) -> Path:
    """An adapter that changes what the base says: PEFT's own B would be zero."""
    torch.manual_seed(seed)
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(base), LoraConfig(r=4, target_modules=["q_proj"], task_type="CAUSAL_LM")
    )
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.5)
    model.save_pretrained(path)
    return path


def test_an_adapter_is_merged_once_and_computes_what_peft_computes(tmp_path: Path, cache: Path) -> None:
    base = tmp_path / "base"
    shutil.copytree(BASE, base)
    adapter = save_adapter(tmp_path / "adapter", base)
    said: list[str] = []
    merged = local_model(str(adapter), said.append)
    assert merged.parent == cache / "merged" and len(said) == 1 and "merging it once" in said[0]
    ids = AutoTokenizer.from_pretrained(merged)("sort f b", return_tensors="pt").input_ids
    plain = AutoModelForCausalLM.from_pretrained(base)
    with torch.no_grad():
        ours = AutoModelForCausalLM.from_pretrained(merged)(ids).logits
        before = plain(ids).logits
        theirs = PeftModel.from_pretrained(plain, adapter)(ids).logits
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)
    assert (ours - before).abs().max() > 0.01
    facts = json.loads((merged / MERGED).read_text())
    assert facts["base_digest"] == weights_digest(base) != weights_digest(merged)
    assert local_model(str(adapter), said.append) == merged and len(said) == 1
    save_adapter(adapter, base, seed=1)
    assert local_model(str(adapter), said.append) != merged, "another adapter is another policy"


def test_a_run_starts_from_the_merged_weights(tmp_path: Path) -> None:
    adapter = save_adapter(tmp_path / "adapter", BASE)
    start = start_policy(Recipe(model=ModelRecipe(path=str(adapter))), lambda _: None)
    assert start.digest == weights_digest(start.directory) != weights_digest(BASE)
    assert (start.directory / MERGED).is_file()


def test_an_adapter_without_its_base_says_which(tmp_path: Path) -> None:
    base = tmp_path / "base"
    shutil.copytree(BASE, base)
    adapter = save_adapter(tmp_path / "adapter", base)
    shutil.rmtree(base)
    with pytest.raises(DataError, match="its base cannot be used; correct base_model_name_or_path"):
        local_model(str(adapter), lambda _: None)
    (adapter / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": None}))
    with pytest.raises(DataError, match="no base_model_name_or_path"):
        local_model(str(adapter), lambda _: None)


@pytest.mark.parametrize("path", ["org/none", "org/none@main"])
def test_a_model_that_is_not_in_the_cache_is_one_sentence(path: str) -> None:
    with pytest.raises(DataError, match=r"no directory 'org/none' here, and model 'org/none' on the hub cannot be"):
        local_model(path, lambda _: None)


def test_a_snapshot_in_the_cache_is_found_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    hub = tmp_path / "hub"
    kept = hub / "models--org--tiny"
    shutil.copytree(BASE, kept / "snapshots" / commit)
    (kept / "refs").mkdir()
    (kept / "refs" / "main").write_text(commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(hub))
    assert os.environ["HF_HUB_OFFLINE"] == "1"
    for path in ("org/tiny", f"org/tiny@{commit}"):
        start = start_policy(Recipe(model=ModelRecipe(path=path)))
        assert start.digest == weights_digest(BASE)
    with pytest.raises(DataError, match="cannot be reached"):
        local_model("org/tiny@other", lambda _: None)


def test_a_directory_goes_before_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(BASE, tmp_path / "org" / "tiny")
    assert local_model("org/tiny", lambda _: None) == Path("org/tiny")
