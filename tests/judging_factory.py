"""Rows and a cast for tests of the judging protocols: real engines, no store."""

from pathlib import Path

import yaml

from selfreward.commands.preflight_models import model_directory
from selfreward.engines import build_engine
from selfreward.engines.tensors import weights_digest
from selfreward.recipe import ModelRecipe, ScriptedRecipe, TransformersRecipe
from selfreward.records import Comparison, Judgment, Message, Prompt, Response, Rows
from selfreward.roles.player import Player, Policy

SEED = model_directory("sandbox:seed-0")


def prompt(name="p", text="say something"):
    return Prompt(name, (Message("user", text),), "train", "test")


def response(name, of="p", text=None):
    return Response(name, of, 0, "policy", name if text is None else text, "", (1, 2), "stop", 0, "plain")


def judgment(of, score, sample=0, prompt_id="p", judge="policy", template="t", source="judge"):
    reason = None if score is not None else "no verdict"
    name = f"{judge}.{template}.{of}.{sample}"
    return Judgment(name, of, prompt_id, sample, judge, "", (), "stop", 0, template, score, reason, source)


def comparison(first, second, preference, principle="", prompt_id="p"):
    reason = None if preference is not None else "no score mass"
    name = f"{first}>{second}:{principle}"
    return Comparison(
        name, prompt_id, first, second, "policy", "", (), "stop", 0, "t", preference, reason, None, principle
    )


def script(tmp_path: Path, *rules: dict) -> Path:
    path = tmp_path / "script.yaml"
    path.write_text(yaml.safe_dump({"rules": list(rules)}), encoding="utf-8")
    return path


def player(tmp_path: Path, *rules: dict, chunk: int = 768) -> Player:
    """The scripted engine with these rules, or the sandbox's own model where there are none."""
    kind = ScriptedRecipe(script=str(script(tmp_path, *rules))) if rules else TransformersRecipe()
    engine = build_engine(ModelRecipe(), kind)
    digest = weights_digest(SEED)
    engine.load(SEED, digest)
    return Player(Policy(0, digest, SEED), lambda: engine, {"kind": engine.kind}, chunk, 0)


def rows_of(work):
    return Rows((row for index, chunk in enumerate(work.chunks) for row in work.compute(chunk, index)), "digest")
