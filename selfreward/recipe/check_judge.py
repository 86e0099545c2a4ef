"""What a recipe must not say about its judge: servers that cannot be asked, protocols that would not read a key."""

import re
from urllib.parse import urlsplit

from selfreward.recipe import SERVED, JudgeRecipe, Recipe


def judges(recipe: Recipe) -> list[str]:
    """The references of every model that is asked for a score, if only on the frozen pools."""
    return [name.partition("@")[2] or recipe.judge.model for name in recipe.judge.ensemble] or [recipe.judge.model]


def served_that_cannot_work(recipe: Recipe) -> list[tuple[bool, str]]:
    """Servers that cannot be asked, and roles and readings that a served model cannot have."""
    found: list[tuple[bool, str]] = []
    for name, server in recipe.served.items():
        try:
            parts = urlsplit(server.url)
            plain = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
            plain = plain and server.url.isascii() and server.url.split() == [server.url]
        except ValueError:  # a port or an address that is none
            parts, plain = urlsplit(""), False
        found += [
            (not plain, f"key 'served.{name}.url' is not a URL; expected for example http://localhost:8000/v1"),
            # Not quoted: what stands there may be a secret.
            (
                "@" in parts.netloc or bool(parts.query or parts.fragment),
                f"key 'served.{name}.url' holds a password, a query or a fragment; a key comes from key_env",
            ),
            (not server.model, f"key 'served.{name}.model' is missing; name the model that the server knows"),
            (
                server.key_env is not None and not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", server.key_env),
                f"key 'served.{name}.key_env' is not the name of an environment variable; the key itself must not "
                "stand in a recipe",
            ),
        ]
    asked, judge = judges(recipe), recipe.judge
    for reference in [*asked, recipe.meta.model, recipe.prompts.writer.model]:
        known = ", ".join(recipe.served) or "none"
        if reference.startswith(SERVED):
            unknown = reference.removeprefix(SERVED) not in recipe.served
            found.append((unknown, f"role {reference!r} is not in the section 'served', which has: {known}"))
    needs_weights = {
        "model.path": recipe.model.path,
        "train.reference": recipe.train.reference,
        "pairs.implicit_reference": recipe.pairs.implicit_reference,
    }
    found += [
        (
            value.startswith(SERVED),
            f"key {key!r} is {value!r}, but this role needs weights and tokens, which a server does not give; "
            "only judge.model, judge.ensemble, meta.model and prompts.writer.model may be served",
        )
        for key, value in needs_weights.items()
    ]
    served_judge = any(reference.startswith(SERVED) for reference in asked)
    decoded = judge.protocol == "pointwise" or (judge.protocol == "pairwise" and judge.pairwise.reading == "verdict")
    return [
        *found,
        (
            served_judge and not decoded,
            f"judge.protocol={judge.protocol} reads probabilities of tokens, which a served judge does not give; set "
            "judge.protocol=pointwise (or pairwise with judge.pairwise.reading=verdict)",
        ),
        (
            served_judge and recipe.meta.enabled,
            "meta.enabled trains the policy on judgments as it sampled them, token by token; a served judge's are not "
            "its own: set meta.enabled=false or judge.model=policy",
        ),
    ]


def unread_by_the_judge(recipe: Recipe) -> list[tuple[bool, str]]:
    """Settings of the judge that its protocol would not read, and settings that it needs."""
    judge, default = recipe.judge, JudgeRecipe()
    named, adaptive, pairwise = f"judge.protocol={judge.protocol}", judge.adaptive, judge.pairwise
    draws = judge.protocol in ("pointwise", "hybrid")
    return [
        (not draws and judge.samples != 1, f"{named} asks each question once; set judge.samples=1"),
        (judge.protocol != "pointwise" and judge.ask_again > 0, f"judge.ask_again is not read by {named}; set it to 0"),
        (
            judge.protocol != "pairwise" and judge.pairwise != default.pairwise,
            f"the keys of judge.pairwise are not read by {named}; remove them or set judge.protocol=pairwise",
        ),
        (
            judge.protocol == "pointwise" and judge.min_mass != default.min_mass,
            f"judge.min_mass is not read by {named}; remove it or choose expected, hybrid or pairwise",
        ),
        (
            (judge.rubric is None) != (judge.template != "rubric"),
            "judge.rubric and judge.template=rubric belong together; set both or neither",
        ),
        (
            judge.rubric is not None and judge.protocol != "pointwise",
            f"judge.rubric has a score per criterion, which {named} cannot read; set judge.protocol=pointwise",
        ),
        (
            (judge.pairwise.template == "principle") != (judge.pairwise.constitution is not None),
            "judge.pairwise.template=principle and judge.pairwise.constitution belong together; set both or neither",
        ),
        (
            any(name.partition("@")[0] == "rubric" for name in judge.ensemble),
            "judge.ensemble names the template 'rubric', which needs a judge.rubric; name other templates",
        ),
        (
            judge.protocol == "pairwise" and recipe.meta.enabled,
            "meta.enabled compares pointwise judgments, which judge.protocol=pairwise does not give",
        ),
        (
            adaptive.enabled and (judge.protocol != "pointwise" or bool(judge.ensemble) or judge.ask_again > 0),
            "judge.adaptive needs judge.protocol=pointwise, no judge.ensemble and judge.ask_again=0",
        ),
        (
            adaptive.enabled and (judge.source not in ("model", "verifier_then_model") or judge.aggregate != "mean"),
            "judge.adaptive needs judgments by a model (judge.source) and judge.aggregate=mean",
        ),
        (
            adaptive.enabled and judge.samples not in (default.samples, adaptive.first),
            "judge.samples is not read with judge.adaptive; set judge.adaptive.first and judge.adaptive.cap",
        ),
        (
            pairwise.reading == "verdict" and judge.min_mass != default.min_mass,
            "judge.min_mass is not read by judge.pairwise.reading=verdict, which decodes a reply; remove it",
        ),
        (
            pairwise.comparisons != "random" and pairwise.count != default.pairwise.count,
            f"judge.pairwise.count is not read by judge.pairwise.comparisons={pairwise.comparisons}; use random",
        ),
        (
            pairwise.constitution is None and pairwise.principles != default.pairwise.principles,
            "judge.pairwise.principles needs a judge.pairwise.constitution to draw them from",
        ),
        (adaptive.enabled and adaptive.cap < adaptive.first, "judge.adaptive.cap is below judge.adaptive.first"),
        (not adaptive.enabled and adaptive != default.adaptive, "judge.adaptive is set but not enabled"),
        (
            judge.max_disagreement is not None and len(judge.ensemble) < 2,
            "judge.max_disagreement needs a judge.ensemble of at least two members",
        ),
        (len(judge.ensemble) == 1, "judge.ensemble has one member; expected at least two, or none"),
        (
            len(set(judge.ensemble)) < len(judge.ensemble),
            "judge.ensemble names a member twice; raise judge.samples instead",
        ),
        (
            bool(judge.ensemble) and judge.protocol == "pairwise",
            f"judge.ensemble is not read by {named}; use one of the other protocols",
        ),
        (
            bool(judge.ensemble) and judge.rubric is not None,
            "judge.ensemble and judge.rubric cannot be combined; name templates in the ensemble instead",
        ),
        (
            bool(judge.ensemble) and recipe.meta.enabled,
            "meta.enabled compares judgments of one template, which judge.ensemble does not give",
        ),
    ]
