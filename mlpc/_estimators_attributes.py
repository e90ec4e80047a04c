"""Fitted attributes of the estimators that are their network's: weights that can be written to, facts that cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, SupportsIndex

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from mlpc.network import Network

SKLEARN_NAMES = {"sigmoid": "logistic"}  # of activations that have another name there


class Parameters(list):  # type: ignore[type-arg]
    """Views of the weights or biases of an estimator's network, its attribute `name`.

    Setting an item gives the estimator a copy of its network with these numbers: arrays that were taken before keep
    theirs, so that they can be put back. A copy of the list is an ordinary one.
    """

    def __init__(self, estimator: Any, name: str) -> None:
        self._estimator, self._name = estimator, name
        super().__init__(self._views(estimator._fitted_network(name)))

    def _views(self, network: Network) -> tuple[NDArray[Any], ...]:
        return network.weights if self._name == "coefs_" else network.biases

    def __setitem__(self, index: SupportsIndex | slice, value: Any) -> None:
        one = not isinstance(index, slice)
        values = [value] if one or not hasattr(value, "__iter__") else list(value)
        of_list = list(range(len(self)))[index]
        places: list[int] = [of_list] if one else of_list  # type: ignore[assignment,list-item]
        views = [self[place] for place in places]
        shapes, expected = [np.shape(item) for item in values], [view.shape for view in views]
        if shapes != expected:
            what = f"{self._name}[{index}] must be an array of shape {expected[0]}, got {shapes[0]}"
            several = f"{self._name} must be arrays of shapes {expected}, got {shapes}"
            raise ValueError(what if one else several)
        try:
            arrays = [np.asarray(item, view.dtype) for item, view in zip(values, views, strict=True)]
        except (TypeError, ValueError) as error:
            raise type(error)(f"{self._name} must hold real numbers: {error}") from None
        network = self._estimator.network_
        if not network._is_fitting:  # else in a callback: that network trains on
            network = network.copy()
        current = self._views(network)
        for place, array in zip(places, arrays, strict=True):
            current[place][...] = array
        self._estimator.network_ = network
        super().__setitem__(slice(None), current)

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[Any, ...]:
        return list, (list(self),)


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
