"""How much longer a stage takes whose chunks come one by one: a served judge whose replies differ in length.

    python benchmarks/chunks_in_flight.py [--turns 5] [--chunks 12] [--size 48] [--concurrency 16]

A server in this process answers after a wait that is log-normal (median 20 ms, its 99th percentile 10 times that), as
replies of different lengths take. The same chunks are asked one by one and two at a time, in turns; a ratio is that of
both in the same turn. The waits follow from the question, so both see the same ones. The store appends and seals in
both. What it cannot say is how much a real server's own batching leaves idle: this one answers `concurrency` at a time.
"""

import argparse
import dataclasses
import json
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from selfreward.engines.protocol import Request
from selfreward.engines.served.engine import ServedEngine
from selfreward.recipe import Recipe, ServedRecipe
from selfreward.records import Drop, Message, stable_id
from selfreward.store.ahead import Ahead
from selfreward.store.given import chunked
from selfreward.store.results import Store, Work

MEDIAN, SPREAD = 0.02, 1.0
"""Seconds, and the standard deviation of their logarithm."""


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["messages"][-1]["content"]
        time.sleep(MEDIAN * random.Random(question).lognormvariate(0, SPREAD))
        message = {"message": {"role": "assistant", "content": "Score: 4"}, "finish_reason": "stop"}
        data = json.dumps({"choices": [message]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        pass


class Listening(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


@contextmanager
def server() -> Iterator[str]:
    listening = Listening(("127.0.0.1", 0), Handler)
    threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listening.server_port}/v1"
    finally:
        listening.shutdown()
        listening.server_close()


def seconds(engine: ServedEngine, window: int, numbers: Sequence[int], size: int) -> float:
    """A whole stage, from its first question to its seal."""

    def compute(chunk: Sequence[int], index: int) -> Iterator[Drop]:
        asked = [Request(str(n), (Message("user", f"question {n}"),), 1, 0.7, 1.0, 16, n, False) for n in chunk]
        for number, (reply,) in zip(chunk, engine.generate(asked, index), strict=True):
            yield Drop(stable_id(number), "pairs", "answer", str(number), reply.text)

    work = Work(1, "dropped", Drop, {"window": window}, chunked(numbers, size), compute)
    with (
        tempfile.TemporaryDirectory() as root,
        Store(Path(root), share=False).open_run("run", Recipe(), environment={}) as run,
    ):
        begun = time.perf_counter()
        run.complete(dataclasses.replace(work, ahead=Ahead(window, engine.hang_up)))
        return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("turns", 5), ("chunks", 12), ("size", 48), ("concurrency", 16)):
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    numbers = range(given.chunks * given.size)
    waits = sum(MEDIAN * random.Random(f"question {n}").lognormvariate(0, SPREAD) for n in numbers)
    with server() as url:
        engine = ServedEngine("judge", ServedRecipe(url=url, model="any", concurrency=given.concurrency))
        turns = [tuple(seconds(engine, window, numbers, given.size) for window in (1, 2)) for _ in range(given.turns)]
    ratios = [one / two for one, two in turns]
    one, two = (statistics.median(side) for side in zip(*turns, strict=True))
    floor = waits / given.concurrency
    print(
        f"{given.chunks} chunks of {given.size}, {given.concurrency} at a time: no stage can take under {floor:.2f} s"
    )
    print(f"one chunk at a time {one:.2f} s ({floor / one:.0%} of the floor), two {two:.2f} s ({floor / two:.0%})")
    print(f"ratio {statistics.median(ratios):.2f} [{min(ratios):.2f}, {max(ratios):.2f}], {given.turns} turns")


if __name__ == "__main__":
    main()
