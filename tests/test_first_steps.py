"""What a stranger types first, and what a terminal must not be made to do by what models and servers said."""

import csv
import dataclasses
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from run_factory import Story, write_run

from selfreward.commands.model_card import without_paths
from selfreward.commands.recipes import FIELDS, first_sentence, header, listing
from selfreward.commands.shipped import shipped
from selfreward.progress import Progress
from selfreward.progress.words import visible
from selfreward.records import Measurement
from selfreward.report.html import as_csv
from selfreward.report.reading import Reading
from selfreward.report.terminal import words
from selfreward.store.results import Store

COMMAND = [sys.executable, "-m", "selfreward"]
ESCAPE = "\x1b]0;owned\x07\x1b[2Jtext\x9b31m\r over \u202e txet"


def selfreward(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)


def test_the_bare_command_says_what_to_do_next(tmp_path: Path) -> None:
    done = selfreward(cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 3
    named = re.findall(r"selfreward (?:run )?([a-z]+)", done.stdout)
    assert {"recipes", "smoke", "sandbox"} <= set(named)
    assert {"smoke", "sandbox"} <= shipped().keys()


def test_a_shell_can_be_taught_to_complete(tmp_path: Path) -> None:
    help_text = selfreward("--help", cwd=tmp_path).stdout
    assert "--install-completion" in help_text and "--show-completion" in help_text


def test_every_recipe_that_ships_is_listed_with_what_it_shows_wants_and_takes(tmp_path: Path) -> None:
    said = selfreward("recipes", cwd=tmp_path).stdout
    for name, path in shipped().items():
        told = header(path.read_text(encoding="utf-8"))
        assert told.keys() == set(FIELDS), path
        block = " ".join(said.split(f"\n{name}\n" if not said.startswith(f"{name}\n") else f"{name}\n")[1].split())
        assert block.startswith(first_sentence(told["Shows"]))
        assert told["Hardware"].split(";")[0].rstrip(".") in block
    assert all(len(line) < 120 for line in listing(shipped()))


def test_a_recipe_is_printed_as_it_stands(tmp_path: Path) -> None:
    assert selfreward("recipes", "smoke", cwd=tmp_path).stdout == shipped()["smoke"].read_text(encoding="utf-8")
    done = selfreward("recipes", "smok", cwd=tmp_path)
    assert done.returncode == 2 and "did you mean 'smoke'" in done.stderr


def test_a_header_goes_on_over_lines_and_ends_with_the_next_field() -> None:
    told = header(
        "# Shows: a (b. C) d.\n#   Further. End.\n# Assumed: nothing\n#   more\n# Minutes: 2\nseed: 0 # Hardware: x\n"
    )
    assert told == {"Shows": "a (b. C) d. Further. End.", "Minutes": "2"}
    assert first_sentence(told["Shows"]) == "a (b. C) d."


def test_no_control_character_reaches_a_terminal() -> None:
    said = io.StringIO()
    Progress(said, "lines").say(ESCAPE)
    for text in (visible(ESCAPE), words(ESCAPE).plain, said.getvalue()):
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text)
        assert "\\x1b]0;owned" in text and "txet" in text
    assert visible("a\tb\nc é 漢 🙂") == "a\tb\nc é 漢 🙂"


def test_an_error_line_holds_no_escape(tmp_path: Path) -> None:
    done = selfreward("run", "smoke", f"judge.{ESCAPE}=1", cwd=tmp_path)
    assert done.returncode == 2
    assert "\x1b" not in done.stderr and "\x07" not in done.stderr


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("reported")
    write_run(Store(directory / "results"), "told", Story((0.3, 0.5)))
    return directory


@pytest.mark.parametrize("reader", ["head -n 1", "true"])
def test_a_reader_that_has_seen_enough_is_no_failure_and_the_files_are_there(place: Path, reader: str) -> None:
    page = place / "results" / "told" / "report.html"
    page.unlink(missing_ok=True)
    line = f'"{sys.executable}" -m selfreward report told | {reader}; echo "${{PIPESTATUS[0]}}"'
    done = subprocess.run(["bash", "-c", line], cwd=place, capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout.splitlines()[-1] == "0"
    assert "Traceback" not in done.stderr and "BrokenPipe" not in done.stderr
    assert page.stat().st_size > 10_000


def test_progress_that_nobody_reads_any_more_stops_nothing() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w", closefd=True) as stream:
        progress = Progress(stream, "lines")
        progress.say("into the void")
        progress.say("and again")
        # What the stream still holds cannot be written; closing it would say so.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@pytest.mark.parametrize("name", ["=1+2", "+x", "-x", "@SUM(A1)"])
def test_a_cell_that_looks_like_a_formula_is_quoted(place: Path, name: str) -> None:
    reading = Reading(Store(place / "results").existing("told"))
    row = dataclasses.replace(reading.measurements[0], cohort=name, value=-0.25)
    reading.measurements[:] = [row]
    (written,) = csv.DictReader(io.StringIO(as_csv([reading])))
    assert written["cohort"] == f"'{name}"
    assert float(written["value"]) == -0.25
    assert json.loads(json.dumps(dataclasses.asdict(row)))["cohort"] == name, "the measurement itself is untouched"
    assert set(written) == {"run", *(field.name for field in dataclasses.fields(Measurement))}


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("/home/me/models/Tiny-1B", "Tiny-1B"),
        ("../data/prompts.jsonl", "prompts.jsonl"),
        ("~/x/y.jsonl", "y.jsonl"),
        ("sycophancy:/data/probe.jsonl", "sycophancy:probe.jsonl"),
        ("sandbox:seed-0+length_bias=0.8", "sandbox:seed-0+length_bias=0.8"),
        ("served:big", "served:big"),
        ("previous", "previous"),
        (
            {"served": {"big": {"model": "org/model"}}, "a": ["/x/y"]},
            {"served": {"big": {"model": "org/model"}}, "a": ["y"]},
        ),
    ],
)
def test_a_public_recipe_holds_names_and_no_directories(given: object, shown: object) -> None:
    assert without_paths(given) == shown
