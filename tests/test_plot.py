"""Pictures show what is there: what is drawn is compared with what the network computes, where it is drawn."""

import itertools
import re
import subprocess
import sys
from types import SimpleNamespace

import matplotlib as mpl

mpl.use("Agg")

import numpy as np
import pytest
from conftest import circles
from matplotlib import pyplot as plt
from matplotlib.colors import to_rgb, to_rgba
from mpl_toolkits.mplot3d import proj3d
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import mlpc
from mlpc import plot
from mlpc.estimators import MLPClassifier
from mlpc.plot import _style
from mlpc.plot.activation_map import _value_range
from mlpc.plot.hidden_space import _clipped, class_boundaries, line_in_box, plane_in_box, view_along

X, Y = circles(80)
RNG = np.random.default_rng(0)
X4 = RNG.normal(size=(60, 2)) * 0.5 + 2.0 * np.array([[1, 0], [0, 1], [-1, 0]])[np.arange(60) % 3]
Y4 = np.arange(60) % 3


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def net():
    made = mlpc.Network([2, 3, 1], loss="binary_cross_entropy", hidden_activation="sigmoid", seed=1)
    made.optimizer = mlpc.Adam(0.1)
    return made.fit(X, Y, epochs=150, batch_size=None)


@pytest.fixture(scope="module")
def three():
    made = mlpc.Network([2, 8, 3], loss="categorical_cross_entropy", optimizer=mlpc.Adam(0.05), seed=0)
    return made.fit(X4, Y4, epochs=60, validation_data=(X4, Y4))


def legend(display):
    return [text.get_text() for text in display.ax_.get_legend().get_texts()]


def png(figure, dpi=60):
    """The rendered picture: (height, width, 3), 0 to 255."""
    figure.set_dpi(dpi)
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3]


def pixel_centres(image):
    """Coordinates of an image's pixels, from its extent: (height, width, 2)."""
    left, right, bottom, top = image.get_extent()
    height, width = image.get_array().shape[:2]
    x = left + (np.arange(width) + 0.5) * (right - left) / width
    y = bottom + (np.arange(height) + 0.5) * (top - bottom) / height
    return np.stack(np.meshgrid(x, y), axis=-1)


def vertices(contours):
    return np.concatenate([path.vertices for path in contours.get_paths()])


# ---- Colours.


def seen_with(color, deficiency):
    """Linear RGB as seen without one kind of cones: Viénot, Brettel and Mollon (1999)."""
    matrices = {
        "protan": [[0.11238, 0.88762, 0.0], [0.11238, 0.88762, 0.0], [0.00401, -0.00401, 1.0]],
        "deutan": [[0.29275, 0.70725, 0.0], [0.29275, 0.70725, 0.0], [-0.02234, 0.02234, 1.0]],
    }
    linear = np.array([c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)])
    return np.clip(np.array(matrices[deficiency]) @ linear, 0.0, 1.0)


def lab(linear):
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ linear
    f = np.cbrt(xyz / [0.9505, 1.0, 1.089])
    return np.array([116.0 * f[1] - 16.0, 500.0 * (f[0] - f[1]), 200.0 * (f[1] - f[2])])


@pytest.mark.parametrize("deficiency", ["protan", "deutan"])
def test_colours_stay_apart_under_colour_vision_deficiencies(deficiency):
    pairs = [*itertools.pairwise(_style.CLASS_COLORS), (_style.POSITIVE, _style.NEGATIVE)]
    pairs += itertools.combinations(_style.LINE_COLORS[:3], 2)
    for first, second in pairs:
        difference = np.linalg.norm(lab(seen_with(first, deficiency)) - lab(seen_with(second, deficiency)))
        assert difference > 12.0, (first, second)


def test_colours_stay_apart_in_grey():
    assert _style.lightness("#FFFFFF") == pytest.approx(100.0)
    assert _style.lightness("#777777") == pytest.approx(50.0, abs=0.5)
    lightness = [_style.lightness(color) for color in _style.CLASS_COLORS]
    assert min(abs(a - b) for a, b in itertools.pairwise(lightness)) > 8.0
    assert len({*_style.CLASS_COLORS}) == len(_style.CLASS_COLORS) == 10
    assert len({*_style.CLASS_MARKERS}) == len(_style.CLASS_MARKERS) >= 10
    for colors in (_style.SHADES, _style.SIGNS):
        steps = [_style.lightness(mpl.colors.to_hex(c)) for c in _style.color_map("map", colors)(np.linspace(0, 1, 30))]
        assert (np.diff(steps) > 0.0).all()
        assert steps[-1] - steps[0] > 25.0


def test_a_boundary_is_seen_in_grey(net):
    display = plot.DecisionBoundaryDisplay.from_network(net, X)
    display.colorbar_.remove()
    grey = png(display.figure_, int(display.figure_.dpi)) @ [0.299, 0.587, 0.114]
    inside, outside = (
        grey[len(grey) - int(y), int(x)]
        for ((x, y),) in (display.ax_.transData.transform([place]) for place in ([0.0, 0.0], [2.9, -2.9]))
    )
    assert inside - outside > 50.0


# ---- The decision boundary.


def test_decision_boundary(net):
    display = plot.DecisionBoundaryDisplay.from_network(net, X, Y, grid_resolution=60)
    places = pixel_centres(display.surface_)
    expected = net.predict_proba(places.reshape(-1, 2)).reshape(60, 60)
    np.testing.assert_allclose(display.surface_.get_array(), expected, atol=1e-9)
    assert display.surface_.get_clim() == (0.0, 1.0)
    low, high = np.array([display.ax_.get_xlim(), display.ax_.get_ylim()]).T
    assert (low < X.min(axis=0)).all()
    assert (high > X.max(axis=0)).all()
    (boundary,) = display.boundary_
    np.testing.assert_allclose(net.predict_proba(vertices(boundary)), 0.5, atol=0.06)
    assert len(vertices(boundary)) > 30
    assert legend(display) == ["class 0", "class 1"]
    for code, points in enumerate(display.points_):
        assert np.array_equal(points.get_offsets(), X[code == Y])
    assert display.colorbar_.ax.get_ylabel() == "probability of class 1"
    assert display.ax_.get_aspect() == 1.0


def test_decision_boundary_of_three_classes(three):
    display = plot.DecisionBoundaryDisplay.from_network(three, X4, Y4, grid_resolution=60, class_names=["a", "b", "c"])
    proba = three.predict_proba(pixel_centres(display.surface_).reshape(-1, 2)).reshape(60, 60, 3)
    np.testing.assert_allclose(display.probability, proba, atol=1e-9)
    # The hue is the class's: white minus the pixel points the way that white minus the class's colour does.
    missing = 1.0 - np.asarray(display.surface_.get_array())
    colors = 1.0 - np.array([to_rgb(color) for color in _style.CLASS_COLORS[:3]])
    cosine = np.einsum("ijc,kc->ijk", missing, colors) / np.linalg.norm(colors, axis=1)
    assert np.array_equal(cosine.argmax(axis=-1), proba.argmax(axis=-1))
    sure, unsure = proba.max(axis=-1) > 0.95, proba.max(axis=-1) < 0.6
    assert missing[sure].max(axis=-1).min() > missing[unsure].max(axis=-1).max()
    ends = np.concatenate([vertices(line) for line in display.boundary_])
    top = np.sort(three.predict_proba(ends), axis=1)
    np.testing.assert_allclose(top[:, -1], top[:, -2], atol=0.1)
    assert {tuple(sorted(pair)) for pair in np.argsort(three.predict_proba(ends))[:, 1:].tolist()} >= {(0, 1), (1, 2)}
    assert legend(display) == ["a", "b", "c"]
    assert display.colorbar_ is None


