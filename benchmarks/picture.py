"""The README's picture: `python -m benchmarks.picture`."""

from pathlib import Path

from matplotlib.figure import Figure

from brenier import ConvexPotentialFlow
from brenier.data.datasets import Moons
from brenier.plots import plot_density, plot_map

PICTURE = Path(__file__).parents[1] / "docs" / "images" / "moons.png"


def main() -> None:
    """Fit 4000 samples of the moons and draw samples, density and map side by side."""
    X = Moons().sample(4000, random_state=0)
    flow = ConvexPotentialFlow().fit(X)
    figure = Figure(figsize=(13.5, 4.2), layout="constrained")
    drawn, density, transport = figure.subplots(1, 3)
    Y = flow.sample(4000, random_state=1)
    for rows, colour, label in ((X, "#0072B2", "data"), (Y, "#E69F00", "new samples")):
        drawn.plot(*rows.T, ".", markersize=2, color=colour, alpha=0.5, label=label)
    drawn.legend(
        loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, markerscale=5, frameon=False
    )
    plot_density(flow, ax=density)
    drawn.set(xlabel="x0", ylabel="x1", xlim=density.get_xlim(), ylim=density.get_ylim())
    plot_map(flow, X[:1000], ax=transport)
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(PICTURE, dpi=110)


if __name__ == "__main__":
    main()
