"""Recipe keys for a run that is looked at for something else than what it measured: that is most of its time."""

UNPROBED = ("measure.judge_probes.padded=0", "measure.judge_probes.claims=0", "measure.judge_probes.initial=0")
HARDLY_MEASURED = ("measure.gate=2", "measure.selection=2", "measure.report=4", "measure.frozen=4", *UNPROBED)
