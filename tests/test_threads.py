"""Worker threads: the same bits for any number, the environment's say, life across fork, several fits at once."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import warnings

import numpy as np
import pytest
from conftest import fingerprint
from wrapper import run_python

import mlpc

LARGE = [  # steps large enough to be shared: by chunks in both layouts, long and short, by parts of blocks, in products
    ([20, 100, 1], 500, 200, "binary_cross_entropy"),
    ([30, 12, 3], 2300, 2000, "categorical_cross_entropy"),
    ([3, 6, 2], 30000, 15000, "squared_error"),
    ([40, 64, 64, 1], 5000, 5000, "binary_cross_entropy"),
    ([300, 400, 10], 600, 200, "categorical_cross_entropy"),
    ([100, 150, 40, 1], 700, 333, "binary_cross_entropy"),  # parts of several blocks, and of a short last batch
    ([70, 130, 30], 300, 110, "squared_error"),
    ([900, 800, 10], 300, 100, "categorical_cross_entropy"),
    ([2500, 70, 3], 125, 40, "categorical_cross_entropy"),  # by parts of the depth that are packed in several
]


def make(sizes, n, loss, dtype="float64", **settings):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(n, sizes[0]))
    y = rng.integers(0, max(2, sizes[-1]), n) if "entropy" in loss else rng.normal(size=(n, sizes[-1]))
    return mlpc.Network(sizes, loss=loss, dtype=dtype, seed=0, **settings), X, y


def run(sizes, n, batch, loss, n_threads, epochs=4, **settings):
    net, X, y = make(sizes, n, loss, **settings)
    net.fit(X, y, epochs=epochs, batch_size=batch, n_threads=n_threads)
    return [net.parameters.copy(), net.history.loss, net.predict_proba(X), net.gradient(X, y), net.sample_losses(X, y)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("settings", [{}, {"dropout": 0.2}, {"optimizer": "lbfgs"}], ids=["adam", "dropout", "lbfgs"])
@pytest.mark.parametrize("case", LARGE, ids=str)
def test_same_bits_for_any_number_of_threads(case, settings, dtype):
    sizes, n, batch, loss = case
    batch = None if "optimizer" in settings else batch
    alone = run(sizes, n, batch, loss, 1, dtype=dtype, **settings)
    for n_threads in (2, 3, 16):
        shared = run(sizes, n, batch, loss, n_threads, dtype=dtype, **settings)
        assert all(a.tobytes() == b.tobytes() for a, b in zip(alone, shared, strict=True))


@pytest.mark.parametrize("hidden", [[120, 50], [200, 12], []], ids=str)
@pytest.mark.parametrize(("loss", "outputs"), [("huber", 1), ("huber", 5), ("huber", 40), ("poisson", 200)])
@pytest.mark.parametrize("penalty", [0.0, 0.1])
def test_same_bits_of_all_that_comes_back_from_parts_of_a_block(hidden, loss, outputs, penalty):
    rng = np.random.default_rng(2)
    X, y = rng.normal(size=(300, 90)).astype("f4"), np.abs(rng.normal(size=(300, outputs))).astype("f4")
    weights = rng.choice([0.0, 0.5, 2.0], 300)
    X[weights == 0] = 1e38  # samples that are none, and overflow
    results = []
    for n_threads in (1, 2, 5):
        net = mlpc.Network(
            [90, *hidden, outputs], hidden_activation="gelu", loss=loss, dtype="float32", l2=penalty, seed=0
        )
        net._n_threads = n_threads
        net.fit(X, y, sample_weight=weights, epochs=3, batch_size=140)
        some = net.backpropagate(X[weights > 0], y[weights > 0])
        found = [net.parameters.copy(), net.history.loss, net.gradient(X, y, sample_weight=weights)]
        found += [net.input_gradient(X[weights > 0], y[weights > 0]), *(part for record in some for part in record)]
        results.append([np.asarray(part).tobytes() for part in found])
        assert all(np.isfinite(part).all() for part in found)
    assert results[0] == results[1] == results[2]


# Rows a multiple of 2 KiB apart are read in place where they are few.
@pytest.mark.parametrize(
    ("sizes", "n", "dtype"), [([256, 300, 10], 277, "float64"), ([512, 100, 1], 100, "float32"), ([512, 90], 290, "f4")]
)
def test_same_bits_where_a_part_is_short(sizes, n, dtype):
    rng = np.random.default_rng(3)
    X, y = rng.normal(size=(n, sizes[0])).astype(dtype), rng.normal(size=(n, sizes[-1])).astype(dtype)
    results = []
    for n_threads in (1, 2, 4, 7):
        net = mlpc.Network(sizes, loss="squared_error", output_activation="identity", dtype=dtype, seed=0)
        net._n_threads = n_threads
        net.fit(X[::-1].copy(), y, epochs=1, batch_size=None, shuffle=False)
        results.append((net.parameters.tobytes(), net.gradient(X, y).tobytes()))
    assert len(set(results)) == 1


# The last of so many threads has few rows of a product by wide weights, which its tiles copy by the way: 6, 5 and 1.
@pytest.mark.parametrize(("n_threads", "n"), [(12, 193), (13, 209), (16, 241)])
def test_same_bits_where_a_thread_has_few_rows(n_threads, n):
    rng = np.random.default_rng(4)
    X, y = rng.normal(size=(n, 900)).astype("f4"), rng.normal(size=(n, 700)).astype("f4")
    results = []
    for threads in (1, n_threads):
        net = mlpc.Network([900, 800, 700], loss="squared_error", dtype="float32", seed=0)
        net.fit(X, y, epochs=2, batch_size=None, n_threads=threads)
        results.append(net.parameters.tobytes())
    assert results[0] == results[1]


@pytest.mark.parametrize(
    "case", [([300, 100, 3], 640, 64, "categorical_cross_entropy"), ([20, 100, 1], 4000, 2000, "binary_cross_entropy")]
)
def test_same_bits_where_a_run_tries_both_ways(case):
    seconds = time.perf_counter()
    shared = run(*case, 2, epochs=2000, dtype="float32")
    assert time.perf_counter() - seconds > 0.15  # long enough to try
    alone = run(*case, 1, epochs=2000, dtype="float32")
    assert all(a.tobytes() == b.tobytes() for a, b in zip(alone, shared, strict=True))


def run_command(command, **environment):
    names = ("MLPC_NUM_THREADS", "OMP_NUM_THREADS")
    environment = {k: v for k, v in os.environ.items() if k not in names} | environment
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def python(code, **environment):
    return run_command([sys.executable, "-W", "error", "-c", code], **environment)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"MLPC_NUM_THREADS": "3"}, 3),
        ({"OMP_NUM_THREADS": "5"}, 5),
        ({"OMP_NUM_THREADS": "2,4"}, 2),
        ({"MLPC_NUM_THREADS": "4", "OMP_NUM_THREADS": "2"}, 2),
        ({"MLPC_NUM_THREADS": "2", "OMP_NUM_THREADS": "6"}, 2),
    ],
)
def test_the_environment_says_how_many(environment, expected):
    assert python("import mlpc; print(mlpc._core.N_THREADS)", **environment) == str(expected)


@pytest.mark.parametrize(
    "environment", [{"MLPC_NUM_THREADS": ""}, {"OMP_NUM_THREADS": "many"}, {"OMP_NUM_THREADS": "0"}]
)
def test_what_the_environment_need_not_say(environment):
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert 1 <= int(python("import mlpc; print(mlpc._core.N_THREADS)", **environment)) <= usable


def test_more_threads_than_a_machine_has():
    """2^61 times eight is 0."""
    code = "import mlpc; print(mlpc.Network([64, 256, 1], loss='huber').predict([[1.0] * 64] * 4000).shape)"
    assert python(code, MLPC_NUM_THREADS=str(2**61)) == "(4000,)"


@pytest.mark.parametrize("nonsense", ["0", "-2", "many", "1.5", "2;", " "])
def test_nonsense_in_the_environment(nonsense):
    code = "try: import mlpc\nexcept ImportError as error: print(error)"
    expected = f"MLPC_NUM_THREADS must be a positive integer, got '{nonsense}'"
    assert python(code, MLPC_NUM_THREADS=nonsense) == expected


FORK = """
import os, sys, warnings
import numpy as np
import mlpc
warnings.simplefilter("ignore", DeprecationWarning)  # forking with threads is what is tested
rng = np.random.default_rng(0)
X, y = rng.normal(size=(4000, 50)), rng.normal(size=4000)
def run():
    net = mlpc.Network([50, 64, 1], loss="squared_error", seed=0)
    net.fit(X, y, epochs=2, batch_size=2000, n_threads=3)
    return net.parameters.tobytes()
