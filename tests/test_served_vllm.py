"""engines/served against vLLM's own OpenAI-compatible server, and a run whose judge stands behind it.

These tests need vLLM (its CPU build will do); without it they are skipped.
"""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from selfreward.commands.preflight_models import SANDBOX_SEEDS
from selfreward.commands.run import run
from selfreward.engines import build_engine
from selfreward.engines.protocol import Request
from selfreward.engines.served.engine import ServedEngine
from selfreward.engines.tensors import weights_digest
from selfreward.engines.vllm.settings import vllm_version
from selfreward.errors import EngineError
from selfreward.progress import Progress
from selfreward.recipe import ModelRecipe, ServedRecipe, TransformersRecipe
from selfreward.recipe.read import load_recipe
from selfreward.records import Judgment, Message
from selfreward.store.results import Store

pytestmark = [
    pytest.mark.skipif(vllm_version() is None, reason="vLLM is not installed"),
    pytest.mark.slow,
]

SEED = SANDBOX_SEEDS / "seed-0"
SMOKE = Path(__file__).parent.parent / "recipes" / "smoke.yaml"
TASKS = ["order f h j", "add 3 and 4", "reverse a b c d e ; with commas", "count a in a b a", "copy p o n"]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with the sandbox's seed, as `vllm serve` starts one."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(SEED), "--port", str(port)]
    command += ["--host", "127.0.0.1", "--served-model-name", "seed", "--dtype", "float32", "--enforce-eager"]
    # A seeded request whose prompt is computed in two steps ends vLLM 0.32's CPU worker.
    command += ["--generation-config", "vllm", "--no-enable-chunked-prefill", "--max-num-batched-tokens", "8192"]
    settings = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind", "TORCHDYNAMO_DISABLE": "1"}
    log = tmp_path_factory.mktemp("server") / "log"
    with log.open("w") as stream:
        server = subprocess.Popen(
            command, stdout=stream, stderr=stream, env={**os.environ, **settings, "VLLM_NO_USAGE_STATS": "1"}
        )
    try:
        deadline = time.monotonic() + 240
        while not healthy(port):
            assert server.poll() is None and time.monotonic() < deadline, log.read_text()[-3000:]
            time.sleep(0.5)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.terminate()
        server.wait(60)


def healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def requests(temperature: float, n: int) -> list[Request]:
    return [
        Request(f"r{number}", (Message("user", text),), n, temperature, 1.0, 24, 7 + number)
        for number, text in enumerate(TASKS)
    ]


def test_its_replies_are_those_of_the_model_behind_it(url: str) -> None:
    engine = ServedEngine("seed", ServedRecipe(url=url, model="seed"))
    plain = build_engine(ModelRecipe(device="cpu"), TransformersRecipe())
    plain.load(SEED, weights_digest(SEED))
    asked = requests(0.0, 1)
    for (reply,), (expected,) in zip(engine.generate(asked, 1), plain.generate(asked, 1), strict=True):
        assert (reply.text, reply.finish_reason) == (expected.text, expected.finish_reason)
    sampled = engine.generate(requests(1.2, 6), 1)
    assert sampled == engine.generate(requests(1.2, 6), 2), "a reply has its own seed"
    assert len({reply.text for group in sampled for reply in group}) > len(TASKS)
    counts = engine.report()
    assert counts["replies"] == counts["requests"] == 5 + 2 * 30 and counts["no_reply"] == 0
    assert counts["completion_tokens"] >= 3 * 65
    engine.close()


def test_a_model_that_it_does_not_have_is_told(url: str) -> None:
    with pytest.raises(EngineError, match="404"):
        ServedEngine("other", ServedRecipe(url=url, model="other", retries=0)).generate(requests(0.0, 1), 1)


def test_a_run_is_judged_by_it(url: str, tmp_path: Path) -> None:
    keys = [
        "rounds=1",
        "meta.enabled=false",
        "judge.model=served:big",
        f"served.big.url={url}",
        "served.big.model=seed",
    ]
    run(load_recipe(SMOKE, keys), Store(tmp_path, share=False), "run", Progress())
    view = Store(tmp_path).existing("run")
    judgments = view.read(1, "judgments", Judgment)
    assert sum(row.score is not None for row in judgments) > 0.9 * len(judgments) > 50
    lines = (tmp_path / "run" / "journal.jsonl").read_text().splitlines()
    (served,) = [entry["report"]["big"] for entry in map(json.loads, lines) if entry["event"] == "served"]
    assert served["replies"] >= len(judgments) and not served["failures"]
