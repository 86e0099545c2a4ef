"""What each role is asked in this world: the very words of the product's role templates."""

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
