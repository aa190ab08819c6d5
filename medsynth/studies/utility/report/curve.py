"""AUC over the number of synthetic images, with bands; real images only is the line to beat."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

# Distinguishable for people with any color vision; controls are dashed.
COLORS = ("#1f6fb8", "#d95f02", "#1b9e77", "#7b4fb5")
CONTROL_COLORS = {
    "duplicated": "#6b6b6b",
    "augmented": "#b08a00",
    "equal_steps": "#a0a0a0",
    "fewer": "#a0a0a0",
    "pasted": "#c2497b",
}
XLABELS = {
    "add": "images added to the real ones",
    "replace": "images in place of real ones",
    "only": "images trained on",
}


def draw_curve(record: Mapping[str, Any], path: Path) -> None:
    """One panel for each mode, as SVG; without any size, real images only."""
    import matplotlib
    from matplotlib.figure import Figure

    modes = [m for m in XLABELS if any(r["mode"] == m and r["size"] for r in record["rows"])]
    figure = Figure(figsize=(6.4 * max(1, len(modes)), 4.2), layout="constrained")
    axes = figure.subplots(1, max(1, len(modes)), squeeze=False, sharey=True)[0]
    for ax, mode in zip(axes, modes or ["add"], strict=True):
        _panel(ax, record, mode)
    axes[0].set_ylabel("AUC on real test patients")
    named: dict[str, Artist] = {}
    for ax in axes:
        handles, labels = ax.get_legend_handles_labels()
        named |= dict(zip(labels, handles, strict=True))
    figure.legend(
        handles=list(named.values()),
        labels=list(named),
        loc="outside lower center",
        ncols=4,
        frameon=False,
        fontsize=8,
    )
    # The same figures give the same file.
    with matplotlib.rc_context({"svg.hashsalt": "medsynth", "svg.fonttype": "none"}):
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})


def _panel(ax: Axes, record: Mapping[str, Any], mode: str) -> None:
    base = record["rows"][0]["auc"]
    ax.axhspan(base["low"], base["high"], color="#000000", alpha=0.06, lw=0)
    ax.axhline(base["value"], color="#000000", lw=1.2, label="real only")
    lines: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in record["rows"]:
        if row["mode"] == mode and row["size"]:
            lines.setdefault((row["kind"], row["title"]), []).append(row)
    named = [title for kind, title in lines if kind == "synthetic"]
    for (kind, title), rows in lines.items():
        sizes = [row["size"] for row in rows]
        values = [row["auc"]["value"] for row in rows]
        if kind != "synthetic":
            ax.plot(sizes, values, "s--", color=CONTROL_COLORS[kind], lw=1.1, ms=3.5, label=title)
            continue
        color = COLORS[named.index(title) % len(COLORS)]
        low, high = ([row["auc"][end] for row in rows] for end in ("low", "high"))
        ax.fill_between(sizes, low, high, color=color, alpha=0.15, lw=0)
        off = [[v - a for v, a in zip(values, low, strict=True)]]
        off.append([b - v for v, b in zip(values, high, strict=True)])
        ax.errorbar(sizes, values, yerr=off, fmt="o-", color=color, lw=1.8, capsize=3, label=title)
    ax.set(xlabel=XLABELS[mode])
    ax.set_xticks(sorted({row["size"] for rows in lines.values() for row in rows}))
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(alpha=0.25)
