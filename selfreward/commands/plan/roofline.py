"""How long a device needs at least: time = max(FLOPs / peak, bytes / bandwidth), each times a stated efficiency.

    prefill   2 m t + 2 L a t c FLOPs (m multiplied parameters, t tokens, a attention width, c context); weights read
              once per chunk of tokens
    decode    per step of B sequences: weights once, and the key-value cache of every sequence; B (2 m + 4 L a c) FLOPs
    training  6 m t FLOPs forward and backward (4 m t where the weights are frozen under an adapter), 2 m t for the
              reference; 32 bytes a trained parameter and step for the optimizer

B is what the cache holds in the memory that weights and a reserve leave. Sequences that share a prompt share its cache
in memory, but each reads it anew in every step, as vLLM does. Attention is left out of training: under 2 % at 1,000
tokens. At efficiencies of 1 these are floors; nothing here was fitted to a measurement.
"""

from dataclasses import dataclass

from selfreward.commands.plan.shapes import ModelShape


@dataclass(frozen=True, slots=True)
class Device:
    """Peak FLOP/s (dense, no sparsity) in half and in single precision, bytes/s and bytes of memory."""

    name: str
    half_flops: float
    single_flops: float
    bandwidth: float
    memory: float

    def flops(self, width: int) -> float:
        """`width`: bytes of a weight. Single precision is not rounded to TF32, as torch does by default."""
        return self.single_flops if width == 4 else self.half_flops


def joined(device: Device, count: int) -> Device:
    """`count` of a device as one, without a price for what they tell each other."""
    return Device(
        device.name,
        device.half_flops * count,
        device.single_flops * count,
        device.bandwidth * count,
        device.memory * count,
    )


DEVICES: dict[str, Device] = {
    "h100": Device("H100 SXM 80 GB", 989e12, 67e12, 3.35e12, 80e9),
    "h200": Device("H200 SXM 141 GB", 989e12, 67e12, 4.8e12, 141e9),
    "a100-80": Device("A100 SXM 80 GB", 312e12, 19.5e12, 2.04e12, 80e9),
    "l40s": Device("L40S 48 GB", 362e12, 91.6e12, 0.864e12, 48e9),
    "4090": Device("RTX 4090 24 GB", 165e12, 82.6e12, 1.01e12, 24e9),
    "cpu-core": Device("one CPU core (rough)", 5e10, 5e10, 1e10, 16e9),
}


@dataclass(frozen=True, slots=True)
class Efficiency:
    """Shares of peak FLOP/s and of bandwidth that are reached, and how the memory is used.

    `layer_step`: seconds that an engine without compiled graphs spends on a layer in every step beside the device's
    work (assumed: 30 ms a step for 32 layers, as single sequences are decoded in eager PyTorch).
    """

    flops: float = 0.45
    bandwidth: float = 0.6
    reserve: float = 0.12
    chunk: int = 8192
    layer_step: float = 9e-4


FLOOR = Efficiency(flops=1.0, bandwidth=1.0, layer_step=0.0)


@dataclass(frozen=True, slots=True)
class Roofline:
    """One model in one precision on one device. `eager`: in an engine without compiled graphs."""

    shape: ModelShape
    device: Device
    efficiency: Efficiency
    width: int
    eager: bool = False

    @property
    def flops(self) -> float:
        return self.device.flops(self.width) * self.efficiency.flops

    @property
    def bandwidth(self) -> float:
        return self.device.bandwidth * self.efficiency.bandwidth

    @property
    def weights(self) -> float:
        return float(self.shape.parameters * self.width)

    @property
    def _attention(self) -> float:
        return 4.0 * self.shape.layers * self.shape.heads * self.shape.head_dim

    def prefill(self, tokens: float, context: float) -> float:
        """Seconds to compute `tokens` of prompts that are `context` long."""
        if not tokens:
            return 0.0
        computed = 2 * self.shape.multiplied * tokens + self._attention * tokens * context / 2
        read = self.weights * max(1.0, tokens / self.efficiency.chunk)
        return max(computed / self.flops, read / self.bandwidth)

    def batch(self, sequences: float, prompt: float, reply: float, share: float, most: float) -> int:
        """How many sequences decode at the same time; `share` of them have one prompt in common."""
        room = self.device.memory * (1 - self.efficiency.reserve) - self.weights
        each = self.shape.key_value_bytes(self.width) * (prompt / share + reply)
        return max(1, int(min(sequences, room / each, most)))

    def decode(self, sequences: float, prompt: float, reply: float, share: float, most: float) -> float:
        """Seconds to write `sequences` replies of `reply` tokens after prompts of `prompt` tokens."""
        if not sequences or not reply:
            return 0.0
        together = self.batch(sequences, prompt, reply, share, most)
        context = prompt + reply / 2
        read = self.weights + together * context * self.shape.key_value_bytes(self.width)
        computed = together * (2 * self.shape.multiplied + self._attention * context)
        step = max(read / self.bandwidth, computed / self.flops)
        step += self.eager * self.efficiency.layer_step * self.shape.layers
        return sequences * reply / together * step

    def forward(self, tokens: float) -> float:
        """Seconds to score `tokens` by teacher forcing."""
        return 2 * self.shape.multiplied * tokens / self.flops

    def train(self, tokens: float, frozen: bool) -> float:
        return (4 if frozen else 6) * self.shape.multiplied * tokens / self.flops

    def optimize(self, steps: float, trained: float) -> float:
        """Weights, gradients and two moments in single precision are read and written in every step."""
        return steps * trained * 32 / self.bandwidth
