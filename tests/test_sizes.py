"""Odd sizes of everything at once: widths, batches, dtypes, activations and losses against the NumPy twin, and the same
bits over threads and instruction sets.

The cases are drawn once, from a fixed seed; every regime and every edge of a tile is met by several.
"""

import itertools
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
from conftest import make_data
from reference import ACTIVATIONS, LOSSES, Twin

import mlpc
from mlpc import _core

SIZES = (1, 2, 3, 5, 7, 17, 31, 33, 63, 65, 127, 129, 1000)
ROWS = (*SIZES, 16, 32, 48, 64)  # whole vectors of samples, in which wide layers are gone back through another way
MOST_PRODUCTS = 4e6  # of one forward pass: the twin's time


def cases(n, seed, most=MOST_PRODUCTS, least=0.0):
    """Layer sizes, rows, activations of the hidden layers and a loss, n of each."""
    rng, found = np.random.default_rng(seed), []
    while len(found) < n:
        sizes = [int(width) for width in rng.choice(SIZES, rng.integers(2, 5))]
        rows = int(rng.choice(ROWS))
        products = rows * sum(a * b for a, b in itertools.pairwise(sizes))
        hidden = [str(name) for name in rng.choice(list(ACTIVATIONS), len(sizes) - 2)]
        loss = list(LOSSES)[len(found) % len(LOSSES)]
        if loss == "categorical_cross_entropy":
            sizes[-1] = max(2, sizes[-1])
        if least <= products <= most:
            found.append((sizes, rows, hidden, loss))
    return found


def build(case, dtype, **settings):
    """A network with parameters that keep its activations of order 1, and data for it in its dtype."""
    sizes, rows, hidden, loss = case
    rng = np.random.default_rng([rows, *sizes])
    net = mlpc.Network(sizes, loss=loss, hidden_activation=hidden, dtype=dtype, seed=0, **settings)
    vector = rng.normal(size=net.n_parameters)
    for weight in Twin(sizes).unpack(vector)[0]:
        weight *= 1.0 / math.sqrt(len(weight))
    net.parameters = vector
    X, y = make_data(rng, rows, sizes[0], sizes[-1], loss)
    return net, X.astype(dtype), y if y.dtype == np.int64 else y.astype(dtype)


def apart(got, expected):
    """The distance, relative to the expected array and never to less than 1e-3 an element."""
    expected = np.asarray(expected, dtype=np.float64)
    assert np.shape(got) == expected.shape
    return np.linalg.norm(got - expected) / (np.linalg.norm(expected) + 1e-3 * math.sqrt(expected.size))


# The way back from its second layer is a sum of more terms than a panel of weights has rows.
DEEP = ([3, 200, 1100, 2], 16, ["tanh", "tanh"], "squared_error")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_twin(dtype):
    tolerance = 1e-4 if dtype == "float32" else 1e-11
    for case in (*cases(600, seed=1), DEEP):
        net, X, y = build(case, dtype)
        sizes, _, hidden, loss = case
        twin = Twin(sizes, hidden, loss)
        expected = twin.evaluate(net.parameters, X, y)
        objective, gradient = net.objective_and_gradient(X, y)
        assert apart(net.forward(X), expected.A[-1]) < tolerance, case
        assert apart(objective, expected.objective) < tolerance, case
        assert apart(net.input_gradient(X, y), expected.input_gradient) < tolerance, case
        for got, wanted in zip(net.unpack(gradient), twin.unpack(expected.gradient), strict=True):
            for a, b in zip(got, wanted, strict=True):  # each weight matrix and bias by itself
                assert apart(a, b) < tolerance, (case, a.shape)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_step_is_the_gradient_times_the_rate(dtype):
    """Training has kernels of its own where the update is fused into the products."""
    for case in cases(300, seed=2):
        net, X, y = build(case, dtype, optimizer=mlpc.SGD(0.125))
        before, gradient = net.parameters.copy(), net.gradient(X, y)
        net.fit(X, y, epochs=1, batch_size=None)
        assert apart((before - net.parameters) / 0.125, gradient) < (1e-4 if dtype == "float32" else 1e-12), case


