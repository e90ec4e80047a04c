"""Network: what it is made of, how it starts over and how it is kept. What else it does is in its bases.

What is called once a row (predict_proba and its like) is inherited from the extension as it is; see _docs.py.
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from types import FunctionType
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

from mlpc import _check
from mlpc._description import Description
from mlpc._shipping import Shipping
from mlpc._spec import check_dtype, check_loss_range, check_spec
from mlpc.history import History, full_columns
from mlpc.initializers import draw
from mlpc.optimizers import as_optimizer

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence

    from numpy.typing import DTypeLike, NDArray
    from typing_extensions import Self

    from mlpc._spec import Spec
    from mlpc.initializers import Initializer
    from mlpc.losses import Loss
    from mlpc.optimizers import Optimizer

__all__ = ["Network"]


class Network(Shipping, Description):
    """A multilayer perceptron.

    Rows are samples. Layer l = 1..L has weights W[l] of shape (n_in, n_out) and biases b[l] of shape (n_out,):
    Z[l] = A[l-1] W[l] + b[l], A[l] = g[l](Z[l]), A[0] = X.

    Parameters
    ----------
    layer_sizes : sequence of int
        Units of each layer, at least 1, inputs first: [2, 3, 1] has two inputs, three hidden units and one output.
    loss : str or loss object
        Per sample, summed over the outputs k, with d = a_k - y_k; in brackets the output activation that belongs to it:

        - "squared_error": d² (identity)
        - "half_squared_error": d²/2 (identity)
        - "binary_cross_entropy": -y_k log a_k - (1 - y_k) log(1 - a_k) (sigmoid)
        - "categorical_cross_entropy": -sum_k y_k log a_k; labels 0..K-1 or rows of probabilities (softmax)
        - "absolute_error": ``|d|`` (identity)
        - "huber", `mlpc.Huber(delta)`: d²/2 where ``|d| <= delta``, else ``delta (|d| - delta/2)`` (identity)
        - "log_cosh": log cosh d (identity)
        - "quantile", `mlpc.Quantile(q)`: max(-q d, (1 - q) d) (identity)
        - "poisson": a_k - y_k + y_k log(y_k / a_k) (exp)
    hidden_activation : str or sequence of str, default="relu"
        One name, or one per hidden layer: "identity", "sigmoid", "tanh", "relu", "leaky_relu" (slope 0.01), "elu",
        "selu", "softplus", "softsign", "gelu", "silu", "mish".
    output_activation : str, optional
        The loss's own unless given. The cross-entropies and poisson take no other; the rest take any of the above.
    reduction : {"mean", "sum", "penalized_mean"}, default="mean"
        Sum over the samples of weight times loss, divided by the sum of the weights or not. With "penalized_mean" the
        penalties are divided too, in each batch by its own sum of weights: scikit-learn's alpha is l2 then.
    optimizer : str or optimizer object, default="adam"
        "sgd", "adam", "adamw", "rmsprop", "rprop", "lbfgs" with their defaults, or an object such as `mlpc.SGD(0.1)`.
    l1, l2 : float, default=0.0
        The objective has l1 sum|W| + l2/2 sum W² added, l1, l2 >= 0: weights only, never divided but for
        "penalized_mean".
    dropout : float or sequence of float, default=0.0
        Rate at which hidden units are dropped while training, one or one per hidden layer, in [0, 1).
    initializer : str or callable, default="auto"
        "zeros", "glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "lecun_uniform", "lecun_normal", a
        function (rng, shape) that returns an array, or "auto": by each layer's activation he_normal (relu, leaky_relu,
        elu, gelu, silu, mish), lecun_uniform (selu) or glorot_uniform.
    bias : bool, default=True
        Whether layers have biases; they start at zero.
    dtype : {"float64", "float32"}, default="float64"
        Of parameters and arithmetic.
    seed : int or numpy.random.Generator, optional
        Of weights, orders and dropout: `numpy.random.default_rng(seed)`, seed >= 0; a Generator gives one integer.

    Raises
    ------
    TypeError, ValueError
        If an argument is not of its type or range.

    Notes
    -----
    Rumelhart, Hinton and Williams (1986), "Learning representations by back-propagating errors".

    Examples
    --------
    >>> import mlpc
    >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
    >>> net = mlpc.Network([2, 4, 1], loss="binary_cross_entropy", hidden_activation="tanh", seed=0)
    >>> net.optimizer = mlpc.Adam(0.1)
    >>> net.fit(X, y, epochs=300).predict(X)
    array([0, 1, 1, 0])
    """

    _seed: int

    def __init__(
        self,
        layer_sizes: Sequence[int] | NDArray[Any],
        *,
        loss: str | Loss,
        hidden_activation: str | Sequence[str] = "relu",
        output_activation: str | None = None,
        reduction: Literal["mean", "sum", "penalized_mean"] = "mean",
        optimizer: str | Optimizer = "adam",
        l1: float = 0.0,
        l2: float = 0.0,
        dropout: float | Sequence[float] = 0.0,
        initializer: str | Initializer = "auto",
        bias: bool = True,
        dtype: DTypeLike = "float64",
        seed: int | np.random.Generator | None = None,
    ) -> None:
        spec = check_spec(
            layer_sizes,
            loss,
            hidden_activation,
            output_activation,
            reduction,
            l1,
            l2,
            dropout,
            initializer,
            bias,
            dtype,
        )
        self._construct(spec, _as_optimizer(optimizer, spec))
        with _untouched_on_failure(seed):
            self._start(_as_seed(seed))

    def _construct(self, spec: Spec, optimizer: Optimizer) -> None:
        """Make the core's network; it refuses to be made twice."""
        super().__init__(
            spec.layer_sizes,
            spec.activations,
            spec.loss_name,
            spec.loss_parameters,
            spec.reduction == "sum",
            spec.l1,
            spec.l2,
            spec.rates,
            spec.bias,
            spec.dtype,
            penalty_in_mean=spec.reduction == "penalized_mean",
        )
        self._spec = spec
        self._set_optimizer(optimizer.core_settings(), optimizer)

    def _start(self, seed: int) -> None:
        """Draw weights and the dropout key, then forget what was before: a failure while drawing changes nothing."""
        spec = self._spec
        if spec.initializer is None:
            raise ValueError("reset needs the initializer, a function that the model file could not keep")
        rng = np.random.default_rng(seed)
        parameters = np.zeros(self.n_parameters, spec.dtype)
        for i, weights in enumerate(self._unpack(parameters)[0]):
            with np.errstate(over="ignore"):  # answered below
                weights[...] = draw(rng, spec.initializer, weights.shape, spec.activations[i], i + 1)
        if not np.isfinite(parameters).all():
            raise ValueError(f"initializer must return weights that are finite in {spec.dtype}")
        dropout_key = int(rng.integers(2**63)) if any(spec.rates) else 0
        bits = rng.bit_generator
        attributes = {"_seed": seed, "_bit_generator": bits, "_added": {}, "_stop_reason": None, "_best_epoch": None}
        self._restart(parameters, dropout_key, bits, attributes)

    # ---- What it has.

    @property
    def seed(self) -> int:
        """What reset() replays: the seed last given, or the integer drawn where none or a Generator was given."""
        return self._seed

    @property
    def optimizer(self) -> Optimizer:
        """The optimizer; one of the same class as before keeps the state, another starts anew.

        With the state goes what a `ReduceOnPlateau` has come to; other schedules count the epochs of the network. An
        `SGD` with another `classic`, whose velocity means something else, starts anew, too. A velocity rests while the
        momentum is 0; pairs beyond a smaller `history_size` are dropped, the oldest first.
        """
        return self._optimizer

    @optimizer.setter
    def optimizer(self, value: str | Optimizer) -> None:
        optimizer = _as_optimizer(value, self._spec)
        with self._as_writer("optimizer"):
            self._set_optimizer(optimizer.core_settings(), optimizer)

    @property
    def history(self) -> History:
        """What training recorded so far, copied: see `mlpc.History`."""
        with self._as_reader("history"):
            loss, validation_loss, learning_rate = self._history()
            added = full_columns(self._added, len(loss))
            return History(loss, validation_loss, learning_rate, added, self._best_epoch, self._stop_reason)

    def reset(self, seed: int | np.random.Generator | None = None) -> Self:
        """Start over: draw weights again and forget optimizer state, history and counts.

        Parameters
        ----------
        seed : int or numpy.random.Generator, optional
            As in the constructor; None replays the seed last given, there or here.

        Returns
        -------
        Network
            Itself.

        Raises
        ------
        TypeError, ValueError
            If `seed` is not of its type, or the initializer is a function that a model file could not keep.
        RuntimeError
            If the network is in use by another call.

        Examples
        --------
        >>> import mlpc
        >>> net = mlpc.Network([1, 1], loss="squared_error", seed=0)
        >>> first = net.parameters.copy()
        >>> net.fit([[0.0], [1.0]], [0.0, 1.0], epochs=3).reset().epoch
        0
        >>> bool((net.parameters == first).all())
        True
        """
        with self._as_writer("reset"), _untouched_on_failure(seed):
            self._start(self._seed if seed is None else _as_seed(seed))
        return self

    # ---- Keeping it: everything that training on, bit for bit, needs.

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the network to a model file; `mlpc.load` reads it back and training goes on where it was.

        Parameters
        ----------
        path : str or os.PathLike
            Where to; an existing file is replaced only once the new one is complete.

        Raises
        ------
        TypeError
            If `path` is not of its type.
        ValueError
            If the optimizer's schedule is a function: a model file is data, never code.
        OSError
            If the file cannot be written.
        RuntimeError
            If the network is being changed by another call.

        Examples
        --------
        >>> import mlpc, os, tempfile
        >>> net = mlpc.Network([2, 3, 1], loss="squared_error", seed=0)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     net.save(os.path.join(folder, "net.safetensors"))
        ...     again = mlpc.load(os.path.join(folder, "net.safetensors"))
        >>> bool((again.parameters == net.parameters).all())
        True
        """
        from mlpc import io

        io.save(self, path)

    def copy(self, dtype: DTypeLike | None = None) -> Self:
        """Copy everything: parameters, optimizer and its state, counts, random state, history.

        Parameters
        ----------
        dtype : {"float64", "float32"}, optional
            Of the copy; the network's own unless given.

        Returns
        -------
        Network
            One that shares nothing with this one.

        Raises
        ------
        TypeError, ValueError
            If `dtype` is another one, or too small for the parameters or the optimizer's state.
        RuntimeError
            If the network is being changed by another call.

        Examples
        --------
        >>> import mlpc
        >>> net = mlpc.Network([2, 3, 1], loss="squared_error", seed=0)
        >>> net.copy("float32").dtype
        dtype('float32')
        """
        state = self.__getstate__()
        attributes = state["attributes"]
        if dtype is not None:
            attributes["_spec"] = self._spec._replace(dtype=check_dtype(dtype))
            check_loss_range(attributes["_spec"])
            _check_range(state["core"], attributes["_spec"].dtype)
        network = type(self).__new__(type(self))
        network.__setstate__(state)
        return network

    def __copy__(self) -> Self:
        return self.copy()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self).__new__, (type(self),), self.__getstate__()

    def __getstate__(self) -> dict[str, Any]:
        with self._as_reader("copy or save"):
            # No loop with a condition here: Python 3.13 may see Ctrl-C where that jumps back, and forget the lock.
            core = self._get_state()
            attributes = self.__dict__.copy()
            random_state = self._bit_generator.state
            attributes["_added"] = {name: list(column) for name, column in self._added.items()}
        for name in ("_is_fitting", "_as_sklearn", "_rates", "_bit_generator"):
            attributes.pop(name, None)
        return {"core": core, "attributes": attributes, "random_state": random_state}

    def __setstate__(self, state: dict[str, Any]) -> None:
        attributes = state["attributes"]
        self._construct(attributes["_spec"], attributes["_optimizer"])
        self.__dict__.update(attributes, _bit_generator=np.random.PCG64(0))
        self._bit_generator.state = state["random_state"]
        self._set_state(state["core"])
        self._set_bit_generator(self._bit_generator)


def _check_range(core: dict[str, Any], dtype: str) -> None:
    for name in ("parameters", "optimizer_state"):
        values = core[name]
        with np.errstate(over="ignore"):
            lost = np.isfinite(values) & ~np.isfinite(values.astype(dtype))
        if lost.any():
            what = name.replace("_", " ")
            raise ValueError(f"dtype must hold the {what}, of which {values[lost][0]:g} is too large for {dtype}")


def check_network(value: object) -> None:
    """TypeError where `value` is no network: an estimator has one."""
    if not isinstance(value, Network):
        hint = ": pass its network_" if hasattr(value, "network_") else ""
        raise TypeError(f"net must be an mlpc.Network, got {value!r}{hint}")


def _as_optimizer(value: object, spec: Spec) -> Optimizer:
    optimizer = as_optimizer(value)
    if optimizer.full_batch and any(spec.rates):
        name = type(optimizer).__name__
        raise ValueError(f"dropout must be 0 with {name}, whose steps compare gradients; got {spec.dropout!r}")
    return optimizer


@contextmanager
def _untouched_on_failure(seed: object) -> Iterator[None]:
    """After an exception, put a Generator that served as seed back to where it was."""
    if not isinstance(seed, np.random.Generator):
        yield
        return
    state = seed.bit_generator.state
    try:
        yield
    except BaseException:
        seed.bit_generator.state = state
        raise


def _as_seed(seed: object) -> int:
    """Return the integer that `numpy.random.default_rng` gets."""
    if seed is None:
        return cast(int, np.random.SeedSequence().entropy)
    if isinstance(seed, np.random.Generator):
        return int(seed.integers(2**63))
    try:
        return _check.integer("seed", seed, 0, math.inf)
    except TypeError:
        raise TypeError(f"seed must be None, an integer or a numpy.random.Generator, got {seed!r}") from None


def _name_methods() -> None:
    """Methods of its bases are Network's: so messages name them, and so they are pickled."""
    for base in Network.__mro__[1:]:
        for name, method in vars(base).items():
            if isinstance(method, FunctionType) and base.__module__.startswith("mlpc."):
                method.__module__, method.__qualname__ = __name__, f"Network.{name}"


_name_methods()
