"""Fit and score the estimators of mlpc and scikit-learn side by side.

    python benchmarks/estimators.py [--only TEXT] [--seeds 10]

Both get the same scaled data, settings and random states, and as many threads as they take; of the two, each goes
first every other time. Prints a table in Markdown: medians of the time to fit, means and standard deviations of the
score on a quarter of the rows that was held out.
"""

import argparse
import warnings
from collections.abc import Callable
from statistics import mean, median, stdev
from time import perf_counter, sleep
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse
import sklearn
import sklearn.neural_network
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

import mlpc
import mlpc.estimators


def table_of(n_rows: int, n_columns: int) -> tuple[Any, Any]:
    """A curved surface with noise, of the size of the California housing data."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_rows, n_columns))
    return X, np.sin(2 * X[:, 0]) + X[:, 1] * X[:, 2] + np.abs(X[:, 3]) + 0.3 * rng.normal(size=n_rows)


def images_of(n_rows: int, n_columns: int) -> tuple[Any, Any]:
    """Ten classes, of the size of a part of MNIST."""
    X, y = make_classification(n_rows, n_columns, n_informative=30, n_redundant=200, n_classes=10, random_state=0)
    return X, y


def words_of(n_rows: int, n_columns: int) -> tuple[Any, Any]:
    """Counts of words, 60 or so different ones in a row: sparse."""
    rng = np.random.default_rng(0)
    frequency = 1.0 / np.arange(1.0, n_columns + 1.0)
    words = rng.choice(n_columns, (n_rows, 80), p=frequency / frequency.sum())
    X = scipy.sparse.csr_array((np.ones(words.size), (np.repeat(np.arange(n_rows), 80), words.ravel())))
    X.resize(n_rows, n_columns)
    return X, (X[:, 20:2000].sum(axis=1) > np.median(X[:, 20:2000].sum(axis=1))).astype(int)


class Case(NamedTuple):
    """Data and what is not default about the fit."""

    name: str
    estimator: str
    load: Callable[[], tuple[Any, Any]]
    settings: dict[str, Any]


CASES = [
    Case("iris, 150 × 4", "MLPClassifier", lambda: load_iris(return_X_y=True), {}),
    Case("iris, L-BFGS", "MLPClassifier", lambda: load_iris(return_X_y=True), {"solver": "lbfgs"}),
    Case("iris, early stopping", "MLPClassifier", lambda: load_iris(return_X_y=True), {"early_stopping": True}),
    Case("breast cancer, 569 × 30", "MLPClassifier", lambda: load_breast_cancer(return_X_y=True), {}),
    Case("breast cancer, L-BFGS", "MLPClassifier", lambda: load_breast_cancer(return_X_y=True), {"solver": "lbfgs"}),
    Case("digits, 1797 × 64", "MLPClassifier", lambda: load_digits(return_X_y=True), {}),
    Case("digits, SGD", "MLPClassifier", lambda: load_digits(return_X_y=True), {"solver": "sgd"}),
    Case("20,000 × 8", "MLPRegressor", lambda: table_of(20_000, 8), {"max_iter": 30}),
    Case("10,000 × 784", "MLPClassifier", lambda: images_of(10_000, 784), {"max_iter": 10}),
    Case("5,000 × 20,000, sparse", "MLPClassifier", lambda: words_of(5_000, 20_000), {"max_iter": 5}),
]


def run(module: Any, case: Case, parts: list[Any], seed: int) -> tuple[float, float]:
    """Seconds of a fit, and its score."""
    X, X_test, y, y_test = parts
    model = getattr(module, case.estimator)(random_state=seed, **case.settings)
    sleep(0.2)  # OpenBLAS's threads look for work for a tenth of a second
    start = perf_counter()
    model.fit(X, y)
    return perf_counter() - start, model.score(X_test, y_test)


def main() -> None:
    """Run the cases and print the table."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--only", default="", help="cases whose name contains this")
    arguments.add_argument("--seeds", type=int, default=10)
    options = arguments.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)

    print(f"mlpc {mlpc.__version__}, scikit-learn {sklearn.__version__}; seconds a fit, {options.seeds} seeds.\n")
    print("| data | mlpc | scikit-learn | ratio | score of mlpc | of scikit-learn |")
    print("|---" * 6 + "|")
    modules = [mlpc.estimators, sklearn.neural_network]
    for case in CASES:
        if options.only not in case.name:
            continue
        X, y = case.load()
        X, X_test, y, y_test = train_test_split(X, y, test_size=0.25, random_state=0)
        scaler = StandardScaler(with_mean=not scipy.sparse.issparse(X)).fit(X)
        parts = [scaler.transform(X), scaler.transform(X_test), y, y_test]
        results: dict[str, list[tuple[float, float]]] = {module.__name__: [] for module in modules}
        for seed in range(options.seeds):
            for module in modules if seed % 2 else reversed(modules):
                results[module.__name__].append(run(module, case, parts, seed))
        ours, theirs = (results[module.__name__] for module in modules)
        times = [median(seconds for seconds, _ in runs) for runs in (ours, theirs)]
        scores = [[score for _, score in runs] for runs in (ours, theirs)]
        cells = [f"{mean(s):.4f} ± {stdev(s) if len(s) > 1 else 0:.4f}" for s in scores]
        print(f"| {case.name} | {times[0]:.3f} | {times[1]:.3f} | {times[1] / times[0]:.1f} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
