"""The 25 kinds of verifiable instructions of IFEval (Zhou et al. 2023, 2311.07911): one predicate each.

Every predicate has the reply first and the instruction's own arguments as keywords, under the names that the data set
uses. The definitions follow the paper and its published checker, quirks included (paragraphs may be separated by ***,
keywords match inside words but forbidden words only whole ones). Sentences and capital words are counted as its
tokenisers count them (`punkt.py`, `treebank_words.py`).

Beside that checker, on 5,688 pairs of an instruction and an answer made by rules, 21 of the 25 kinds say the same on
99.6 % or more (`results/tables/ifeval_agreement.md`). What differs in the other four: a `letter` that is none (`!` in
the data set) is counted, where the published checker draws a letter at random; "English" in the two letter-case
instructions is not tested, since langdetect takes short English answers for other languages, so that other languages in
those letters pass here; a language that cannot be told is left open, where it says followed.
"""

import json
import re
from collections.abc import Callable, Iterable

from selfreward.tasks.verifiers.punkt import sentences
from selfreward.tasks.verifiers.treebank_words import words

Relation = str
RELATIONS = ("less than", "at least")

_WORD = re.compile(r"\w+")
_CHOICES = ("My answer is yes.", "My answer is no.", "My answer is maybe.")


class UnknownLanguageError(ValueError):
    """Nothing in the text tells its language."""


def _compare(count: int, relation: Relation, limit: int) -> bool:
    return count < limit if relation == "less than" else count >= limit


def keyword_existence(text: str, *, keywords: Iterable[str]) -> bool:
    return all(re.search(re.escape(word), text, re.IGNORECASE) for word in keywords)


def keyword_frequency(text: str, *, keyword: str, frequency: int, relation: Relation) -> bool:
    return _compare(len(re.findall(re.escape(keyword.strip()), text, re.IGNORECASE)), relation, frequency)


def forbidden_words(text: str, *, forbidden_words: Iterable[str]) -> bool:
    return not any(re.search(rf"\b{re.escape(word)}\b", text, re.IGNORECASE) for word in forbidden_words)


def letter_frequency(text: str, *, letter: str, let_frequency: int, let_relation: Relation) -> bool:
    return _compare(text.lower().count(letter.lower()), let_relation, let_frequency)


def response_language(text: str, *, language: str) -> bool:
    """By langdetect, seeded, so that a text always gets one answer. Raises UnknownLanguageError where it has none."""
    from langdetect import DetectorFactory, LangDetectException, detect

    DetectorFactory.seed = 0
    try:
        return str(detect(text)) == language
    except LangDetectException as problem:
        raise UnknownLanguageError(str(problem)) from problem


def number_sentences(text: str, *, num_sentences: int, relation: Relation) -> bool:
    return _compare(len(sentences(text)), relation, num_sentences)


def number_paragraphs(text: str, *, num_paragraphs: int) -> bool:
    """Paragraphs stand between ***; an empty one is forgiven at the beginning and the end only."""
    parts = [part.strip() for part in re.split(r"\s?\*\*\*\s?", text)]
    inner = parts[1:-1]
    return all(inner) and sum(bool(part) for part in parts) == num_paragraphs


def number_words(text: str, *, num_words: int, relation: Relation) -> bool:
    return _compare(len(_WORD.findall(text)), relation, num_words)


def nth_paragraph_first_word(text: str, *, num_paragraphs: int, nth_paragraph: int, first_word: str) -> bool:
    """Paragraphs stand between empty lines; quotation marks before and punctuation after the word do not count.

    Single ones are taken away before double ones: the first word of `"'so` is none.
    """
    paragraphs = text.split("\n\n")
    if nth_paragraph > len(paragraphs) or not paragraphs[nth_paragraph - 1].strip():
        return False
    word = paragraphs[nth_paragraph - 1].split()[0].lstrip("'").lstrip('"')
    word = re.split(r"[.,?!'\"]", word)[0]
    present = sum(bool(paragraph.strip()) for paragraph in paragraphs)
    return present == num_paragraphs and word.lower() == first_word.lower()


def number_placeholders(text: str, *, num_placeholders: int) -> bool:
    return len(re.findall(r"\[.*?\]", text)) >= num_placeholders


