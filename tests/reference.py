"""A slow NumPy twin of a network, in float64: the equations as they are written, for the tests to compare with.

Holds activations, losses, the objective with both gradients, the update rules, schedules, initial weights and a plain
training loop. Nothing here is clever and nothing comes from the package itself. Dropout is left out: its masks are the
core's own, so the tests look at what they do instead."""

import math
from dataclasses import dataclass, field

import numpy as np

# ---- Activations: name -> (g(z), g'(z)).


def sigmoid(z):
    return np.exp(-np.logaddexp(0.0, -z))


def softplus(z):
    return np.logaddexp(0.0, z)


def normal_cdf(z):
    return 0.5 * np.vectorize(math.erfc, otypes=[float])(-z / math.sqrt(2.0))


def normal_density(z):
    return np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)


def elu(z):
    return np.where(z > 0, z, np.expm1(np.minimum(z, 0)))


def elu_slope(z):
    return np.where(z > 0, 1.0, np.exp(np.minimum(z, 0)))


SELU_SCALE, SELU_ALPHA = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


ACTIVATIONS = {
    "identity": (lambda z: z, np.ones_like),
    "sigmoid": (sigmoid, lambda z: sigmoid(z) * sigmoid(-z)),
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "relu": (lambda z: np.maximum(z, 0.0), lambda z: (z > 0) * 1.0),
    "leaky_relu": (lambda z: np.where(z > 0, z, 0.01 * z), lambda z: np.where(z > 0, 1.0, 0.01)),
    "elu": (elu, elu_slope),
    "selu": (
        lambda z: SELU_SCALE * np.where(z > 0, z, SELU_ALPHA * np.expm1(np.minimum(z, 0))),
        lambda z: SELU_SCALE * np.where(z > 0, 1.0, SELU_ALPHA * np.exp(np.minimum(z, 0))),
    ),
    "softplus": (softplus, sigmoid),
    "softsign": (lambda z: z / (1 + np.abs(z)), lambda z: (1 + np.abs(z)) ** -2.0),
    "gelu": (lambda z: z * normal_cdf(z), lambda z: normal_cdf(z) + z * normal_density(z)),
    "silu": (lambda z: z * sigmoid(z), lambda z: sigmoid(z) * (1 + z * sigmoid(-z))),
    "mish": (
        lambda z: z * np.tanh(softplus(z)),
        lambda z: np.tanh(softplus(z)) + z * (1 - np.tanh(softplus(z)) ** 2) * sigmoid(z),
    ),
}
OUTPUT_ONLY = {"softmax": softmax, "exp": np.exp}

# ---- Losses: of each output, with slopes. Regression losses are functions of d = a - y, their slope is over a; the
# three others are functions of the logit z, and their slopes, written with a and y, are over z and over a.


def log_sum_exp(z):
    top = z.max(axis=1, keepdims=True)
    return top + np.log(np.exp(z - top).sum(axis=1, keepdims=True))


def y_log_y(y):
    return y * np.log(np.where(y > 0, y, 1.0))


REGRESSION = {
    "squared_error": (lambda d: d * d, lambda d: 2 * d),
    "half_squared_error": (lambda d: 0.5 * d * d, lambda d: d),
    "absolute_error": (np.abs, np.sign),
    "huber": (
        lambda d, delta=1.0: np.where(np.abs(d) <= delta, 0.5 * d * d, delta * (np.abs(d) - 0.5 * delta)),
        lambda d, delta=1.0: np.clip(d, -delta, delta),
    ),
    "log_cosh": (lambda d: np.abs(d) + np.log1p(np.exp(-2 * np.abs(d))) - math.log(2.0), np.tanh),
    "quantile": (
        lambda d, q=0.5: np.maximum(-np.asarray(q) * d, (1 - np.asarray(q)) * d),
        lambda d, q=0.5: np.where(d > 0, 1 - np.asarray(q), -np.asarray(q)),
    ),
}
CANONICAL = {
    "binary_cross_entropy": (
        "sigmoid",
        lambda z, y: softplus(z) - y * z,
        lambda a, y: a - y,
        lambda a, y: (a - y) / (a * (1 - a)),
    ),
    "categorical_cross_entropy": (
        "softmax",
        lambda z, y: y * (log_sum_exp(z) - z),
        lambda a, y: y.sum(axis=1, keepdims=True) * a - y,
        lambda a, y: -y / a,
    ),
    "poisson": (
        "exp",
        lambda z, y: np.exp(z) - y + y_log_y(y) - y * z,
        lambda a, y: a - y,
        lambda a, y: 1 - y / a,
    ),
}
LOSSES = dict.fromkeys(REGRESSION, "identity") | {name: own for name, (own, *_) in CANONICAL.items()}


