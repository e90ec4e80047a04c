"""Data in place: every form of X, y and weights gives the bits of the contiguous float64 array of the same values."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from conftest import fingerprint, make_data
from wrapper import fit as core_fit
from wrapper import make as core_make

import mlpc
from mlpc._arrays import as_array

DTYPES = ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8"]
SIZES = [(45, 7), (1, 1), (130, 33)]


def numbers(n, m, dtype):
    """Values that the dtype holds: whole numbers, with fractions and signs where it has them."""
    rng = np.random.default_rng([n, m])
    kind = np.dtype(dtype).kind
    if kind == "b":
        return rng.integers(0, 2, (n, m)).astype(dtype)
    if kind in "iu":
        return rng.integers(0 if kind == "u" else -4, 5, (n, m)).astype(dtype)
    return rng.normal(size=(n, m)).astype(dtype)


def unaligned(array):
    memory = np.zeros(array.nbytes + 1, dtype=np.uint8)[1:]
    view = memory.view(array.dtype).reshape(array.shape)
    view[...] = array
    return view


def strided(array):
    wide = np.full(tuple(3 * n for n in array.shape), 77).astype(array.dtype)
    view = wide[(slice(1, None, 3),) * array.ndim]
    view[...] = array
    return view


def reversed_twice(array, order="C"):
    back = (slice(None, None, -1),) * array.ndim
    return array[back].copy(order)[back]


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


def swapped(array):
    return array.astype(array.dtype.newbyteorder())


def record_field(array):
    """Rows of a structured array: a stride that is no multiple of the element."""
    records = np.zeros(len(array), dtype=[("flag", "u1"), ("values", array.dtype, array.shape[1:])])
    records["values"] = array
    return records["values"]


def before_a_flag(array):
    """The same, but the first row is aligned."""
    records = np.zeros(len(array), dtype=[("values", array.dtype, array.shape[1:]), ("flag", "u1")])
    records["values"] = array
    return records["values"]


LAYOUTS = {
    "contiguous": np.ascontiguousarray,
    "fortran": np.asfortranarray,
    "unaligned": unaligned,
    "strided": strided,
    "reversed": reversed_twice,
    "fortran_reversed": lambda array: reversed_twice(array, "F"),
    "read_only": read_only,
    "swapped": swapped,
    "swapped_strided": lambda array: strided(swapped(array)),
    "record_field": record_field,
    "before_a_flag": before_a_flag,
    "fortran_before_a_flag": lambda array: before_a_flag(array.T).T,
    "list": np.ndarray.tolist,
}


def results(X, y, *, loss="squared_error", dtype="float64", n_out=1, weight=None, n_in=None, batch_size=16):
    """The bits of all that reads data: a shuffled fit, predictions, both gradients, losses, hidden outputs."""
    n_in = np.asarray(X).shape[1] if n_in is None else n_in
    net = mlpc.Network(
        [n_in, 9, n_out], loss=loss, hidden_activation="tanh", dtype=dtype, optimizer=mlpc.SGD(0.01), seed=1
    )
    arrays = [net.gradient(X, y, sample_weight=weight), net.input_gradient(X, y, sample_weight=weight)]
    net.fit(X, y, epochs=2, batch_size=batch_size, sample_weight=weight, validation_data=(X, y))
    arrays += [net.parameters, net.predict_proba(X), net.sample_losses(X, y), *net.activations(X)]
    arrays += [net.history["loss"], net.history["validation_loss"]]
    return [array.tobytes() for array in arrays]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("of", DTYPES)
@pytest.mark.parametrize(("n", "m"), SIZES)
def test_forms_of_X(n, m, of, dtype):
    X = numbers(n, m, of)
    y = np.random.default_rng(0).normal(size=n)
    expected = results(X.astype(np.float64), y, dtype=dtype)
    for name, layout in LAYOUTS.items():
        form = layout(X)
        before = np.array(form)
        assert results(form, y, dtype=dtype, n_in=m) == expected, name
        assert np.array(form).tobytes() == before.tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_more_data_than_a_tile_buffer(layout, dtype):
    """Converted tile by tile, again in every epoch; full batches and large ones as well."""
    X = numbers(3000, 40, "f4")
    y = np.random.default_rng(0).normal(size=3000)
    for batch_size in (700, None):
        expected = results(X.astype(np.float64), y, dtype=dtype, batch_size=batch_size)
        assert results(LAYOUTS[layout](X), y, dtype=dtype, batch_size=batch_size) == expected


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("of", DTYPES)
def test_forms_of_y(of, dtype):
    X = numbers(45, 4, "f8")
    columns = numbers(45, 3, of)
    for y in (columns, columns[:, :1]):
        expected = results(X, y.astype(np.float64), dtype=dtype, n_out=y.shape[1])
        for name, layout in LAYOUTS.items():
            assert results(X, layout(y), dtype=dtype, n_out=y.shape[1]) == expected, name
    for name, layout in LAYOUTS.items():
        assert results(X, layout(columns[:, 0]), dtype=dtype) == expected, name
    assert results(X, columns[:, :1][:, ::-1], dtype=dtype) == expected


@pytest.mark.parametrize("of", DTYPES)
def test_forms_of_labels(of):
    X = numbers(45, 4, "f8")
    n_classes = 2 if of == "?" else 5
    labels = np.random.default_rng(0).integers(0, n_classes, 45)
    y = labels.astype(of)
    for loss, n_out in (("categorical_cross_entropy", n_classes), ("binary_cross_entropy", 1)):
        if n_out == 1:
            labels, y = labels % 2, (labels % 2).astype(of)
        expected = results(X, labels, loss=loss, n_out=n_out)
        for name, layout in LAYOUTS.items():
            assert results(X, layout(y), loss=loss, n_out=n_out) == expected, name
            assert results(X, layout(y[:, None]), loss=loss, n_out=n_out) == expected, name


@pytest.mark.parametrize("of", DTYPES)
def test_forms_of_weights(of):
    X, y = numbers(45, 4, "f8"), numbers(45, 1, "f8")
    weight = np.abs(numbers(45, 1, of).astype(np.float64)[:, 0]).astype(of)
    expected = results(X, y, weight=weight.astype(np.float64))
    for name, layout in LAYOUTS.items():
        assert results(X, y, weight=layout(weight)) == expected, name


def test_conversion_goes_through_float64():
    """Whole numbers that float64 rounds one way and a direct conversion to float32 another."""
    tricky = np.array([[2**60 + 2**36 + 1], [2**53 + 1], [-(2**62) - 1], [2**24 + 1]], dtype=np.int64)
    for of in (np.int64, np.uint64):
        X = np.abs(tricky).astype(of)
        for dtype in ("float32", "float64"):
            net = mlpc.Network([1, 1], loss="squared_error", bias=False, dtype=dtype, seed=0)
            net.parameters = [1.0]
            assert net.predict_proba(X).tobytes() == X.astype(np.float64).astype(dtype).tobytes()


def test_half_precision():
    """All of float16's numbers, subnormal ones, infinities and NaN included."""
    X = np.arange(2**16, dtype=np.uint16).view(np.float16)
    for dtype in ("float32", "float64"):
        for n_columns in (1, 7, 64, 2**10):
            rows = X[: X.size // n_columns * n_columns].reshape(-1, n_columns)
            net = mlpc.Network([n_columns, 1], loss="squared_error", dtype=dtype, seed=0)
            for form in (rows, swapped(rows), np.asfortranarray(rows), np.repeat(rows, 2, axis=1)[:, ::2]):
                inputs = net.activations(form)[0]
                np.testing.assert_array_equal(inputs, rows.astype(dtype), strict=True)
                np.testing.assert_array_equal(np.signbit(inputs), np.signbit(rows))


def test_repeated_rows_and_columns_without_memory():
    row, column = numbers(1, 6, "f8"), numbers(40, 1, "f8")
    y = numbers(40, 1, "f4")
    for X in (np.broadcast_to(row, (40, 6)), np.broadcast_to(column, (40, 6))):
        assert results(X, y) == results(X.copy(), y)
    constant = np.broadcast_to(np.array(0.5), (40, 1))
    X = numbers(40, 3, "f8")
    assert results(X, constant) == results(X, constant.copy())


def test_memory_maps(tmp_path):
    X, y = numbers(45, 7, "f4"), numbers(45, 1, "f8")
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "y.npy", y)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r"), np.load(tmp_path / "y.npy", mmap_mode="r")
    assert results(*mapped) == results(X.astype(np.float64), y)


