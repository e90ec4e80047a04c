"""export_c: the file compiles without warnings and says what predict_proba says."""

import ctypes
import re
import shutil
import subprocess

import numpy as np
import pytest
from exports import DTYPES, N_IN, N_OUT, SETTINGS, assert_agrees, make, rows

import mlpc

COMPILERS = [name for name in ("gcc", "clang") if shutil.which(name)] or ["cc"]
STRICT = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic"]
FAST = ["-O3", "-march=native"]


def compiled(compiler, output, *arguments):
    """Compile with warnings as errors; a failure shows what the compiler said."""
    libraries = [] if "-c" in arguments else ["-lm"]
    command = [compiler, *STRICT, *map(str, arguments), "-o", str(output), *libraries]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return output


def library(compiler, path, *arguments):
    return ctypes.CDLL(compiled(compiler, path.with_suffix(f".{compiler}.so"), "-shared", "-fPIC", path, *arguments))


def predict(library, name, X, n_out):
    out = np.empty((len(X), n_out), X.dtype)
    for row, result in zip(X, out, strict=True):
        library[f"{name}_predict"](ctypes.c_void_p(row.ctypes.data), ctypes.c_void_p(result.ctypes.data))
    return out


@pytest.fixture(scope="module")
def libraries(tmp_path_factory):
    """All networks in one library per dtype, as vectors: {dtype: library}."""
    folder = tmp_path_factory.mktemp("c")
    made = {}
    for dtype in DTYPES:
        files = [folder / f"{case}_{dtype}.c" for case in SETTINGS]
        for case, file in zip(SETTINGS, files, strict=True):
            mlpc.export_c(make(case, dtype), file, name=case)
        target = folder / f"{dtype}.so"
        made[dtype] = ctypes.CDLL(compiled(COMPILERS[0], target, "-shared", "-fPIC", *FAST, *files))
    return made


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", SETTINGS)
def test_agrees_with_predict_proba(libraries, case, dtype):
    net, X = make(case, dtype), rows(dtype)
    assert_agrees(predict(libraries[dtype], case, X, N_OUT), net.predict_proba(X))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", SETTINGS)
@pytest.mark.parametrize("factor", [1e2, 1e4, 1e30])
def test_large_inputs(libraries, case, dtype, factor):
    # Sums of large terms cancel: what is left has lost the digits that they had in common.
    net = make(case, dtype)
    X = (rows(dtype) * factor).astype(dtype)
    expected = net.predict_proba(X).astype(np.float64)
    got = predict(libraries[dtype], case, X, N_OUT).astype(np.float64)
    if case == "exp":  # of logits that large: 0 or infinity, and where it is neither the digits are lost
        assert np.array_equal(got < 1e-3, expected < 1e-3)
        assert np.array_equal(np.isinf(got), np.isinf(expected))
        return
    assert np.isfinite(expected).all()
    assert np.isfinite(got).all()
    scale = np.maximum(1.0, np.abs(expected).max())
    assert np.abs(got - expected).max() <= (1e-4 if dtype == "float32" else 1e-10) * scale


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", SETTINGS)
def test_nan_gives_nan(libraries, case, dtype):
    for sign in (1.0, -1.0):
        X = rows(dtype, 3)
        X[1, 2] = np.copysign(np.nan, sign)
        got = predict(libraries[dtype], case, X, N_OUT)
        assert np.array_equal(np.isnan(got), np.isnan(make(case, dtype).predict_proba(X)))
        assert np.isnan(got[1]).all()


