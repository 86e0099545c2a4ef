"""The words that make a verdict doubtful, and those that may stand around one.

English, like the templates. The lists lean to one side: a word too many here leaves a verdict unread, which costs one
reply; a word too few reads a verdict that nobody gave.
"""

import re

_ABBREVIATION = re.compile(
    r"(?<![^\W_])(?:max|min|avg|approx|est|poss|cf|vs|e\.? ?g|i\.? ?e|no|nos|ca|hyp|prev|resp|ref|std|ex)\.$", re.I
)
_OWN_WORDS = re.compile(
    r"(?:(?:my|the|final|overall|so|thus|in|to|here is|this is|therefore),? )*(?:verdict|conclusion|evaluation"
    r"|assessment|judge?ment|summary|conclude|summari[sz]e|result|decision|grading|final|overall|therefore) ?[:：]",
    re.IGNORECASE,
)
_TOLD = (
    r"\b(?:response|answer|user|author|text|assistant|model|it|he|she|they) (?:\w{1,20} )?(?:ends?|closes?|concludes?"
    r"|argues?|insists?|tells?|wants?|gives?|rates?|grades?|awards?|thinks?|believes?|suggests?|proposes?|reports?|repeats?"
    r"|orders?|requests?|begs?|adds?|goes)\b"
)
_IN_DOUBT = re.compile(
    r"\b(?:if|unless|otherwise|were|maybe|perhaps|assum\w*|suppos\w*|provided|hypothe\w*"
    r"|possibl[ey]|potential\w*|max|maximum|min|minimum|highest|lowest|best|perfect|previous\w*|former\w*"
    r"|say|says|said|saying|claim\w*|state[sd]?|reads?|writes?|wrote|written|demand\w*|asks|quot\w*|contain\w*"
    r"|ends with|instruct\w*|example|e\.?g|not|never|cannot|refuse\w*|no)\b|n['’]t\b|^(?:had|with|for)\b"
    r"|(?<!\bi )\b(?:would|could|might|may)\b[^,;]{0,40}"
    r"\b(?:be|been|get|earn|have|receive|reach|deserve|give)\b[^,;]{0,20}$|" + _TOLD,
    re.IGNORECASE,
)
_NO_REASON = re.compile(
    r"[0-9\0]|^\W*(?:not|no|never|or|and|but|to|either|neither|tie|(?-i:[AB]))\b|^\W*(?:one|both|own)\W*$|\b(?:if|unless"
    r"|assum\w*|suppos\w*|provided|would|could|might|maybe|perhaps|hypothe\w*|max|maximum|possible|zero|two|three|four"
    r"|five|six|seven|eight|nine|ten|score\w*|grade\w*|rat(?:e|ed|ing|ings)|verdict\w*|judge\w*|line|lines|own|says?"
    r"|said|claim(?:s|ed|ing)|state[sd]|quot\w*|wrote|writes?|written|demand\w*|instruct\w*|example|scratch|strike|disregard"
    r"|ignore|withdr[ae]w\w*|retract\w*|draft|kidding|joking|sarcas\w*|wait|tentativ\w*|unsure|uncertain|sure"
    r"|formerly|previous\w*|originally|initial\w*|prefer\w*|winner)\b",
    re.IGNORECASE,
)
_SAID = re.compile(
    r"\b(?:says?|said|claims?|reads?|writes?|wrote|states?|contains?|demands?"
    r"|asks?|ends with|closes|quot\w*|instructs?)\b|" + _TOLD,
    re.IGNORECASE,
)
_PLEASANTRY = re.compile(
    r"(?:please |i |do |i am |i['’]m )*(?:let me know|feel free|don['’]t hesitate|not hesitate|hope (?:this|that|it)"
    r"|thanks?\b|thank you|happy to|glad to|is there anything else|have a (?:great|good|nice)|best regards"
    r"|good luck)\b",
    re.IGNORECASE,
)
_NO_PLEASANTRY = re.compile(
    r"[0-9]|\b(?:better|instead|rather|chang\w*|wrong|reconsider\w*|tie|(?-i:[AB]))\b", re.IGNORECASE
)
_LONGEST_REASON = 2000


def in_doubt(words: str) -> bool:
    """Do these words make what follows a condition, a quotation, a limit or a denial?"""
    return bool(_IN_DOUBT.search(words))


def is_reported(words: str) -> bool:
    """Do these words hand over to somebody else's?"""
    return bool(_SAID.search(words))


def is_cut_short(words: str) -> bool:
    """Do these words end with an abbreviation, so that the full stop ends no sentence?"""
    return bool(_ABBREVIATION.search(words))


def announces(words: str) -> bool:
    """Is this `My verdict:` or the like?"""
    return bool(_OWN_WORDS.fullmatch(words))


def is_reason(words: str) -> bool:
    """May these words follow a value: do they speak of the response, and of no other value and no doubt?"""
    if len(words) > _LONGEST_REASON:
        return False
    return bool(re.search(r"[^\W\d_]", words)) and not _NO_REASON.search(words)


def is_pleasantry(line: str) -> bool:
    """Is this plain line a closing courtesy that takes nothing back?"""
    return len(line) < 300 and bool(_PLEASANTRY.match(line)) and not _NO_PLEASANTRY.search(line)
