"""The house in figures: what stands at the top, how high it is, and what is long.

    python benchmarks/house.py CHECKOUT [CHECKOUT ...]

One column for each checkout's `selfreward/`, for example this one beside an older one (`git worktree add`). Entries are
files and folders at the top, dunder files uncounted. A floor is the longest chain of imports between entries; an import
upwards would close a circle and is counted. Functions are counted with their docstrings.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

LONG_FUNCTION, LONG_FILE = 60, 220


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


def column(checkout: Path) -> dict[str, str]:
    root = checkout / "selfreward"
    entries = [path for path in root.iterdir() if not path.name.startswith("__")]
    graph = arrows(root)
    high, circles = floors(graph)
    files = {path: path.read_text(encoding="utf-8").count("\n") for path in root.rglob("*.py")}
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
    }


def main() -> None:
    checkouts = [Path(name) for name in sys.argv[1:]] or [Path(__file__).parent.parent]
    columns = [column(checkout) for checkout in checkouts]
    print("| | " + " | ".join(checkout.resolve().name for checkout in checkouts) + " |")
    print("|---|" + "---|" * len(columns))
    for name in columns[0]:
        print(f"| {name} | " + " | ".join(one[name] for one in columns) + " |")


if __name__ == "__main__":
    main()
