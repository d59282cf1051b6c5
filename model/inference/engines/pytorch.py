"""PyTorch: the reference that every other engine is compared with."""

from __future__ import annotations

import numpy as np

from model.checkpoints.folder import Checkpoint
from model.processor import limit_torch_threads


class TorchEngine:
    """PyTorch, float32, channels_last."""

    name = "torch"
    precision = "f32"

    def __init__(self, checkpoint: Checkpoint) -> None:
        import torch

        from model.checkpoints.weights import load_network

        limit_torch_threads()
        self._torch = torch
        self._network = load_network(checkpoint).to(memory_format=torch.channels_last)

    @property
    def memory_bytes(self) -> int:
        return sum(value.nbytes for value in self._network.state_dict().values())

    def logits(self, batch: np.ndarray) -> np.ndarray:
        torch = self._torch
        with torch.inference_mode():
            tensor = torch.from_numpy(batch).to(memory_format=torch.channels_last)
            return self._network(tensor).numpy()
