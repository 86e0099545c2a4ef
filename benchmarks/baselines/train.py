"""The training stage of B0, B2 and B3 as a process: TRL's DPOTrainer on preference rows, then a checkpoint.

python -m baselines.train MODEL WORK.json PAIRS.json OUT
"""

import sys
from pathlib import Path
from typing import Any

from baselines.workload import Work, read_json, write_json


def train(
    model: Any, reference: Any, tokenizer: Any, rows: list[dict[str, Any]], work: Work, scratch: Path, seed: int
) -> int:
    """The float32 weights of `model` after DPO against `reference`; how many steps were taken.

    The reference is given, since TRL would read it from wherever `model` came from, which may be some rounds ago.
    """
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
        bf16=work.dtype == "bfloat16",
        dataloader_pin_memory=False,
        # TRL's default computes activations twice, which only a small memory needs.
        gradient_checkpointing=False,
        per_device_train_batch_size=work.micro_batch,
        gradient_accumulation_steps=work.batch // work.micro_batch,
        **work.training,
    )
    fields = ("prompt", "chosen", "rejected")
    data = Dataset.from_list([{name: row[name] for name in fields} for row in rows])
    trainer = DPOTrainer(model, ref_model=reference, args=settings, train_dataset=data, processing_class=tokenizer)
    trainer.train()
    return int(trainer.state.global_step)


def main() -> None:
    start, work, asked, out = sys.argv[1], Work.from_file(sys.argv[2]), read_json(Path(sys.argv[3])), Path(sys.argv[4])
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(work.threads)
    model = AutoModelForCausalLM.from_pretrained(start, dtype=torch.float32)
    reference = AutoModelForCausalLM.from_pretrained(start, dtype=getattr(torch, work.dtype))
    tokenizer = AutoTokenizer.from_pretrained(start)
    scratch = out.with_name(f"{out.name}.scratch")
    steps = train(model, reference, tokenizer, asked["pairs"], work, scratch, asked["seed"])
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    write_json(out.with_name(f"{out.name}.steps.json"), {"steps": steps})


if __name__ == "__main__":
    main()
