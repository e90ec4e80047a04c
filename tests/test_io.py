"""Model files: what comes back, what is refused, what a failure leaves behind."""

import copy
import hashlib
import json
import os
import pickle
import stat
import struct
import sys
import threading
import time

import numpy as np
import pytest
from conftest import OPTIMIZERS, fingerprint
from safetensors import safe_open
from safetensors.numpy import save_file

import mlpc

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(30, 3)), RNG.normal(size=(30, 2))
SCHEDULES = (
    mlpc.StepDecay(2, 0.5),
    mlpc.ExponentialDecay(0.9),
    mlpc.CosineDecay(9, 0.1, warmup=1.5),
    mlpc.InverseScaling(),
    mlpc.OneCycle(7),
    mlpc.ReduceOnPlateau("loss", patience=0),
)


def trained(**settings):
    arguments = {"loss": "squared_error", "optimizer": mlpc.SGD(0.01, momentum=0.9), "seed": 3, **settings}
    return mlpc.Network([3, 4, 2], **arguments).fit(X, Y, epochs=3, batch_size=7)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.safetensors"


def parts(path):
    """Tensors, metadata and header of a model file."""
    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    return tensors, metadata, json.loads(metadata["header"])


def rewrite(path, tensors, metadata, header):
    """Write the parts again with a checksum that fits, as someone would who means harm."""
    text = json.dumps(header)
    digest = hashlib.blake2b(text.encode(), digest_size=16)
    for name in ("parameters", "optimizer_state", "history"):
        digest.update(np.ascontiguousarray(tensors[name]).tobytes())
    save_file(tensors, path, {**metadata, "header": text, "checksum": digest.hexdigest()})


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("schedule", [None, *SCHEDULES], ids=repr)
def test_what_comes_back(path, schedule, dtype):
    net = trained(optimizer=mlpc.Adam(schedule=schedule, clip_norm=1.0), dtype=dtype, dropout=0.1, l2=1e-3)
    net.save(path)
    again = mlpc.load(path)
    assert fingerprint(again) == fingerprint(net)
    assert again.optimizer == net.optimizer
    assert type(again) is mlpc.Network
    for one in (net, again):
        one.fit(X, Y, epochs=2, batch_size=7)
    assert fingerprint(again) == fingerprint(net)


@pytest.mark.parametrize(
    "optimizer", [*(make() for make in OPTIMIZERS.values()), mlpc.Rprop(), mlpc.LBFGS(5)], ids=repr
)
def test_optimizers_come_back(path, optimizer):
    net = mlpc.Network([3, 4, 2], loss="log_cosh", optimizer=optimizer, seed=0).fit(X, Y, epochs=4)
    net.save(path)
    again = mlpc.load(path)
    for one in (net, again):
        one.fit(X, Y, epochs=3)
    assert fingerprint(again) == fingerprint(net)


def test_every_setting_comes_back(path):
    net = mlpc.Network(
        [3, 5, 4, 2],
        loss=mlpc.Quantile([0.1, 0.9]),
        hidden_activation=["tanh", "selu"],
        output_activation="softplus",
        reduction="sum",
        l1=0.1,
        dropout=[0.1, 0.2],
        initializer="lecun_normal",
        bias=False,
        seed=2**70,
    )
    net.save(os.fspath(path))
    again = mlpc.load(os.fspath(path))
    assert repr(again) == repr(net)
    assert fingerprint(again) == fingerprint(net)


def test_history_comes_back(path):
    net = trained()
    net.fit(X, Y, epochs=2, callbacks=lambda net, epoch, logs: logs.update(score=epoch, half=0.5))
    net.save(path)
    history = mlpc.load(path).history
    assert np.array_equal(history.score, [np.nan] * 3 + [4, 5], equal_nan=True)
    assert history.stop_reason == "epochs"
    assert repr(history) == repr(net.history)


