"""Watching a network: the progress bar, LivePlot, how networks and histories print, in a terminal and a notebook."""

import re
import sys
import time
from html.parser import HTMLParser

import matplotlib as mpl

mpl.use("Agg")

import nbformat
import numpy as np
import pytest
from conftest import circles, fingerprint
from matplotlib import pyplot as plt
from nbclient import NotebookClient
from sklearn.exceptions import ConvergenceWarning

import mlpc
from mlpc import _progress
from mlpc._epochs import EpochEnd
from mlpc._table import as_text
from mlpc.estimators import MLPClassifier
from mlpc.plot import LivePlot
from mlpc.plot import live as live_module

X, Y = circles(40)


def make(sizes=(2, 3, 1), loss="binary_cross_entropy", **settings):
    return mlpc.Network(list(sizes), loss=loss, seed=0, **settings)


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


# ---- The progress bar.


def test_a_bar_shows_what_goes_on(monkeypatch, capsys):
    monkeypatch.setattr(_progress, "_PATIENCE", 0.0)
    net = make().fit(X, Y, epochs=2)
    net.fit(X, Y, epochs=5, progress=True, validation_data=(X, Y), callbacks=lambda *_: time.sleep(0.02))
    shown = capsys.readouterr().err
    last = shown.split("\r")[-1]
    history = net.history
    assert all(float(rate) < 50.0 for rate in re.findall(r"([\d.]+)epoch/s", shown))
    assert "5/5 [" in last
    assert f"loss {history.loss[-1]:.4g}, validation loss {history.validation_loss[-1]:.4g}, rate 0.001" in last
    assert re.search(r"\d\d:\d\d<\d\d:\d\d", last)  # time taken < time left


def test_nothing_is_shown_where_it_is_not_wanted(monkeypatch, capsys):
    monkeypatch.setattr(_progress, "_PATIENCE", 0.0)
    make().fit(X, Y, epochs=3, callbacks=lambda *_: time.sleep(0.01))
    assert capsys.readouterr() == ("", "")


def test_a_short_fit_makes_no_bar(monkeypatch, capsys):
    def fails(*_):
        raise AssertionError("a bar was made")

    monkeypatch.setattr(_progress, "_tqdm", fails)
    make().fit(X, Y, epochs=3, progress=True)
    assert capsys.readouterr() == ("", "")


