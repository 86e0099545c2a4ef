"""`model.path` as a directory on this disk: one that lies here, one on the hub, or an adapter merged into its base.

    DIRECTORY              config, weights and tokenizer; or an adapter as PEFT saves it (adapter_config.json)
    ORG/NAME[@REVISION]    on the hub or in its cache, where no directory is called so

An adapter is no policy here: hand-off, digests and the next round's training are about whole weights. So it is merged
once, in float32 and saved in the base's dtype, into the cache beside the sandbox's models; `merged.json` in it says
from which weights, and goes into the run with the start policy. The tokenizer is the adapter's own where it has one.
The cache's name for it knows the base by its files' sizes and times: reading all weights to find it would take minutes.
"""

import json
import re
from collections.abc import Callable
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

from selfreward.engines.checkpoints import TOKENIZER_FILES
from selfreward.engines.hub import hub_error, hub_problems
from selfreward.engines.tensors import weight_files, weights_digest
from selfreward.errors import DataError
from selfreward.store.cache import cache_directory
from selfreward.store.files import digest_file, on_disk
from selfreward.store.sharing import locked
from selfreward.tasks.sandbox.seeds.cache import fill

ADAPTER = "adapter_config.json"
MERGED = "merged.json"
ON_HUB = re.compile(r"(?P<name>[\w.-]+/[\w.-]+?)(?:@(?P<revision>[\w./-]+))?")
FILES = ("*.safetensors", "*.json", "*.jinja", "*.model", "*.txt", "*.py", "README.md")
"""What is fetched of a repository: never pickled weights."""

Say = Callable[[str], None]


def local_model(path: str, say: Say) -> Path:
    """The directory that holds the model; it is fetched or merged first where it must. Raises DataError."""
    directory = Path(path)
    hub = ON_HUB.fullmatch(path)
    if not directory.exists() and hub is not None:
        directory = _fetched(hub["name"], hub["revision"])
    if (directory / ADAPTER).is_file() and not (directory / "config.json").is_file():
        return _merged(directory, say)
    return directory


def _fetched(name: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download

    try:
        found = snapshot_download(name, revision=revision, allow_patterns=list(FILES), ignore_patterns=["*/*"])
    except hub_problems() as problem:
        raise DataError(f"there is no directory {name!r} here, and {hub_error('model', name, problem)}") from problem
    return Path(found)


def _merged(adapter: Path, say: Say) -> Path:
    """The adapter in `adapter` and its base as one model, in the cache."""
    settings = _settings(adapter)
    reference, revision = settings.get("base_model_name_or_path"), settings.get("revision")
    if not isinstance(reference, str) or not reference:
        raise DataError(f"{adapter / ADAPTER}: no base_model_name_or_path; write there which model it adapts")
    try:
        base = local_model(f"{reference}@{revision}" if revision and not Path(reference).exists() else reference, say)
        weights = weight_files(base)
    except DataError as problem:
        raise DataError(
            f"adapter {adapter}: its base cannot be used; correct base_model_name_or_path in {ADAPTER}: {problem}"
        ) from problem
    files = sorted(adapter.glob("adapter_model.safetensors"))
    if not files:
        raise DataError(f"adapter {adapter}: no adapter_model.safetensors; save it with safe_serialization=True")
    made_from = {
        "settings": settings,
        "adapter": digest_file(files[0]),
        "tokenizer": [digest_file(adapter / name) for name in TOKENIZER_FILES if (adapter / name).is_file()],
        "base": [(str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns) for file in weights],
        "peft": version("peft"),
    }
    digest = sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()
    directory = cache_directory() / "merged" / f"{adapter.resolve().name}-{digest[:16]}"
    with on_disk(directory.parent):
        directory.parent.mkdir(parents=True, exist_ok=True)
        with locked(directory.with_name(f"{directory.name}.lock"), on_wait=lambda: say(f"waiting for {directory}")):
            if not directory.is_dir():
                say(f"adapter {adapter}: merging it once into its base {reference}, in {directory}")
                fill(directory, lambda out: _write(adapter, base, out, files[0]))
    return directory


def _settings(adapter: Path) -> dict[str, Any]:
    try:
        settings = json.loads((adapter / ADAPTER).read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise DataError(f"{adapter / ADAPTER}: cannot be read as JSON ({problem}); save the adapter again") from problem
    return settings if isinstance(settings, dict) else {}


def _write(adapter: Path, base: Path, out: Path, weights: Path) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    from selfreward.commands.trial import told

    with told(adapter, "merged into its base"):
        tokenizer = AutoTokenizer.from_pretrained(
            adapter if any((adapter / name).is_file() for name in TOKENIZER_FILES) else base
        )
        model: Any = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
        # An adapter that was trained with tokens of its own has rows for them.
        if len(tokenizer) > model.get_input_embeddings().weight.shape[0]:
            model.resize_token_embeddings(len(tokenizer))
        merged = PeftModel.from_pretrained(model, adapter).merge_and_unload()
        kept = AutoConfig.from_pretrained(base).dtype or torch.float32
        merged.to(kept).save_pretrained(out)
        tokenizer.save_pretrained(out)
    facts = {"base": base.name, "base_digest": weights_digest(base), "adapter_digest": digest_file(weights)}
    (out / MERGED).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
