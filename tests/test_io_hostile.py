"""Model files from those who mean harm, and saves that never ended: an error or a whole network, nothing else."""

import copy
import hashlib
import json
import signal
import struct
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save as to_bytes

import mlpc

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(8, 3)), RNG.normal(size=(8, 2))
TENSORS = ("parameters", "optimizer_state", "history")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """(path to write to, bytes of a model file, its tensors, metadata and header, its parameters)."""
    path = tmp_path_factory.mktemp("models") / "net"
    net = mlpc.Network(
        [3, 4, 2],
        loss=mlpc.Huber(0.5),
        optimizer=mlpc.Adam(schedule=mlpc.ReduceOnPlateau("loss"), clip_norm=1.0),
        dropout=[0.1],
        seed=1,
    )
    net.fit(X, Y, epochs=2, batch_size=4, callbacks=lambda net, epoch, logs: logs.update(score=1.0))
    net.save(path)
    saved = path.read_bytes()
    (size,) = struct.unpack("<Q", saved[:8])
    entries = json.loads(saved[8 : 8 + size])
    # safetensors writes the metadata in another order every time; the mutations are to be the same ones.
    entries["__metadata__"] = dict(sorted(entries["__metadata__"].items()))
    whole = saved[:8] + json.dumps(entries, separators=(",", ":")).encode().ljust(size) + saved[8 + size :]
    metadata = entries.pop("__metadata__")
    types = {"F64": np.float64}
    tensors = {
        name: np.frombuffer(whole[8 + size :][slice(*entry["data_offsets"])], types[entry["dtype"]]).reshape(
            entry["shape"]
        )
        for name, entry in entries.items()
    }
    return path, whole, tensors, metadata, net.parameters.copy()


def assemble(tensors, metadata, header):
    """A file whose checksum fits whatever the header says."""
    digest = hashlib.blake2b(header.encode(errors="surrogatepass"), digest_size=16)
    for name in TENSORS:
        digest.update(np.ascontiguousarray(tensors[name]).tobytes())
    return to_bytes(tensors, {**metadata, "header": header, "checksum": digest.hexdigest()})


def assert_whole_or_refused(path, data):
    """Load, and return the network or None; an error is one sentence of bounded length that names the file."""
    with path.open("r+b") as file:  # a file that is emptied first is slow to write again
        file.write(data)
        file.truncate()
    try:
        net = mlpc.load(path)
    except ValueError as error:
        text = str(error)
        assert text.startswith(f"cannot load {path}: ")
        assert len(text) < 500 + len(str(path))
        assert "\n" not in text
        return None
    assert net.parameters.shape == (net.n_parameters,)
    net.predict(np.zeros((1, net.layer_sizes[0])))
    return net


# ---- Mutations by the seed: bytes as they come, then headers with a checksum that fits.

VALUES = (None, True, -1, 0, 1, 2, 2**31, 2**63, 2**64, 10**30, 1e308, np.inf, np.nan, -0.5, "", "x", "adam", "Adam")
VALUES += (
    "__class__",
    "relu",
    [],
    [1],
    [[]],
    [3, 4, 2],
    ["relu"],
    [2**40, 2**40],
    {},
    {"name": "Huber"},
    {"name": "SGD"},
)
VALUES += ({"name": "LBFGS", "history_size": 10**6, "tolerance": 0.0}, {"name": "Optimizer"}, {"name": "__init__"})


def places(value, before=()):
    """Where each part of a JSON value is, as keys from the top."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*before, key)
        yield from places(item, (*before, key))


def other_header(rng, text):
    """A header with a part or two replaced, left out or added."""
    header = json.loads(text)
    for _ in range(rng.integers(1, 3)):
        where = list(places(header))
        *keys, last = where[rng.integers(len(where))]
        parent = header
        for key in keys:
            parent = parent[key]
        action = rng.random()
        if action < 0.2:
            del parent[last]
        elif action < 0.3 and isinstance(parent, dict):
            parent["new"] = 1
        else:
            parent[last] = copy.deepcopy(VALUES[rng.integers(len(VALUES))])
        if not header:
            break
    return json.dumps(header)


def mutate(rng, model, kind):
    _, whole, tensors, metadata, _ = model
    if kind == "bytes":
        data = bytearray(whole)
        for place in rng.integers(len(data), size=rng.integers(1, 4)):
            data[place] = rng.integers(256)
        return bytes(data)
    if kind == "length":
        kept = whole[: rng.integers(len(whole))]
        return kept + rng.bytes(rng.integers(3)) + whole[len(kept) + rng.integers(3) :] * rng.integers(2)
    if kind == "character":
        text = bytearray(metadata["header"].encode())
        text[rng.integers(len(text))] = rng.integers(32, 127)
        return assemble(tensors, metadata, text.decode())
    return assemble(tensors, metadata, other_header(rng, metadata["header"]))


def run_mutations(model, seed, n):
    path, _, _, _, parameters = model
    rng = np.random.default_rng(seed)
    kinds = ("bytes", "length", "bytes", "length", "bytes", "length", "bytes", "length", "character", "header")
    loaded = dict.fromkeys(kinds, 0)
    for i in range(n):
        kind = kinds[i % len(kinds)]
        data = mutate(rng, model, kind)
        net = assert_whole_or_refused(path, data)
        loaded[kind] += net is not None
        if net is not None and kind in ("bytes", "length"):
            assert np.array_equal(net.parameters, parameters)
    assert loaded["header"] > 0  # some change what may be changed
    assert loaded["header"] + loaded["character"] < n / 20
    assert loaded["bytes"] < n / 200


def test_mutations(model, tmp_path):
    other = tmp_path / "net"
    other.touch()
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        half = process.submit(run_mutations, (other, *model[1:]), 1, 50_000)
        run_mutations(model, 0, 50_000)
        half.result()


@pytest.mark.exhaustive
def test_more_mutations(model):
    run_mutations(model, 2, 1_000_000)


# ---- Whatever hypothesis thinks of.

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner), max_leaves=8
)
FIELDS = ("spec", "optimizer", "seed", "random_state", "progress", "added", "stop_reason", "best_epoch")


def generated(n):
    """A decorator: the same n cases each time, kept nowhere."""
    quiet = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(max_examples=n, derandomize=True, database=None, deadline=None, suppress_health_check=quiet)


def check_any_field(model, field, name, value):
    path, _, tensors, metadata, _ = model
    header = json.loads(metadata["header"])
    if isinstance(header[field], dict) and name is not None:
        header[field][sorted(header[field])[name % len(header[field])]] = value
    else:
        header[field] = value
    assert_whole_or_refused(path, assemble(tensors, metadata, json.dumps(header)))


def check_any_bytes(model, front, data):
    path, whole, *_ = model
    assert_whole_or_refused(path, whole[: front % len(whole)] + data)


ANY_FIELD = given(field=st.sampled_from(FIELDS), name=st.none() | st.integers(0, 20), value=JSON)
ANY_BYTES = given(front=st.integers(0, 2**16), data=st.binary(max_size=200))


@generated(1_000)
@ANY_FIELD
def test_any_field(model, field, name, value):
    check_any_field(model, field, name, value)


@generated(1_000)
@ANY_BYTES
def test_any_bytes(model, front, data):
    check_any_bytes(model, front, data)


@pytest.mark.exhaustive
@generated(10_000)
@ANY_FIELD
def test_any_field_longer(model, field, name, value):
    check_any_field(model, field, name, value)


@pytest.mark.exhaustive
@generated(10_000)
@ANY_BYTES
def test_any_bytes_longer(model, front, data):
    check_any_bytes(model, front, data)


# ---- Sizes that are not there.

HUGE = {
    "layers": {"spec": {"layer_sizes": [2**20, 2**20, 2]}},
    "layers that overflow": {"spec": {"layer_sizes": [2**62, 2**62, 2]}},
    "many layers": {"spec": {"layer_sizes": [3] * 100_000, "dropout": 0.0}},
    "pairs": {"optimizer": {"name": "LBFGS", "history_size": 10**6, "tolerance": 0.0}},
}


@pytest.mark.parametrize("case", HUGE)
def test_sizes_are_checked_before_memory_is_taken(model, case, monkeypatch):
    path, _, tensors, metadata, _ = model
    header = json.loads(metadata["header"])
    for field, value in HUGE[case].items():
        header[field] = {**header[field], **value} if field == "spec" else value
    made = []
    monkeypatch.setattr(mlpc.Network, "_construct", lambda *arguments: made.append(arguments))
    assert assert_whole_or_refused(path, assemble(tensors, metadata, json.dumps(header))) is None
    assert not made


def test_a_tensor_without_dimensions(model):
    path, _, tensors, metadata, _ = model
    for name in TENSORS:
        odd = {**tensors, name: np.array(1.0)}
        assert assert_whole_or_refused(path, assemble(odd, metadata, metadata["header"])) is None


def test_a_fingerprint_of_another_network(model):
    path, _, tensors, metadata, _ = model
    path.write_bytes(assemble(tensors, {**metadata, "fingerprint": "0" * 64}, metadata["header"]))
    with pytest.raises(ValueError, match="fingerprint"):
        mlpc.load(path)


def test_the_header_is_json_for_everyone(model):
    def refuse(constant):
        raise AssertionError(constant)

    net = mlpc.Network([1, 1], loss="squared_error", optimizer=mlpc.SGD(schedule=mlpc.ReduceOnPlateau("loss")))
    path, *_ = model
    net.save(path)  # no loss yet: the best one so far is infinite
    whole = path.read_bytes()
    entries = json.loads(whole[8 : 8 + struct.unpack("<Q", whole[:8])[0]], parse_constant=refuse)
    header = json.loads(entries["__metadata__"]["header"], parse_constant=refuse)
    assert header["progress"]["plateau_best"] == "inf"
    assert entries["__metadata__"]["fingerprint"] == net.fingerprint()
    assert mlpc.load(path).fingerprint() == net.fingerprint()


# ---- Saves that never ended.

SAVES = """
import sys
import mlpc
net = mlpc.Network([300, 300, 1], loss="squared_error", seed=0)
for value in range(1, 1_000_000):
    net.parameters[:] = value
    net.save(sys.argv[1])
    if value == 1:
        print("saving", flush=True)
"""


def test_a_save_killed_at_random_moments(tmp_path):
    rng, folder = np.random.default_rng(0), tmp_path / "models"
    folder.mkdir()
    path, seen, unfinished, kills = folder / "net", set(), 0, 0
    while kills < 12 or (unfinished == 0 and kills < 200):
        kills += 1
        with subprocess.Popen([sys.executable, "-c", SAVES, path], stdout=subprocess.PIPE) as saving:
            assert saving.stdout.readline() == b"saving\n"
            time.sleep(rng.uniform(0.0, 0.1))
            saving.send_signal(signal.SIGKILL)
        values = np.unique(mlpc.load(path).parameters)
        assert len(values) == 1
        seen.add(values[0])
        others = set(folder.iterdir()) - {path}
        assert len(others) <= 1
        for other in others:
            unfinished += 1
            other.unlink()
    assert len(seen) > 1  # later saves did replace earlier ones
    assert unfinished  # and some were killed half-way
