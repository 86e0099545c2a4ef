"""What a contributor's tools read: hooks that can run here, and forms that ask for what exists."""

import re
import shutil
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
FORMS = sorted(ROOT.glob(".github/ISSUE_TEMPLATE/*.yml"))
KINDS = {"markdown", "textarea", "input", "dropdown", "checkboxes"}


def test_hooks_are_the_tools_of_this_project() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    hooks = [hook for repo in config["repos"] for hook in repo["hooks"]]
    assert [repo["repo"] for repo in config["repos"]] == ["local"], "another copy of a tool would have another version"
    assert len({hook["id"] for hook in hooks}) == len(hooks) >= 3
    beside = Path(sys.executable).parent
    for hook in hooks:
        tool, *words = hook["entry"].split()
        assert (beside / tool).exists() or shutil.which(tool), hook["entry"]
        assert all((ROOT / word).exists() for word in words if word.startswith("tests/"))


@pytest.mark.parametrize("form", [path for path in FORMS if path.stem != "config"], ids=lambda path: path.stem)
def test_a_form_is_whole_and_names_what_is_there(form: Path) -> None:
    text = form.read_text(encoding="utf-8")
    told = yaml.safe_load(text)
    assert told["name"] and told["description"] and told["body"]
    ids = [field["id"] for field in told["body"]]
    assert len(set(ids)) == len(ids) and {field["type"] for field in told["body"]} <= KINDS
    assert any(field.get("validations", {}).get("required") for field in told["body"])
    assert all(field["attributes"]["label"] for field in told["body"])
    for page in re.findall(r"docs/[\w/.]+\.md", text):
        assert (ROOT / page).exists()


def test_there_are_forms_for_failures_numbers_and_ideas() -> None:
    assert {"bug", "wrong_number", "idea", "config"} == {path.stem for path in FORMS}