def test_saving_replaces_the_file_at_once(path, monkeypatch):
    net = trained()
    net.save(path)
    before = path.read_bytes()
    path.chmod(0o600)
    mode = path.stat().st_mode
    net.fit(X, Y, epochs=1)
    with monkeypatch.context() as patch:

        def fail(*_):
            raise OSError("no space left")

        patch.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match="no space"):
            net.save(path)
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    net.save(path)
    assert path.read_bytes() != before
    assert path.stat().st_mode == mode


def test_file_and_folder_are_synchronised(path, monkeypatch):
    synchronised, fsync = [], os.fsync

    def record(descriptor):
        synchronised.append((stat.S_ISDIR(os.fstat(descriptor).st_mode), path.exists()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", record)
    trained().save(path)
    assert synchronised == [(False, False), (True, True)]  # the file before it has its name, the folder after


def test_saving_through_a_link(path):
    target = path.with_name("target")
    target.write_bytes(b"")
    path.symlink_to(target)
    trained().save(path)
    assert path.is_symlink()
    assert mlpc.load(target).epoch == 3


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    net = mlpc.Network([2, 1], loss="binary_cross_entropy", seed=0)
    (tmp_path / "folder").mkdir()
    for wrong, error in (("nowhere/net.mlp", FileNotFoundError), ("folder", IsADirectoryError)):
        for write in (net.save, lambda path: mlpc.export_c(net, path), lambda path: mlpc.export_numpy(net, path)):
            with pytest.raises(error) as raised:
                write(tmp_path / wrong)
            assert str(raised.value).endswith(f": '{tmp_path / wrong}'")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_functions_are_not_data(path):
    net = trained(optimizer=mlpc.SGD(schedule=lambda epoch: 1.0))
    with pytest.raises(ValueError, match="schedule"):
        net.save(path)
    assert not path.exists()
    net = trained(initializer=lambda rng, shape: rng.normal(size=shape))
    net.save(path)
    again = mlpc.load(path)
    assert np.array_equal(again.parameters, net.parameters)
    before = fingerprint(again)
    with pytest.raises(ValueError, match="initializer"):
        again.reset()
    assert fingerprint(again) == before
    again.save(path)  # once more from what is left
    assert fingerprint(mlpc.load(path)) == before


def test_no_such_file(path):
    with pytest.raises(FileNotFoundError):
        mlpc.load(path)
    with pytest.raises(FileNotFoundError):
        trained().save(path / "deeper" / "net")
    with pytest.raises(TypeError):
        mlpc.load(3)


def test_truncated_anywhere(path):
    trained().save(path)
    whole = path.read_bytes()
    for size in [0, 1, 7, 8, 9, *range(10, len(whole), 97), len(whole) - 1]:
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match="cannot load"):
            mlpc.load(path)


def test_altered_anywhere(path):
    net = trained()
    net.save(path)
    whole = path.read_bytes()
    for place in range(0, len(whole), 13):
        altered = bytearray(whole)
        altered[place] ^= 0x11
        path.write_bytes(altered)
        try:
            again = mlpc.load(path)
        except ValueError as error:
            assert str(path) in str(error)  # noqa: PT017
        else:  # padding
            assert fingerprint(again) == fingerprint(net)


def test_other_files(path):
    save_file({"weights": np.zeros(3)}, path)
    with pytest.raises(ValueError, match="not a model file"):
        mlpc.load(path)
    path.write_bytes(struct.pack("<Q", 2**63) + b"{}")
    with pytest.raises(ValueError, match="cannot load"):
        mlpc.load(path)
    path.write_bytes(pickle.dumps(trained()))
    with pytest.raises(ValueError, match="cannot load"):
        mlpc.load(path)


def test_newer_version(path):
    trained().save(path)
    tensors, metadata, header = parts(path)
    rewrite(path, tensors, {**metadata, "version": "2"}, header)
    with pytest.raises(ValueError, match="version 2"):
        mlpc.load(path)


HOSTILE = {
    "a header that is no dict": lambda t, h: (t, []),
    "no spec": lambda t, h: (t, {k: v for k, v in h.items() if k != "spec"}),
    "no progress": lambda t, h: (t, {k: v for k, v in h.items() if k != "progress"}),
    "huge layers": lambda t, h: (t, {**h, "spec": {**h["spec"], "layer_sizes": [2**30, 2**30]}}),
    "fewer layers": lambda t, h: (t, {**h, "spec": {**h["spec"], "layer_sizes": [3, 2]}}),
    "an unknown loss": lambda t, h: (t, {**h, "spec": {**h["spec"], "loss": "mse"}}),
    "an unknown loss object": lambda t, h: (t, {**h, "spec": {**h["spec"], "loss": {"name": "Loss"}}}),
    "an unknown setting": lambda t, h: (t, {**h, "spec": {**h["spec"], "speed": 3}}),
    "another dtype": lambda t, h: (t, {**h, "spec": {**h["spec"], "dtype": "float32"}}),
    "an unknown optimizer": lambda t, h: (t, {**h, "optimizer": {"name": "Optimizer"}}),
    "an optimizer without a name": lambda t, h: (t, {**h, "optimizer": {}}),
    "an optimizer that is none": lambda t, h: (t, {**h, "optimizer": 3}),
    "a bad rate": lambda t, h: (t, {**h, "optimizer": {**h["optimizer"], "learning_rate": -1}}),
    "dunder": lambda t, h: (t, {**h, "optimizer": {"name": "__class__"}}),
    "progress": lambda t, h: (t, {**h, "progress": {**h["progress"], "step": -1}}),
    "progress as text": lambda t, h: (t, {**h, "progress": "none"}),
    "random state": lambda t, h: (t, {**h, "random_state": {"bit_generator": "MT19937"}}),
    "random numbers": lambda t, h: (t, {**h, "random_state": {**h["random_state"], "state": {"state": -1, "inc": 1}}}),
    "seed": lambda t, h: (t, {**h, "seed": "none"}),
    "columns": lambda t, h: (t, {**h, "added": ["score"]}),
    "reserved columns": lambda t, h: ({**t, "history": np.zeros((4, 3))}, {**h, "added": ["plot"]}),
    "columns twice": lambda t, h: ({**t, "history": np.zeros((5, 3))}, {**h, "added": ["a", "a"]}),
    "stop reason": lambda t, h: (t, {**h, "stop_reason": 3}),
    "best epoch": lambda t, h: (t, {**h, "best_epoch": "first"}),
    "a best epoch after the last one": lambda t, h: (t, {**h, "best_epoch": 999}),
    "a best epoch before the first one": lambda t, h: (t, {**h, "best_epoch": 0}),
    "a multiplier above 1": lambda t, h: (t, {**h, "progress": {**h["progress"], "plateau_multiplier": 1.5}}),
    "a multiplier": lambda t, h: (t, {**h, "progress": {**h["progress"], "plateau_multiplier": -1.0}}),
    "optimizer state": lambda t, h: ({**t, "optimizer_state": np.zeros(3)}, h),
    "history as float32": lambda t, h: ({**t, "history": t["history"].astype("f4")}, h),
    "a flat history": lambda t, h: ({**t, "history": t["history"].ravel()}, h),
    "parameters": lambda t, h: ({**t, "parameters": t["parameters"][:-1].copy()}, h),
    "integers": lambda t, h: ({**t, "parameters": t["parameters"].astype("i8")}, h),
    "one tensor more": lambda t, h: ({**t, "more": np.zeros(3)}, h),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_files(path, case):
    trained().save(path)
    tensors, metadata, header = parts(path)
    rewrite(path, tensors, metadata, header)
    mlpc.load(path)
    tensors, header = HOSTILE[case](tensors, header)
    rewrite(path, tensors, metadata, header)
    with pytest.raises(ValueError, match="cannot load"):
        mlpc.load(path)


def test_a_pipe_stays_one(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    net = trained()
    net.save(pipe)
    reader.join()
    assert pipe.is_fifo()
    (tmp_path / "file").write_bytes(read[0])
    assert mlpc.load(tmp_path / "file").parameters.tobytes() == net.parameters.tobytes()
    with pytest.raises(IsADirectoryError):
        net.save(tmp_path)


def test_a_name_as_long_as_names_may_be(tmp_path):
    trained().save(tmp_path / ("x" * 255))
    assert [path.name for path in tmp_path.iterdir()] == ["x" * 255]


def test_a_folder_that_cannot_be_synchronised(tmp_path, monkeypatch):
    def refuse(path, flags, *, opened=os.open, **settings):
        if path == tmp_path:
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, flags, **settings)

    monkeypatch.setattr(os, "open", refuse)
    trained().save(tmp_path / "net")
    mlpc.load(tmp_path / "net")


def test_the_state_is_plain_data():
    """So that it can be kept by others than pickle, which know no bit generators."""
    net = trained()
    assert net.__getstate__()["random_state"] == net._bit_generator.state
    assert not any(isinstance(value, np.random.BitGenerator) for value in net.__getstate__()["attributes"].values())


@pytest.mark.parametrize("wrong", [3, None, b"net.safetensors"], ids=repr)
def test_paths_of_a_wrong_type(wrong):
    for call in (trained().save, mlpc.load):
        with pytest.raises(TypeError) as caught:
            call(wrong)
        assert str(caught.value) == f"path must be a str or os.PathLike, got {wrong!r}"


def test_a_deep_header(path):
    trained().save(path)
    tensors, metadata, _ = parts(path)
    save_file(tensors, path, {**metadata, "header": "[" * 10**5})
    with pytest.raises(ValueError, match="cannot load"):
        mlpc.load(path)


class Named(mlpc.Network):
    """A network with an attribute of its own."""

    name = "none"


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickle(protocol):
    net = Named([3, 4, 2], loss="squared_error", seed=0)
    net.name = "mine"
    net.fit(X, Y, epochs=2, callbacks=lambda net, epoch, logs: logs.update(score=epoch))
    again = pickle.loads(pickle.dumps(net, protocol))
    assert type(again) is Named
    assert again.name == "mine"
    assert fingerprint(again) == fingerprint(net)


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, mlpc.Network.copy])
def test_copies_share_nothing(duplicate):
    net = trained(dropout=0.2)
    net.fit(X, Y, epochs=1, callbacks=lambda net, epoch, logs: logs.update(score=epoch))
    before = fingerprint(net)
    again = duplicate(net)
    assert fingerprint(again) == before
    again.parameters[:] = 0
    again.fit(X, Y, epochs=2, batch_size=7, callbacks=lambda net, epoch, logs: logs.update(score=epoch))
    assert fingerprint(net) == before


def test_copy_checks_its_dtype():
    net = trained()
    for dtype, error in (("float16", ValueError), ("real", ValueError), (3, ValueError)):
        with pytest.raises(error, match="dtype"):
            net.copy(dtype)
    assert net.copy("float32").copy("float64").dtype == np.float64
    net.parameters[3] = 1e300
    with pytest.raises(ValueError, match=r"^dtype must hold the parameters, of which 1e\+300 is too large for float32"):
        net.copy("float32")
    net.parameters[3] = np.nan  # is NaN in float32 as well
    assert np.isnan(net.copy("float32").parameters[3])
    state = net._get_state()
    state["optimizer_state"][0] = 1e300
    net._set_state(state)
    with pytest.raises(ValueError, match=r"^dtype must hold the optimizer state, of which 1e\+300 is too large"):
        net.copy("float32")


def test_who_reads_the_old_file_goes_on_reading_it(tmp_path):
    path = tmp_path / "net.safetensors"
    net = mlpc.Network([2, 3, 1], loss="squared_error", seed=0)
    net.save(path)
    before = path.read_bytes()
    with path.open("rb") as old:
        net.partial_fit([[1.0, 2.0]], [3.0]).save(path)
        assert old.read() == before
    assert path.read_bytes() != before


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
            while len(found) < net.epoch // 60 and thread.is_alive():  # where saving takes long
                time.sleep(0.001)
            try:
                train(net)
            except RuntimeError:
                continue
        thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert len(found) > 3
    assert {fingerprint(copy) == expected[copy.step] for copy in found} == {True}
