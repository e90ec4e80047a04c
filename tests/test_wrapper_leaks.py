"""References, memory and open files stay as they are over many repetitions of each call of the extension."""

import gc
import resource
import sys
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array
from wrapper import ADAM, data, evaluate, fit, make, run_python, start, with_value

import mlpc
from mlpc import _core


def refused(call, error):
    def run():
        try:
            call()
        except error:
            return
        raise AssertionError("accepted")

    return run


def repeated_calls():
    """Every call of the extension by name, refused ones too; and the objects whose references they must keep."""
    X, y = data(64, 8)
    weight, bad = np.ones(64), with_value(X, (3, 1), np.nan)
    net, classes = make((8, 16, 1), optimizer=ADAM), make((8, 16, 3), "categorical_cross_entropy", "float32")
    bits, vector, labels = np.random.default_rng(0).bit_generator, net.parameters.copy(), y.astype(int)
    net._set_bit_generator(bits)
    lists, state = X.tolist(), net._get_state()
    sparse, bad_sparse = csr_array(X), csr_array(X)
    bad_sparse.indices[5] = 99
    row = np.zeros(71)

    def raises(*_):
        raise KeyError

    calls = {
        "construct": lambda: make((32, 64, 1)),
        "refused construction": refused(lambda: make((2, 1), loss_parameters=(1.0, 2.0)), ValueError),
        "predict_proba": lambda: net.predict_proba(X),
        "predict_proba of a list": lambda: net.predict_proba(lists),
        "predict": lambda: (net.predict(X), classes.predict(X)),
        "predict_proba of a sparse array": lambda: net.predict_proba(sparse),
        "refused sparse array": refused(lambda: net.predict_proba(bad_sparse), ValueError),
        "refused shape of a sparse array": refused(lambda: net.predict_proba(sparse[:, :3]), ValueError),
        "refused format": refused(lambda: net.predict_proba(sparse.tocsc()), TypeError),
        "predict with thresholds": lambda: net.predict(X, threshold=[0.3]),
        "predict nan": refused(lambda: net.predict(bad), ValueError),
        "predict complex": refused(lambda: net.predict(X + 1j), TypeError),
        "predict of a wrong shape": refused(lambda: net.predict(weight), ValueError),
        "refused threshold": refused(lambda: net.predict(X, threshold=[3.0]), ValueError),
        "refused argument": refused(lambda: net.predict(X, other=1), TypeError),
        "transform": lambda: net.transform(X, layer=1),
        "refused layer": refused(lambda: net.transform(X, layer=7), ValueError),
        "activations": lambda: classes.activations(X),
        "refused activations": refused(lambda: net.activations(y), ValueError),
        "attributes": lambda: (net.parameters, net.weights, net.biases, net.n_parameters, net.epoch, net.step),
        "private attributes": lambda: (net._kernels, net._evaluations),
        "assign parameters": lambda: setattr(net, "parameters", vector),
        "refused parameters": refused(lambda: setattr(net, "parameters", y), ValueError),
        "unpack": lambda: net._unpack(vector),
        "refused vector": refused(lambda: net._unpack(y), ValueError),
        "evaluate": lambda: evaluate(net, X, y, weight, vector, "ogis"),
        "refused evaluation": refused(lambda: evaluate(net, bad, y, weight, vector, "ogis"), ValueError),
        "refused vector of evaluation": refused(lambda: evaluate(net, X, y, weight, y, "ogis"), ValueError),
        "evaluate windows": lambda: evaluate(net, np.lib.stride_tricks.sliding_window_view(row, 8), y),
        "backpropagate": lambda: net._backpropagate(X, y, weight),
        "refused backpropagation": refused(lambda: net._backpropagate(X, y + 5, weight), ValueError),
        "fit": lambda: fit(net, X, y, batch_size=16, shuffle=True, sample_weight=weight, class_weight=np.ones(2)),
        "reset": lambda: start(net),
        "fit labels": lambda: fit(classes, X, labels, batch_size=16, partial=True),
        "fit with validation": lambda: fit(
            net, X, y, validation_data=(X, y, weight), stopping=(1, False, 3, 0.0, True)
        ),
        "reset again": lambda: start(net, bit_generator=bits),
        "fit with hooks": lambda: fit(
            net, X, y, schedule=("hook", lambda _: 1), epoch_end=lambda *_: (True, 0.0), epochs=3
        ),
        "reset once more": lambda: start(net),
        "fit with a raising hook": refused(lambda: fit(net, X, y, schedule=("hook", raises)), KeyError),
        "refused fit": refused(lambda: fit(net, bad, y, sample_weight=weight), ValueError),
        "refused labels": refused(lambda: fit(classes, X, labels + 7, class_weight=np.ones(3)), ValueError),
        "refused validation": refused(lambda: fit(net, X, y, validation_data=(X, y - 7)), ValueError),
        "refused schedule": refused(lambda: fit(net, X, y, schedule=("none",)), ValueError),
        "set optimizer": lambda: net._set_optimizer(ADAM),
        "refused optimizer": refused(lambda: net._set_optimizer({"rule": "none"}), ValueError),
        "set bit generator": lambda: (net._set_bit_generator(None), net._set_bit_generator(bits)),
        "refused bit generator": refused(lambda: net._set_bit_generator(1), AttributeError),
        "refused reset": refused(lambda: start(net, -1), ValueError),
        "hold": lambda: net._as_writer("this").__enter__() or net._as_writer("this").__exit__(None, None, None),
        "refused hold": refused(lambda: net._as_writer(1), TypeError),
        "history": net._history,
        "get state": net._get_state,
        "set state": lambda: net._set_state(state),
        "refused state": refused(lambda: net._set_state(state | {"history": y}), ValueError),
        "schedule_multiplier": lambda: _core.schedule_multiplier(("step_decay", 3, 0.5), 7),
        "refused schedule_multiplier": refused(lambda: _core.schedule_multiplier(("none",), 7), ValueError),
        "refused docstring": refused(lambda: _core.add_docstring(len, "text"), TypeError),
        "end_epoch": net.end_epoch,
    }
    return calls, (
        X,
        y,
        weight,
        bad,
        vector,
        labels,
        bits,
        net,
        classes,
        state,
        None,
        _core.Network,
        lists,
        sparse.indices,
        row,
    )


