"""A progress bar over epochs. It is made only once training has taken long enough to wonder."""

from importlib.util import find_spec
from time import perf_counter
from typing import Any

_PATIENCE = 0.3  # seconds before the bar appears: making one costs more than many a whole training run
_INTERVAL = 0.1  # seconds between two updates


class ProgressBar:
    """Epoch, loss, validation loss and learning rate, on standard error."""

    def __init__(self, epochs: int) -> None:
        if find_spec("tqdm") is None:
            raise ImportError("progress=True needs tqdm: pip install 'mlpc[progress]'")
        self._epochs, self._done, self._text = epochs, 0, ""
        self._next = perf_counter() + _PATIENCE
        self._bar: Any = None

    def update(self, loss: float, validation_loss: float, learning_rate: float) -> None:
        """Count one epoch."""
        self._done += 1
        # NaN: nothing was validated.
        validation = f", validation loss {validation_loss:.4g}" if validation_loss == validation_loss else ""
        self._text = f"loss {loss:.4g}{validation}, rate {learning_rate:.3g}"
        if perf_counter() >= self._next:
            self._show()

    def _show(self) -> None:
        if self._bar is None:
            from tqdm import tqdm

            self._bar = tqdm(total=self._epochs, unit="epoch")
        self._bar.set_postfix_str(self._text, refresh=False)
        self._bar.update(self._done - self._bar.n)
        self._next = perf_counter() + _INTERVAL

    def __enter__(self) -> "ProgressBar":
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._show()
            self._bar.close()
