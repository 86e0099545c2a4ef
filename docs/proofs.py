"""Every metric with its words, and what `selfreward validate` found of it."""

import json
from typing import Any

from pages import TABLES, module_docstring, page, table


def _silence(rate: dict[str, Any]) -> str:
    return f"{rate['rate']:.1%} [{rate['low']:.1%}, {rate['high']:.1%}]"


def _finds(curve: dict[str, Any]) -> str:
    size = curve["size_at_80"]
    return f"{curve['dial']}: " + (f"{size:.2f}" if size is not None else f"not at {max(curve['sizes']):g}")


def _talk_proof(talks: dict[str, Any], metric: str) -> tuple[str, str] | None:
    """The same of a conversation probe, whose people are scripted."""
    silent = [rate for rate in talks["nulls"] if rate["metric"] == metric]
    name = metric.removesuffix("_change")
    key = "size_at_80" if name == metric else "change_size_at_80"
    curves = [curve for curve in talks["powers"] if curve["metric"] == name]
    if not silent or not curves:
        return None
    sizes = [f"{curve[key]:.2f} at n {curve['questions']}" for curve in curves if curve[key] is not None]
    return _silence(silent[0]), f"{curves[0]['probe']}: " + (", ".join(sizes) or f"not at {max(curves[0]['sizes']):g}")


def _proof(power: dict[str, Any], metric: str) -> tuple[str, str]:
    """How often the metric alarms where nothing happened, and the size of each planted effect found in 80 %."""
    silent = [rate for rate in power["nulls"] if rate["metric"].split(" ")[0] == metric]
    found = [curve for curve in power["planted"] if curve["metric"].split(" ")[0] == metric]
    loudest = max(silent, key=lambda rate: rate["rate"], default=None)
    return _silence(loudest) if loudest else "–", "; ".join(map(_finds, found)) or "–"


def metrics_page() -> str:
    from selfreward.measuring.metrics import abouts, families

    power = json.loads((TABLES / "power.json").read_text(encoding="utf-8"))
    talks = json.loads((TABLES / "conversations.json").read_text(encoding="utf-8"))
    repeats = max(rate["repeats"] for rate in power["nulls"])
    planted = power["planted"][0]
    parts = [
        "Families and names are the report's; the proof is `selfreward validate`'s, whose tables are "
        "[power.md](results/tables/power.md), [coverage.md](results/tables/coverage.md) and "
        "[conversations.md](results/tables/conversations.md), where the longer probes are asked with scripted people.",
        f"*Silent*: share of {repeats:,} rounds in which nothing happened where the metric alarms all the same, the "
        "loudest of its pools and cohorts; 5 % is what an exact interval does. *Finds*: what was planted, and the "
        f"share of rows that it has to touch to be found in 80 % of {planted['repeats']} rounds of "
        f"{planted['prompts']} prompts. A dash means: not put to the test, to be read with more care.",
    ]
    for family in families():
        rows = [
            (f"`{metric}`", words, *(_talk_proof(talks, metric) or _proof(power, metric)))
            for metric, words in family.metrics.items()
        ]
        parts += [f"## {family.name}", family.question, table(["metric", "called", "silent", "finds"], rows)]
    parts += ["## Definitions", "What each file of metrics says of itself, as it stands there."]
    for module, about in abouts().items():
        parts.append(f"### {about.name}\n\n`{module}`\n\n```text\n{module_docstring(module)}\n```")
    return page("Metrics, and how each was proved", *parts)
