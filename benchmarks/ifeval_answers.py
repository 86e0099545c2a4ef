"""Answers made by rules for `ifeval_agreement.py`: to each instruction some that follow it and some that just miss it.

The sentences (`ifeval_texts.json`) hold what splitters and counters stumble over: abbreviations, numbers, quotes,
ellipses, brackets. Those in the languages that the data set asks for are the first article of the Universal Declaration
of Human Rights.
"""

import random
from typing import Any

from ifeval_counted import COUNTED, LANGUAGES, SENTENCES, WORDS, held, prose


def made(name: str, given: dict[str, Any], rng: random.Random) -> tuple[list[str], list[str]]:
    """(answers that should follow the instruction, answers that just miss it), as the instruction's text means it."""
    kind = name.partition(":")[2]
    if kind not in COUNTED:
        return MADE[kind](given, rng)
    relation = next(value for key, value in given.items() if key.endswith("relation"))
    limit = next(value for key, value in given.items() if key.startswith("num_") or key.endswith("frequency"))
    sides = held(relation, limit)
    holds, fails = ([make(given, rng, max(0, count)) for make in COUNTED[kind]] for count in sides)
    return holds, fails


def _existence(given: dict[str, Any], rng: random.Random) -> tuple[list[str], list[str]]:
    words = list(given["keywords"])
    text = prose(rng, 3)
    whole = [f"{text} {' '.join(words)}.", f"{' and '.join(word.upper() for word in words)} {text}"]
    return whole, [
        f"{text} {' '.join(words[:-1])}",
        f"{text} {' '.join([*words[:-1], words[-1][:-1] + '-' + words[-1][-1]])}",
    ]


def _forbidden(given: dict[str, Any], rng: random.Random) -> tuple[list[str], list[str]]:
    word = rng.choice(list(given["forbidden_words"]))
    text = " ".join(rng.choices(WORDS, k=20))
    return [text, f"{text} x{word}x."], [f"{text} {word}.", f"({word.upper()}) {text}"]


def _language(given: dict[str, Any], rng: random.Random) -> tuple[list[str], list[str]]:
    text = LANGUAGES[given["language"]]
    other = rng.choice([one for one in LANGUAGES if one != given["language"]])
    return [text, f"{text} {text}"], [LANGUAGES[other], prose(rng, 3), "12 + 30 = 42"]


def _paragraphs(given: dict[str, Any], rng: random.Random) -> tuple[list[str], list[str]]:
    parts = [prose(rng, 2) for _ in range(given["num_paragraphs"])]
    return ["\n***\n".join(parts), "***\n" + "\n\n***\n\n".join(parts) + "\n***"], [
        "\n***\n".join([*parts, "One more."]),
        "\n\n".join([*parts, "***"]),
        "\n***\n***\n".join([*parts, "x"]),
    ]


def _first_word(given: dict[str, Any], rng: random.Random) -> tuple[list[str], list[str]]:
    count, place = given["num_paragraphs"], given["nth_paragraph"] - 1
    parts = [prose(rng, 2) for _ in range(count)]
    parts[place] = f"{given['first_word'].capitalize()}, {parts[place]}"
    quoted = [*parts]
    quoted[place] = f'"{parts[place]}'
    mixed = [*parts]
    mixed[place] = f"\"'{parts[place]}"
    wrong = [*parts]
    wrong[place] = f"The {given['first_word']} {parts[place]}"
    return ["\n\n".join(parts), "\n\n".join(quoted) + "\n\n", "\n\n".join(mixed)], [
        "\n\n".join(wrong),
        "\n\n".join([*parts, "One more."]),
        "\n".join(parts),
    ]


def _placeholders(given: dict[str, Any], rng: random.Random) -> tuple[list[str], list[str]]:
    count = given["num_placeholders"]
    marks = [f"[{rng.choice(WORDS)}]" for _ in range(count)]
    text = prose(rng, 2)
    return [f"{text} {' '.join(marks)}", "\n".join(marks)], [
        f"{text} {' '.join(marks[1:])}",
        f"{text} {'<name> ' * count}",
    ]


def _postscript(given: dict[str, Any], rng: random.Random) -> tuple[list[str], list[str]]:
    marker, text = given["postscript_marker"], prose(rng, 3)
    return [f"{text}\n\n{marker} {prose(rng, 1)}", f"{text}\n{marker.lower().replace('.', '. ').strip()} more"], [
        text,
        f"{text}\n\nPS {prose(rng, 1)}",
    ]


def _bullets(given: dict[str, Any], rng: random.Random) -> tuple[list[str], list[str]]:
    lines = [rng.choice(SENTENCES) for _ in range(given["num_bullets"])]
    marked = [f"{'*' if place % 2 else '  -'} {line}" for place, line in enumerate(lines)]
    return ["\n".join(marked), "Here:\n\n" + "\n".join(f"* {line}" for line in lines)], [
        "\n".join([*marked, "- one more"]),
        "\n".join(f"{place}. {line}" for place, line in enumerate(lines, 1)),
        "\n".join(["**bold**", *marked[1:]]),
    ]


def _constrained(given: dict[str, Any], rng: random.Random) -> tuple[list[str], list[str]]:
    choice = rng.choice(["yes", "no", "maybe"])
    return [f"My answer is {choice}.", f"{prose(rng, 1)} My answer is {choice}."], [
        f"my answer is {choice}.",
        f"My answer is {choice}",
    ]