before = run()
for generation in range(3):
    pid = os.fork()
    if pid == 0:
        continue  # the child goes on, and has children of its own
    _, status = os.waitpid(pid, 0)
    assert status == 0, (generation, status)
    break
assert run() == before
"""


def test_a_forked_child_has_workers_of_its_own():
    python(FORK)


FORK_IN_A_CALLBACK = """
import os, warnings
import numpy as np
import mlpc
warnings.simplefilter("ignore", DeprecationWarning)
rng = np.random.default_rng(0)
X, y = rng.normal(size=(4000, 50)), rng.normal(size=4000)
pids = []
def run(callbacks=()):
    net = mlpc.Network([50, 64, 1], loss="squared_error", seed=0)
    net.fit(X, y, epochs=4, batch_size=2000, n_threads=3, callbacks=callbacks)
    return net.parameters.tobytes()
def fork(net, epoch, logs):
    if epoch == 2:
        pids.append(os.fork())
        if pids[0] == 0:
            assert run() == before  # which needs workers of the child's own
expected = before = run()
assert run(fork) == expected  # parent and child go on with the run that was under way
if pids[0] == 0:
    mlpc._core._end_threads()
    alive = len(os.listdir("/proc/self/task")) if os.path.isdir("/proc/self/task") else 1
    os._exit(0 if alive == 1 else 7)
assert os.waitpid(pids[0], 0)[1] == 0
"""


def test_a_fork_in_a_callback():
    """The child's count of those that use the workers starts anew: in the end it can join them."""
    python(FORK_IN_A_CALLBACK, OPENBLAS_NUM_THREADS="1")


INTERRUPTED_VALIDATION = """
import signal
import numpy as np
import mlpc
def interrupt(signal_number, frame):
    raise TimeoutError
signal.signal(signal.SIGALRM, interrupt)
def begin(epoch):  # the data are checked
    signal.setitimer(signal.ITIMER_REAL, 0.02)
    return 1.0
X, y = np.ones((1, 200)), np.ones(1)
net = mlpc.Network([200, 100, 1], loss="squared_error", optimizer=mlpc.SGD(schedule=begin), seed=0)
try:
    net.fit(X, y, epochs=1, validation_data=(np.broadcast_to(X, (2000000, 200)), np.broadcast_to(y, 2000000)))
except TimeoutError:
    print(net.epoch)
"""


def test_a_long_validation_of_a_short_epoch_is_interrupted():
    assert python(INTERRUPTED_VALIDATION) == "0"


ONE_AFTER_THE_OTHER = """
import os
import numpy as np
import mlpc
X = np.ones((4096, 64))
small, large = (mlpc.Network([64, n, 1], loss="squared_error", seed=0) for n in (1, 256))
for _ in range(3):
    small.fit(X[:16], X[:16, 0], epochs=2000, n_threads=2)  # a while's work, and nothing to share
large.fit(X, X[:, 0], epochs=2, n_threads=2)
print(len(os.listdir("/proc/self/task")) if os.path.isdir("/proc/self/task") else 2)
"""


def test_a_call_that_has_ended_shares_the_processors_no_more():
    """Else those after it would get a part of them alone."""
    assert python(ONE_AFTER_THE_OTHER, MLPC_NUM_THREADS="2", OPENBLAS_NUM_THREADS="1") == "2"