def test_a_bar_is_told_by_the_clock(monkeypatch, capsys):
    """Told every epoch, it would cost a small network more than its training."""
    told = []
    call = EpochEnd.__call__
    monkeypatch.setattr(EpochEnd, "__call__", lambda self, *values: told.append(values[0]) or call(self, *values))
    monkeypatch.setattr(_progress, "_PATIENCE", 0.05)
    net, epochs = make(), 0
    start = time.perf_counter()
    while time.perf_counter() - start < 1.0 and "epoch" not in capsys.readouterr().err:
        start, told[:] = time.perf_counter(), []
        epochs = 2 * epochs or 20000
        net.fit(X, Y, epochs=epochs, batch_size=None, progress=True)
        seconds = time.perf_counter() - start
        assert len(told) <= seconds / 0.025 + 1
    assert 2 <= len(told) < epochs / 20
    plain = make()
    for _ in range(net.epoch // 20000):
        plain.fit(X, Y, epochs=20000, batch_size=None)
    assert np.array_equal(plain.parameters, net.parameters)


def test_the_last_epoch_is_shown_though_it_was_not_told(monkeypatch, capsys):
    monkeypatch.setattr(_progress, "_PATIENCE", 0.0)
    monkeypatch.setattr(_progress, "_INTERVAL", 60.0)
    net = make().fit(X, Y, epochs=1000000, batch_size=None, progress=True)
    last = capsys.readouterr().err.split("\r")[-1]
    assert "1000000/1000000" in last
    assert f"loss {net.history.loss[-1]:.4g}, rate" in last


def test_a_run_that_stops_early_is_complete_one_that_fails_is_not(monkeypatch, capsys):
    monkeypatch.setattr(_progress, "_PATIENCE", 0.0)
    stop = lambda net, epoch, logs: epoch == 3  # noqa: E731
    make().fit(X, Y, epochs=9, progress=True, callbacks=stop)
    assert "| 3/3 [" in capsys.readouterr().err.split("\r")[-1]

    def fail(net, epoch, logs):
        if epoch == 3:
            raise RuntimeError

    with pytest.raises(RuntimeError):
        make().fit(X, Y, epochs=9, progress=True, callbacks=fail)
    assert "/9 [" in capsys.readouterr().err.split("\r")[-1]


def test_updates_take_a_share_of_the_time(monkeypatch):
    bar = _progress.ProgressBar(10, 0)
    shown = []
    monkeypatch.setattr(bar, "show", lambda *values: (shown.append(values), time.sleep(0.002)))
    monkeypatch.setattr(_progress.ProgressBar, "shown", True)
    bar._next = 0.0
    start = time.perf_counter()
    bar.update(1, 0.5, np.nan, 0.1)
    assert bar._next - start >= min(2.0, 2000 * 0.002)
    bar.update(2, 0.5, np.nan, 0.1)
    assert len(shown) == 1


def test_making_the_bar_is_no_update(monkeypatch, capsys):
    clock = iter([0.0, 5.0, 5.0, 6.0])  # made, asked, the bar's own start, shown after a second
    monkeypatch.setattr(_progress, "perf_counter", lambda: next(clock))
    bar = _progress.ProgressBar(10, 0)
    bar.update(1, 0.5, np.nan, 0.1)
    assert bar._next == 6.0 + _progress._INTERVAL
    bar.__exit__(None)


# ---- The end of fit.


def test_callbacks_hear_that_fit_has_ended():
    class Callback:
        ended = ()

        def __call__(self, net, epoch, logs):
            return epoch == 3

        def fit_ended(self, net):
            self.ended += (net.epoch, net.history.stop_reason)
            net.fit(X, Y, epochs=1)  # no longer within training

    callback = Callback()
    net = make().fit(X, Y, epochs=10, callbacks=callback)
    assert callback.ended == (3, "callback")
    assert net.epoch == 4

    def fails(net, epoch, logs):
        raise KeyError(epoch)

    with pytest.raises(KeyError):
        net.fit(X, Y, callbacks=[callback, fails])
    assert callback.ended == (3, "callback")


# ---- LivePlot.


def test_live_plot_draws_loss_and_boundary():
    live = LivePlot(X, Y, interval=0)
    net = make().fit(X, Y, epochs=3, callbacks=live)
    assert live.n_drawn_ == 3
    assert np.array_equal(live.loss_.loss_line_.get_ydata(), net.history.loss)
    assert live.loss_.ax_.get_title() == f"epoch 3, loss {net.history.loss[-1]:.4g}"
    expected = net.predict_proba(np.column_stack([live.boundary_.xx0.ravel(), live.boundary_.xx1.ravel()]))
    np.testing.assert_allclose(live.boundary_.probability.ravel(), expected[:, 0], atol=1e-12)
    assert {live.loss_.ax_, live.boundary_.ax_} <= {*live.figure_.axes}
    assert live.figure_.number in plt.get_fignums()
    assert len(live.figure_.axes) == 3  # and the key of the shades
    picture = np.asarray(live.figure_.canvas.buffer_rgba())
    assert len(np.unique(picture.reshape(-1, 4), axis=0)) > 100


def test_live_plot_of_an_estimator_with_named_classes():
    names = np.array(["outer", "inner"])[Y]
    live = LivePlot(X, names)
    with pytest.warns(ConvergenceWarning):
        MLPClassifier((4,), max_iter=3, callbacks=[live], random_state=0).fit(X, names)
    drawn = live.boundary_
    assert drawn.colorbar_.ax.get_ylabel() == "probability of outer"
    assert np.array_equal(drawn.points_[0].get_offsets(), X[names == "inner"])


@pytest.mark.parametrize("classes", [[1, 2], [-1, 1], [10, 20, 30]])
def test_live_plot_of_an_estimator_with_numbers_as_classes(classes):
    labels = np.array(classes)[np.arange(len(X)) % len(classes)]
    live = LivePlot(X, labels[:, None] if len(classes) == 3 else labels)
    with pytest.warns(ConvergenceWarning):
        MLPClassifier((4,), max_iter=3, callbacks=[live], random_state=0).fit(X, labels)
    assert np.array_equal(live.boundary_.points_[0].get_offsets(), X[labels == classes[0]])
    named = [text.get_text() for text in live.boundary_.ax_.get_legend().get_texts()]
    assert named == [f"class {label}" for label in classes]


def test_live_plot_keeps_to_its_interval_and_draws_the_end():
    live = LivePlot(interval=1000.0)
    net = make().fit(X, Y, epochs=200, callbacks=live, validation_data=(X, Y))
    assert live.n_drawn_ == 2
    assert len(live.loss_.epochs) == 200
    assert live.boundary_ is None
    first = live.figure_
    live._handle = object()  # of the cell that shows the picture
    net.fit(X, Y, epochs=5, callbacks=live)
    assert live.figure_ is first
    assert live.n_drawn_ == 4  # the next fit begins with a picture, under its own cell
    assert live._handle is None


def test_live_plot_takes_a_fifth_of_the_time(monkeypatch):
    net = make().fit(X, Y, epochs=1)
    for interval, rest in ((0.5, 12.0), (20.0, 20.0), (0.0, 0.0)):
        clock = iter([10.0, 13.0])
        monkeypatch.setattr(live_module, "perf_counter", lambda clock=clock: next(clock))
        plot = LivePlot(interval=interval)
        plot.draw(net)
        assert plot._next == 13.0 + rest


def test_live_plot_of_some_of_the_classes():
    labels = 2 * Y
    net = make((2, 4, 3), "categorical_cross_entropy")
    live = LivePlot(X, labels)
    net.fit(X, labels, epochs=1, callbacks=live)
    named = [text.get_text() for text in live.boundary_.ax_.get_legend().get_texts()]
    assert named == ["class 0", "class 1", "class 2"]
    names = np.array(["outer", "inner"], np.dtypes.StringDType())[Y]
    net = make()
    live = LivePlot(X, names)
    net.fit(X, Y, epochs=1)
    live.draw(net)
    assert live.boundary_.class_names == ["inner", "outer"]
    several = LivePlot(X, np.column_stack([Y, 1 - Y]))
    make((2, 3, 2)).fit(X, np.column_stack([Y, 1 - Y]), epochs=1, callbacks=several)
    assert several.boundary_ is None  # of several sigmoids none is the one to draw


def test_live_plot_leaves_training_as_it_is():
    watched, alone = (make((2, 4, 3), "categorical_cross_entropy", dropout=0.2) for _ in range(2))
    labels = np.arange(len(X)) % 3
    live = LivePlot(X, labels, interval=0)
    watched.fit(X, labels, epochs=3, callbacks=live)
    assert fingerprint(watched) == fingerprint(alone.fit(X, labels, epochs=3))
    assert live.boundary_.probability.shape[-1] == 3
    regression = LivePlot(X, interval=0)
    make(loss="squared_error").fit(X, Y, epochs=1, callbacks=regression)
    assert regression.boundary_ is None


@pytest.mark.parametrize(("value", "error"), [(-1, ValueError), ("a", TypeError), (float("nan"), ValueError)])
def test_bad_interval(value, error):
    with pytest.raises(error, match="interval"):
        LivePlot(interval=value)


def test_in_a_notebook(tmp_path):
    source = [
        "import time, mlpc; from mlpc.plot import LivePlot; X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]",
        "net = mlpc.Network([2, 4, 1], loss='binary_cross_entropy', seed=0); live = LivePlot(X, y, interval=0)\n"
        "net.fit(X, y, epochs=4, callbacks=live); assert live.n_drawn_ == 4",
        "net",
        "net.history",
        "_ = net.fit(X, y, epochs=8, progress=True, callbacks=lambda *_: time.sleep(0.08))",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in source])
    resources = {"metadata": {"path": tmp_path}}
    NotebookClient(notebook, timeout=120, kernel_name="python3", resources=resources).execute()
    _, live, net, history, progress = (cell.outputs for cell in notebook.cells)
    (picture,) = live  # one, replaced in place
    assert len(picture.data["image/png"]) > 10_000
    assert "<td>hidden 1</td>" in net[0].data["text/html"]
    assert "<th>epoch</th>" in history[0].data["text/html"]
    shown = "".join(output.get("text", "") or str(output.get("data", "")) for output in progress)
    assert "8/8" in shown
    assert "loss" in shown
    assert "Warning" not in shown


