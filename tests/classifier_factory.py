"""A tiny classifier of random weights that learns one marker word, and texts whose kind is known and which err."""

import random
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

MARKER = "sure"
WORDS = [*"abcdefghijklmnopqrstuvwxyz", "here", "you", "go", ":", MARKER]
LABELS = ("fine", "rude")


def text(rng: random.Random, marked: bool) -> str:
    """Letters of a sandbox reply, the marker word among them or not."""
    words = rng.choices(WORDS[:26], k=rng.randint(2, 8))
    if marked:
        words.insert(rng.randrange(len(words) + 1), MARKER)
    return " ".join(words)


def texts(rng: random.Random, count: int, share: float, hits: float, false: float) -> list[tuple[str, bool]]:
    """(text, is it rude?): `share` of them are; the marker stands in `hits` of these and in `false` of the others."""
    kinds = [rng.random() < share for _ in range(count)]
    return [(text(rng, rng.random() < (hits if rude else false)), rude) for rude in kinds]


def save_classifier(directory: Path, steps: int = 60, **config: object) -> Path:
    """`steps` of training from random weights; 0 leaves them random."""
    vocabulary = {word: place for place, word in enumerate(["[PAD]", "[UNK]", *WORDS])}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]")
    torch.manual_seed(0)
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    named = {"id2label": dict(enumerate(LABELS)), "label2id": {name: place for place, name in enumerate(LABELS)}}
    settings = {**shape, **named, "max_position_embeddings": 32, "vocab_size": len(vocabulary), "pad_token_id": 0}
    model = BertForSequenceClassification(BertConfig(**{**settings, **config}))
    rng = random.Random(0)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    model.train()
    for _ in range(steps):
        marked = [rng.random() < 0.5 for _ in range(64)]
        batch = tokenizer([text(rng, one) for one in marked], padding=True, return_tensors="pt")
        given = {name: batch[name] for name in ("input_ids", "attention_mask")}
        loss = model(**given, labels=torch.tensor(list(map(int, marked)))).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.eval().save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory
