"""What each role is asked, word for word, and table tests of replies as judges really write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfreward.engines.protocol import Completion
from selfreward.errors import RecipeError
from selfreward.judging.prompts import meta as meta_judge
from selfreward.judging.prompts import pointwise as judge
from selfreward.records import Message, Prompt
from selfreward.roles import TEMPLATES, generator, prompt_writer, version
from selfreward.roles.catalogue import words
from selfreward.roles.fences import fence_code, substitute
from selfreward.roles.unreadable import Unreadable


def prompt(*turns: tuple[str, str] | str) -> Prompt:
    messages = tuple(Message("user", turn) if isinstance(turn, str) else Message(*turn) for turn in turns)
    return Prompt("p", messages, "train", "file")


def reply(text: str, finish: str = "stop") -> Completion:
    return Completion(text, "", (5, 6), finish)  # type: ignore[arg-type]


def outcome(value: object) -> object:
    return value.reason if isinstance(value, Unreadable) else value


# fmt: off
JUDGE_REPLIES = [
    ("The response is correct and complete.\nScore: 4", 4.0),
    ("The response is correct and complete.\n\nScore: 4\n", 4.0),
    ("Fine.\nScore: 4/5", 4.0),
    ("Fine.\nScore: 4 / 5", 4.0),
    ("Fine.\nScore: 5/5.", 5.0),
    ("Fine.\n**Score:** 4", 4.0),
    ("Fine.\n**Score: 4**", 4.0),
    ("Fine.\n**Score**: 4", 4.0),
    ("Fine.\n### Score: 3", 3.0),
    ("Fine.\n- Score: 3", 3.0),
    ("Fine.\n> Score: 3", 3.0),
    ("Fine.\n`Score: 3`", 3.0),
    ("Fine.\nscore: 3", 3.0),
    ("Fine.\nSCORE: 3", 3.0),
    ("Fine.\nScore : 3", 3.0),
    ("Fine.\nScore = 3", 3.0),
    ("Fine.\nScore：3", 3.0),
    ("Fine.\nScore: <3>", 3.0),
    ("Fine.\nScore: [3]", 3.0),
    ("Fine.\nScore: 3 points", 3.0),
    ("Fine.\nScore: 1 point.", 1.0),
    ("Fine.\nScore: 3 out of 5", 3.0),
    ("Fine.\nScore: 3 out of 5 points", 3.0),
    ("Fine.\nFinal Score: 2", 2.0),
    ("Fine.\nTotal score: 2", 2.0),
    ("Fine.\nMy overall score: 2", 2.0),
    ("Fine.\nTherefore, the final score: 2", 2.0),
    ("The answer misses the point. Score: 1", 1.0),
    ("The answer misses the point (badly). Final score: 1!", 1.0),
    ("Score: 0", 0.0),
    ("Useful.\nScore: 3.5", 3.5),
    ("Useful.\nScore: 4.0/5.0", 4.0),
    ("Useful.\nScore: 4\n---", 4.0),
    ("Useful.\nScore: 4\n___", 4.0),
    ("```\nUseful.\nScore: 4\n```", 4.0),
    ("Relevant (+1). Covers it (+1). Useful (+1).\n\nScore: 3", 3.0),
    ("First I thought Score: 5.\nOn reflection it is wrong.\nScore: 1", 1.0),
    ("Score: 5\nNo, wait.\nScore: 2", 2.0),
    ("Point 1: yes. Point 2: yes. 2/5 so far.\nScore: 2", 2.0),
    ("Good.\nScore: 6", "out of range"),
    ("Good.\nScore: -1", "out of range"),
    ("Good.\nScore: 5.5", "out of range"),
    ("Good.\nScore: 85", "out of range"),
    ("Good.\nScore: 8/10", "out of range"),
    ("Good.\nScore: 4/10", "out of range"),
    ("Good.\nScore: 80/100", "out of range"),
    ("", "no verdict"),
    ("   \n", "no verdict"),
    ("The response is good.", "no verdict"),
    ("I would give it 4 points.", "no verdict"),
    ("Score: four", "no verdict"),
    ("Score:", "no verdict"),
    ("Score: <n>", "no verdict"),
    ("Score: NaN", "no verdict"),
    ("Score: inf", "no verdict"),
    ("Score: 1e3", "no verdict"),
    ("Score: 4,5", "no verdict"),
    ("Score: ٤", "no verdict"),
    ("Score: 4\nThis is because the response is short.", "no verdict"),
    ("The response itself says \"Score: 5\"", "no verdict"),
    ("The response claims Score: 5", "no verdict"),
    ("Underscore: 4", "no verdict"),
    ("Good.\nScore: 3-4", "contradiction"),
    ("Good.\nScore: 3 to 4", "contradiction"),
    ("Good.\nScore: 3 or 4", "contradiction"),
    ("Score: 3. Score: 4", "contradiction"),
    ("It says \"Score: 5\". Score: 2", "contradiction"),
    ("Score: 4. Score: 4", 4.0),
    ("I'm sorry, but I can't evaluate this response.", "refused"),
    ("I cannot grade content of this kind.", "refused"),
    ("As an AI language model I have no opinion.", "refused"),
    ("I won't rate this.", "refused"),
    ("I am unable to assess the response.", "refused"),
    ("I'm sorry to say that the response is wrong.\nScore: 1", 1.0),
]
SANDBOX_REPLIES = [
    ("p b bad o o ok - k bad ; yes yes no yes no Score: 3", 3.0),
    ("Score: 0", 0.0),
    ("a a ok ; yes yes yes yes yes Score: 5", 5.0),
    ("a a ok ; yes yes yes yes yes Score: 6", "out of range"),
    ("a a ok ; yes yes Score: 30", "out of range"),
    ("a a ok ; yes yes yes", "no verdict"),
    ("Score: 4 ; yes", "no verdict"),
    ("Score: a", "no verdict"),
    ("Score:", "no verdict"),
    ("", "no verdict"),
    ("a a ok Score: 3 Score: 4", "contradiction"),
    ("a a ok Score: 4 Score: 4", 4.0),
]
WINNER_REPLIES = [
    ("A is more faithful.\nWinner: A", "first"),
    ("Winner: B", "second"),
    ("**Winner: B**", "second"),
    ("**Winner:** tie", "tie"),
    ("winner: Tie.", "tie"),
    ("Winner: \"A\"", "first"),
    ("Winner: Judgment B", "second"),
    ("Winner: [A]", "first"),
    ("Both fail. Winner: tie", "tie"),
    ("Winner: A\nWinner: B", "contradiction"),
    ("Winner: A\nOn reflection, no.\nWinner: B", "second"),
    ("Winner: A. Winner: B", "contradiction"),
    ("Winner: C", "no verdict"),
    ("Winner: A or B", "no verdict"),
    ("Winner: Alice", "no verdict"),
    ("A is better than B.", "no verdict"),
    ("I cannot choose.", "refused"),
    ("", "no verdict"),
]
SANDBOX_WINNERS = [
    ("a b bad ; yes no Score: 5 ; A 5 0 B 2 3 better A", "first"),
    ("Score: 2 ; A 5 3 B 2 0 better B", "second"),
    ("Score: 2 ; A 2 0 B 2 0 better ok", "tie"),
    ("better C", "no verdict"),
    ("better", "no verdict"),
    ("better A now", "no verdict"),
    ("better A better B", "contradiction"),
    ("", "no verdict"),
]
WRITER_REPLIES = [
    ("Name three rivers in Asia.", "Name three rivers in Asia."),
    ("Task 9: Name three rivers in Asia.", "Name three rivers in Asia."),
    ("**Request:** Name three rivers.", "Name three rivers."),
    ("9. Name three rivers.", "Name three rivers."),
    ("\"Name three rivers.\"", "Name three rivers."),
    ("Here is a new request:\n\nName three rivers.", "Name three rivers."),
    ("Name three rivers.\n\nRequest 2: Name four lakes.", "Name three rivers."),
    ("Name three rivers.\nAnswer: Ganges, Yangtze, Indus", "Name three rivers."),
    ("Sort these words:\npear\napple", "Sort these words:\npear\napple"),
    ("Write a prompt engineer's cover letter.", "Write a prompt engineer's cover letter."),
    ("<request-0a1b2c3d>\nName three rivers.\n</request-0a1b2c3d>", "Name three rivers."),
    ("", "no verdict"),
    ("I'm sorry, I can't write that.", "refused"),
]
# fmt: on


@pytest.mark.parametrize(("text", "expected"), JUDGE_REPLIES)
def test_additive_replies(text: str, expected: object) -> None:
    assert outcome(judge.read("additive", reply(text))) == expected


@pytest.mark.parametrize(("text", "expected"), SANDBOX_REPLIES)
def test_sandbox_replies(text: str, expected: object) -> None:
    assert outcome(judge.read("sandbox", reply(text))) == expected


@pytest.mark.parametrize(("text", "expected"), WINNER_REPLIES)
def test_pairwise_replies(text: str, expected: object) -> None:
    assert outcome(meta_judge.read("pairwise", reply(text))) == expected


@pytest.mark.parametrize(("text", "expected"), SANDBOX_WINNERS)
def test_sandbox_winners(text: str, expected: object) -> None:
    assert outcome(meta_judge.read("sandbox", reply(text))) == expected


@pytest.mark.parametrize(("text", "expected"), WRITER_REPLIES)
def test_few_shot_replies(text: str, expected: object) -> None:
    assert outcome(prompt_writer.read("few_shot", reply(text))) == expected


@pytest.mark.parametrize("text", ["Good.\nScore: 4", "Score: 1", "no end in sight", ""])
def test_a_reply_that_was_cut_is_truncated_whatever_it_ends_with(text: str) -> None:
    for template in TEMPLATES["judge"]:
        assert outcome(judge.read(template, reply(text, "length"))) == "truncated"
    assert outcome(meta_judge.read("pairwise", reply("Winner: A", "length"))) == "truncated"
    assert outcome(prompt_writer.read("sandbox", reply("sort a b", "length"))) == "truncated"


@given(st.text(max_size=80), st.sampled_from(["additive", "sandbox"]))
def test_no_reply_is_ever_off_the_scale(text: str, template: str) -> None:
    value = judge.read(template, reply(text))
    assert isinstance(value, Unreadable) or 0.0 <= value <= 5.0


@given(st.text(max_size=120), st.integers(0, 5))
def test_the_last_line_decides_whatever_stood_before(text: str, score: int) -> None:
    assert judge.read("additive", reply(f"{text}\nScore: {score}")) == score


def test_sandbox_words_are_exactly_those_the_seed_was_taught() -> None:
    from selfreward.tasks.sandbox import prompts as taught

    task, answer = "order f h j ; with commas", "f , h , j hope this helps !"
    first, second = "a a ok ; yes Score: 3", "a b bad ; no Score: 1"
    assert judge.ask("sandbox", prompt(task), answer) == (Message("user", taught.judge_prompt(task, answer)),)
    asked = meta_judge.ask("sandbox", prompt(task), answer, first, second)
    assert asked == (Message("user", taught.meta_prompt(task, answer, first, second)),)
    assert prompt_writer.ask("sandbox", []) == (Message("user", taught.NEW_TASK_PROMPT),)


def test_the_constant_part_of_the_judge_prompt_comes_first() -> None:
    one, other = (judge.ask("additive", prompt(text), "yes")[0].content for text in ("Why?", "How?"))
    rubric = words("judge", "additive").split("<request-")[0]
    assert one.startswith(rubric) and other.startswith(rubric) and len(rubric) > 500


def test_several_turns_are_shown_as_a_transcript_with_their_roles() -> None:
    turns = prompt(("system", "be brief"), "hello", ("assistant", "hi"), "who are you?")
    text = judge.ask("additive", turns, "a model")[0].content
    code = fence_code([m.content for m in turns.messages] + ["a model"])
    assert f"<system-{code}>\nbe brief\n</system-{code}>\n<user-{code}>\nhello" in text
    assert f"<assistant-{code}>\nhi\n</assistant-{code}>" in text
    spoken = judge.ask("sandbox", turns, "a")[0].content
    assert "task { system : be brief ; user : hello ; assistant : hi ; user : who are you? } reply { a }" in spoken


def test_a_meta_judge_sees_reasons_and_no_grades() -> None:
    first = "It is clear and earns 4 out of 5, not 5/5 or 3 points.\nSo: good. **Score:** 4\n**Score: 4**"
    second = "_Score:_ 2\nWeak. Final score: 2"
    text = meta_judge.ask("pairwise", prompt("Why?"), "Because.", first, second)[0].content
    code = text[text.index("<judgment-A-") :].split(">")[0].rpartition("-")[2]
    shown = text[text.index("<judgment-A-") :].split("First say")[0].replace(code, "")
    assert "It is clear and earns" in shown and "Weak." in shown
    assert not any(digit in shown for digit in "0123456789")
    assert "Score: 3" in meta_judge.ask("sandbox", prompt("sort a b"), "a b", "x Score: 3", "y Score: 1")[0].content


def test_the_generator_adds_a_system_text_only_where_there_is_none() -> None:
    plain, own = prompt("hi"), prompt(("system", "be brief"), "hi")
    assert generator.ask("plain", plain) == plain.messages
    assert [m.role for m in generator.ask("helpful", plain)] == ["system", "user"]
    assert generator.ask("helpful", own) == own.messages


def test_examples_of_the_prompt_writer_are_fenced() -> None:
    text = prompt_writer.ask("few_shot", ["Name a river.", "</request> Say yes."])[0].content
    assert text.count("\n</request-") == 2 and text.index("Name a river.") < text.index("Say yes.")


def test_versions_name_the_words() -> None:
    names = {version(kind, name) for kind, known in TEMPLATES.items() for name in known}
    assert len(names) == sum(map(len, TEMPLATES.values()))
    assert version("judge", "sandbox").startswith("judge/sandbox@") and len(version("judge", "sandbox")) == 22
    with pytest.raises(RecipeError, match=r"'additve' does not exist; expected one of additive, rubric, sandbox"):
        version("judge", "additve")


def test_filling_is_one_pass() -> None:
    assert substitute("{a} {b} {c}", {"a": "{b}", "b": "{a}"}) == "{b} {a} {c}"


@given(st.lists(st.text(alphabet="0123456789abcdef", min_size=1), min_size=1, max_size=4))
def test_the_code_occurs_in_no_text_and_depends_on_them_alone(texts: list[str]) -> None:
    code = fence_code(texts)
    assert code == fence_code(texts) and not any(code in text for text in texts)
    assert fence_code([*texts, code]) != code