@pytest.mark.parametrize(
    "activation", ["sigmoid", "tanh", "elu", "selu", "softplus", "softsign", "gelu", "silu", "mish"]
)
@pytest.mark.parametrize("dtype", DTYPES)
def test_functions_over_their_range(tmp_path, activation, dtype):
    # One weight of one: the output is g(x). Sharper than through layers, and relative to g(x) where that is small.
    net = mlpc.Network([1, 1], loss="squared_error", output_activation=activation, dtype=dtype, bias=False)
    net.parameters = [1.0]
    path = tmp_path / "f.c"
    mlpc.export_c(net, path, name="f")
    magnitudes = np.concatenate([np.geomspace(1e-6, 1e30, 3000), np.linspace(0, 40, 3000), [0.0, np.inf]])
    x = np.concatenate([magnitudes, -magnitudes]).astype(dtype)[:, np.newaxis]
    got = predict(library(COMPILERS[0], path, *FAST), "f", x, 1).astype(np.float64)
    expected = net.predict_proba(x).astype(np.float64)
    finite = np.isfinite(expected)
    assert np.array_equal(got[~finite], expected[~finite])
    tolerance = 4 * np.finfo(dtype).eps * np.maximum(np.abs(expected), 1e-3)
    assert (np.abs(got[finite] - expected[finite]) <= tolerance[finite]).all()


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize(
    ("sizes", "hidden"), [([1, 1], []), ([2, 40, 1], ["mish"]), ([9, 8, 7, 6], ["tanh", "gelu"])], ids=str
)
@pytest.mark.parametrize("dtype", DTYPES)
def test_no_warnings(tmp_path, sizes, hidden, dtype, compiler):
    net = mlpc.Network(sizes, loss="poisson", hidden_activation=hidden, dtype=dtype, seed=0)
    path = tmp_path / "net.c"
    X = np.random.default_rng(0).normal(size=(3, sizes[0]))
    mlpc.export_c(net, path, name="net", check=X)
    for flags in (["-O1", "-Wconversion", "-Wshadow"], FAST):
        compiled(compiler, tmp_path / "net.o", "-c", *flags, path)
        program = compiled(compiler, tmp_path / "net", "-DNET_TEST", *flags, path)
        assert subprocess.run([program], capture_output=True, check=False).returncode == 0


def test_what_it_calls(tmp_path):
    # Nothing that allocates, prints or keeps state: the mathematical library and copies of blocks.
    for case in ("gelu", "softmax", "exp", "no_biases"):
        path = tmp_path / f"{case}.c"
        mlpc.export_c(make(case, "float64"), path)
        compiled(COMPILERS[0], tmp_path / "net.o", "-c", "-O2", path)
        symbols = subprocess.run(["nm", tmp_path / "net.o"], capture_output=True, text=True, check=True).stdout
        kinds = dict(line.split()[-1:-3:-1] for line in symbols.splitlines())
        assert {name.strip("_") for name, kind in kinds.items() if kind == "U"} <= {"exp", "memcpy", "memset"}
        assert [name.strip("_") for name, kind in kinds.items() if kind == "T"] == ["mlp_predict"]
        assert not set(kinds.values()) & set("dDbBcC")  # no variables