def test_frames():
    X, y = numbers(45, 3, "f8"), numbers(45, 1, "f8")
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    assert results(frame, pd.Series(y[:, 0])) == results(X, y)
    mixed = pd.DataFrame({"a": X[:, 0], "b": X[:, 1] > 0, "c": pd.array(range(45), dtype="Int64")})
    plain = np.column_stack([X[:, 0], X[:, 1] > 0, np.arange(45)])
    assert results(mixed, y, n_in=3) == results(plain, y)
    net = mlpc.Network([3, 1], loss="huber", seed=0)
    with pytest.raises(TypeError, match="town"):
        net.fit(mixed.assign(c="x").rename(columns={"c": "town"}), y)
    with pytest.raises(ValueError, match="X"):
        net.fit(mixed.assign(c=pd.array([None] * 45, dtype="Int64")), y)


class Watched(mlpc.Network):
    """A network that keeps what the core is given to train on."""

    def _fit(self, X, *args, **more):
        self.given = X
        return super()._fit(X, *args, **more)


def test_rows_of_frames_are_put_together_for_shuffling():
    X, y = numbers(45, 3, "f8"), numbers(45, 1, "f8")
    by_columns = np.asfortranarray(X)
    frame = pd.DataFrame(by_columns, columns=["a", "b", "c"])
    assert frame.to_numpy().flags.f_contiguous
    net = Watched([3, 1], loss="huber", seed=0)
    assert net.fit(frame, y, epochs=1).given.flags.c_contiguous
    assert net.fit(frame.astype("f4"), y, epochs=1).given.dtype == np.float32
    for settings in ({"shuffle": False}, {"batch_size": None}, {"batch_size": 45}):
        assert net.fit(frame, y, epochs=1, **settings).given is frame
    assert net.fit(by_columns, y, epochs=1).given is by_columns  # an array is never copied
    assert results(frame, y) == results(by_columns, y) == results(X, y)


