"""NumPy: the step written by hand, as in a notebook, without needless copies."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from peers import Job
from workloads import LOGISTIC, SOFTMAX, Workload

Array = NDArray[Any]


def sigmoid(z: Array) -> Array:
    result: Array = 1.0 / (1.0 + np.exp(-z))
    return result


# An activation in place, and its derivative from its value.
HIDDEN: dict[str, tuple[Callable[[Array], Array], Callable[[Array], Array]]] = {
    "relu": (lambda z: np.maximum(z, 0.0, out=z), lambda a: a > 0.0),
    "tanh": (lambda z: np.tanh(z, out=z), lambda a: 1.0 - a * a),
    "sigmoid": (sigmoid, lambda a: a * (1.0 - a)),
}


def prepare(work: Workload) -> Job | None:
    if work.hidden not in HIDDEN:  # NumPy has no erf for gelu
        return None
    X, y = work.data()
    y = np.eye(work.layer_sizes[-1], dtype=X.dtype)[y] if work.loss == SOFTMAX else y.reshape(len(y), -1)
    W, b = (list(arrays) for arrays in zip(*work.weights(), strict=True))
    g, derivative = HIDDEN[work.hidden]
    parameters = [array for pair in zip(W, b, strict=True) for array in pair]
    m, v, rooms, gradient = ([np.zeros_like(p) for p in parameters] for _ in range(4))
    t = 0

    def forward(rows: Array) -> list[Array]:
        """Activations of all layers, the inputs first."""
        A = [rows]
        for weight, bias in zip(W, b, strict=True):
            Z = A[-1] @ weight
            Z += bias
            A.append(g(Z) if len(A) < len(W) else Z)
        if work.loss == SOFTMAX:
            out = np.exp(A[-1] - A[-1].max(axis=1, keepdims=True))
            A[-1] = out / out.sum(axis=1, keepdims=True)
        elif work.loss == LOGISTIC or work.output == "sigmoid":
            A[-1] = sigmoid(A[-1])
        return A

    def loss(a: Array, targets: Array) -> float:
        if work.loss == SOFTMAX:
            return float(-np.log((a * targets).sum(axis=1)).mean())
        if work.loss == LOGISTIC:
            return float(-np.log(np.where(targets > 0.5, a, 1.0 - a)).mean())
        return float(0.5 * np.square(a - targets).sum() / len(a))

    def objective_and_gradient(rows: Array, targets: Array) -> tuple[float, list[Array]]:
        """The loss, and the gradient where the last one was: taking large arrays anew costs time."""
        A = forward(rows)
        dZ = A[-1] - targets
        if work.output == "sigmoid":
            dZ *= A[-1] * (1.0 - A[-1])
        dZ /= len(dZ)
        for layer in reversed(range(len(W))):
            np.matmul(A[layer].T, dZ, out=gradient[2 * layer])
            dZ.sum(axis=0, out=gradient[2 * layer + 1])
            if layer:
                dZ = dZ @ W[layer].T
                dZ *= derivative(A[layer])
        return loss(A[-1], targets), gradient

    def step(rows: slice) -> None:
        nonlocal t
        objective_and_gradient(X[rows], y[rows])
        if work.optimizer == "sgd":
            for p, dp in zip(parameters, gradient, strict=True):
                dp *= work.learning_rate
                p -= dp
            return
        t += 1
        correction = (1.0 - 0.999**t) ** 0.5
        rate, epsilon = work.learning_rate * correction / (1.0 - 0.9**t), 1e-8 * correction
        for p, dp, first, second, room in zip(parameters, gradient, m, v, rooms, strict=True):
            np.subtract(dp, first, out=room)
            room *= 0.1
            first += room
            dp *= dp
            dp -= second
            dp *= 0.001
            second += dp
            np.sqrt(second, out=room)
            room += epsilon
            np.divide(first, room, out=room)
            room *= rate
            p -= room

    def train(times: int) -> None:
        for _ in range(sum(work.calls(times))):
            for start in range(0, len(X), work.batch_size):
                step(slice(start, start + work.batch_size))

    value: Any = None

    def evaluate(times: int) -> None:
        nonlocal value
        for _ in range(times):
            value = objective_and_gradient(X, y)

    def predict(times: int) -> None:
        nonlocal value
        (W1, W2), (b1, b2) = W, b
        for _ in range(times):
            hidden = X @ W1
            hidden += b1
            np.maximum(hidden, 0.0, out=hidden)
            value = hidden @ W2
            value += b2

    if work.kind == "train":
        return Job(train, lambda: parameters)
    if work.kind == "gradient":
        return Job(evaluate, lambda: [value[0], *value[1]])
    return Job(predict, lambda: [value])
