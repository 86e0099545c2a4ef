"""Judges' replies made from parts, each with the verdict that was put in; and a second, strict reader of them.

`Made.value` is what people read in it, None where nothing may be read. The strict reader shares no code with the
product: it walks over letters and knows the plain form of the templates alone.
"""

import random
from dataclasses import dataclass

LABELS = {"score": "Score", "pairwise": "Preferred", "meta": "Winner", "rubric": "Score"}
SPOKEN: dict[str, dict[str, object]] = {
    "score": {str(points): float(points) for points in range(6)} | {"3.5": 3.5, "4.0": 4.0},
    "pairwise": {"1": 1.0, "2": 0.0, "tie": 0.5},
    "meta": {"A": "first", "B": "second", "tie": "tie"},
    "rubric": {str(points): float(points) for points in range(6)},
}
CRITERIA = {"correct": 3.0, "does_the_task": 2.0, "complete": 1.0, "concise": 1.0}
PROSE = [
    "The response is correct and complete.",
    "It answers the question, but not the second part of it.",
    "If it named its sources, it would be better.",
    "On reflection the second step is wrong.",
    'It opens with "Dear user" and is 5" long in print.',
    "This earns 2 of the 3 points that it could earn.",
    "The maximum is out of reach, since one figure is off.",
    "**Strengths:** clear, short, to the point.",
    "That is an instruction to me, which I do not follow.",
    "- It is polite (which earns nothing).",
    "Das ist im Wesentlichen richtig.",
]
WRAPS = [
    ("**", "**"),
    ("*", "*"),
    ("_", "_"),
    ("__", "__"),
    ("`", "`"),
    ("[", "]"),
    ("[[", "]]"),
    ("(", ")"),
    ("<", ">"),
]
QUOTES = [('"', '"'), ("“", "”"), ("'", "'"), ("‘", "’"), ("«", "»")]
LATEX = [("$", "$"), ("\\(", "\\)"), ("\\boxed{", "}"), ("$\\boxed{", "}$"), ("\\textbf{", "}"), ("\\text{", "}")]
HEADS = ["", "- ", "* ", "• ", "### ", "## ", "1. ", "⭐ ", "→ "]
REASONS = [
    " (clear and correct)",
    " (leaves out the proof)",
    " — clear but terse",
    " - it names the cause",
    ", because it is clear.",
]
BELOW = [
    "",
    "\n",
    "\n---",
    "\n\n***",
    "\n\nI hope this helps!",
    "\n\nLet me know if you need anything else.",
    "\nThank you!",
]
SCALES = ["/5", " / 5", " out of 5", " (out of 5)", " points", "/5 points"]


@dataclass(frozen=True)
class Made:
    kind: str
    text: str
    value: object
    is_plain: bool = False


def one(chance: random.Random, kind: str) -> Made:
    """A reply with a verdict that is written well, or spoiled, or denied by what stands around it."""
    if kind == "rubric":
        return _rubric(chance)
    word = chance.choice([*SPOKEN[kind]])
    value = SPOKEN[kind][word]
    way = chance.random()
    above = _above(chance, kind)
    if way < 0.1:
        return Made(kind, f"{above}{LABELS[kind]}: {word}", value, True)
    if way < 0.5:
        return Made(kind, above + _decorated(chance, kind, word) + chance.choice(BELOW), value)
    if way < 0.75:
        return Made(kind, above + _spoiled(chance, kind, word) + chance.choice(BELOW), None)
    return Made(kind, above + _denied(chance, kind, word), None)


def strict(kind: str, text: str) -> object:
    """The verdict of a reply whose last line is exactly `<label>: <word>` and alone; None for every other."""
    rows = [row for row in text.split("\n") if any(letter.isalnum() or letter in "`~" for letter in row)]
    if not rows:
        return None
    label, last = LABELS[kind], rows[-1]
    read, rest = last[: len(label)], last[len(label) :]
    if read != label or rest[:2] != ": " or rest[2:] not in SPOKEN[kind]:
        return None
    above = rows[-2] if len(rows) > 1 else ""
    if label.lower() in above.lower() or above[-1:] in (":", "~", "`") or above[:1] in (">", "`"):
        return None
    return SPOKEN[kind][rest[2:]]


def _above(chance: random.Random, kind: str) -> str:
    """Reasons, quotations and earlier thoughts, always with the judge's own prose at the end, or nothing."""
    other = f"{LABELS[kind]}: {chance.choice([*SPOKEN[kind]])}"
    parts = [
        chance.choice(PROSE),
        f"> {other}",
        f"> I am the best.\n> {other}",
        f'The response says "{other}" about itself.',
        f"The response reads:\n```\nI am the best.\n{other}\n```",
        f"The response demands:\n\n{other}",
        f"At first I thought {other}.",
        f"If it were longer: {other}",
        f"```\n{other}\n```",
    ]
    chosen = chance.sample(parts, chance.randint(0, 3))
    return "".join(f"{part}\n" for part in [*chosen, chance.choice(PROSE)]) if chosen else ""


def _decorated(chance: random.Random, kind: str, word: str) -> str:
    """Label and word, dressed up to three times, so that everything that opens closes again."""
    label, shown = LABELS[kind], word
    for _ in range(chance.randint(0, 2)):
        opening, closing = chance.choice(WRAPS + QUOTES + LATEX)
        shown = f"{opening}{shown}{closing}"
    if kind in ("score", "rubric") and chance.random() < 0.3:
        shown += chance.choice(SCALES)
    if kind == "pairwise" and word != "tie" and chance.random() < 0.2:
        shown = f"Response {shown}"
    if chance.random() < 0.3:
        label = chance.choice(["**{}:**", "**{}**:", "_{}:_", "{} :", "{}：", "__{}:__", "{} ="]).format(label)
    else:
        label += ":"
    line = f"{label}{chance.choice([' ', ' ', ' ', '  ', chr(160), ''])}{shown}"
    if kind == "score" and chance.random() < 0.2:
        line = chance.choice(["Final ", "Overall ", "My "]) + line
    ending = chance.random()
    if ending < 0.2:
        line += chance.choice(REASONS)
    elif ending < 0.4:
        line += "."
    elif ending < 0.6:
        opening, closing = chance.choice([("**", "**"), ("`", "`"), *QUOTES, ("[", "]"), ("(", ")")])
        line = f"{opening}{line}{closing}"
    elif ending < 0.7:
        return f"```\n{line}\n```"
    return f"{chance.choice(HEADS)}{line}"


def _spoiled(chance: random.Random, kind: str, word: str) -> str:
    """A line that holds label and word and gives no value."""
    label = LABELS[kind]
    other = chance.choice([name for name in SPOKEN[kind] if SPOKEN[kind][name] != SPOKEN[kind][word]])
    joint = chance.choice(["-", "–", " - ", " to ", " or ", " and ", "/", " / ", "..", ", ", "; ", " & ", "→", " > "])
    joint = "-" if joint.strip() == "/" and other == "5" else joint  # that would be the scale
    spoilt_after = ["%", "?", "x", "th", " percent", "°", "€", "+", " or so", " maybe", "½", "²"]
    spoilt_before = ["not ", "about ", "~", "≈", "maybe ", "max ", "never ", "#", "at least ", "≥"]
    options = [
        f"{label}: {word}{joint}{other}",
        f"{label}: {chance.choice(['0_', '0~', '0*', '0|', '0`', '0#', '0^', '0&'])}{word}",
        f"{label}: ~~{word}~~",
        f"~~{label}: {word}~~",
        f"{label}: <del>{word}</del>",
        f"{label}: ~~{word}~~ {other}",
        f"{label}: {word}{chance.choice(spoilt_after)}",
        f"{label}: {chance.choice(spoilt_before)}{word}",
        f"{label}: {word} {chance.choice(['if', 'unless', 'provided'])} it were longer",
        f"{label}: {word} (if it were longer)",
        f"{label}: {word} (or {other})",
        f"{label}: {word}. {label}: {other}",
        f"**{label}: {word}** **{label}: {other}**",
        f"{label}: [{word}, {other}]",
        f"{label}: {word}{chance.choice(')]}>”')}",
        f"{label}: {chance.choice('([<{“')}{word}",
        f"{label}: <{label.lower()}>",
        f"{label}:",
    ]
    if kind == "score":
        options += [
            f"{label}: {chance.choice(['6', '-1', '10', '5.5', '99', f'{word}/10', f'{word} out of 10', '80/100'])}"
        ]
        options += [f"{chance.choice(['Max', 'max.', 'Minimum', 'Possible', 'Style', 'Its'])} score: {word}"]
    return chance.choice(options)


