"""How long a device needs at least: time = max(FLOPs / peak, bytes / bandwidth, steps that the host starts).

    prefill   2 (m - v) t + 2 v q + 2 L a t c FLOPs (m multiplied parameters, v of them the output head's, t tokens, q
              questions, a attention width, c context): only a question's last token meets the head. Weights are read
              once per chunk of tokens
    decode    per step of B sequences: weights once, and the key-value cache of every sequence; B (2 m + 4 L a c) FLOPs.
              A reply's first token comes from its prefill, so n tokens take n - 1 steps
    training  6 m t FLOPs forward and backward (4 m t where the weights are frozen under an adapter), 2 m t for the
              reference; 32 bytes a trained parameter and step for the optimizer

B is what the cache holds in the memory that weights and a reserve leave. Sequences that share a prompt share its cache
in memory, but each reads it anew in every step, as vLLM does. Attention is left out of training and of scoring: under
2 % at 1,000 tokens.

`FLOOR` is a lower bound: peaks as published, no host, and what vLLM does side by side (a chunk of a prompt within a
step of decoding) overlaps whole: the sums of FLOPs and of bytes are bounded each, weights counted once a step. Other
efficiencies estimate: stages one after the other, shares of the peaks, and a host that needs its time for every step.
Those of a GPU are what inference engines are said to reach; learned.py puts what a machine reached in their place.
"""

from dataclasses import dataclass

from selfreward.commands.plan.shapes import ModelShape


@dataclass(frozen=True, slots=True)
class Efficiency:
    """Shares of peak FLOP/s and of bandwidth that are reached, and how the memory is used. `host`: seconds that a layer
    of the transformers library takes to start, whatever it computes; `compiled`: that a step of vLLM takes.
    """

    flops: float = 0.45
    bandwidth: float = 0.6
    reserve: float = 0.12
    chunk: int = 8192
    host: float = 0.0
    compiled: float = 0.0
    optimizer: float = 0.0


FLOOR = Efficiency(flops=1.0, bandwidth=1.0)
GPU = Efficiency(host=4e-4, compiled=3e-3, optimizer=0.05)
CPU = Efficiency(flops=0.1, bandwidth=0.02, host=4e-4, compiled=5e-3, optimizer=0.02)
"""Of a core, whose peak is that of its cache: a model of 135 M parameters reads 1,150 tokens a second of a core and
writes 185, measured on two with AMX."""


@dataclass(frozen=True, slots=True)
class Device:
    """Peak FLOP/s (dense, no sparsity) in half and in single precision, bytes/s and bytes of memory. `start`: seconds
    that loading, handing on and starting to train may take a round; `slow`: how many times its plan a stage may take
    (cores differ by more than GPUs of one name, and are busy with other things).
    """

    name: str
    half_flops: float
    single_flops: float
    bandwidth: float
    memory: float
    usual: Efficiency = GPU
    start: float = 60.0
    slow: float = 2.0

    def flops(self, width: int) -> float:
        """`width`: bytes of a weight. Single precision is not rounded to TF32, as torch does by default."""
        return self.single_flops if width == 4 else self.half_flops


DEVICES: dict[str, Device] = {
    "h100": Device("H100 SXM 80 GB", 989e12, 67e12, 3.35e12, 80e9),
    "h200": Device("H200 SXM 141 GB", 989e12, 67e12, 4.8e12, 141e9),
    "a100-80": Device("A100 SXM 80 GB", 312e12, 19.5e12, 2.04e12, 80e9),
    "l40s": Device("L40S 48 GB", 362e12, 91.6e12, 0.864e12, 48e9),
    "4090": Device("RTX 4090 24 GB", 165e12, 82.6e12, 1.01e12, 24e9),
    # AMX: 1,024 products and sums a cycle; AVX-512: two units of 16 lanes; both at 3.8 GHz. Weights of small models
    # stay in the core's cache, which gives 64 bytes a cycle: a model that does not fit is slower than this floor.
    "cpu-core": Device("one CPU core (rough)", 3.9e12, 2.43e11, 2.43e11, 16e9, CPU, 15.0, 4.0),
}


