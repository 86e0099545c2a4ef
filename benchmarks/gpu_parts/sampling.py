"""The transformers engine: seconds to load, to decode and to score, what a rest gives back, what waking costs."""

from gpu_parts.subject import Figure, Subject, free_memory, memory_in_use, requests, timed
from selfreward.engines.hugging_face.engine import HuggingFaceEngine
from selfreward.engines.protocol import TokenSequence
from selfreward.engines.tensors import weights_digest
from selfreward.recipe import TransformersRecipe


def sampling(subject: Subject) -> list[Figure]:
    size, line = subject.size, subject.roofline()
    engine = HuggingFaceEngine(
        subject.model, TransformersRecipe(batch_tokens=size.replies * (size.prompt + size.reply))
    )
    digest, other = weights_digest(subject.directory), weights_digest(subject.other)
    before = memory_in_use()
    with timed(subject) as built:
        engine.load(subject.directory, digest)
    held = memory_in_use() - before
    asked = requests(size)
    engine.generate(asked[:2], 0)  # kernels are chosen at the first call
    with timed(subject) as decoded:
        replies = engine.generate(asked, 0)
    tokens = sum(len(one.token_ids) for group in replies for one in group)
    prompts = [engine.prompt_token_ids(one.messages) for one in asked]
    read = sum(map(len, prompts))
    texts = [TokenSequence(ids, group[0].token_ids) for ids, group in zip(prompts, replies, strict=True)]
    with timed(subject) as scored:
        engine.logprobs(texts)
    full = memory_in_use() - before
    with timed(subject) as swapped:
        engine.load(subject.other, other)
    engine.sleep()
    free_memory()
    rested = memory_in_use() - before
    with timed(subject) as woken:
        engine.load(subject.directory, digest)
    engine.close()
    reply, prompt = tokens / size.replies, read / size.replies
    floor = line and line.prefill(read, prompt, size.replies) + line.decode(
        size.replies, prompt, reply, 1.0, size.replies
    )
    return [
        Figure("load", built[0], "s"),
        Figure(f"decode, {size.replies} replies at once", tokens / decoded[0], "tokens/s", floor and tokens / floor),
        Figure(
            "score", (read + tokens) / scored[0], "tokens/s", line and (read + tokens) / line.forward(read + tokens)
        ),
        Figure("other weights in place", swapped[0], "s"),
        Figure("build again after a rest", woken[0], "s"),
        Figure("memory of the weights", held / 1e9, "GB", line and line.weights / 1e9),
        Figure("memory after sampling", full / 1e9, "GB"),
        Figure("memory while it rests", rested / 1e9, "GB"),
    ]
