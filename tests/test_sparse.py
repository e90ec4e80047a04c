"""Sparse X: CSR of scipy.sparse gives the bits of the dense array of the same values; nothing it holds is believed."""

import sys
import threading

import numpy as np
import pytest
from conftest import fingerprint
from scipy import sparse
from test_data import DTYPES, results, swapped, unaligned
from wrapper import run_python

import mlpc

CLASSES = [sparse.csr_matrix, sparse.csr_array]
LANES, UNITS, WIDE = (45, 7), (45, 100), (400, 300)  # the last: more than a tile buffer


def messy(n, m, of, index="i4", kind=sparse.csr_array):
    """A matrix with unsorted and repeated indices and empty rows, and the dense array of the same values."""
    rng = np.random.default_rng([n, m])
    counts = rng.integers(0, m, n)
    counts[[0, n // 2, n - 1]] = 0
    counts[1] = 2 * m
    pointers = np.concatenate([[0], np.cumsum(counts)])
    indices = rng.integers(0, m, pointers[-1]).astype(index)
    if np.dtype(of).kind == "b":
        data = rng.integers(0, 2, len(indices)).astype(of)
    elif np.dtype(of).kind in "iu":
        data = rng.integers(0 if np.dtype(of).kind == "u" else -4, 5, len(indices)).astype(of)
    else:
        data = (rng.normal(size=len(indices)) / 2).astype(of)
    dense = np.zeros((n, m), "f4" if of == "f2" else of)
    np.add.at(dense, (np.repeat(np.arange(n), counts), indices), data)
    return with_parts(kind, (n, m), data, indices, pointers.astype(index)), dense


def with_parts(kind, shape, data, indices, pointers):
    """A matrix of these very arrays, good or bad: scipy neither checks nor converts them."""
    X = kind(shape)
    X.data, X.indices, X.indptr = data, indices, pointers
    return X


def parts_of(X):
    return [X.data, X.indices, X.indptr]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("of", DTYPES)
@pytest.mark.parametrize("shape", [LANES, UNITS])
def test_the_bits_of_the_dense_array(shape, of, dtype):
    y = np.random.default_rng(0).normal(size=shape[0])
    for index in ("i4", "i8"):
        for kind in CLASSES:
            X, dense = messy(*shape, of, index, kind)
            before = [part.tobytes() for part in parts_of(X)]
            expected = results(dense, y, dtype=dtype)
            assert results(X, y, dtype=dtype, n_in=shape[1]) == expected
            assert [part.tobytes() for part in parts_of(X)] == before
            if of != "f2":  # scipy has none
                assert np.array_equal(X.toarray(), dense)
                X.sum_duplicates()
                assert results(X, y, dtype=dtype, n_in=shape[1]) == results(X.toarray(), y, dtype=dtype)


def few(n, m, of="f8", per_row=None):
    """A matrix in canonical form with few values in a row (explicit zeros among them), and its dense array."""
    rng = np.random.default_rng([n, m])
    counts = np.full(n, per_row) if per_row is not None else rng.integers(0, m // 8 + 1, n)
    indices = np.concatenate([np.sort(rng.choice(m, k, replace=False)) for k in counts]).astype("i4")
    data = (rng.normal(size=len(indices)) * 4).astype(of)
    data[::7] = 0
    X = with_parts(sparse.csr_array, (n, m), data, indices, np.concatenate([[0], np.cumsum(counts)]).astype("i4"))
    return X, X.toarray()


OPTIMIZERS = [mlpc.SGD(0.01), mlpc.SGD(0.01, momentum=0.9, clip_norm=1.0), mlpc.AdamW(0.01), "rmsprop", "lbfgs"]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("of", ["f4", "i4", "u1", "i8", "?"])
@pytest.mark.parametrize(("n_out", "loss"), [(1, "binary_cross_entropy"), (3, "squared_error"), (20, "squared_error")])
def test_few_values_of_any_kind(n_out, loss, of, dtype):
    """Also where the first layer is the last one, and where some blocks of a batch have too many values."""
    X, _ = few(300, 120, of)
    X = sparse.vstack([X, few(256, 120, of, per_row=60)[0], few(44, 120, of)[0]]).tocsr()
    X.indices, X.indptr = X.indices.astype("i8"), X.indptr.astype("i8")
    y = (np.arange(600)[:, None] * np.arange(1, n_out + 1) % 7 > 3) * 1.0
    seen = set()
    for data in (X, X.toarray()):
        for sizes in ([120, n_out], [120, 7, n_out]):
            net = mlpc.Network(
                sizes, loss=loss, optimizer=mlpc.SGD(1e-4), bias=False, dropout=0.25, dtype=dtype, seed=0
            )
            net.fit(data, y, epochs=2, batch_size=600, n_threads=1 + len(seen) % 2)
            records = [array.tobytes() for record in net.backpropagate(data, y) for array in record]
            seen.add((len(sizes), fingerprint(net), net.predict_proba(data).tobytes(), *records))
    assert len(seen) == 2


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("hidden", [1, 3, 16, 50, 100, 130])
def test_products_of_few_values_have_the_bits_of_all(hidden, dtype):
    """The first layer's products leave the zeros out, whatever the blocks, threads and optimizer."""
    X, dense = few(600, 333)
    y = dense[:, :2] @ [1.0, -1.0] + np.sin(dense[:, 2])
    weights = np.arange(600) % 3 / 2.0
    for optimizer in OPTIMIZERS:
        for batch_size in (32, 500, None) if optimizer != "lbfgs" else (None,):
            seen = set()
            for data in (X, dense):
                for n_threads in (1, 3):
                    net = mlpc.Network(
                        [333, hidden, 5, 1], loss="squared_error", l2=1e-3, optimizer=optimizer, dtype=dtype, seed=0
                    )
                    settings = {"batch_size": batch_size, "epochs": 2, "sample_weight": weights}
                    net.fit(data, y, n_threads=n_threads, validation_data=(data, y), **settings)
                    gradients = net.gradient(data, y), net.input_gradient(data, y), net.predict(data)
                    seen.add((fingerprint(net), *(array.tobytes() for array in gradients)))
            assert len(seen) == 1


def test_a_row_of_too_many_values_among_others_of_few():
    X, dense = few(64, 80)
    full, full_dense = few(3, 80, per_row=70)
    X, dense = sparse.vstack([X, full]).tocsr(), np.vstack([dense, full_dense])
    y = dense[:, 0]
    assert results(X, y, n_in=80) == results(dense, y)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_few_values_are_looked_at_too(value):
    X, _ = few(64, 80, per_row=5)
    X.data[13] = value
    row, column = 13 // 5, X.indices[13]
    net = mlpc.Network([80, 4, 1], loss="squared_error", seed=0)
    with pytest.raises(ValueError, match=rf"X\[{row}, {column}\] is .*: it must be finite"):
        net.fit(X, np.zeros(64))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("of", ["f4", "f8", "i8"])
def test_more_data_than_a_tile_buffer(of, dtype):
    X, dense = messy(*WIDE, of)
    y = np.random.default_rng(0).normal(size=WIDE[0])
    for batch_size in (50, 300, None):
        expected = results(dense, y, dtype=dtype, batch_size=batch_size)
        assert results(X, y, dtype=dtype, batch_size=batch_size, n_in=WIDE[1]) == expected


def test_integers_are_converted_through_float64():
    """And only once what belongs to one column has been added up."""
    indices, pointers = np.zeros(4, "i4"), np.array([0, 2, 3, 4])
    X = with_parts(sparse.csr_array, (3, 1), np.array([2**62, 2**60 + 1, 2**53 + 1, 2**63 - 1]), indices, pointers)
    dense = np.array([[2**62 + 2**60 + 1], [2**53 + 1], [2**63 - 1]])
    for dtype in ("float32", "float64"):
        net = mlpc.Network([1, 1], loss="squared_error", bias=False, dtype=dtype, seed=0)
        net.parameters = [1.0]
        assert net.activations(X)[0].tobytes() == net.predict_proba(X).tobytes() == net.predict_proba(dense).tobytes()


def test_parts_are_read_whatever_their_layout(tmp_path):
    X, dense = messy(*UNITS, "f4")
    y = np.random.default_rng(0).normal(size=UNITS[0])
    expected = results(dense, y)
    data, indices, pointers = parts_of(X)
    for number, part in enumerate(parts_of(X)):
        part.tofile(tmp_path / str(number))
    mapped = [np.memmap(tmp_path / str(i), part.dtype, "r") for i, part in enumerate(parts_of(X))]
    for data_, indices_, pointers_ in [
        (np.repeat(data, 3)[::3], np.repeat(indices, 2)[::2], np.repeat(pointers, 2)[::2]),
        (data[::-1].copy()[::-1], indices[::-1].copy()[::-1], pointers[::-1].copy()[::-1]),
        (unaligned(data), indices, pointers),
        (swapped(data), indices, pointers),
        (data, indices.astype("i8"), pointers),
        (np.append(data, data), np.append(indices, indices), pointers),  # past the last row
        mapped,
    ]:
        assert results(with_parts(sparse.csr_array, X.shape, data_, indices_, pointers_), y, n_in=UNITS[1]) == expected
    for part in parts_of(X):
        part.flags.writeable = False
    assert results(X, y, n_in=UNITS[1]) == expected


def test_everywhere():
    X, dense = messy(60, 20, "f8")
    y = np.arange(60) % 2

    def twins(**settings):
        return [mlpc.Network([20, 5, 1], loss="binary_cross_entropy", seed=0, **settings) for _ in range(2)]

    for settings, arguments in [
        ({"optimizer": "lbfgs"}, {}),
        ({"dropout": 0.3}, {"class_weight": "balanced", "batch_size": 8}),
        ({}, {"early_stopping": mlpc.EarlyStopping(monitor="loss", patience=2)}),
        ({}, {"validation_data": (X[:20], y[:20], np.ones(20))}),
        ({"optimizer": "rprop"}, {"batch_size": 60}),
    ]:
        net, twin = twins(**settings)
        net.fit(X, y, epochs=5, **arguments)
        twin.fit(dense, y, epochs=5, **arguments)
        net.partial_fit(X[30:], y[30:])
        twin.partial_fit(dense[30:], y[30:])
        assert fingerprint(net) == fingerprint(twin)
    assert np.array_equal(net.predict(X), net.predict(dense))
    assert np.array_equal(net.transform(X), net.transform(dense))
    assert np.array_equal(net.forward(X), net.forward(dense))
    gradient = net.input_gradient(X, y)
    assert type(gradient) is np.ndarray
    assert np.array_equal(gradient, net.input_gradient(dense, y))
    for record, other in zip(net.backpropagate(X, y), net.backpropagate(dense, y), strict=True):
        assert all(map(np.array_equal, record, other))
    assert repr(mlpc.check_gradient(net, X[:5], y[:5])) == repr(mlpc.check_gradient(net, dense[:5], y[:5]))
    with pytest.raises(ValueError, match=r"batch_size must be None or at least 60"):
        net.fit(X, y, batch_size=59)


def test_divergence_takes_back():
    X, y = messy(60, 20, "f8")[0], np.zeros(60)
    net = mlpc.Network([20, 5, 1], loss="squared_error", optimizer=mlpc.SGD(1e300), seed=0)
    before = net.parameters.copy()
    with pytest.warns(mlpc.DivergenceWarning):
        net.fit(X, y, epochs=3, batch_size=10)
    assert np.array_equal(net.parameters, before)


# ---- What is refused, and how.


def calls(net, X, y):
    good = np.zeros((len(y), net.layer_sizes[0]))
    return [
        lambda: net.fit(X, y),
        lambda: net.partial_fit(X, y),
        lambda: net.fit(good, y, validation_data=(X, y)),
        lambda: net.gradient(X, y),
        lambda: net.input_gradient(X, y),
        lambda: net.sample_losses(X, y),
        lambda: net.backpropagate(X, y),
        lambda: net.predict(X),
        lambda: net.predict_proba(X),
        lambda: net.transform(X),
        lambda: net.activations(X),
    ]


def refused(error, text, X, y, sizes=(7, 5, 1), prediction=True):
    net = mlpc.Network(list(sizes), loss="binary_cross_entropy", seed=0)
    net.fit(np.ones((4, sizes[0])), np.ones(4), epochs=2, batch_size=2)
    before = fingerprint(net)
    for call in calls(net, X, y)[: None if prediction else 7]:
        with pytest.raises(error, match=text):
            call()
        assert fingerprint(net) == before


@pytest.mark.parametrize("layout", ["csc", "coo", "lil", "dok", "bsr", "dia"])
def test_other_formats(layout):
    for kind in (sparse.eye, sparse.eye_array):
        refused(TypeError, r"CSR format, got a \w+: use .*\.tocsr\(\)", kind(7, format=layout), np.ones(7))


def test_only_x_may_be_sparse():
    X, _ = messy(*LANES, "f8")
    column = sparse.csr_array(np.ones((45, 1)))
    net = mlpc.Network([7, 1], loss="squared_error", seed=0)
    with pytest.raises(TypeError, match=r"y must be dense, got a sparse csr_array: use y\.toarray\(\)"):
        net.fit(X, column)
    with pytest.raises(TypeError, match=r"sample_weight must be dense"):
        net.fit(X, np.ones(45), sample_weight=column)
    with pytest.raises(TypeError, match=r"parameters must be dense"):
        net.parameters = column


def test_shapes():
    refused(ValueError, r"must have shape \(n_samples, 7\), got \(45, 100\)", messy(*UNITS, "f8")[0], np.ones(45))
    refused(ValueError, r"must have at least one row, got shape \(0, 7\)", sparse.csr_array((0, 7)), np.ones(4))
    refused(ValueError, r"must have shape \(n_samples, 7\), got \(7,\)", sparse.csr_array(np.ones(7)), np.ones(4))
    X, _ = messy(*LANES, "f8")
    net = mlpc.Network([7, 1], loss="squared_error", seed=0)
    with pytest.raises(ValueError, match=r"y must have one row for each row of X: 44 and 45"):
        net.fit(X, np.ones(44))


@pytest.mark.parametrize("shape", [LANES, UNITS])
def test_values_that_are_not_finite(shape):
    X, _ = messy(*shape, "f8")
    y, sizes = np.ones(45), (shape[1], 5, 1)
    k = X.indptr[7] + 1
    place = rf"\[7, {X.indices[k]}\]"
    net = mlpc.Network(list(sizes), loss="binary_cross_entropy", seed=0)
    for value, text in [(np.nan, "nan"), (np.inf, "inf"), (-np.inf, "-inf")]:
        X.data[k] = value
        refused(ValueError, rf"{place} is {text}: it must be finite", X, y, sizes, prediction=False)
    X.data[k] = np.nan
    assert np.flatnonzero(np.isnan(net.predict_proba(X))).tolist() == [7]
    with pytest.raises(ValueError, match=r"X\[7\] has outputs that are nan"):
        net.predict(X)
    X.data[k] = 1e300
    narrow = net.copy("float32")
    with pytest.raises(ValueError, match=rf"X{place} is .*e\+300: it must be within the range of float32"):
        narrow.fit(X, y)


def test_duplicates_too_large_for_their_own_dtype():
    values, columns, pointers = np.array([1.0, 3e38, 3e38], np.float32), np.array([1, 0, 0]), np.array([0, 1, 3])
    X = sparse.csr_matrix((values, columns, pointers), shape=(2, 2))
    net = mlpc.Network([2, 1], loss="squared_error", seed=0)
    with pytest.raises(
        ValueError, match=r"X\[1, 0\] is 6.*e\+38: it must be finite when duplicates are added in their own"
    ):
        net.fit(X, [0.0, 1.0])


def damaged(part, place, value, index="i4"):
    X, _ = messy(*LANES, "f8", index)
    getattr(X, part)[place] = value
    return X


@pytest.mark.parametrize("index", ["i4", "i8"])
@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("indices", -1),
        ("indices", 7),
        ("indices", 2**31 - 1),
        ("indices", -(2**31)),
        ("indptr", -1),
        ("indptr", 0),
        ("indptr", 10**6),
        ("indptr", 2**31 - 1),
        ("indptr", -(2**31)),
    ],
)
def test_hostile_indices(part, value, index):
    place = 9
    X = damaged(part, place, value, index)
    if part == "indices":
        row = np.searchsorted(X.indptr, place, side="right") - 1
        reason = f"in columns 0 to 6, not {value} as indices say"
    else:
        row, reason = 8, f"some of {len(X.data)} stored values, not -?[0-9]+ to {value} as indptr says"
    refused(ValueError, rf"(X|validation_data\[0\])\[{row}\]: it must be {reason}", X, np.ones(45))


@pytest.mark.parametrize("value", [-(2**63), 2**63 - 1, 2**32 + 3])
def test_hostile_indices_of_64_bits(value):
    for part in ("indices", "indptr"):
        refused(ValueError, rf"\[\d+\]: it must be .* {value}", damaged(part, 9, value, "i8"), np.ones(45))


def test_a_last_pointer_past_the_end():
    X, _ = messy(*LANES, "f8")
    for last in (len(X.data) + 1, 2**31 - 1):
        refused(ValueError, r"\[44\]: it must be some of", damaged("indptr", -1, last), np.ones(45))


def test_parts_that_do_not_fit_together():
    X, _ = messy(*LANES, "f8")
    data, indices, pointers = parts_of(X)

    def check(error, text, data=data, indices=indices, pointers=pointers):
        refused(error, text, with_parts(sparse.csr_array, LANES, data, indices, pointers), np.ones(45))

    check(ValueError, r"\.indices must be as long as .*\.data: \d+ and \d+", data=data[:-1])
    check(ValueError, r"\.indices must be as long as", indices=indices[:-1])
    check(ValueError, r"\.indptr must have one element more than .* has rows \(45\), got 45", pointers=pointers[:-1])
    check(ValueError, r"\.indptr must have one element more", pointers=pointers[:0])
    check(ValueError, r"\.indptr must have .* \(45\), got 47", pointers=np.append(pointers, pointers[-1:]))
    for first in (1, -1, 2**40):
        changed = np.concatenate([[first], pointers[1:]]).astype("i8")
        check(ValueError, rf"\.indptr must begin with 0, got {first}", pointers=changed)
    check(ValueError, r"\.data must have one dimension, got 2", data=data[None])
    check(ValueError, r"\.indices must have one dimension, got 0", indices=np.array(3))
    check(TypeError, r"must hold real numbers .* got dtype complex128", data=data.astype(complex))
    check(TypeError, r"must hold real numbers .* got dtype object", data=data.astype(object))
    for of in ("i2", "u4", "f8", ">i4", ">i8", "?"):
        check(TypeError, r"\.indices must be of int32 or int64", indices=indices.astype(of))
        check(TypeError, r"\.indptr must be of int32 or int64", pointers=pointers.astype(of))
    check(TypeError, r"\.indices must be of int32 or int64, aligned", indices=unaligned(indices))


# ---- What changes meanwhile.


@pytest.mark.parametrize(("part", "place", "value"), [("indices", 9, 500), ("indptr", 9, -5), ("indptr", 9, 10**6)])
@pytest.mark.parametrize("shape", [LANES, WIDE])
def test_indices_are_checked_in_every_epoch(shape, part, place, value):
    X, dense = messy(*shape, "f8")
    n, m = shape
    if n * m * 8 <= 256 * 1024:  # such data may stay converted: then training goes on with what was
        X, dense = sparse.vstack([X] * 200, format="csr"), np.tile(dense, (200, 1))
    y = np.zeros(len(dense))
    nets = [mlpc.Network([m, 5, 1], loss="squared_error", seed=0) for _ in range(2)]

    def damage(net, epoch, logs):
        if epoch == 2:
            getattr(X, part)[place] = value

    with pytest.raises(ValueError, match=r"X\[\d+\]: it must be"):
        nets[0].fit(X, y, epochs=5, shuffle=False, batch_size=None, callbacks=damage)
    nets[1].fit(dense, y, epochs=2, shuffle=False, batch_size=None)
    assert np.array_equal(nets[0].parameters, nets[1].parameters)
    assert nets[0].epoch == nets[0].step == 2


def test_indices_are_checked_in_every_epoch_of_validation():
    X, dense = messy(*WIDE, "f8")
    net = mlpc.Network([300, 5, 1], loss="squared_error", seed=0)

    def damage(net, epoch, logs):
        X.indices[9] = -1

    with pytest.raises(ValueError, match=r"validation_data\[0\]\[1\]: it must be in columns 0 to 299, not -1"):
        net.fit(dense, np.zeros(400), validation_data=(X, np.zeros(400)), callbacks=damage)


HAMMER = """
import threading, warnings
import numpy as np
from scipy import sparse
import mlpc

warnings.simplefilter("ignore", mlpc.DivergenceWarning)
rng = np.random.default_rng(0)
X = sparse.random_array((3000, 300), density=0.05, rng=rng, format="csr")
y = rng.normal(size=3000)
net = mlpc.Network([300, 8, 1], loss="huber", seed=0)
stop = threading.Event()


def write(array, values):
    kept = array.copy()
    while not stop.is_set():
        array[...] = rng.choice(values, len(array))
        array[...] = kept


parts = [(X.indices, [-1, 300, 2**31 - 1, -2**31, 5]), (X.indptr, [-1, 10**9, 0, 45000])]
threads = [threading.Thread(target=write, args=part) for part in parts]
for thread in threads:
    thread.start()
refused = 0
for i in range(300):
    try:
        (net.fit(X, y, epochs=2) if i % 3 else net.predict(X))
    except ValueError as error:
        assert "X[" in str(error) or "X.indptr must begin with 0" in str(error), error
        refused += 1
stop.set()
for thread in threads:
    thread.join()
assert refused, "nothing was ever found"
assert np.isfinite(net.parameters).all()
net.fit(X, y, epochs=1)
"""


def test_another_thread_writes_indices():
    run_python(HAMMER)


def test_a_bad_row_among_many_threads():
    """The complaint of the thread that met it arrives; the network serves on."""
    run_python(
        "import numpy as np, mlpc\n"
        "from scipy import sparse\n"
        "X = sparse.random_array((20000, 300), density=0.01, rng=np.random.default_rng(0), format='csr')\n"
        "net = mlpc.Network([300, 64, 1], loss='squared_error', seed=0)\n"
        "expected = net.predict_proba(X)\n"
        "assert np.array_equal(expected, net.predict_proba(X.toarray()))\n"
        "kept, X.indices[X.indptr[15432]] = X.indices[X.indptr[15432]], 300\n"
        "for call in (net.predict_proba, net.transform, lambda X: net.gradient(X, np.zeros(20000))):\n"
        "    try:\n"
        "        call(X)\n"
        "    except ValueError as error:\n"
        "        assert 'X[15432]: it must be in columns 0 to 299, not 300' in str(error), error\n"
        "    else:\n"
        "        raise AssertionError\n"
        "X.indices[X.indptr[15432]] = kept\n"
        "assert np.array_equal(expected, net.predict_proba(X))\n",
        MLPC_NUM_THREADS="3",
    )


@pytest.mark.parametrize("part", ["data", "indices", "indptr"])
def test_parts_in_use_cannot_be_resized(part):
    X, _ = messy(*LANES, "f8")
    parts = [array.copy() for array in parts_of(X)]
    X = with_parts(sparse.csr_array, LANES, *parts)
    array = getattr(X, part)
    net = mlpc.Network([7, 1], loss="squared_error", seed=0)
    tried = []

    def resize(net, epoch, logs):
        with pytest.raises(ValueError, match="cannot resize an array that references or is referenced"):
            array.resize(1, refcheck=False)
        tried.append(epoch)

    net.fit(X, np.ones(45), epochs=2, callbacks=resize)
    assert tried == [1, 2]
    setattr(X, part, None)
    array.resize(1, refcheck=False)


def test_arrays_put_in_place_of_others_meanwhile():
    """The arrays that were there are held until the call ends."""
    X, dense = messy(*WIDE, "f8")
    nets = [mlpc.Network([300, 5, 1], loss="squared_error", seed=0) for _ in range(2)]

    def replace(net, epoch, logs):
        X.data, X.indices, X.indptr = X.data[:1] * np.nan, X.indices[:1] - 5, X.indptr[:1]

    nets[0].fit(X, np.ones(400), epochs=3, callbacks=replace)
    nets[1].fit(dense, np.ones(400), epochs=3)
    assert np.array_equal(nets[0].parameters, nets[1].parameters)


def test_many_readers():
    X, dense = messy(*WIDE, "f8")
    net = mlpc.Network([300, 200, 1], loss="squared_error", seed=0)
    expected, got = net.predict_proba(dense), [None] * 4

    def predict(i):
        got[i] = net.predict_proba(X)

    threads = [threading.Thread(target=predict, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(one, expected) for one in got)


def test_scipy_is_not_imported():
    run_python(
        "import sys, numpy as np, mlpc\n"
        "net = mlpc.Network([2, 1], loss='squared_error', seed=0).fit([[0, 1], [1, 0]], [0, 1], epochs=1)\n"
        "net.predict(np.ones((3, 2)))\n"
        "assert not any(name.startswith('scipy') for name in sys.modules)"
    )


# ---- Memory.

MEMORY = """
import threading, time
from pathlib import Path
import numpy as np
from scipy import sparse
import mlpc

n, m = 50_000, 2000  # 800 MB as a dense array
rng = np.random.default_rng(0)
indices = rng.integers(0, m, 5 * n).astype("i4")
X = sparse.csr_array((rng.normal(size=5 * n), indices, np.arange(0, 5 * n + 1, 5)), shape=(n, m))
y = rng.normal(size=n)


def anonymous():
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) * 1024


def watch():
    while not done.is_set():
        peak[0] = max(peak[0], anonymous())
        time.sleep(0.002)


net = mlpc.Network([m, 4, 1], loss="huber", seed=0)
net.fit(X[:1000], y[:1000], epochs=1)
done, before = threading.Event(), anonymous()
peak = [before]
thread = threading.Thread(target=watch)
thread.start()
net.fit(X, y, epochs=1, batch_size=256)
net.fit(X, y, epochs=1, batch_size=None, validation_data=(X, y))
net.gradient(X, y)
net.predict_proba(X)
done.set()
thread.join()
print(peak[0] - before - 8 * n)
"""

if sys.platform == "linux":

    def test_no_dense_copy():
        assert int(run_python(MEMORY)) < 50_000_000
