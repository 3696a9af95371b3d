"""What a measurement says: medians and spread over rounds, as a table for people or as JSON."""

import json
from collections.abc import Mapping, Sequence
from statistics import median

Figures = Mapping[str, float | int | str]


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that ``share`` of the sorted ``values`` do not exceed."""
    return values[min(len(values) - 1, int(len(values) * share))]


def rounded(value: float) -> float | int:
    """Return a figure with three or four digits that mean something."""
    return round(value) if value >= 1_000 else float(f"{value:.4g}")


def summarise(rounds: Sequence[Mapping[str, float]]) -> dict[str, float | int | str]:
    """Return the median of each figure over the rounds, and ``NAME_spread``: lowest to highest."""
    summary: dict[str, float | int | str] = {}
    for name in rounds[0]:
        values = [figures[name] for figures in rounds]
        summary[name] = rounded(median(values))
        if len(values) > 1:
            summary[f"{name}_spread"] = f"{rounded(min(values))}..{rounded(max(values))}"
    return summary


def show(title: str, figures: Figures, *, as_json: bool) -> None:
    """Print them."""
    if as_json:
        print(json.dumps({"bench": title, **figures}))
        return
    print(title)
    for name, value in figures.items():
        if name.endswith("_spread"):
            continue
        spread = figures.get(f"{name}_spread")
        shown = f"{value:,}" if isinstance(value, int) else str(value)
        print(f"  {name:<34} {shown:>12}" + (f"   ({spread})" if spread else ""))
