"""A teacher whose error is known, behind a server: a recipe with a served judge can be tried with it.

    python benchmarks/planted_teacher.py recipes/english_teacher.yaml --right 0.85 --port 8765
    selfreward run recipes/english_teacher.yaml served.teacher.url=http://127.0.0.1:8765/v1

It is no model: it knows the recipe's prompts and grades an answer by the instruction verifier, 0 to 5 by the share of
instructions that are kept, and turns its grade round for a share of 1 - RIGHT of the answers, drawn from the answer
alone, so that the same answer always gets the same grade. What a loop makes of it says what labels of that quality are
worth, and nothing about any model as a teacher.
"""

import argparse
import json
import re
import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from selfreward.recipe import Recipe
from selfreward.recipe.read import load_recipe
from selfreward.recipe.scale import HIGHEST
from selfreward.records import Prompt, stable_id
from selfreward.tasks.open_source import open_source
from selfreward.tasks.verifiers.protocol import Verifier, load_verifier

FENCED = re.compile(r"<(request|response)-(\w+)>\n(.*?)\n</\1-\2>", re.DOTALL)


def known_prompts(recipe: Recipe) -> dict[str, Prompt]:
    """Every prompt that the recipe trains or measures on, by its text."""
    source = open_source(recipe)
    trained = [one for round in range(1, recipe.rounds + 1) for one in source.training(round, recipe.prompts.per_round)]
    return {one.text.strip(): one for one in [*trained, *source.pools()]}


def grade(question: str, prompts: dict[str, Prompt], verifier: Verifier, right: float) -> int:
    """The teacher's points for the answer that a judge's question shows.

    Raises ValueError for a question without its two fences and KeyError for a request that the recipe does not have.
    """
    shown = {kind: text for kind, _, text in FENCED.findall(question)}
    if shown.keys() != {"request", "response"}:
        raise ValueError(
            "no <request-...> and <response-...> in the question; expected judge.question.template=additive"
        )
    quality = round(verifier.check(prompts[shown["request"].strip()], shown["response"]).quality)
    drawn = int(stable_id("teacher", shown["request"], shown["response"])[-8:], 16) / 16**8
    return quality if drawn < right else round(HIGHEST) - quality


def handler_for(prompts: dict[str, Prompt], verifier: Verifier, right: float) -> type[BaseHTTPRequestHandler]:
    one_at_a_time = threading.Lock()  # the verifier is one process, which starts with the first check

    class Teacher(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            try:
                with one_at_a_time:
                    points = grade(body["messages"][-1]["content"], prompts, verifier, right)
                status, told = 200, reply(f"Score: {points}")
            except (KeyError, ValueError) as error:
                status, told = 400, {"error": {"message": f"{type(error).__name__}: {error}"}}
            data = json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            """One line a question would bury the run's own."""

    return Teacher


def reply(text: str) -> dict[str, object]:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return {"object": "chat.completion", "choices": [choice], "usage": {"prompt_tokens": 0, "completion_tokens": 3}}


class Listening(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # the default of 5 resets connections of its own accord


def serve(recipe: Recipe, right: float, port: int) -> Listening:
    """A server on loopback that is not yet running; port 0 takes a free one."""
    handler = handler_for(known_prompts(recipe), load_verifier(recipe.measure.verifier), right)
    return Listening(("127.0.0.1", port), handler)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", help="whose prompts it knows")
    parser.add_argument("overrides", nargs="*", help="KEY=VALUE, as given to the run")
    parser.add_argument("--right", type=float, default=0.85, help="share of grades that are not turned round")
    parser.add_argument("--port", type=int, default=8765)
    given = parser.parse_args(arguments)
    if not 0 <= given.right <= 1:
        parser.error(f"--right is {given.right}; expected a share from 0 to 1")
    server = serve(load_recipe(given.recipe, given.overrides), given.right, given.port)
    print(f"http://127.0.0.1:{server.server_port}/v1", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
