"""scikit-learn's own tests of its MLP, from the installation at hand, with the import swapped.

Left out is what touches private attributes: it tests how scikit-learn works, not what it does."""

import ast
from pathlib import Path

import pytest
import sklearn.neural_network

pytestmark = pytest.mark.filterwarnings("default::sklearn.exceptions.ConvergenceWarning")

IMPORT = "from sklearn.neural_network import MLPClassifier, MLPRegressor\n"


def is_private(test):
    names = [node.attr for node in ast.walk(test) if isinstance(node, ast.Attribute)]
    return any(name.startswith("_") and not name.startswith("__") for name in names)


def is_test(node):
    return isinstance(node, ast.FunctionDef) and node.name.startswith("test")


def swapped_tests():
    path = Path(sklearn.neural_network.__file__).with_name("tests") / "test_mlp.py"
    text = path.read_text(encoding="utf-8")
    assert text.count(IMPORT) == 1
    module = ast.parse(text.replace(IMPORT, IMPORT.replace("sklearn.neural_network", "mlpc.estimators")))
    module.body = [node for node in module.body if not (is_test(node) and is_private(node))]
    return compile(module, str(path), "exec"), [node.name for node in module.body if is_test(node)]


@pytest.fixture
def global_random_seed():
    return 42


CODE, NAMES = swapped_tests()
exec(CODE)  # its tests become this module's


def test_the_swap():
    assert len(NAMES) > 30
    assert MLPClassifier.__module__.startswith("mlpc."), MLPRegressor  # noqa: F821
