"""Exact match of final answers, in their normal form (see `final_answer.py`).

The gold `answer` may be a worked solution that marks its end ("#### 42", \\boxed{42}). A reply without a marked answer
or a number is compared whole, so a bare "Paris" can be right; "Paris, 2 million people" is not.
"""

from selfreward.records import Prompt
from selfreward.tasks.verifiers.final_answer import final_answer, last_boxed, normal
from selfreward.tasks.verifiers.protocol import Truth
from selfreward.tasks.verifiers.truths import decided, left_open, quality_of_judgment, require_answer


class ExactVerifier:
    def require(self, prompt: Prompt) -> None:
        require_answer(prompt, "the gold answer, a string or a number,")

    def check(self, prompt: Prompt, text: str) -> Truth:
        if prompt.answer is None:
            return left_open("no gold answer", final_answer(text))
        answer = final_answer(text) or normal(text)
        return decided(answer == gold_answer(prompt.answer), answer)

    def judgment_quality(self, prompt: Prompt, answer: str, judgment: str) -> float:
        return quality_of_judgment(self.check(prompt, answer), judgment)


def gold_answer(gold: str) -> str:
    """The final answer of a gold solution; a gold answer that marks nothing is one as it stands."""
    return final_answer(gold) if "####" in gold or last_boxed(gold) is not None else normal(gold)