FORK_IN_A_HANDLER = """
import os, signal, warnings
import numpy as np
import mlpc
warnings.simplefilter("ignore", DeprecationWarning)
net = mlpc.Network([512, 512, 512, 10], loss="squared_error", dtype="float32", seed=0)
X, y = np.random.default_rng(0).normal(size=(1024, 512)).astype("float32"), np.zeros((1024, 10), "float32")
parent, pids = os.getpid(), []
def fork(signal_number, frame):
    if os.getpid() == parent and len(pids) < 6:
        pids.append(os.fork())
signal.signal(signal.SIGALRM, fork)
signal.setitimer(signal.ITIMER_REAL, 0.03, 0.03)
try:
    while os.getpid() == parent and len(pids) < 6:
        net.fit(X, y, epochs=1, batch_size=256, n_threads=2)
except RuntimeError as error:
    assert os.getpid() != parent and "a signal handler forked this process" in str(error)
if os.getpid() != parent:
    net.predict_proba(X)  # what it was at the last step
    os._exit(0)
signal.setitimer(signal.ITIMER_REAL, 0)
assert not any([os.waitpid(pid, 0)[1] for pid in pids])
"""


def test_a_fork_in_a_signal_handler():
    """Where threads share the work the child has lost those: its call ends, and the network is at a completed step."""
    python(FORK_IN_A_HANDLER)


FORK_WHILE_TRAINING = """
import os, threading, warnings
import numpy as np
import mlpc
warnings.simplefilter("ignore", DeprecationWarning)
net = mlpc.Network([64, 64, 1], loss="squared_error", seed=0)
X, y, going = np.ones((20000, 64)), np.ones(20000), threading.Event()
def stop(net, epoch, logs):
    going.set()
    return done.is_set()
done = threading.Event()
trainer = threading.Thread(target=lambda: net.fit(X, y, epochs=10**6, callbacks=stop))
trainer.start()
going.wait()
pid = os.fork()
if pid == 0:
    try:
        net.predict(X[:2])
    except RuntimeError as error:
        os._exit("being changed by another thread when this process was forked" not in str(error))
    os._exit(2)
status = os.waitpid(pid, 0)[1]
done.set()
trainer.join()
assert status == 0, status
"""


def test_a_forked_child_is_told_that_its_network_was_being_changed():
    python(FORK_WHILE_TRAINING)


FORK_WHILE_READING = """
import os, threading, warnings
import numpy as np
import mlpc
warnings.simplefilter("ignore", DeprecationWarning)
net = mlpc.Network([64, 512, 512, 1], loss="squared_error", seed=0)
X, going, stop = np.ones((20000, 64)), threading.Event(), threading.Event()
def read():
    while not stop.is_set():
        going.set()
        net.predict_proba(X)
reader = threading.Thread(target=read)
reader.start()
going.wait()
pids = []
while len(pids) < 20:
    pid = os.fork()
    if pid == 0:
        net.fit(X[:10], np.ones(10), epochs=1)
        os._exit(0)
    pids.append(pid)
assert [os.waitpid(pid, 0)[1] for pid in pids] == [0] * 20
stop.set()
reader.join()
"""


def test_a_forked_child_is_free_of_the_readers_of_its_parent():
    python(FORK_WHILE_READING)


def test_several_networks_at_once():
    """Whoever finds the workers busy does without: no deadlock, the same results."""
    expected = {str(case): run(*case, n_threads=1) for case in LARGE}
    wrong = []

    def train(case):
        for _ in range(3):
            got = run(*case, n_threads=2)
            if not all(a.tobytes() == b.tobytes() for a, b in zip(expected[str(case)], got, strict=True)):
                wrong.append(case)

    threads = [threading.Thread(target=train, args=(case,)) for case in LARGE * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_workers_do_not_outlive_the_interpreter():
    python(
        "import mlpc, numpy as np\n"
        "X = np.ones((20000, 50)); net = mlpc.Network([50, 64, 1], loss='squared_error', seed=0)\n"
        "net.fit(X, X[:, 0], epochs=1, batch_size=None, n_threads=4)\n"
        "import os\n"
        "mlpc._core._end_threads()\n"
        "if os.path.isdir('/proc/self/task'):\n"
        "    assert len(os.listdir('/proc/self/task')) == 1\n"
        "net.fit(X, X[:, 0], epochs=1, batch_size=None, n_threads=4)",
        OPENBLAS_NUM_THREADS="1",
    )


def test_divergence_with_threads():
    net, X, y = make([300, 400, 10], 600, "categorical_cross_entropy", optimizer=mlpc.SGD(1e300))
    before = net.parameters.tobytes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mlpc.DivergenceWarning)
        net.fit(X, y, epochs=3, batch_size=200, n_threads=2)
    assert net.history.stop_reason == "diverged"
    assert net.parameters.tobytes() == before


