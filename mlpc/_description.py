"""What a network was made as, readable: the arguments of its constructor, which nothing changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from mlpc._spec import Spec
    from mlpc.initializers import Initializer
    from mlpc.losses import Loss


class Description:
    """The specification of `Network`, an attribute each."""

    _spec: Spec

    @property
    def layer_sizes(self) -> tuple[int, ...]:
        """Units of each layer, inputs first."""
        return self._spec.layer_sizes

    @property
    def loss(self) -> str | Loss:
        """The loss, as it was given."""
        return self._spec.loss

    @property
    def hidden_activation(self) -> str | tuple[str, ...]:
        """One name, or one per hidden layer."""
        return self._spec.hidden_activation

    @property
    def output_activation(self) -> str:
        """Activation of the last layer."""
        return self._spec.output_activation

    @property
    def reduction(self) -> str:
        """Either "mean" or "sum"."""
        return self._spec.reduction

    @property
    def l1(self) -> float:
        """Factor of the sum of absolute weights."""
        return self._spec.l1

    @property
    def l2(self) -> float:
        """Factor of half the sum of squared weights."""
        return self._spec.l2

    @property
    def dropout(self) -> float | tuple[float, ...]:
        """One rate, or one per hidden layer."""
        return self._spec.dropout

    @property
    def initializer(self) -> str | Initializer | None:
        """A name or a function; None: a function that a model file could not keep."""
        return self._spec.initializer

    @property
    def bias(self) -> bool:
        """Whether layers have biases."""
        return self._spec.bias

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of parameters and arithmetic."""
        return np.dtype(self._spec.dtype)
