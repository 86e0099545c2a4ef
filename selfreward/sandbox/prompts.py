"""What each role is asked in this world: the very words of the product's role templates."""

NEW_TASK_PROMPT = "write new task"


def judge_prompt(prompt: str, response: str) -> str:
    return f"judge : task {{ {prompt} }} reply {{ {response} }} rate with score"


def meta_prompt(prompt: str, response: str, first: str, second: str) -> str:
    """Both judgments come first, so that the ordinary judge prompt and all of its skill follow unchanged."""
    return f"compare : A {{ {first} }} B {{ {second} }} {judge_prompt(prompt, response)}"
