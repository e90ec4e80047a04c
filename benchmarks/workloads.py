"""What is timed: networks, batches and optimizers, and the data they train on."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Workload:
    """One training run in float32: hidden relu unless said otherwise, the loss decided by the output."""

    name: str
    layer_sizes: list[int]
    batch_size: int
    optimizer: str  # "sgd" or "adam"
    loss: str = "squared_error"
    hidden_activation: str = "relu"
    n_batches: int = 8
    learning_rate: float = field(default=1e-4, kw_only=True)

    @property
    def flops(self) -> float:
        """Floating-point operations of a step's matrix products; no input gradient is needed for the first layer."""
        first, *others = zip(self.layer_sizes, self.layer_sizes[1:], strict=False)
        return self.batch_size * (4.0 * first[0] * first[1] + 6.0 * sum(a * b for a, b in others))

    def data(self) -> tuple[NDArray[np.float32], NDArray[np.float32] | NDArray[np.int64]]:
        """Return n_batches batches of rows, and targets that fit the loss."""
        rng = np.random.default_rng(0)
        n, n_out = self.batch_size * self.n_batches, self.layer_sizes[-1]
        X = rng.standard_normal((n, self.layer_sizes[0]), dtype=np.float32)
        if self.loss == "categorical_cross_entropy":
            return X, np.arange(n) % n_out
        if self.loss == "binary_cross_entropy":
            return X, (np.arange(n) % 2).astype(np.float32)
        return X, rng.standard_normal((n, n_out), dtype=np.float32)


SOFTMAX = "categorical_cross_entropy"
SIGMOID = "binary_cross_entropy"

WORKLOADS = [
    Workload("2-3-1 sigmoid, 200 rows, full batch", [2, 3, 1], 200, "sgd", SIGMOID, "sigmoid", n_batches=1),
    Workload("10-32-32-1, B=32, SGD", [10, 32, 32, 1], 32, "sgd"),
    Workload("784-128-10, B=32, Adam", [784, 128, 10], 32, "adam", SOFTMAX),
    Workload("784-100-10, B=200, Adam", [784, 100, 10], 200, "adam", SOFTMAX),
    Workload("784-256-10, B=128, SGD", [784, 256, 10], 128, "sgd", SOFTMAX),
    Workload("256×4, B=256, SGD", [256] * 5, 256, "sgd"),
    Workload("1024×4, B=256, SGD", [1024] * 5, 256, "sgd", n_batches=4),
    Workload("4096×3, B=256, SGD", [4096] * 4, 256, "sgd", n_batches=2),
    Workload("4096×3, B=256, Adam", [4096] * 4, 256, "adam", n_batches=2),
    Workload("64×6, B=8192, SGD", [64] * 7, 8192, "sgd", n_batches=2),
    Workload("100-256-128-64-1, B=256, Adam", [100, 256, 128, 64, 1], 256, "adam", SIGMOID),
]