@dataclass(frozen=True, slots=True)
class Need:
    """What work needs of a device: FLOPs, bytes of weights and of everything else, steps that the host starts."""

    flops: float = 0.0
    weights: float = 0.0
    other: float = 0.0
    steps: float = 0.0

    def beside(self, other: "Need") -> "Need":
        """Both at the same time: one reading of the weights serves them."""
        return Need(
            self.flops + other.flops,
            max(self.weights, other.weights),
            self.other + other.other,
            max(self.steps, other.steps),
        )


@dataclass(frozen=True, slots=True)
class Roofline:
    """One model in one precision on one device, or on `split` of them that compute together. `compiled`: steps are
    started by vLLM.
    """

    shape: ModelShape
    device: Device
    efficiency: Efficiency
    width: int
    split: int = 1
    compiled: bool = False

    @property
    def flops(self) -> float:
        return self.device.flops(self.width) * self.efficiency.flops * self.split

    @property
    def bandwidth(self) -> float:
        return self.device.bandwidth * self.efficiency.bandwidth * self.split

    @property
    def weights(self) -> float:
        """Bytes of the whole model."""
        return float(self.shape.parameters * self.width)

    @property
    def _attention(self) -> float:
        return 4.0 * self.shape.layers * self.shape.heads * self.shape.head_dim

    @property
    def _step(self) -> float:
        return self.efficiency.compiled if self.compiled else self.efficiency.host * self.shape.layers

    def seconds(self, need: Need) -> float:
        moved = (need.weights + need.other) / self.bandwidth
        return max(need.flops / self.flops, moved, need.steps * self._step)

    def prefilling(self, tokens: float, context: float, questions: float) -> Need:
        """To read `tokens` of prompts that are `context` long, and the first token of a reply to every question."""
        if not tokens and not questions:
            return Need()
        body, head = self.shape.multiplied - self.shape.embedding, self.shape.embedding
        computed = 2 * (body * tokens + head * questions) + self._attention * tokens * context / 2
        chunks = max(1.0, tokens / self.efficiency.chunk)
        return Need(computed, self.weights * chunks, 0.0, chunks)

    def decoding(self, sequences: float, prompt: float, reply: float, share: float, most: float) -> Need:
        """To write the rest of `sequences` replies of `reply` tokens after prompts of `prompt` tokens."""
        if not sequences or reply <= 1:
            return Need()
        together = self.batch(sequences, prompt, reply, share, most)
        context = prompt + reply / 2
        steps = sequences * (reply - 1) / together
        read = together * context * self.shape.key_value_bytes(self.width)
        computed = together * (2 * self.shape.multiplied + self._attention * context)
        # Fewer sequences than one batch take as many steps as a whole one.
        begun = max(steps, reply - 1)
        return Need(steps * computed, begun * self.weights, steps * read, begun)

    def batch(self, sequences: float, prompt: float, reply: float, share: float, most: float) -> int:
        """How many sequences decode at the same time; `share` of them have one prompt in common."""
        room = self.split * self.device.memory * (1 - self.efficiency.reserve) - self.weights
        each = self.shape.key_value_bytes(self.width) * (prompt / share + reply)
        return max(1, int(min(sequences, room / each, most)))

    def prefill(self, tokens: float, context: float, questions: float = 0.0) -> float:
        """Seconds to compute `tokens` of prompts that are `context` long."""
        return self.seconds(self.prefilling(tokens, context, questions))

    def decode(self, sequences: float, prompt: float, reply: float, share: float, most: float) -> float:
        """Seconds to write `sequences` replies of `reply` tokens after prompts of `prompt` tokens."""
        return self.seconds(self.decoding(sequences, prompt, reply, share, most))

    def forward(self, tokens: float) -> float:
        """Seconds to score `tokens` by teacher forcing: all of them meet the head."""
        chunks = max(1.0, tokens / self.efficiency.chunk) if tokens else 0.0
        return self.seconds(Need(2 * self.shape.multiplied * tokens, self.weights * chunks, 0.0, chunks))

    def train(self, tokens: float, frozen: bool) -> float:
        return (4 if frozen else 6) * self.shape.multiplied * tokens / self.flops

    def optimize(self, steps: float, trained: float) -> float:
        """Weights, gradients and two moments in single precision are read and written in every step, which the host
        begins.
        """
        return steps * max(trained * 32 / self.bandwidth, self.efficiency.optimizer)
