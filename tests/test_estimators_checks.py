"""scikit-learn's estimator checks."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from mlpc.estimators import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

WITHOUT_HIDDEN_LAYER = {"hidden_layer_sizes": (), "solver": "lbfgs"}
CHECKS = parametrize_with_checks(
    [kind(max_iter=100, **more) for kind in (MLPClassifier, MLPRegressor) for more in ({}, WITHOUT_HIDDEN_LAYER)]
).mark


# Older releases of scikit-learn pass a generator, which pytest no longer takes.
@pytest.mark.parametrize(CHECKS.args[0], list(CHECKS.args[1]), **CHECKS.kwargs)
def test_estimator_checks(estimator, check):
    check(estimator)
