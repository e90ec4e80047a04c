"""What a newcomer runs first: `make demo`, what it prints and the pictures it leaves, and the README's example."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PICTURES = {"network", "loss_curve", "hidden_classifiers", "hidden_space", "activation_maps"}
PICTURES |= {"decision_boundary", "overview"}


def test_demo(tmp_path):
    command = [sys.executable, "-W", "error", ROOT / "demo" / "run.py", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr

    circles, digits = done.stdout.split("Digits:")
    losses = [float(value) for value in re.findall(r"mean loss (\S+)", circles)]
    assert len(losses) == 11
    assert losses[-1] < 0.1 * losses[0]
    assert "accuracy     100.0%" in circles
    assert "agrees with finite differences" in circles
    assert "the same bits" in circles
    progress = re.findall(r"epoch +(\d+) +loss (\S+) +validation loss (\S+)\n", digits)
    assert [int(epoch) for epoch, _, _ in progress] == [1, *range(10, 101, 10)]
    assert all(float(progress[-1][i]) < float(progress[0][i]) for i in (1, 2))
    accuracy = re.search(r"accuracy +(\S+)%", digits)
    assert accuracy is not None
    assert float(accuracy[1]) >= 97.0

    assert {path.stem for path in tmp_path.glob("*.png")} == PICTURES
    assert all(path.stat().st_size > 10_000 for path in tmp_path.glob("*.png"))


def test_first_example_of_the_readme(capsys):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    example = re.search(r"```python\n(.*?)```", text, flags=re.DOTALL)
    assert example is not None
    exec(compile(example[1], "README.md", "exec"), {})
    accuracy = re.search(r"accuracy (\S+)", capsys.readouterr().out)
    assert accuracy is not None
    assert float(accuracy[1]) > 0.97