def postscript(text: str, *, postscript_marker: str) -> bool:
    known, asked = {"P.P.S": r"p\.\s?p\.\s?s", "P.S.": r"p\.\s?s\."}, postscript_marker.strip()
    marker = known.get(asked, re.escape(asked.lower()))
    return re.search(rf"\s*{marker}.*$", text.lower(), re.MULTILINE) is not None


def number_bullet_lists(text: str, *, num_bullets: int) -> bool:
    stars = re.findall(r"^\s*\*[^*].*$", text, re.MULTILINE)
    dashes = re.findall(r"^\s*-.*$", text, re.MULTILINE)
    return len(stars) + len(dashes) == num_bullets


def constrained_response(text: str) -> bool:
    return any(choice in text for choice in _CHOICES)


def number_highlighted_sections(text: str, *, num_highlights: int) -> bool:
    single = re.findall(r"\*[^\n*]*\*", text)
    double = re.findall(r"\*\*[^\n*]*\*\*", text)
    return sum(bool(part.strip("*").strip()) for part in [*single, *double]) >= num_highlights


def multiple_sections(text: str, *, section_spliter: str, num_sections: int) -> bool:
    return len(re.split(rf"\s?{re.escape(section_spliter.strip())}\s?\d+\s?", text)) - 1 >= num_sections


def json_format(text: str) -> bool:
    plain = re.sub(r"^```(?:json|Json|JSON)?|```$", "", text.strip()).strip()
    try:
        json.loads(plain)
    except (ValueError, RecursionError):
        return False
    return True


def title(text: str) -> bool:
    return any(found.lstrip("<").rstrip(">").strip() for found in re.findall(r"<<[^\n]+>>", text))


def two_responses(text: str) -> bool:
    parts = [part.strip() for part in text.split("******")]
    filled = [part for part in parts if part]
    return all(parts[1:-1]) and len(filled) == 2 and filled[0] != filled[1]


def repeat_prompt(text: str, *, prompt_to_repeat: str) -> bool:
    return text.strip().lower().startswith(prompt_to_repeat.strip().lower())


def end_checker(text: str, *, end_phrase: str) -> bool:
    return text.strip().strip('"').lower().endswith(end_phrase.strip().lower())


def capital_word_frequency(text: str, *, capital_frequency: int, capital_relation: Relation) -> bool:
    return _compare(sum(word.isupper() for word in words(text)), capital_relation, capital_frequency)


def english_capital(text: str) -> bool:
    return text.isupper()


def english_lowercase(text: str) -> bool:
    return text.islower()


def no_comma(text: str) -> bool:
    return "," not in text


def quotation(text: str) -> bool:
    plain = text.strip()
    return len(plain) > 1 and plain[0] == plain[-1] == '"'


INSTRUCTIONS: dict[str, Callable[..., bool]] = {
    "keywords:existence": keyword_existence,
    "keywords:frequency": keyword_frequency,
    "keywords:forbidden_words": forbidden_words,
    "keywords:letter_frequency": letter_frequency,
    "language:response_language": response_language,
    "length_constraints:number_sentences": number_sentences,
    "length_constraints:number_paragraphs": number_paragraphs,
    "length_constraints:number_words": number_words,
    "length_constraints:nth_paragraph_first_word": nth_paragraph_first_word,
    "detectable_content:number_placeholders": number_placeholders,
    "detectable_content:postscript": postscript,
    "detectable_format:number_bullet_lists": number_bullet_lists,
    "detectable_format:constrained_response": constrained_response,
    "detectable_format:number_highlighted_sections": number_highlighted_sections,
    "detectable_format:multiple_sections": multiple_sections,
    "detectable_format:json_format": json_format,
    "detectable_format:title": title,
    "combination:two_responses": two_responses,
    "combination:repeat_prompt": repeat_prompt,
    "startend:end_checker": end_checker,
    "change_case:capital_word_frequency": capital_word_frequency,
    "change_case:english_capital": english_capital,
    "change_case:english_lowercase": english_lowercase,
    "punctuation:no_comma": no_comma,
    "startend:quotation": quotation,
}
"""The data set's name of an instruction -> its predicate."""
