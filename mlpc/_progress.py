"""A progress bar over epochs. It is made only once training has taken long enough to wonder."""

import sys
import warnings
from importlib import import_module
from importlib.util import find_spec
from time import perf_counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlpc.network import Network

_PATIENCE = 0.3  # seconds before the bar appears: making one costs more than many a whole training run
_INTERVAL = 0.1  # seconds between two updates, at least
_REST = 2000.0  # times what an update took: so that all of them take less than 0.1 % of the time


class ProgressBar:
    """Epochs done and the time left, loss, validation loss and learning rate: by tqdm, on standard error.

    In a notebook it is tqdm's widget; `TQDM_DISABLE=1` in the environment keeps it quiet.
    """

    def __init__(self, epochs: int, first: int) -> None:
        if find_spec("tqdm") is None:
            raise ImportError("progress=True needs tqdm: pip install tqdm")
        self._epochs, self._first = epochs, first  # epochs of this fit, and before it
        self._start = perf_counter()
        self._next = self._start + _PATIENCE
        self._bar: Any = None

    @property
    def shown(self) -> bool:
        """Whether training has taken that long."""
        return self._bar is not None

    def update(self, epoch: int, loss: float, validation_loss: float, learning_rate: float) -> None:
        """Show an epoch, if it is time to."""
        start = perf_counter()
        if start >= self._next:
            made = not self.shown
            self.show(epoch, loss, validation_loss, learning_rate)
            now = perf_counter()
            self._next = now + max(_INTERVAL, 0.0 if made else min(2.0, _REST * (now - start)))

    def show(self, epoch: int, loss: float, validation_loss: float, learning_rate: float) -> None:
        """Show an epoch now."""
        if self._bar is None:
            self._bar = _tqdm()(total=self._epochs, unit="epoch", mininterval=0.0, miniters=1)
            if not self._bar.disable:  # the epochs before there was a bar took their time, too
                self._bar.start_t = self._bar.last_print_t = self._bar.start_t - (perf_counter() - self._start)
        # NaN: nothing was validated.
        validation = f", validation loss {validation_loss:.4g}" if validation_loss == validation_loss else ""
        self._bar.set_postfix_str(f"loss {loss:.4g}{validation}, rate {learning_rate:.3g}", refresh=False)
        self._bar.update(epoch - self._first - self._bar.n)

    def show_last(self, net: "Network") -> None:
        """Show the epoch that ended training, if there is anything to see yet."""
        if self.shown:
            self.show(net.epoch, *(column[-1] for column in net._history()))

    def __enter__(self) -> "ProgressBar":
        return self

    def __exit__(self, exception: type[BaseException] | None, *_: object) -> None:
        if self._bar is not None:
            if exception is None:
                self._bar.total = self._bar.n  # a run that stops early is complete; short of its total a widget is red
            self._bar.close()


def _tqdm() -> Any:
    """Return the bar of where this runs. Outside notebooks `tqdm.auto` is `tqdm`, and takes longer to import."""
    if "ipykernel" not in sys.modules:
        return import_module("tqdm").tqdm
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # without ipywidgets there are no widgets: a bar of text is what there is then
        return import_module("tqdm.auto").tqdm
