"""What stands in the \\boxed{...} of a text; a box that the text breaks off in is none. One pass, whatever the text."""

import re

_BETWEEN = re.compile(r"(?:[\s$,;()\[\]\\]|q?quad|text\s*\{\s*(?:and|or),?\s*\}|and|or)*")


def last_boxed(text: str) -> str | None:
    """What stands in the last closed \\boxed{...}, or None."""
    boxes = _boxes(text)
    return boxes[-1][0] if boxes else None


def listed_boxes(text: str) -> list[str]:
    """The last boxes that stand beside each other like a list: \\boxed{1}, \\boxed{2} and \\boxed{3}."""
    listed: list[str] = []
    before = 0
    for content, start, end in _boxes(text):
        if not _BETWEEN.fullmatch(text[before:start]):
            listed = []
        listed.append(content)
        before = end
    return listed


def all_boxed(text: str) -> list[str]:
    return [content for content, _, _ in _boxes(text)]


def _boxes(text: str) -> list[tuple[str, int, int]]:
    """What stands in each closed \\boxed{...} that is in no other, with its braces balanced, and its place."""
    depth, position = 0, 0
    opened: list[tuple[int, int]] = []
    boxes: list[tuple[str, int, int]] = []
    while position < len(text):
        if text.startswith(("\\boxed{", "\\fbox{"), position):
            position = text.index("{", position) + 1
            depth += 1
            opened.append((depth, position))
            continue
        character = text[position]
        if character == "\\":
            position += 2
            continue
        if character == "{":
            depth += 1
        elif character == "}":
            if opened and opened[-1][0] == depth:
                first = opened.pop()[1]
                if not opened:
                    boxes.append((text[first:position], text.rindex("\\", 0, first), position + 1))
            depth = max(0, depth - 1)
        position += 1
    return boxes
