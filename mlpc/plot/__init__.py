"""Pictures of networks: what they compute, what they learned, how they were trained.

Display objects in scikit-learn's manner: `from_network` takes a network or a fitted estimator, computes and draws;
`plot` draws again, on other axes; `ax_`, `figure_` and the attributes that end in `_` are what was drawn. matplotlib is
imported by the first picture, not by `import mlpc.plot`.

Classes differ in colour, lightness and marker, lines in colour and dashes, signs in lightness and dashes: a picture can
be read under the common colour vision deficiencies and printed in grey.
"""

from mlpc.plot.activation_map import ActivationMapDisplay
from mlpc.plot.decision_boundary import DecisionBoundaryDisplay
from mlpc.plot.descent_path import DescentPathDisplay
from mlpc.plot.diagram import NetworkDisplay
from mlpc.plot.hidden_classifiers import HiddenClassifiersDisplay
from mlpc.plot.hidden_space import HiddenSpaceDisplay
from mlpc.plot.live import LivePlot
from mlpc.plot.loss_curve import LossCurveDisplay
from mlpc.plot.weight_image import WeightImageDisplay

__all__ = [
    "ActivationMapDisplay",
    "DecisionBoundaryDisplay",
    "DescentPathDisplay",
    "HiddenClassifiersDisplay",
    "HiddenSpaceDisplay",
    "LivePlot",
    "LossCurveDisplay",
    "NetworkDisplay",
    "WeightImageDisplay",
]
