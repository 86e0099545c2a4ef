"""Does a chat template say what it is given? A marker is put into each role's content, rendered, and looked for.

Three templates that exist in the wild render without any error and lose text: those written for content in parts (a
vision-language model's) iterate over the letters of a string and print nothing; some leave the system turn out; some
have no generation prompt, so that the model goes on with the user's turn. A template without one is told from one that
needs none (Mistral's `[/INST]`) by the finished conversation: what stands there between the question's end and the
answer is the generation prompt. Thinking tags are not counted, since templates open and close them as they like.
"""

import re
from collections.abc import Iterable, Sequence

from selfreward.engines.chat import ChatRenderer
from selfreward.engines.thinking import END_THINK, THINK
from selfreward.errors import DataError, RecipeError
from selfreward.recipe import ModelRecipe

_MARKER = "marker{}of{}"
_TEXT = " ".join(["Is 3 < 4 & 5 > 2?\n\n\tSay \"Yes\", 'NO' or 50 %; été, 二."] * 12)
"""Upper case, what HTML escapes, line ends, other scripts, and some length: what a template may change on the way."""


def require_whole(renderer: ChatRenderer, conversations: Iterable[Sequence[str]]) -> None:
    """Raise DataError where turns of these roles lose a text or the generation prompt. Each is a sequence of roles."""
    for roles in sorted({tuple(roles) for roles in conversations}):
        turns = [(role, _MARKER.format(number, len(roles))) for number, role in enumerate(roles)]
        text = renderer.render(turns)
        lost = [role for role, marker in turns if marker not in text]
        if len(lost) == len(turns):
            raise DataError(
                f"{renderer.where}: the chat template leaves out every message's text (it probably expects content in "
                "parts, as vision-language models have it); take the text model's template: put a chat_template.jinja "
                "that prints message['content'] beside tokenizer_config.json"
            )
        if lost:
            raise DataError(
                f"{renderer.where}: the chat template leaves out the text of the {lost[0]} turn in a conversation of "
                f"{', '.join(roles)}, so the model would never read it; correct the template, or put that text into "
                "the user's turn"
            )
        _require_unchanged(renderer, turns)
        _require_generation_prompt(renderer, turns)


def _require_unchanged(renderer: ChatRenderer, turns: Sequence[tuple[str, str]]) -> None:
    written = [(role, f"{marker} {_TEXT} {marker}") for role, marker in turns]
    text = renderer.render(written)
    changed = [role for role, content in written if content not in text]
    if changed:
        raise DataError(
            f"{renderer.where}: the chat template changes the text of the {changed[0]} turn (its case, special "
            "characters, line ends, or it cuts what is long), so the model would read another one; print "
            "message['content'] as it is"
        )


def require_arguments(renderer: ChatRenderer, model: ModelRecipe) -> None:
    """Raise RecipeError for a template argument that the template does not name: it would change nothing."""
    template = str(renderer.tokenizer.get_chat_template())
    for name in model.template_arguments:
        if not re.search(rf"\b{re.escape(name)}\b", template):
            raise RecipeError(
                f"key 'model.template_arguments.{name}': {renderer.where} has a chat template that does not read it; "
                "remove the key, or correct its name"
            )


def _require_generation_prompt(renderer: ChatRenderer, turns: Sequence[tuple[str, str]]) -> None:
    prompt, plain = renderer.render(turns), renderer.render(turns, prompt=False)
    if prompt != plain:
        return
    answer = "markerofanswer"
    try:
        finished = renderer.render([*turns, ("assistant", answer)], prompt=False)
    except DataError:
        return  # a template that refuses a finished conversation says nothing about its begin
    before = finished.partition(answer)[0]
    opening = re.sub(f"{THINK}|{END_THINK}", "", before[len(prompt) :]).strip()
    if before.startswith(prompt) and opening:
        raise DataError(
            f"{renderer.where}: the chat template has no generation prompt: a finished answer follows {opening!r}, but "
            "with add_generation_prompt nothing is added, so the model would go on with the user's turn; add "
            f"{{% if add_generation_prompt %}}{opening}{{% endif %}} to the template's end"
        )
