"""The same training by PyTorch, and L-BFGS against SciPy's. Needs both; run by `make test-peers`."""

import numpy as np
import pytest
from conftest import assert_close, make_data

import mlpc

pytestmark = pytest.mark.peers

SIZES = [5, 11, 7, 3]


def torch_network(torch, net):
    """A copy of the network's parameters as leaves, in the network's order: weights (n_in, n_out) and biases."""
    leaves = []
    for weight, bias in zip(net.weights, net.biases, strict=True):
        leaves += [torch.tensor(weight.copy(), requires_grad=True), torch.tensor(bias.copy(), requires_grad=True)]
    return leaves


def torch_outputs(torch, leaves, X):
    a = X
    for layer in range(0, len(leaves), 2):
        z = a @ leaves[layer] + leaves[layer + 1]
        a = torch.tanh(z)
    return z


def torch_objective(torch, leaves, X, y):
    return torch.nn.functional.cross_entropy(torch_outputs(torch, leaves, X), y)


def flat(leaves):
    return np.concatenate([leaf.detach().numpy().ravel() for leaf in leaves])


RULES = {
    "sgd": (mlpc.SGD(0.1), lambda o, p: o.SGD(p, lr=0.1)),
    "nesterov": (
        mlpc.SGD(0.05, momentum=0.9, nesterov=True),
        lambda o, p: o.SGD(p, lr=0.05, momentum=0.9, nesterov=True),
    ),
    "adam": (mlpc.Adam(0.01), lambda o, p: o.Adam(p, lr=0.01)),
    "adamw": (
        mlpc.AdamW(0.01, weight_decay=0.1),
        lambda o, p: o.AdamW([{"params": p[::2]}, {"params": p[1::2], "weight_decay": 0.0}], lr=0.01, weight_decay=0.1),
    ),
    "rmsprop": (mlpc.RMSprop(0.003), lambda o, p: o.RMSprop(p, lr=0.003, alpha=0.9)),
    "rmsprop_momentum": (
        mlpc.RMSprop(0.003, momentum=0.5),
        lambda o, p: o.RMSprop(p, lr=0.003, alpha=0.9, momentum=0.5),
    ),
    "rprop": (mlpc.Rprop(), lambda o, p: o.Rprop(p)),
}


@pytest.mark.parametrize("name", RULES)
def test_rules(name):
    import torch

    optimizer, make = RULES[name]
    X, y = make_data(np.random.default_rng(0), 64, SIZES[0], SIZES[-1], "categorical_cross_entropy")
    net = mlpc.Network(SIZES, loss="categorical_cross_entropy", hidden_activation="tanh", optimizer=optimizer, seed=0)
    leaves = torch_network(torch, net)
    peer = make(torch.optim, leaves)
    size = 64 if name == "rprop" else 16
    net.fit(X, y, epochs=20, batch_size=size, shuffle=False)
    for _ in range(20):
        for first in range(0, 64, size):
            peer.zero_grad()
            batch = slice(first, first + size)
            torch_objective(torch, leaves, torch.tensor(X[batch]), torch.tensor(y[batch])).backward()
            peer.step()
    assert_close(net.parameters, flat(leaves), 1e-10)


def test_clipping():
    import torch

    X, y = make_data(np.random.default_rng(0), 64, SIZES[0], SIZES[-1], "categorical_cross_entropy")
    net = mlpc.Network(
        SIZES,
        loss="categorical_cross_entropy",
        hidden_activation="tanh",
        optimizer=mlpc.SGD(0.5, clip_norm=0.2),
        seed=0,
    )
    leaves = torch_network(torch, net)
    peer = torch.optim.SGD(leaves, lr=0.5)
    net.fit(X, y, epochs=20, batch_size=None)
    for _ in range(20):
        peer.zero_grad()
        torch_objective(torch, leaves, torch.tensor(X), torch.tensor(y)).backward()
        torch.nn.utils.clip_grad_norm_(leaves, 0.2)
        peer.step()
    assert_close(net.parameters, flat(leaves), 1e-10)


@pytest.mark.parametrize("history_size", [10, 4])
def test_lbfgs_follows_torch(history_size):
    """One iteration of PyTorch's an epoch; its search takes 25 evaluations at most, so max_eval is 1 + 25."""
    import torch

    X, y = make_data(np.random.default_rng(1), 80, SIZES[0], SIZES[-1], "categorical_cross_entropy")
    net = mlpc.Network(
        SIZES, loss="categorical_cross_entropy", hidden_activation="tanh", optimizer=mlpc.LBFGS(history_size), seed=0
    )
    leaves = torch_network(torch, net)
    peer = torch.optim.LBFGS(
        leaves,
        lr=1,
        max_iter=1,
        max_eval=26,
        history_size=history_size,
        tolerance_grad=1e-7,
        tolerance_change=1e-9,
        line_search_fn="strong_wolfe",
    )

    def closure():
        peer.zero_grad()
        objective = torch_objective(torch, leaves, torch.tensor(X), torch.tensor(y))
        objective.backward()
        return objective

    losses = [float(peer.step(closure).detach()) for _ in range(20)]
    net.fit(X, y, epochs=20)
    assert_close(net.history["loss"], losses, 1e-7)
    assert_close(net.parameters, flat(leaves), 1e-7)


def labels(rng, X):
    return (X @ rng.normal(size=(4, 3)) + rng.gumbel(size=(150, 3))).argmax(axis=1)


def coins(rng, X):
    return rng.random(150) < 1 / (1 + np.exp(-X @ rng.normal(size=4)))


def numbers(rng, X):
    return X @ rng.normal(size=(4, 2)) + 0.1 * rng.normal(size=(150, 2))


# Problems with one minimum, and starts of a network from which both find the same.
SCIPY = [([4, 3], "categorical_cross_entropy", labels, seed) for seed in range(5)]
SCIPY += [([4, 1], "binary_cross_entropy", coins, seed) for seed in range(5)]
SCIPY += [([4, 2], "squared_error", numbers, seed) for seed in range(5)]
SCIPY += [([4, 6, 3], "categorical_cross_entropy", labels, seed) for seed in range(1, 5)]


@pytest.mark.parametrize(("sizes", "loss", "targets", "seed"), SCIPY)
def test_lbfgs_against_scipy(sizes, loss, targets, seed):
    """Scipy's objective, at its own tolerances, is reached with at most 1.5 times its evaluations."""
    from scipy.optimize import minimize

    rng = np.random.default_rng(seed)
    X = rng.normal(size=(150, 4))
    y = targets(rng, X)
    net = mlpc.Network(sizes, loss=loss, hidden_activation="tanh", l2=1e-3, optimizer="lbfgs", seed=seed)
    peer = minimize(
        lambda p: net.objective_and_gradient(X, y, parameters=p),
        net.parameters.copy(),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 10_000},
    )
    goal = peer.fun * (1 + 1e-7)
    net.fit(X, y, epochs=1000, callbacks=lambda net, epoch, logs: net.objective(X, y) <= goal)
    assert net.objective(X, y) <= goal
    assert net._evaluations <= 1.5 * peer.nfev
