"""Train the two networks that show what mlpc does: two circles, told apart by three units, and handwritten digits.

The first is the network of "From Linear Classifiers to Neural Networks": 100 points on each of two circles of radius 3
and 1, a 2-3-1 network of sigmoids, full-batch gradient descent on the summed loss. Its pictures go to demo/output, or
to the folder named on the command line. The second reads the 8 x 8 digits that come with scikit-learn.
"""

import sys
from pathlib import Path
from statistics import median
from time import perf_counter

import matplotlib

matplotlib.use("Agg")

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from tqdm import tqdm

import mlpc
from mlpc import plot

EPOCHS = 1001


def make_circles(rng: np.random.Generator, n: int = 100, noise: float = 0.05) -> tuple[NDArray[np.float64], ...]:
    """Draw n points on a circle of radius 3 (class 0) and n on one of radius 1 (class 1)."""
    angle = rng.uniform(0.0, 2.0 * np.pi, 2 * n)
    radius = np.repeat([3.0, 1.0], n)
    X = radius[:, None] * np.column_stack([np.cos(angle), np.sin(angle)]) + rng.normal(0.0, noise, (2 * n, 2))
    return X, np.repeat([0.0, 1.0], n)


def time_of_run(net: mlpc.Network, X: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Train from the start, several times; the median in seconds."""
    seconds = []
    for _ in range(21):
        net.reset()
        start = perf_counter()
        net.fit(X, y, epochs=EPOCHS, batch_size=None)
        seconds.append(perf_counter() - start)
    return median(seconds)


def circles(output: Path) -> None:
    """Train the circles network, print what happens and save the pictures."""
    X, y = make_circles(np.random.default_rng(0))
    net = mlpc.Network(
        [2, 3, 1],
        loss="binary_cross_entropy",
        hidden_activation="sigmoid",
        reduction="sum",
        optimizer=mlpc.SGD(0.01),
        seed=1,
    )

    def report(net: mlpc.Network, epoch: int, logs: dict[str, float]) -> None:
        if epoch % 100 == 1:
            print(f"  epoch {epoch:4d}   mean loss {logs['loss'] / len(X):.4f}")

    print(f"Two circles: {len(X)} points, a 2-3-1 network of sigmoids, {EPOCHS} epochs of gradient descent")
    net.fit(X, y, epochs=EPOCHS, batch_size=None, callbacks=report)
    trained = net.parameters.copy()
    print(f"  accuracy     {np.mean(net.predict(X) == y):.1%}")
    check = mlpc.check_gradient(net, X, y)
    verdict = "agrees" if check.passed else "DISAGREES"
    print(f"  gradient     {verdict} with finite differences, largest relative error {check.max_relative_error:.1e}")

    seconds = time_of_run(net, X, y)
    same = "the same bits" if np.array_equal(net.parameters, trained) else "OTHER PARAMETERS"
    print(f"  time         {1e3 * seconds:.2f} ms for the same run without printing, with {same}")
    print(f"               {1e3 * time_of_run(net.copy('float32'), X, y):.2f} ms in float32")

    pictures = {
        "network": plot.NetworkDisplay.from_network(net).figure_,
        "loss_curve": plot.LossCurveDisplay.from_network(net, n_samples=len(X)).figure_,
        "hidden_classifiers": plot.HiddenClassifiersDisplay.from_network(net, X, y).figure_,
        "hidden_space": plot.HiddenSpaceDisplay.from_network(net, X, y).figure_,
        "activation_maps": plot.ActivationMapDisplay.from_network(net, X, y).figure_,
        "decision_boundary": plot.DecisionBoundaryDisplay.from_network(net, X, y).figure_,
        "overview": overview(net, X, y),
    }
    for name, figure in pictures.items():
        figure.savefig(output / f"{name}.png", dpi=110, bbox_inches="tight", pad_inches=0.1)
        plt.close(figure)
    print(f"  pictures     {', '.join(pictures)} in {output}")


def overview(net: mlpc.Network, X: NDArray[np.float64], y: NDArray[np.float64]) -> Figure:
    """Put the story into one picture: three lines, the space they make, the decision."""
    figure = plt.figure(figsize=(13.2, 4.2), layout="constrained")
    left, right = figure.add_subplot(131), figure.add_subplot(133)
    middle = figure.add_subplot(132, projection="3d")
    plot.HiddenClassifiersDisplay.from_network(net, X, y, ax=left)
    plot.HiddenSpaceDisplay.from_network(net, X, y, ax=middle)
    plot.DecisionBoundaryDisplay.from_network(net, X, y, ax=right)
    left.set_title("three linear classifiers, the hidden units")
    middle.set_title("what they make of the data: a plane suffices")
    right.set_title("what the network decides")
    return figure


def digits() -> None:
    """Train on three quarters of the digits and judge the rest; no choice depends on that quarter."""
    X, y = load_digits(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X / 16.0, y, test_size=0.25, stratify=y, random_state=0)
    net = mlpc.Network([64, 100, 10], loss="categorical_cross_entropy", seed=0)

    def report(net: mlpc.Network, epoch: int, logs: dict[str, float]) -> None:
        if epoch == 1 or epoch % 10 == 0:
            line = f"  epoch {epoch:4d}   loss {logs['loss']:.4f}   validation loss {logs['validation_loss']:.4f}"
            tqdm.write(line)  # above the progress bar, where there is one

    print(f"Digits: {len(X)} images of 8 x 8 to learn from, {len(X_test)} held out, a 64-100-10 network, Adam")
    start = perf_counter()
    net.fit(X, y, epochs=100, validation_data=(X_test, y_test), callbacks=report, progress=True)
    seconds = perf_counter() - start
    print(f"  loss         {net.history.loss[0]:.3f} at first, {net.history.loss[-1]:.4f} after {net.epoch} epochs")
    print(f"  accuracy     {np.mean(net.predict(X_test) == y_test):.1%} on the images held out")
    print(f"  time         {seconds:.2f} s")


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent / "output")
    folder.mkdir(parents=True, exist_ok=True)
    circles(folder)
    digits()