def test_decision_boundary_of_one_output(three):
    display = plot.DecisionBoundaryDisplay.from_network(three, X4, Y4, output=2, grid_resolution=40)
    expected = three.predict_proba(pixel_centres(display.surface_).reshape(-1, 2))[:, 2].reshape(40, 40)
    np.testing.assert_allclose(display.surface_.get_array(), expected, atol=1e-9)
    assert legend(display) == ["not class 2", "class 2"]
    assert np.array_equal(display.points_[1].get_offsets(), X4[Y4 == 2])
    labels = np.column_stack([Y, 1 - Y])
    two = mlpc.Network([2, 3, 2], loss="binary_cross_entropy", seed=0)
    for y in (labels, labels / 2):  # of a probability of a half, too
        display = plot.DecisionBoundaryDisplay.from_network(two, X, y, output=1, grid_resolution=10)
        assert np.array_equal(display.points_[1].get_offsets(), X[Y == 0])


def test_decision_boundary_of_a_softmax_of_two():
    net = mlpc.Network([2, 2], loss="categorical_cross_entropy", seed=0)
    display = plot.DecisionBoundaryDisplay.from_network(net, X, Y, grid_resolution=20)
    expected = net.predict_proba(pixel_centres(display.surface_).reshape(-1, 2))[:, 1].reshape(20, 20)
    np.testing.assert_allclose(display.surface_.get_array(), expected, atol=1e-9)
    assert display.colorbar_.ax.get_ylabel() == "probability of class 1"


def test_a_plane_of_one_class_has_no_boundary():
    net = mlpc.Network([2, 1], loss="binary_cross_entropy", initializer="zeros")
    net.parameters = [0.0, 0.0, -3.0]
    display = plot.DecisionBoundaryDisplay.from_network(net, X, Y, grid_resolution=10)
    assert display.boundary_ == []


def test_other_axes_and_again(net):
    figure, (left, right) = plt.subplots(1, 2)
    display = plot.DecisionBoundaryDisplay.from_network(net, X, Y, grid_resolution=10, ax=left)
    assert display.ax_ is left
    assert display.figure_ is figure
    assert display.plot(right) is display
    assert display.ax_ is right
    assert len(plt.get_fignums()) == 1


def test_features_on_unlike_scales_fill_the_picture(net):
    display = plot.DecisionBoundaryDisplay.from_network(net, X * [1.0, 1000.0], Y, grid_resolution=10)
    assert display.ax_.get_aspect() == "auto"
    low, high = display.ax_.get_xlim()
    assert high - low < 3.0 * np.ptp(X[:, 0])


@pytest.mark.parametrize(("height", "equal"), [(3.9, True), (4.1, False), (0.0, True)])
def test_axes_are_alike_unless_one_feature_is_four_times_as_wide(height, equal):
    low, high, found = _style.limits(np.array([[0.0, 5.0], [1.0, 5.0 + height]]))
    margins = [0.12 * max(1.0, height)] * 2 if equal else [0.12, 0.12 * height]
    assert found == equal
    np.testing.assert_allclose(low, np.subtract([0.0, 5.0], margins))
    np.testing.assert_allclose(high, np.add([1.0, 5.0 + height], margins))
    low, high, found = _style.limits(np.array([[0.0, 5.0], [1000.0, 5.0]]))
    assert found
    assert high[1] - low[1] == pytest.approx(240.0)


# ---- Hidden classifiers.


def test_hidden_classifiers(net):
    display = plot.HiddenClassifiersDisplay.from_network(net, X, Y)
    weights, biases = net.weights[0], net.biases[0]
    low, high = np.array([display.ax_.get_xlim(), display.ax_.get_ylim()]).T
    for unit, (line, arrow) in enumerate(zip(display.lines_, display.arrows_, strict=True)):
        ends = line.get_xydata()
        np.testing.assert_allclose(ends @ weights[:, unit] + biases[unit], 0.0, atol=1e-9)
        assert (np.abs(ends - (low + high) / 2.0).max(axis=1) >= (high - low).max() / 2.0 - 1e-9).all()
        tail = np.array(arrow.get_position() if arrow.xyann is None else arrow.xyann)
        np.testing.assert_allclose(tail @ weights[:, unit] + biases[unit], 0.0, atol=1e-9)
        assert np.array(arrow.xy) @ weights[:, unit] + biases[unit] > 0.0
        assert arrow.arrow_patch.get_edgecolor() == to_rgba(line.get_color())
    assert len({line.get_color() for line in display.lines_}) == 3
    assert len({line.get_linestyle() for line in display.lines_}) == 3
    lines = [rf"$w_{i}^T x + b_{i} = 0$" for i in (1, 2, 3)]
    assert legend(display) == ["class 0", "class 1", *lines]


def test_hidden_classifiers_on_unlike_scales():
    net = mlpc.Network([2, 1], loss="binary_cross_entropy", seed=0)
    net.parameters = [1.0, 0.002, -1.0]
    display = plot.HiddenClassifiersDisplay.from_network(net, [[0.0, 0.0], [1.0, 1000.0]])
    ends = display.lines_[0].get_xydata()
    np.testing.assert_allclose(ends @ [1.0, 0.002], 1.0, atol=1e-9)
    display.figure_.canvas.draw()
    tail, tip = display.ax_.transData.transform([display.arrows_[0].xyann, display.arrows_[0].xy])
    assert 20.0 < np.linalg.norm(tip - tail) < 120.0  # dots: neither a speck nor across the picture


def test_lines_that_are_not_there():
    net = mlpc.Network([2, 3, 1], loss="binary_cross_entropy", seed=0)
    net.weights[0][:] = [[0.0, 1.0, 1.0], [0.0, 0.0, 0.0]]
    net.biases[0][:] = [1.0, -100.0, 0.0]
    display = plot.HiddenClassifiersDisplay.from_network(net, X)
    assert display.lines_[0] is display.arrows_[0] is display.arrows_[1] is None
    assert legend(display) == ["$w_2^T x + b_2 = 0$ (out of view)", "$w_3^T x + b_3 = 0$"]
    np.testing.assert_allclose(display.lines_[2].get_xdata(), 0.0, atol=1e-9)


def test_a_line_through_a_corner_is_in_view():
    net = mlpc.Network([2, 8, 1], loss="binary_cross_entropy", seed=0)
    net.weights[0][:] = np.array([[0.45], [0.89]])
    net.biases[0][:] = -1.4  # of these lines the point nearest to the centre is above the picture
    display = plot.HiddenClassifiersDisplay.from_network(net, [[-2.0, -0.6], [2.0, 0.6]])
    assert legend(display) == [f"$w_{i}^T x + b_{i} = 0$" for i in range(1, 9)]
    kept = display.weights.copy(), display.biases.copy()
    net.parameters[:] = 0.0
    assert np.array_equal(display.weights, kept[0])
    assert np.array_equal(display.biases, kept[1])


def test_many_lines_share_one_entry():
    net = mlpc.Network([2, 30, 1], loss="binary_cross_entropy", bias=False, seed=0)
    display = plot.HiddenClassifiersDisplay.from_network(net, X, Y)
    assert len([line for line in display.lines_ if line is not None]) == 30
    assert legend(display) == ["class 0", "class 1", "inputs of the 30 units are 0"]


# ---- Hidden space.


def projected(axes, points):
    """Where points in space are drawn on the paper."""
    return np.column_stack(proj3d.proj_transform(*points.T, axes.get_proj())[:2])


def assert_same_points(got, expected):
    """In whatever order."""
    got, expected = (points[np.lexsort(np.round(points, 9).T)] for points in (np.asarray(got), np.asarray(expected)))
    np.testing.assert_allclose(got, expected, atol=1e-9)