def _highlights(given: dict[str, Any], rng: random.Random) -> tuple[list[str], list[str]]:
    count = given["num_highlights"]
    marks = [f"*{rng.choice(WORDS)} {rng.choice(WORDS)}*" for _ in range(count)]
    return [" ".join(marks), f"{prose(rng, 1)} " + "\n".join(f"*{mark}*" for mark in marks)], [
        " ".join(marks[1:]),
        " ".join([*marks[1:], "*\t*"]),
        " ".join([*marks[1:], "* *", "** **"]),
    ]


def _sections(given: dict[str, Any], rng: random.Random) -> tuple[list[str], list[str]]:
    parts = [f"{given['section_spliter']} {place}\n{prose(rng, 2)}" for place in range(1, given["num_sections"] + 1)]
    return ["\n\n".join(parts), " ".join(parts).replace(" 1\n", "1 ")], [
        "\n\n".join(parts[:-1]),
        "\n\n".join(part.replace(f"{given['section_spliter']} ", f"{given['section_spliter']} No. ") for part in parts),
    ]


def _json(given: dict[str, Any], rng: random.Random) -> tuple[list[str], list[str]]:
    whole = '{"title": "' + rng.choice(WORDS) + '", "items": [1, 2, null]}'
    return [whole, f"```json\n{whole}\n```", f"```JSON {whole}```", f"```\n[{whole}]\n```", "NaN"], [
        whole.replace('"', "'"),
        f"Here it is:\n{whole}",
        whole[:-1],
        f"```jsOn\n{whole}\n```",
    ]


def _title(given: dict[str, Any], rng: random.Random) -> tuple[list[str], list[str]]:
    return [f"<<{rng.choice(WORDS)} song>>\n{prose(rng, 2)}", f"{prose(rng, 1)} <<<a>>>"], [
        f"<{rng.choice(WORDS)}>\n{prose(rng, 2)}",
        f"<< >>\n{prose(rng, 2)}",
        f"<<a\nb>> {prose(rng, 1)}",
        f"<<\t>>\n{prose(rng, 1)}",
    ]


def _two(given: dict[str, Any], rng: random.Random) -> tuple[list[str], list[str]]:
    one, other = prose(rng, 2), f"Another one. {prose(rng, 2)}"
    return [f"{one}\n******\n{other}", f"******{one}******{other}******"], [
        f"{one}\n******\n{one} ",
        f"{one}\n*****\n{other}",
        f"{one}\n******\n******\n{other}",
        f"{one}******{other}******x",
    ]


def _repeat(given: dict[str, Any], rng: random.Random) -> tuple[list[str], list[str]]:
    text, answer = given["prompt_to_repeat"], prose(rng, 2)
    return [f"{text}\n\n{answer}", f"\n {text.upper()} {answer}"], [f"Sure! {text} {answer}", f"{text[:-2]} {answer}"]


def _end(given: dict[str, Any], rng: random.Random) -> tuple[list[str], list[str]]:
    text, phrase = prose(rng, 2), given["end_phrase"]
    return [f"{text} {phrase}", f'"{text} {phrase.upper()}"\n'], [
        f"{text} {phrase} Bye",
        f"{phrase} {text}",
        f"{text} {phrase}*",
    ]


def _capital(given: dict[str, Any], rng: random.Random) -> tuple[list[str], list[str]]:
    wrong = [prose(rng, 3).upper() + " x", prose(rng, 3), "12 + 3 = 15.", LANGUAGES["de"].upper()]
    return [prose(rng, 1).upper(), prose(rng, 8).upper()], wrong


def _lowercase(given: dict[str, Any], rng: random.Random) -> tuple[list[str], list[str]]:
    wrong = [prose(rng, 3).lower() + " X", prose(rng, 3), "12 + 3 = 15.", LANGUAGES["vi"].lower()]
    return [prose(rng, 1).lower(), prose(rng, 8).lower()], wrong


def _comma(given: dict[str, Any], rng: random.Random) -> tuple[list[str], list[str]]:
    text = prose(rng, 3).replace(",", "")
    return [text, f"{text} 、"], [f"{text}, yes", f"{text} 1,000"]


def _quotation(given: dict[str, Any], rng: random.Random) -> tuple[list[str], list[str]]:
    text = prose(rng, 2)
    return [f'"{text}"', f' "{text}"\n'], [f'"{text}', f"“{text}”", f"'{text}'", '"']


MADE = {
    "existence": _existence,
    "forbidden_words": _forbidden,
    "response_language": _language,
    "number_paragraphs": _paragraphs,
    "nth_paragraph_first_word": _first_word,
    "number_placeholders": _placeholders,
    "postscript": _postscript,
    "number_bullet_lists": _bullets,
    "constrained_response": _constrained,
    "number_highlighted_sections": _highlights,
    "multiple_sections": _sections,
    "json_format": _json,
    "title": _title,
    "two_responses": _two,
    "repeat_prompt": _repeat,
    "end_checker": _end,
    "english_capital": _capital,
    "english_lowercase": _lowercase,
    "no_comma": _comma,
    "quotation": _quotation,
}
