"""An exported directory, and the same on the Hugging Face hub: said first, done only when asked again with --yes."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from selfreward.engines.hub import hub_problems
from selfreward.errors import DataError

Kind = Literal["model", "dataset"]


def publish(
    write: Callable[[Path], str],
    out: Path,
    kind: Kind,
    name: str | None,
    *,
    really: bool,
    say: Callable[[str], None],
) -> None:
    """Let `write` fill the directory `out`, and upload it where `name` is given.

    A dry run leaves nothing behind, so that the same command with --yes finds `out` free.
    """
    if name is not None:
        require_name(name)
    if name is None or really:
        say(f"{write(out)}: {out}")
        if name is not None:
            upload(out, name, kind, really=True, say=say)
        return
    near = next(place for place in out.absolute().parents if place.is_dir())
    with TemporaryDirectory(prefix=".export-", dir=near) as scratch:
        say(write(Path(scratch) / out.name))
        upload(Path(scratch) / out.name, name, kind, really=False, say=say)


def require_name(name: str) -> None:
    """Raise DataError unless `name` is ORG/NAME."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils._validators import validate_repo_id

    try:
        validate_repo_id(name)
    except HFValidationError as problem:
        raise DataError(f"--to-hub {name!r}: expected ORG/NAME ({' '.join(str(problem).split())})") from problem
    if name.count("/") != 1:
        raise DataError(f"--to-hub {name!r}: expected ORG/NAME")


def upload(directory: Path, name: str, kind: Kind, *, really: bool, say: Callable[[str], None]) -> None:
    """Upload the files of `directory` as the private repository `name`; without `really` only say what that would be.

    Raises DataError for whatever the hub refuses.
    """
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    size = sum(path.stat().st_size for path in files)
    what = f"{len(files)} files, {size / 2**20:.1f} MiB, as the private {kind} {name} on the hub"
    if not really:
        say(f"dry run: would upload {what}:")
        for path in files:
            say(f"  {path.relative_to(directory)}  {path.stat().st_size} bytes")
        say("add --yes to do it")
        return
    from huggingface_hub import HfApi

    try:
        HfApi().create_repo(name, repo_type=kind, private=True, exist_ok=True)
        HfApi().upload_folder(repo_id=name, repo_type=kind, folder_path=directory, commit_message="selfreward export")
    except hub_problems() as problem:
        told = " ".join(str(problem).split())[:200]
        offline = "HF_HUB_OFFLINE" in told or type(problem).__name__ == "OfflineModeIsEnabled"
        todo = "unset HF_HUB_OFFLINE" if offline else "log in with `hf auth login` and check that you may write there"
        raise DataError(f"{kind} {name!r} on the hub: cannot be uploaded to ({told}); {todo}") from problem
    say(f"uploaded {what}")
