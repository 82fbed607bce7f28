"""The command: ``python -m tests.benchmarks``, from the root of the repository, with the test extra installed."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

import click

from tests.benchmarks.rounds import QUICK, Effort
from tests.benchmarks.run import PARTS, run

RESULTS_FOLDER = Path(__file__).parent / "results"


_ONLY = f"The case of this name, else all cases whose names contain it; or one of {', '.join(PARTS)}. Repeatable."
_OUT = click.Path(path_type=Path, file_okay=False)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--quick", is_flag=True, help="A short run of a minute or two, to check that everything works.")
@click.option("--only", multiple=True, metavar="NAME", help=_ONLY)
@click.option("--no-peers", is_flag=True, help="Leave Mercurius, GraphQL Yoga and Tailcall out.")
@click.option("--redis", "redis_url", help="Redis for the second gateway; by default one is started.")
@click.option("--out", type=_OUT, default=RESULTS_FOLDER, help="Folder for results.json, results.md and chart.svg.")
def main(quick: bool, only: tuple[str, ...], no_peers: bool, redis_url: str | None, out: Path) -> None:
    """Measure the gateway, plain Strawberry, a REST proxy, a constant response and, if Node is installed, its peers."""
    from tests.benchmarks.output import write_results
    from tests.benchmarks.report import markdown

    # SIGTERM must also end the processes that this program has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    start = time.monotonic()
    try:
        results = run(
            QUICK if quick else Effort(), only=only, peers=not no_peers, redis_url=redis_url,
            log=lambda line: click.echo(f"{time.monotonic() - start:5.0f} s  {line}", err=True),
        )  # fmt: skip
    except RuntimeError as error:
        raise click.ClickException(str(error)) from None
    click.echo(markdown(results))
    write_results(results, out)
    click.echo(f"{time.monotonic() - start:5.0f} s  written to {out}", err=True)


if __name__ == "__main__":
    main()