def test_any_number_of_threads_may_be_asked_for():
    """More than there can be are not an error, and cost no memory."""
    sizes, n, batch, loss = LARGE[2]
    assert run(sizes, n, batch, loss, 2**60)[0].tobytes() == run(sizes, n, batch, loss, 1)[0].tobytes()


@pytest.mark.parametrize("n_threads", [0, -1, -(2**70), 1.0, 2.5, np.float64(2), "2", True, np.True_, [2], 2**70])
def test_what_is_no_number_of_threads(n_threads):
    net, X, y = make([3, 6, 2], 100, "squared_error")
    before = fingerprint(net)
    for call in (net.fit, net.partial_fit):
        with pytest.raises((TypeError, ValueError), match=r"n_threads must be .*got"):
            call(X, y, n_threads=n_threads)
    assert fingerprint(net) == before


def test_numbers_of_threads():
    net, X, y = make([3, 6, 2], 100, "squared_error")
    for n_threads in (None, 1, np.int8(2), np.uint64(16)):
        net.fit(X, y, epochs=1, n_threads=n_threads).partial_fit(X, y, n_threads=n_threads)
    assert net.epoch == 4


INTERRUPT = """
import os, signal, sys, threading, time
import numpy as np
import mlpc

n_threads, sparse = int(sys.argv[1]), sys.argv[2] == "sparse"
sizes = [20000, 1024, 1] if sparse else [4096] * 4
net = mlpc.Network(sizes, loss="squared_error", optimizer="sgd", initializer="zeros", dtype="float32", seed=0)
X, y = np.ones((2048, sizes[0]), "f4"), np.ones((2048, sizes[-1]), "f4")
if sparse:
    from scipy.sparse import csr_array

    columns = np.arange(0, sizes[0], 20)
    X = csr_array((np.ones(2048 * len(columns), "f4"), np.tile(columns, 2048), len(columns) * np.arange(2049)), X.shape)


def send():
    sent.append(time.perf_counter())
    os.kill(os.getpid(), signal.SIGINT)


delays, late = [], 0
for _ in range(4):
    sent = []
    timer = threading.Timer(1.0, send)
    timer.start()
    try:
        net.fit(X, y, epochs=1000, batch_size=None, n_threads=n_threads)
    except KeyboardInterrupt:
        delays.append(time.perf_counter() - sent[0])
    timer.join()
    steps = net.step
    late += sparse and net.epoch < steps - late  # short steps: after one, before the end of its epoch
    assert net.epoch == steps - late and np.isfinite(net.parameters[:4096]).all()
    assert steps > 0 or not net.parameters.any()
print(*delays)
"""