def trained(case, dtype, optimizer, n_threads, dropout, **more):
    net, X, y = build(case, dtype, optimizer=optimizer, dropout=dropout, **more)
    net.parameters *= 0.3  # none of them diverges
    full = isinstance(optimizer, mlpc.LBFGS | mlpc.Rprop)
    net.fit(X, y, epochs=2, batch_size=None if full else max(1, 2 * len(X) // 3), n_threads=n_threads)
    results = [net.parameters, net.history.loss, net.predict_proba(X), net.gradient(X, y), net.sample_losses(X, y)]
    return b"".join(result.tobytes() for result in results)


RULES = [
    mlpc.SGD(1e-3),
    mlpc.SGD(1e-3, momentum=0.9, nesterov=True),
    mlpc.Adam(),
    mlpc.AdamW(),
    mlpc.RMSprop(1e-4, momentum=0.5),
    mlpc.Rprop(1e-3),
    mlpc.LBFGS(),
    mlpc.SGD(1e-3, clip_norm=0.1),
]


def settings(i):
    """Optimizer and dropout of the i-th case."""
    optimizer = RULES[i % len(RULES)]
    return optimizer, 0.0 if i % 3 or isinstance(optimizer, mlpc.LBFGS | mlpc.Rprop) else 0.3


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_threads_leave_the_bits_alone(dtype):
    """Steps from a million to a hundred million operations: sharing begins at one million."""
    for i, case in enumerate(cases(64, seed=3, least=2e5, most=2e7)):
        optimizer, dropout = settings(i)
        alone = trained(case, dtype, optimizer, 1, dropout)
        for n_threads in (2, 3, 16):
            assert trained(case, dtype, optimizer, n_threads, dropout) == alone, (case, optimizer, n_threads)


@pytest.mark.parametrize("left", [1, 3, 4, 7])
def test_a_short_batch_after_batches_in_parts(left):
    """Threads have parts of the others; it is no part of anything."""
    X, y = make_data(np.random.default_rng(8), 128 + left, 40, 3, "squared_error")
    results = set()
    for n_threads in (1, 2, 3):
        net = mlpc.Network([40, 100, 60, 3], loss="squared_error", seed=0)
        net.fit(X, y, epochs=2, batch_size=64, n_threads=n_threads)
        results.add(net.parameters.tobytes())
    assert len(results) == 1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rule", [mlpc.Adam, mlpc.AdamW])
def test_an_update_within_the_products_leaves_the_bits_alone(rule, dtype):
    """The norm of a gradient is known when all of it is: its limit keeps the update out of the products."""
    for i, case in enumerate(cases(150, seed=5)):
        n_threads, more = 1 + i % 3, {"l2": 0.01, "reduction": "penalized_mean"} if i % 2 else {}
        apart_from_them = trained(case, dtype, rule(clip_norm=1e30), n_threads, 0.0, **more)
        assert trained(case, dtype, rule(), n_threads, 0.0, **more) == apart_from_them, case


@pytest.mark.parametrize("settings", [{"l1": 0.01}, {"l2": 0.1, "reduction": "penalized_mean"}], ids=repr)
@pytest.mark.parametrize("batch_size", [8, 32])
def test_penalties_that_an_update_within_the_products_has_not(batch_size, settings):
    """One by l1, and one that is divided by a sum of weights: such steps follow the products."""
    rng, results = np.random.default_rng(9), set()
    X, y = make_data(rng, 64, 70, 1, "squared_error")
    for clip_norm in (None, 1e30):
        net = mlpc.Network(
            [70, 129, 1], loss="squared_error", optimizer=mlpc.Adam(clip_norm=clip_norm), seed=0, **settings
        )
        net.fit(X, y, epochs=2, batch_size=batch_size, sample_weight=1 + np.arange(64))
        results.add(net.parameters.tobytes() + net.history.loss.tobytes())
    assert len(results) == 1


STEPS_BY_ROWS = [
    mlpc.SGD(1e-3),
    mlpc.SGD(1e-3, classic=True),
    mlpc.SGD(1e-3, momentum=0.9),
    mlpc.SGD(1e-3, momentum=0.9, nesterov=True),
    mlpc.Adam(),
    mlpc.AdamW(weight_decay=0.1),
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", STEPS_BY_ROWS, ids=repr)
@pytest.mark.parametrize(
    "sizes", [[3, 64, 100, 3], [70, 129, 64], [90, 250, 1], [30, 16, 25, 32, 7, 1], [700, 640, 401, 10]], ids=str
)
def test_a_step_by_few_samples_leaves_the_bits_alone(sizes, optimizer, dtype):
    """Layers take it row by row, alone or in parts of the rows; a limit to the norm keeps them from that."""
    rng = np.random.default_rng(6)
    loss = "categorical_cross_entropy" if sizes[-1] > 1 else "huber"
    for rows in (*range(1, 10), 19, 20, 32, 33):
        X, y = make_data(rng, 2 * rows + 1, sizes[0], sizes[-1], loss)
        X[rng.random(X.shape) < 0.8] = 0
        results = set()
        for n_threads, clip_norm, sparse in [(1, 1e30, False), (1, None, False), (3, None, False), (2, None, True)]:
            net = mlpc.Network(
                sizes,
                loss=loss,
                hidden_activation="tanh",
                optimizer=optimizer.replace(clip_norm=clip_norm),
                reduction="penalized_mean",
                l2=0.01 * (rows % 2),
                dropout=0.2 * (rows % 3 == 0),
                dtype=dtype,
                seed=0,
            )
            net.fit(scipy.sparse.csr_array(X) if sparse else X, y, epochs=2, batch_size=rows, n_threads=n_threads)
            results.add(net.parameters.tobytes() + net.history.loss.tobytes())
        assert len(results) == 1, rows


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("sizes", [[300, 64, 10], [301, 25, 1], [50, 129, 17, 1], [303, 40]], ids=str)
def test_a_sample_multiplied_by_the_way_has_the_same_bits(sizes, dropout, dtype):
    """Beside the step of the one before it, where it lies as it is wanted; not where the parameters change between."""
    rng = np.random.default_rng(8)
    X, y = rng.normal(size=(9, sizes[0])).astype("float32"), rng.normal(size=(9, sizes[-1]))
    turned, other = X[::-1].copy()[::-1], "float64" if dtype == "float32" else "float32"
    results = set()
    for shuffle in (False, True):
        for data in (X.astype(dtype), X.astype(other), turned.astype(dtype), scipy.sparse.csr_array(X)):
            for clip_norm in (None, 1e30):
                net = mlpc.Network(
                    sizes,
                    loss="squared_error",
                    hidden_activation="tanh",
                    optimizer=mlpc.SGD(1e-3, clip_norm=clip_norm),
                    dropout=dropout if len(sizes) > 2 else 0.0,
                    dtype=dtype,
                    seed=0,
                )

                def shrink(net, epoch, logs):
                    net.parameters *= 0.9

                net.fit(data, y, epochs=3, batch_size=1, shuffle=shuffle, callbacks=shrink)
                net.partial_fit(data, y, batch_size=1)
                results.add((shuffle, net.parameters.tobytes() + net.history.loss.tobytes()))
    assert len(results) == 2


FEW_SAMPLES = """
import hashlib, sys
sys.path.insert(0, {tests!r})
import numpy as np
import mlpc, test_sizes
X, y = np.random.default_rng(7).normal(size=(40, 700)), np.arange(40) % 10
for dtype in ("float32", "float64"):
    for optimizer in test_sizes.STEPS_BY_ROWS:
        for batch_size in (1, 8, 18, 32):
            results = set()
            for n_threads in (1, 2):
                net = mlpc.Network([700, 640, 401, 25, 10], loss="categorical_cross_entropy", optimizer=optimizer,
                                   dtype=dtype, l2=0.01, seed=0)
                net.fit(X, y, epochs=1, batch_size=batch_size, n_threads=n_threads)
                results.add(hashlib.sha256(net.parameters.tobytes()).hexdigest())
            assert len(results) == 1, (optimizer, batch_size)
            print(*results)
"""


def test_steps_by_few_samples_of_every_instruction_set():
    """Not every layer takes them row by row, nor does every set have kernels for the other ways."""
    digests = {}
    for kernels in _core.KERNELS:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", FEW_SAMPLES.format(tests=str(Path(__file__).parent))],
            env=os.environ | {"MLPC_ISA": kernels},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (kernels, done.stderr)
        if kernels != "generic":  # multiplies and adds in two steps
            digests[kernels] = done.stdout
    assert len(set(digests.values())) <= 1


DIGEST = """
import hashlib, sys
sys.path.insert(0, {tests!r})
import test_sizes
for dtype in ("float32", "float64"):
    for i, case in enumerate(test_sizes.cases(96, seed=4, most=1e6)):
        optimizer, dropout = test_sizes.settings(i)
        print(hashlib.sha256(test_sizes.trained(case, dtype, optimizer, 2, dropout)).hexdigest())
"""


def test_instruction_sets_leave_the_bits_alone():
    code, digests = DIGEST.format(tests=str(Path(__file__).parent)), {}
    for kernels in _core.KERNELS:
        if kernels == "generic":  # multiplies and adds in two steps
            continue
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", code],
            env=os.environ | {"MLPC_ISA": kernels},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        digests[kernels] = done.stdout.split()
        assert len(digests[kernels]) == 192
    assert len({tuple(digest) for digest in digests.values()}) <= 1, digests


LOSSES_OF_A_LOGIT = {  # for the targets 0 and 1
    "binary_cross_entropy": (lambda z: np.logaddexp(0, z), lambda z: np.logaddexp(0, -z)),
    "categorical_cross_entropy": (lambda z: np.logaddexp(0, -z), lambda z: np.logaddexp(0, z)),
    "poisson": (np.exp, lambda z: np.exp(z) - 1 - z),
    "log_cosh": (lambda z: np.logaddexp(z, -z) - np.log(2), lambda z: np.logaddexp(z - 1, 1 - z) - np.log(2)),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("loss", LOSSES_OF_A_LOGIT)
def test_losses_at_the_edges_of_exp(loss, dtype):
    """Where exp overflows, and where its result is subnormal or nothing; at zeros and at subnormal numbers."""
    info, K = np.finfo(dtype), 2 if loss == "categorical_cross_entropy" else 1
    edges = np.log([float(info.max), float(info.tiny), float(info.smallest_subnormal), float(info.eps)])
    z = np.concatenate([edges * scale for scale in (1, -1, 0.5, -0.5, 1 - 1e-6, 1 + 1e-6, 1e4, -1e4)])
    z = np.concatenate([z, [0.0, -0.0, info.smallest_subnormal, -info.tiny, info.tiny]]).astype(dtype)
    if loss == "poisson":
        z = z[z < 0.999 * edges[0]]
    net = mlpc.Network([1, K], loss=loss, dtype=dtype, bias=False, seed=0)
    net.parameters = np.eye(1, K).ravel()  # the first logit is x, the other one 0
    for target in (0, 1):
        y = np.full(len(z), target)
        with np.errstate(under="ignore"):
            expected = LOSSES_OF_A_LOGIT[loss][target](z.astype(np.float64))
        error = np.abs(net.sample_losses(z[:, None], y) - expected)
        small = float(info.smallest_subnormal) if loss in ("binary_cross_entropy", "poisson") else float(info.eps)
        slack = 4 * small + 4 * float(info.eps) * (expected + (loss == "poisson") * target)
        assert (error <= slack).all(), z[error > slack]
        assert not np.isnan(net.gradient(z[:, None], y)).any()
        assert not np.isnan(net.input_gradient(z[:, None], y)).any()


@pytest.mark.parametrize("wide", ["inputs", "hidden", "outputs"])
def test_networks_of_very_many_units(wide):
    """Blocks have fewer rows: nothing else changes."""
    sizes = {"inputs": [70_000, 3, 2], "hidden": [2, 70_000, 2], "outputs": [2, 3, 70_000]}[wide]
    X, y = np.random.default_rng(0).normal(size=(300, sizes[0])), np.random.default_rng(1).normal(size=(300, sizes[-1]))
    net = mlpc.Network(sizes, loss="squared_error", hidden_activation="tanh", dtype="float32", seed=0)
    hidden = np.tanh(X @ net.weights[0] + net.biases[0])
    outputs = hidden @ net.weights[1] + net.biases[1]
    np.testing.assert_allclose(net.predict(X), outputs, atol=1e-3 * abs(outputs).max())
    gradient = hidden.T @ (2 * (outputs - y)) / 300
    found = net.unpack(net.gradient(X, y))[0][1]
    np.testing.assert_allclose(found, gradient, atol=2e-3 * abs(gradient).max())


@pytest.mark.parametrize("n_threads", [1, 3])
def test_any_number_of_rows_through_a_layer_of_very_many_units(n_threads):
    """Its blocks have 32 rows; each row comes out as it does alone."""
    X = np.random.default_rng(0).normal(size=(133, 140_000)).astype("float32")
    net = mlpc.Network([140_000, 2], loss="squared_error", dtype="float32", seed=0)
    net._n_threads = n_threads
    alone = [net.predict_proba(row[None]).tobytes() for row in X]
    for n in (31, 32, 33, 40, 63, 64, 65, 95, 97, 128, 133):
        assert net.predict_proba(X[:n]).tobytes() == b"".join(alone[:n]), n


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("units", [1, 2, 3, 4, 5])
def test_any_number_of_rows_through_a_layer_of_few_units(units, dtype):
    """Each unit's are dot products: of one row or many, of sparse ones, shared by threads, the same."""
    rng = np.random.default_rng(units)
    X = rng.normal(size=(150, 5003)).astype(dtype)
    X[:, rng.random(5003) < 0.9] = 0
    y = rng.normal(size=150).astype(dtype)
    settings = {"loss": "squared_error", "hidden_activation": "tanh", "dtype": dtype, "seed": 0}
    net = mlpc.Network([5003, units, 20, 1], **settings)
    hidden = np.tanh(X.astype("float64") @ net.weights[0] + net.biases[0])
    np.testing.assert_allclose(net.transform(X, layer=1), hidden, rtol=0, atol=1e-5 if dtype == "float32" else 1e-12)
    alone = [net.predict_proba(row[None]).tobytes() for row in X]
    for n in (2, 7, 8, 9, 15, 17, 31, 33, 65, 150):
        for data in (X[:n], scipy.sparse.csr_array(X[:n])):
            assert net.predict_proba(data).tobytes() == b"".join(alone[:n]), n
    seen = set()
    for n_threads, data in [(1, X), (2, X), (3, X), (16, X), (2, scipy.sparse.csr_array(X))]:
        net = mlpc.Network([5003, units, 20, 1], **settings)
        net.fit(data, y, epochs=2, batch_size=64, n_threads=n_threads)
        seen.add(net.parameters.tobytes())
    assert len(seen) == 1
