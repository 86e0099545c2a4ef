"""What runs inside vLLM's worker, on modules laid out as vLLM lays them out. vLLM itself is not needed."""

import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from selfreward.engines.tensors import tensor_checksums
from selfreward.engines.vllm import worker
from selfreward.engines.vllm.worker import WeightSwap

WIDTH, WORKERS = 4, 2


class Sharded(nn.Module):
    """A linear layer of which this worker holds the first part; `input_is_parallel` says that columns were cut."""

    def __init__(self, weight: torch.Tensor, sizes: tuple[int, ...] = (), by_columns: bool = False) -> None:
        super().__init__()
        self.weight, self.tp_size = nn.Parameter(weight), WORKERS
        if sizes:
            self.output_partition_sizes = list(sizes)
        if by_columns:
            self.input_is_parallel = True


class Vocabulary(Sharded):
    def __init__(self, weight: torch.Tensor, rows: int) -> None:
        super().__init__(weight)
        self.org_vocab_size = rows


class Layer(nn.Module):
    def __init__(self, of: dict[str, torch.Tensor]) -> None:
        super().__init__()
        fused = [of[f"layer.{one}_proj.weight"].chunk(WORKERS)[0] for one in "qkv"]
        self.qkv_proj = Sharded(torch.cat(fused), tuple(len(one) for one in fused))
        self.o_proj = Sharded(of["layer.o_proj.weight"].chunk(WORKERS, 1)[0].contiguous(), by_columns=True)


class Model(nn.Module):
    """One layer between a padded vocabulary and a head tied to it, cut for two workers."""

    packed_modules_mapping: ClassVar = {"qkv_proj": ["q_proj", "k_proj", "v_proj"]}

    def __init__(self, of: dict[str, torch.Tensor], rows: int) -> None:
        super().__init__()
        padded = torch.cat([of["embed.weight"], torch.zeros(2, WIDTH)])
        self.embed = Vocabulary(padded.chunk(WORKERS)[0], rows)
        self.layer = Layer(of)
        self.lm_head = Vocabulary(torch.zeros(1, WIDTH), rows)
        self.lm_head.weight = self.embed.weight


@pytest.fixture
def stored(tmp_path: Path) -> Iterator[tuple[Path, dict[str, torch.Tensor]]]:
    torch.manual_seed(0)
    tensors = {"embed.weight": torch.randn(6, WIDTH)}
    tensors |= {f"layer.{one}_proj.weight": torch.randn(8, WIDTH) for one in "qkv"}
    tensors["layer.o_proj.weight"] = torch.randn(WIDTH, 8)
    save_file(tensors, tmp_path / "model.safetensors")
    yield tmp_path, tensors


class Worker(WeightSwap):
    def __init__(self, model: nn.Module) -> None:
        self.model = model

    def get_model(self) -> nn.Module:
        return self.model


def gathering(of: dict[str, torch.Tensor], alive: list[int]) -> Any:
    """What vLLM's all-gather would give, found by the part; `alive` counts the wholes that are still held."""
    wholes = {"padded": torch.cat([of["embed.weight"], torch.zeros(2, WIDTH)]), **of}
    made: list[weakref.ref[torch.Tensor]] = []

    def gather(part: torch.Tensor, dimension: int) -> torch.Tensor:
        alive.append(sum(one() is not None for one in made))
        for whole in wholes.values():
            if whole.shape[dimension] == part.shape[dimension] * WORKERS and torch.equal(
                whole.chunk(WORKERS, dimension)[0], part
            ):
                found = whole.clone()
                made.append(weakref.ref(found))
                return found
        raise AssertionError("no tensor of the checkpoint begins with this part")

    return gather


def test_gathered_checksums_are_the_files_and_no_two_wholes_are_held(
    stored: tuple[Path, dict[str, torch.Tensor]], monkeypatch: pytest.MonkeyPatch
) -> None:
    directory, tensors = stored
    alive: list[int] = []
    monkeypatch.setattr(worker, "_gathered", gathering(tensors, alive))
    held = Worker(Model(tensors, 6)).tensor_checksums(str(directory))
    assert held == tensor_checksums(directory)
    assert len(alive) == len(tensors) and set(alive) == {0}


def test_one_wrong_part_of_a_fused_tensor_is_told_by_its_own_name(
    stored: tuple[Path, dict[str, torch.Tensor]], monkeypatch: pytest.MonkeyPatch
) -> None:
    directory, tensors = stored
    other = {**tensors, "layer.k_proj.weight": tensors["layer.k_proj.weight"] + 1}
    monkeypatch.setattr(worker, "_gathered", gathering(other, []))
    held, wanted = Worker(Model(other, 6)).tensor_checksums(str(directory)), tensor_checksums(directory)
    assert [name for name in wanted if held[name] != wanted[name]] == ["layer.k_proj.weight"]


class Packed(nn.Module):
    """A head whose packed copy computes; `copy` is what it was packed from."""

    def __init__(self, weight: nn.Parameter, copy: torch.Tensor) -> None:
        super().__init__()
        self.weight, self.tp_size, self.copy = weight, 1, copy

    def cpu_linear(self, inputs: torch.Tensor, _: torch.Tensor, bias: None) -> torch.Tensor:
        return inputs @ self.copy.t()


def test_a_tied_head_packed_before_the_swap_is_what_the_checksum_is_of(
    stored: tuple[Path, dict[str, torch.Tensor]],
) -> None:
    """The embedding is new, the copy that the head multiplies by is old: the embedding's name must tell."""
    directory, tensors = stored
    model = nn.Module()
    model.embed = nn.Embedding.from_pretrained(tensors["embed.weight"], freeze=False)
    wanted = tensor_checksums(directory)["embed.weight"]
    for copy, right in ((tensors["embed.weight"].clone(), True), (tensors["embed.weight"] + 1, False)):
        model.lm_head = Packed(model.embed.weight, copy)
        held = Worker(model).tensor_checksums(str(directory))
        assert set(held) == {"embed.weight"} and (held["embed.weight"] == wanted) == right
