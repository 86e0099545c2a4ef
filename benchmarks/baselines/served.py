"""B3: a vLLM server that stays, with the stages as scripts around it."""

import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from baselines.ask import post
from baselines.systems import EAGER, Facts, Stages, environment, tail
from baselines.workload import Work, generator_chats


class Served(Stages):
    """B3: the stages ask a server that stays, and tell it where the new weights are."""

    def __init__(self, model: Path, work: Work, directory: Path) -> None:
        super().__init__(model, work, directory, {}, EAGER)
        self._server: subprocess.Popen[bytes] | None = None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._url = f"http://127.0.0.1:{free.getsockname()[1]}"

    def start(self) -> None:
        settings = f"--served-model-name policy --host 127.0.0.1 --enforce-eager --dtype {self._work.dtype}"
        settings += " --block-size 32"
        settings += f" --max-num-seqs 256 --generation-config vllm --port {self._url.rpartition(':')[2]}"
        command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(self._policy)]
        command += settings.split()
        # Reloading alone leaves the tied head of vLLM's CPU build with its old weights; this extension mends that.
        command += ["--worker-extension-cls", "selfreward.engines.vllm.worker.WeightSwap"]
        with (self._directory / "server.log").open("a") as log:
            self._server = subprocess.Popen(
                command, stdout=log, stderr=log, env=environment(self._work.threads, **EAGER, VLLM_SERVER_DEV_MODE="1")
            )
        self.root = self._server.pid
        while not self._healthy():
            if self._server.poll() is not None:
                raise SystemExit(f"the server ended:\n{tail(self._directory / 'server.log')}")
            time.sleep(0.2)

    def round(self, number: int) -> Facts:
        before = self._counts()
        facts = super().round(number)
        queries, hits = (after - was for after, was in zip(self._counts(), before, strict=True))
        return {**facts, "queries": queries, "hits": hits}

    def _hand_on(self) -> None:
        self._call("read_checkpoint", str(self._policy))
        self._call("repack")
        post(f"{self._url}/reset_prefix_cache", {})

    def difference(self) -> float:
        """Largest difference between the server's log-probabilities and those of the weights on disk."""
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        model, tokenizer = (kind.from_pretrained(self._policy) for kind in (AutoModelForCausalLM, AutoTokenizer))
        worst = 0.0
        for chat in generator_chats(self._work.asked(1)[:8]):
            text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
            ids = tokenizer(text, add_special_tokens=False)["input_ids"]
            asked = {"model": "policy", "prompt": ids, "max_tokens": 1, "prompt_logprobs": 0}
            (choice,) = post(f"{self._url}/v1/completions", asked)["choices"]
            with torch.inference_mode():
                table = torch.log_softmax(model(torch.tensor([ids])).logits[0].float(), -1)
            for place, (token, entry) in enumerate(zip(ids[1:], choice["prompt_logprobs"][1:], strict=True)):
                worst = max(worst, abs(entry[str(token)]["logprob"] - float(table[place, token])))
        return worst

    def close(self) -> None:
        if self._server:
            self._server.send_signal(signal.SIGTERM)
            self._server.wait(60)

    def _sampler(self) -> list[str]:
        return ["baselines.ask", self._url]

    def _healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self._url}/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def _call(self, method: str, *parameters: str) -> None:
        post(f"{self._url}/collective_rpc", {"method": method, "args": list(parameters)})

    def _counts(self) -> tuple[float, float]:
        with urllib.request.urlopen(f"{self._url}/metrics", timeout=30) as answer:
            lines = answer.read().decode().splitlines()
        found = {line.partition("{")[0]: float(line.rpartition(" ")[2]) for line in lines if line.startswith("vllm:")}
        return found["vllm:prefix_cache_queries_total"], found["vllm:prefix_cache_hits_total"]
