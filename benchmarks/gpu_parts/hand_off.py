"""A hand-off from trainer to engine in the recipe's precision: how far apart they are, and what the proof costs.

In half precision trainer and engine differ by rounding; `handoff.noise` is the movement below which that could pass
for another policy.
"""

from gpu_parts.subject import Figure, Subject, timed
from gpu_parts.training import referenced, trained
from selfreward.engines.handoff import NOISE, verify
from selfreward.engines.hugging_face.engine import HuggingFaceEngine
from selfreward.engines.tensors import tensor_checksums, weights_digest
from selfreward.errors import HandOffError
from selfreward.recipe import HandOffRecipe, TransformersRecipe


def hand_off(subject: Subject) -> list[Figure]:
    pairs = referenced(subject, subject.size.pairs * 2)
    _, _, report = trained(subject, pairs, subject.scratch / "hand-off")
    engine = HuggingFaceEngine(subject.model, TransformersRecipe())
    with timed(subject) as hashed:
        tensor_checksums(report.directory)
    engine.load(report.directory, report.digest)
    with timed(subject) as proven:
        told = verify(engine, report.directory, HandOffRecipe(), subject.model.dtype)
    with timed(subject) as compared:
        engine.checksums()
    found = [
        Figure("proven by probes (1) or by checksums (0)", float(told.kind == "probes"), ""),
        Figure("movement of the probes", told.movement, "nats"),
        Figure("engine from the new policy", told.distance_new or 0.0, "nats", NOISE[subject.model.dtype]),
        Figure("engine from the old policy", told.distance_old or 0.0, "nats"),
        Figure("hash the checkpoint", hashed[0], "s"),
        Figure("prove by probes", proven[0], "s"),
        Figure("checksums of the tensors", compared[0], "s"),
    ]
    engine.load(subject.other, weights_digest(subject.other))
    try:
        verify(engine, report.directory, HandOffRecipe(), subject.model.dtype)
        refused = 0.0
    except HandOffError:
        refused = 1.0
    engine.close()
    return [*found, Figure("other weights are refused (1: yes)", refused, "")]