@pytest.mark.parametrize("dtype", DTYPES)
def test_its_own_check(tmp_path, dtype):
    net, X = make("softmax", dtype), rows("float64")
    path = tmp_path / "net.c"
    mlpc.export_c(net, path, name="Digits", check=X[:3])
    text = path.read_text()
    for macro in ("Digits_TEST", "DIGITS_TEST"):
        program = compiled(COMPILERS[0], tmp_path / "program", f"-D{macro}", path)
        done = subprocess.run([program], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (0, "0 of 15 outputs differ\n")
    head, start, numbers = text.partition(
        "static const double b2[5] = {\n" if dtype == "float64" else "static const float b2[5] = {\n"
    )
    for wrong in (
        text.replace("z[j] /= sum", "z[j] *= sum"),
        head + start + "    0x1p-3, " + numbers.partition(",")[2],
    ):
        assert wrong != text
        path.write_text(wrong)
        program = compiled(COMPILERS[0], tmp_path / "program", "-DDigits_TEST", path)
        done = subprocess.run([program], capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert "expected" in done.stdout


@pytest.mark.parametrize("dtype", DTYPES)
def test_its_own_check_of_large_numbers(tmp_path, dtype):
    """Of columns around ten thousand, whose scaling is folded in, rounding takes all but a few digits."""
    X = np.random.default_rng(0).normal(size=(50, 5))
    net = mlpc.Network([5, 64, 3], loss="squared_error", dtype=dtype, seed=0).fit(X, X[:, :3], epochs=5)
    net.fold_input(np.full(5, 1e4), np.ones(5))
    mlpc.export_c(net, tmp_path / "net.c", name="net", check=X + 1e4)
    program = compiled(COMPILERS[0], tmp_path / "program", "-Dnet_TEST", tmp_path / "net.c")
    done = subprocess.run([program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "0 of 150 outputs differ\n")


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_stands_in_it(tmp_path, dtype):
    net, T = make("gelu", dtype), "double" if dtype == "float64" else "float"
    net.weights[0][0, :3] = 0.0, -0.0, np.finfo(dtype).smallest_subnormal
    first, second = tmp_path / "one.c", tmp_path / "two.c"
    mlpc.export_c(net, first)
    mlpc.export_c(net, str(second))
    text = first.read_text()
    assert text == second.read_text()
    assert f"void mlp_predict(const {T} *x, {T} *out);" in text.partition("#include")[0]
    assert net.fingerprint() in text
    assert max(map(len, text.splitlines())) <= 120
    numbers = "".join(re.findall(r"\[\d.*\] = \{([^}]*)\}", text)).replace("f,", ",").split(",")[:-1]
    parameters = np.array([float.fromhex(number.strip()) for number in numbers])
    assert parameters.astype(dtype).tobytes() == net.parameters.tobytes()


def test_another_dtype(tmp_path):
    net, X = make("mish", "float64"), rows("float32")
    path = tmp_path / "net.c"
    mlpc.export_c(net, path, dtype="float32", check=X[:2])
    assert net.fingerprint() in path.read_text()
    assert_agrees(predict(library(COMPILERS[0], path), "mlp", X, N_OUT), net.copy("float32").predict_proba(X))
    net.parameters[0] = 1e300
    with pytest.raises(ValueError, match="too large for float32"):
        mlpc.export_c(net, path, dtype=np.float32)


BAD = {
    "name: a digit first": ({"name": "3d"}, ValueError),
    "name: a space": ({"name": "my net"}, ValueError),
    "name: not ASCII": ({"name": "né"}, ValueError),
    "name: empty": ({"name": ""}, ValueError),
    "name: a newline": ({"name": "net\n"}, ValueError),
    "name: a number": ({"name": 3}, TypeError),
    "dtype": ({"dtype": "float16"}, ValueError),
    "check: one row": ({"check": np.zeros(N_IN)}, ValueError),
    "check: too few columns": ({"check": np.zeros((3, N_IN - 1))}, ValueError),
    "check: no rows": ({"check": np.zeros((0, N_IN))}, ValueError),
    "check: NaN": ({"check": np.full((1, N_IN), np.nan)}, ValueError),
    "check: too large": ({"check": np.full((1, N_IN), 1e300), "dtype": "float32"}, ValueError),
    "check: text": ({"check": [["a"] * N_IN]}, TypeError),
    "path": ({"path": 3}, TypeError),
    "net": ({"net": "net"}, TypeError),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_arguments(tmp_path, case):
    wrong, error = BAD[case]
    path = tmp_path / "net.c"
    with pytest.raises(error, match=rf"^{case.split(':')[0]}\b"):
        mlpc.export_c(**{"net": make("relu", "float64"), "path": path, **wrong})
    assert not path.exists()


@pytest.mark.parametrize(("number", "dtype"), [(np.inf, "float64"), (1e300, "float32")])
def test_rows_that_are_infinite_are_no_check(tmp_path, number, dtype):
    net = mlpc.Network([1, 1], loss="binary_cross_entropy", seed=0)
    assert np.isfinite(net.predict_proba([[np.inf]])).all()
    with pytest.raises(ValueError, match=f"^check must hold rows that are finite in {dtype}$"):
        mlpc.export_c(net, tmp_path / "net.c", check=[[number]], dtype=dtype)


def test_outputs_that_overflow_are_no_check(tmp_path):
    with pytest.raises(ValueError, match="finite outputs"):
        mlpc.export_c(make("exp", "float64"), tmp_path / "net.c", check=np.full((1, N_IN), 1e6))


def test_networks_that_are_not_finite(tmp_path):
    net = make("relu", "float64")
    net.parameters[3] = np.nan
    for export in (mlpc.export_c, mlpc.export_onnx, mlpc.export_numpy):
        with pytest.raises(ValueError, match=r"^net must have parameters that are finite"):
            export(net, tmp_path / "net")
    assert not list(tmp_path.iterdir())


def test_what_is_too_large_for_float32(tmp_path):
    """The optimizer's state is not exported; parameters that do not fit are refused, but not in float64."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 3))
    net = mlpc.Network([3, 5, 1], loss="squared_error", seed=0).fit(X, X[:, 0] * 1e21, epochs=2)
    mlpc.export_c(net, tmp_path / "net.c", check=X[:2])
    mlpc.export_c(net, tmp_path / "net.c", check=X[:2], dtype="float32")
    net = mlpc.Network([3, 5, 1], loss="squared_error", seed=0).fold_input(0.0, 1e-40)
    mlpc.export_c(net, tmp_path / "net.c", check=X[:2] * 1e-40)
    program = compiled(COMPILERS[0], tmp_path / "test", "-DMLP_TEST", tmp_path / "net.c")
    assert subprocess.run([program], check=False).returncode == 0
    with pytest.raises(ValueError, match="float32"):
        mlpc.export_c(net, tmp_path / "net.c", dtype="float32")
