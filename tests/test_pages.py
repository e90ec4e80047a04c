"""The pages of the site: their examples run, their links lead somewhere, and the reference has every public name."""

import doctest
import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib import pyplot as plt

import mlpc
from mlpc import estimators, plot

ROOT = Path(__file__).resolve().parent.parent
SITE = sorted(ROOT.glob("docs/**/*.md"))
PAGES = [*sorted(ROOT.glob("*.md")), *SITE]
CELL = re.compile(r"^```\{code-cell\}\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)
EXAMPLE = re.compile(r"^```python\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)
FENCED = re.compile(r"^```.*?^```$", flags=re.DOTALL | re.MULTILINE)
HEADING = re.compile(r"^#+ +(.+)$", flags=re.MULTILINE)


def name(path):
    return str(path.relative_to(ROOT))


def without_examples(path):
    return FENCED.sub("", path.read_text(encoding="utf-8"))


def anchors(path):
    """Anchors of a page's headings, as MyST and GitHub make them."""
    return {
        re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in HEADING.findall(without_examples(path))
    }


@pytest.mark.parametrize("path", [path for path in SITE if EXAMPLE.search(path.read_text(encoding="utf-8"))], ids=name)
def test_examples(path, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "Agg")
    blocks = EXAMPLE.findall(path.read_text(encoding="utf-8"))
    assert all(block.startswith(">>> ") for block in blocks)
    # The blocks of a page are one session: names carry over.
    test = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, path.name, str(path), 0)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    runner.run(test)
    assert runner.tries >= len(blocks)
    assert runner.failures == 0


@pytest.mark.parametrize("path", [path for path in SITE if CELL.search(path.read_text(encoding="utf-8"))], ids=name)
def test_cells(path):
    plt.switch_backend("Agg")
    names = {}
    for cell in CELL.findall(path.read_text(encoding="utf-8")):
        exec(compile(cell, path.name, "exec"), names)
        plt.close("all")


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_links(path):
    text = without_examples(path)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("https://", "http://")):
            continue
        file, _, anchor = target.partition("#")
        page = (path.parent / file).resolve() if file else path
        assert page.exists(), target
        assert not anchor or anchor in anchors(page), target
    for target in re.findall(r"\{doc\}`(?:[^`<]*<)?([^`<>]+)>?`", text):
        assert any((path.parent / f"{target}{suffix}").exists() for suffix in (".md", ".ipynb")), target
    for target in re.findall(r"^```\{include\} (\S+)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE):
        assert (path.parent / target).exists(), target


def test_every_page_and_notebook_is_in_the_contents():
    listed = set()
    for path in SITE:
        for tree in re.findall(r"```\{toctree\}\n(.*?)```", path.read_text(encoding="utf-8"), flags=re.DOTALL):
            entries = [line for line in tree.splitlines() if line and not line.startswith(":")]
            listed |= {(path.parent / entry).with_suffix("") for entry in entries}
    existing = {path.with_suffix("") for path in (*SITE, *ROOT.glob("docs/notebooks/*.ipynb"))}
    assert listed == existing - {ROOT / "docs" / "index"}


def test_reference_has_every_public_name():
    described = set()
    for path in ROOT.glob("docs/api/*.md"):
        described |= set(re.findall(r"^\.\. auto\w+:: (\S+)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE))
    assert described >= {*mlpc.__all__, *plot.__all__, *estimators.__all__} - {"__version__"}
    assert described >= {f"Network.{name}" for name in dir(mlpc.Network) if not name.startswith("_")}


@pytest.mark.peers
def test_the_code_for_pytorch():
    text = (ROOT / "docs" / "from_keras_or_pytorch.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```\{code-block\} python\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
    training, copying = [block for block in blocks if "nn." in block]
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1000, 20))
    names = {"X": X, "y": (X[:, 0] * X[:, 1] > 0).astype(int), "mlpc": mlpc}
    exec(compile(training, "PyTorch", "exec"), names)
    exec(compile(copying.partition("\n\n")[2], "PyTorch", "exec"), names)
    np.testing.assert_allclose(names["net"].predict_proba(X), names["probability"], atol=1e-5)
