"""Stage: answers are criticised by principles and rewritten (constitutional AI, 2212.08073, section 3).

    y_0       an answer of the round
    c_m       what the critic says against y_(m-1) by a principle drawn by lot           m = 1 .. turns
    y_m       what the reviser makes of y_(m-1) and c_m

Each is a question of its own, fenced: no chat goes on in which a revision could quote what came before. Turn m has two
artifacts, `critiques_m` and `revisions_m`, each sealed, so that a stopped run goes on within a turn; `revisions` holds
the last usable y_m of every answer. Where a critique or a revision is not used (faults.py says why, the rows too), or
the critic finds nothing, the answer stays what it was and the next turn asks about it by the next principle.

The paper has a chat with few-shot examples in front, 4 turns and 16 principles. A revision is off-policy: it was
sampled under another question. Its tokens are the sampled ones where the policy wrote them and nothing was cut, else
those in which its chat template ends a reply.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from selfreward.engines.chat import ChatRenderer, load_renderer
from selfreward.judging.revising.asking import CRITIQUES, REVISIONS, Turn, criticising, rewriting
from selfreward.judging.revising.drafts import Draft, answers_to_revise, draft
from selfreward.judging.revising.rows import Critique, Revised, Revision
from selfreward.recipe import RevisingRecipe
from selfreward.records import Drop, Prompt, Response, Rows, by_id, pair_drop, seed_for, stable_id
from selfreward.roles.round import Round
from selfreward.store.artifacts import part_of
from selfreward.store.given import given
from selfreward.store.view import RunView

NOTHING = "nothing to revise"


def revise(
    round: Round, prompts: Rows[Prompt], responses: Rows[Response], recipe: RevisingRecipe, per_prompt: int
) -> Revised:
    """`per_prompt` complete answers to every prompt, by lot among the different ones, each in all its turns."""
    player, asked = round.role(recipe.model), by_id(prompts)
    seed = seed_for(round.recipe.seed, REVISIONS, round.number)
    drafts = [draft(answer, recipe, seed) for answer in answers_to_revise(responses, per_prompt, seed)]
    made_from = {"prompts": prompts.digest, "responses": responses.digest, "answers": f"{per_prompt} of {seed}"}
    critiques: list[Critique] = []
    revisions: list[Revision] = []
    for number in range(1, recipe.turns + 1):
        turn = Turn(player, asked, recipe, number, round.number, dict(made_from))
        said = round.complete(criticising(turn, drafts))
        made_from[part_of(CRITIQUES, number)] = said.digest
        turn = Turn(player, asked, recipe, number, round.number, dict(made_from))
        found = {row.response_id: row for row in said if row.finding == "change"}
        made = round.complete(rewriting(turn, [one for one in drafts if one.answer.id in found], found))
        made_from[part_of(REVISIONS, number)] = made.digest
        usable = {row.response_id: row for row in made if row.unusable is None}
        drafts = [one.after(usable.get(one.answer.id)) for one in drafts]
        critiques, revisions = [*critiques, *said], [*revisions, *made]
    rows = _last(round, drafts, by_id(revisions), recipe)
    final = round.complete(given(round.number, REVISIONS, Response, rows, made_from))
    used = defaultdict(set)
    for row in revisions:
        if row.unusable is None:
            used[row.response_id].add(row.principle)
    said_and_made: list[Critique | Revision] = [*critiques, *revisions]
    return Revised(
        {row.parent: row for row in final if row.parent is not None},
        _reasons(drafts, said_and_made),
        [_drop(row) for row in said_and_made if row.unusable is not None],
        {name: frozenset(names) for name, names in used.items()},
        final.digest,
    )


def revising_rows(view: RunView, number: int, recipe: RevisingRecipe) -> tuple[list[Critique], list[Revision]]:
    """What a round sealed of its turns; nothing where it revised nothing."""
    critiques: list[Critique] = []
    revisions: list[Revision] = []
    for turn in range(1, recipe.turns + 1):
        if view.seal(number, part_of(REVISIONS, turn)) is not None:
            critiques += view.read(number, part_of(CRITIQUES, turn), Critique)
            revisions += view.read(number, part_of(REVISIONS, turn), Revision)
    return critiques, revisions


def _last(
    round: Round, drafts: Sequence[Draft], revisions: Mapping[str, Revision], recipe: RevisingRecipe
) -> list[Response]:
    """The last usable revision of every answer that has one, as an answer to the prompt alone."""
    own = recipe.model.of_run
    renderer: ChatRenderer | None = None
    rows = []
    for one in drafts:
        last = revisions.get(one.about)
        if last is None:
            continue
        tokens = last.token_ids
        if not own or last.cut or last.reasoning:
            renderer = renderer or load_renderer(round.cast.policies[0].directory, round.recipe.model, round.cast.day)
            tokens = renderer.reply_token_ids(one.text)
        rows.append(
            Response(
                id=stable_id("revision", round.number, one.answer.id),
                prompt_id=one.answer.prompt_id,
                sample=one.answer.sample,
                policy=last.reviser,
                text=one.text,
                reasoning="",
                token_ids=tokens,
                finish_reason="stop",
                seed=last.seed,
                template=last.template,
                source="revision",
                parent=one.answer.id,
            )
        )
    return rows


def _reasons(drafts: Sequence[Draft], turns: Sequence[Critique | Revision]) -> dict[str, str]:
    """Why an answer has no revision: its first fault, or that no critic found anything."""
    first: dict[str, str] = {}
    for row in sorted(turns, key=lambda row: row.turn):
        if row.unusable is not None:
            first.setdefault(row.response_id, row.unusable)
    unrevised = [one.answer.id for one in drafts if one.about == one.answer.id]
    return {name: first.get(name, NOTHING) for name in unrevised}


def _drop(row: Critique | Revision) -> Drop:
    said = f"turn {row.turn}, principle {row.principle}"
    return pair_drop("revision", row.response_id, row.unusable or "", said, row.id)
