"""Objective and gradients of a network, as methods: dropout off, penalties in. The arithmetic is the core's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, cast

from mlpc import _core

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

__all__ = ["LayerRecord"]


class LayerRecord(NamedTuple):
    """One layer of a backward pass; n_in and n_out are the layer's inputs and units.

    Attributes
    ----------
    Z, A : ndarray of shape (n_samples, n_out)
        Z = A_before W + b and the activations A = g(Z).
    dA, dZ : ndarray of shape (n_samples, n_out)
        Derivatives of the reduced loss by A and Z.
    dW : ndarray of shape (n_in, n_out)
        A_before^T dZ, without penalties.
    db : ndarray of shape (n_out,)
        Column sums of dZ, also where the network has no biases.

    Examples
    --------
    >>> import mlpc
    >>> net = mlpc.Network([2, 3, 1], loss="binary_cross_entropy", seed=0)
    >>> [record.dW.shape for record in net.backpropagate([[0.0, 1.0]], [1])]
    [(2, 3), (3, 1)]
    """

    Z: NDArray[Any]
    A: NDArray[Any]
    dA: NDArray[Any]
    dZ: NDArray[Any]
    dW: NDArray[Any]
    db: NDArray[Any]


class Evaluation(_core.Network):
    """What `Network` evaluates and differentiates."""

    def objective(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        parameters: ArrayLike | None = None,
    ) -> float:
        """Evaluate what training minimises.

        Parameters
        ----------
        X, y : array-like
            As in `fit`.
        sample_weight : array-like of shape (n_samples,), optional
            Weights of the samples, >= 0, not all zero.
        parameters : array-like of shape (n_parameters,), optional
            Where to evaluate, laid out like `parameters`; the network's own unless given. The network is unchanged.

        Returns
        -------
        float
            Reduced loss + l1 sum|W| + l2/2 sum W²; the penalties divided by the sum of the samples' weights where the
            reduction is "penalized_mean".

        Raises
        ------
        TypeError, ValueError
            If an argument is not of its type, shape or range.
        RuntimeError
            If the network is being changed by another call.

        Examples
        --------
        >>> import mlpc
        >>> net = mlpc.Network([1, 1], loss="squared_error", initializer="zeros")
        >>> net.objective([[0.0], [1.0]], [1.0, 3.0])
        5.0
        """
        return cast(float, self._evaluate(X, y, sample_weight, parameters, "o")[0])

    def gradient(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        parameters: ArrayLike | None = None,
    ) -> NDArray[Any]:
        """Differentiate the objective by the parameters.

        Parameters
        ----------
        X, y : array-like
            As in `fit`.
        sample_weight : array-like of shape (n_samples,), optional
            Weights of the samples, >= 0, not all zero.
        parameters : array-like of shape (n_parameters,), optional
            Where to evaluate; the network's own unless given.

        Returns
        -------
        ndarray of shape (n_parameters,)
            Laid out like `parameters`; `unpack` splits it.

        Raises
        ------
        TypeError, ValueError
            If an argument is not of its type, shape or range.
        RuntimeError
            If the network is being changed by another call.

        Examples
        --------
        >>> import mlpc
        >>> net = mlpc.Network([1, 1], loss="squared_error", initializer="zeros")
        >>> net.gradient([[0.0], [1.0]], [1.0, 3.0])
        array([-3., -4.])
        """
        return cast("NDArray[Any]", self._evaluate(X, y, sample_weight, parameters, "g")[1])

    def objective_and_gradient(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        parameters: ArrayLike | None = None,
    ) -> tuple[float, NDArray[Any]]:
        """Evaluate the objective and its gradient by the parameters in one pass.

        Parameters
        ----------
        X, y : array-like
            As in `fit`.
        sample_weight : array-like of shape (n_samples,), optional
            Weights of the samples, >= 0, not all zero.
        parameters : array-like of shape (n_parameters,), optional
            Where to evaluate; the network's own unless given.

        Returns
        -------
        objective : float
            As from `objective`.
        gradient : ndarray of shape (n_parameters,)
            As from `gradient`.

        Raises
        ------
        TypeError, ValueError
            If an argument is not of its type, shape or range.
        RuntimeError
            If the network is being changed by another call.

        Examples
        --------
        >>> import mlpc
        >>> net = mlpc.Network([1, 1], loss="squared_error", initializer="zeros")
        >>> net.objective_and_gradient([[0.0], [1.0]], [1.0, 3.0])
        (5.0, array([-3., -4.]))
        """
        objective, gradient, _, _ = self._evaluate(X, y, sample_weight, parameters, "og")
        return cast(float, objective), cast("NDArray[Any]", gradient)

    def input_gradient(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        parameters: ArrayLike | None = None,
    ) -> NDArray[Any]:
        """Differentiate the objective by the inputs.

        Parameters
        ----------
        X, y : array-like
            As in `fit`.
        sample_weight : array-like of shape (n_samples,), optional
            Weights of the samples, >= 0, not all zero.
        parameters : array-like of shape (n_parameters,), optional
            Where to evaluate; the network's own unless given.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            Of the reduced objective.

        Raises
        ------
        TypeError, ValueError
            If an argument is not of its type, shape or range.
        RuntimeError
            If the network is being changed by another call.

        Examples
        --------
        >>> import mlpc
        >>> net = mlpc.Network([1, 1], loss="squared_error", reduction="sum", seed=0)
        >>> net.input_gradient([[0.0], [1.0]], [0.0, 0.0], parameters=[2.0, 1.0])
        array([[ 4.],
               [12.]])
        """
        return cast("NDArray[Any]", self._evaluate(X, y, sample_weight, parameters, "i")[2])

    def sample_losses(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        parameters: ArrayLike | None = None,
    ) -> NDArray[np.float64]:
        """Evaluate each sample's loss, without penalties.

        Parameters
        ----------
        X, y : array-like
            As in `fit`.
        sample_weight : array-like of shape (n_samples,), optional
            Weights of the samples, >= 0, not all zero: each loss is multiplied by its own, so that with the reduction
            "sum" they add up to the objective but for penalties.
        parameters : array-like of shape (n_parameters,), optional
            Where to evaluate; the network's own unless given.

        Returns
        -------
        ndarray of float64, shape (n_samples,)
            Losses, summed over the outputs: 0 where the weight is.

        Raises
        ------
        TypeError, ValueError
            If an argument is not of its type, shape or range.
        RuntimeError
            If the network is being changed by another call.

        Examples
        --------
        >>> import mlpc
        >>> net = mlpc.Network([1, 1], loss="squared_error", initializer="zeros")
        >>> net.sample_losses([[0.0], [1.0]], [1.0, 3.0])
        array([1., 9.])
        >>> net.sample_losses([[0.0], [1.0]], [1.0, 3.0], sample_weight=[1.0, 0.5])
        array([1. , 4.5])
        """
        return cast("NDArray[np.float64]", self._evaluate(X, y, sample_weight, parameters, "s")[3])

    def backpropagate(self, X: ArrayLike, y: ArrayLike, *, sample_weight: ArrayLike | None = None) -> list[LayerRecord]:
        """Go forward and backward once and keep everything on the way.

        Parameters
        ----------
        X, y : array-like
            As in `fit`.
        sample_weight : array-like of shape (n_samples,), optional
            Weights of the samples, >= 0, not all zero.

        Returns
        -------
        list of LayerRecord
            Z, A, dA, dZ, dW, db of layer 1, 2, ..., L; without penalties.

        Raises
        ------
        TypeError, ValueError
            If an argument is not of its type, shape or range.
        RuntimeError
            If the network is being changed by another call.

        Notes
        -----
        The last layer first: dZ[L] from loss and output together (a - y for the canonical pairs), times the weight of
        the row and, unless the reduction is "sum", over the sum of all weights; then dW[l] = A[l-1]^T dZ[l],
        db[l] = column sums of dZ[l], dA[l-1] = dZ[l] W[l]^T, dZ[l-1] = dA[l-1] * g'(Z[l-1]).

        Examples
        --------
        >>> import mlpc
        >>> net = mlpc.Network([1, 1], loss="binary_cross_entropy", initializer="zeros")
        >>> (record,) = net.backpropagate([[2.0]], [1])
        >>> float(record.A[0, 0]), float(record.dZ[0, 0]), float(record.dW[0, 0])
        (0.5, -0.5, -1.0)
        """
        return [LayerRecord(*arrays) for arrays in self._backpropagate(X, y, sample_weight)]

    def unpack(self, vector: NDArray[Any]) -> tuple[tuple[NDArray[Any], ...], tuple[NDArray[Any], ...]]:
        """Split a flat vector laid out like the parameters.

        Parameters
        ----------
        vector : ndarray of shape (n_parameters,)
            Parameters, a gradient, a direction; of any dtype, contiguous or not.

        Returns
        -------
        weights, biases : tuple of ndarray
            Views of it, shaped like `net.weights` and `net.biases`.

        Raises
        ------
        TypeError, ValueError
            If `vector` is no array, or not of this shape.

        Examples
        --------
        >>> import mlpc
        >>> net = mlpc.Network([2, 3, 1], loss="squared_error", seed=0)
        >>> weights, biases = net.unpack(net.gradient([[1.0, 2.0]], [0.0]))
        >>> [w.shape for w in weights], [b.shape for b in biases]
        ([(2, 3), (3, 1)], [(3,), (1,)])
        """
        return self._unpack(vector)
