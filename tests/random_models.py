"""Small random models that behave like real families: architecture, tokenizer, chat template, end-of-turn tokens.

`llama3`: the template writes the beginning-of-sequence token and the tokenizer would add another; two end tokens; no
padding token; untied head. `qwen25`: no beginning token, a system turn of its own where none is given, tied head.
`qwen3`: thinking tags that are added but not special tokens, earlier thinking cut by the template, normed queries and
keys, untied head. The weights are large enough that answers, scores and ends of turn differ from prompt to prompt.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

SENTENCES = [
    "Grade the response of an AI assistant to a request on a scale from 0 to 5 and end with one last line: Score: 3",
    "The request and the response follow, each between a line with an opening tag and a line with the closing tag.",
    "Write a short letter to my neighbour about the noise, and keep it polite; 12 or 13 lines will do.",
    "What is the sum of 17 and 25? Explain the steps before you name the result.",
    "List four reasons why the sky looks blue in the morning and red in the evening.",
]

_SPLIT = {
    # Llama 3 keeps up to three digits together, Qwen none; both keep the space before a word and split it from a digit.
    "llama3": r"'(?i:s|t|re|ve|m|ll|d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+",
    "qwen": r"'(?i:s|t|re|ve|m|ll|d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+",
}

_LLAMA3_TEMPLATE = (
    "{% for message in messages %}"
    "{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' "
    "+ message['content'] | trim + '<|eot_id|>' %}"
    "{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)

_QWEN25_TEMPLATE = (
    "{% if messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n' }}{% endif %}"
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)

_QWEN3_TEMPLATE = (
    "{% for message in messages %}{% set content = message['content'] %}"
    "{% if message['role'] == 'assistant' and '</think>' in content %}"
    "{% set content = content.split('</think>')[-1].lstrip('\n') %}{% endif %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + content + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
    "{% if enable_thinking is defined and enable_thinking is false %}{{ '<think>\n\n</think>\n\n' }}{% endif %}"
    "{% endif %}"
)


@dataclass(frozen=True)
class Family:
    """`specials` become special tokens, `added` added ones that are not; `ends` is generation_config's list."""

    name: str
    split: str
    template: str
    specials: tuple[str, ...]
    begin: str | None
    end: str
    pad: str | None
    ends: tuple[str, ...]
    tied: bool
    added: tuple[str, ...] = ()


FAMILIES = {
    family.name: family
    for family in (
        Family(
            name="llama3",
            split=_SPLIT["llama3"],
            template=_LLAMA3_TEMPLATE,
            specials=(
                "<|begin_of_text|>",
                "<|end_of_text|>",
                "<|start_header_id|>",
                "<|end_header_id|>",
                "<|eom_id|>",
                "<|eot_id|>",
            ),
            begin="<|begin_of_text|>",
            end="<|eot_id|>",
            pad=None,
            ends=("<|end_of_text|>", "<|eom_id|>", "<|eot_id|>"),
            tied=False,
        ),
        Family(
            name="qwen25",
            split=_SPLIT["qwen"],
            template=_QWEN25_TEMPLATE,
            specials=("<|endoftext|>", "<|im_start|>", "<|im_end|>"),
            begin=None,
            end="<|im_end|>",
            pad="<|endoftext|>",
            ends=("<|im_end|>", "<|endoftext|>"),
            tied=True,
        ),
        Family(
            name="qwen3",
            split=_SPLIT["qwen"],
            template=_QWEN3_TEMPLATE,
            specials=("<|endoftext|>", "<|im_start|>", "<|im_end|>"),
            begin=None,
            end="<|im_end|>",
            pad="<|endoftext|>",
            ends=("<|im_end|>", "<|endoftext|>"),
            tied=False,
            added=("<think>", "</think>"),
        ),
    )
}


def build_tokenizer(family: Family) -> PreTrainedTokenizerFast:
    """A byte-level BPE of 320 tokens, trained on a few sentences."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(family.split), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=320, initial_alphabet=alphabet, show_progress=False)
    backend.train_from_iterator(SENTENCES, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token=family.begin,
        eos_token=family.end,
        pad_token=family.pad,
        additional_special_tokens=list(family.specials),
        clean_up_tokenization_spaces=False,
        model_max_length=4096,
    )
    tokenizer.add_tokens(list(family.added))
    if family.begin:
        number = tokenizer.convert_tokens_to_ids(family.begin)
        tokenizer.backend_tokenizer.post_processor = processors.Sequence(
            [
                processors.ByteLevel(trim_offsets=False),
                processors.TemplateProcessing(single=f"{family.begin} $A", special_tokens=[(family.begin, number)]),
            ]
        )
    tokenizer.chat_template = family.template
    return tokenizer


def build_model(family: Family, tokenizer: Any, seed: int = 0) -> Any:
    sizes: dict[str, Any] = {
        "vocab_size": len(tokenizer),
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "intermediate_size": 128,
        "max_position_embeddings": 4096,
        "tie_word_embeddings": family.tied,
        "initializer_range": 0.15,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    torch.manual_seed(seed)
    model: Any
    if family.name == "llama3":
        model = LlamaForCausalLM(LlamaConfig(**sizes))
    elif family.name == "qwen25":
        model = Qwen2ForCausalLM(Qwen2Config(**sizes))
    else:
        model = Qwen3ForCausalLM(Qwen3Config(**sizes, head_dim=32))
    with torch.no_grad():
        # Logits of a larger spread: most answers of a hundred tokens then have an end.
        model.lm_head.weight[tokenizer.convert_tokens_to_ids(list(family.ends))] *= 2.0
    return model


def save_random_model(name: str, directory: Path, dtype: str = "float32", seed: int = 0) -> Path:
    """A whole Hugging Face directory of the family `name`; generation_config lists several end tokens."""
    family = FAMILIES[name]
    tokenizer = build_tokenizer(family)
    model = build_model(family, tokenizer, seed)
    model.to(getattr(torch, dtype)).save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    ends = tokenizer.convert_tokens_to_ids(list(family.ends))
    # Real directories also hold sampling advice, which must not be followed.
    generation = {"eos_token_id": ends, "do_sample": True, "temperature": 0.6, "top_k": 20, "repetition_penalty": 1.1}
    (directory / "generation_config.json").write_text(json.dumps(generation), encoding="utf-8")
    return directory
