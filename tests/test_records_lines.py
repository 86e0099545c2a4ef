"""Rows are written and read back without a byte's difference, and a line that is no row says what is wrong with it."""

import dataclasses
import inspect
import json
import typing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfreward.commands.anchors.key import Key
from selfreward.commands.schema import ROWS
from selfreward.errors import DataError
from selfreward.records import Judgment, Labelled, Message, Prompt, Record, Response, from_line, to_line

KINDS = [*dict.fromkeys([*typing.get_args(Record), *ROWS.values(), Key])]
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
NUMBER = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**20), 10**20)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBER | TEXT, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner)
)


def values(annotation: typing.Any) -> st.SearchStrategy[typing.Any]:
    """What may stand in a field. Whole numbers stand in fields of floats too: rows have them, from a user's file."""
    plain = {str: TEXT, bool: st.booleans(), int: st.integers(), float: NUMBER, typing.Any: JSON}
    if annotation in plain:
        return plain[annotation]
    if dataclasses.is_dataclass(annotation):
        return records(annotation)
    arguments = typing.get_args(annotation)
    origin = typing.get_origin(annotation)
    if origin is typing.Literal:
        return st.sampled_from(arguments)
    if origin is tuple:
        return st.lists(values(arguments[0]), max_size=3).map(tuple)
    if inspect.isclass(origin) and issubclass(origin, typing.Mapping):
        return st.dictionaries(TEXT, values(arguments[1]), max_size=3)
    return st.one_of(st.none() if one is type(None) else values(one) for one in arguments)


def records(kind: typing.Any) -> st.SearchStrategy[typing.Any]:
    """Records of a kind, those left out that are none: a judgment with a score and a reason why there is none."""

    def made(fields: dict[str, typing.Any]) -> typing.Any:
        try:
            return kind(**fields)
        except ValueError:
            return None

    fields = {name: values(annotation) for name, annotation in typing.get_type_hints(kind).items()}
    return st.fixed_dictionaries(fields).map(made).filter(lambda made: made is not None)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_every_kind_of_row_comes_back_as_it_was(kind: type, data: st.DataObject) -> None:
    record = data.draw(records(kind))
    line = to_line(record)
    again = from_line(kind, line, "here")
    assert again == record and to_line(again) == line and json.loads(to_line(again)) == json.loads(line)
    for item in dataclasses.fields(kind):
        assert type(getattr(again, item.name)) is type(getattr(record, item.name)), item.name


PROMPT = Prompt("p", (Message("user", "add 1"),), "train", "file", meta={"n": 1})
RESPONSE = Response("r", "p", 0, "d", "2", "", (1, 2), "stop", 7, "v1", -1.0)
JUDGMENT = Judgment("j", "r", "p", 0, "d", "5", (3,), "stop", 7, "v1", 5.0, None)
LABELLED = Labelled(PROMPT, RESPONSE, 3)


def changed(record: typing.Any, *path: str | int, to: typing.Any = ...) -> str:
    """The record's line with another value in one place, or with none there."""
    row = held = json.loads(to_line(record))
    for step in path[:-1]:
        held = held[step]
    if to is ...:
        del held[path[-1]]
    else:
        held[path[-1]] = to
    return json.dumps(row)


@pytest.mark.parametrize(
    ("kind", "line", "said"),
    [
        (Response, changed(RESPONSE, "colour", to="red"), "unknown field 'colour' for Response; expected id, prompt"),
        (Response, changed(RESPONSE, "txt", to=""), "unknown field 'txt' for Response"),
        (Response, changed(RESPONSE, "text"), "field 'text' of Response is missing"),
        (Response, changed(RESPONSE, "text", to=None), "field 'text' of Response is None; expected a valid string"),
        (Response, changed(RESPONSE, "sample", to="0"), "field 'sample' of Response is '0'; expected a valid integer"),
        (Response, changed(RESPONSE, "sample", to=True), "field 'sample' of Response is True; expected a valid"),
        (Response, changed(RESPONSE, "sample", to=1.0), "field 'sample' of Response is 1.0; expected a valid integer"),
        (Response, changed(RESPONSE, "token_ids", 1, to="2"), "field 'token_ids.1' of Response is '2'; expected"),
        (Response, changed(RESPONSE, "token_ids", to="12"), "field 'token_ids' of Response is '12'; expected a valid"),
        (Response, changed(RESPONSE, "logprob", to="-1"), "field 'logprob' of Response is '-1'; expected a finite"),
        (Response, changed(RESPONSE, "logprob", to=False), "field 'logprob' of Response is False; expected a finite"),
        (Response, changed(RESPONSE, "logprob", to=float("nan")), "'logprob' of Response is nan; expected a finite"),
        (Response, changed(RESPONSE, "logprob", to=float("-inf")), "is -inf; expected a finite number"),
        (Response, changed(RESPONSE, "finish_reason", to="end"), "is 'end'; expected 'stop', 'length' or 'too long'"),
        (Prompt, changed(PROMPT, "meta", "n", to=float("nan")), "not a Prompt: field 'meta.n': .* not JSON compliant"),
        (Prompt, changed(PROMPT, "messages", 0, "role", to="tool"), "'messages.0.role' of Prompt is 'tool'; expected"),
        (Prompt, changed(PROMPT, "messages", 0, "colour", to=1), "'messages.0.colour' for Prompt; expected role"),
        (Labelled, changed(LABELLED, "prompt", "colour", to=1), "'prompt.colour' for Labelled; expected id, mess"),
        (Labelled, changed(LABELLED, "prompt", to=1), "field 'prompt' of Labelled is 1; expected "),
        (Judgment, changed(JUDGMENT, "score", to=None), "not a Judgment: judgment j: exactly one of score and"),
        (Judgment, "[1]", "expected a JSON object for Judgment, found list"),
        (Judgment, to_line(JUDGMENT)[:-5], r"not a whole JSON line \(.*\); the file was cut or edited"),
        (Judgment, to_line(JUDGMENT) + to_line(JUDGMENT), "not a whole JSON line"),
    ],
)  # fmt: skip
def test_what_is_no_row_says_where_and_what(kind: type, line: str, said: str) -> None:
    with pytest.raises(DataError, match=rf"^rows\.jsonl:7: .*{said}"):
        from_line(kind, line, "rows.jsonl:7")
