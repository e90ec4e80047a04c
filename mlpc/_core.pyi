"""The extension module: NumPy buffers to pointers, errors to exceptions, the GIL; `mlpc.Network` derives from it."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

ACTIVATIONS: tuple[str, ...]
LOSSES: dict[str, str]  # name of the loss: its own output activation
KERNELS: tuple[str, ...]  # instruction sets this machine can run, the best first
N_THREADS: int  # threads of a call that does not say

def _end_threads() -> None:
    """Join the worker threads; later calls do without."""

def add_docstring(method: object, text: str, /) -> None:
    """Give a method or attribute of a C type its docstring (once), so that docstrings live in Python."""

def schedule_multiplier(schedule: tuple[object, ...], epochs: float, /) -> float:
    """Multiplier of a schedule tuple, as `_fit` takes it, at `epochs` epochs."""

class Network:
    def __init__(
        self,
        layer_sizes: tuple[int, ...],
        activations: tuple[str, ...],  # L names, the output's last
        loss: str,
        loss_parameters: tuple[float, ...],
        sum: bool,  # noqa: A002
        l1: float,
        l2: float,
        dropout: tuple[float, ...],  # L - 1 rates
        bias: bool,
        dtype: str,  # "float32" or "float64"
        kernels: str | None = None,  # None: MLPC_ISA, else the best
        penalty_in_mean: bool = False,  # with the mean: penalties too are divided by the batch's sum of weights
    ) -> None: ...

    # Public methods and attributes, inherited as they are.
    def predict_proba(self, X: ArrayLike) -> NDArray[Any]: ...
    def forward(self, X: ArrayLike) -> NDArray[Any]: ...
    def predict(self, X: ArrayLike, *, threshold: ArrayLike = 0.5) -> NDArray[Any]: ...
    def transform(self, X: ArrayLike, *, layer: int = -1) -> NDArray[Any]: ...
    def activations(self, X: ArrayLike) -> list[NDArray[Any]]: ...
    @property
    def parameters(self) -> NDArray[Any]: ...
    @parameters.setter
    def parameters(self, value: ArrayLike) -> None: ...
    @property
    def weights(self) -> tuple[NDArray[Any], ...]: ...
    @property
    def biases(self) -> tuple[NDArray[Any], ...]: ...
    @property
    def n_parameters(self) -> int: ...
    @property
    def epoch(self) -> int: ...
    @property
    def step(self) -> int: ...
    def end_epoch(self) -> None: ...

    # For mlpc.Network alone.
    @property
    def _kernels(self) -> str: ...
    @property
    def _evaluations(self) -> int: ...
    _n_threads: int  # of calls that do not say; 0: N_THREADS
    _plateau_value: float | None  # a callback's, that the next epoch steps ReduceOnPlateau with; to be set only
    def _record_epoch(self, loss: float, validation_loss: float, learning_rate: float, /) -> None:
        """Count an epoch that somebody else trained, with its row of the history. A writer."""
    def _unpack(self, vector: NDArray[Any]) -> tuple[tuple[NDArray[Any], ...], tuple[NDArray[Any], ...]]:
        """(weights, biases) as views of any vector laid out like the parameters."""
    def _evaluate(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None,
        parameters: ArrayLike | None,
        want: str,  # letters of: o objective, g gradient, i input gradient, s sample losses
    ) -> tuple[float | None, NDArray[Any] | None, NDArray[Any] | None, NDArray[np.float64] | None]: ...
    def _backpropagate(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None
    ) -> list[tuple[NDArray[Any], ...]]:
        """One (Z, A, dA, dZ, dW, db) a layer."""
    def _as_writer(self, method: str, /) -> AbstractContextManager[None]:
        """While it lasts, no other call changes what the core and Python keep of the network, or copies it.

        RuntimeError that names the method, where it would have to wait, and within a callback of the writer's own."""
    def _as_reader(self, method: str, /) -> AbstractContextManager[None]:
        """While it lasts nobody changes it, but for the writer in whose callback it is asked for."""
    def _set_optimizer(self, settings: dict[str, Any], optimizer: object = None, /) -> None:
        """Fields of mlp_optimizer in mlp_types.h by name, `rule` and what it reads; checked by the caller. A writer.

        The optimizer that they are of becomes the attribute `_optimizer` at the same moment."""
    def _set_bit_generator(self, bit_generator: np.random.BitGenerator | None) -> None:
        """Keeps it and its capsule's bitgen_t: the source of each epoch's order."""
    def _fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        epochs: int,
        batch_size: int,  # 0: the full batch
        shuffle: bool,
        sample_weight: ArrayLike | None,
        class_weight: NDArray[np.float64] | None,  # (K,) by label, or (2,) for one binary output
        validation_data: tuple[ArrayLike, ...] | None,  # (X, y) or (X, y, sample_weight)
        schedule: tuple[object, ...] | None,
        # ("step_decay", every, factor), ("exponential_decay", factor), ("cosine_decay", epochs, minimum, warmup),
        # ("inverse_scaling", power), ("one_cycle", epochs, peak, start_fraction),
        # ("reduce_on_plateau", monitor, factor, patience, min_delta, minimum),
        # ("hook", callable of the epoch giving a float); monitor: 0 loss, 1 validation loss, 2 what callbacks add
        stopping: tuple[int, bool, int, float, bool] | None,  # monitor, maximize, patience, min_delta, restore_best
        epoch_end: Callable[[int, float, float, float], tuple[bool, float]] | None,
        # (epoch, loss, validation_loss, learning_rate) -> (stop, value for stopping); it sets _plateau_value itself
        each_epoch: bool,  # False: epoch_end is called about every 25 ms, for the epoch that ends then
        partial: bool,
        n_threads: int,  # 0: N_THREADS
        as_sklearn: bool,  # orders and reported losses as scikit-learn's: see mlp_fit_settings
    ) -> tuple[str, int, int, int]:
        """(stop_reason, best_epoch, diverged_epoch, diverged_step), as in mlp_fit_result."""
    def _restart(
        self,
        parameters: NDArray[Any],
        dropout_key: int,
        bit_generator: np.random.BitGenerator | None,
        attributes: dict[str, Any],
        /,
    ) -> None:
        """Forget optimizer state, progress and history, and take these, all at one moment. A writer."""
    def _release(self) -> None:
        """Give back the memory that training has left for the next time. A writer."""
    def _history(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Copies of (loss, validation_loss, learning_rate), one element an epoch."""
    def _get_state(self) -> dict[str, Any]:
        """Copies: "parameters", "optimizer_state" (1-D arrays of the dtype), "progress" (dict of mlp_progress's fields:
        ints and floats), "history" (float64, (3, n_epochs)). A reader."""
    def _set_state(self, state: dict[str, Any]) -> None:
        """What _get_state gave, of this network's shapes and optimizer (set that first). A writer; arrays are checked
        for dtype and size (ValueError), converted between float32 and float64 where needed."""
