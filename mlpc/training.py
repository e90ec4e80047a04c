"""Training of a network, as methods: what the arguments mean and may be. Epochs, batches and steps are the core's."""

from __future__ import annotations

import math
import warnings
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

from mlpc import _check
from mlpc._arrays import as_array, is_csr, is_frame, with_rows_together
from mlpc._class_weight import as_class_weight
from mlpc._epochs import CALLBACK_VALUE, LOSS, EpochEnd, as_callbacks, monitor_code, tell_end
from mlpc._progress import ProgressBar
from mlpc.evaluation import Evaluation
from mlpc.schedules import ReduceOnPlateau, core_schedule
from mlpc.stopping import as_early_stopping

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import ArrayLike
    from typing_extensions import Self

    from mlpc._epochs import Callback
    from mlpc._spec import Spec
    from mlpc.network import Network
    from mlpc.optimizers import Optimizer
    from mlpc.stopping import EarlyStopping

__all__ = ["DivergenceWarning"]


class DivergenceWarning(UserWarning):
    """Training met a loss, parameters or averages that are not finite and stopped at the last finite epoch."""


_NO_BAR = nullcontext()


class Training(Evaluation):
    """How `Network` is trained."""

    _spec: Spec
    _optimizer: Optimizer
    _bit_generator: np.random.BitGenerator  # the core draws from it, by its capsule
    _added: dict[str, list[float]]  # what callbacks added, by epoch
    _stop_reason: str | None
    _best_epoch: int | None
    # While an estimator trains: that it does, whether orders and reported losses are scikit-learn's, and its schedule.
    _is_fitting = False
    _as_sklearn = False
    _rates: Callable[[int], float] | None = None

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        epochs: int = 100,
        batch_size: int | Literal["auto"] | None = "auto",
        shuffle: bool = True,
        sample_weight: ArrayLike | None = None,
        class_weight: Mapping[int, float] | Mapping[float, float] | Literal["balanced"] | None = None,
        validation_data: tuple[ArrayLike, ...] | None = None,
        early_stopping: EarlyStopping | bool | None = None,
        callbacks: Callback | Sequence[Callback] | None = (),
        progress: bool = False,
        on_divergence: Literal["warn", "raise"] = "warn",
        n_threads: int | None = None,
    ) -> Self:
        """Train, going on from the parameters and the optimizer state there are.

        `fit(epochs=k)` equals k times `fit(epochs=1)`, bit for bit (early stopping aside). Ctrl-C leaves the network at
        the last completed step.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Finite. Read in place where it is an array of real numbers, whatever its dtype and strides, or a matrix or
            array of scipy.sparse in CSR format; of a frame that is shuffled a copy is made.
        y : array-like of shape (n_samples,), (n_samples, 1) or (n_samples, n_outputs)
            Targets; under binary cross-entropy in [0, 1], under the categorical one labels 0..K-1 or rows of
            probabilities, each with the sum 1 to within 0.001.
        epochs : int, default=100
            Passes over the data, not steps; >= 1.
        batch_size : int, "auto" or None, default="auto"
            Rows of a step, >= 1; "auto" is 32, or all rows for Rprop and LBFGS; None is all rows. A short last batch is
            used.
        shuffle : bool, default=True
            Whether each epoch visits the rows in a new order (never for a full batch).
        sample_weight : array-like of shape (n_samples,), optional
            Weights of the samples, >= 0, not all zero.
        class_weight : dict or "balanced", optional
            Weights of the labels, 1 where missing; "balanced" is n_samples / (n_classes n_samples_of_the_class). For
            one binary output or one label per row.
        validation_data : tuple (X, y) or (X, y, sample_weight), optional
            Judged after each epoch, without penalties or class weights.
        early_stopping : EarlyStopping or bool, optional
            When to stop before the last epoch; True is `mlpc.EarlyStopping()`, which needs `validation_data`: no rows
            are set aside.
        callbacks : callable or sequence of callable, default=()
            Called as (net, epoch, logs) after each epoch, `epoch` the number of epochs completed. A truthy result stops
            training. The dict `logs` has the epoch's "loss", "learning_rate" and, with `validation_data`,
            "validation_loss"; numbers added under other names are kept as columns of the history and may be monitored.
            One with a method `fit_ended` has that called as (net) once training has ended, unless by an exception of
            its own; a divergence is raised or warned of after it.
        progress : bool, default=False
            Whether to show epoch, loss, validation loss and rate while training (needs tqdm).
        on_divergence : {"warn", "raise"}, default="warn"
            What to do where loss, parameters or the optimizer's averages stop being finite; the network is at the last
            finite epoch, with early stopping at the best.
        n_threads : int, optional
            At most so many threads; the result does not depend on it. None: `MLPC_NUM_THREADS` or `OMP_NUM_THREADS`
            where set, else the processors this process may use. Small steps stay on one thread.

        Returns
        -------
        Network
            Itself.

        Raises
        ------
        TypeError, ValueError
            If an argument is not of its type, shape or range; the network is as before, but where a schedule, or what a
            callback adds, is found wrong in a later epoch: then at the last completed one.
        RuntimeError
            If the network is in use by another call.
        FloatingPointError
            If training diverges and `on_divergence` is "raise".
        ImportError
            If `progress` is asked for and tqdm is not installed.

        Examples
        --------
        >>> import mlpc
        >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [1.0, 3.0, 5.0, 7.0]
        >>> net = mlpc.Network([1, 1], loss="squared_error", optimizer="lbfgs", seed=0)
        >>> net.fit(X, y, epochs=20).predict([[4.0]]).round(3)
        array([9.])
        """
        epochs = _check.integer("epochs", epochs, 1)
        shuffle = _check.flag("shuffle", shuffle)
        _check.choice("on_divergence", on_divergence, ("warn", "raise"))
        threads = _threads(n_threads)
        validation = _as_validation_data(validation_data)
        hooks = as_callbacks(callbacks)
        weights = None
        if class_weight is not None:
            y = as_array(y, "y")
            weights = as_class_weight(class_weight, y, self._spec)
        stopping = as_early_stopping(early_stopping)
        with self._as_writer("fit"):  # from here on nobody gives it another optimizer
            batch_size = self._rows_a_step(X, batch_size)
            schedule = self._rates or self._optimizer.schedule
            plateau = schedule if isinstance(schedule, ReduceOnPlateau) else None
            stopping_code = plateau_code = LOSS
            if stopping or plateau:
                exists = {"validated": validation is not None, "callbacks": bool(hooks)}
                stopping_code, plateau_code = monitor_code(stopping, **exists), monitor_code(plateau, **exists)
            bar = ProgressBar(epochs, self.epoch) if _check.flag("progress", progress) else None
            with bar or _NO_BAR:
                epoch_end = None
                if hooks or bar:
                    epoch_end = EpochEnd(
                        cast("Network", self),
                        hooks,
                        self._added,
                        len(self._history()[0]),
                        validated=validation is not None,
                        bar=bar,
                        stopping=stopping.monitor if stopping and stopping_code == CALLBACK_VALUE else None,
                        plateau=plateau.monitor if plateau and plateau_code == CALLBACK_VALUE else None,
                    )
                if shuffle and is_frame(X) and 0 < batch_size < len(X):
                    X = with_rows_together(as_array(X, "X"))
                epoch, step = self.epoch, self.step
                # What an exception or a divergence is to take back, where it may change.
                before = self._get_state() if epoch_end and epoch_end.monitors else None
                random_state = self._bit_generator.state if shuffle and _may_have_batches(X, batch_size) else None
                try:
                    reason, best_epoch, diverged_epoch, diverged_step = self._fit(
                        X,
                        y,
                        epochs=epochs,
                        batch_size=batch_size,
                        shuffle=shuffle,
                        sample_weight=sample_weight,
                        class_weight=weights,
                        validation_data=validation,
                        schedule=core_schedule(schedule, plateau_code),
                        stopping=stopping.core_settings(stopping_code) if stopping else None,
                        epoch_end=epoch_end,
                        each_epoch=bool(hooks),
                        partial=False,
                        n_threads=threads,
                        as_sklearn=self._as_sklearn,
                    )
                except BaseException:
                    if before and epoch_end and epoch_end.monitor_missing:
                        self._set_state(before)
                    if self.step != step:
                        self._stop_reason = self._best_epoch = None
                    elif random_state:
                        self._bit_generator.state = random_state
                    self._forget_added()
                    raise
                if reason == "diverged" and random_state and batch_size < np.shape(X)[0]:
                    self._draw_orders_again(random_state, np.shape(X)[0], self.epoch - epoch)
                self._stop_reason = reason
                if bar:
                    bar.show_last(cast("Network", self))
                # The history has no row for what partial_fit and end_epoch() counted.
                self._best_epoch = best_epoch - (self.epoch - len(self._history()[0])) if best_epoch else None
        tell_end(cast("Network", self), hooks)
        if reason == "diverged":
            at = "best epoch" if stopping and stopping.restore_best and best_epoch else "last finite epoch"
            self._diverged(diverged_epoch, diverged_step, on_divergence, at)
        return self

    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        batch_size: int | Literal["auto"] | None = None,
        sample_weight: ArrayLike | None = None,
        n_threads: int | None = None,
    ) -> Self:
        """Train on the rows once, in their order: one step unless `batch_size` says otherwise.

        The steps are those of `fit(epochs=1, shuffle=False)`, but the epoch count stays: `end_epoch()` advances it. So
        a schedule that acts per step goes through its current epoch in each call. Nothing is added to the history.

        Parameters
        ----------
        X, y : array-like
            As in `fit`.
        batch_size : int, "auto" or None, default=None
            As in `fit`; None is all rows.
        sample_weight : array-like of shape (n_samples,), optional
            Weights of the samples, >= 0, not all zero.
        n_threads : int, optional
            At most so many threads; the result does not depend on it. None: `MLPC_NUM_THREADS` or `OMP_NUM_THREADS`
            where set, else the processors this process may use. Small steps stay on one thread.

        Returns
        -------
        Network
            Itself.

        Raises
        ------
        TypeError, ValueError
            If an argument is not of its type, shape or range; the network is as before.
        RuntimeError
            If the network is in use by another call.

        Warns
        -----
        DivergenceWarning
            If loss, parameters or averages stop being finite; the network is as before.

        Examples
        --------
        >>> import mlpc
        >>> net = mlpc.Network([1, 1], loss="squared_error", seed=0)
        >>> net.partial_fit([[0.0], [1.0]], [0.0, 1.0]).step
        1
        """
        with self._as_writer("partial_fit"):
            batch_size = self._rows_a_step(X, batch_size)
            schedule = self._optimizer.schedule
            plateau = schedule if isinstance(schedule, ReduceOnPlateau) else None
            plateau_code = monitor_code(plateau, validated=True, callbacks=True)  # as in the fit that it has seen
            reason, _, epoch, step = self._fit(
                X,
                y,
                epochs=1,
                batch_size=batch_size,
                shuffle=False,
                sample_weight=sample_weight,
                class_weight=None,
                validation_data=None,
                schedule=core_schedule(schedule, plateau_code),
                stopping=None,
                epoch_end=None,
                each_epoch=False,
                partial=True,
                n_threads=_threads(n_threads),
                as_sklearn=False,
            )
        if reason == "diverged":
            self._diverged(epoch, step, "warn", "state before this call")
        return self

    def _rows_a_step(self, X: ArrayLike, batch_size: int | str | None) -> int:
        """Rows of a batch as the core takes them: 0 is all of them."""
        optimizer = self._optimizer
        if isinstance(batch_size, str) and batch_size == "auto":
            return 0 if optimizer.full_batch else 32
        if batch_size is None:
            return 0
        expected = 'batch_size must be an integer, "auto" or None'
        if isinstance(batch_size, str):
            raise ValueError(f"{expected}, got {batch_size!r}")
        try:
            batch_size = _check.integer("batch_size", batch_size, 1)
        except TypeError:
            raise TypeError(f"{expected}, got {batch_size!r}") from None
        if optimizer.full_batch:
            rows: Any = X if is_csr(X, "X") else np.atleast_1d(as_array(X, "X"))
            n_rows = rows.shape[0]
            if batch_size < n_rows:
                expected = f"None or at least {n_rows}, all rows, with {type(optimizer).__name__}"
                raise ValueError(f"batch_size must be {expected}; got {batch_size}")
            return 0
        return batch_size

    def _draw_orders_again(self, random_state: Mapping[str, Any], n_rows: int, n_epochs: int) -> None:
        """Put the random state where the completed epochs left it: without the order of the one taken back."""
        self._bit_generator.state = random_state
        for _ in range(n_epochs):
            np.random.Generator(self._bit_generator).permutation(n_rows)

    def _forget_added(self) -> None:
        """Of what callbacks added, drop the rows of epochs that are not in the history, and columns without a value."""
        n_epochs = len(self._history()[0])
        for name, column in list(self._added.items()):
            del column[n_epochs:]
            if all(map(math.isnan, column)):
                del self._added[name]

    def _diverged(self, epoch: int, step: int, on_divergence: str, at: str) -> None:
        if self._as_sklearn:  # the estimator has an answer of its own
            return
        message = f"training diverged in step {step} of epoch {epoch}: loss, parameters or averages are not finite. "
        spoiled = np.flatnonzero(~np.isfinite(self.parameters))
        if spoiled.size:  # by whoever wrote them
            message += f"parameters[{spoiled[0]}] was {self.parameters[spoiled[0]]} before; reset() draws them again"
        else:
            message += (
                f"The network is at the {at}; try a lower learning_rate, clip_norm, or inputs scaled to mean 0 and "
                "variance 1"
            )
        if on_divergence == "raise":
            raise FloatingPointError(message)
        warnings.warn(message, DivergenceWarning, stacklevel=3)


def _as_validation_data(value: object) -> tuple[Any, ...] | None:
    if value is None:
        return None
    expected = "validation_data must be (X, y) or (X, y, sample_weight)"
    if not isinstance(value, (tuple, list)):
        raise TypeError(f"{expected}, got {type(value).__name__}")
    if len(value) not in (2, 3):
        raise ValueError(f"{expected}, got {type(value).__name__} of length {len(value)}")
    return tuple(value)


def _may_have_batches(X: ArrayLike, batch_size: int) -> bool:
    """Whether an epoch may take several steps; what is no array is not looked at here."""
    return batch_size > 0 and not (type(X) is np.ndarray and X.ndim > 0 and len(X) <= batch_size)


def _threads(n_threads: object) -> int:
    """Threads as the core takes them: 0 is as many as a call that does not say."""
    return 0 if n_threads is None else _check.integer("n_threads", n_threads, 1)
