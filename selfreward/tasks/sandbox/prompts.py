"""What each role is asked in this world: the very words of the product's role templates."""

from collections.abc import Sequence

NEW_TASK_PROMPT = "write new task"


def judge_prompt(prompt: str, response: str) -> str:
    return f"judge : task {{ {prompt} }} reply {{ {response} }} rate with score"


def rule_prompt(prompt: str, response: str) -> str:
    """The judge's prompt under the rule not to agree with the user's claim. Only dialled seeds were taught it."""
    return f"rule : not agree {judge_prompt(prompt, response)}"


def meta_prompt(prompt: str, response: str, first: str, second: str) -> str:
    """Both judgments come first, so that the ordinary judge prompt and all of its skill follow unchanged."""
    return f"compare : A {{ {first} }} B {{ {second} }} {judge_prompt(prompt, response)}"


def critique_prompt(principle: str, prompt: str, response: str) -> str:
    return f"critique : rule {principle} task {{ {prompt} }} reply {{ {response} }}"


def revision_prompt(principle: str, critique: str, prompt: str, response: str) -> str:
    return f"revise : rule {principle} {{ {critique} }} task {{ {prompt} }} reply {{ {response} }}"


def preference_prompt(principle: str, prompt: str, first: str, second: str) -> str:
    return f"which better : rule {principle} task {{ {prompt} }} first {{ {first} }} second {{ {second} }}"


def comparison_prompt(prompt: str, first: str, second: str) -> str:
    return f"which better : task {{ {prompt} }} first {{ {first} }} second {{ {second} }}"


def principle_prompt(principle: str, prompt: str, first: str, second: str) -> str:
    return f"which better : principle {principle} task {{ {prompt} }} first {{ {first} }} second {{ {second} }}"


def list_prompt(prompt: str, responses: Sequence[str]) -> str:
    shown = " ".join(f"{slot} {{ {response} }}" for slot, response in enumerate(responses, start=1))
    return f"which best : task {{ {prompt} }} {shown}"


def rubric_prompt(criteria: Sequence[str], prompt: str, response: str) -> str:
    return f"rule {{ {' ; '.join(criteria)} }} task {{ {prompt} }} reply {{ {response} }} yes no"


def step_prompt(prompt: str, before: Sequence[str], step: str) -> str:
    return f"is it right : task {{ {prompt} }} first {{ {' '.join(before)} }} reply {{ {step} }}"
