"""Replies that must be JSON of a given schema, by jsonschema (the optional extra `verifiers`).

The schema stands in the row's `meta.schema`; without `$schema` it is read as draft 2020-12. The JSON is the reply as a
whole, or its last fenced block. No JSON, or JSON that the schema refuses, is wrong. JSON is what RFC 8259 and 7493
(I-JSON) let through: no NaN or Infinity, no number beyond a float's range (1e400), no name twice in one object, no half
of a surrogate pair; what Python's reader would make of these depends on the reader. References to other documents are
not fetched: they leave the answer open, as does what is nested or written too deep to be read. A schema's regular
expression can run for ever, so the check is confined.
"""

import json
import re
from typing import Any

from selfreward.errors import DataError
from selfreward.records import Prompt
from selfreward.tasks.verifiers.confined import ConfinedVerifier
from selfreward.tasks.verifiers.protocol import Truth
from selfreward.tasks.verifiers.truths import decided, left_open, named, quality_of_judgment

_FENCED = re.compile(r"```[ \t]*(?:json)?[ \t]*\n(.*?)```", re.DOTALL | re.IGNORECASE)


def confined() -> ConfinedVerifier:
    return ConfinedVerifier("selfreward.tasks.verifiers.json_schema:JsonSchemaVerifier")


class JsonSchemaVerifier:
    def require(self, prompt: Prompt) -> None:
        if "schema" not in prompt.meta:
            raise DataError(f"{named(prompt)} has no 'meta.schema'; expected a JSON schema on its row")
        schema, library = prompt.meta["schema"], _library()
        if not isinstance(schema, dict | bool):
            raise DataError(f"{named(prompt)}: meta.schema is {schema!r}; expected an object, true or false")
        try:
            _validator_class(schema).check_schema(schema)
        except library.SchemaError as problem:
            where = ".".join(map(str, problem.absolute_path)) or "the top"
            raise DataError(
                f"{named(prompt)}: meta.schema is not a JSON schema: {problem.message} at {where}"
            ) from problem

    def check(self, prompt: Prompt, text: str) -> Truth:
        if "schema" not in prompt.meta:
            return left_open("no schema")
        try:
            value = strict_json(json_in(text))
        except ValueError:
            return decided(False, "")
        except RecursionError:
            return left_open("nested too deep")
        answer = json.dumps(value, sort_keys=True, ensure_ascii=False)
        from referencing import Registry

        validator = _validator_class(prompt.meta["schema"])(prompt.meta["schema"], registry=Registry())
        return decided(bool(validator.is_valid(value)), answer)

    def judgment_quality(self, prompt: Prompt, answer: str, judgment: str) -> float:
        return quality_of_judgment(self.check(prompt, answer), judgment)


def strict_json(text: str) -> Any:
    """The value of a JSON text; ValueError where it is none."""
    value = json.loads(text, parse_constant=_no_number, parse_float=_finite, object_pairs_hook=_unique)
    json.dumps(value, ensure_ascii=False).encode()
    return value


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _finite(written: str) -> float:
    value = float(written)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"{written} is beyond the range of numbers")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("a name stands twice in one object")
    return dict(pairs)


def json_in(text: str) -> str:
    """The reply's JSON as text: its last fenced block, or all of it."""
    fenced = _FENCED.findall(text)
    return str(fenced[-1]) if fenced else text


def _validator_class(schema: Any) -> Any:
    from jsonschema.validators import Draft202012Validator, validator_for

    return validator_for(schema, default=Draft202012Validator)


def _library() -> Any:
    try:
        import jsonschema
    except ImportError as problem:
        raise DataError(
            "measure.verifier=json_schema needs jsonschema, which is not installed; "
            "install it with: pip install 'selfreward-loop[verifiers]'"
        ) from problem
    return jsonschema
