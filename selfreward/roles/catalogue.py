"""Which templates exist, how each fences what it shows, and how its reply is read. The words are in text files."""

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Literal

from selfreward.errors import RecipeError

Kind = Literal[
    "generator",
    "judge",
    "judge_pairwise",
    "judge_list",
    "judge_steps",
    "judge_claims",
    "judge_trajectory",
    "debater",
    "meta_judge",
    "prompt_writer",
    "critic",
    "reviser",
]


@dataclass(frozen=True, slots=True)
class Template:
    """`fence`: how shown texts are kept apart (fences.py); `reply`: where the verdict stands.

    `last_line`: the last line is the verdict, as prose models write it. `last_words`: the last two words are, as in the
    sandbox's one-line language. `hide_scores`: numbers are cut from judgments before a meta-judge sees them; the
    sandbox's meta-judge was taught on whole judgments and compares their scores with its own, so there they stay.
    """

    fence: Literal["none", "tags", "braces"]
    reply: Literal["text", "last_line", "last_words"]
    hide_scores: bool = False


_FOLDERS: dict[Kind, str] = {
    "generator": "selfreward.roles",
    "prompt_writer": "selfreward.roles",
    "judge": "selfreward.judging.prompts",
    "judge_pairwise": "selfreward.judging.prompts",
    "judge_list": "selfreward.judging.prompts",
    "judge_steps": "selfreward.judging.prompts",
    "judge_claims": "selfreward.judging.prompts",
    "judge_trajectory": "selfreward.judging.prompts",
    "debater": "selfreward.judging.prompts",
    "meta_judge": "selfreward.judging.prompts",
    "critic": "selfreward.judging.revising",
    "reviser": "selfreward.judging.revising",
}
"""The package beside whose parsers the words of a kind lie, in `templates/`."""

_PROSE: dict[Kind, Template] = {
    "generator": Template("none", "text"),
    "judge": Template("tags", "last_line"),
    "judge_pairwise": Template("tags", "last_line"),
    "judge_list": Template("tags", "last_line"),
    "judge_steps": Template("tags", "last_line"),
    "judge_claims": Template("tags", "text"),
    "judge_trajectory": Template("tags", "last_line"),
    "debater": Template("tags", "text"),
    "meta_judge": Template("tags", "last_line", hide_scores=True),
    "prompt_writer": Template("tags", "text"),
    "critic": Template("tags", "text"),
    "reviser": Template("tags", "text"),
}
"""How a text file is fenced and its reply read, unless it stands below: as prose models are."""

_OTHERWISE: dict[Kind, dict[str, Template]] = {
    "judge": {
        "sandbox": Template("braces", "last_words"),
        "sandbox_anti_sycophancy": Template("braces", "last_words"),
        "sandbox_rubric": Template("braces", "last_words"),
    },
    "meta_judge": {"sandbox": Template("braces", "last_words")},
    "prompt_writer": {"sandbox": Template("none", "text")},
    "judge_pairwise": {
        "sandbox_principle": Template("braces", "last_line"),
        "sandbox": Template("braces", "last_words"),
        "sandbox_by_principle": Template("braces", "last_words"),
    },
    "judge_list": {"sandbox": Template("braces", "last_words")},
    "judge_steps": {"sandbox": Template("braces", "last_words")},
    "critic": {"sandbox": Template("braces", "text")},
    "reviser": {"sandbox": Template("braces", "text")},
}
"""The templates that are fenced or read otherwise than prose is."""

_SHOWN: dict[Kind, tuple[str, ...]] = {
    "generator": (),
    "judge": ("prompt", "response"),
    "judge_pairwise": ("prompt", "first", "second"),
    "judge_list": ("prompt", "responses"),
    "judge_steps": ("prompt", "before", "step"),
    "judge_claims": ("context", "prompt", "response"),
    "judge_trajectory": ("prompt", "trajectory"),
    "debater": ("prompt", "own", "other", "debate"),
    "meta_judge": ("prompt", "response", "first", "second"),
    "prompt_writer": ("examples",),
    "critic": ("principle", "prompt", "response"),
    "reviser": ("principle", "critique", "prompt", "response"),
}
"""What the words of a kind must leave a place for."""

_WITHOUT_WORDS = {("generator", "plain")}
"""Templates that add nothing and so have no file."""


def _shipped(kind: Kind) -> dict[str, Template]:
    folder = files(_FOLDERS[kind]) / "templates" / kind
    names = {path.name.removesuffix(".txt") for path in folder.iterdir() if _is_file(path.name)}
    names |= {name for wordless, name in _WITHOUT_WORDS if wordless == kind}
    return {name: _OTHERWISE.get(kind, {}).get(name, _PROSE[kind]) for name in sorted(names)}


def _is_file(name: str) -> bool:
    return name.endswith(".txt")


TEMPLATES: dict[Kind, dict[str, Template]] = {kind: _shipped(kind) for kind in _FOLDERS}
"""Every text file in the folder of its kind."""


def template(kind: Kind, name: str) -> Template:
    """Raises RecipeError, naming those that exist, for an unknown template. A .txt file is somebody's own."""
    if _is_file(name):
        return _PROSE[kind]
    try:
        return TEMPLATES[kind][name]
    except KeyError:
        known = ", ".join(sorted(TEMPLATES[kind]))
        raise RecipeError(f"{kind} template {name!r} does not exist; expected one of {known}, or a .txt file") from None


def _own_words(kind: Kind, file: Path) -> str:
    """Raises RecipeError for a file that cannot be read, or lacks a place for what it is about."""
    try:
        text = file.read_text(encoding="utf-8").rstrip("\n")
    except (OSError, UnicodeDecodeError) as problem:
        raise RecipeError(
            f"{kind} template {str(file)!r}: cannot be read ({problem}); expected a text file"
        ) from problem
    missing = [name for name in _SHOWN[kind] if f"{{{name}}}" not in text]
    if missing:
        raise RecipeError(
            f"{kind} template {str(file)!r}: has no {{{missing[0]}}}; expected a place for each of "
            f"{', '.join(f'{{{name}}}' for name in _SHOWN[kind])}"
        )
    return text


@cache
def words(kind: Kind, name: str) -> str:
    """The text of a template, without the newline that ends its file."""
    template(kind, name)
    if (kind, name) in _WITHOUT_WORDS:
        return ""
    if _is_file(name):
        return _own_words(kind, Path(name))
    return (files(_FOLDERS[kind]) / "templates" / kind / f"{name}.txt").read_text(encoding="utf-8").rstrip("\n")


_READING = {"last_line": "verdicts 2"}
"""How replies are read, by where their verdict stands. Raise the number when a reply gets another meaning: rows that
were read otherwise are then other rows, as rows that were asked otherwise are."""


@cache
def version(kind: Kind, name: str) -> str:
    """Name and hash of the text and of how its reply is read, for example `judge/sandbox@1a2b3c4d`."""
    made_of = words(kind, name) + _READING.get(template(kind, name).reply, "")
    called = Path(name).stem if _is_file(name) else name
    return f"{kind}/{called}@{hashlib.sha256(made_of.encode()).hexdigest()[:8]}"