def test_hidden_space_of_three_units(net):
    display = plot.HiddenSpaceDisplay.from_network(net, X, Y)
    display.figure_.canvas.draw()
    hidden = net.transform(X)
    for code, points in enumerate(display.points_):
        assert_same_points(points.get_offsets(), projected(display.ax_, hidden[code == Y]))
        assert not points.get_depthshade()  # those behind are no fainter
    # The plane cuts the edges of the unit cube, two ends each, in these corners.
    w, b = net.weights[1][:, 0], net.biases[1][0]
    corners = []
    for start, end in itertools.combinations(itertools.product((0.0, 1.0), repeat=3), 2):
        sides = np.array([start, end]) @ w + b
        if np.abs(np.subtract(start, end)).sum() == 1.0 and sides[0] * sides[1] < 0.0:
            corners.append(start + sides[0] / (sides[0] - sides[1]) * np.subtract(end, start))
    assert len(corners) >= 3
    (plane,) = display.planes_
    (path,) = plane.get_paths()
    assert_same_points(path.vertices[: len(corners)], projected(display.ax_, np.array(corners)))
    assert display.ax_.get_zlim() == (0.0, 1.0)
    assert (display.ax_.get_xlabel(), display.ax_.get_zlabel()) == ("$h_1$", "$h_3$")
    assert legend(display) == ["class 0", "class 1", "$w^T h + b = 0$"]


def test_corners_of_a_plane_are_in_order():
    # Through the middle of a cube, across its diagonal: a regular hexagon.
    low, high = np.array([0.0, 0.0, -1.0]), np.array([1.0, 1.0, 0.0])
    corners = plane_in_box(np.ones(3), -0.5, low, high)
    assert corners.shape == (6, 3)
    np.testing.assert_allclose(corners.sum(axis=1), 0.5)
    sides = np.linalg.norm(np.roll(corners, 1, axis=0) - corners, axis=1)
    np.testing.assert_allclose(sides, np.sqrt(0.5))
    assert len(plane_in_box(np.ones(3), -9.0, low, high)) == 0
    assert len(plane_in_box(np.ones(3), 1.0, low, high)) == 0  # it touches a corner


def test_ends_of_a_line_through_a_corner():
    low, high = np.zeros(2), np.ones(2)
    for normal, end in (([0.5, -1.0], [1.0, 0.5]), ([-1.0, 0.5], [0.5, 1.0]), ([1.0, -1.0], [1.0, 1.0])):
        ends = line_in_box(np.array(normal), 0.0, low, high)
        assert_same_points(ends, [[0.0, 0.0], end])
    assert len(line_in_box(np.ones(2), 1.0, low, high)) == 0


