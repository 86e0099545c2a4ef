"""`selfreward probe`: from the command line's words to tables."""

from collections.abc import Callable, Sequence
from pathlib import Path

from selfreward.commands.probe.differences import differences
from selfreward.commands.probe.material import AskedPool, material
from selfreward.commands.probe.models import like, subject
from selfreward.commands.probe.session import probe, wanted_families
from selfreward.commands.probe.tables import as_json, as_markdown, require_ending, tables
from selfreward.progress import Progress
from selfreward.report.tables import Table
from selfreward.store.files import on_disk
from selfreward.store.view import RunView


def probe_command(
    name: str,
    changes: Sequence[str],
    existing: Callable[[str], RunView],
    progress: Progress,
    *,
    family: str | None = None,
    files: Sequence[str] = (),
    source: str | None = None,
    pool: AskedPool = "report",
    count: int | None = None,
    questions: int = 200,
    against: str | None = None,
    out: Path | None = None,
) -> tuple[list[Table], list[str]]:
    """The tables and what must be said beside them; `out` gets the same as Markdown, or everything as JSON."""
    require_ending(out)
    model = subject(name, changes, existing, progress.say)
    other = like(model, subject(against, changes, existing, progress.say)) if against else None
    asked = material(model, files, source, pool, count, questions)
    families = wanted_families(family, asked)
    found = probe(model, asked, families, progress)
    compared = probe(other, asked, families, progress) if other else None
    changed = differences(found, compared) if compared else []
    made = tables(found, compared, changed)
    notes = [f"{found.name} against {compared.name}" if compared else found.name]
    notes.append("Values with 95 % intervals over n prompts or questions. * needs truth that a user would not have.")
    if compared:
        notes.append(
            "Differences are the first minus the second, paired; – where a metric has no value for each prompt."
        )
        if "judge" in families and model.recipe.judge.model.kind in ("policy", "initial"):
            notes.append("Each model was its own judge; judge.model=PATH gives both the same one.")
    if out is not None:
        text = as_json(model, found, compared, changed) if out.suffix == ".json" else as_markdown(made, notes)
        with on_disk(out):
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_text(text, encoding="utf-8")
    return made, notes
