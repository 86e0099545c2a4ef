"""Answers from a file in the place of sampled ones (`generate.source`): judged, paired and trained on like any others.

They are off-policy: another model, or nobody knows who, said them, so DPO learns to prefer among them and not among
what the policy would say. Nothing knows their log-probabilities under who sampled them. A text without token ids is
tokenised as the policy's template ends a reply; token ids that do not spell the text are refused, for one would be
judged and the other trained on.
"""

from collections.abc import Mapping, Sequence

from selfreward.engines.chat import ChatRenderer, load_renderer
from selfreward.errors import DataError
from selfreward.records import Prompt, Response, Rows, stable_id
from selfreward.roles.round import Round
from selfreward.store.given import given
from selfreward.tasks.responses_file import OwnResponse, read_responses

POLICY = "own"
"""Who answered, on the row: nobody that this run knows."""


def given_responses(round: Round, prompts: Rows[Prompt]) -> Rows[Response]:
    """The file's answers to the round's prompts."""
    recipe, cast = round.recipe, round.cast
    source = str(recipe.generate.source)
    renderer = load_renderer(cast.policies[0].directory, recipe.model, cast.day)
    by_prompt = {row.prompt.id: row.responses for row in read_responses(source)}
    rows = as_responses(prompts, by_prompt, renderer, round.number, source)
    return round.complete(given(round.number, "responses", Response, rows, {"prompts": prompts.digest}))


def as_responses(
    prompts: Sequence[Prompt],
    answers: Mapping[str, Sequence[OwnResponse]],
    renderer: ChatRenderer,
    round: int,
    source: str,
) -> list[Response]:
    """The answers as rows of a round. Raises DataError for token ids that are not those of their text."""
    rows = []
    for prompt in prompts:
        for sample, answer in enumerate(answers[prompt.id]):
            where = f"{source}: responses[{sample}] to {prompt.text[:40]!r}"
            rows.append(
                Response(
                    id=stable_id("own", round, prompt.id, sample),
                    prompt_id=prompt.id,
                    sample=sample,
                    policy=POLICY,
                    text=answer.text,
                    reasoning="",
                    token_ids=_tokens(answer, renderer, where),
                    finish_reason=answer.finish_reason,
                    seed=0,
                    template=POLICY,
                )
            )
    return rows


def _tokens(answer: OwnResponse, renderer: ChatRenderer, where: str) -> tuple[int, ...]:
    if not answer.token_ids:
        tokens = renderer.reply_token_ids(answer.text)
        return tokens if answer.finish_reason == "stop" else tokens[:-1]  # what was cut off has no end of turn
    size = len(renderer.tokenizer)
    if outside := [one for one in answer.token_ids if not 0 <= one < size]:
        raise DataError(
            f"{where}: token id {outside[0]} is not one of the {size} of {renderer.where}; leave token_ids out"
        )
    spelt = str(renderer.tokenizer.decode(list(answer.token_ids), skip_special_tokens=True))
    if answer.text.strip() not in spelt:
        raise DataError(
            f"{where}: its token_ids spell {spelt[:60]!r} under {renderer.where}; expected its text, or no token_ids"
        )
    return answer.token_ids
