"""The schema of artifacts: it fits what runs write, knows every record that is made, and changes with a version."""

import ast
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from run_factory import Story, write_run
from typer.testing import CliRunner

from selfreward.commands.cli import app
from selfreward.commands.schema import ROWS, VERSIONS, digest, document, row_type, schemas
from selfreward.errors import DataError
from selfreward.records import Comparison, Judgment, Likelihood, Response
from selfreward.store.results import Store

jsonschema = pytest.importorskip("jsonschema")
ROOT = Path(__file__).parent.parent / "selfreward"


def records_made() -> Iterator[str]:
    """The record of every `Work(record=...)` and `given(round, artifact, record, ...)` of the package."""
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
                continue
            named = {one.arg: one.value for one in node.keywords}
            if node.func.id == "Work" and isinstance(named.get("record"), ast.Name):
                yield named["record"].id
            if node.func.id == "given" and len(node.args) > 2 and isinstance(node.args[2], ast.Name):
                yield node.args[2].id


def test_every_record_that_a_stage_makes_has_a_schema() -> None:
    made = set(records_made()) - {"record"}
    assert len(made) > 10 and made <= {record.__name__ for record in ROWS.values()}


def test_a_changed_record_is_another_version() -> None:
    found = digest(schemas())
    assert found == VERSIONS[max(VERSIONS)], (
        f"a record has other fields: add version {max(VERSIONS) + 1} with digest {found} to commands/schema.py; see "
        "that former rows can still be read"
    )
    assert list(VERSIONS) == list(range(1, len(VERSIONS) + 1))
    changed = schemas()
    changed["Response"]["description"] = "other words"
    assert digest(changed) == found
    changed["Response"]["properties"]["text"]["type"] = "integer"
    assert digest(changed) != found


@pytest.mark.parametrize(
    ("artifact", "record"),
    [
        ("eval_judgments_0", Judgment),
        ("judgments_comparisons", Comparison),
        ("held_out_report_of_round_1", Judgment),
        ("held_out_gate_comparisons", Comparison),
        ("responses_12", Response),
        ("sample_likelihoods_policy", Likelihood),
    ],
)
def test_an_artifact_is_known_by_its_whole_name(artifact: str, record: type) -> None:
    assert row_type(artifact) is record
    with pytest.raises(DataError, match="no run writes one"):
        row_type(f"my {artifact}")


def test_what_a_run_writes_fits_and_what_it_does_not_write_does_not(tmp_path: Path) -> None:
    view = write_run(Store(tmp_path, share=False), "told", Story((0.4, 0.6), train=12, report=12))
    told = document()
    known = {name: jsonschema.Draft202012Validator(one) for name, one in told["records"].items()}
    seen = set()
    for path in sorted(view.path.glob("round-*/*.jsonl")):
        record = row_type(path.stem).__name__
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        for row in rows:
            known[record].validate(row)
            seen.add(record)
        for required in told["records"][record]["required"] if rows else ():
            assert not known[record].is_valid({name: one for name, one in rows[0].items() if name != required})
    assert {"Prompt", "Response", "Judgment", "Measurement", "Pair", "Drop", "Labelled"} <= seen
    for path in view.path.glob("round-*/*.done.json"):
        known["Seal"].validate(json.loads(path.read_text(encoding="utf-8")))


def test_the_command_prints_it() -> None:
    done = CliRunner().invoke(app, ["schema", "Response"])
    assert done.exit_code == 0 and json.loads(done.output) == schemas()["Response"]
    assert json.loads(CliRunner().invoke(app, ["schema"]).output) == document()
    assert "does not exist" in str(CliRunner().invoke(app, ["schema", "Nothing"]).exception)
