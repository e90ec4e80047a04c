"""MLPClassifier and MLPRegressor: scikit-learn's estimators of these names, trained by `mlpc.Network`.

Change the import and the rest stays: parameters, fitted attributes, warnings, and for the same `random_state` in
float64 the same run of "sgd" and "adam", up to rounding.

Examples
--------
>>> from mlpc.estimators import MLPClassifier
>>> from sklearn.datasets import load_iris
>>> from sklearn.pipeline import make_pipeline
>>> from sklearn.preprocessing import StandardScaler
>>> X, y = load_iris(return_X_y=True)
>>> model = make_pipeline(StandardScaler(), MLPClassifier((8,), solver="lbfgs", alpha=1.0, random_state=0))
>>> model.fit(X, y).score(X, y) > 0.95
True
"""

try:
    import sklearn as _sklearn  # noqa: F401
except ImportError as error:
    raise ImportError("mlpc.estimators needs scikit-learn 1.6 or later: pip install scikit-learn") from error

from mlpc._estimators_classifier import MLPClassifier
from mlpc._estimators_regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
