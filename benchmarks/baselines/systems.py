"""The systems as the driver sees them: started, asked for a round, ended. The work says how many threads each has."""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from baselines.workload import Role, Work, as_replies, digest_of, generator_chats, quality, read_json, write_json

HERE = Path(__file__).parent
QUIET = {
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
}
CACHE = {"VLLM_CPU_KVCACHE_SPACE": "1"}
EAGER = {**CACHE, "TORCHDYNAMO_DISABLE": "1"}
"""A cache of 1 GiB, and no compiled helpers: compiling takes ten seconds a process here and gains nothing."""

Facts = dict[str, Any]


def environment(threads: int, **more: str) -> dict[str, str]:
    path = os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, **QUIET, "OMP_NUM_THREADS": str(threads), "PYTHONPATH": path, **more}


def processor_seconds(root: int | None) -> float:
    """Of every process that the driver has started and that has ended, and of `root` and its descendants."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    total = ended.ru_utime + ended.ru_stime
    if root is not None:
        process = psutil.Process(root)
        mine = process.cpu_times()
        total += mine.user + mine.system + mine.children_user + mine.children_system
        for child in process.children(recursive=True):
            total += child.cpu_times().user + child.cpu_times().system
    return total


def descendants(root: int) -> list[psutil.Process]:
    try:
        process = psutil.Process(root)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def pause(root: int | None) -> None:
    """Stop a system while others have their turns: a vLLM server that waits polls, and would take their time."""
    for process in descendants(root) if root is not None else ():
        process.suspend()


def resume(root: int | None) -> None:
    for process in descendants(root) if root is not None else ():
        process.resume()


def tail(log: Path) -> str:
    """The end of a log whose folder is about to go."""
    return log.read_text(encoding="utf-8", errors="replace")[-3000:]


class Worker:
    """A module with a `Channel`: it stays from round to round. `log` gets what it prints."""

    def __init__(self, module: str, arguments: Sequence[str], log: Path, threads: int = 1) -> None:
        self._command, self._log = [sys.executable, "-m", module, *arguments], log
        self._threads = threads
        self._process: subprocess.Popen[str] | None = None

    @property
    def root(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self) -> None:
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=environment(self._threads),
            )
        self._answer()

    def round(self, number: int) -> Facts:
        assert self._process and self._process.stdin
        self._process.stdin.write(f"{number}\n")
        self._process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        if self._process and self._process.stdin:
            self._process.stdin.close()
            self._process.wait(60)

    def _answer(self) -> Facts:
        assert self._process and self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{' '.join(self._command)} ended:\n{tail(self._log)}")
        answer: Facts = json.loads(line)
        return answer


class Stages:
    """B0 and B2: every stage is a process that loads, works and ends."""

    def __init__(
        self, model: Path, work: Work, directory: Path, flags: Mapping[str, Any], variables: Mapping[str, str]
    ) -> None:
        self._policy, self._work, self._directory = model, work, directory
        self._flags, self._variables = dict(flags), dict(variables)
        self.root: int | None = None
        directory.mkdir()
        self._told = work.write(directory / "work.json")

    def start(self) -> None:
        """Nothing stays, so nothing is started."""

    def round(self, number: int) -> Facts:
        work = self._work
        asked = work.asked(number)
        times = [time.perf_counter()]
        answered = self._sample(number, "generate", generator_chats(asked), work.answers)
        times.append(time.perf_counter())
        answers = as_replies(answered["replies"])
        judged = self._sample(number, "judge", work.judge_chats(asked, answers), work.readings(number))
        times.append(time.perf_counter())
        rows = work.pairs(asked, answers, as_replies(judged["replies"]))
        steps = self._train(number, rows) if rows else 0
        times.append(time.perf_counter())
        self._hand_on()
        times.append(time.perf_counter())
        names = ("generate", "judge", "train", "hand-off")
        return {
            "stages": {name: times[place + 1] - times[place] for place, name in enumerate(names)},
            "judge_seconds": judged["seconds"],
            "judge_tokens": judged["tokens"],
            "judgments": sum(map(len, judged["replies"])),
            "prompts": digest_of(asked),
            "answers": sum(map(len, answered["replies"])),
            "answer_tokens": answered["tokens"],
            "steps": steps,
            **{name: answered[name] + judged[name] for name in ("queries", "hits") if name in judged},
            **quality(row["truth"] for row in rows),
        }

    def close(self) -> None:
        """Nothing stays."""

    def _hand_on(self) -> None:
        """Whoever samples next reads the new weights itself."""

    def _sample(self, number: int, role: Role, chats: Sequence[Any], n: int) -> Facts:
        content = {"chats": chats, "n": n, "flags": self._flags}
        content |= {"temperature": self._work.temperature[role], "max_tokens": self._work.tokens[role]}
        return self._stage(f"{role}-{number}", self._sampler(), content)

    def _sampler(self) -> list[str]:
        return ["baselines.sample", str(self._policy)]

    def _stage(self, name: str, command: Sequence[str], content: Mapping[str, Any]) -> Facts:
        asked, out = self._directory / f"{name}.asked.json", self._directory / f"{name}.json"
        write_json(asked, content)
        self._run([*command, str(asked), str(out)])
        found: Facts = read_json(out)
        return found

    def _train(self, number: int, rows: Sequence[Facts]) -> int:
        asked, out = self._directory / f"pairs-{number}.json", self._directory / f"policy-{number}"
        write_json(asked, {"pairs": rows, "seed": number})
        self._run(["baselines.train", str(self._policy), str(self._told), str(asked), str(out)])
        self._policy = out
        return int(read_json(out.with_name(f"{out.name}.steps.json"))["steps"])

    def _run(self, command: Sequence[str]) -> None:
        with (self._directory / "log").open("a") as log:
            done = subprocess.run(
                [sys.executable, "-m", *command],
                stdout=log,
                stderr=log,
                env=environment(self._work.threads, **self._variables),
            )
        if done.returncode:
            raise SystemExit(f"{' '.join(command)} failed:\n{tail(self._directory / 'log')}")
