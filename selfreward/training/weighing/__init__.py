"""From a round's judgments to samples of a policy gradient: what an answer is worth, and how much above its siblings.

`rewards.py`: an answer's reward, from its score, the verifier, both, or votes. `advantages.py`: rewards of a prompt's
answers to advantages, and which groups teach nothing. `likelihoods.py`: log-probabilities in the trainer's arithmetic.
`weigh.py` is the step of the round.
"""
