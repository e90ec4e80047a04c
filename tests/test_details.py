"""Details: each of these could once be broken without a test that failed."""

import gc
import os
import pickle
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
from conftest import assert_close, circles, fingerprint, make_data
from test_training import masks
from wrapper import fit as core_fit
from wrapper import make as core_make
from wrapper import run_python

import mlpc
from mlpc import _progress


@pytest.mark.parametrize("schedule", [mlpc.OneCycle(6), mlpc.CosineDecay(5), mlpc.CosineDecay(6, warmup=3)], ids=repr)
def test_the_history_has_the_rate_of_an_epochs_first_step(schedule):
    """Schedules that act per step: see the rate that the first of four steps had."""
    X, y = make_data(np.random.default_rng(0), 20, 3, 1, "squared_error")
    net = mlpc.Network([3, 2, 1], loss="huber", optimizer=mlpc.SGD(0.001, schedule=schedule), seed=0)
    rates = net.fit(X, y, epochs=4, batch_size=5).history.learning_rate
    warmup = getattr(schedule, "warmup", 0)
    expected = [(e + 0.25) / warmup if e < warmup else schedule(e) for e in range(4)]
    assert rates == pytest.approx(0.001 * np.array(expected), rel=1e-13)


def test_a_schedule_stands_still_within_partial_fit():
    """The epoch count stays, and with it what a schedule says, whatever it does within an epoch of fit."""
    X, y = circles()
    schedule = mlpc.OneCycle(6)
    net = mlpc.Network([2, 4, 1], loss="binary_cross_entropy", optimizer=mlpc.SGD(0.1, schedule=schedule), seed=0)
    plain = mlpc.Network([2, 4, 1], loss="binary_cross_entropy", optimizer="sgd", seed=0)
    for epoch in range(3):
        plain.optimizer = mlpc.SGD(0.1 * schedule(epoch))
        net.partial_fit(X, y, batch_size=16).end_epoch()
        plain.partial_fit(X, y, batch_size=16)
        assert_close(net.parameters, plain.parameters, 1e-13)


def test_a_callback_comes_before_other_reasons_to_stop():
    """In one epoch a callback stops and patience runs out; then with L-BFGS, which converges in that epoch."""
    X, y = circles()

    def third(net, epoch, logs):
        logs["score"] = epoch
        return epoch == 3

    net = mlpc.Network([2, 4, 1], loss="binary_cross_entropy", seed=0)
    net.fit(X, y, callbacks=third, early_stopping=mlpc.EarlyStopping("score", patience=2))
    assert (net.epoch, net.history.stop_reason) == (3, "callback")

    X, y = np.random.default_rng(4).normal(size=(60, 5)), np.random.default_rng(5).normal(size=60)

    def make():
        return mlpc.Network([5, 1], loss="squared_error", optimizer="lbfgs", seed=0)

    last = make().fit(X, y, epochs=200).epoch
    net = make().fit(X, y, epochs=200, callbacks=lambda net, epoch, logs: epoch == last)
    assert (net.epoch, net.history.stop_reason) == (last, "callback")


@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
def test_targets_beyond_float32(loss):
    X, y = make_data(np.random.default_rng(0), 24, 3, 2, loss)
    y[5, 1] = 1e300
    net = mlpc.Network([3, 4, 2], loss=loss, dtype="float32", seed=0)
    before = fingerprint(net)
    for weight in (None, np.ones(24)):
        with pytest.raises(ValueError, match=r"y\[5, 1\] is 1e\+300: it must be within the range of float32"):
            net.fit(X, y, sample_weight=weight)
    assert fingerprint(net) == before


def test_rows_of_probabilities_sum_to_1():
    X, y = np.zeros((3, 2)), np.full((3, 2), 0.5)
    net = mlpc.Network([2, 2], loss="categorical_cross_entropy", seed=0)
    y[1] = [0.5, 0.5005]
    net.objective(X, y)
    y[1] = [0.5, 0.5015]
    with pytest.raises(ValueError, match=r"y\[1\]: it must be a row of probabilities that sum to 1"):
        net.objective(X, y)


