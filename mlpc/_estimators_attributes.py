"""Fitted attributes of the estimators that are their network's: weights that can be written to, facts that cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, SupportsIndex

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mlpc.network import Network

SKLEARN_NAMES = {"sigmoid": "logistic"}  # of activations that have another name there


class Parameters(list):  # type: ignore[type-arg]
    """Views of a network's weights or biases, the attribute `name`; setting an item copies into the network."""

    def __init__(self, name: str, views: Iterable[Any]) -> None:
        super().__init__(views)
        self._name = name

    def __setitem__(self, index: SupportsIndex | slice, value: Any) -> None:
        one = not isinstance(index, slice)
        values = [value] if one or not hasattr(value, "__iter__") else list(value)
        views: list[Any] = [self[index]] if one else self[index]
        shapes, expected = [np.shape(item) for item in values], [view.shape for view in views]
        if shapes != expected:
            what = f"{self._name}[{index}] must be an array of shape {expected[0]}, got {shapes[0]}"
            several = f"{self._name} must be arrays of shapes {expected}, got {shapes}"
            raise ValueError(what if one else several)
        try:
            arrays = [np.asarray(item, view.dtype) for item, view in zip(values, views, strict=True)]
        except (TypeError, ValueError) as error:
            raise type(error)(f"{self._name} must hold real numbers: {error}") from None
        for view, array in zip(views, arrays, strict=True):
            view[...] = array


class OfNetwork:
    """A fitted attribute that says what the network is; assigning anything else to it would have no effect."""

    def __init__(self, read: Callable[[Network], Any], instead: str) -> None:
        self._read, self._instead = read, instead

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, estimator: Any, owner: type | None = None) -> Any:
        return self if estimator is None else self._read(estimator._fitted_network(self._name))

    def __set__(self, estimator: Any, value: Any) -> None:
        there = self.__get__(estimator)
        if np.shape(value) or value != there:
            raise AttributeError(
                f"{self._name} must stay {there!r}, which is the network's, got {value!r}: {self._instead}"
            )
