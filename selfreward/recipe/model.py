"""The models: the start policy, models behind a server, and how one reply is sampled."""

from typing import Annotated, Literal

from selfreward.recipe.section import Section, needed, section, setting

SERVED = "served:"
"""How a role's reference to a served model begins."""


@section
class ModelRecipe(Section):
    """The start policy. `path`: a Hugging Face directory, `org/name[@revision]` on the hub, an adapter's directory,
    which is merged into its base once, or a sandbox model: `sandbox:seed-K`, with biased judging
    `sandbox:seed-K+length_bias=0.8` or `+agreement_bias=0.7`. Seeds 0 to 2 ship; any other is trained once and kept.
    """

    path: str = setting("sandbox:seed-0", "a directory, org/name[@revision] on the hub, an adapter, or a sandbox model")
    dtype: Literal["float32", "bfloat16", "float16"] = setting("float32", "what its weights are kept in")
    device: str = setting("auto", "cpu, cuda, cuda:1; auto takes a GPU where there is one")
    trust_remote_code: bool = setting(False, "run code that comes with the model")


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
