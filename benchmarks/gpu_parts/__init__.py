"""The parts of `benchmarks/gpu.py`: what each of them measures, and which function does it."""

PARTS = {
    "sampling": ("gpu_parts.sampling:sampling", 90.0),
    "training": ("gpu_parts.training:training", 120.0),
    "hand-off": ("gpu_parts.hand_off:hand_off", 75.0),
    "flex": ("gpu_parts.flex:flex", 75.0),
    "vllm": ("gpu_parts.vllm:vllm", 220.0),
    "round": ("gpu_parts.whole_round:whole_round", 140.0),
}
"""Name to the function, and the most seconds that it gets."""