@dataclass
class Evaluation:
    objective: float
    data_term: float
    gradient: np.ndarray
    input_gradient: np.ndarray
    sample_losses: np.ndarray
    Z: list
    A: list
    dA: list
    dZ: list
    dW: list
    db: list


@dataclass
class Twin:
    """What a network is; its parameters are always given."""

    layer_sizes: list
    hidden: object = "relu"
    loss: str = "squared_error"
    output: str | None = None
    loss_parameters: tuple = ()
    reduction: str = "mean"
    l1: float = 0.0
    l2: float = 0.0
    bias: bool = True

    @property
    def n_layers(self):
        return len(self.layer_sizes) - 1

    @property
    def activations(self):
        n = self.n_layers - 1
        hidden = [self.hidden] * n if isinstance(self.hidden, str) else list(self.hidden)
        return [*hidden, self.output or LOSSES[self.loss]]

    def unpack(self, vector):
        weights, biases, at = [], [], 0
        for n_in, n_out in zip(self.layer_sizes[:-1], self.layer_sizes[1:], strict=True):
            weights.append(vector[at : at + n_in * n_out].reshape(n_in, n_out))
            at += n_in * n_out
            if self.bias:
                biases.append(vector[at : at + n_out])
                at += n_out
        assert at == len(vector)
        return weights, biases

    def pack(self, weights, biases):
        parts = []
        for layer, weight in enumerate(weights):
            parts.append(weight.ravel())
            if self.bias:
                parts.append(biases[layer].ravel())
        return np.concatenate(parts)

    def is_weight(self):
        """1 where the parameter is a weight, 0 where it is a bias."""
        sizes = list(zip(self.layer_sizes[:-1], self.layer_sizes[1:], strict=True))
        return self.pack([np.ones(size) for size in sizes], [np.zeros(size[1]) for size in sizes])

    def forward(self, vector, X):
        """Z and A of every layer; A[0] is X, Z[0] is None."""
        weights, biases = self.unpack(np.asarray(vector, dtype=np.float64))
        Z, A = [None], [np.asarray(X, dtype=np.float64)]
        for layer, name in enumerate(self.activations):
            z = A[-1] @ weights[layer]
            if self.bias:
                z = z + biases[layer]
            Z.append(z)
            A.append(OUTPUT_ONLY[name](z) if name in OUTPUT_ONLY else ACTIVATIONS[name][0](z))
        return Z, A

    def targets(self, y):
        """y as (n, K): labels become rows of zeros and a one; one column serves every output."""
        y, K = np.asarray(y), self.layer_sizes[-1]
        if self.loss == "categorical_cross_entropy" and (y.ndim == 1 or (y.shape[1] == 1 and K > 1)):
            return np.eye(K)[y.astype(int).ravel()]
        return y.astype(np.float64).reshape(len(y), -1)

    def output_losses(self, z, a, y):
        """The loss of every output, its slope over a and its slope over z."""
        if self.loss in CANONICAL:
            _, value, slope, slope_over_a = CANONICAL[self.loss]
            with np.errstate(divide="ignore", invalid="ignore"):  # an output of exactly 0 or 1
                return value(z, y), slope_over_a(a, y), slope(a, y)
        value, slope = REGRESSION[self.loss]
        dA = slope(a - y, *self.loss_parameters)
        return value(a - y, *self.loss_parameters), dA, dA * ACTIVATIONS[self.activations[-1]][1](z)

    def evaluate(self, vector, X, y, weight=None):
        vector = np.asarray(vector, dtype=np.float64)
        weights, _ = self.unpack(vector)
        Z, A = self.forward(vector, X)
        y = self.targets(y)
        n = len(A[0])
        w = np.ones(n) if weight is None else np.asarray(weight, dtype=np.float64)
        total = w.sum()
        scale = w if self.reduction == "sum" else w / total if total > 0 else 0.0 * w

        losses, dA_out, dZ_out = self.output_losses(Z[-1], A[-1], y)
        sample_losses = losses.sum(axis=1)
        data_term = float(scale @ sample_losses)

        L = self.n_layers
        dA, dZ, dW, db = ([None] * (L + 1) for _ in range(4))
        dA[L], dZ[L] = scale[:, None] * dA_out, scale[:, None] * dZ_out
        for layer in range(L, 0, -1):
            dW[layer] = A[layer - 1].T @ dZ[layer]
            db[layer] = dZ[layer].sum(axis=0)
            dA[layer - 1] = dZ[layer] @ weights[layer - 1].T
            if layer > 1:
                dZ[layer - 1] = dA[layer - 1] * ACTIVATIONS[self.activations[layer - 2]][1](Z[layer - 1])

        l1, l2 = self.l1, self.l2
        if self.reduction == "penalized_mean":
            l1, l2 = (l1 / total, l2 / total) if total > 0 else (0.0, 0.0)
        penalty = sum(l1 * np.abs(W).sum() + 0.5 * l2 * (W * W).sum() for W in weights)
        gradient = self.pack([dW[k + 1] + l1 * np.sign(W) + l2 * W for k, W in enumerate(weights)], db[1:])
        return Evaluation(data_term + penalty, data_term, gradient, dA[0], sample_losses, Z, A, dA, dZ, dW, db)

    def objective_and_gradient(self, vector, X, y, weight=None):
        e = self.evaluate(vector, X, y, weight)
        return e.objective, e.gradient


