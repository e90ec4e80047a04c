"""What a network does on its way to those who use it: scalers folded into its layers, and a hash that names it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpc._arrays import as_array
from mlpc.training import Training

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray
    from typing_extensions import Self

    from mlpc._spec import Spec


class Shipping(Training):
    """How `Network` gets ready for data in raw units, and by what it is known."""

    def fold_input(self, mean: ArrayLike, scale: ArrayLike) -> Self:
        """Rewrite the first layer so that the network takes raw inputs: (X - mean) / scale becomes part of it.

        Parameters
        ----------
        mean, scale : float or array-like of shape (n_features,)
            What was subtracted from each input and what the difference was divided by, such as `mean_` and `scale_` of
            scikit-learn's StandardScaler.

        Returns
        -------
        Network
            Itself; its predictions for X are those it gave for (X - mean) / scale before, up to rounding.

        Raises
        ------
        TypeError, ValueError
            If an argument is not of its type or shape, a scale is zero, a mean is not zero and the network has no
            biases to take it up, or a parameter would overflow.
        RuntimeError
            If the network is in use by another call.

        Notes
        -----
        W[1] becomes W[1] / scale by rows and b[1] becomes b[1] - (mean / scale) W[1], worked out in double.

        The state of the optimizer belongs to the old parameters and starts afresh; epochs, steps and history stay.
        Folding is the last thing before shipping: raw inputs are hard to train on, and penalties see other weights.

        Examples
        --------
        >>> import mlpc, numpy as np
        >>> X = np.array([[150.0, 0.1], [170.0, 0.3]])
        >>> mean, scale = X.mean(axis=0), X.std(axis=0)
        >>> net = mlpc.Network([2, 3, 1], loss="squared_error", seed=0)
        >>> before = net.predict((X - mean) / scale)
        >>> np.allclose(net.fold_input(mean, scale).predict(X), before)
        True
        """
        mean, scale = self._as_scaler(mean, scale, self._spec.layer_sizes[0], "input")

        def fold(weights: tuple[NDArray[Any], ...], biases: tuple[NDArray[Any], ...]) -> None:
            scaled = weights[0] / scale[:, np.newaxis]
            if biases:
                biases[0][...] = biases[0] - mean @ scaled
            weights[0][...] = scaled

        return self._fold(fold)

    def fold_output(self, mean: ArrayLike, scale: ArrayLike) -> Self:
        """Rewrite the last layer so that the network gives raw outputs: A * scale + mean becomes part of it.

        Parameters
        ----------
        mean, scale : float or array-like of shape (n_outputs,)
            What was subtracted from each target and what the difference was divided by for training.

        Returns
        -------
        Network
            Itself; its predictions are those before times scale plus mean, up to rounding.

        Raises
        ------
        TypeError, ValueError
            If an argument is not of its type or shape, a scale is zero, the output activation is not the identity, a
            mean is not zero and the network has no biases to take it up, or a parameter would overflow.
        RuntimeError
            If the network is in use by another call.

        Notes
        -----
        W[L] becomes W[L] * scale by columns and b[L] becomes b[L] * scale + mean, worked out in double.

        The state of the optimizer belongs to the old parameters and starts afresh; epochs, steps and history stay.

        Examples
        --------
        >>> import mlpc, numpy as np
        >>> y = np.array([1000.0, 3000.0])
        >>> net = mlpc.Network([2, 3, 1], loss="squared_error", seed=0)
        >>> before = net.predict([[0.0, 1.0], [1.0, 0.0]])
        >>> after = net.fold_output(y.mean(), y.std()).predict([[0.0, 1.0], [1.0, 0.0]])
        >>> np.allclose(after, before * y.std() + y.mean())
        True
        """
        if self._spec.output_activation != "identity":
            expected = "fold_output needs the identity as output activation, where a scale is part of the last layer"
            raise ValueError(f"{expected}; this network has {self._spec.output_activation!r}")
        mean, scale = self._as_scaler(mean, scale, self._spec.layer_sizes[-1], "output")

        def fold(weights: tuple[NDArray[Any], ...], biases: tuple[NDArray[Any], ...]) -> None:
            weights[-1][...] = weights[-1] * scale
            if biases:
                biases[-1][...] = biases[-1] * scale + mean

        return self._fold(fold)

    def _as_scaler(self, mean: ArrayLike, scale: ArrayLike, n: int, what: str) -> tuple[NDArray[Any], NDArray[Any]]:
        arrays = []
        for name, value in (("mean", mean), ("scale", scale)):
            array = as_array(value, name).astype(np.float64)
            if array.shape not in ((), (n,)):
                raise ValueError(f"{name} must be one number or one per {what} ({n}), got shape {array.shape}")
            if not np.isfinite(array).all():
                raise ValueError(f"{name} must be finite, got {value!r}")
            arrays.append(np.broadcast_to(array, n))
        if not arrays[1].all():
            raise ValueError(f"scale must not be zero, got {scale!r}; a constant {what} has the scale 1")
        if arrays[0].any() and not self._spec.bias:
            raise ValueError(f"mean must be zero for a network without biases, which could take it up; got {mean!r}")
        return arrays[0], arrays[1]

    def _fold(self, fold: Callable[[tuple[NDArray[Any], ...], tuple[NDArray[Any], ...]], None]) -> Self:
        """Let `fold` change a copy of weights and biases, then take it over unless a parameter overflowed."""
        with self._as_writer("fold_input, fold_output"):
            state = self._get_state()
            with np.errstate(over="ignore", invalid="ignore"):  # answered below
                fold(*self._unpack(state["parameters"]))
            if not np.isfinite(state["parameters"]).all():
                raise ValueError(f"mean and scale must leave the parameters finite in {self._spec.dtype}")
            state["optimizer_state"][:] = 0
            state["progress"].update(optimizer_step=0, pairs=0, newest_pair=0)
            state["progress"].update(
                plateau_best=math.inf, plateau_multiplier=1.0, plateau_value=-math.inf, plateau_wait=0
            )
            self._set_state(state)
        return self

    def fingerprint(self) -> str:
        """Hash settings and parameters: a name for this network, the same on every machine.

        Returns
        -------
        str
            64 hexadecimal digits. Model files and exports carry it.

        Raises
        ------
        RuntimeError
            If the network is being changed by another call.

        Notes
        -----
        SHA-256 of a JSON object, keys sorted and without spaces, and the parameters, lowest bytes first. The object has
        layer_sizes, activations (one a layer), loss, loss_parameters, reduction, l1, l2, dropout (one a hidden layer),
        bias and dtype. How the network came about and goes on is left out: initializer, seed, optimizer, history.

        Examples
        --------
        >>> import mlpc
        >>> net = mlpc.Network([2, 1], loss="squared_error", initializer="zeros")
        >>> net.fingerprint()
        'aa3f0025e372a8f0edfab11fca73eca4e05879f96a81dfc9f9da6bd59acbf145'
        >>> net.fingerprint() == net.copy().fingerprint()
        True
        """
        return fingerprint(self._spec, self._get_state()["parameters"])


def fingerprint(spec: Spec, parameters: NDArray[Any]) -> str:
    """Return the fingerprint of the network that has them."""
    import hashlib
    import json

    settings = {
        "layer_sizes": spec.layer_sizes,
        "activations": spec.activations,
        "loss": spec.loss_name,
        "loss_parameters": spec.loss_parameters,
        "reduction": spec.reduction,
        "l1": spec.l1,
        "l2": spec.l2,
        "dropout": spec.rates,
        "bias": spec.bias,
        "dtype": spec.dtype,
    }
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True, separators=(",", ":")).encode())
    digest.update(np.ascontiguousarray(parameters, np.dtype(spec.dtype).newbyteorder("<")).data)
    return digest.hexdigest()
