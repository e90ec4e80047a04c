"""What is timed: networks, batches and optimizers, the data they see, the weights all start from, and the aims."""

from dataclasses import KW_ONLY, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

SOFTMAX = "categorical_cross_entropy"  # its output is softmax, its targets are labels
LOGISTIC = "binary_cross_entropy"  # its output is a sigmoid
SQUARES = "half_squared_error"  # summed over the outputs; all losses are means over the samples of a batch


@dataclass(frozen=True)
class Aim:
    """What mlpc wants to reach on a row: a fraction of a limit or a time, and how often a rival's time it is faster."""

    of: Literal["peak", "roofline", ""] = ""
    fraction: float = 0.0
    seconds: float = 0.0
    ratio: float = 1.0
    rival: str = ""  # the best one, unless named (and measured)


@dataclass(frozen=True)
class Workload:
    """One row. A training row counts whole steps: forward, loss, backward, update."""

    name: str
    layer_sizes: list[int]  # inputs first
    batch_size: int  # of a row that evaluates: all rows of the call
    optimizer: str = "sgd"  # or "adam"
    loss: str = SQUARES
    hidden: str = "relu"  # activation of the hidden layers
    aim: Aim = Aim()
    _: KW_ONLY
    kind: Literal["train", "gradient", "predict"] = "train"
    output: str = ""  # activation of the outputs, unless the loss's own
    n_batches: int = 8  # of an epoch: enough for some milliseconds, so that what it costs by itself counts little
    run_epochs: int = 0  # the row times whole runs of so many epochs instead of steps
    learning_rate: float = 1e-4
    dtype: str = "float32"

    @property
    def unit(self) -> str:
        """What the time of the row is of."""
        return "run" if self.run_epochs else "step" if self.kind == "train" else "call"

    @property
    def units(self) -> int:
        """How many of those there are in an epoch, or in a call that evaluates."""
        return self.n_batches if self.unit == "step" else 1

    def calls(self, times: int) -> list[int]:
        """Epochs of each training call where the row is to be done `times` times: runs are calls, steps share one."""
        return [self.run_epochs] * times if self.run_epochs else [times]

    @property
    def shapes(self) -> list[tuple[int, int]]:
        return list(zip(self.layer_sizes, self.layer_sizes[1:], strict=False))

    @property
    def n_parameters(self) -> int:
        return sum((n_in + 1) * n_out for n_in, n_out in self.shapes)

    @property
    def flops(self) -> float:
        """Floating-point operations of a step's matrix products; the first layer needs no gradient of its input."""
        first, *others = (2.0 * self.batch_size * n_in * n_out for n_in, n_out in self.shapes)
        return first + sum(others) if self.kind == "predict" else 2.0 * first + 3.0 * sum(others)

    @property
    def speedup_aim(self) -> float:
        """By how much two threads should be faster than one; small work stays on one."""
        return 1.0 if self.flops < 1e6 or self.run_epochs else 1.9 if max(self.layer_sizes[1:]) >= 256 else 1.6

    def data(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return the rows of an epoch or a call, and targets that fit the loss: labels are int64."""
        rng = np.random.default_rng(0)
        n, n_out = self.batch_size * self.n_batches, self.layer_sizes[-1]
        if self.run_epochs:
            return circles(rng, n)
        dtype: Any = np.dtype(self.dtype).type
        X = rng.standard_normal((n, self.layer_sizes[0]), dtype=dtype)
        if self.loss == SOFTMAX:
            return X, np.arange(n) % n_out
        if self.loss == LOGISTIC or self.output == "sigmoid":
            return X, (np.arange(n) % 2).astype(dtype)
        return X, rng.standard_normal((n, n_out) if self.kind != "predict" else (1, n_out), dtype=dtype)

    def weights(self) -> list[tuple[NDArray[Any], NDArray[Any]]]:
        """Where everybody starts: W (n_in, n_out) and b (n_out,) of each layer."""
        rng = np.random.default_rng(1)
        layers = [(rng.normal(0.0, (2.0 / a) ** 0.5, (a, b)), rng.normal(0.0, 0.1, b)) for a, b in self.shapes]
        return [(W.astype(self.dtype), b.astype(self.dtype)) for W, b in layers]


def circles(rng: np.random.Generator, n: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Half of n points on a circle of radius 3, half on one of radius 1."""
    y = np.arange(n) % 2
    angle, radius = rng.uniform(0.0, 2.0 * np.pi, n), np.where(y == 1, 1.0, 3.0)
    X = np.column_stack([radius * np.cos(angle), radius * np.sin(angle)]) + rng.normal(0.0, 0.05, (n, 2))
    return X.astype(np.float32), y.astype(np.float32)


def sizes(layers: str) -> list[int]:
    """Return what a row's name says: "10-32-1" as it stands, "256×4" for four weight matrices of 256 × 256."""
    if "×" in layers:
        width, matrices = layers.split("×")
        return [int(width)] * (int(matrices) + 1)
    return [int(n) for n in layers.split("-")]


def step(
    layers: str, batch: int, optimizer: str, loss: str = SQUARES, aim: Aim = Aim(), hidden: str = "relu", **more: Any
) -> Workload:
    """Make a training row, named by what it is; relu is not mentioned."""
    name = f"{layers}, B={batch}, {optimizer}" + ("" if hidden == "relu" else f", {hidden}")
    name += ", squared error" if more.get("output") else ""
    return Workload(name, sizes(layers), batch, optimizer.lower(), loss, hidden, aim, **more)


def call(name: str, layers: str, rows: int, kind: Literal["gradient", "predict"], aim: Aim, **more: Any) -> Workload:
    """Make a row that evaluates so many rows in a call."""
    return Workload(name, sizes(layers), rows, aim=aim, kind=kind, n_batches=1, **more)


TABLE = [
    Workload(
        name="circles: 2-3-1, sigmoid, 200 rows, run of 1001 epochs",
        layer_sizes=[2, 3, 1],
        batch_size=200,
        loss=LOGISTIC,
        hidden="sigmoid",
        aim=Aim(seconds=0.62e-3, ratio=8.0, rival="JAX"),
        n_batches=1,
        run_epochs=1001,
        learning_rate=2.0,  # of the mean: 0.01 of the sum over the rows
    ),
    step("10-32-32-1", 32, "SGD", aim=Aim("peak", 0.75, ratio=2.5), n_batches=1024),
    step("784-128-10", 32, "Adam", SOFTMAX, Aim(seconds=148e-6, ratio=1.65), n_batches=32),
    step("784-100-10", 200, "Adam", SOFTMAX, Aim("roofline", 0.85, ratio=1.4)),
    step("784-256-10", 128, "SGD", SOFTMAX, Aim("peak", 0.93, ratio=1.15)),
    step("256×4", 256, "SGD", aim=Aim("peak", 0.93, ratio=1.15)),
    step("1024×4", 256, "SGD", aim=Aim("peak", 0.91, ratio=1.12)),
    step("4096×3", 256, "SGD", n_batches=4),
    step("4096×3", 256, "Adam", aim=Aim("roofline", 0.90, ratio=1.25), n_batches=4),
    step("64×6", 8192, "SGD", aim=Aim("peak", 0.91, ratio=1.5), n_batches=2),
    step("100-256-128-64-1", 256, "Adam", LOGISTIC, Aim("roofline", 0.90, ratio=1.2)),
    call(
        "20-100-1 float64, objective and gradient of 10⁴ rows",
        *("20-100-1", 10_000, "gradient", Aim("peak", 0.80, ratio=1.2)),
        dtype="float64",
    ),
    step("2-3-1", 1, "SGD", LOGISTIC, Aim(seconds=42e-9), "sigmoid", n_batches=8_000),
    # What FANN minimises: the squared error of a sigmoid.
    step("2-3-1", 1, "SGD", SQUARES, Aim(ratio=1.8, rival="FANN"), "sigmoid", output="sigmoid", n_batches=8_000),
    call("125-32-2, predict_proba of one row", "125-32-2", 1, "predict", Aim(seconds=0.5e-6, ratio=8.0, rival="NumPy")),
    call(
        "125-32-2, predict_proba of 10⁶ rows",
        *("125-32-2", 1_000_000, "predict", Aim("roofline", 0.85, ratio=2.0, rival="ONNX Runtime")),
    ),
]

# Other shapes: odd widths, other batches and activations, few samples, many classes.
OTHERS = [
    step("2-3-1", 2, "SGD", LOGISTIC, hidden="sigmoid", n_batches=4096),
    step("4-8-3", 16, "Adam", SOFTMAX, n_batches=1024),
    step("30-1", 32, "SGD", LOGISTIC, n_batches=1024),
    step("784-1", 256, "SGD", LOGISTIC, n_batches=256),  # more than the caches hold
    step("64-50-10", 32, "Adam", SOFTMAX, n_batches=256),
    step("784-512-512-10", 32, "Adam", SOFTMAX, n_batches=32),
    step("784-128-10", 1, "SGD", SOFTMAX, n_batches=512),
    step("256-256-256-10", 4, "Adam", SOFTMAX, n_batches=128),
    step("64-128-200", 64, "Adam", SOFTMAX, n_batches=64),
    step("97-131-53-7", 50, "Adam", SOFTMAX, n_batches=96),
    step("97-131-53-7", 333, "SGD", SOFTMAX, hidden="tanh"),
    step("17-33-65-1", 7, "SGD", n_batches=1024),
    step("300-200-100-1", 1000, "Adam", LOGISTIC, hidden="sigmoid", n_batches=4),
    step("256×4", 256, "SGD", hidden="tanh"),
    step("256×4", 256, "SGD", hidden="gelu"),
    step("500-500-500-3", 100, "Adam", SOFTMAX),
    step("2000-1000-2", 64, "SGD", hidden="gelu"),
]

WORKLOADS = {work.name: work for work in TABLE + OTHERS}
