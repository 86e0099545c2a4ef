"""Every room of the package has a README that says what it is for, what enters and leaves, and how to add to it."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "selfreward"
ROOMS = sorted({path.parent for path in ROOT.rglob("*.py")} - {ROOT})
TOP = [room for room in ROOMS if room.parent == ROOT]
READMES = sorted(ROOT.rglob("README.md"))
LONGEST = 20

FILE = re.compile(r"`([\w./]+\.(?:py|md|yaml|txt|jsonl?|csv))`")
FOLDER = re.compile(r"`([\w./]+/)`")
MADE = {"sheet.csv", "anchors.jsonl", "coverage.md", "power.md", "conversations.md"}
"""Files that a command makes."""


def named(readme: Path) -> Iterator[str]:
    text = readme.read_text(encoding="utf-8")
    yield from FILE.findall(text)
    yield from FOLDER.findall(text)


def exists(readme: Path, name: str) -> bool:
    """Beside the README, below the package or at the top of the repository."""
    return any((place / name).exists() for place in (readme.parent, ROOT, ROOT.parent))


def test_there_are_rooms() -> None:
    assert {"recipe", "store", "judging", "measuring"} <= {room.name for room in TOP}


@pytest.mark.parametrize("room", TOP, ids=lambda room: room.name)
def test_a_top_room_has_a_readme(room: Path) -> None:
    assert (room / "README.md").is_file(), f"{room.name}/README.md is missing: what the room is for, in ten lines"


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.parent.relative_to(ROOT).as_posix())
def test_a_readme_is_short_and_says_what_enters_leaves_and_is_read_first(readme: Path) -> None:
    text = readme.read_text(encoding="utf-8")
    assert text.startswith(f"# {readme.parent.name}\n")
    assert len(text.splitlines()) <= LONGEST
    for words in ("**Enters**", "**Leaves**", "**Read first**", "**To "):
        assert words in text, f"{readme}: {words} is missing"


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.parent.relative_to(ROOT).as_posix())
def test_a_readme_names_nothing_that_is_not_there(readme: Path) -> None:
    names = set(named(readme)) - MADE
    assert names, f"{readme}: names no file to read first"
    missing = sorted(name for name in names if not exists(readme, name))
    assert not missing, f"{readme}: names {missing}, which do not exist"


SOURCES = sorted({*ROOT.rglob("*.py"), *Path(__file__).parent.glob("*.py")})
PATH = re.compile(r"(?<![\w./-])((?:[a-z_]+/)+[a-z_0-9]+\.py)\b")
GIVEN = {"path/file.py"}
"""What a user writes, not a file of ours."""


def test_comments_and_messages_name_no_file_that_is_not_there() -> None:
    """By its last folders: `scoring/expected.py` is `selfreward/judging/scoring/expected.py`."""
    have = {path.as_posix() for path in SOURCES}
    missing = {
        (source.name, name)
        for source in SOURCES
        for name in set(PATH.findall(source.read_text(encoding="utf-8"))) - GIVEN
        if not any(path.endswith(f"/{name}") for path in have) and not (ROOT.parent / name).is_file()
    }
    assert not missing, sorted(missing)


def test_a_file_that_is_not_there_is_noticed(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("Read first `nowhere.py` in `no_room/`, then `cli.py`.", encoding="utf-8")
    assert [name for name in named(readme) if not exists(readme, name)] == ["nowhere.py", "cli.py", "no_room/"]