@pytest.mark.parametrize("dtype", ["?", "i4", "u1", "f2", "f4", "f8"])
def test_frames_of_one_dtype_are_read_in_place(dtype):
    X = np.asfortranarray(numbers(45, 3, dtype))
    array = as_array(pd.DataFrame(X, copy=False), "X")
    assert np.shares_memory(array, X)
    assert results(pd.DataFrame(X), X[:, :1]) == results(X, X[:, :1])


def test_columns_of_objects_that_are_numbers():
    net = mlpc.Network([2, 1], loss="squared_error", seed=0)
    first = [1.0, 2.0]
    for objects, numbers in (
        ([1, None], [1, np.nan]),
        ([True, pd.NA], [1, np.nan]),
        ([np.True_, None], [1, np.nan]),
        ([3, np.float32(0.5)], [3, 0.5]),
    ):
        column = pd.Series(objects, dtype=object)
        expected = net.forward(np.column_stack([first, numbers]))
        np.testing.assert_array_equal(net.forward(pd.DataFrame({"a": first, "b": column})), expected)
        np.testing.assert_array_equal(
            net.forward(pd.DataFrame({"a": pd.Series(first, dtype=object), "b": column})), expected
        )
    net.fit(np.eye(2), pd.Series([1, 2], dtype=object), epochs=1)
    times = pd.Timestamp(0), np.datetime64("2020-01-01"), np.timedelta64(5, "s")
    for wrong in (["1", "2"], [1, "x"], [b"1", 2], [bytearray(b"1"), 2], [1j, 2], [[1], [2]], times[:2], [times[2], 1]):
        with pytest.raises(TypeError, match="X must hold real numbers, got column 'b' of dtype object"):
            net.forward(pd.DataFrame({"a": first, "b": pd.Series(wrong, dtype=object)}))
    with pytest.raises(TypeError, match="y must hold real numbers"):
        net.fit(np.eye(2), pd.Series([10**400, 1], dtype=object))


def test_pandas_own_arrays():
    X, labels = numbers(45, 3, "f8"), np.arange(45) % 2
    expected = results(X, labels.astype(np.float64))
    whole = pd.array(labels, dtype="Int64")
    assert isinstance(pd.DataFrame({"t": whole})["t"].values, type(whole))
    categories = pd.Categorical(labels)
    for y in (whole, whole.astype("Float64"), pd.array(labels > 0), categories, pd.Series(categories)):
        assert results(X, y) == expected
    net = mlpc.Network([1, 1], loss="huber", seed=0)
    dates = pd.array(pd.to_datetime(["2020-01-01"] * 2))
    for y in (pd.array(["x", "y"]), pd.Categorical(["x", "y"]), dates):
        hint = "$" if y is dates else ": numpy.unique.* numbers labels$"
        with pytest.raises(TypeError, match=f"y must hold real numbers, got dtype .* from a {type(y).__name__}{hint}"):
            net.fit([[0.0], [1.0]], y)
    for y in (["x", "y"], np.array(["x", "y"]), pd.Series(["x", "y"])):
        with pytest.raises(TypeError, match=r"y must hold real numbers.*, got dtype .* numbers labels$"):
            net.fit([[0.0], [1.0]], y)
    with pytest.raises(TypeError, match="y must hold real numbers, got column 'town' of dtype category"):
        net.fit([[0.0], [1.0]], pd.Series(pd.Categorical(["x", "y"]), name="town"))
    with pytest.raises(TypeError, match="y must hold real numbers"):
        net.fit([[0.0]], pd.Timestamp(0))
    for y in (pd.array([1, None], dtype="Int64"), pd.Categorical([1, None])):
        with pytest.raises(ValueError, match=r"y\[1\] is nan"):
            net.fit([[0.0], [1.0]], y)