@pytest.mark.parametrize("X", ["dense", "sparse"])
@pytest.mark.parametrize("n_threads", [1, 2])
def test_interrupt_in_a_wide_network(n_threads, X):
    """A step takes seconds, its largest product a good part of one; what a signal waits for is a slice of that."""
    result = subprocess.run(
        [sys.executable, "-c", INTERRUPT, str(n_threads), X], capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 0, result.stderr
    assert min(map(float, result.stdout.split())) < 0.3, result.stdout  # on a busy machine; else 0.05


def test_a_daemon_thread_may_train_to_the_end():
    python(
        "import mlpc, numpy as np, threading, time\n"
        "net = mlpc.Network([50, 64, 1], loss='squared_error', seed=0)\n"
        "X = np.ones((20000, 50))\n"
        "fit = lambda: net.fit(X, X[:, 0], epochs=10**6, batch_size=None, n_threads=4)\n"
        "threading.Thread(target=fit, daemon=True).start()\n"
        "time.sleep(0.3)",
    )


def test_signals_are_not_for_the_workers():
    python(
        "import os, signal, mlpc, numpy as np\n"
        "net = mlpc.Network([50, 64, 1], loss='squared_error', seed=0)\n"
        "net.fit(np.ones((20000, 50)), np.ones(20000), epochs=1, batch_size=None, n_threads=3)\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})\n"
        "os.kill(os.getpid(), signal.SIGUSR1)\n"
        "assert signal.sigwait({signal.SIGUSR1}) == signal.SIGUSR1",
        OPENBLAS_NUM_THREADS="1",
    )


def test_threads_are_those_of_the_processors_allowed():
    restricts = hasattr(os, "sched_setaffinity")  # elsewhere all of them are allowed
    restrict = "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))});" if restricts else ""
    allowed = 1 if restricts else os.cpu_count()
    assert python(f"import os; {restrict} import mlpc; print(mlpc._core.N_THREADS)") == str(allowed)


IN_A_GROUP = """
mount --bind "$1/groups" /sys/fs/cgroup
mount --bind "$1/own" /proc/$$/cgroup
shift
exec "$@"
"""


@pytest.mark.parametrize(
    ("own", "limits", "limited"),
    [
        ("0::/", {"cpu.max": "50000 100000"}, True),
        ("0::/", {"cpu.max": "max 100000"}, False),
        ("0::/", {"cpu.max": "100000000 100000"}, False),
        ("0::/a/b", {"a/b/cpu.max": "130000 100000", "a/cpu.max": "max 100000"}, True),
        ("0::/a/b", {"a/b/cpu.max": "max 100000", "a/cpu.max": "100000 100000"}, True),
        ("0::/a", {"a/cpu.max": "max 100000", "b/cpu.max": "50000 100000"}, False),
        ("0::/outside", {"cpu.max": "100000 100000"}, True),
        ("1:cpu:/", {"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"}, True),
        ("1:cpu:/", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, False),
    ],
)
def test_threads_are_no_more_than_the_control_groups_allow(own, limits, limited, tmp_path):
    for name, text in limits.items():
        path = tmp_path / "groups" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    (tmp_path / "own").write_text(own + "\n")
    there = ["unshare", "--map-root-user", "--mount", "sh", "-e", "-c", IN_A_GROUP, "sh", str(tmp_path)]
    if not shutil.which("unshare") or subprocess.run([*there, "true"], capture_output=True).returncode != 0:
        pytest.skip("this system mounts nothing for its users")
    n_threads = int(run_command([*there, sys.executable, "-c", "import mlpc; print(mlpc._core.N_THREADS)"]))
    assert n_threads == (1 if limited else len(os.sched_getaffinity(0)))


@pytest.mark.parametrize("by", ["reader", "writer"])
def test_what_python_keeps_of_a_network_has_one_writer(by):
    """Where the core's own lock is not held: between the halves of what is kept on both sides."""
    X, y = [[1.0], [2.0]], [1.0, 2.0]
    net = mlpc.Network([1, 1], loss="squared_error", seed=0).fit(X, y, epochs=1)
    before, raised = fingerprint(net), []

    def others():
        calls = [
            lambda: net.fit(X, y),
            lambda: net.partial_fit(X, y),
            lambda: net.reset(),
            lambda: net.fold_output(0, 2),
            lambda: setattr(net, "optimizer", "sgd"),
        ]
        calls += [] if by == "reader" else [lambda: net.history, net.copy]
        for call in calls:
            with pytest.raises(RuntimeError, match=r"(read|changed) by another call"):
                call()
            raised.append(call)

    thread = threading.Thread(target=others)
    with net._as_reader("this") if by == "reader" else net._as_writer("this"):
        thread.start()
        thread.join()
        assert len(net.history) == 1
    assert len(raised) == (5 if by == "reader" else 7)
    assert fingerprint(net) == before
    assert net.fit(X, y, epochs=1).epoch == 2


@pytest.mark.parametrize("fork", ["os.fork()", "ctypes.CDLL(None).fork()"])
def test_a_forked_child_has_no_readers(fork):
    run_python(
        "import ctypes, os\n"
        "import mlpc\n"
        "net = mlpc.Network([1, 1], loss='squared_error', seed=0)\n"
        "with net._as_reader('this'):\n"
        "    try:\n"
        "        net.fit([[1.0]], [1.0])\n"
        "    except RuntimeError as error:\n"
        "        assert 'fit: this network is being read by another call' in str(error)\n"
        "    else:\n"
        "        raise AssertionError\n"
        f"    child = {fork}\n"
        "    if child == 0:\n"
        "        net.fit([[1.0]], [1.0], epochs=1)\n"
        "        os._exit(0)\n"
        "assert os.waitpid(child, 0)[1] == 0\n"
        "assert net.fit([[1.0]], [1.0], epochs=1).epoch == 1\n"
    )


def test_a_new_thread_of_a_forked_child_is_no_lost_writer():
    """Though the system gives it the identity of that one."""
    assert (
        run_python(
            "import os, threading, warnings\n"
            "import mlpc\n"
            "warnings.simplefilter('ignore', DeprecationWarning)  # a fork among threads\n"
            "net = mlpc.Network([1, 1], loss='squared_error', seed=0)\n"
            "inside, on = threading.Event(), threading.Event()\n"
            "def wait(net, epoch, logs):\n"
            "    inside.set()\n"
            "    on.wait(60)\n"
            "def fit():\n"
            "    net.fit([[1.0]], [1.0], epochs=1, callbacks=wait)\n"
            "writer = threading.Thread(target=fit)\n"
            "writer.start()\n"
            "inside.wait(60)\n"
            "def try_all():\n"
            "    calls = [fit, net.copy, lambda: net.predict([[1.0]]), lambda: net.history, net.end_epoch]\n"
            "    calls.append(lambda: setattr(net, 'parameters', [5.0, 5.0]))\n"
            "    for call in calls:\n"
            "        try:\n"
            "            call()\n"
            "        except RuntimeError as error:\n"
            "            print('when this process was forked' in str(error), flush=True)\n"
            "child = os.fork()\n"
            "if child == 0:\n"
            "    thread = threading.Thread(target=try_all)\n"
            "    thread.start()\n"
            "    thread.join()\n"
            "    os._exit(0)\n"
            "on.set()\n"
            "writer.join()\n"
            "assert os.waitpid(child, 0)[1] == 0\n"
        )
        == "True\n" * 6
    )


def interrupt_calls():
    """Print what a network has refused after Ctrl-C came at any moment of its smallest calls, and how often it came."""
    X, y = np.arange(24.0).reshape(8, 3), np.arange(8.0)
    net = mlpc.Network([3, 4, 1], loss="squared_error", seed=0)
    start, refused, came = net.parameters.copy(), set(), 0
    other = {"sgd": "adam", "adam": "sgd"}
    calls = [
        lambda: net.fit(X, y, epochs=1),
        lambda: net.partial_fit(X, y),
        lambda: net.history,
        net.copy,
        net.reset,
        lambda: setattr(net, "optimizer", other[type(net.optimizer).__name__.lower()]),
    ]
    random = np.random.default_rng(0)
    for i in range(6000):
        call, after = calls[i % len(calls)], random.uniform(1e-6, 3e-5)
        try:
            signal.signal(signal.SIGALRM, signal.default_int_handler)
            signal.setitimer(signal.ITIMER_REAL, after)
            call()
            call()
            signal.setitimer(signal.ITIMER_REAL, 0)
        except KeyboardInterrupt:
            came += 1
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        try:
            if net.epoch == 0 and not np.array_equal(net.parameters, start):
                refused.add("reset by halves")
            if net.optimizer.core_settings()["rule"] == "sgd" and net._get_state()["optimizer_state"].size:
                refused.add("an optimizer by halves")
            net.fit(X, y, epochs=1)
        except RuntimeError as error:
            refused.add(str(error))
    print(refused or "nothing", "often" if came > 1000 else came)


def test_an_interrupt_leaves_no_lock_behind():
    assert run_python("import test_threads; test_threads.interrupt_calls()") == "nothing often\n"
