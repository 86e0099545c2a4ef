"""Which weights each round trained from and against, and what became of it. Full digests are in report.json."""

from selfreward.report.gate_verdicts import GateReport, selected_round
from selfreward.report.reading import Reading
from selfreward.report.tables import DASH, Table


def lineage_table(reading: Reading, gates: GateReport) -> Table:
    """One row per policy: its digest, its parent and reference by round and digest, and its fate."""
    facts = {}
    for number in reading.rounds:
        seal = reading.view.seal(number, "checkpoint")
        facts[number] = seal.facts if seal else {}
    best = selected_round(reading)
    rows = []
    for number in reading.rounds:
        mine = facts[number]
        earlier = {str(facts[n].get("digest", "")): n for n in reading.rounds if n < number}
        origin = [_named(str(mine.get(name, "")), earlier) for name in ("parent", "reference")]
        made = [str(mine.get(name, DASH)) for name in ("method", "pairs", "steps")]
        rows.append(
            [
                f"round {number}",
                _short(str(mine.get("digest", ""))),
                *origin,
                *made,
                _fate(reading, gates, number, best),
            ]
        )
    header = ["policy", "digest", "trained from", "reference", "method", "pairs", "steps", "became"]
    return Table("Digests of the weights", header, rows)


def _short(digest: str) -> str:
    return digest[:12] or DASH


def _named(digest: str, earlier: dict[str, int]) -> str:
    """A digest with the round it belongs to; a model from outside has none."""
    if digest in earlier:
        return f"round {earlier[digest]} ({_short(digest)})"
    return _short(digest)


def _fate(reading: Reading, gates: GateReport, number: int, best: int) -> str:
    seal = reading.view.seal(number, "checkpoint")
    decided = {"rollback": "rolled back by the gates", "stop": "stopped by the gates"}
    said = [
        "selected as best" if number == best else "",
        decided.get(gates.decisions.get(number, ""), ""),
        "weights removed" if seal and seal.pruned else "",
    ]
    return ", ".join(part for part in said if part)