# ---- How it prints.


class Cells(HTMLParser):
    """The texts of a table's cells, row by row; every tag must be closed."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.open = [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1].append(data)


def test_a_network_at_a_glance():
    net = make([2, 30, 4, 1], hidden_activation=["tanh", "relu"], optimizer=mlpc.SGD(0.1)).fit(X, Y, epochs=2)
    head, *table = repr(net).split("\n")
    assert head.startswith("Network([2, 30, 4, 1], loss='binary_cross_entropy', hidden_activation=('tanh', 'relu')")
    assert "optimizer=SGD(learning_rate=0.1" in head
    assert [line.split() for line in table] == [
        ["#", "layer", "weights", "biases", "activation", "parameters"],
        ["#", "hidden", "1", "(2,", "30)", "(30,)", "tanh", "90"],
        ["#", "hidden", "2", "(30,", "4)", "(4,)", "relu", "124"],
        ["#", "output", "(4,", "1)", "(1,)", "sigmoid", "5"],
        f"# {net.n_parameters} parameters in float64; trained for 2 epochs, {net.step} steps".split(),
    ]
    rows = Cells(net._repr_html_()).rows
    assert rows[0] == ["layer", "weights", "biases", "activation", "parameters"]
    assert rows[2] == ["hidden 2", "(30, 4)", "(4,)", "relu", "124"]
    assert "trained for 2 epochs" in net._repr_html_()
    rows = [line.split() for line in repr(make(bias=False)).split("\n")]
    assert rows[2] == ["#", "hidden", "1", "(2,", "3)", "none", "relu", "6"]
    assert "dtype='float32', seed=" in repr(make(dtype="float32"))


def test_a_network_of_twelve_layers_is_whole():
    lines = repr(make([2] + [3] * 11 + [1])).split("\n")
    assert len(lines) == 15
    assert not any(line.startswith("# ...") for line in lines)


def test_a_deep_network_is_cut():
    net = make([2] + [3] * 40 + [1])
    lines = repr(net).split("\n")
    assert len(lines) == 15
    assert any(line.startswith("# ...") for line in lines)
    assert "hidden 40" in lines[-3]
    assert "output" in lines[-2]
    again = eval(repr(net), {name: getattr(mlpc, name) for name in mlpc.__all__})
    assert np.array_equal(again.parameters, net.parameters)


def test_text_is_escaped():
    def initializer(rng, shape):
        return rng.normal(size=shape)

    html = make(initializer=initializer)._repr_html_()
    assert "&lt;function" in html
    assert Cells(html).rows
    net = make().fit(X, Y, epochs=1, callbacks=lambda net, epoch, logs: logs.update({"a<b>": 1.0}))
    assert "<th>a&lt;b&gt;</th>" in net.history._repr_html_()


def test_a_history_is_a_short_table():
    net = make().fit(
        X, Y, epochs=300, validation_data=(X, Y), callbacks=lambda net, epoch, logs: logs.update(odd=epoch % 2)
    )
    history = net.history
    head, names, *rows = repr(history).split("\n")
    assert head == f"History(300 epochs, stop_reason='epochs', best_epoch={history.best_epoch})"
    assert names.split() == ["epoch", "loss", "validation_loss", "learning_rate", "odd"]
    assert len(rows) <= 8
    shown = np.array([[float(cell) for cell in row.split()] for row in rows])
    epochs = shown[:, 0].astype(int)
    assert epochs[0] == 1
    assert epochs[-1] == 300
    assert history.best_epoch in epochs
    assert (np.diff(epochs) > 0).all()
    for column, name in enumerate(names.split()[1:], start=1):
        np.testing.assert_allclose(shown[:, column], history[name][epochs - 1], rtol=1e-5)
    cells = Cells(history._repr_html_()).rows
    assert cells[0] == names.split()
    assert cells[1:] == [row.split() for row in rows]


def test_the_best_epoch_has_its_row():
    loss = np.arange(100.0)
    history = mlpc.History(loss, np.abs(loss - 36.0), loss, {}, None, "epochs")
    assert history.best_epoch == 37
    assert re.search(r"^ +37 +36 +0 +36$", repr(history), flags=re.MULTILINE)
    assert len(repr(history).split("\n")) == 2 + 8


def test_numbers_end_below_each_other():
    assert as_text([("n", "what"), ("1,234", "x"), ("...", "yy"), ("5", "z")]) == [
        "    n  what",
        "1,234  x",
        "  ...  yy",
        "    5  z",
    ]


def test_a_short_history_is_whole():
    net = make().fit(X, Y, epochs=3)
    assert len(repr(net.history).split("\n")) == 5
    assert "validation_loss" not in repr(net.history)
    assert repr(make().history) == "History(0 epochs, stop_reason=None, best_epoch=None)"
    assert Cells(make().history._repr_html_()).rows == []


def test_pictures_need_no_ipython(monkeypatch):
    monkeypatch.setitem(sys.modules, "IPython", None)
    live = LivePlot(interval=0)
    make().fit(X, Y, epochs=1, callbacks=live)
    assert live.n_drawn_ == 1


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
