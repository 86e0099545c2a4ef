"""A disk that is full, read-only or without locks, and files of a run that somebody changed: errors of the tree."""

import contextlib
import errno
import fcntl
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from store_child import ENVIRONMENT, drops_work, responses_work, whole_run

from selfreward.commands.exits import _as_errors
from selfreward.errors import SelfRewardError, StoreError
from selfreward.recipe import Recipe
from selfreward.records import Drop
from selfreward.store.results import Store
from selfreward.store.run import Run
from selfreward.store.temporary import need_temporary_directory

SMOKE = Path(__file__).parent.parent / "recipes" / "smoke.yaml"


def open_run(store: Store) -> Run:
    return store.open_run("run", Recipe(), environment=ENVIRONMENT)


# --- no locks ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
@pytest.mark.parametrize("share", [False, True])
def test_a_file_system_without_locks_is_named_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, share: bool
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(StoreError, match=r"\.lock: this file system has no locks.*--results"):
        open_run(Store(tmp_path, share=share))


# --- read-only --------------------------------------------------------------------------------------------------------


def as_nobody(act: Callable[[], object]) -> str:
    """What a child without the superuser's rights says of `act`: the error's message, or nothing."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if os.geteuid() == 0:
                os.setgid(65534)
                os.setuid(65534)
            try:
                act()
            except StoreError as problem:
                os.write(write, str(problem).encode())
        finally:
            os._exit(0)
    os.close(write)
    said = b""
    while part := os.read(read, 65536):
        said += part
    os.close(read)
    os.waitpid(child, 0)
    return said.decode()


def test_a_directory_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    for folder in (tmp_path, *list(tmp_path.parents)[:2]):
        folder.chmod(0o755)
    results = tmp_path / "results"
    with open_run(Store(results, share=False)) as run:
        run.complete(drops_work())
    for path in (results, *results.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    said = as_nobody(lambda: open_run(Store(results, share=False)))
    assert "cannot be written" in said and "permission denied; make the directory writable" in said
    for path in (results, *results.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    with open_run(Store(results, share=False)) as run:
        assert run.read(1, "dropped", Drop)


# --- full, through the command ----------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("size", [0, 600, 6_000, 100_000])
def test_the_command_on_a_full_disk_ends_with_4_and_goes_on_when_there_is_room(tmp_path: Path, size: int) -> None:
    """No file may be larger: the kernel refuses the write, for the superuser too."""
    small = ("rounds=1", "prompts.per_round=8", "measure.gate=4", "measure.selection=4", "measure.report=4")
    arguments = [sys.executable, "-m", "selfreward", "run", str(SMOKE), *small, "measure.frozen=0", "--name", "run"]
    # Compiled files of the interpreter would meet the limit too, and are no part of a run.
    quiet = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}

    def limited() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    full = subprocess.run(
        arguments, cwd=tmp_path, capture_output=True, text=True, check=False, preexec_fn=limited, env=quiet
    )
    assert full.returncode == 4 and "Traceback" not in full.stderr, full.stderr[-2000:]
    assert full.stderr.splitlines()[-1].startswith("StoreError: ") and "free space" in full.stderr
    again = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True, check=False, env=quiet)
    assert again.returncode == 0, again.stderr[-2000:]


def test_no_temporary_directory_is_said_with_the_places_that_were_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked for early, and where only a library asks for it; a file that is missing stays what it is."""
    need_temporary_directory()
    gone = str(tmp_path / "gone")
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: [gone])
    for act in (need_temporary_directory, lambda: _as_errors(tempfile.gettempdir)):
        with pytest.raises(StoreError, match=f"{gone}.*free space.*TMPDIR"):
            act()
    with pytest.raises(FileNotFoundError, match="gone"):
        _as_errors(lambda: Path(gone).read_text())


# --- damaged files ----------------------------------------------------------------------------------------------------

ODD: list[Any] = [None, 3, -1.5, "", "x", [], [1], {}, {"a": 1}, True]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("finished")
    with open_run(Store(root, share=False)) as run:
        whole_run(run)
    return root


def goes_on_or_says(root: Path) -> None:
    """The run is opened, read and gone on with; whatever is wrong is an error of the tree."""
    store = Store(root, share=False)
    with contextlib.suppress(SelfRewardError):
        view = store.existing("run")
        view.events()
        _ = view.day
        for number in view.rounds():
            view.seals(number)
        view.read(1, "dropped", Drop)
        view.read_directory(1)
    with contextlib.suppress(SelfRewardError), open_run(store) as run:
        whole_run(run)


@pytest.mark.parametrize(
    "name",
    [
        "responses.done.json",
        pytest.param("dropped.done.json", marks=pytest.mark.slow),
        pytest.param("checkpoint.done.json", marks=pytest.mark.slow),
    ],
)
def test_a_seal_with_any_value_changed_is_no_traceback(finished: Path, name: str) -> None:
    (file,) = finished.rglob(name)
    whole = json.loads(file.read_text())
    changed = [{**whole, key: value} for key in whole for value in ODD]
    changed += [{name: value for name, value in whole.items() if name != key} for key in whole]
    changed += [*ODD, {**whole, "more": 1}]
    try:
        for content in changed:
            put(file, json.dumps(content))
            goes_on_or_says(finished)
        for text in ("", "{", "\xff", "[" * 100_000, "NaN", json.dumps(whole)[:-1]):
            put(file, text)
            goes_on_or_says(finished)
    finally:
        put(file, json.dumps(whole))


@pytest.mark.parametrize("name", ["run.json", "journal.jsonl", "recipe.yaml"])
@pytest.mark.parametrize(
    "text", ["", "{", "[1]", "3", "null", "{}", '{"environments": 3}', '{"day": "x"}', "[" * 100_000]
)
def test_other_files_of_a_run_that_hold_something_else(finished: Path, name: str, text: str) -> None:
    file = finished / "run" / name
    before = file.read_text()
    try:
        put(file, text)
        goes_on_or_says(finished)
    finally:
        put(file, before)


def put(file: Path, text: str) -> None:
    file.unlink(missing_ok=True)
    file.write_text(text, encoding="latin-1")


def test_a_changed_seal_is_said_where_its_rows_are_read(finished: Path) -> None:
    (file,) = finished.rglob("responses.done.json")
    whole = file.read_text()
    try:
        put(file, json.dumps({**json.loads(whole), "rows": "twelve"}))
        with open_run(Store(finished, share=False)) as run, pytest.raises(StoreError, match="not finished"):
            run.read(1, "responses", Drop)
        put(file, json.dumps({**json.loads(whole), "digest": "0" * 64}))
        with open_run(Store(finished, share=False)) as run, pytest.raises(StoreError, match="delete"):
            run.complete(responses_work())
    finally:
        put(file, whole)
