"""Models and data sets by their name on the Hugging Face hub: one sentence for each way in which that fails."""

from selfreward.errors import DataError

HUB = "hub:"
"""How a reference to a data set there begins."""


def hub_problems() -> tuple[type[Exception], ...]:
    """What the hub's client raises: its own errors are OSError or ValueError, those of the connection its library's."""
    from huggingface_hub.errors import HfHubHTTPError

    # The library behind it has changed between its versions; the base of this class is that library's root.
    return (OSError, ValueError, HfHubHTTPError.__bases__[0])


def hub_error(kind: str, name: str, problem: Exception) -> DataError:
    """What to do about `problem`; `kind` is model or dataset, as the hub's own command calls it."""
    found = _chain(problem)
    names, said = {type(one).__name__ for one in found}, " ".join(str(one) for one in found)
    command = f"hf download {name}" + (" --repo-type dataset" if kind == "dataset" else "")
    if "GatedRepoError" in names or "gated" in said:
        return DataError(
            f"{kind} {name!r} on the hub is gated: ask for access on its page, log in with `hf auth login`, and start "
            "again"
        )
    if "OfflineModeIsEnabled" in names or "OfflineMode" in said:
        return DataError(
            f"{kind} {name!r} on the hub cannot be reached (HF_HUB_OFFLINE is set) and is not in the local cache; "
            f"unset it, or run `{command}` where there is a network, or name a local file or directory"
        )
    if "RevisionNotFoundError" in names:
        return DataError(f"{kind} {name!r} on the hub has no such revision; correct what stands after '@'")
    if names & {"RepositoryNotFoundError", "DatasetNotFoundError", "HFValidationError"}:
        return DataError(
            f"{kind} {name!r} is not on the hub, or private: correct the name, log in with `hf auth login`, or name a "
            "local file or directory"
        )
    return DataError(
        f"{kind} {name!r} on the hub cannot be loaded ({' '.join(str(problem).split())[:200]}); try `{command}`, or "
        "name a local file or directory"
    )


def _chain(problem: BaseException | None) -> list[BaseException]:
    """The problem and what caused it, outermost first."""
    found: list[BaseException] = []
    while problem is not None and problem not in found:
        found.append(problem)
        problem = problem.__cause__ or problem.__context__
    return found
