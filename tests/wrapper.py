"""What the tests of the extension module share: a network made without mlpc.Network, data for it, its private calls."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

import mlpc
from mlpc import _core

FIT = {
    "epochs": 1,
    "batch_size": 0,
    "shuffle": False,
    "sample_weight": None,
    "class_weight": None,
    "validation_data": None,
    "schedule": None,
    "stopping": None,
    "epoch_end": None,
    "each_epoch": True,
    "partial": False,
    "n_threads": 0,
    "as_sklearn": False,
}
SGD = {"rule": "sgd", "learning_rate": 0.01}
ADAM = {"rule": "adam", "learning_rate": 0.01, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8}


def make(sizes=(2, 3, 1), loss="binary_cross_entropy", dtype="float64", optimizer=SGD, kernels=None, **changes):
    """A network with parameters drawn from a fixed seed."""
    settings = {
        "activations": ("tanh",) * (len(sizes) - 2) + (_core.LOSSES[loss],),
        "loss_parameters": (),
        "sum": False,
        "l1": 0.0,
        "l2": 0.0,
        "dropout": (0.0,) * (len(sizes) - 2),
        "bias": True,
    } | changes
    net = changes.pop("cls", _core.Network)(
        sizes,
        settings["activations"],
        loss,
        settings["loss_parameters"],
        settings["sum"],
        settings["l1"],
        settings["l2"],
        settings["dropout"],
        settings["bias"],
        dtype,
        kernels,
    )
    net.parameters = np.random.default_rng(1).normal(size=net.n_parameters) / np.sqrt(max(sizes))
    net._set_optimizer(optimizer)
    return net


def data(n=20, n_in=2, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, n_in)), rng.integers(0, 2, n).astype(float)


def fit(net, X, y, **changes):
    return net._fit(X, y, **(FIT | changes))


def start(net, key=0, parameters=None, bit_generator=None):
    net._restart(net.parameters if parameters is None else parameters, key, bit_generator, {})


def evaluate(net, X, y, weight=None, parameters=None, want="og"):
    return net._evaluate(X, y, weight, parameters, want)


def large(**changes):
    """A network and rows on which a pass takes a good while."""
    net = make((64, 256, 256, 1), **changes)
    net._n_threads = 2  # on any machine
    X, y = data(20000, 64)
    return net, X, y


def with_value(array, place, value):
    array = array.copy()
    array[place] = value
    return array


def assert_same_state(a, b):
    assert a["progress"] == b["progress"]
    for name in ("parameters", "optimizer_state", "history"):
        assert a[name].dtype == b[name].dtype
        assert np.array_equal(a[name], b[name], equal_nan=True)


def run_python(code, **environment):
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parent,
        env=os.environ | {"PYTHONPATH": str(Path(mlpc.__file__).parents[1])} | environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout
