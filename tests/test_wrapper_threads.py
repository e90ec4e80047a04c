"""The extension among callbacks, threads and signals: who may do what meanwhile, and what an interruption leaves."""

import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
from wrapper import SGD, data, evaluate, fit, large, make, run_python, start

X5, Y5 = np.zeros((5, 2)), np.zeros(5)


# ---- Hooks


def test_hooks_are_asked_each_epoch():
    net, (X, y) = make(), data()
    asked, told = [], []

    def multiplier(epoch):
        asked.append(epoch)
        return 1.0 / (epoch + 1)

    def epoch_end(*values):
        told.append(values)
        return len(told) == 3, 0.0

    result = fit(net, X, y, epochs=10, schedule=("hook", multiplier), epoch_end=epoch_end)
    assert result == ("callback", 0, 0, 0)
    assert asked == [0, 1, 2]
    assert [values[0] for values in told] == [1, 2, 3]
    assert [values[3] for values in told] == pytest.approx([0.01, 0.005, 0.01 / 3])
    assert [values[1] for values in told] == net._history()[0].tolist()
    assert all(np.isnan(values[2]) for values in told)


def test_hooks_may_be_told_by_the_clock():
    net, (X, y) = make(), data()
    told = []

    def epoch_end(*values):
        told.append(values)
        return False, 0.0

    fit(net, X, y, epochs=10, epoch_end=epoch_end, each_epoch=False)
    assert told == []  # too little work for the clock to be read at all
    start, epochs = time.perf_counter(), 20000
    while time.perf_counter() - start < 0.2:
        fit(net, X, y, epochs=epochs, epoch_end=epoch_end, each_epoch=False)
        epochs *= 2
    assert len(told) <= 2 + (time.perf_counter() - start) / 0.025
    history = net._history()[0]
    assert all(loss == history[epoch - 1] for epoch, loss, *_ in told)


def test_within_a_callback():
    net, (X, y) = make(), data()
    seen = []

    def epoch_end(epoch, *_):
        seen.append(net.predict_proba(X).shape)
        assert net._get_state()["progress"]["epoch"] == net.epoch == epoch
        assert len(net._history()[0]) == epoch
        net.parameters = np.zeros(net.n_parameters)
        calls = [lambda: fit(net, X, y), lambda: net._set_optimizer(SGD), lambda: start(net), net.end_epoch]
        calls += [lambda: net._set_state(net._get_state())]
        for call in calls:
            with pytest.raises(RuntimeError, match="not within a callback"):
                call()
        with ThreadPoolExecutor() as pool, pytest.raises(RuntimeError, match="changed by another call"):
            pool.submit(net.predict, X).result()
        return False, 0.0

    fit(net, X, y, epochs=2, epoch_end=epoch_end)
    assert seen == [(20, 1)] * 2
    assert not net.parameters.any()
    fit(net, X, y)


@pytest.mark.parametrize("size", ["small", "large"])  # the GIL kept, and released
def test_an_exception_in_a_hook_leaves_the_completed_epoch(size):
    net, X, y = (make(), *data()) if size == "small" else large()
    epochs = []

    def fails(epoch, *_):
        epochs.append((epoch, net.parameters.copy()))
        if len(epochs) == 3:
            raise KeyError("mine")
        return (False, 0.0) if _ else 1.0

    with pytest.raises(KeyError, match="mine"):
        fit(net, X, y, epochs=5, batch_size=0, epoch_end=fails)
    assert net.epoch == 3
    assert np.array_equal(net.parameters, epochs[-1][1])
    epochs.clear()
    with pytest.raises(KeyError, match="mine"):
        fit(net, X, y, epochs=5, schedule=("hook", fails))
    assert net.epoch == 5
    assert np.array_equal(net.parameters, epochs[-1][1])
    fit(net, X, y)
    assert net.epoch == 6


def test_what_hooks_return_is_checked():
    net, (X, y) = make(), data()
    bad = [
        ({"epoch_end": lambda *_: None}, TypeError),
        ({"epoch_end": lambda *_: (False,)}, TypeError),
        ({"epoch_end": lambda *_: (False, "a")}, TypeError),
        ({"epoch_end": 5}, TypeError),
        ({"schedule": ("hook", lambda _: "a")}, TypeError),
        ({"schedule": ("hook", lambda _: float("nan"))}, ValueError),
        ({"schedule": ("hook", lambda _: -1.0)}, ValueError),
    ]
    for changes, error in bad:
        with pytest.raises(error):
            fit(net, X, y, **changes)


# ---- Threads


class Training(threading.Thread):
    """A fit in another thread, until `stop` is set; `running` says that it has completed an epoch."""

    def __init__(self, net, X, y, **changes):
        super().__init__(daemon=True)
        self.arguments, self.changes = (net, X, y), changes
        self.running, self.stop, self.error = threading.Event(), threading.Event(), None

    def epoch_end(self, *_):
        self.running.set()
        return self.stop.is_set(), 0.0

    def run(self):
        try:
            fit(*self.arguments, epochs=10**9, epoch_end=self.epoch_end, **self.changes)
        except BaseException as error:
            self.error = error

    def __enter__(self):
        self.start()
        assert self.running.wait(60)
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.join(60)
        assert not self.is_alive()


def test_many_readers():
    net, X, _ = large()
    expected = net.predict_proba(X)
    results = [None] * 4

    def predict(i):
        results[i] = net.predict_proba(X)

    threads = [threading.Thread(target=predict, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(result, expected) for result in results)


def test_one_writer():
    net, X, y = large()
    with Training(net, X, y):
        calls = [lambda: net.predict(X5), lambda: net.predict_proba(X), lambda: evaluate(net, X, y), net._get_state]
        calls += [
            net._history,
            lambda: net.activations(X),
            lambda: net.transform(X),
            lambda: net._backpropagate(X, y, None),
        ]
        calls += [lambda: fit(net, X, y), lambda: start(net), net.end_epoch, lambda: net._set_optimizer(SGD)]
        calls += [lambda: net._set_bit_generator(None), lambda: net._set_state({})]
        calls += [lambda: setattr(net, "parameters", np.zeros(net.n_parameters))]
        for call in calls[1:]:
            with pytest.raises(RuntimeError, match="this network is being changed by another call"):
                call()
        assert net.parameters.shape == (net.n_parameters,)
        assert net.epoch >= 1
        assert len(net.weights) == 3
    fit(net, X, y)


def test_no_writer_among_readers():
    net, X, _ = large()
    X = np.tile(X, (10, 1))
    thread = threading.Thread(target=net.predict_proba, args=(X,))
    thread.start()
    time.sleep(0.05)
    with pytest.raises(RuntimeError, match="this network is being read by another call"):
        fit(net, X, np.zeros(len(X)))
    with pytest.raises(RuntimeError, match="this network is being read by another call"):
        net.parameters = net.parameters
    assert net.predict_proba(X5_wide()).shape == (5, 1)
    assert thread.is_alive()
    thread.join()


def X5_wide():
    return np.zeros((5, 64))


def test_threads_train_copies():
    X, y = data(500)
    expected = make()
    fit(expected, X, y, epochs=200, batch_size=8)
    nets = [make() for _ in range(4)]
    threads = [threading.Thread(target=fit, args=(net, X, y), kwargs={"epochs": 200, "batch_size": 8}) for net in nets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(net.parameters, expected.parameters) for net in nets)


def test_the_gil_is_released():
    net, X, _ = large()
    count, stop = [0], threading.Event()

    def busy():
        while not stop.is_set():
            count[0] += 1

    thread = threading.Thread(target=busy)
    thread.start()
    before = count[0], time.perf_counter()
    net.predict_proba(np.tile(X, (10, 1)))
    during = (count[0] - before[0]) / (time.perf_counter() - before[1])
    before = count[0], time.perf_counter()
    time.sleep(0.2)
    alone = (count[0] - before[0]) / (time.perf_counter() - before[1])
    stop.set()
    thread.join()
    assert during > alone / 5  # kept, it would be none at all


REFUSAL = "cannot resize an array that references or is referenced"


def resizable():
    """Pairs of an array and another that shares its buffer."""
    array = np.zeros((20000, 64))
    yield array, array
    array = np.zeros((40000, 64))
    yield array, array[::2][:, ::-1]
    array = np.zeros(20000 * 64)
    yield array, np.frombuffer(memoryview(array)).reshape(20000, 64)
    array = np.zeros(20000 + 63)
    yield array, np.lib.stride_tricks.sliding_window_view(array, 64)


@pytest.mark.parametrize("case", range(4))
def test_a_buffer_in_use_cannot_be_resized(case):
    owner, X = list(resizable())[case]
    net, _, y = large()
    with Training(net, X, y, batch_size=100):
        for _ in range(20):
            with pytest.raises(ValueError, match=REFUSAL):
                owner.resize(10, refcheck=False)
            time.sleep(0.002)
    labels = y.copy()
    with Training(net, X, labels), pytest.raises(ValueError, match=REFUSAL):
        labels.resize(10, refcheck=False)
    weight = np.ones(len(y))
    with Training(net, X, y, sample_weight=weight), pytest.raises(ValueError, match=REFUSAL):
        weight.resize(10, refcheck=False)
    training = Training(net, np.zeros((20000, 64)), y, validation_data=(X, y))
    with training, pytest.raises(ValueError, match=REFUSAL):
        owner.resize(10, refcheck=False)


def test_a_base_that_is_made_anew_each_time():
    """Looking for the owner of a buffer, each array on the way may be nobody else's."""
    run_python(
        "import numpy as np\n"
        "import mlpc\n"
        "values = np.random.default_rng(0).random((4000, 50))\n"
        "class Wrapped:\n"
        "    __array_interface__ = values.__array_interface__\n"
        "class Foreign(Wrapped):\n"
        "    base = property(lambda self: np.asarray(Wrapped()))\n"
        "net = mlpc.Network([50, 64, 1], loss='squared_error', seed=0)\n"
        "for _ in range(20):\n"
        "    net.fit(np.asarray(Foreign()), np.zeros(4000), epochs=1)\n",
        PYTHONMALLOC="debug",
    )


def test_a_buffer_cannot_be_resized_while_another_argument_is_converted():
    net, (X, y) = make(), data()
    X = X.copy()

    class Targets:
        def __array__(self, dtype=None, copy=None):
            X.resize(0, refcheck=False)
            return y

    with pytest.raises(ValueError, match=REFUSAL):
        fit(net, X, Targets())
    X.resize(0, refcheck=False)


def test_a_buffer_cannot_be_resized_while_predicting():
    net, _, _ = large()
    X = np.zeros((200000, 64))
    thread = threading.Thread(target=net.predict_proba, args=(X,))
    thread.start()
    time.sleep(0.05)
    with pytest.raises(ValueError, match=REFUSAL):
        X.resize(10, refcheck=False)
    assert thread.is_alive()
    thread.join()
    del thread
    X.resize(10, refcheck=False)


# ---- Signals


def interrupt(seconds, call):
    """Run the call, raise KeyboardInterrupt in it by a signal; the seconds it took to come back after that."""

    def handler(*_):
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGALRM, handler)
    started = time.perf_counter()
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        with pytest.raises(KeyboardInterrupt):
            call()
        return time.perf_counter() - started - seconds
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