def test_a_polygon_is_clipped_at_its_corners():
    square = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [0.0, 1.0, 0.0]])
    assert np.array_equal(_clipped(square, np.array([1.0, 0.0, -1.0, 0.0])), square[[0, 1, 3]])
    half = _clipped(square, np.array([1.0, 1.0, -1.0, -1.0]))
    assert_same_points(half, [[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [1.0, 0.5, 0.0], [0.0, 0.5, 0.0]])


def test_space_is_seen_from_between_its_axes():
    for polygon in RNG.normal(size=(40, 3, 3)):
        elevation, azimuth = view_along([polygon])
        assert 15 <= elevation < 50
        assert 20 <= azimuth % 90 <= 70


def test_hidden_space_of_two_units():
    net = mlpc.Network([2, 2, 1], loss="binary_cross_entropy", hidden_activation="tanh", seed=3)
    display = plot.HiddenSpaceDisplay.from_network(net, X, Y)
    assert np.array_equal(display.points_[1].get_offsets(), net.transform(X)[Y == 1])
    ends = display.planes_[0].get_xydata()
    np.testing.assert_allclose(ends @ net.weights[1][:, 0] + net.biases[1], 0.0, atol=1e-9)
    np.testing.assert_allclose(np.abs(ends).max(axis=1), 1.1)
    assert display.ax_.get_xlim() == (-1.1, 1.1)


def test_hidden_space_with_two_next_units_and_an_earlier_layer():
    net = mlpc.Network([2, 2, 2, 1], loss="binary_cross_entropy", seed=3)
    display = plot.HiddenSpaceDisplay.from_network(net, X, layer=1)
    assert np.array_equal(display.points, net.transform(X, layer=1))
    assert np.array_equal(display.normals, net.weights[1].T)
    assert len(display.points_) == 1
    again = plot.HiddenSpaceDisplay.from_network(net, X, layer=-2)
    assert np.array_equal(again.normals, display.normals)
    assert all(text.startswith("$w_") for text in legend(display))
    wide = mlpc.Network([2, 2, 4, 1], loss="binary_cross_entropy", seed=3)  # of so many next units none is drawn
    assert plot.HiddenSpaceDisplay.from_network(wide, X, layer=1).planes_ == []


@pytest.mark.parametrize("n_components", [None, 2, 3])
def test_hidden_space_by_principal_components(n_components):
    net = mlpc.Network([2, 8, 1], loss="binary_cross_entropy", seed=0)
    display = plot.HiddenSpaceDisplay.from_network(net, X, Y, n_components=n_components)
    n = n_components or 2
    pca = PCA(n).fit(net.transform(X))
    np.testing.assert_allclose(np.abs(display.points), np.abs(pca.transform(net.transform(X))), atol=1e-9)
    axes = np.linalg.lstsq(net.transform(X) - net.transform(X).mean(axis=0), display.points, rcond=None)[0].T
    assert (axes[np.arange(n), np.abs(axes).argmax(axis=1)] > 0.0).all()
    kind = "principal component" if n == 2 else "PC"
    assert display.ax_.get_xlabel() == f"{kind} 1 ({pca.explained_variance_ratio_[0]:.0%})"
    # A place on the line, taken back to the eight units, is where the next unit's input is 0.
    normal, offset = display.normals[0], display.offsets[0]
    place = -offset * normal / (normal @ normal)
    signs = np.sign(np.sum(display.points * pca.transform(net.transform(X)), axis=0))
    back = pca.inverse_transform((place * signs)[None])
    np.testing.assert_allclose(back @ net.weights[1] + net.biases[1], 0.0, atol=1e-9)


@pytest.mark.parametrize("rows", [1, 2, 80])
def test_components_of_few_rows(rows):
    net = mlpc.Network([2, 8, 1], loss="binary_cross_entropy", hidden_activation="sigmoid", seed=0)
    display = plot.HiddenSpaceDisplay.from_network(net, X[:rows], n_components=3)
    low, high = display.limits
    assert display.points.shape == (rows, 3)
    assert ((low < display.points) & (display.points < high)).all()
    assert rows > 2 or display.axis_names[2] == "PC 3 (0%)"


def test_hidden_space_of_a_softmax(three):
    display = plot.HiddenSpaceDisplay.from_network(three, X4, Y4)
    places = pixel_centres(display.surface_).reshape(-1, 2)
    pca = PCA(2).fit(three.transform(X4))
    signs = np.sign(np.sum(display.points * pca.transform(three.transform(X4)), axis=0))
    z = pca.inverse_transform(places * signs) @ three.weights[1] + three.biases[1]
    missing = 1.0 - np.asarray(display.surface_.get_array()).reshape(-1, 3)
    colors = 1.0 - np.array([to_rgb(color) for color in _style.CLASS_COLORS[:3]])
    assert np.array_equal((missing @ (colors / np.linalg.norm(colors, axis=1, keepdims=True)).T).argmax(1), z.argmax(1))
    two = mlpc.Network([2, 2, 2], loss="categorical_cross_entropy", hidden_activation="sigmoid", seed=0)
    two.biases[1][0] = np.array([0.5, 0.6]) @ (two.weights[1][:, 1] - two.weights[1][:, 0])  # through that point
    display = plot.HiddenSpaceDisplay.from_network(two, X, Y)
    ends = display.planes_[0].get_xydata()
    z = ends @ two.weights[1] + two.biases[1]
    np.testing.assert_allclose(z[:, 0], z[:, 1], atol=1e-9)


def crosses(start, end, corners):
    """Whether the way from start to end goes through a convex polygon, a fan of triangles."""
    for second, third in itertools.pairwise(corners[1:]):
        sides = np.column_stack([second - corners[0], third - corners[0], start - end])
        u, v, t = np.linalg.solve(sides, start - corners[0])
        if min(u, v, 1.0 - u - v, t, 1.0 - t) >= 0.0:
            return True
    return False


@pytest.mark.parametrize("units", [3, 8])
def test_boundaries_of_a_softmax_in_space(units):
    net = mlpc.Network([2, units, 5], loss="categorical_cross_entropy", hidden_activation="sigmoid", seed=0)
    net.biases[1][:] = 0.01 * np.arange(5) - net.transform(X4).mean(axis=0) @ net.weights[1]
    display = plot.HiddenSpaceDisplay.from_network(net, X4, Y4, n_components=3)
    weights, biases = display.scores
    if units == 3:
        assert np.array_equal(weights, net.weights[1].T)
    low, high = display.limits
    pieces = class_boundaries(weights, biases, low, high)
    assert len(display.planes_) == len(pieces) > 2
    display.figure_.canvas.draw()
    for corners, plane in zip(pieces, display.planes_, strict=True):
        drawn = plane.get_paths()[0].vertices[: len(corners)]
        assert_same_points(drawn, projected(display.ax_, corners))
        top = np.sort(corners @ weights.T + biases, axis=1)
        np.testing.assert_allclose(top[:, -1], top[:, -2], atol=1e-9)
    # A line crosses as many pieces as its points change class: none is missing, none reaches too far.
    for start, end in RNG.uniform(low, high, (60, 2, 3)):
        line = start + np.linspace(0.0, 1.0, 4001)[:, None] * (end - start)
        changes = np.count_nonzero(np.diff((line @ weights.T + biases).argmax(axis=1)))
        assert sum(crosses(start, end, corners) for corners in pieces) == changes
    assert legend(display)[-1] == ("boundaries" if units == 3 else "boundaries, cut")


# ---- Loss curve.


def test_loss_curve(three):
    display = plot.LossCurveDisplay.from_network(three, n_samples=60)
    history = three.history
    assert np.array_equal(display.loss_line_.get_xdata(), history.epochs)
    assert np.array_equal(display.loss_line_.get_ydata(), history.loss / 60)
    assert np.array_equal(display.validation_line_.get_ydata(), history.validation_loss / 60)
    assert display.best_line_.get_xdata()[0] == history.best_epoch
    assert display.best_point_.get_ydata()[0] == history.validation_loss.min() / 60
    assert legend(display) == ["training", "validation", f"best epoch: {history.best_epoch}"]
    assert display.loss_line_.get_linestyle() != display.validation_line_.get_linestyle()
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("epoch", "mean loss")
    assert display.ax_.get_ylim()[0] == 0.0


def test_loss_curve_without_validation(net):
    display = plot.LossCurveDisplay.from_network(net.history)
    assert display.validation_line_ is display.best_line_ is display.ax_.get_legend() is None
    assert display.ax_.get_ylabel() == "loss"
    stopped = net.copy().fit(X, Y, early_stopping=mlpc.EarlyStopping(monitor="loss", patience=1, min_delta=1.0))
    assert stopped.history.stop_reason == "early_stopping"
    display = plot.LossCurveDisplay.from_network(stopped)
    assert display.best_line_.get_xdata()[0] == stopped.history.best_epoch
    assert legend(display) == ["training", f"best epoch: {stopped.history.best_epoch}"]
    assert display.loss_line_.get_marker() == ""


def test_a_curve_of_one_epoch_and_one_down_to_zero():
    one = plot.LossCurveDisplay(epochs=np.array([1.0]), loss=np.array([2.0]), validation_loss=np.array([3.0])).plot()
    assert one.loss_line_.get_marker() == one.validation_line_.get_marker() == "o"
    exact = plot.LossCurveDisplay(epochs=np.array([1.0, 2.0, 3.0]), loss=np.array([1.0, 0.5, 0.0])).plot()
    assert exact.ax_.get_ylim()[0] == 0.0
    below = plot.LossCurveDisplay(epochs=np.array([1.0, 2.0]), loss=np.array([1.0, -1.0])).plot()
    assert below.ax_.get_ylim()[0] < -1.0


def test_loss_curve_of_sums_over_different_numbers_of_rows():
    made = mlpc.Network([2, 3], loss="categorical_cross_entropy", reduction="sum", seed=0)
    made.fit(X4, Y4, epochs=3, batch_size=None, validation_data=(X4[:20], Y4[:20]))
    display = plot.LossCurveDisplay.from_network(made, n_samples=(60, 20))
    assert np.array_equal(display.loss_line_.get_ydata(), made.history.loss / 60)
    assert np.array_equal(display.validation_line_.get_ydata(), made.history.validation_loss / 20)
    with pytest.raises(ValueError, match="n_samples must be one number or two"):
        plot.LossCurveDisplay.from_network(made, n_samples=[60, 20, 1])


def test_best_epoch_of_a_fit_without_validation_after_one_with_it(three):
    stop = mlpc.EarlyStopping(monitor="loss", patience=1, min_delta=1.0)
    stopped = three.copy().fit(X4, Y4, early_stopping=stop)
    display = plot.LossCurveDisplay.from_network(stopped)
    assert display.best_line_.get_xdata()[0] == stopped.history.best_epoch == 61
    assert display.best_point_.get_ydata()[0] == stopped.history.loss[60]


def test_a_best_epoch_by_something_else_is_no_point_of_the_curve(three):
    stop = mlpc.EarlyStopping(monitor="score", mode="max", patience=2)
    net = three.copy()
    net.fit(
        X4,
        Y4,
        epochs=9,
        validation_data=(X4, Y4),
        early_stopping=stop,
        callbacks=lambda net, epoch, logs: logs.update(score=-epoch % 5),
    )
    display = plot.LossCurveDisplay.from_network(net)
    judged = net.history.validation_loss
    assert (display.best_point_ is None) == (
        judged[net.history.best_epoch - 1] > judged[: net.history.best_epoch].min()
    )
    judged[net.history.best_epoch - 2] = -1.0
    best = plot.LossCurveDisplay(
        epochs=net.history.epochs, loss=net.history.loss, validation_loss=judged, best_epoch=net.history.best_epoch
    )
    assert best.plot().best_point_ is None
    assert best.best_line_.get_xdata()[0] == net.history.best_epoch


def test_a_loss_curve_may_become_logarithmic(net):
    axes = plot.LossCurveDisplay.from_network(net).ax_
    assert axes.get_ylim()[0] == 0.0
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    assert net.history.loss.min() / 3.0 < low < net.history.loss.min() <= net.history.loss.max() < high
    other = plt.figure().add_subplot()
    other.set_yscale("log")
    plot.LossCurveDisplay.from_network(net, ax=other)
    assert other.get_ylim()[0] > net.history.loss.min() / 3.0


# ---- The diagram.


def test_network_diagram(net):
    columns = pytest.importorskip("pandas").Index(["height", "weight"])
    display = plot.NetworkDisplay.from_network(net, feature_names=columns, output_names=np.array(["ill"]))
    assert [len(nodes.get_offsets()) for nodes in display.nodes_] == [2, 3, 1]
    widest = max(np.abs(w).max() for w in net.weights)
    for layer, (positive, negative) in enumerate(display.edges_):
        w, left, right = (
            net.weights[layer],
            display.nodes_[layer].get_offsets(),
            display.nodes_[layer + 1].get_offsets(),
        )
        found = np.full(w.shape, np.nan)
        for lines, sign in ((positive, 1.0), (negative, -1.0)):
            widths = np.asarray(lines.get_linewidths())
            for (start, end), width in zip(lines.get_segments(), widths, strict=True):
                i = np.flatnonzero((left == start).all(axis=1))
                j = np.flatnonzero((right == end).all(axis=1))
                found[i, j] = sign * (width - 0.2) / 4.3 * widest
        np.testing.assert_allclose(found, w, rtol=1e-9)
        assert (left[:, 0] == layer).all()
        assert (np.diff(left[:, 1]) < 0.0).all()
    assert display.edges_[0][0].get_linestyle() != display.edges_[0][1].get_linestyle()
    texts = {text.get_text() for text in display.ax_.texts}
    assert {"$x_1$", "$h_3$", r"$\hat{y}$", "hidden\n3 units, sigmoid", "output\n1 unit, sigmoid"} <= texts
    assert {"height", "weight", "ill"} <= texts
    several = plot.NetworkDisplay.from_network(mlpc.Network([1, 3], loss="huber"), output_names=["a", "b", "c"])
    named = [text for text in several.ax_.texts if text.get_text() in ("a", "b", "c")]
    assert [text.xy[1] for text in named] == several.nodes_[1].get_offsets()[:, 1].tolist()
    assert [text.get_text() for text in named] == ["a", "b", "c"]
    assert not any(np.shares_memory(*pair) for pair in zip(display.weights, net.weights, strict=True))
    assert legend(display) == ["positive weight", "negative weight", f"|weight| = {widest:.2g}"]


def test_large_layers_are_cut():
    net = mlpc.Network([64, 40, 10], loss="categorical_cross_entropy", seed=0)
    display = plot.NetworkDisplay.from_network(net, max_units=5)
    assert [len(nodes.get_offsets()) for nodes in display.nodes_] == [5, 5, 5]
    texts = [text.get_text() for text in display.ax_.texts]
    assert texts.count("⋮") == 3
    assert {"$x_4$", "$x_{64}$"} <= {*texts}
    assert "$x_5$" not in texts
    whole = plot.NetworkDisplay.from_network(mlpc.Network([11, 3, 2, 1], loss="squared_error", seed=0), max_units=11)
    texts = {text.get_text() for text in whole.ax_.texts}
    assert {"$x_9$", "$x_{10}$", "$x_{11}$", "$h^{(1)}_3$", "$h^{(2)}_1$", r"$\hat{y}$"} <= texts
    assert sum(len(lines.get_segments()) for lines in display.edges_[0]) == 25
    steps = -np.diff(display.nodes_[0].get_offsets()[:, 1])
    assert np.allclose(steps, [1.0, 1.0, 1.0, 2.0])


# ---- Maps of units.


def test_activation_maps(net):
    display = plot.ActivationMapDisplay.from_network(net, X, Y, grid_resolution=30)
    for layer, images in display.images_.items():
        for unit, image in enumerate(images):
            expected = net.activations(pixel_centres(image).reshape(-1, 2))[layer][:, unit].reshape(30, 30)
            np.testing.assert_allclose(image.get_array(), expected, atol=1e-9)
            assert image.get_clim() == (0.0, 1.0)
        titles = [axes.get_title() for axes in display.axes_[layer]]
        assert titles == (["$h_1$", "$h_2$", "$h_3$"] if layer == 1 else [r"$\hat{y}$"])
    half = display.axes_[1][0].collections[0]
    places = vertices(half)
    np.testing.assert_allclose(places @ net.weights[0][:, 0] + net.biases[0][0], 0.0, atol=0.2)
    assert display.axes_[1][0].get_ylabel() == "layer 1 (sigmoid)"
    assert display.axes_[2][0].get_xlabel() == "$x_1$"


def test_activation_maps_wrap_and_share_colours():
    net = mlpc.Network([2, 40, 1], loss="squared_error", hidden_activation="tanh", seed=0)
    display = plot.ActivationMapDisplay.from_network(net, X, layer=1, max_units=6, grid_resolution=8)
    assert [image.get_array().shape for image in display.images_[1]] == [(8, 8)] * 6
    limits = {image.get_clim() for image in display.images_[1]}
    assert len(limits) == 1
    ((low, high),) = limits
    assert low == -high == -np.abs(display.maps[1]).max()
    assert [axes.get_title() for axes in display.axes_[1]] == [f"$h_{i}$" for i in range(1, 7)]
    assert [axes.get_ylabel() for axes in display.axes_[1]] == ["layer 1 (tanh)", "", "", "", "$x_2$", ""]
    assert [axes.get_xlabel() for axes in display.axes_[1]] == ["", "", "", "", "$x_1$", ""]
    last = plot.ActivationMapDisplay.from_network(net, X, layer=2, grid_resolution=8)
    assert last.axes_[2][0].get_ylabel() == "layer 2 (identity)\n$x_2$"
    figure = display.figure_
    figure.canvas.draw()
    boxes = [axes.get_window_extent() for axes in display.axes_[1]]
    assert len({round(box.y0) for box in boxes}) == 2
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))


