"""Who is timed: each function prepares a workload and returns what trains it for a number of epochs.

All start from weights of their own; what they compute a step is the same: forward, loss, backward, update.
"""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from workloads import SIGMOID, SOFTMAX, Workload

import mlpc

Train = Callable[[int], None]


def train_mlpc(work: Workload) -> Train:
    X, y = work.data()
    optimizer: Any = mlpc.SGD(work.learning_rate) if work.optimizer == "sgd" else mlpc.Adam(work.learning_rate)
    net = mlpc.Network(
        work.layer_sizes,
        loss=work.loss,
        hidden_activation=work.hidden_activation,
        optimizer=optimizer,
        dtype="float32",
        seed=0,
    )
    return lambda epochs: void(net.fit(X, y, epochs=epochs, batch_size=work.batch_size, shuffle=False, n_threads=1))


def train_numpy(work: Workload) -> Train:
    """Write the step by hand, as in a notebook."""
    X, y = work.data()
    rng = np.random.default_rng(0)
    pairs = list(zip(work.layer_sizes, work.layer_sizes[1:], strict=False))
    W = [rng.normal(0.0, np.sqrt(2.0 / a), (a, b)).astype(np.float32) for a, b in pairs]
    b = [np.zeros(n, np.float32) for n in work.layer_sizes[1:]]
    parameters = [array for pair in zip(W, b, strict=True) for array in pair]
    m = [np.zeros_like(p) for p in parameters]
    v = [np.zeros_like(p) for p in parameters]
    if work.loss == SOFTMAX:
        y = np.eye(work.layer_sizes[-1], dtype=np.float32)[y]
    y = y.reshape(len(X), -1)
    sigmoid_hidden = work.hidden_activation == "sigmoid"
    t = 0

    def step(rows: slice) -> None:
        nonlocal t
        A = [X[rows]]
        for layer, (weight, bias) in enumerate(zip(W, b, strict=True)):
            Z = A[-1] @ weight
            Z += bias
            A.append(Z if layer + 1 == len(W) else sigmoid(Z) if sigmoid_hidden else np.maximum(Z, 0.0, out=Z))
        out = A[-1]
        if work.loss == SOFTMAX:
            out = np.exp(out - out.max(axis=1, keepdims=True))
            out /= out.sum(axis=1, keepdims=True)
        elif work.loss == SIGMOID:
            out = sigmoid(out)
        dZ = (out - y[rows]) * np.float32((2.0 if work.loss == "squared_error" else 1.0) / len(out))
        gradients: list[NDArray[Any]] = []
        for layer in reversed(range(len(W))):
            gradients[:0] = [A[layer].T @ dZ, dZ.sum(axis=0)]
            if layer:
                dZ = dZ @ W[layer].T
                dZ *= A[layer] * (1.0 - A[layer]) if sigmoid_hidden else A[layer] > 0.0
        t += 1
        if work.optimizer == "sgd":
            for p, g in zip(parameters, gradients, strict=True):
                g *= work.learning_rate
                p -= g
            return
        rate = work.learning_rate * np.sqrt(1.0 - 0.999**t) / (1.0 - 0.9**t)
        for p, g, first, second in zip(parameters, gradients, m, v, strict=True):
            first += 0.1 * (g - first)
            g *= g
            second += 0.001 * (g - second)
            p -= rate * first / (np.sqrt(second) + 1e-8)

    def train(epochs: int) -> None:
        for _ in range(epochs):
            for start in range(0, len(X), work.batch_size):
                step(slice(start, start + work.batch_size))

    return train


def train_sklearn(work: Workload) -> Train:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    X, y = work.data()
    kind = MLPRegressor if work.loss == "squared_error" else MLPClassifier
    model = kind(
        hidden_layer_sizes=work.layer_sizes[1:-1],
        activation={"relu": "relu", "sigmoid": "logistic"}[work.hidden_activation],
        solver=work.optimizer,
        alpha=0.0,
        batch_size=work.batch_size,
        learning_rate_init=work.learning_rate,
        shuffle=False,
        random_state=0,
        tol=0.0,
        n_iter_no_change=10**9,
        momentum=0.0,
        warm_start=True,
    )
    if work.layer_sizes[-1] == 1:
        y = y.ravel()

    def train(epochs: int) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.set_params(max_iter=epochs).fit(X, y)

    return train


def train_torch(work: Workload) -> Train:
    import torch
    from torch import nn

    torch.set_num_threads(1)
    X, y = (torch.from_numpy(array) for array in work.data())
    hidden = nn.ReLU if work.hidden_activation == "relu" else nn.Sigmoid
    layers: list[Any] = []
    for a, b in zip(work.layer_sizes, work.layer_sizes[1:], strict=False):
        layers += [nn.Linear(a, b), hidden()]
    model = nn.Sequential(*layers[:-1])
    losses = {SOFTMAX: nn.CrossEntropyLoss, SIGMOID: nn.BCEWithLogitsLoss, "squared_error": nn.MSELoss}
    criterion = losses[work.loss]()
    if work.loss != SOFTMAX:
        y = y.reshape(len(X), -1)
    kind = torch.optim.SGD if work.optimizer == "sgd" else torch.optim.Adam
    optimizer = kind(model.parameters(), lr=work.learning_rate, fused=True)

    def train(epochs: int) -> None:
        for _ in range(epochs):
            for start in range(0, len(X), work.batch_size):
                rows = slice(start, start + work.batch_size)
                optimizer.zero_grad(set_to_none=True)
                criterion(model(X[rows]), y[rows]).backward()
                optimizer.step()

    return train


PEERS: dict[str, Callable[[Workload], Train]] = {
    "mlpc": train_mlpc,
    "NumPy": train_numpy,
    "scikit-learn": train_sklearn,
    "PyTorch": train_torch,
}


def sigmoid(z: NDArray[Any]) -> NDArray[Any]:
    result: NDArray[Any] = 1.0 / (1.0 + np.exp(-z))
    return result


def void(_: object) -> None:
    """Drop a result."""
