"""Optimizers: settings only, immutable; their state belongs to a network and their rules are the core's.

Each follows PyTorch's optimizer of the same name step for step.
"""

from typing import Any, ClassVar

from mlpc import _check
from mlpc._settings import Settings, checked, integer, real
from mlpc.schedules import AnySchedule, check_schedule

__all__ = ["LBFGS", "SGD", "Adam", "AdamW", "RMSprop", "Rprop"]


class Optimizer(Settings):
    """Settings of an optimizer, under the names that the core knows."""

    rule: ClassVar[str]
    full_batch: ClassVar[bool] = False  # refuses mini-batches and dropout: its steps compare successive gradients

    @property
    def schedule(self) -> AnySchedule | None:
        """None, where it is no setting."""
        return None

    def core_settings(self) -> dict[str, Any]:
        """Return what the core's optimizer reads."""
        settings = {name: value for name, value in self.values().items() if name != "schedule" and value is not None}
        return {"rule": self.rule, **settings}


def _clip_norm(name: str, value: object) -> float | None:
    return None if value is None else _check.real(name, value, gt=0)


class FirstOrder(Optimizer):
    """What optimizers with a schedule share; see Adam for the two settings."""

    schedule: AnySchedule | None = checked(default=None, check=check_schedule, kw_only=True)
    clip_norm: float | None = checked(default=None, check=_clip_norm, kw_only=True)


class SGD(FirstOrder):
    """Gradient descent, with momentum if asked.

    Parameters
    ----------
    learning_rate : float, default=0.01
        > 0.
    momentum : float, default=0.0
        In [0, 1].
    nesterov : bool, default=False
        Nesterov's momentum; needs a momentum > 0.
    schedule : schedule or callable, optional
        Multiplies the learning rate; a callable gets the epoch, from 0.
    clip_norm : float, optional
        Largest Euclidean norm of the gradient c: it is multiplied by min(1, c / (norm + 1e-6)).
    classic : bool, default=False
        Whether the velocity holds steps, the rate included, as in scikit-learn: then a new rate leaves it alone.

    Raises
    ------
    TypeError, ValueError
        If a setting is not of its type or range.

    Notes
    -----
    With gradient g: v <- momentum v + g, w <- w - learning_rate v; with Nesterov's momentum
    w <- w - learning_rate (g + momentum v). The classic form has v <- momentum v + learning_rate g, w <- w - v and
    w <- w - (learning_rate g + momentum v), the same while the rate stays, or without momentum. Sutskever,
    Martens, Dahl and Hinton (2013), "On the importance of initialization and momentum in deep learning", in PyTorch's
    form.

    Examples
    --------
    >>> import mlpc
    >>> mlpc.SGD(0.1, momentum=0.9)
    SGD(learning_rate=0.1, momentum=0.9, nesterov=False)
    """

    rule: ClassVar[str] = "sgd"
    learning_rate: float = real(0.01, gt=0)
    momentum: float = real(0.0, ge=0, le=1)
    nesterov: bool = checked(default=False, check=_check.flag)
    classic: bool = checked(default=False, check=_check.flag, kw_only=True)

    def _check_together(self) -> None:
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov=True needs a momentum > 0, got momentum=0.0")