def test_subclasses_and_array_like_objects():
    X, y = numbers(45, 3, "f8"), numbers(45, 1, "f8")

    class Wrapped:
        def __array__(self, dtype=None, copy=None):
            return X if dtype is None else X.astype(dtype)

    assert results(Wrapped(), y, n_in=3) == results(X, y)
    assert results(np.ma.masked_array(X), y) == results(X, y)
    assert results(X.astype(np.longdouble), y.astype(np.longdouble)) == results(X, y)
    assert results(pd.DataFrame(X.astype(np.longdouble)), y) == results(X, y)
    assert results([tuple(row) for row in X.tolist()], y.tolist()) == results(X, y)


def test_arguments_are_left_alone():
    """Nothing is written into what came in, writable as it is."""
    X, y = make_data(np.random.default_rng(0), 60, 4, 3, "categorical_cross_entropy")
    weight = np.random.default_rng(1).random(60)
    kept = [array.copy() for array in (X, y, weight)]
    net = mlpc.Network([4, 6, 3], loss="categorical_cross_entropy", dropout=0.2, seed=0)
    elsewhere = net.parameters * 2
    kept.append(elsewhere.copy())
    net.fit(X, y, epochs=3, sample_weight=weight, class_weight="balanced", validation_data=(X, y, weight))
    net.partial_fit(X, y, sample_weight=weight)
    for call in (net.objective, net.gradient, net.input_gradient, net.sample_losses):
        call(X, y, sample_weight=weight, parameters=elsewhere)
    net.backpropagate(X, y)
    for call in (net.predict, net.predict_proba, net.transform, net.activations):
        call(X)
    net.parameters = elsewhere
    net.fit(X, y, epochs=1)
    for array, before in zip((X, y, weight, elsewhere), kept, strict=True):
        assert array.tobytes() == before.tobytes()


def test_results_are_the_callers_own():
    """What a network returns shares no memory with it or with X, except the views that it promises."""
    X = numbers(20, 4, "f8")
    net = mlpc.Network([4, 5, 2], loss="huber", seed=0)
    y = numbers(20, 2, "f8")
    for array in (*net.activations(X), net.predict_proba(X), net.predict(X), net.gradient(X, y), net.transform(X)):
        assert not np.shares_memory(array, X)
        assert not np.shares_memory(array, net.parameters)
        assert array.flags.writeable
        assert array.flags.c_contiguous


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("loss", ["categorical_cross_entropy", "squared_error"])
@pytest.mark.parametrize("sizes", [[5, 3], [4, 17, 1], [3, 33, 65, 2], [70, 130, 9]])
def test_a_row_has_the_same_bits_in_any_batch(sizes, loss, dtype):
    if loss == "categorical_cross_entropy":
        sizes = [*sizes[:-1], sizes[-1] + 1]
    net = mlpc.Network(sizes, loss=loss, hidden_activation="gelu", dtype=dtype, seed=0)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(301, sizes[0]))
    whole = net.predict_proba(X)
    hidden = net.activations(X)[1]
    for rows in (
        slice(0, 1),
        slice(300, 301),
        slice(3, 10),
        slice(17, 200),
        slice(None, None, -1),
        rng.permutation(301),
    ):
        assert net.predict_proba(X[rows]).tobytes() == whole[rows].tobytes()
        assert net.activations(X[rows])[1].tobytes() == hidden[rows].tobytes()
    one_by_one = np.concatenate([net.predict_proba(row[None]) for row in X[:40]])
    assert one_by_one.tobytes() == whole[:40].tobytes()
    repeated = net.predict_proba(np.repeat(X[:1], 5000, axis=0))
    assert np.all(repeated == whole[0])


def test_empty_predictions():
    net = mlpc.Network([3, 4, 2], loss="huber", seed=0)
    for call in (net.predict_proba, net.predict):
        with pytest.raises(ValueError, match="X"):
            call(np.zeros((0, 3)))


