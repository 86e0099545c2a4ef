"""The whole world under one name: tasks, oracle, demonstrator, annotator, prompts, pools. Standard library only."""

from selfreward.tasks.sandbox.annotator import (
    AnnotatorDials,
    annotate,
    judgment_quality,
    judgment_text,
    meta_text,
    read_reference,
    read_score,
    read_verdict,
)
from selfreward.tasks.sandbox.demonstrator import (
    JUDGED_REPLIES,
    DemonstratorDials,
    demonstrate,
    doubted_reply,
    dress,
    format_answer,
)
from selfreward.tasks.sandbox.draws import SPLITS, Split, draw_split_task, draw_task, plausible_mistake, split_of
from selfreward.tasks.sandbox.oracle import (
    FULL_SCORE,
    Checks,
    Reply,
    check_reply,
    echoes_wrong_claim,
    oracle_score,
    read_reply,
)
from selfreward.tasks.sandbox.pools import JudgedReply, MetaItem, judge_pool, meta_pool, prompt_pool
from selfreward.tasks.sandbox.prompts import NEW_TASK_PROMPT, judge_prompt, meta_prompt
from selfreward.tasks.sandbox.tasks import Answer, Task, parse_task
from selfreward.tasks.sandbox.words import DOUBT, FAMILIES, MODIFIERS, VOCABULARY

__all__ = [
    "DOUBT",
    "FAMILIES",
    "FULL_SCORE",
    "JUDGED_REPLIES",
    "MODIFIERS",
    "NEW_TASK_PROMPT",
    "SPLITS",
    "VOCABULARY",
    "AnnotatorDials",
    "Answer",
    "Checks",
    "DemonstratorDials",
    "JudgedReply",
    "MetaItem",
    "Reply",
    "Split",
    "Task",
    "annotate",
    "check_reply",
    "demonstrate",
    "doubted_reply",
    "draw_split_task",
    "draw_task",
    "dress",
    "echoes_wrong_claim",
    "format_answer",
    "judge_pool",
    "judge_prompt",
    "judgment_quality",
    "judgment_text",
    "meta_pool",
    "meta_prompt",
    "meta_text",
    "oracle_score",
    "parse_task",
    "plausible_mistake",
    "prompt_pool",
    "read_reference",
    "read_reply",
    "read_score",
    "read_verdict",
    "split_of",
]