def resident():
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def open_files():
    return len(list(Path("/dev/fd").iterdir()))


def measure_leaks():
    """Print what grows over 1,000 repetitions of each call."""
    calls, objects = repeated_calls()
    for name, call in calls.items():
        for _ in range(50):
            call()
        gc.collect()
        counts = [sys.getrefcount(x) for x in objects]
        before = sys.getallocatedblocks(), resident(), open_files()
        for _ in range(1000):
            call()
        gc.collect()
        grown = [
            after - at for after, at in zip((sys.getallocatedblocks(), resident(), open_files()), before, strict=True)
        ]
        references = max(abs(sys.getrefcount(x) - count) for x, count in zip(objects, counts, strict=True))
        if references > 500 or grown[0] > 500 or grown[1] > 600_000 or grown[2] > 0:
            print(f"{name}: {references} references, {grown[0]} blocks, {grown[1]} bytes, {grown[2]} files")


def test_references_memory_and_files_are_flat():
    assert run_python("import test_wrapper_leaks; test_wrapper_leaks.measure_leaks()") == ""


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def measure_wide_rows():
    """Print what calls on rows that are read in place, and on sparse ones, take beside them, in MiB, by name."""
    rng = np.random.default_rng(0)
    X = np.ones((256, 20_000))
    columns = rng.integers(0, 500_000, (256, 20))
    columns.sort()
    sparse = csr_array((np.ones(columns.size), columns.ravel(), np.arange(0, columns.size + 1, 20)), (256, 500_000))
    sparse.sum_duplicates()
    for name, rows in ("dense", X), ("sparse", sparse):
        net = mlpc.Network([rows.shape[1], 1], loss="squared_error", optimizer="sgd", seed=0)
        y = net.predict(rows[:1]).repeat(256)
        net.partial_fit(rows[:8], y[:8])  # the gradient is kept from here on
        before = peak()
        net.partial_fit(rows, y)
        net.predict(rows)
        print(name, (peak() - before) >> 20)


def test_wide_rows_need_no_room_beside_them():
    lines = run_python("import test_wrapper_leaks; test_wrapper_leaks.measure_wide_rows()").splitlines()
    grown = {name: int(mib) for name, mib in map(str.split, lines)}
    assert grown.keys() == {"dense", "sparse"}
    assert max(grown.values()) < 16, grown


def measure_lbfgs():
    """Print how many copies of its parameters a network adds by a fit whose optimizer has room for twenty pairs."""
    X, y = np.random.default_rng(0).normal(size=(50, 500)), np.zeros(50)
    net = mlpc.Network([500, 2000, 1], loss="squared_error", optimizer=mlpc.LBFGS(history_size=20), seed=0)
    before = resident()
    net.fit(X, y, epochs=2)
    print((resident() - before) // net.parameters.nbytes)


def test_an_epoch_of_lbfgs_keeps_no_second_history():
    assert int(run_python("import test_wrapper_leaks; test_wrapper_leaks.measure_lbfgs()")) < 12


def measure_models():
    """Print the bytes that a fitted estimator keeps, for each byte of its parameters."""
    from mlpc.estimators import MLPClassifier

    X, y = np.random.default_rng(0).normal(size=(300, 784)), np.arange(300) % 10
    fitted = [MLPClassifier((100,), max_iter=1).fit(X, y)]
    before = resident()
    fitted += [MLPClassifier((100,), max_iter=1).fit(X, y) for _ in range(10)]
    print((resident() - before) / sum(model.network_.parameters.nbytes for model in fitted[1:]))


def test_a_fitted_estimator_keeps_what_it_has_learned():
    """Parameters and the optimizer's two averages; what the next fit would need is given back."""
    assert (
        float(run_python("import test_wrapper_leaks; test_wrapper_leaks.measure_models()", PYTHONWARNINGS="ignore")) < 4
    )
