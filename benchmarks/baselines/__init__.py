"""What a round costs without this package: the loop as people write it, for `benchmarks/round.py` to stand beside.

    B0   a process per stage, with vLLM's and TRL's defaults        (sample.py twice, train.py)
    B1   one process: transformers' generate, and TRL's DPOTrainer  (one_process.py)
    B2   B0 with the flags that suit it best
    B3   a vLLM server that stays, with scripts around it           (ask.py twice, train.py, weights exchanged in place)

All ask the same model the same questions with the same numbers of answers, judgments, pairs and epochs. They write no
seals, verify nothing, measure nothing, judge equal answers again, and sample without seeds (a seeded request ends vLLM
0.32's CPU build unless chunked prefill is off).
"""
