"""What every benchmark shares: variants run in turn, medians beside a floor of the same run, a table and a picture.

Machines are shared and drift, so the variants take turns within each round, and what counts is the ratio.
"""

import os
import platform
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

Figures = Mapping[str, float]
RESULTS = Path(".formhub") / "bench"


@dataclass(frozen=True)
class Variant:
    """A way of doing the same work. `run` does it once and returns its figures by name."""

    name: str
    run: Callable[[], Figures]


@dataclass(frozen=True)
class Column:
    """A figure as the table shows it. share: also as a part of the floor's."""

    name: str
    title: str
    form: str = "{:,.0f}"
    share: bool = False


Runs = dict[str, list[Figures]]


def interleave(variants: Sequence[Variant], rounds: int, console: Console) -> Runs:
    """Every variant once in each round."""
    runs: Runs = {variant.name: [] for variant in variants}
    bars = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*bars, console=console) as progress:
        task = progress.add_task("measuring", total=rounds * len(variants))
        for number in range(rounds):
            for variant in variants:
                progress.update(task, description=f"round {number + 1}: {variant.name}")
                runs[variant.name].append(variant.run())
                progress.advance(task)
    return runs


def median(runs: Sequence[Figures], name: str) -> float:
    return statistics.median(figures[name] for figures in runs)


def show(console: Console, title: str, runs: Runs, columns: Sequence[Column], floor: str = "") -> None:
    """Medians with the least and the most, and each share of the floor's median."""
    table = Table(title=title, title_justify="left")
    table.add_column("variant", style="bold")
    for column in columns:
        table.add_column(column.title, justify="right")
        if column.share and floor:
            table.add_column("of the floor", justify="right")
    for name, figures in runs.items():
        row = [name]
        for column in columns:
            row.append(_cell(figures, column))
            if column.share and floor:
                row.append(f"{median(figures, column.name) / median(runs[floor], column.name):.2f}")
        table.add_row(*row)
    console.print(table)


def _cell(figures: Sequence[Figures], column: Column) -> str:
    values = [each[column.name] for each in figures]
    middle = column.form.format(statistics.median(values))
    if len(values) == 1:
        return middle
    return f"{middle} ({column.form.format(min(values))} to {column.form.format(max(values))})"


def picture(path: Path, title: str, runs: Runs, column: Column, floor: str = "") -> Path:
    """A bar for each variant's median, with a line from the least to the most."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    names = list(runs)
    middles = [median(runs[name], column.name) for name in names]
    lows = [middle - min(each[column.name] for each in runs[name]) for name, middle in zip(names, middles, strict=True)]
    highs = [
        max(each[column.name] for each in runs[name]) - middle for name, middle in zip(names, middles, strict=True)
    ]
    figure, axes = pyplot.subplots(figsize=(8, 0.7 * len(names) + 1.4))
    colours = ["#83838f" if name == floor else "#4432a8" for name in names]
    axes.barh(names, middles, xerr=[lows, highs], color=colours, capsize=3)
    axes.invert_yaxis()
    axes.set_title(title, loc="left", fontsize=11)
    axes.set_xlabel(column.title)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
    return path


def machine() -> str:
    """The machine and the versions that decide, in one line."""
    model = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), "?"
    )
    kilobytes = next((int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), 0)
    packages = ", ".join(f"{name} {version(name)}" for name in ("Django", "granian", "kafka-python", "psycopg"))
    return (
        f"{os.cpu_count()} cores ({model}), {kilobytes / 1024**2:.0f} GiB, "
        f"Python {platform.python_version()}, {packages}"
    )


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []
