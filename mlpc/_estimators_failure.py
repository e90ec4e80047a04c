"""What a fit that fails before its first epoch leaves behind: the estimator as it was before the call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlpc._estimators_base import BaseMLP
    from mlpc.optimizers import Optimizer


@contextmanager
def as_before_on_failure(estimator: BaseMLP, *, first: bool, incremental: bool) -> Iterator[None]:
    """After an exception before an epoch (iteration) was recorded, put back what the estimator had.

    A later exception, of a callback for one, leaves what was trained. `first`: the fit makes a network of its own and
    does not touch the one there is. `incremental`: it goes on with the optimizer's state, which need not be copied
    unless the optimizer is another one.
    """
    before = dict(estimator.__dict__)
    curves = [before[name] for name in ("loss_curve_", "validation_scores_") if before.get(name) is not None]
    lengths = [len(curve) for curve in curves]  # they grow in place
    network = None if first else estimator.network_
    optimizer = network.optimizer if network else None
    keeps = incremental and optimizer and _unscheduled(estimator._make_optimizer()) == _unscheduled(optimizer)
    state = network._get_state() if network and not keeps else None
    epoch = network.epoch if network else 0
    try:
        yield
    except BaseException:
        trained = estimator.__dict__.get("network_")
        if first and trained is before.get("network_"):  # that of an earlier fit
            trained = None
        # The core takes an epoch back where an argument was wrong; a scorer may fail before its epoch is counted.
        if trained is None or trained.epoch == epoch or not estimator.n_iter_:
            for curve, length in zip(curves, lengths, strict=True):
                del curve[length:]
            estimator.__dict__.clear()
            estimator.__dict__.update(before)
            if network and optimizer:
                network.optimizer = optimizer
            if network and state:
                network._set_state(state)
        raise


def _unscheduled(optimizer: Optimizer) -> Optimizer:
    return optimizer.replace(schedule=None)
