"""The house in figures: what stands at the top, how high it is, and what is long.

    python benchmarks/house.py CHECKOUT [CHECKOUT ...]

One column for each checkout's `selfreward/`, for example this one beside an older one (`git worktree add`). Entries are
files and folders at the top, dunder files uncounted. A floor is the longest chain of imports between entries; an import
upwards would close a circle and is counted. Functions are counted with their docstrings. A room is entered by a noun
where one of its modules imports the noun's class. A metric is named in a file that has its name as a string; the names
are those that the last checkout declares, of which each checkout has some. Checks are the lines of files called so,
keys those of the files whose classes hold a recipe's keys.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median

LONG_FUNCTION, LONG_FILE = 60, 220

NOUNS = {"a prompt": "Prompt", "a judgment": "Judgment", "the recipe": "Recipe", "a checkpoint": "Policy"}

VARIANTS = {
    "the trainer sft": {"sft", "SftRecipe"},
    "the loss simpo": {"simpo", "SimpoLoss"},
    "judging side by side": {"pairwise", "comparison", "ComparisonQuestion"},
}
"""What a file says that knows a variant: its tag as a string, or its class."""


def modules(root: Path) -> dict[str, Path]:
    """Dotted name below the package → file."""
    found = {}
    for path in root.rglob("*.py"):
        parts = path.relative_to(root).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(path: Path, known: dict[str, Path]) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("selfreward"):
            for alias in node.names:
                name = f"{node.module}.{alias.name}".removeprefix("selfreward.")
                while name not in known and "." in name:
                    name = name.rpartition(".")[0]
                if name in known:
                    yield name


def arrows(root: Path) -> dict[str, set[str]]:
    """Entry at the top → the others that it imports."""
    known = modules(root)
    found: dict[str, set[str]] = {name.partition(".")[0]: set() for name in known if name and not name.startswith("__")}
    for name, path in known.items():
        own = name.partition(".")[0]
        if own in found:
            found[own] |= {other.partition(".")[0] for other in imported(path, known)} - {own}
    return found


def floors(graph: dict[str, set[str]]) -> tuple[int, int]:
    """(height of the longest chain, imports that close a circle)."""
    heights: dict[str, int] = {}
    circles = 0

    def height(name: str, above: tuple[str, ...]) -> int:
        nonlocal circles
        if name in above:
            circles += 1
            return 0
        if name not in heights:
            heights[name] = 1 + max((height(other, (*above, name)) for other in sorted(graph[name])), default=0)
        return heights[name]

    return max(height(name, ()) for name in sorted(graph)), circles


def long_functions(root: Path) -> int:
    nodes = (node for path in root.rglob("*.py") for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return sum(isinstance(node, kinds) and (node.end_lineno or 0) - node.lineno + 1 > LONG_FUNCTION for node in nodes)


def rooms_entered(root: Path, noun: str) -> int:
    """Entries at the top with a module that imports the class `noun`, its own room left out."""
    entered, own = set(), set()
    for name, path in modules(root).items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            ours = isinstance(node, ast.ImportFrom) and (node.module or "").startswith("selfreward")
            if ours and noun in {alias.name for alias in node.names}:  # type: ignore[attr-defined]
                entered.add(name.partition(".")[0])
            if isinstance(node, ast.ClassDef) and node.name == noun:
                own.add(name.partition(".")[0])
    return len(entered - own)


def said(path: Path) -> set[str]:
    """Strings and names in a file, docstrings left out by their length."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) < 50:
            found.add(node.value)
        elif isinstance(node, ast.Name):
            found.add(node.id)
    return found


def metric_names(root: Path) -> set[str]:
    """The first argument of every `Metric(...)`."""
    nodes = (node for path in root.rglob("*.py") for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    calls = [node for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    firsts = [call.args[0] for call in calls if call.func.id == "Metric" and call.args]  # type: ignore[attr-defined]
    return {str(one.value) for one in firsts if isinstance(one, ast.Constant)}


def checks_and_keys(root: Path) -> tuple[int, int]:
    """Lines of the files that check a recipe, and of those whose classes hold its keys."""
    flat = not (root / "recipe").is_dir()
    folder = root if flat else root / "recipe"
    checks, keys = 0, 0
    for path in folder.glob("*.py"):
        text = path.read_text(encoding="utf-8")
        lines = text.count("\n")
        if "check" in path.stem or path.stem in ("unread_keys", "idle"):
            checks += lines
        elif path.stem == "recipe" if flat else "@section" in text or "@keyed" in text:
            keys += lines
    return checks, keys


def column(checkout: Path, names: set[str]) -> dict[str, str]:
    root = checkout / "selfreward"
    entries = [path for path in root.iterdir() if not path.name.startswith("__")]
    graph = arrows(root)
    high, circles = floors(graph)
    files = {path: path.read_text(encoding="utf-8").count("\n") for path in root.rglob("*.py")}
    words = {path: said(path) for path in files}
    named = [count for name in names if (count := sum(name in found for found in words.values()))]
    checks, keys = checks_and_keys(root)
    readme = (checkout / "README.md").read_text(encoding="utf-8").count("\n")
    return {
        "entries at the top": str(len(entries)),
        "modules flat at the top": str(sum(path.suffix == ".py" for path in entries)),
        "floors": str(high),
        "imports that close a circle": str(circles),
        "arrows between entries": str(sum(len(others) for others in graph.values())),
        "files": str(len(files)),
        "lines": str(sum(files.values())),
        f"files above {LONG_FILE} lines": str(sum(lines > LONG_FILE for lines in files.values())),
        f"functions above {LONG_FUNCTION} lines": str(long_functions(root)),
        "lines of the README": str(readme),
        **{f"rooms entered by {what}": str(rooms_entered(root, noun)) for what, noun in NOUNS.items()},
        "files that name a metric, median (most)": f"{median(named):g} ({max(named)})",
        **{
            f"files that name {what}": str(sum(bool(tags & found) for found in words.values()))
            for what, tags in VARIANTS.items()
        },
        "lines of checks / lines of keys": f"{checks} / {keys} = {checks / keys:.2f}",
    }


def main() -> None:
    checkouts = [Path(name) for name in sys.argv[1:]] or [Path(__file__).parent.parent]
    names = metric_names(checkouts[-1] / "selfreward")
    columns = [column(checkout, names) for checkout in checkouts]
    print("| | " + " | ".join(checkout.name or checkout.resolve().name for checkout in checkouts) + " |")
    print("|---|" + "---|" * len(columns))
    for name in columns[0]:
        print(f"| {name} | " + " | ".join(one[name] for one in columns) + " |")


if __name__ == "__main__":
    main()
