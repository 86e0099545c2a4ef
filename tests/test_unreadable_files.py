"""Files that cannot be read as what they should be are one sentence that names them, whichever key they stand under."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from selfreward.engines.checkpoints import validate_model_directory
from selfreward.engines.scripted import read_script
from selfreward.errors import DataError, RecipeError, SelfRewardError
from selfreward.judging.prompts.pairwise import load_constitution
from selfreward.judging.prompts.rubric import load_rubric
from selfreward.recipe.read import load_recipe
from selfreward.roles.catalogue import version
from selfreward.tasks.anchors_file import read_anchors
from selfreward.tasks.pairs_file import read_pairs
from selfreward.tasks.tables import open_table
from selfreward.tasks.texts import lines_of

YAML: dict[str, Callable[[Path], object]] = {
    "script": read_script,
    "rubric": lambda path: load_rubric(str(path)),
    "constitution": lambda path: load_constitution(str(path)),
    "recipe": load_recipe,
}
ROWS: dict[str, Callable[[Path], object]] = {"lines": lines_of, "anchors": read_anchors, "pairs": read_pairs}
BAD = {
    "not UTF-8": b"id: caf\xe9\n",
    "UTF-16": "id: x\n".encode("utf-16"),
    "nested too deeply": b"[" * 100_000,
    "a tag of Python's": b"id: !!python/object/apply:os.system [id]\n",
    "nothing": b"",
    "a list": b"- 1\n",
    "a control character": b"id: \x00\n",
}


@pytest.mark.parametrize("content", BAD.values(), ids=BAD)
@pytest.mark.parametrize("read", YAML.values(), ids=YAML)
def test_a_file_that_is_no_mapping_is_one_sentence(
    read: Callable[[Path], object], content: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "own.yaml"
    path.write_bytes(content)
    if read is load_recipe and not content:
        return  # a recipe of defaults
    with pytest.raises(SelfRewardError, match=r"own\.yaml") as raised:
        read(path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("read", ROWS.values(), ids=ROWS)
def test_rows_in_a_pipe_or_a_device_are_refused_and_not_waited_for(
    read: Callable[[Path], object], tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "pipe.jsonl")
    for path in (tmp_path / "pipe.jsonl", Path("/dev/zero")):
        with pytest.raises(SelfRewardError, match=r"no regular file"):
            read(path)


@pytest.mark.parametrize("name", ["pipe.csv", "pipe.json", "pipe.parquet", "pipe.jsonl"])
def test_a_table_in_a_pipe_likewise(name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(SelfRewardError, match=rf"{name}: no regular file"):
        list(open_table(tmp_path / name).rows())


def test_a_template_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "own.txt").write_bytes(b"caf\xe9 {prompt}")
    with pytest.raises(SelfRewardError, match=r"own\.txt.*cannot be read"):
        version("generator", str(tmp_path / "own.txt"))


@pytest.mark.parametrize("chances", ["{a: -0.1}", "{a: 0.7, b: 0.7}", "{a: much}", "0.5"])
def test_chances_of_a_script_are_probabilities(tmp_path: Path, chances: str) -> None:
    file = tmp_path / "script.yaml"
    file.write_text(f"rules:\n- {{replies: [yes], next: {chances}}}\n")
    with pytest.raises(DataError, match="expected words with probabilities whose sum is at most 1"):
        read_script(file)


def test_chances_of_a_script_may_leave_some_to_other_words(tmp_path: Path) -> None:
    file = tmp_path / "script.yaml"
    file.write_text("rules:\n- {replies: ['yes'], next: {a: 0.25, b: 0}}\n")
    assert read_script(file)


def test_a_name_that_is_nearly_that_of_a_file_beside_is_told(tmp_path: Path) -> None:
    (tmp_path / "questions.csv").write_text("prompt\nWhy?\n")
    (tmp_path / "SmolLM").mkdir()
    with pytest.raises(DataError, match=r"questions\.cvs: cannot be read .* did you mean '.*questions\.csv'\?"):
        lines_of(tmp_path / "questions.cvs")
    with pytest.raises(DataError, match=r"SmolML: found nothing.* did you mean '.*/SmolLM'\?"):
        validate_model_directory(tmp_path / "SmolML")
    for nowhere in (tmp_path / "other.txt", tmp_path / "no" / "where.csv"):
        with pytest.raises(DataError, match=r"expected a file of rows$"):
            lines_of(nowhere)


def test_an_override_is_not_looked_for_in_the_file(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("rounds: 1\n")
    with pytest.raises(RecipeError, match=r"^override: unknown key 'prompts\.per_rond'; did you mean"):
        load_recipe(tmp_path / "own.yaml", ["prompts.per_rond=4"])
    (tmp_path / "own.yaml").write_text("prompts:\n  per_rond: 4\n")
    with pytest.raises(RecipeError, match=r"own\.yaml: unknown key"):
        load_recipe(tmp_path / "own.yaml", ["rounds=2"])
