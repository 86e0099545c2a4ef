"""Keys of earlier versions, and what to write today."""

from collections.abc import Mapping

MOVED: dict[str, str] = {
    "judge.protocol": "judge.reading (verdict, probability or rationale); judge.question=comparison puts two answers "
    "side by side",
    "judge.samples": "judge.aggregate.samples",
    "judge.template": "judge.question.template",
    "judge.sampling": "judge.reading.sampling",
    "judge.ask_again": "judge.reading.ask_again",
    "judge.min_mass": "judge.reading.min_mass, with judge.reading=probability or rationale",
    "judge.rubric": "judge.question.kind=rubric and judge.question.rubric",
    "judge.ensemble": "judge.aggregate.kind=ensemble and judge.aggregate.members",
    "judge.max_disagreement": "judge.aggregate.max_disagreement, with judge.aggregate=ensemble",
    "judge.adaptive.enabled": "judge.aggregate=adaptive",
    "judge.adaptive": "its keys under judge.aggregate, with judge.aggregate.kind=adaptive",
    "judge.pairwise.reading": "judge.reading",
    "judge.pairwise.constitution": "judge.question.kind=principle and judge.question.constitution",
    "judge.pairwise.principles": "judge.question.principles, with judge.question.kind=principle",
    "judge.pairwise": "its keys under judge.question, with judge.question.kind=comparison",
    "engine.vllm": "its keys under engine, with engine.kind=vllm",
    "pairs.min_judgments": "pairs.score.min_judgments",
    "pairs.implicit_reference": "pairs.score.reference, with pairs.score.kind=implicit_reward",
    "pairs.consistency": "pairs.score.consistency, with pairs.score.kind=implicit_reward",
    "pairs.inconsistent": "pairs.score.inconsistent, with pairs.score.kind=implicit_reward",
    "train.label_smoothing": "train.loss.label_smoothing",
    "train.gamma": "train.loss.gamma, with train.loss.kind=simpo",
    "measure.held_out.protocol": "measure.held_out.reading (verdict, probability) or measure.held_out.question="
    "comparison",
    "measure.held_out.template": "measure.held_out.question.template",
    "measure.held_out.judge_samples": "measure.held_out.samples",
    "measure.held_out.sampling": "measure.held_out.reading.sampling",
}


def moved(key: str, value: object = None) -> str | None:
    """What to write in place of a key of an earlier version, or None. `value` may be the keys inside it."""
    inside = next(iter(value), "") if isinstance(value, Mapping) else ""
    return MOVED.get(f"{key}.{inside}") or MOVED.get(key)
