"""The page of artifacts: which record each file of a run holds, and the fields of each, from the record types."""

from typing import Any

from pages import page, table


def artifacts_page() -> str:
    from selfreward.commands.schema import BESIDE, ROWS, document

    found = document()
    files = [(f"`round-NN/{pattern}.jsonl`", record) for pattern, record in ROWS.items()]
    files += [(f"`{name}`", record) for name, record in BESIDE.items()]
    return page(
        "What stands in a run's files",
        f"Version {found['version']} of the schema. `selfreward schema` prints all of it as JSON Schema, "
        "`selfreward schema Response` one record. A name is a pattern (a regular expression); the first that fits "
        "decides. Fields that are not required came later or say nothing where they are left out.",
        "## Files",
        table(["file", "record"], ((name, f"[{one.__name__}](#{one.__name__.lower()})") for name, one in files)),
        "## Records",
        *(_record(name, told) for name, told in found["records"].items()),
    )


def _record(name: str, told: dict[str, Any]) -> str:
    required = set(told.get("required", ()))
    rows = (
        (f"`{field}`", _type(about), "yes" if field in required else f"no: `{about.get('default')!r}`")
        for field, about in told["properties"].items()
    )
    words = told.get("description", "").replace("\n\n", " ").replace("\n", " ")
    return f"### {name}\n\n{words}\n\n{table(['field', 'type', 'required'], rows)}"


def _type(about: dict[str, Any]) -> str:
    """In a few words."""
    if "anyOf" in about:
        return " or ".join(_type(one) for one in about["anyOf"])
    if "enum" in about:
        return ", ".join(f"`{one}`" if one != "" else "empty" for one in about["enum"])
    if "const" in about:
        return f"`{about['const']}`"
    if "$ref" in about:
        return str(about["$ref"]).rpartition("/")[2]
    if about.get("type") == "array":
        return f"list of {_type(about['items'])}" if about.get("items") else "list"
    return str(about.get("type", "any"))