MEMORY = """
import sys, threading, time
from pathlib import Path
import numpy as np
import mlpc

folder, rows, dtype = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
X = np.load(folder / "X.npy", mmap_mode="r")
y = np.load(folder / "y.npy", mmap_mode="r")


def anonymous():
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) * 1024


def watch():
    while not done.is_set():
        peak[0] = max(peak[0], anonymous())
        time.sleep(0.002)


net = mlpc.Network([X.shape[1], 16, 1], loss="huber", dtype=dtype, seed=0)
net.fit(X[:1000], y[:1000], epochs=1)
done, before = threading.Event(), anonymous()
peak = [before]
thread = threading.Thread(target=watch)
thread.start()
net.fit(X, y, epochs=1, batch_size=256)
net.fit(X, y, epochs=1, batch_size=None, validation_data=(X[: rows // 4], y[: rows // 4]))
net.gradient(X, y)
done.set()
thread.join()
print(peak[0] - before - 8 * rows)
"""


def anonymous_memory(folder, n_bytes, dtype):
    """Bytes of anonymous memory that training on a float32 map takes, beside the order of its rows."""
    n_columns = 50
    rows = n_bytes // (4 * n_columns)
    for name, shape in (("X", (rows, n_columns)), ("y", (rows,))):
        mapped = np.lib.format.open_memmap(folder / f"{name}.npy", mode="w+", dtype=np.float32, shape=shape)
        pattern = np.random.default_rng(0).normal(size=(10_000, *shape[1:])).astype(np.float32)
        for first in range(0, rows, 10_000):
            mapped[first : first + 10_000] = pattern[: rows - first]
        mapped.flush()
    command = [sys.executable, "-c", MEMORY, str(folder), str(rows), dtype]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


if sys.platform == "linux":  # elsewhere nothing tells anonymous memory from a map's

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_no_copy_of_a_memory_map(dtype, tmp_path):
        assert anonymous_memory(tmp_path, 200_000_000, dtype) < 50_000_000

    @pytest.mark.exhaustive
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_no_copy_of_a_large_memory_map(dtype, tmp_path):
        assert anonymous_memory(tmp_path, 1_000_000_000, dtype) < 50_000_000


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


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("loss", "n_out"), [("categorical_cross_entropy", 2), ("binary_cross_entropy", 1)])
@pytest.mark.parametrize("batch_size", [10, None])
def test_weights_of_classes_stay_with_their_labels(loss, n_out, batch_size, dtype):
    """In so few rows that both are read once: what a callback makes of them is for the next call."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 2))
    losses = []
    for changes in (False, True):
        y = (np.arange(100) % 2).astype(dtype)

        def change(net, epoch, logs, y=y, changes=changes):
            y[60:] = 0.5 if changes else y[60:]

        net = mlpc.Network([2, 9, n_out], loss=loss, optimizer=mlpc.SGD(0.1), dtype=dtype, seed=0)
        net.fit(X, y, epochs=3, batch_size=batch_size, class_weight={0: 1, 1: 7}, callbacks=change)
        losses.append(net.history.loss.tolist())
    assert losses[0] == losses[1]


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
    twice = scipy.sparse.csr_array((np.array([255, 1, 1], np.uint8).view(bool), [0, 0, 2], [0, 3]), shape=(1, 3))
    assert net.predict(twice).tolist() == [101]


def test_a_series_is_no_rows():
    net = mlpc.Network([1, 1], loss="huber", seed=0)
    y = numbers(45, 1, "f8")
    with pytest.raises(ValueError, match=r"^X must have shape \(n_samples, 1\), got \(45,\): reshape\(-1, 1\)"):
        net.fit(pd.Series(y[:, 0]), y, batch_size=16)


@pytest.mark.parametrize("form", [np.array, np.ndarray.tolist, pd.DataFrame])
def test_only_targets_are_labels(form):
    net = mlpc.Network([1, 1], loss="huber", seed=0)
    with pytest.raises(TypeError, match=r"^X must hold real numbers") as caught:
        net.forward(form(np.array([["x"], ["y"]])))
    assert "numbers labels" not in str(caught.value)


def test_another_librarys_sparse_rows():
    class Foreign:
        format = "csr"

        def tocsr(self):
            return self

    net = mlpc.Network([1, 1], loss="huber", seed=0)
    with pytest.raises(TypeError, match=r"^X must be dense or of scipy\.sparse's CSR format, got a Foreign"):
        net.forward(Foreign())