@pytest.mark.parametrize(
    ("activation", "values", "expected"),
    [
        ("sigmoid", [0.2, 0.3], (0.0, 0.5, 1.0)),
        ("softplus", [0.2, 3.0], (0.0, 0.0, 3.0)),
        ("relu", [0.0, 0.0], (0.0, 0.0, 1.0)),
        ("tanh", [-0.7, 0.2], (-0.7, 0.0, 0.7)),
        ("identity", [0.0, 0.0], (-1.0, 0.0, 1.0)),
    ],
)
def test_colours_of_an_activation(activation, values, expected):
    assert _value_range(activation, np.array(values)) == expected


# ---- Weights as images.


def test_weight_images():
    net = mlpc.Network([12, 5, 2], loss="squared_error", seed=0)
    display = plot.WeightImageDisplay.from_network(net, shape=(3, 4), units=[4, 0])
    for unit, image in zip([4, 0], display.images_, strict=True):
        assert np.array_equal(image.get_array(), net.weights[0][:, unit].reshape(3, 4))
        far = np.abs(net.weights[0][:, [4, 0]]).max()
        assert image.get_clim() == (-far, far)
        assert image.origin == "upper"
    assert [axes.get_title() for axes in display.axes_] == ["unit 5", "unit 1"]
    assert display.colorbar_.ax.get_ylabel() == "weight"


def test_weight_images_of_a_square():
    net = mlpc.Network([16, 40, 2], loss="squared_error", seed=0)
    display = plot.WeightImageDisplay.from_network(net)
    assert len(display.images_) == 24
    assert np.array_equal(display.images_[23].get_array(), net.weights[0][:, 23].reshape(4, 4))
    net.weights[0][:] = -np.abs(net.weights[0])
    display = plot.WeightImageDisplay.from_network(net, max_units=5)
    assert display.images_[0].get_clim() == (net.weights[0][:, :5].min(), -net.weights[0][:, :5].min())
    assert len(display.plot(n_columns=2).images_) == 5


# ---- Descent.


def test_descent_is_that_of_training():
    X, y = RNG.normal(size=(20, 1)), RNG.normal(size=20)
    net = mlpc.Network([1, 1], loss="half_squared_error", optimizer=mlpc.SGD(0.3), seed=0)
    display = plot.DescentPathDisplay.from_network(net, X, y, learning_rate=0.3, n_steps=12, grid_resolution=15)
    other, expected = net.copy(), [net.parameters.copy()]
    record = lambda net, epoch, logs: expected.append(net.parameters.copy())  # noqa: E731
    other.fit(X, y, epochs=12, batch_size=None, callbacks=record)
    np.testing.assert_allclose(display.path, expected, rtol=1e-12)
    np.testing.assert_allclose(display.line_.get_xydata(), expected, rtol=1e-12)
    arrows = np.column_stack([display.arrows_.X, display.arrows_.Y, display.arrows_.U, display.arrows_.V])
    np.testing.assert_allclose(arrows, np.column_stack([expected[:-1], np.diff(expected, axis=0)]), atol=1e-12)
    for i, j in ((0, 0), (3, 7), (14, 2)):
        place = [display.xx0[i, j], display.xx1[i, j]]
        assert display.objective[i, j] == pytest.approx(net.objective(X, y, parameters=place), rel=1e-12)
    levels = display.contours_.levels
    np.testing.assert_allclose(np.diff(np.sqrt(levels - display.objective.min()), 2), 0.0, atol=1e-9)  # as of a bowl
    assert (np.diff(levels) > 0.0).all()
    assert display.objective.min() < levels[0] < levels[-1] < display.objective.max()
    for level, path in zip(levels, display.contours_.get_paths(), strict=True):
        for place in path.vertices:
            assert net.objective(X, y, parameters=place) == pytest.approx(level, rel=0.1, abs=0.01)
    low, high = np.array([display.ax_.get_xlim(), display.ax_.get_ylim()]).T
    assert ((display.path > low) & (display.path < high)).all()
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("$W^{(1)}_{1,1}$", "$b^{(1)}_{1}$")
    assert legend(display) == ["start", "end"]
    assert np.array_equal(net.parameters, expected[0])


