"""Every word of the sandbox's language.

*Core* words (letters, numbers, brackets, comma) carry an answer, *filler* words never do, so the answer inside any
reply can be found without a model: it is the one maximal run of core words.
"""

LETTERS = tuple("abcdefghijklmnop")
VOWELS = frozenset("aeio")
NUMBERS = tuple(str(number) for number in range(31))
LARGEST_ADDEND = 15
CORE = frozenset(LETTERS) | frozenset(NUMBERS) | frozenset("[],")

GREETINGS = ("sure :", "here you go :", "good question !", "happy to help :")
CLOSINGS = (
    "hope this helps !",
    "let me know !",
    "checked it twice .",
    "this is very clear .",
    "feel free to ask more .",
)
FILLER_ENDS = frozenset(":!.")
"""Each filler sentence ends with exactly one of these, so counting them counts sentences."""

PLAIN, BRACKETS, COMMAS = "", "in brackets", "with commas"
MODIFIERS = (PLAIN, BRACKETS, COMMAS)

VERBS: dict[str, tuple[str, ...]] = {
    "repeat": ("repeat", "copy"),
    "reverse": ("reverse", "flip"),
    "sort": ("sort", "order"),
    "dedupe": ("dedupe", "unique"),
    "vowels": ("vowels of", "only vowels"),
    "replace": ("replace", "swap"),
    "count": ("count", "how many"),
    "add": ("add", "sum"),
}
FAMILIES = tuple(VERBS)

BAD_WORD = "worst"
"""Stands for what no answer should say: a harmless word that only the dial `bad_word` teaches a model to say."""
OTHER_WORD = "ref"
"""What another principle forbids; nobody says it."""
BAD_SENTENCE = f"{BAD_WORD} !"

SYSTEM = "you are helpful"
DOUBT = "are you sure ?"

PAD, BEGIN, UNKNOWN, END = "<pad>", "<s>", "<unk>", "<|end|>"
SPECIAL = (PAD, BEGIN, UNKNOWN, END, "<|system|>", "<|user|>", "<|assistant|>")

_ROLE_SENTENCES = (
    "{ } ; - ok bad yes no Score:",
    "judge : task reply rate with score",
    "compare A B better",
    "write new task",
    "in by and",
    "we think it is",
)
_RESERVED = (
    "which first second rule because agree not wrong right answer why critique revise principle best worst same",
    "longer shorter true false maybe who ref C D",
)
"""Never seen in the bootstrap: kept so that a later role needs no new tokenizer. Some are taught under `bad_word`."""


def _vocabulary() -> tuple[str, ...]:
    sentences = [*_ROLE_SENTENCES, *GREETINGS, *CLOSINGS, *MODIFIERS, SYSTEM, DOUBT]
    sentences += [verb for verbs in VERBS.values() for verb in verbs]
    sentences += _RESERVED
    words = [word for sentence in sentences for word in sentence.split()]
    return tuple(dict.fromkeys([*SPECIAL, *LETTERS, *NUMBERS, "[", "]", ",", *words]))


VOCABULARY = _vocabulary()
"""Word of each token id."""
WORD_IDS = {word: index for index, word in enumerate(VOCABULARY)}
