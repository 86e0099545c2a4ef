"""What a run will not be able to know, and which key changes that. Said before it costs anything.

A judge that is itself trained can only tell how pleased it is. Three things tell more: a verifier (what is right), a
judge that is held out (who is better, by somebody else) and labels by people (whether the judge is right).
"""

from selfreward.recipe import Recipe


def unknown(recipe: Recipe) -> list[str]:
    """One sentence for each thing that tells nothing in this recipe, with the key that brings it."""
    measure, found = recipe.measure, []
    if measure.verifier == "none":
        found.append(
            "no oracle: whether an answer is right is not known. measure.verifier=exact (or contains, numeric, "
            "choice, mathematics, json_schema, sql, code, ifeval) compares with the rows' answers, where they bring one"
        )
    if measure.held_out is None:
        found.append(
            "no held-out judge: whether anybody but the loop's own judge would prefer the new answers is not known. "
            "measure.held_out.model=served:NAME, a directory or sandbox:seed-K asks another one"
        )
    if not measure.judge:
        found.append(
            "measure.judge=false: what the loop's own judge makes of the answers is not known, nor which round it "
            "would choose. Nothing here is trained on its word"
        )
    elif measure.anchors is None and (measure.verifier == "none" or not measure.frozen):
        found.append(
            "no anchors: whether the judge agrees with people is not known. `selfreward anchors sample` makes a sheet "
            "of the first run's answers, measure.anchors=FILE reads its labels"
        )
    return found


def only_itself(recipe: Recipe) -> str | None:
    """One sentence for a run with a real model about whose gains nothing but its own judge will speak."""
    measure = recipe.measure
    if recipe.model.path.kind == "sandbox" or measure.verifier != "none" or measure.held_out or measure.anchors:
        return None
    return (
        "this run has no verifier, no held-out judge and no labels by people, so it will not know whether its answers "
        "become better or only please its own judge; measure.held_out.model=served:NAME (or a directory) changes that"
    )
