"""The tiny model and its tokenizer, as an ordinary Hugging Face directory.

Llama, 222 k parameters. Two heads of 32 because vLLM's attention on CPU refuses a head dimension below 32.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from selfreward.tasks.sandbox.words import BEGIN, END, PAD, SPECIAL, UNKNOWN, VOCABULARY, WORD_IDS

Message = dict[str, str]
"""One chat turn: `role` (system, user or assistant) and `content`."""

LONGEST_SEQUENCE = 256

CHAT_TEMPLATE = (
    "{{ bos_token }}"
    "{% for message in messages %} <|{{ message['role'] }}|> "
    "{% if message['role'] == 'assistant' %}"
    "{% generation %}{{ message['content'] }} " + END + "{% endgeneration %}"
    "{% else %}{{ message['content'] }} " + END + "{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %} <|assistant|>{% endif %}"
)


def build_tokenizer() -> PreTrainedTokenizerFast:
    """One token a word, words separated by spaces; the end of a turn is the end-of-sequence token."""
    backend = Tokenizer(models.WordLevel(dict(WORD_IDS), unk_token=UNKNOWN))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    # Without a decoder the tokens are joined by single spaces, which is the inverse of the split.
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token=PAD,
        bos_token=BEGIN,
        eos_token=END,
        unk_token=UNKNOWN,
        additional_special_tokens=[token for token in SPECIAL if token not in (PAD, BEGIN, UNKNOWN, END)],
        clean_up_tokenization_spaces=False,
        padding_side="left",
        model_max_length=LONGEST_SEQUENCE,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def build_model(seed: int) -> LlamaForCausalLM:
    """An untrained model; its weights depend on `seed` only."""
    config = LlamaConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=64,
        num_hidden_layers=4,
        num_attention_heads=2,
        head_dim=32,
        intermediate_size=192,
        max_position_embeddings=LONGEST_SEQUENCE,
        rope_parameters={"rope_type": "default", "rope_theta": 1000.0},
        tie_word_embeddings=True,
        initializer_range=0.05,
        pad_token_id=WORD_IDS[PAD],
        bos_token_id=WORD_IDS[BEGIN],
        eos_token_id=WORD_IDS[END],
    )
    torch.manual_seed(seed)
    return LlamaForCausalLM(config)


def save_model(model: LlamaForCausalLM, directory: Path) -> None:
    """Write weights, configuration and tokenizer so that the Auto classes load them."""
    model.save_pretrained(directory)
    build_tokenizer().save_pretrained(directory)


def encode_chat(messages: Sequence[Message]) -> list[int]:
    """Token ids of a conversation that waits for the assistant: the chat template, without the cost of jinja."""
    ids = [WORD_IDS[BEGIN]]
    for message in messages:
        ids += [WORD_IDS[f"<|{message['role']}|>"], *encode_words(message["content"]), WORD_IDS[END]]
    return [*ids, WORD_IDS["<|assistant|>"]]


def encode_words(text: str) -> list[int]:
    return [WORD_IDS.get(word, WORD_IDS[UNKNOWN]) for word in text.split()]


def encode_reply(text: str) -> list[int]:
    """Token ids of an assistant turn after the generation prompt, its end included."""
    return [*encode_words(text), WORD_IDS[END]]


def decode_reply(ids: Sequence[int]) -> str:
    """The words of a turn up to its end. A turn that never ended gets a last `<unk>`, so that no parser reads it."""
    end = WORD_IDS[END]
    words = [VOCABULARY[index] for index in ids if index not in (WORD_IDS[PAD],)]
    if end in ids:
        return " ".join(words[: words.index(END)])
    return " ".join([*words, UNKNOWN])