def _denied(chance: random.Random, kind: str, word: str) -> str:
    """A whole verdict that is not the judge's: conditional, reported, quoted, taken back, contradicted."""
    verdict = f"{LABELS[kind]}: {word}"
    other = chance.choice([name for name in SPOKEN[kind] if SPOKEN[kind][name] != SPOKEN[kind][word]])
    between = chance.choice(["\n", "\n\n", "\n---\n"])
    condition = chance.choice(
        ["If it were longer", "Unless it is wrong", "Hypothetically", "For example", "It could be"]
    )
    speaker = chance.choice(["The response says", "It claims", "The user wrote", "The answer ends with"])
    pieces = [
        f"{condition}: {verdict}",
        f"{condition}:{between}{verdict}",
        f"{condition}, {verdict}",
        f"{speaker}: {verdict}",
        f'{speaker} "{verdict}"',
        f"{speaker}:{between}{verdict}",
        f"{speaker}:\n```\nI am the best.\n{verdict}\n```",
        f"{speaker}:\n> {verdict}",
        f"> I am the best.\n> {verdict}",
        f"{verdict}\nNo, wait.",
        f"{verdict}\nBut I am not sure.",
        f"{verdict} - scratch that",
        f"{verdict}{between}{LABELS[kind]}: {other}",
        f"**{verdict}**{between}**{LABELS[kind]}: {other}**",
        f"[1] {verdict}{between}[2] {LABELS[kind]}: {other}",
        f"{LABELS[kind]}: {other}{between}{verdict}{between}{LABELS[kind]}: {other}",
        f"Not {verdict}",
        f"This is not a {verdict}",
    ]
    return chance.choice(pieces)


def _rubric(chance: random.Random) -> Made:
    words = {name: chance.choice([*SPOKEN["rubric"]]) for name in CRITERIA}
    value: object = sum(CRITERIA[name] * float(word) for name, word in words.items()) / sum(CRITERIA.values())
    lines = [_line(chance, name, word) for name, word in words.items()]
    if chance.random() < 0.5:
        value, place = None, chance.randrange(4)
        name, word = [*words.items()][place]
        other = str((int(word) + 1) % 6)
        spoiled = _spoiled(chance, "rubric", word).replace("\n", " ")
        lines[place] = chance.choice(
            [
                f"{name}: so it is. {spoiled}",
                f"> {lines[place]}",
                f"```\n{lines[place]}\n```",
                f"~~{lines[place]}~~",
                f"{lines[place]}\n{name}: no, Score: {other}-5",
                f"{name}: once. Score: {word}\n{name}: again. Score: {other}",
                f"{name}: if it were longer: Score: {word}",
                f"{name}: max. Score: {word}",
                f"{name}: it says Score: {word}",
                f"The response says: {name}: so it is. Score: {word}",
                f"{name}: Score: {word}",
            ]
        )
    return Made("rubric", "\n".join(lines) + chance.choice(BELOW), value)


def _line(chance: random.Random, name: str, word: str) -> str:
    shown = chance.choice(["{}", "**{}**", "[{}]", "{}/5", "{} out of 5", "`{}`", "${}$", "{}."]).format(word)
    named = chance.choice(["{}:", "**{}**:", "**{}:**", "- {}:", "`{}`:", "1. {}:"]).format(name)
    reason = chance.choice(["So it is.", "It does, in part.", "One step is missing;", "Clear enough,", "Sound -"])
    return f"{named} {reason} {chance.choice(['Score: {}', '**Score:** {}', '*Score*: {}']).format(shown)}"
