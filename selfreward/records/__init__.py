"""The nouns of a run. A row on disk is one record, whole, and holds nothing that differs between two equal runs.

Rows join by id, never by position. Ids are made from what identifies a row (`stable_id`), so a resumed run and an
uninterrupted one write the same ids. The nouns stand in the files of this folder and are imported from here.
"""

from selfreward.records.asked import FinishReason, Labelled, Likelihood, Message, Pool, Prompt, Response, distinct
from selfreward.records.ids import seed_for, stable_id
from selfreward.records.lines import OMIT_WHEN_EMPTY, Rows, by_id, from_line, to_line
from selfreward.records.measured import Measurement
from selfreward.records.trained import Checkpoint, Drop, Pair, PairKind, Reward, Sample, pair_drop
from selfreward.records.verdicts import Comparison, Judgment, MetaJudgment, Ranking, Speech, StepVerdict

Record = (
    Prompt
    | Response
    | Judgment
    | Comparison
    | Ranking
    | StepVerdict
    | Speech
    | MetaJudgment
    | Pair
    | Reward
    | Sample
    | Drop
    | Checkpoint
    | Measurement
    | Likelihood
)

__all__ = [
    "OMIT_WHEN_EMPTY",
    "Checkpoint",
    "Comparison",
    "Drop",
    "FinishReason",
    "Judgment",
    "Labelled",
    "Likelihood",
    "Measurement",
    "Message",
    "MetaJudgment",
    "Pair",
    "PairKind",
    "Pool",
    "Prompt",
    "Ranking",
    "Record",
    "Response",
    "Reward",
    "Rows",
    "Sample",
    "Speech",
    "StepVerdict",
    "by_id",
    "distinct",
    "from_line",
    "pair_drop",
    "seed_for",
    "stable_id",
    "to_line",
]
