"""A stage of B0 and B2 as a process: read conversations, sample with a fresh vLLM, write the replies.

python -m baselines.sample MODEL ASKED.json REPLIES.json
"""

import sys
import time
from pathlib import Path

from baselines.workload import read_json, write_json


def main() -> None:
    model, asked_path, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    asked = read_json(asked_path)
    from vllm import LLM, SamplingParams

    llm = LLM(model, disable_log_stats=False, **asked["flags"])
    sampling = SamplingParams(n=asked["n"], temperature=asked["temperature"], max_tokens=asked["max_tokens"])
    begun = time.perf_counter()
    outputs = llm.chat(asked["chats"], sampling, use_tqdm=False)
    seconds = time.perf_counter() - begun
    replies = [
        [{"text": one.text, "finished": one.finish_reason == "stop"} for one in output.outputs] for output in outputs
    ]
    counts = {metric.name: getattr(metric, "value", 0) for metric in llm.get_metrics()}
    facts = {
        "seconds": seconds,
        "tokens": sum(len(one.token_ids) for output in outputs for one in output.outputs),
        "queries": counts.get("vllm:prefix_cache_queries", 0),
        "hits": counts.get("vllm:prefix_cache_hits", 0),
    }
    write_json(out, {"replies": replies, **facts})


if __name__ == "__main__":
    main()
