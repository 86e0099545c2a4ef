"""Thinking is cut, in every known format and in named ones; only control tokens of a text are broken."""

import time

import pytest
from random_models import FAMILIES, build_tokenizer
from tokenizers import AddedToken

from selfreward.engines.chat import ChatRenderer
from selfreward.engines.thinking import split_channels, split_reasoning
from selfreward.recipe import ModelRecipe
from selfreward.records import Message

HARMONY = ("<|start|>", "<|end|>", "<|channel|>", "<|message|>", "<|return|>", "<|call|>")
HARMONY_TEMPLATE = (
    "{% for m in messages %}{{ '<|start|>' + m['role'] }}{% if m['role'] == 'assistant' %}{{ '<|channel|>final' }}"
    "{% endif %}{{ '<|message|>' + m['content'] }}"
    "{{ '<|return|>' if m['role'] == 'assistant' and loop.last else '<|end|>' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|start|>assistant' }}{% endif %}"
)
HTML = ("<b>", "</b>", "<table>", "<td>", "</td>", "<h1>", "<code>")


def renderer(special=(), added=(), template=None, thinking=()):
    tokenizer = build_tokenizer(FAMILIES["qwen25"])
    tokenizer.add_tokens([AddedToken(token, special=True, normalized=False) for token in special], special_tokens=True)
    tokenizer.add_tokens([AddedToken(token, special=False, normalized=False) for token in added])
    tokenizer.chat_template = template or tokenizer.chat_template
    return ChatRenderer(tokenizer, "here", model=ModelRecipe(thinking=thinking))


def read(chat, text, opened=False):
    return chat.read(chat.tokenizer(text, add_special_tokens=False)["input_ids"], opened)


def seen(chat, text):
    """What the model is shown of a user's text, decoded again."""
    shown = chat.tokenizer.decode(chat.prompt_token_ids([[Message("user", text)]])[0])
    return shown.rpartition("<|im_start|>user\n")[2].partition("<|im_end|>")[0]


@pytest.mark.parametrize(
    ("text", "answer", "reasoning"),
    [
        ("[THINK]maybe 41[/THINK]It is 42.", "It is 42.", "maybe 41"),
        ("[THINK]never ends, Score: 5", "", "never ends, Score: 5"),
        ("A [THINK] in the middle of words", "A [THINK] in the middle of words", ""),
        ("<think>a</think>x<think>b</think>y", "xy", "ab"),
        ("<seed:think>a</seed:think>x", "x", "a"),
        (
            "<|channel|>analysis<|message|>41?<|end|><|start|>assistant<|channel|>final<|message|>42<|return|>",
            "42",
            "41?",
        ),
        ("<|channel|>analysis<|message|>41? Score: 5", "", "41? Score: 5"),
        ("<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>comm", "", "a"),
        ("<|channel|>final<|message|>42", "42", ""),
        (
            "An answer about <|channel|>final<|message|> tokens",
            "An answer about <|channel|>final<|message|> tokens",
            "",
        ),
    ],
)
def test_what_a_server_sends_is_cut_where_it_is_known(text, answer, reasoning):
    assert split_reasoning(text) == (answer, reasoning)


def test_commentary_is_no_answer_and_several_analyses_are_kept():
    text = (
        "<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>commentary to=tool<|message|>b<|call|>"
        "<|start|>assistant<|channel|>analysis<|message|>c<|end|><|start|>assistant<|channel|>final<|message|>d"
    )
    assert split_channels(text) == ("d", "a\nb\nc")
    assert split_channels("plain words") == ("plain words", "")
    assert split_channels("<|start|>assistant<|message|>plain<|end|>") == ("plain", "")


def test_markers_that_are_special_tokens_are_read_before_they_are_dropped():
    chat = renderer(special=["[THINK]", "[/THINK]"])
    assert read(chat, "[THINK]I am not sure, maybe 41.[/THINK]It is 42.") == ("It is 42.", "I am not sure, maybe 41.")
    assert read(chat, "[THINK]no end") == ("", "no end")
    assert read(chat, "41?[/THINK]42", opened=True) == ("42", "41?")
    without = renderer()
    assert read(without, "[THINK] is a word here") == ("[THINK] is a word here", "")


def test_channels_are_read_where_the_tokenizer_has_them():
    chat = renderer(special=HARMONY, template=HARMONY_TEMPLATE)
    text = (
        "<|channel|>analysis<|message|>maybe 41.<|end|><|start|>assistant<|channel|>final<|message|>It is 42.<|return|>"
    )
    assert read(chat, text) == ("It is 42.", "maybe 41.")
    assert read(chat, "<|channel|>analysis<|message|>maybe 41.") == ("", "maybe 41.")
    assert read(chat, "It is 42.<|return|>") == ("It is 42.", "")


def test_named_markers_are_cut_and_open_in_the_prompt():
    template = FAMILIES["qwen25"].template + "{% if add_generation_prompt %}<reason>\n{% endif %}"
    chat = renderer(template=template, thinking=[("<reason>", "</reason>")])
    (prompt,) = chat.prompt_token_ids([[Message("user", "why?")]])
    assert chat.thinks_first(prompt) and not renderer(template=template).thinks_first(prompt)
    assert read(chat, "41?</reason>42", opened=True) == ("42", "41?")
    assert read(chat, "<think>a</think>b<reason>c</reason>d") == ("bd", "ac")
    assert read(renderer(), "<reason>c</reason>d") == ("<reason>c</reason>d", "")


def test_tags_that_are_vocabulary_stay_whole_in_prompts_and_given_answers():
    chat = renderer(added=HTML)
    text = "Close it: <b>bold</b> and <table><td>1</td>, <h1>, <code>"
    assert seen(chat, text) == text
    assert chat.tokenizer.decode(chat.reply_token_ids("<b>bold</b>")[:-1]) == "<b>bold</b>"


@pytest.mark.parametrize(
    "token",
    [
        "<think>",
        "</think>",
        "<tool_call>",
        "</tool_response>",
        "[TOOL_CALLS]",
        "<|fim_prefix|>",
        "[THINK]",
        "<start_of_turn>",
    ],
)
def test_tokens_that_control_are_broken_also_where_they_are_not_called_special(token):
    added = [token, "[/THINK]"] if token == "[THINK]" else [token]
    template = FAMILIES["qwen25"].template + ("{# <start_of_turn> #}" if token == "<start_of_turn>" else "")
    chat = renderer(added=[*HTML, *added], template=template)
    broken = f"{token[0]} {token[1:]}"
    assert seen(chat, f"<b>{token}</b>") == f"<b>{broken}</b>"
    assert chat.tokenizer.convert_tokens_to_ids(token) not in chat.reply_token_ids(f"so {token}")


@pytest.mark.parametrize(
    "unit", ["<think></think>", "<think>", "</think>", "[THINK]", "<|end|>", "<|channel|>a<|message|>b<|end|>"]
)
def test_thinking_is_cut_in_linear_time(unit):
    for text in (unit * (4_000_000 // len(unit)), "[THINK]" + unit * (4_000_000 // len(unit))):
        start = time.process_time()
        split_reasoning(text)
        split_channels(text)
        assert time.process_time() - start < 4
