"""Public docstrings: every example runs, every public name has the sections that readers look for."""

import doctest
import importlib
import inspect
import pkgutil
import pydoc

import matplotlib.pyplot as plt
import numpy as np
import pytest

import mlpc
import mlpc.plot
from mlpc import _docs

MODULES = ["mlpc"] + [
    entry.name for entry in pkgutil.walk_packages(mlpc.__path__, "mlpc.") if "_core" not in entry.name
]
CLASSES = [value for name in mlpc.__all__ if inspect.isclass(value := getattr(mlpc, name))]
CLASSES += [getattr(mlpc.plot, name) for name in mlpc.plot.__all__]
FUNCTIONS = [value for name in mlpc.__all__ if inspect.isfunction(value := getattr(mlpc, name))]
METHODS = [
    (kind, name)
    for kind in CLASSES
    if kind.__module__.startswith("mlpc") and not issubclass(kind, Warning)
    for name, value in inspect.getmembers(kind, callable)
    if not name.startswith("_") and name not in dir(tuple)
]
SETTINGS_METHODS = ("values", "core_settings", "parameters")  # how settings reach the core: not for users


def run(text, name):
    with np.printoptions():
        test = doctest.DocTestParser().get_doctest(text, {"as_array": mlpc._arrays.as_array}, name, None, None)
        runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
        runner.run(test)
        assert runner.failures == 0
        return runner.tries


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_modules(name, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "Agg")
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    plt.close("all")
    assert result.failed == 0


@pytest.mark.parametrize("name", _docs.DOCS)
def test_examples_of_inherited_methods(name):
    text = inspect.getdoc(inspect.getattr_static(mlpc.Network, name))
    assert text == _docs.DOCS[name].strip()
    assert run(text, name) > 0


def test_signatures_of_inherited_methods():
    methods = [name for name in _docs.DOCS if callable(getattr(mlpc.Network, name))]
    assert methods == list(_docs.SIGNATURES)
    net = mlpc.Network([2, 3, 1], loss="squared_error", seed=0)
    for name in methods:
        signature = inspect.signature(getattr(net, name))
        assert str(inspect.signature(getattr(mlpc.Network, name))) == _docs.SIGNATURES[name].replace("$self", "self, /")
        text = pydoc.plain(pydoc.render_doc(getattr(mlpc.Network, name)))
        assert name + _docs.SIGNATURES[name].replace("$self", "self, /") in text
        arguments = {"X": [[1.0, 2.0]], "threshold": 0.5, "layer": -1}
        getattr(net, name)(**{argument: arguments[argument] for argument in signature.parameters})


def assert_sections(name, text, parameters, returns):
    assert text, name
    assert "Examples\n---" in text, name
    if parameters:
        assert "Parameters\n---" in text, name
        assert "Raises\n---" in text, name
    if returns:
        assert "Returns\n---" in text, name


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_sections_of_classes(kind):
    if issubclass(kind, Warning):
        assert kind.__doc__
        return
    text = inspect.getdoc(kind)
    made_by_users = "Attributes\n---" not in text
    assert_sections(kind.__name__, text, made_by_users, False)
    if made_by_users:
        for name in inspect.signature(kind).parameters:
            assert any(name in line.split(" :")[0].split(", ") for line in text.splitlines()), (kind, name)


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_sections_of_functions(function):
    signature = inspect.signature(function)
    returns = signature.return_annotation not in (None, "None")
    text = inspect.getdoc(function)
    assert_sections(function.__name__, text, bool(signature.parameters), returns)
    for name in signature.parameters:
        assert any(name in line.split(" :")[0].split(", ") for line in text.splitlines()), name


@pytest.mark.parametrize(("kind", "name"), METHODS, ids=lambda value: getattr(value, "__name__", value))
def test_sections_of_methods(kind, name):
    if name in SETTINGS_METHODS:
        return
    method = getattr(kind, name)
    text = inspect.getdoc(method)
    if name in _docs.DOCS:
        assert_sections(name, text, True, name != "end_epoch") if name != "end_epoch" else None
        return
    signature = inspect.signature(method)
    parameters = [parameter for parameter in signature.parameters if parameter != "self"]
    assert_sections(name, text, bool(parameters), signature.return_annotation not in (None, "None"))
    for parameter in parameters:
        assert any(parameter in line.split(" :")[0].split(", ") for line in text.splitlines()), (name, parameter)


def test_every_public_property_is_described():
    for name, value in inspect.getmembers(mlpc.Network, lambda value: inspect.isdatadescriptor(value)):
        if not name.startswith("_"):
            assert value.__doc__, name


def test_every_public_name_is_there():
    assert sorted(mlpc.__all__, key=str.lower) == sorted(set(mlpc.__all__), key=str.lower)
    assert all(hasattr(mlpc, name) for name in mlpc.__all__)
