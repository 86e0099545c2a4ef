"""The recipe.yaml of a run that was made before the sections had variants, as a recipe of today.

Such a file is complete: it names every key, also those that its run did not read, and those are left behind. What the
run was is the same, so it can be shown, compared and forked. It cannot be gone on with: its rows' fingerprints are of
the keys of then.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from selfreward.errors import RecipeError
from selfreward.recipe.read import build_recipe
from selfreward.recipe.recipe import Recipe
from selfreward.recipe.section import Section
from selfreward.recipe.shape import Shape, fields
from selfreward.recipe.text import read_yaml, shown


def load_kept(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe that a run keeps, of today or of then; `overrides` are keys of today."""
    values = read_yaml(path)
    if is_former(values):
        try:
            values = of_today(values)
        except (KeyError, TypeError, AttributeError) as problem:
            raise RecipeError(f"{shown(path)}: neither a recipe of today nor a whole one of before") from problem
    return build_recipe([values], overrides, where=shown(path))


def is_former(values: Any) -> bool:
    judge = values.get("judge") if isinstance(values, Mapping) else None
    return isinstance(judge, Mapping) and "protocol" in judge


def of_today(former: Mapping[str, Any]) -> dict[str, Any]:
    """The layer of today that says what the whole former recipe said."""
    sections = fields(Recipe)
    judge, engine, train, pairs = (former[name] for name in ("judge", "engine", "train", "pairs"))
    loss = {"kind": train["loss"], "label_smoothing": train["label_smoothing"], "gamma": train["gamma"]}
    implicit = {
        "kind": "implicit_reward",
        "reference": pairs["implicit_reference"],
        "consistency": pairs["consistency"],
        "inconsistent": pairs["inconsistent"],
    }
    judged = {"kind": "judge", "min_judgments": pairs["min_judgments"]}
    pairs = {**pairs, "score": implicit if pairs["score"] == "implicit_reward" else judged}
    train = {**train, "loss": _variant(_part(sections["train"], "dpo", "loss"), loss)}
    measure = dict(former["measure"])
    if measure.get("held_out"):
        measure["held_out"] = _held_out(measure["held_out"], judge)
    return {
        **former,
        "engine": _variant(sections["engine"], {**engine, **engine["vllm"]}),
        "judge": {**{name: judge[name] for name in ("model", "source", "control")}, **_axes(judge)},
        "pairs": _variant(sections["pairs"], pairs),
        "train": _variant(sections["train"], train),
        "measure": measure,
    }


def _variant(shape: Shape, values: Mapping[str, Any]) -> dict[str, Any]:
    """Of these values, those that the variant has which they name."""
    kind: type[Section] = shape.variants[values[shape.tag]]
    return {name: values[name] for name in kind.__pydantic_fields__ if name in values}


def _part(shape: Shape, tag: str, name: str) -> Shape:
    return shape.fields(tag)[name]


def _axes(judge: Mapping[str, Any]) -> dict[str, Any]:
    pairwise, protocol = judge["pairwise"], judge["protocol"]
    question: dict[str, Any] = {"kind": "score", "template": judge["template"]}
    if judge["rubric"] is not None:
        question = {"kind": "rubric", "rubric": judge["rubric"]}
    reading = {"pointwise": "verdict", "expected": "probability", "hybrid": "rationale"}.get(protocol, "")
    if protocol == "pairwise":
        reading = pairwise["reading"]
        asked = {name: pairwise[name] for name in ("template", "comparisons", "count", "ridge", "clamp")}
        question = {"kind": "comparison", **asked}
        if pairwise["constitution"] is not None:
            drawn = {name: pairwise[name] for name in ("constitution", "principles")}
            question = {**asked, "kind": "principle", **drawn}
    return {"question": question, "reading": _reading(reading, judge), "aggregate": _aggregate(judge)}


def _reading(kind: str, judge: Mapping[str, Any], sampling: Any = None) -> dict[str, Any]:
    reply = {"sampling": sampling or judge["sampling"]}
    mass = {"min_mass": judge["min_mass"]}
    said: dict[str, dict[str, Any]] = {"probability": mass, "rationale": {**mass, **reply}}
    return {"kind": kind, **said.get(kind, {**reply, "ask_again": 0 if sampling else judge["ask_again"]})}


def _aggregate(judge: Mapping[str, Any]) -> dict[str, Any]:
    samples = {"samples": judge["samples"]}
    if _true(judge["adaptive"]["enabled"]):
        return {"kind": "adaptive", **{name: value for name, value in judge["adaptive"].items() if name != "enabled"}}
    if judge["ensemble"]:
        bound = {"max_disagreement": judge["max_disagreement"]}
        return {"kind": "ensemble", "members": judge["ensemble"], "average": judge["aggregate"], **bound, **samples}
    return {"kind": judge["aggregate"], **samples}


def _held_out(held_out: Mapping[str, Any], judge: Mapping[str, Any]) -> dict[str, Any]:
    template, protocol = held_out["template"], held_out["protocol"]
    kept = {"model": held_out["model"], "answers": held_out["answers"]}
    sampling = held_out["sampling"] or judge["sampling"]
    if protocol == "pairwise":
        question = {"kind": "comparison", "template": template or "pairwise"}
        return {**kept, "question": question, "reading": _reading(held_out["reading"], judge, sampling)}
    asked: dict[str, Any] | None = {"kind": "score", "template": template or judge["template"]}
    if template is None and judge["rubric"] is not None:
        asked = None
    reading = "verdict" if protocol == "pointwise" else "probability"
    samples = {"samples": held_out["judge_samples"]} if protocol == "pointwise" else {}
    return {**kept, **samples, "question": asked, "reading": _reading(reading, judge, sampling)}


def _true(value: Any) -> bool:
    return value is True or value == "true"
