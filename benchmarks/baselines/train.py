"""The training stage of B0, B2 and B3 as a process: TRL's DPOTrainer on preference rows, then a checkpoint.

python -m baselines.train MODEL PAIRS.json OUT
"""

import sys
from pathlib import Path
from typing import Any

from baselines.workload import BATCH, TRAINING, read_json


def train(model: Any, tokenizer: Any, rows: list[dict[str, Any]], scratch: Path, seed: int) -> None:
    """The weights of `model` after DPO against what they are now."""
    from datasets import Dataset
    from trl.trainer.dpo_config import DPOConfig
    from trl.trainer.dpo_trainer import DPOTrainer

    settings = DPOConfig(
        output_dir=str(scratch),
        seed=seed,
        report_to=[],
        disable_tqdm=True,
        use_cpu=True,
        save_strategy="no",
        logging_steps=1000,
        bf16=False,
        dataloader_pin_memory=False,
        **TRAINING,
        **BATCH,
    )
    fields = ("prompt", "chosen", "rejected")
    data = Dataset.from_list([{name: row[name] for name in fields} for row in rows])
    DPOTrainer(model, args=settings, train_dataset=data, processing_class=tokenizer).train()


def main() -> None:
    start, asked, out = sys.argv[1], read_json(Path(sys.argv[2])), Path(sys.argv[3])
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, tokenizer = AutoModelForCausalLM.from_pretrained(start), AutoTokenizer.from_pretrained(start)
    train(model, tokenizer, asked["pairs"], out.with_name(f"{out.name}.scratch"), asked["seed"])
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)


if __name__ == "__main__":
    main()
