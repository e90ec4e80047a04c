"""What a network is, checked: sizes, activations, loss, penalties. Nothing that training changes."""

from __future__ import annotations

import sys
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from mlpc import _check, _core
from mlpc.initializers import check_initializer
from mlpc.losses import Loss

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import DTypeLike, NDArray

    from mlpc.initializers import Initializer

_OUTPUT_ONLY = ("softmax", "exp")  # each belongs to one loss
HIDDEN_ACTIVATIONS = tuple(name for name in _core.ACTIVATIONS if name not in _OUTPUT_ONLY)
_OWN_OUTPUT_ONLY = ("binary_cross_entropy", "categorical_cross_entropy", "poisson")  # computed from the logits

T = TypeVar("T")


class Spec(NamedTuple):
    """A checked specification; the names are those of `Network`'s arguments."""

    layer_sizes: tuple[int, ...]
    loss: str | Loss
    hidden_activation: str | tuple[str, ...]
    output_activation: str
    reduction: str
    l1: float
    l2: float
    dropout: float | tuple[float, ...]
    initializer: str | Initializer | None  # None: a function that a model file could not keep
    bias: bool
    dtype: str

    @property
    def n_layers(self) -> int:
        """L, the number of layers of weights."""
        return len(self.layer_sizes) - 1

    @property
    def n_outputs(self) -> int:
        """K, the number of outputs."""
        return self.layer_sizes[-1]

    @property
    def n_parameters(self) -> int:
        """N, the number of weights and biases."""
        return sum((n_in + self.bias) * n_out for n_in, n_out in pairwise(self.layer_sizes))

    @property
    def activations(self) -> tuple[str, ...]:
        """One name a layer, the output's last."""
        hidden = self.hidden_activation
        names = (hidden,) * (self.n_layers - 1) if isinstance(hidden, str) else hidden
        return (*names, self.output_activation)

    @property
    def rates(self) -> tuple[float, ...]:
        """One dropout rate a hidden layer."""
        return (self.dropout,) * (self.n_layers - 1) if isinstance(self.dropout, float) else self.dropout

    @property
    def loss_name(self) -> str:
        """The loss by its name."""
        return self.loss if isinstance(self.loss, str) else self.loss.name

    @property
    def loss_parameters(self) -> tuple[float, ...]:
        """The loss's numbers; none for the defaults."""
        return () if isinstance(self.loss, str) else self.loss.parameters()


def check_spec(
    layer_sizes: Sequence[int] | NDArray[Any],
    loss: str | Loss,
    hidden_activation: str | Sequence[str],
    output_activation: str | None,
    reduction: str,
    l1: float,
    l2: float,
    dropout: float | Sequence[float],
    initializer: str | Initializer,
    bias: bool,
    dtype: DTypeLike,
) -> Spec:
    """Return the specification, or raise the TypeError or ValueError that says what is wrong with it."""
    sizes = _sizes(layer_sizes)
    n_hidden = len(sizes) - 2
    loss = _loss(loss, sizes[-1])
    activation = partial(_check.choice, known=HIDDEN_ACTIVATIONS)
    spec = Spec(
        layer_sizes=sizes,
        loss=loss,
        hidden_activation=_each("hidden_activation", hidden_activation, n_hidden, activation),
        output_activation=_output(output_activation, loss if isinstance(loss, str) else loss.name),
        reduction=_check.choice("reduction", reduction, ("mean", "sum", "penalized_mean")),
        l1=_check.real("l1", l1, ge=0),
        l2=_check.real("l2", l2, ge=0),
        dropout=_each("dropout", dropout, n_hidden, partial(_check.real, ge=0, lt=1)),
        initializer=check_initializer(initializer),
        bias=_check.flag("bias", bias),
        dtype=check_dtype(dtype),
    )
    if spec.n_parameters > sys.maxsize // 8:
        raise ValueError(f"layer_sizes {list(sizes)} make more parameters than memory can address: {spec.n_parameters}")
    check_loss_range(spec)
    return spec


def check_loss_range(spec: Spec) -> None:
    """Refuse numbers of a loss that are in range, but not any more in the network's dtype."""
    with np.errstate(over="ignore", under="ignore"):  # answered below
        rounded = np.array(spec.loss_parameters).astype(spec.dtype)
    highest = 1.0 if spec.loss_name == "quantile" else np.inf
    if not ((rounded > 0) & (rounded < highest)).all():
        raise ValueError(f"loss must have settings that are in range in {spec.dtype}, too, got {spec.loss!r}")


def check_dtype(dtype: DTypeLike) -> str:
    """Return "float32" or "float64"."""
    expected = "dtype must be float32 or float64"
    if dtype is None:
        raise TypeError(f"{expected}, got None")
    try:
        found = np.dtype(dtype)
    except (TypeError, ValueError, SyntaxError):  # NumPy evaluates texts with commas
        raise ValueError(f"{expected}, got {dtype!r}") from None
    if found not in (np.float32, np.float64):
        raise ValueError(f"{expected}, got {found}")
    return "float32" if found == np.float32 else "float64"


def _sizes(layer_sizes: object) -> tuple[int, ...]:
    expected = "layer_sizes must be a sequence of at least two integers, the inputs first"
    if not _check.is_list(layer_sizes):
        raise TypeError(f"{expected}, got {layer_sizes!r}")
    sizes: Sequence[Any] = layer_sizes  # type: ignore[assignment]
    if len(sizes) < 2:
        raise ValueError(f"{expected}, got {layer_sizes!r}")
    return tuple(_check.integer(f"layer_sizes[{i}]", n, 1) for i, n in enumerate(sizes))


def _each(name: str, value: Any, n_hidden: int, check: Callable[[str, Any], T]) -> T | tuple[T, ...]:
    if not _check.is_list(value):
        return check(name, value)
    if len(value) != n_hidden:
        raise ValueError(f"{name} must be one value or one per hidden layer ({n_hidden}), got {len(value)}: {value!r}")
    return tuple(check(f"{name}[{i}]", item) for i, item in enumerate(value))


def _loss(loss: object, n_outputs: int) -> str | Loss:
    if not isinstance(loss, Loss):
        if not isinstance(loss, str):
            raise TypeError(f"loss must be a name or an object such as mlpc.Huber(1.0), got {loss!r}")
        return _check.choice("loss", loss, _core.LOSSES)
    if len(loss.parameters()) not in (1, n_outputs):
        raise ValueError(f"loss must have one parameter or one per output ({n_outputs}), got {loss!r}")
    return loss


def _output(activation: str | None, loss: str) -> str:
    own = _core.LOSSES[loss]
    if activation is None:
        return own
    if loss not in _OWN_OUTPUT_ONLY:
        return _check.choice("output_activation", activation, HIDDEN_ACTIVATIONS)
    if activation != own:
        raise ValueError(f"output_activation must be {own!r} (or None) with loss={loss!r}, got {activation!r}")
    return own