def test_descent_in_two_of_many_parameters(net):
    display = plot.DescentPathDisplay.from_network(net, X, Y, parameters=(9, 4), n_steps=3, grid_resolution=4)
    place = net.parameters.copy()
    for step in range(4):
        np.testing.assert_allclose(display.path[step], place[[9, 4]], rtol=1e-12)
        gradient = net.gradient(X, Y, parameters=place)
        place[[9, 4]] -= 0.1 * gradient[[9, 4]]
    assert display.ax_.get_xlabel() == "$W^{(2)}_{1,1}$"
    assert display.ax_.get_ylabel() == "$W^{(1)}_{2,2}$"


def test_descent_along_random_directions(net):
    settings = {"directions": "random", "seed": 5, "n_steps": 4, "grid_resolution": 5}
    display = plot.DescentPathDisplay.from_network(net, X, Y, **settings)
    assert np.array_equal(display.path[0], [0.0, 0.0])
    drawn = np.random.default_rng(5).normal(size=(net.n_parameters, 2))
    basis = np.linalg.qr(drawn)[0].T
    np.testing.assert_allclose(basis @ basis.T, np.eye(2), atol=1e-12)
    np.testing.assert_allclose(display.path[1], -0.1 * basis @ net.gradient(X, Y), rtol=1e-9)
    middle = net.parameters + np.array([display.xx0[1, 3], display.xx1[1, 3]]) @ basis
    assert display.objective[1, 3] == pytest.approx(net.objective(X, Y, parameters=middle), rel=1e-9)
    again = plot.DescentPathDisplay.from_network(net, X, Y, **{**settings, "directions": basis})
    np.testing.assert_allclose(again.path, display.path, atol=1e-12)


def test_a_path_of_ones_own(net):
    run = net.parameters + RNG.normal(size=(6, net.n_parameters))
    limits = ((-1.0, 1.0), (-2.0, 2.0))
    display = plot.DescentPathDisplay.from_network(
        net, X, Y, path=run, parameters=(2, 0), grid_resolution=3, limits=limits
    )
    np.testing.assert_allclose(display.path, run[:, [2, 0]], atol=1e-12)
    last = run[-1].copy()
    last[[2, 0]] = 1.0, -2.0
    assert display.objective[0, 2] == pytest.approx(net.objective(X, Y, parameters=last), rel=1e-9)
    assert display.ax_.get_ylim() == (-2.0, 2.0)


def test_a_path_far_from_zero_has_readable_labels():
    X, y = RNG.normal(size=(20, 1)), RNG.normal(size=20)
    net = mlpc.Network([1, 1], loss="squared_error", seed=0)
    net.parameters = [123.45678, -0.00123]
    display = plot.DescentPathDisplay.from_network(net, X, y, learning_rate=1e-6, n_steps=5, grid_resolution=8)
    display.figure_.canvas.draw()
    marks = [text.get_text() for text in display.colorbar_.ax.get_yticklabels()]
    assert len({*marks}) == len(marks) > 4
    np.testing.assert_allclose([float(mark) for mark in marks], display.surface_.levels[::3], rtol=1e-3)
    boxes = [text.get_window_extent() for text in display.ax_.get_xticklabels() if text.get_text()]
    seen = [box for box in boxes if display.ax_.bbox.x0 <= (box.x0 + box.x1) / 2.0 <= display.ax_.bbox.x1]
    assert len(seen) >= 2
    assert all(left.x1 < right.x0 for left, right in itertools.pairwise(seen))


def test_flat_objective_is_drawn():
    net = mlpc.Network([1, 1], loss="squared_error", initializer="zeros")
    display = plot.DescentPathDisplay.from_network(net, [[0.0]], [0.0], parameters=(0, 1), n_steps=2, grid_resolution=4)
    assert np.array_equal(display.path, np.zeros((3, 2)))
    net = mlpc.Network([2, 1], loss="squared_error", initializer="zeros")
    display = plot.DescentPathDisplay.from_network(net, [[0.0, 0.0]], [3.0], n_steps=2, grid_resolution=4)
    assert (display.objective == 9.0).all()


# ---- Names.


def test_legends_have_room_for_long_names(three):
    long = [f"a class with quite a long name, number {i}" for i in range(3)]
    for names in (long, ["x" * 80, "a " * 60, "b"]):
        display = plot.DecisionBoundaryDisplay.from_network(three, X4, Y4, class_names=names, grid_resolution=5)
        png(display.figure_)
        whole, key = display.figure_.bbox, display.ax_.get_legend().get_window_extent()
        assert display.ax_.bbox.width > 0.4 * whole.width
        assert whole.x0 <= key.x0 < key.x1 <= whole.x1 or "x" * 80 in names


def test_more_classes_than_colours_differ_in_marker():
    made = mlpc.Network([2, 4, 12], loss="categorical_cross_entropy", seed=0)
    display = plot.DecisionBoundaryDisplay.from_network(made, X4, np.arange(60) % 12, grid_resolution=5)
    looks = {(tuple(drawn.get_facecolor()[0]), drawn.get_paths()[0].vertices.tobytes()) for drawn in display.points_}
    assert len(looks) == 12
    edges = [tuple(drawn.get_edgecolor()[0]) for drawn in display.points_]
    assert (edges[0], edges[3]) == (to_rgba("white"), to_rgba(_style.INK))  # yellow on white
    for n, named in ((24, True), (25, False), (60, False)):
        many = mlpc.Network([2, 4, n], loss="categorical_cross_entropy", seed=0)
        display = plot.DecisionBoundaryDisplay.from_network(many, X4, Y4, grid_resolution=5)
        assert (display.ax_.get_legend() is not None) == named


def test_dollars_in_the_data_are_no_formulas(three):
    frame = pytest.importorskip("pandas").DataFrame(X4, columns=["cost_$_2020_$", "$b"])
    estimator = SimpleNamespace(network_=three, classes_=np.array(["$_a$", "b", "c"]))
    display = plot.DecisionBoundaryDisplay.from_network(estimator, frame, estimator.classes_[Y4], grid_resolution=5)
    png(display.figure_)
    assert display.ax_.get_xlabel() == r"cost_\$_2020_\$"
    assert legend(display)[0] == r"\$_a\$"


@pytest.mark.parametrize("projection", ["polar", "3d"])
def test_axes_of_another_kind_are_refused(net, projection):
    for display in (plot.DecisionBoundaryDisplay, plot.HiddenClassifiersDisplay, plot.DescentPathDisplay):
        with pytest.raises(ValueError, match=f"ax must be axes of two dimensions .*{projection}"):
            display.from_network(net, X, Y, ax=plt.figure().add_subplot(projection=projection))
    for display in (plot.LossCurveDisplay, plot.NetworkDisplay):
        with pytest.raises(ValueError, match=f"ax must be axes of two dimensions .*{projection}"):
            display.from_network(net, ax=plt.figure().add_subplot(projection=projection))


# ---- What is drawn, and what from.


