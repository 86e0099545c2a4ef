"""What a release is made of: one version, a lock within the project's bounds, an image, a whole source archive."""

import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

import selfreward

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PINS = {
    name.lower().replace("_", "-"): version
    for line in (ROOT / ".ci" / "constraints.txt").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
    for name, _, version in [line.partition("==")]
}
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def test_one_version_everywhere_and_notes_of_it() -> None:
    version = selfreward.__version__
    assert str(yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))["version"]) == version
    headings = re.findall(r"^## \[([^\]]+)\](.*)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[0] == ("Unreleased", "")
    assert headings[1][0] == version and re.fullmatch(r" - \d{4}-\d\d-\d\d", headings[1][1])


def test_the_lock_is_plain_versions_that_the_project_allows() -> None:
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+", name) and str(Version(pin)) for name, pin in PINS.items())
    assert all("+" not in pin for pin in PINS.values()), "a build of one machine is no version"
    extras = PROJECT["optional-dependencies"]
    asked = [*PROJECT["dependencies"], *extras["verifiers"], *extras["dev"], *extras["docs"]]
    for requirement in map(Requirement, asked):
        name = requirement.name.lower().replace("_", "-")
        if name in ("torch", "selfreward-loop"):
            assert name not in PINS, "the Makefile chooses it; a package is no constraint of itself"
        else:
            assert requirement.specifier.contains(PINS[name]), f"{requirement} and {PINS.get(name)}"


def test_ci_installs_by_the_lock_and_says_when_it_cannot() -> None:
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "CONSTRAINTS=.ci/constraints.txt" in ci and "cannot be had here" in ci
    make = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "LOCK := $(if $(CONSTRAINTS),--constraint $(CONSTRAINTS))" in make and make.count("install $(LOCK)") >= 3


def test_the_image_is_made_of_the_wheel_and_runs_as_nobody_in_particular() -> None:
    steps = re.sub(r"\\\n", "", "\n".join(line for line in DOCKERFILE.splitlines() if not line.startswith("#")))
    words = [line.split() for line in steps.splitlines() if line.strip()]
    names = [word[0] for word in words]
    assert names[0] == "FROM" and re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+", words[0][1]), "a release, not latest"
    (copied,) = (word[1:-1] for word in words if word[0] == "COPY")
    assert copied == [".ci/constraints.txt", "dist/selfreward_loop-*.whl"] and (ROOT / copied[0]).is_file()
    let_through = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert let_through[0] == "*" and sorted(let_through[1:]) == sorted(f"!{path}" for path in copied)
    torch = re.search(r"^ARG TORCH=(\S+)$", DOCKERFILE, re.MULTILINE)
    make = re.search(r"^TORCH \?= (\S+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert torch and make and torch[1] == make[1]
    user = names.index("USER")
    assert words[user][1] == "selfreward" and "RUN" not in names[user:] and "useradd" in steps
    assert words[-1] == ["ENTRYPOINT", '["selfreward"]'] and "selfreward" in PROJECT["scripts"]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source archive, built without a network by the setuptools that is here, where it is new enough."""
    if int(pytest.importorskip("setuptools").__version__.partition(".")[0]) < 77:
        pytest.skip("setuptools is older than pyproject.toml asks for")
    source = tmp_path_factory.mktemp("source") / "tree"
    left = shutil.ignore_patterns("__pycache__", ".git", ".venv*", "build", "dist", "*.egg-info", "_build", "generated")
    shutil.copytree(ROOT, source, ignore=left)
    out = tmp_path_factory.mktemp("out")
    code = f"from setuptools.build_meta import build_sdist; build_sdist({str(out)!r})"
    subprocess.run([sys.executable, "-c", code], cwd=source, check=True, capture_output=True)
    return next(out.glob("*.tar.gz"))


@pytest.mark.slow
def test_the_source_archive_has_all_that_the_tests_read_and_no_run(archive: Path) -> None:
    with tarfile.open(archive) as packed:
        inside = {"/".join(Path(name).parts[1:]) for name in packed.getnames()}
    folders = [*("selfreward", "recipes", "tests", "docs", "benchmarks", ".ci", ".github")]
    files = {path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()}
    files |= {*(ROOT / "results" / "tables").iterdir(), *(ROOT / "results").glob("*.md")}
    files |= {path for path in ROOT.iterdir() if path.is_file() and path.name != ".git"}
    made = ("__pycache__", "_build", "generated")
    wanted = {path.relative_to(ROOT).as_posix() for path in files if not set(made) & set(path.parts)}
    wanted = {name for name in wanted if not name.endswith((".pyc", ".part"))}
    assert wanted - inside == set()
    assert not [name for name in inside if re.match(r"(results/(?!tables)[^/]+/|docs/generated|models/|\.venv)", name)]
