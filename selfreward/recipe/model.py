"""The models: the start policy, models behind a server, and how one reply is sampled."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from selfreward.recipe.reference import ModelReference
from selfreward.recipe.section import Section, needed, part, section, setting


def _argument(value: Any) -> Any:
    """A value as YAML means it: keys arrive as text, and a template tells "false" from false."""
    if value in ("true", "false"):
        return value == "true"
    for kind in (int, float):
        try:
            return kind(value) if isinstance(value, str) else value
        except ValueError:
            continue
    return value


Argument = Annotated[bool | int | float | str, BeforeValidator(_argument)]


@section
class ModelRecipe(Section):
    """The start policy. `path`: a Hugging Face directory, `org/name[@revision]` on the hub, an adapter's directory,
    which is merged into its base once, or a sandbox model: `sandbox:seed-K`, with biased judging
    `sandbox:seed-K+length_bias=0.8` or `+agreement_bias=0.7`. Seeds 0 to 2 ship, and
    `sandbox:seed-0+questions=0.6`, a judge of more than one score; any other is trained once and kept.

    The last three are about the chat template, in every local role: `template_arguments` it is given as they stand here
    (`enable_thinking: false`), `thinking` are pairs of markers around reasoning besides those that are known, and
    `fold_system` puts a system turn in front of the user's, for a template that has no place for one.
    """

    path: ModelReference = setting(
        ModelReference("sandbox:seed-0"), "a directory, org/name[@revision] on the hub, an adapter, or a sandbox model"
    )
    dtype: Literal["float32", "bfloat16", "float16"] = setting("float32", "what its weights are kept in")
    device: str = setting("auto", "cpu, cuda, cuda:1; auto takes a GPU where there is one")
    trust_remote_code: bool = setting(False, "run code that comes with the model")
    template_arguments: dict[str, Argument] = part(dict, "what the chat template is given, by name")
    thinking: tuple[tuple[str, str], ...] = setting((), "further pairs of markers around reasoning")
    fold_system: bool = setting(False, "a system turn becomes the beginning of the user's")


@section
class ServedRecipe(Section):
    """A model behind an OpenAI-compatible server, for roles that need neither tokens nor weights (engines/served/).

    `url` ends before `/chat/completions`, for example http://localhost:8000/v1. `key_env` is the name of the
    environment variable that holds the key; the key itself stands nowhere. `timeout` (seconds) is for one whole
    request; a failed one is asked again `retries` times, first after `backoff` seconds, then twice that. Prices are
    per million tokens.
    """

    url: Annotated[str, needed("the server's address up to /v1")]
    model: Annotated[str, needed("the name by which the server knows the model")]
    key_env: str | None = setting(None, "the environment variable that holds the key")
    concurrency: int = setting(8, "requests at the same time", minimum=1)
    timeout: float = setting(120.0, "seconds for one request", above=0)
    retries: int = setting(4, "how often a failed request is asked again", minimum=0)
    backoff: float = setting(1.0, "seconds before the first of them, then twice that", above=0)
    price_in: float = setting(0.0, "price of a million tokens that are sent", minimum=0)
    price_out: float = setting(0.0, "price of a million tokens that come back", minimum=0)


@section
class SamplingRecipe(Section):
    """How one reply is sampled. `max_tokens` counts new tokens, the end-of-turn token included."""

    temperature: float = setting(0.9, "0 takes the likeliest token", minimum=0)
    top_p: float = setting(1.0, "the share of probability that is drawn from", above=0, maximum=1)
    max_tokens: int = setting(40, "new tokens at most", minimum=1)
