"""What scikit-learn's MLP does between epochs: curves, scores, patience, learning rates. Epochs are the network's."""

from __future__ import annotations

import copy
import math
import pickle
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpc._epochs import as_callbacks, check_untouched

if TYPE_CHECKING:
    from mlpc._epochs import Callback
    from mlpc._estimators_base import BaseMLP
    from mlpc.network import Network


class Epochs:
    """The callback that keeps an estimator's fitted attributes and says when to stop.

    The iterations of L-BFGS have no curve of losses and end by themselves, but for early stopping.

    Parameters
    ----------
    estimator : BaseMLP
        Whose attributes these are.
    n_samples : int
        Rows of an epoch.
    score : callable, optional
        Given the epoch's logs, the score on the validation set; higher is better.
    """

    def __init__(
        self, estimator: BaseMLP, n_samples: int, score: Callable[[dict[str, Any]], float] | None = None
    ) -> None:
        self._estimator, self._n_samples, self._score = estimator, n_samples, score
        self._best_parameters: Any = None
        self._best_epoch: int | None = None
        self._own: dict[str, float] = {}  # columns of the history, beside the network's
        self.stopped = False

    def judge_start(self, net: Network, X: Any, y: Any, sample_weight: Any) -> None:
        """After a warm start the score to beat is that of the parameters there are, on the rows that judge now."""
        if self._score is None or not self._estimator.early_stopping:
            return
        self._estimator.best_validation_score_ = -np.inf
        self._estimator._no_improvement_count = 0
        loss = float(np.average(net.sample_losses(X, y), weights=sample_weight))
        self._keep_best(net, self._score({"validation_loss": loss}), net._best_epoch or len(net._history()[0]))

    def __call__(self, net: Network, epoch: int, logs: dict[str, Any]) -> bool:
        score = None
        if self._score is not None:
            score = self._score(logs)
            self._own = {"validation_score": score}
            logs.update(self._own)
        self._record(logs["loss"], score)
        estimator = self._estimator
        if estimator._is_lbfgs() and (score is None or not estimator.early_stopping):
            return False
        self._count(net, score)
        if estimator._solver_rate() == "invscaling":
            estimator._rate = estimator.learning_rate_init / (estimator.t_ + 1) ** estimator.power_t
        if estimator._no_improvement_count > estimator.n_iter_no_change:
            self.stopped = self._out_of_patience()
        return self.stopped

    def callbacks(self) -> tuple[Callback, ...]:
        """What is called after an epoch: this, the caller's, and a look at what those did."""
        return (self, *as_callbacks(self._estimator.callbacks), self._check_own)

    def _check_own(self, net: Network, epoch: int, logs: dict[str, Any]) -> None:
        check_untouched(logs, self._own)

    def fit_ended(self, net: Network) -> None:
        """Go back to the best epoch, with early stopping, and tell the history what ended the fit."""
        estimator = self._estimator
        if self.stopped:
            net._stop_reason = "early_stopping"  # not "callback", though it is one that watched
        if estimator.early_stopping and self._score is not None:
            if self._best_parameters is None:  # no score was a number: the parameters are the last
                self._best_epoch = len(net._history()[0])
            else:
                net.parameters = self._best_parameters
            net._best_epoch = self._best_epoch or None

    def warn_unjudged(self) -> None:
        """Say that early stopping did nothing, where that is so."""
        estimator = self._estimator
        if self._score is None or not estimator.early_stopping or self._best_parameters is not None:
            return
        if estimator.n_iter_:
            warnings.warn(
                f"early_stopping had nothing to go by: with scoring={estimator.scoring!r} no score of the validation "
                "rows was a finite number. The weights are the last. Are there rows enough, and some of each class?",
                stacklevel=6,
            )

    def diverged(self) -> None:
        """Record an epoch whose loss or parameters were not finite: the network is at the one before."""
        self._record(math.nan, None if self._score is None else math.nan)

    def _record(self, loss: float, score: float | None) -> None:
        estimator, loss = self._estimator, np.float64(loss)  # scikit-learn's type, which has more methods
        estimator.n_iter_ += 1
        estimator.t_ += self._n_samples
        estimator.loss_ = loss
        if not estimator._is_lbfgs():
            estimator.loss_curve_.append(loss)
        if estimator.verbose:
            print(f"Iteration {estimator.n_iter_}, loss = {loss:.8f}")
        if score is not None:
            if estimator.validation_scores_ is None:
                estimator.validation_scores_ = []
            estimator.validation_scores_.append(score)
            if estimator.verbose:
                print(f"Validation score: {score:f}")

    def _count(self, net: Network, score: float | None) -> None:
        estimator = self._estimator
        if estimator.early_stopping:
            # A score of NaN is no reason to stop and never the best.
            worse = score < estimator.best_validation_score_ + estimator.tol
            self._keep_best(net, score, len(net._history()[0]))
        else:
            worse = estimator.loss_ > estimator.best_loss_ - estimator.tol
            estimator.best_loss_ = min(estimator.best_loss_, estimator.loss_)
        estimator._no_improvement_count = estimator._no_improvement_count + 1 if worse else 0

    def _keep_best(self, net: Network, score: Any, epoch: int) -> None:
        if score > self._estimator.best_validation_score_:
            self._estimator.best_validation_score_ = score
            self._best_parameters, self._best_epoch = net.parameters.copy(), epoch

    def _out_of_patience(self) -> bool:
        """Whether to stop; the adaptive learning rate is lowered first."""
        estimator = self._estimator
        what = "Validation score" if estimator.early_stopping else "Training loss"
        patience = f"tol={estimator.tol:f} for {estimator.n_iter_no_change} consecutive epochs."
        message = f"{what} did not improve more than {patience}"
        adaptive = estimator._solver_rate() == "adaptive"
        stops = not adaptive or estimator._rate <= 1e-6
        if stops:
            then = "Learning rate too small. Stopping." if adaptive else "Stopping."
        else:
            estimator._rate /= 5.0
            estimator._no_improvement_count = 0
            then = f"Setting learning rate to {estimator._rate:f}"
        if estimator.verbose:
            print(f"{message} {then}")
        return stops


@contextmanager
def as_sklearn(
    net: Network, random_state: np.random.RandomState, *, shared: bool, rates: Callable[[int], float] | None
) -> Iterator[None]:
    """Let the network train as scikit-learn does: orders from a RandomState, its losses, and `rates` for a schedule.

    The core draws without the interpreter's lock: of a state that others may use at the same time (`shared`) it gets a
    copy, and what it drew counts when it is done, unless somebody else has drawn meanwhile: no number is drawn twice.
    """
    source = random_state._bit_generator
    bits = copy.deepcopy(source) if shared else source
    before = pickle.dumps(source.state) if shared else None
    net._set_bit_generator(bits)
    net._as_sklearn, net._rates = True, rates
    try:
        yield
    finally:
        del net._as_sklearn, net._rates
        net._set_bit_generator(net._bit_generator)
        if shared and pickle.dumps(source.state) == before:
            source.state = bits.state
