"""A stage of B3 as a process: read conversations, ask a vLLM server, write the replies.

python -m baselines.ask URL ASKED.json REPLIES.json
"""

import json
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from baselines.workload import Chat, read_json, write_json

CONCURRENCY = 64


def post(url: str, content: dict[str, Any], timeout: float = 300.0) -> Any:
    data = json.dumps(content).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=timeout) as answer:
        body = answer.read()
    return json.loads(body) if body else None


def main() -> None:
    url, asked, out = sys.argv[1], read_json(Path(sys.argv[2])), Path(sys.argv[3])

    def ask(chat: Chat) -> tuple[list[dict[str, Any]], int]:
        answer = post(
            f"{url}/v1/chat/completions",
            {
                "model": "policy",
                "messages": chat,
                "n": asked["n"],
                "temperature": asked["temperature"],
                "max_tokens": asked["max_tokens"],
            },
        )
        choices = sorted(answer["choices"], key=lambda choice: choice["index"])
        replies = [
            {"text": choice["message"]["content"] or "", "finished": choice["finish_reason"] == "stop"}
            for choice in choices
        ]
        return replies, answer["usage"]["completion_tokens"]

    begun = time.perf_counter()
    with ThreadPoolExecutor(CONCURRENCY) as pool:
        found = list(pool.map(ask, asked["chats"]))
    seconds = time.perf_counter() - begun
    write_json(out, {"replies": [one for one, _ in found], "seconds": seconds, "tokens": sum(n for _, n in found)})


if __name__ == "__main__":
    main()
