"""The option --dataset, and the list of datasets in help texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from gateway.dataset import Dataset

dataset_option = click.option(
    "--dataset", metavar="NAME", help="The dataset, one of those listed below. Default: the first one."
)


def dataset_named(name: str | None) -> Dataset:
    """Return the dataset with this name, or the first one for None. Raises UsageError."""
    # Imported lazily, so that `gateway --help` is fast.
    from schema.build import DATASETS

    datasets = {dataset.name: dataset for dataset, _ in DATASETS}
    if name is None:
        return DATASETS[0][0]
    if name not in datasets:
        raise click.UsageError(f"There is no dataset {name!r}. Choose {' or '.join(datasets)}.")
    return datasets[name]


class DatasetCommand(click.Command):
    """A command whose help ends with the fields of each dataset."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the datasets, then the epilog."""
        from schema.build import DATASETS

        for dataset, _ in DATASETS:
            measures = (*dataset.measures, *(derived.name for derived in dataset.derived))
            with formatter.section(f"Dataset {dataset.name}"):
                formatter.write_dl([("dimensions", ", ".join(dataset.dimensions)), ("measures", ", ".join(measures))])
        super().format_epilog(ctx, formatter)