def test_a_fitted_estimator(net):
    frame = pytest.importorskip("pandas").DataFrame(X, columns=["width", "length"])
    names = np.array(["outer", "inner"])
    estimator = SimpleNamespace(network_=net, classes_=np.array(["inner", "outer"]))
    display = plot.DecisionBoundaryDisplay.from_network(estimator, frame, names[1 - Y], grid_resolution=8)
    assert legend(display) == ["inner", "outer"]
    assert display.ax_.get_ylabel() == "length"
    assert np.array_equal(display.points_[1].get_offsets(), X[Y == 1])
    assert display.colorbar_.ax.get_ylabel() == "probability of outer"
    assert legend(plot.HiddenSpaceDisplay.from_network(estimator, X, names[1 - Y]))[:2] == ["inner", "outer"]
    by_name = plot.DescentPathDisplay.from_network(estimator, X, names[1 - Y], n_steps=2, grid_resolution=3)
    by_number = plot.DescentPathDisplay.from_network(net, X, Y, n_steps=2, grid_resolution=3)
    np.testing.assert_array_equal(by_name.path, by_number.path)
    several = mlpc.Network([2, 3], loss="binary_cross_entropy", seed=0)
    rows = np.column_stack([Y, 1 - Y, Y])
    by_name, by_number = (
        plot.DescentPathDisplay.from_network(source, X, rows, n_steps=2, grid_resolution=3)
        for source in (SimpleNamespace(network_=several, classes_=np.arange(3)), several)
    )
    np.testing.assert_array_equal(by_name.path, by_number.path)
    with pytest.raises(ValueError, match=r"^y must hold the estimator's classes .*'other'"):
        plot.DecisionBoundaryDisplay.from_network(estimator, X, np.full(len(X), "other"))


def test_names_of_classes_by_number(net):
    estimator = SimpleNamespace(network_=net, classes_=np.array([3, 7]))
    assert legend(plot.DecisionBoundaryDisplay.from_network(estimator, X, 3 + 4 * Y)) == ["class 3", "class 7"]
    one = MLPClassifier((3,), max_iter=1, random_state=0)
    with pytest.warns(ConvergenceWarning):
        one.fit(X, np.full(len(X), "only"))
    display = plot.DecisionBoundaryDisplay.from_network(one, X, grid_resolution=5)
    assert display.colorbar_.ax.get_ylabel() == "probability of class 1"
    sigmoids = mlpc.Network([2, 3, 3], loss="binary_cross_entropy", seed=0)  # any classes, or none
    assert legend(plot.HiddenSpaceDisplay.from_network(sigmoids, X4, Y4))[:3] == ["class 0", "class 1", "class 2"]


@pytest.mark.parametrize("sizes", [[2, 2, 1], [2, 3, 1], [2, 5, 1]], ids=str)
def test_targets_of_a_regression_are_a_scale(sizes):
    net = mlpc.Network(sizes, loss="squared_error", hidden_activation="tanh", seed=0)
    targets = np.round(100.0 * X[:, 0])  # whole numbers, but no classes
    for display in (
        plot.HiddenSpaceDisplay.from_network(net, X, targets),
        plot.HiddenClassifiersDisplay.from_network(net, X, targets[:, None]),
    ):
        (points,) = display.points_
        assert points.get_clim() == (targets.min(), targets.max())
        assert "y" in display.figure_.axes[-1].get_ylabel()
        assert np.array_equal(points.get_array(), targets)
        assert len(points.get_offsets()) == len(X)
    maps = plot.ActivationMapDisplay.from_network(net, X, targets, grid_resolution=9)
    assert maps.codes is None
    assert np.array_equal(maps.axes_[2][0].collections[-1].get_offsets(), X)
    labels = plot.HiddenClassifiersDisplay.from_network(net, X, Y)
    assert legend(labels)[:2] == ["class 0", "class 1"]
    for most, artists in ((9, 10), (10, 1)):  # digits may be classes
        whole = plot.HiddenClassifiersDisplay.from_network(net, X, np.arange(80.0) % (most + 1))
        assert len(whole.points_) == artists
    some = plot.HiddenClassifiersDisplay.from_network(net, X, 2.0 * Y)
    assert np.array_equal(some.points_[2].get_offsets(), X[Y == 1])
    with pytest.raises(ValueError, match="y must be finite"):
        plot.HiddenClassifiersDisplay.from_network(net, X, np.full(len(X), np.nan))


def test_the_last_step_of_a_pipeline():
    pipeline = make_pipeline(StandardScaler(), MLPClassifier((3,), solver="lbfgs", random_state=0)).fit(X, Y)
    display = plot.DecisionBoundaryDisplay.from_network(pipeline[-1], pipeline[:-1].transform(X), Y, grid_resolution=9)
    places = pipeline[0].inverse_transform(pixel_centres(display.surface_).reshape(-1, 2))
    np.testing.assert_allclose(display.surface_.get_array().ravel(), pipeline.predict_proba(places)[:, 1], atol=1e-9)
    with pytest.raises(TypeError, match=r"^network must be .* got Pipeline: give its last step, pipeline\[-1\]"):
        plot.DecisionBoundaryDisplay.from_network(pipeline, X)


def network(sizes, loss="binary_cross_entropy", **settings):
    return mlpc.Network(sizes, loss=loss, seed=0, **settings)


def spoilt(sizes):
    made = network(sizes)
    made.weights[0][0, 0] = np.nan
    return made