@pytest.mark.parametrize("batch_size", [0, 50])
def test_interrupt_leaves_the_last_completed_step(batch_size):
    delays = []
    while len(delays) < 8 and min(delays, default=1.0) >= 0.05:  # another process may have the processor
        net, X, y = large()
        delays.append(interrupt(0.2, partial(fit, net, X, y, epochs=300, batch_size=batch_size)))
        per_epoch = 1 if batch_size == 0 else len(X) // batch_size
        epochs, steps = divmod(net.step, per_epoch)
        assert net.epoch == epochs
        assert len(net._history()[0]) == epochs
        twin, _, _ = large()
        if epochs:
            fit(twin, X, y, epochs=epochs, batch_size=batch_size)
        if steps:
            fit(twin, X[: steps * batch_size], y[: steps * batch_size], batch_size=batch_size, partial=True)
        assert np.array_equal(net.parameters, twin.parameters)
        fit(net, X[:100], y[:100])
    assert min(delays) < 0.05


def test_interrupt_in_many_small_epochs():
    net, (X, y) = make(), data()
    delays = [interrupt(0.1, lambda: fit(net, X, y, epochs=10**7)) for _ in range(3)]
    assert min(delays) < 0.05


def test_interrupt_reading():
    net, X, y = large()
    X, y = np.tile(X, (20, 1)), np.tile(y, 20)
    for call in (lambda: net.predict_proba(X), lambda: evaluate(net, X, y)):
        assert min(interrupt(0.1, call) for _ in range(3)) < 0.05
    assert net.predict_proba(X[:5]).shape == (5, 1)


def test_interrupt_in_a_hook():
    net, (X, y) = make(), data()

    def slow(*_):
        time.sleep(0.01)
        return False, 0.0

    assert interrupt(0.05, lambda: fit(net, X, y, epochs=10**6, epoch_end=slow)) < 1
    assert net.epoch >= 1
    fit(net, X, y)


def test_a_handler_within_a_prediction_of_a_callback_writes_no_parameters():
    net, X, y = large()
    repeated, said = np.tile(X, (20, 1)), []

    def handler(*_):
        with pytest.raises(RuntimeError, match="parameters: this network is being read by another call"):
            net.parameters = np.zeros(net.n_parameters)
        said.append(1)

    def predict(*_):
        expected = net.predict_proba(X)
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        result = net.predict_proba(repeated)
        signal.setitimer(signal.ITIMER_REAL, 0)
        assert np.array_equal(result.reshape(20, *expected.shape), np.tile(expected, (20, 1, 1)))
        net.parameters = net.parameters.copy()
        return True, 0.0

    previous = signal.signal(signal.SIGALRM, handler)
    try:
        fit(net, X[:64], y[:64], epochs=1, epoch_end=predict)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    assert said


def test_a_handler_that_returns_lets_the_call_go_on():
    net, X, _ = large()
    expected, repeated, calls = net.predict_proba(X), np.tile(X, (10, 1)), []

    def handler(*_):
        with pytest.raises(RuntimeError, match="this network is being read by another call"):
            net.end_epoch()
        calls.append(1)

    previous = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    try:
        result = net.predict_proba(repeated)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    assert calls
    assert np.array_equal(result[: len(X)], expected)