def test_the_core_weighs_whole_classes_alone():
    X, y = np.zeros((5, 2)), np.array([0.0, 1.0, 0.5, 1.0, 0.0])
    net = core_make()
    with pytest.raises(ValueError, match=r"y\[2\] is 0\.5: it must be 0 or 1 where class_weight is given"):
        core_fit(net, X, y, class_weight=np.ones(2))


@pytest.mark.parametrize("batch_size", [1, 16, None])  # of 1 without weights: online.c
@pytest.mark.parametrize(
    ("loss", "n_out", "class_weight"),
    [
        ("categorical_cross_entropy", 3, None),
        ("categorical_cross_entropy", 3, {0: 2.0}),
        ("binary_cross_entropy", 1, {0: 2.0}),
    ],
)
@pytest.mark.parametrize("value", [-1.0, 3.0, 1e18, np.nan])
def test_labels_are_checked_at_every_read(loss, n_out, class_weight, batch_size, value):
    """Whatever becomes an index, in more rows than stay converted between the epochs of a call."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40000, 2)), rng.integers(0, 2, 40000).astype(np.float64)
    net = mlpc.Network([2, 3, n_out], loss=loss, optimizer="sgd", seed=0)

    def change(net, epoch, logs):
        y[30001] = value

    with pytest.raises(ValueError, match=r"y\[30001\] is .*: it must be a whole number from 0 to"):
        net.fit(X, y, epochs=3, batch_size=batch_size, class_weight=class_weight, callbacks=change)
    assert net.epoch == 1


@pytest.mark.parametrize("sizes", [[2, 3, 3, 1], [2, 20, 20, 2], [70, 20, 1]], ids=str)
@pytest.mark.parametrize("hidden", ["relu", "gelu"])
def test_rows_of_weight_0_may_overflow_under_dropout(hidden, sizes):
    rng = np.random.default_rng(3)
    net = mlpc.Network(sizes, loss="squared_error", hidden_activation=hidden, dropout=0.5, dtype="float32", seed=0)
    X, y = rng.normal(size=(21, sizes[0])), rng.normal(size=(21, sizes[-1]))
    X[7] = np.finfo(np.float32).max
    net.fit(X, y, sample_weight=np.arange(21) != 7, epochs=5, batch_size=None)  # a warning would be an error
    assert net.epoch == 5


def test_callbacks_write_parameters_under_lbfgs():
    X, y = circles()

    def make():
        return mlpc.Network([2, 4, 1], loss="binary_cross_entropy", optimizer="lbfgs", seed=0)

    def halve(net, epoch, logs):
        net.parameters[:] *= 0.5

    net, by_hand = make().fit(X, y, epochs=3, callbacks=halve), make()
    for _ in range(3):
        by_hand.fit(X, y, epochs=1)
        by_hand.parameters[:] *= 0.5
    assert net.parameters.tobytes() == by_hand.parameters.tobytes()
    assert net.history.loss.tobytes() == by_hand.history.loss.tobytes()


def test_another_history_size_starts_anew():
    X, y = circles()
    net = mlpc.Network([2, 4, 1], loss="binary_cross_entropy", optimizer=mlpc.LBFGS(10), seed=0).fit(X, y, epochs=6)
    fresh = mlpc.Network([2, 4, 1], loss="binary_cross_entropy", optimizer=mlpc.LBFGS(3), seed=0)
    fresh.parameters = net.parameters
    net.optimizer = mlpc.LBFGS(3)
    assert net.fit(X, y, epochs=4).parameters.tobytes() == fresh.fit(X, y, epochs=4).parameters.tobytes()
    net.optimizer = mlpc.LBFGS(3, 1e-9)  # the tolerance alone: the pairs stay
    assert net.fit(X, y, epochs=2).parameters.tobytes() == fresh.fit(X, y, epochs=2).parameters.tobytes()


@pytest.mark.parametrize("n_units", [12, 400])
def test_dropout_of_rows_far_down_a_batch(n_units):
    """Rows are driven through the layers 256 at a time; the next ones have masks of their own."""
    counts = masks(0.5, n_units, 512, batch_size=512)[0, 0] / 2
    assert (counts % 2 == 1).any()  # equal halves would make every count even
    assert abs(counts.mean() - 256) < 5 * np.sqrt(128 / n_units)


def test_dropout_of_layers_of_one_width():
    net = mlpc.Network(
        [1, 200, 200, 1],
        loss="absolute_error",
        hidden_activation="identity",
        bias=False,
        dropout=0.5,
        reduction="sum",
        optimizer=mlpc.SGD(1e-3),
        seed=0,
    )
    before = net.weights[1].copy()
    changed = net.partial_fit([[1.0]], [1e9]).weights[1] != before
    first, second = changed.any(axis=1), changed.any(axis=0)
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.3


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_weight_of_zero_has_no_l1_slope(dtype):
    net = mlpc.Network([2, 3, 1], loss="squared_error", l1=0.5, initializer="zeros", dtype=dtype, seed=0)
    net.weights[0][0, 1] = -2.0
    gradient, _ = net.unpack(net.gradient(np.zeros((4, 2)), np.zeros(4)))
    assert gradient[0].tolist() == [[0, -0.5, 0], [0, 0, 0]]
    assert not gradient[1].any()


def test_records_of_saturated_outputs():
    """dA where an output is exactly right: a part of the formula is 0 / 0, and counts as its factor, 0."""
    net = mlpc.Network([1, 1], loss="binary_cross_entropy", bias=False, seed=0)
    net.parameters = [1.0]
    (record,) = net.backpropagate([[1000.0], [-1000.0]], [1, 0])
    assert record.A.tolist() == [[1], [0]]
    assert record.dA.tolist() == [[-0.5], [0.5]]
    assert record.dZ.tolist() == [[0], [0]]
    net = mlpc.Network([1, 2], loss="categorical_cross_entropy", bias=False, reduction="sum", seed=0)
    net.parameters = [1.0, -1.0]
    (record,) = net.backpropagate([[1000.0]], [0])
    assert record.dA.tolist() == [[-1, 0]]
    net = mlpc.Network([1, 1], loss="poisson", bias=False, seed=0)
    net.parameters = [1.0]
    (record,) = net.backpropagate([[-1000.0]], [0])
    assert record.dA.tolist() == [[1]]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity")
def test_threads_are_those_of_the_processors_allowed():
    code = (
        "import os; one = {min(os.sched_getaffinity(0))}; os.sched_setaffinity(0, one);"
        "import mlpc; print(mlpc._core.N_THREADS)"
    )
    environment = {k: v for k, v in os.environ.items() if k not in ("MLPC_NUM_THREADS", "OMP_NUM_THREADS")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"


def test_who_reads_the_old_file_goes_on_reading_it(tmp_path):
    path = tmp_path / "net.safetensors"
    net = mlpc.Network([2, 3, 1], loss="squared_error", seed=0)
    net.save(path)
    before = path.read_bytes()
    with path.open("rb") as old:
        net.partial_fit([[1.0, 2.0]], [3.0]).save(path)
        assert old.read() == before
    assert path.read_bytes() != before


def test_the_bar_is_closed_whatever_happens(monkeypatch):
    closed = []

    class Bar:
        n, disable, start_t, last_print_t, total = 0, True, 0.0, 0.0, 0

        def __init__(self, **settings): ...
        def set_postfix_str(self, text, refresh): ...
        def update(self, n): ...
        def close(self):
            closed.append(self)

    monkeypatch.setattr(_progress, "_tqdm", lambda: Bar)
    monkeypatch.setattr(_progress, "_PATIENCE", 0.0)
    X, y = circles()
    net = mlpc.Network([2, 4, 1], loss="binary_cross_entropy", seed=0)
    net.fit(X, y, epochs=3, progress=True, callbacks=lambda *_: None)
    assert len(closed) == 1
    with pytest.raises(ZeroDivisionError):
        net.fit(X, y, epochs=3, progress=True, callbacks=lambda *_: 1 / 0 if net.epoch == 5 else None)
    assert len(closed) == 2


def test_warming_up_ends_at_1():
    schedule = mlpc.CosineDecay(10, warmup=2)
    assert [schedule(epoch) for epoch in (0.0, 0.5, 1.0, 1.5)] == [0.5, 0.75, 1.0, 1.0]


def test_the_best_epoch_of_lbfgs_has_its_pairs():
    """What early stopping goes back to trains on like the run itself."""
    X, y = circles()

    def make():
        return mlpc.Network([2, 4, 1], loss="binary_cross_entropy", optimizer="lbfgs", seed=0)

    def score(net, epoch, logs):
        logs["score"] = -epoch if epoch <= 4 else 0

    net = make().fit(X, y, epochs=30, callbacks=score, early_stopping=mlpc.EarlyStopping("score", patience=9))
    assert (net.epoch, net.history.best_epoch) == (13, 4)
    assert net.fit(X, y, epochs=5).parameters.tobytes() == make().fit(X, y, epochs=9).parameters.tobytes()


def test_lbfgs_converges_where_rounding_hides_the_rest():
    """Without a tolerance it ends when neither its pairs nor the gradient itself lead down any more."""
    for seed in range(5):
        rng = np.random.default_rng(seed)
        X, y = rng.normal(size=(40, 3)), (rng.random(40) > 0.5) * 1.0
        settings = {"hidden_activation": "tanh", "dtype": "float32", "l2": 1e-3, "seed": seed}
        net = mlpc.Network([3, 4, 1], loss="huber", optimizer=mlpc.LBFGS(10, 0.0), **settings)
        assert net.fit(X, y, epochs=1000).history.stop_reason == "converged"
        assert net.epoch < 1000


@pytest.mark.parametrize("loss", ["binary_cross_entropy", "categorical_cross_entropy"])
def test_records_of_a_saturated_output_of_weight_0(loss):
    net = mlpc.Network([1, 1 if loss.startswith("b") else 2], loss=loss, seed=0)
    net.weights[0][:] = [[5000.0, 0.0][: net.layer_sizes[-1]]]
    net.biases[0][:] = 0
    record = net.backpropagate([[-1.0], [0.0]], [[1.0, 0.0][: net.layer_sizes[-1]]] * 2, sample_weight=[0, 1])[-1]
    assert (record.dA[0] == 0).all()
    assert np.isfinite(record.dA).all()
    assert (record.dZ[0] == 0).all()


@pytest.mark.parametrize("reduction", ["mean", "penalized_mean", "sum"])
def test_weights_without_an_inverse_are_no_weights(reduction):
    """A batch whose weights have so small a sum that 1 / sum overflows."""
    X, y = np.linspace(-1, 1, 4)[:, None], np.linspace(0, 1, 4)
    nets = [mlpc.Network([1, 1], loss="squared_error", reduction=reduction, l2=0.1, seed=0) for _ in range(2)]
    for net, least in zip(nets, (1e-310, 0.0), strict=True):
        net.fit(X, y, epochs=2, batch_size=1, sample_weight=[1, 1, least, 1], shuffle=False)
        assert net.epoch == 2
    np.testing.assert_allclose(nets[0].parameters, nets[1].parameters, rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bools_of_any_byte(dtype):
    """A view of other bytes as bool: NumPy takes whatever is not 0 for True."""
    net = mlpc.Network([3, 1], loss="squared_error", bias=False, dtype=dtype, seed=0)
    net.parameters[:] = [1, 10, 100]
    X = np.array([[2, 0, 255], [0, 1, 0]], np.uint8).view(bool)
    sparse = scipy.sparse.csr_array(X.astype(float))
    sparse.data = np.array([2, 255, 1], np.uint8).view(bool)
    for rows in (X, np.asfortranarray(X), sparse):
        assert net.predict(rows).ravel().tolist() == [101, 10]


@pytest.mark.parametrize("call", ["activations", "backpropagate"])
def test_no_list_is_seen_before_it_is_complete(call):
    """The garbage collector shows lists to everybody, and half a list has places without an object."""
    net = mlpc.Network([2, 3, 4, 1], loss="squared_error", seed=0)
    expected, seen = len(net.activations(np.zeros((2, 2)))), []

    class Rows:
        def __array__(self, dtype=None, copy=None):
            seen.extend(found for found in gc.get_objects() if type(found) is list and len(found) in (3, expected))
            for found in seen:
                repr([type(item) for item in found])
            return np.zeros((2, 2))

    arguments = (Rows(),) if call == "activations" else (Rows(), np.zeros(2))
    assert len(getattr(net, call)(*arguments)) in (3, expected)
    assert seen


def test_an_optimizer_too_large_for_memory():
    net = mlpc.Network([3000, 3000, 3000], loss="squared_error", initializer="zeros", optimizer=mlpc.SGD(0.25))
    with pytest.raises((MemoryError, ValueError), match="optimizer's state"):
        net.optimizer = mlpc.LBFGS(1_000_000)  # 288 TB
    assert net.optimizer == mlpc.SGD(0.25)
    assert net.partial_fit(np.zeros((1, 3000)), np.zeros((1, 3000))).step == 1


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


def test_copies_beside_training_are_of_one_moment(tmp_path):
    """The random state, the history and what callbacks added belong to the step of the parameters."""
    X, y = np.random.default_rng(0).normal(size=(64, 3)), np.ones(64)

    def make():
        return mlpc.Network([3, 4, 1], loss="squared_error", seed=0)

    def train(net):
        return net.fit(X, y, epochs=1, callbacks=lambda net, epoch, logs: logs.update(twice=2 * epoch))

    reference, expected = make(), {0: fingerprint(make())}
    for _ in range(300):
        train(reference)
        expected[reference.step] = fingerprint(reference)
    net, found, path = make(), [], tmp_path / "net.safetensors"

    def keep():
        calls = (net.copy, lambda: pickle.loads(pickle.dumps(net)), lambda: (net.save(path), mlpc.load(path))[1])
        while net.epoch < 300:
            for call in calls:
                try:
                    found.append(call())
                except RuntimeError:
                    continue

    thread = threading.Thread(target=keep)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        thread.start()
        while net.epoch < 300:
            try:
                train(net)
            except RuntimeError:
                continue
        thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert len(found) > 3
    assert {fingerprint(copy) == expected[copy.step] for copy in found} == {True}


def test_a_second_build_links_what_changed(tmp_path):
    """setup.py compiles by itself: setuptools no longer sees sources, and would take an old extension for a new one."""
    root = Path(__file__).parent.parent
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(root / name, tmp_path)
    (tmp_path / "csrc" / "python").mkdir(parents=True)
    (tmp_path / "mlpc").mkdir()
    source, built = tmp_path / "csrc" / "python" / "module.c", []
    for number in (101, 202):
        source.write_text(
            "#include <Python.h>\n"
            f'static PyModuleDef module = {{PyModuleDef_HEAD_INIT, .m_name = "_core", .m_size = {number}}};\n'
            "PyMODINIT_FUNC PyInit__core(void) { return PyModule_Create(&module); }\n"
        )
        command = [sys.executable, "setup.py", "-q", "build_ext", "--inplace"]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
        built.append(next((tmp_path / "mlpc").glob("_core*")).read_bytes())
    assert built[0] != built[1]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_child_has_no_readers():
    run_python(
        "import os\n"
        "import mlpc\n"
        "net = mlpc.Network([1, 1], loss='squared_error', seed=0)\n"
        "with net._fitting.reading():\n"
        "    try:\n"
        "        net.fit([[1.0]], [1.0])\n"
        "    except RuntimeError as error:\n"
        "        assert 'being copied or saved' in str(error)\n"
        "    else:\n"
        "        raise AssertionError\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        net.fit([[1.0]], [1.0], epochs=1)\n"
        "        os._exit(0)\n"
        "assert os.waitpid(child, 0)[1] == 0\n"
        "assert net.fit([[1.0]], [1.0], epochs=1).epoch == 1\n"
    )