X3 = np.zeros((4, 3))
BAD = {
    "boundary of three inputs": (
        lambda: plot.DecisionBoundaryDisplay.from_network(network([3, 1]), X3),
        "two inputs.* 3",
    ),
    "classifiers of one input": (
        lambda: plot.HiddenClassifiersDisplay.from_network(network([1, 1]), X3),
        "two inputs.* 1",
    ),
    "maps of three inputs": (lambda: plot.ActivationMapDisplay.from_network(network([3, 1]), X3), "two inputs.* 3"),
    "columns": (
        lambda: plot.DecisionBoundaryDisplay.from_network(network([2, 1]), X3),
        r"X .*\(n_samples, 2\).*\(4, 3\)",
    ),
    "no rows": (lambda: plot.DecisionBoundaryDisplay.from_network(network([2, 1]), X[:0]), r"X .*\(0, 2\)"),
    "NaN": (lambda: plot.DecisionBoundaryDisplay.from_network(network([2, 1]), X * np.nan), "X must be finite"),
    "regression": (lambda: plot.DecisionBoundaryDisplay.from_network(network([2, 1], "squared_error"), X), "identity"),
    "which output": (lambda: plot.DecisionBoundaryDisplay.from_network(network([2, 2]), X), "output .* 2 sigmoid"),
    "no such output": (lambda: plot.DecisionBoundaryDisplay.from_network(network([2, 2]), X, output=2), "output .*1"),
    "labels": (lambda: plot.DecisionBoundaryDisplay.from_network(network([2, 1]), X, 2 * Y - 1), "y .*0 to 1.* -1"),
    "half labels": (lambda: plot.DecisionBoundaryDisplay.from_network(network([2, 1]), X, Y / 2), "y .*whole .* 0.5"),
    "labels in one row": (
        lambda: plot.DecisionBoundaryDisplay.from_network(network([2, 1]), X, Y[None]),
        r"y .*80 rows.*\(1, 80\)",
    ),
    "rows of labels": (
        lambda: plot.HiddenSpaceDisplay.from_network(network([2, 3, 2]), X, np.column_stack([Y, 1 - Y])),
        r"y .*80 rows.*\(80, 2\)",
    ),
    "rows of another number": (
        lambda: plot.DecisionBoundaryDisplay.from_network(network([2, 2]), X, np.zeros((79, 2)), output=1),
        r"y .*80 rows.*\(79, 2\)",
    ),
    "one unit a layer": (
        lambda: plot.NetworkDisplay.from_network(network([2, 1]), max_units=1),
        "max_units must be at least 2, got 1",
    ),
    "no such unit": (
        lambda: plot.WeightImageDisplay.from_network(network([4, 2, 1]), units=[2]),
        r"units\[0\] must be at most 1, got 2",
    ),
    "path of one point": (
        lambda: plot.DescentPathDisplay.from_network(network([2, 1]), X, Y, path=np.ones((1, 3))),
        "two points or more",
    ),
    "limits of no width": (
        lambda: plot.DescentPathDisplay.from_network(network([2, 1]), X, Y, limits=((1, 1), (0, 1))),
        "limits .*rising",
    ),
    "one place a side": (
        lambda: plot.DecisionBoundaryDisplay.from_network(network([2, 1]), X, grid_resolution=1),
        "grid_resolution must be at least 2, got 1",
    ),
    "too few labels": (
        lambda: plot.HiddenClassifiersDisplay.from_network(network([2, 1]), X, Y[1:]),
        "y .*80 rows.*79",
    ),
    "class names": (
        lambda: plot.DecisionBoundaryDisplay.from_network(network([2, 1]), X, Y, class_names=["a"]),
        "2 names",
    ),
    "no row": (
        lambda: plot.DecisionBoundaryDisplay.from_network(network([2, 1]), X[:0], Y[:0]),
        "X must have at least one row to be drawn",
    ),
    "several targets": (
        lambda: plot.HiddenSpaceDisplay.from_network(network([2, 3, 2], "huber"), X, np.zeros((len(X), 2))),
        "y must have one label .*give one column of it, or none",
    ),
    "a network of NaN": (
        lambda: plot.HiddenSpaceDisplay.from_network(spoilt([2, 5, 1]), X, Y),
        "network must have finite parameters",
    ),
    "output of one": (
        lambda: plot.DecisionBoundaryDisplay.from_network(network([2, 1]), X, Y, output=0),
        "output must be None for a network of one output, got 0",
    ),
    "no feature names": (
        lambda: plot.NetworkDisplay.from_network(network([2, 1]), feature_names=[]),
        "feature_names .*2",
    ),
    "feature names": (
        lambda: plot.NetworkDisplay.from_network(network([2, 1]), feature_names=["a"]),
        "feature_names .*2",
    ),
    "no hidden layer": (lambda: plot.HiddenSpaceDisplay.from_network(network([2, 1]), X), "layer"),
    "one hidden unit": (lambda: plot.HiddenSpaceDisplay.from_network(network([2, 1, 1]), X), "two units.* has 1"),
    "components": (lambda: plot.HiddenSpaceDisplay.from_network(network([2, 2, 1]), X, n_components=3), "n_components"),
    "flat axes": (
        lambda: plot.HiddenSpaceDisplay.from_network(network([2, 3, 1]), X, ax=plt.subplots()[1]),
        'ax .*projection="3d"',
    ),
    "no history": (lambda: plot.LossCurveDisplay.from_network(network([2, 1])), "fit it first"),
    "no such layer": (lambda: plot.ActivationMapDisplay.from_network(network([2, 1]), X, layer=2), "layer .*1"),
    "no square": (lambda: plot.WeightImageDisplay.from_network(network([3, 1])), "shape .*3 inputs"),
    "image": (
        lambda: plot.WeightImageDisplay.from_network(network([6, 1]), shape=(2, 2)),
        r"shape .*6 pixels.*\(2, 2\)",
    ),
    "one parameter": (
        lambda: plot.DescentPathDisplay.from_network(network([1, 1], bias=False), [[1.0]], [1.0]),
        "two parameters.* 1",
    ),
    "same parameter": (
        lambda: plot.DescentPathDisplay.from_network(network([2, 1]), X, Y, parameters=(1, 1)),
        "different",
    ),
    "directions": (
        lambda: plot.DescentPathDisplay.from_network(network([2, 1]), X, Y, directions=np.ones((2, 3))),
        "span a plane",
    ),
    "path": (
        lambda: plot.DescentPathDisplay.from_network(network([2, 1]), X, Y, path=np.ones((2, 2))),
        r"\(n_points, 3\)",
    ),
    "limits": (
        lambda: plot.DescentPathDisplay.from_network(network([2, 1]), X, Y, limits=((1, 0), (0, 1))),
        "limits .*rising",
    ),
    "divergence": (
        lambda: plot.DescentPathDisplay.from_network(network([2, 1], "squared_error"), X, Y, learning_rate=50.0),
        "learning_rate .*diverged in step",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_drawn_is_one_clear_sentence(name):
    call, message = BAD[name]
    with pytest.raises(ValueError, match=f"^[^\n]*{message}[^\n]*$"):
        call()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3, "int"),
        (SimpleNamespace(), "SimpleNamespace"),
        (MLPClassifier(), "MLPClassifier, which is not fitted"),
        (PCA(), r"PCA of sklearn\.decomposition\._pca"),
    ],
)
def test_what_is_no_network(value, expected):
    with pytest.raises(TypeError, match=f"^network must be .*, got {expected}$"):
        plot.NetworkDisplay.from_network(value)


def test_a_figure_and_its_axes_are_no_axes():
    figure, axes = plt.subplots(ncols=2)
    for ax, expected in ((figure, "Figure"), (axes, "ndarray"), ((figure, axes), "tuple")):
        with pytest.raises(TypeError, match=f"^ax must be .*, got {expected}$"):
            plot.NetworkDisplay.from_network(network([2, 1]), ax=ax)
        with pytest.raises(TypeError, match=f"^ax must be .*, got {expected}$"):
            plot.HiddenSpaceDisplay.from_network(network([2, 2, 1]), X, ax=ax)
    plt.close(figure)


@pytest.mark.parametrize(
    ("name", "value"),
    [("path", [["a", 1.0]]), ("directions", [["a"] * 3] * 2), ("limits", (("a", 1), (0, 1))), ("seed", 0.5)],
)
def test_what_is_no_number_for_a_path_is_named(name, value):
    with pytest.raises(TypeError, match=f"^{name} must"):
        plot.DescentPathDisplay.from_network(network([2, 1]), X, Y, **{"directions": "random", name: value})


DISPLAYS = {
    "DecisionBoundary": lambda net: plot.DecisionBoundaryDisplay.from_network(net, X, Y),
    "HiddenClassifiers": lambda net: plot.HiddenClassifiersDisplay.from_network(net, X, Y),
    "HiddenSpace": lambda net: plot.HiddenSpaceDisplay.from_network(net, X, Y),
    "LossCurve": plot.LossCurveDisplay.from_network,
    "Network": plot.NetworkDisplay.from_network,
    "ActivationMap": lambda net: plot.ActivationMapDisplay.from_network(net, X, Y),
    "WeightImage": lambda net: plot.WeightImageDisplay.from_network(net, shape=(1, 2)),
    "DescentPath": lambda net: plot.DescentPathDisplay.from_network(net, X, Y, grid_resolution=15),
}


@pytest.mark.parametrize("name", DISPLAYS)
def test_no_picture_is_empty_or_cut(net, name):
    display = DISPLAYS[name](net)
    picture = png(display.figure_).astype(int)
    inked = (np.abs(picture - 255).sum(axis=-1) > 60).mean()
    assert inked > 0.01
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 20
    edges = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    assert (edges == 255).all()
    # Every text lies within the figure.
    renderer, frame = display.figure_.canvas.get_renderer(), display.figure_.bbox
    for text in display.figure_.findobj(mpl.text.Text):
        box = text.get_window_extent(renderer)
        if (
            text.get_text()
            and text.get_visible()
            and box.width
            and text.axes is not None
            and not hasattr(text, "arrow_patch")
        ):
            assert frame.x0 - 1 <= box.x0, text
            assert box.x1 <= frame.x1 + 1, text


def test_matplotlib_comes_with_the_first_picture_and_says_what_to_install(monkeypatch):
    code = "import sys, mlpc, mlpc.plot; print('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout == "False\n"
    net = mlpc.Network([2, 1], loss="binary_cross_entropy", seed=0)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=re.escape("pip install matplotlib")):
        plot.NetworkDisplay.from_network(net)