def initial_parameters(twin, rng, initializer="auto"):
    """Layer by layer in float64, weights as the initializer says, biases zero."""
    relu_family = ("relu", "leaky_relu", "elu", "gelu", "silu", "mish")
    weights, biases = [], []
    for n_in, n_out, activation in zip(twin.layer_sizes[:-1], twin.layer_sizes[1:], twin.activations, strict=True):
        name = initializer
        if name == "auto":
            name = (
                "he_normal"
                if activation in relu_family
                else "lecun_uniform"
                if activation == "selu"
                else "glorot_uniform"
            )
        kind, _, shape = name.partition("_")
        if kind == "zeros":
            weight = np.zeros((n_in, n_out))
        else:
            variance = {"he": 2 / n_in, "lecun": 1 / n_in, "glorot": 2 / (n_in + n_out)}[kind]
            if shape == "normal":
                weight = rng.normal(0, math.sqrt(variance), (n_in, n_out))
            else:
                bound = math.sqrt(3 * variance)
                weight = rng.uniform(-bound, bound, (n_in, n_out))
        weights.append(weight)
        biases.append(np.zeros(n_out))
    return twin.pack(weights, biases)


# ---- Schedules: the multiplier `e` epochs after the start, fractions included; one step is `step` of an epoch.


def step_decay(e, step, every, factor=0.1):
    return factor ** (math.floor(e) // every)


def exponential_decay(e, step, factor):
    return factor ** math.floor(e)


def inverse_scaling(e, step, power=0.5):
    return (math.floor(e) + 1) ** -power


def cosine_decay(e, step, epochs, minimum=0.0, warmup=0):
    if e < warmup:
        return min((e + step) / warmup, 1.0)  # the first step already moves, the last one of the rise is whole
    share = min((e - warmup) / (epochs - warmup), 1.0)
    return minimum + (1 - minimum) * 0.5 * (1 + math.cos(math.pi * share))


def one_cycle(e, step, epochs, peak=10.0, start_fraction=0.3):
    share, rise = min(e / epochs, 1.0), start_fraction
    if share < rise:
        return 1 + (peak - 1) * 0.5 * (1 - math.cos(math.pi * share / rise))
    return peak * 0.5 * (1 + math.cos(math.pi * (share - rise) / (1 - rise)))


@dataclass
class Plateau:
    factor: float = 0.1
    patience: int = 10
    min_delta: float = 0.0
    minimum: float = 0.0
    multiplier: float = 1.0
    best: float = math.inf
    wait: int = 0

    def observe(self, value):
        if value < self.best - self.min_delta:
            self.best, self.wait = value, 0
        else:
            self.wait += 1
        if self.wait > self.patience:
            self.multiplier, self.wait = max(self.multiplier * self.factor, self.minimum), 0


# ---- Update rules, step for step PyTorch's: update(p, g, multiplier) changes p in place.


@dataclass
class SGD:
    learning_rate: float = 0.01
    momentum: float = 0.0
    nesterov: bool = False
    classic: bool = False  # scikit-learn's: the velocity holds steps
    velocity: object = 0.0

    def update(self, p, g, multiplier):
        rate = self.learning_rate * multiplier
        if self.classic:
            g, rate = rate * g, 1.0
        self.velocity = self.momentum * self.velocity + g
        p -= rate * (g + self.momentum * self.velocity if self.nesterov else self.velocity)


@dataclass
class Adam:
    learning_rate: float = 0.001
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.0  # AdamW's; `decays` is 1 where it applies
    decays: object = 0.0
    classic: bool = False  # scikit-learn's: epsilon before the correction of v
    m: object = 0.0
    v: object = 0.0
    t: int = 0

    def update(self, p, g, multiplier):
        rate = self.learning_rate * multiplier
        self.t += 1
        p *= 1 - rate * self.weight_decay * self.decays
        self.m = self.m + (1 - self.beta_1) * (g - self.m)
        self.v = self.beta_2 * self.v + (1 - self.beta_2) * g * g
        root = np.sqrt(self.v) / math.sqrt(1 - self.beta_2**self.t)
        if self.classic:
            rate *= math.sqrt(1 - self.beta_2**self.t)
            root = np.sqrt(self.v)
        p -= rate / (1 - self.beta_1**self.t) * self.m / (root + self.epsilon)


@dataclass
class RMSprop:
    learning_rate: float = 0.001
    rho: float = 0.9
    epsilon: float = 1e-8
    momentum: float = 0.0
    v: object = 0.0
    buffer: object = 0.0

    def update(self, p, g, multiplier):
        self.v = self.rho * self.v + (1 - self.rho) * g * g
        self.buffer = self.momentum * self.buffer + g / (np.sqrt(self.v) + self.epsilon)
        p -= self.learning_rate * multiplier * self.buffer


@dataclass
class Rprop:
    learning_rate: float = 0.01
    eta_minus: float = 0.5
    eta_plus: float = 1.2
    step_min: float = 1e-6
    step_max: float = 50.0
    steps: object = None
    previous: object = 0.0

    def update(self, p, g, multiplier):
        assert multiplier == 1
        if self.steps is None:
            self.steps = np.full_like(p, self.learning_rate)
        agreement = np.sign(g * self.previous)
        growth = np.where(agreement > 0, self.eta_plus, np.where(agreement < 0, self.eta_minus, 1.0))
        self.steps = np.clip(self.steps * growth, self.step_min, self.step_max)
        g = np.where(agreement < 0, 0.0, g)
        p -= np.sign(g) * self.steps
        self.previous = g


@dataclass
class LBFGS:
    """PyTorch's with lr=1, max_iter=1 and its strong Wolfe search of at most 25 evaluations."""

    history_size: int = 10
    tolerance: float = 1e-7
    pairs: list = field(default_factory=list)  # (s, y), the oldest first
    previous: object = None  # the last iteration's gradient
    moved: object = None  # and its step

    def iterate(self, p, objective_and_gradient):
        """One direction and one search, p changed in place; returns (objective before it, converged)."""
        f, g = objective_and_gradient(p)
        if np.abs(g).max() <= self.tolerance:
            return f, True
        if self.previous is not None:
            s, y = self.moved, g - self.previous
            if s @ y > 1e-10:
                self.pairs = [*self.pairs, (s, y)][-self.history_size :]
        direction = self.direction(g)
        first_step = min(1.0, 1.0 / np.abs(g).sum()) if self.previous is None else 1.0
        self.previous = g
        if g @ direction > -1e-9:
            return f, True
        step = strong_wolfe(lambda t: objective_and_gradient(p + t * direction), first_step, direction, f, g)
        self.moved = step * direction
        p += self.moved
        return f, False

    def direction(self, g):
        q, alphas = -g, []
        for s, y in reversed(self.pairs):
            alphas.append(s @ q / (s @ y))
            q = q - alphas[-1] * y
        if self.pairs:
            s, y = self.pairs[-1]
            q = q * (s @ y / (y @ y))
        for (s, y), alpha in zip(self.pairs, reversed(alphas), strict=True):
            q = q + s * (alpha - y @ q / (s @ y))
        return q


def cubic_minimum(x1, f1, g1, x2, f2, g2, low, high):
    """Where the cubic through two points with slopes is least, kept in [low, high]; its middle where there is none."""
    d1 = g1 + g2 - 3 * (f1 - f2) / (x1 - x2)
    square = d1 * d1 - g1 * g2
    if square < 0:
        return (low + high) / 2
    d2 = math.sqrt(square)
    if x1 <= x2:
        x = x2 - (x2 - x1) * ((g2 + d2 - d1) / (g2 - g1 + 2 * d2))
    else:
        x = x1 - (x1 - x2) * ((g1 + d2 - d1) / (g1 - g2 + 2 * d2))
    return min(max(x, low), high)


def strong_wolfe(along, t, direction, f, g, c1=1e-4, c2=0.9, tolerance_change=1e-9, max_evaluations=25):
    """The step length; a point on the line is (t, objective, slope)."""
    slope = g @ direction

    def at(t):
        value, gradient = along(t)
        return t, value, gradient @ direction

    def too_high(point):
        return point[1] > f + c1 * point[0] * slope

    def flat(point):
        return abs(point[2]) <= -c2 * slope

    start = previous = (0.0, f, slope)
    point, evaluations = at(t), 0
    while evaluations < max_evaluations:
        if too_high(point) or (evaluations > 1 and point[1] >= previous[1]) or (point[2] >= 0 and not flat(point)):
            bracket = [previous, point]
            break
        if flat(point):
            return point[0]
        t0, t1 = previous[0], point[0]
        t = cubic_minimum(*previous, *point, t1 + 0.01 * (t1 - t0), 10 * t1)
        previous, point = point, at(t)
        evaluations += 1
    else:
        bracket = [start, point]

    insufficient = False
    bracket.sort(key=lambda point: point[1])  # the low end first
    while evaluations < max_evaluations:
        low, high = sorted(point[0] for point in bracket)
        if (high - low) * np.abs(direction).max() < tolerance_change:
            break
        # PyTorch interpolates from the older end; the cubic through both is the same from either.
        t = cubic_minimum(*bracket[0], *bracket[1], low, high)
        margin = 0.1 * (high - low)
        if min(high - t, t - low) < margin:
            if insufficient or t >= high or t <= low:
                t = high - margin if abs(t - high) < abs(t - low) else low + margin
                insufficient = False
            else:
                insufficient = True
        else:
            insufficient = False
        point = at(t)
        evaluations += 1
        if too_high(point) or point[1] >= bracket[0][1]:
            bracket[1] = point
            bracket.sort(key=lambda point: point[1])
        else:
            if flat(point):
                return point[0]
            if point[2] * (bracket[1][0] - bracket[0][0]) >= 0:
                bracket[1] = bracket[0]
            bracket[0] = point
    return bracket[0][0]


# ---- Training.


def clip(g, limit):
    return g if limit is None else g * min(1.0, limit / (math.sqrt(g @ g) + 1e-6))


def fit(twin, p, rule, X, y, *, epochs, batch_size=None, rng=None, weight=None, clip_norm=None, schedule=None, start=0):
    """Change p in place; return the epochs' losses.

    `schedule` is a function of (epochs behind us, share of a step), or a Plateau that watches the loss; `rng`
    shuffles where batches are smaller than the data; `start` is the number of epochs completed before."""
    X, y = np.asarray(X, dtype=np.float64), np.asarray(y)
    n = len(X)
    size = n if batch_size is None else min(batch_size, n)
    w = np.ones(n) if weight is None else np.asarray(weight, dtype=np.float64)
    losses = []
    for epoch in range(start, start + epochs):
        if isinstance(rule, LBFGS):
            losses.append(rule.iterate(p, lambda v: twin.objective_and_gradient(v, X, y, w))[0])
            continue
        order = rng.permutation(n) if rng is not None and size < n else np.arange(n)
        starts = range(0, n, size)
        terms = []
        for k, first in enumerate(starts):
            rows = order[first : first + size]
            e = twin.evaluate(p, X[rows], y[rows], w[rows])
            terms.append((w[rows].sum(), e.data_term, e.objective))
            if isinstance(schedule, Plateau):
                multiplier = schedule.multiplier
            else:
                multiplier = 1.0 if schedule is None else schedule(epoch + k / len(starts), 1 / len(starts))
            rule.update(p, clip(e.gradient, clip_norm), multiplier)
        total, data, objective = (np.array(column) for column in zip(*terms, strict=True))
        if twin.reduction != "sum":
            losses.append(float(total @ objective / total.sum()))
        else:
            losses.append(float(data.sum() + (objective - data).mean()))
        if isinstance(schedule, Plateau):
            schedule.observe(losses[-1])
    return np.array(losses)