class Adam(FirstOrder):
    """Adam: steps scaled by running averages of the gradient and its square.

    Parameters
    ----------
    learning_rate : float, default=0.001
        > 0.
    beta_1, beta_2 : float, default=0.9, 0.999
        Decay of the averages of the gradient and of its square, in [0, 1).
    epsilon : float, default=1e-8
        Added to the root of the second average; >= 0.
    schedule : schedule or callable, optional
        Multiplies the learning rate; a callable gets the epoch, from 0.
    clip_norm : float, optional
        Largest Euclidean norm of the gradient c: it is multiplied by min(1, c / (norm + 1e-6)).
    classic : bool, default=False
        Whether epsilon is added before v is corrected, as in scikit-learn.

    Raises
    ------
    TypeError, ValueError
        If a setting is not of its type or range.

    Notes
    -----
    m <- beta_1 m + (1 - beta_1) g, v <- beta_2 v + (1 - beta_2) g²; at step t
    w <- w - learning_rate (m / (1 - beta_1^t)) / (sqrt(v / (1 - beta_2^t)) + epsilon), or in the classic form
    w <- w - learning_rate sqrt(1 - beta_2^t) / (1 - beta_1^t) m / (sqrt(v) + epsilon). Kingma and Ba (2015), "Adam: a
    method for stochastic optimization"; the classic form is at the end of their section 2.

    The averages of a weight that gets no gradient any more fade to subnormal numbers, which processors divide slowly.
    Unless epsilon is 0, such averages become 0 every 64 steps.

    Examples
    --------
    >>> import mlpc
    >>> mlpc.Adam(0.01, clip_norm=1.0)
    Adam(learning_rate=0.01, beta_1=0.9, beta_2=0.999, epsilon=1e-08, clip_norm=1.0)
    """

    rule: ClassVar[str] = "adam"
    learning_rate: float = real(0.001, gt=0)
    beta_1: float = real(0.9, ge=0, lt=1)
    beta_2: float = real(0.999, ge=0, lt=1)
    epsilon: float = real(1e-8, ge=0)
    classic: bool = checked(default=False, check=_check.flag, kw_only=True)


class AdamW(FirstOrder):
    """Adam with decoupled weight decay.

    Parameters
    ----------
    learning_rate : float, default=0.001
        > 0.
    beta_1, beta_2 : float, default=0.9, 0.999
        Decay of the averages of the gradient and of its square, in [0, 1).
    epsilon : float, default=1e-8
        Added to the root of the second average; >= 0.
    weight_decay : float, default=0.01
        Each step first multiplies the weights, not the biases, by 1 - learning_rate weight_decay; >= 0.
    schedule : schedule or callable, optional
        Multiplies the learning rate; a callable gets the epoch, from 0.
    clip_norm : float, optional
        Largest Euclidean norm of the gradient c: it is multiplied by min(1, c / (norm + 1e-6)).

    Raises
    ------
    TypeError, ValueError
        If a setting is not of its type or range.

    Notes
    -----
    Loshchilov and Hutter (2019), "Decoupled weight decay regularization".

    Examples
    --------
    >>> import mlpc
    >>> mlpc.AdamW(weight_decay=0.1).weight_decay
    0.1
    """

    rule: ClassVar[str] = "adamw"
    learning_rate: float = real(0.001, gt=0)
    beta_1: float = real(0.9, ge=0, lt=1)
    beta_2: float = real(0.999, ge=0, lt=1)
    epsilon: float = real(1e-8, ge=0)
    weight_decay: float = real(0.01, ge=0)


class RMSprop(FirstOrder):
    """RMSprop: gradients divided by the root of a running average of their squares.

    Parameters
    ----------
    learning_rate : float, default=0.001
        > 0.
    rho : float, default=0.9
        Decay of the average, in [0, 1).
    epsilon : float, default=1e-8
        Added to the root; >= 0.
    momentum : float, default=0.0
        In [0, 1].
    schedule : schedule or callable, optional
        Multiplies the learning rate; a callable gets the epoch, from 0.
    clip_norm : float, optional
        Largest Euclidean norm of the gradient c: it is multiplied by min(1, c / (norm + 1e-6)).

    Raises
    ------
    TypeError, ValueError
        If a setting is not of its type or range.

    Notes
    -----
    s <- rho s + (1 - rho) g², u <- momentum u + g / (sqrt(s) + epsilon), w <- w - learning_rate u; Tieleman and Hinton
    (2012), "Neural networks for machine learning", lecture 6.5.

    Examples
    --------
    >>> import mlpc
    >>> mlpc.RMSprop(rho=0.99)
    RMSprop(learning_rate=0.001, rho=0.99, epsilon=1e-08, momentum=0.0)
    """

    rule: ClassVar[str] = "rmsprop"
    learning_rate: float = real(0.001, gt=0)
    rho: float = real(0.9, ge=0, lt=1)
    epsilon: float = real(1e-8, ge=0)
    momentum: float = real(0.0, ge=0, le=1)


class Rprop(Optimizer):
    """Resilient propagation: each parameter has its own step, led by the gradient's sign. Full batches, no dropout.

    Parameters
    ----------
    learning_rate : float, default=0.01
        The first step of every parameter; > 0.
    eta_minus : float, default=0.5
        What a step shrinks by where the gradient changed its sign, in (0, 1).
    eta_plus : float, default=1.2
        What it grows by where the sign stayed; > 1.
    step_min, step_max : float, default=1e-6, 50.0
        Bounds of a step; 0 <= step_min <= step_max.

    Raises
    ------
    TypeError, ValueError
        If a setting is not of its type or range.

    Notes
    -----
    The variant iRprop-: after a change of sign the gradient counts as zero for one step; Igel and Hüsken (2003),
    "Empirical evaluation of the improved Rprop learning algorithms".

    Examples
    --------
    >>> import mlpc
    >>> mlpc.Rprop(0.1)
    Rprop(learning_rate=0.1, eta_minus=0.5, eta_plus=1.2, step_min=1e-06, step_max=50.0)
    """

    rule: ClassVar[str] = "rprop"
    full_batch: ClassVar[bool] = True
    learning_rate: float = real(0.01, gt=0)
    eta_minus: float = real(0.5, gt=0, lt=1)
    eta_plus: float = real(1.2, gt=1)
    step_min: float = real(1e-6, ge=0)
    step_max: float = real(50.0, gt=0)

    def _check_together(self) -> None:
        if self.step_min > self.step_max:
            raise ValueError(f"step_min must not exceed step_max ({self.step_max}), got {self.step_min}")


class LBFGS(Optimizer):
    """Limited-memory BFGS with a strong Wolfe line search; an epoch is one iteration. Full batches, no dropout.

    Parameters
    ----------
    history_size : int, default=10
        Pairs of steps and gradient changes kept; from 1 to 1,000,000.
    tolerance : float, default=1e-7
        Training ends ("converged") once no element of the gradient is larger; >= 0. It ends so, too, where no step
        along the gradient lowers the objective any more: at a kink (of relu, `l1`, absolute_error), where the gradient
        may be large, or where rounding hides what is left to gain.

    Raises
    ------
    TypeError, ValueError
        If a setting is not of its type or range.

    Notes
    -----
    Nocedal and Wright (2006), "Numerical optimization", algorithms 7.5 and 3.5. An epoch follows a step of PyTorch's
    LBFGS(lr=1, max_iter=1, max_eval=26, line_search_fn="strong_wolfe"). It is made for smooth objectives: where there
    are kinks the other rules often get lower.

    Examples
    --------
    >>> import mlpc
    >>> mlpc.LBFGS()
    LBFGS(history_size=10, tolerance=1e-07)
    """

    rule: ClassVar[str] = "lbfgs"
    full_batch: ClassVar[bool] = True
    history_size: int = integer(10, least=1, most=1_000_000)
    tolerance: float = real(1e-7, ge=0)


BY_NAME: dict[str, type[Optimizer]] = {kind.rule: kind for kind in (SGD, Adam, AdamW, RMSprop, Rprop, LBFGS)}


def as_optimizer(value: object) -> Optimizer:
    """Return an optimizer from itself or its name."""
    if isinstance(value, Optimizer):
        return value
    if not isinstance(value, str):
        raise TypeError(f"optimizer must be a name or an object such as mlpc.Adam(0.01), got {value!r}")
    return BY_NAME[_check.choice("optimizer", value, BY_NAME)]()
