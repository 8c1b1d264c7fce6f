"""`eigenalign fresh`: would your pretrained network learn a fresh task faster than from scratch?"""

from __future__ import annotations

import click

from reports.commands.group import DONE, common, eigenalign, show


@eigenalign.command(short_help="Test whether a pretrained network learns a fresh task faster.")
@click.option("--before", multiple=True, required=True, metavar="FILE", help="The whole network before pre-training.")
@click.option(
    "--after", multiple=True, required=True, metavar="FILE", help="The same, pretrained; repeat both for each pair."
)
@click.option("--data", required=True, metavar="FILE[:KEY]|DIR", help="Rows or images of the task; no labels.")
@click.option(
    "--activation",
    type=click.Choice(["relu", "tanh", "erf", "identity"]),
    default="relu",
    show_default=True,
    help="Between the layers of the network.",
)
@click.option("--blocks", default=None, metavar="N,N,…", help="Layers of 3 x 3 filters before each 2 x 2 pooling.")
@click.option("--rows", type=click.IntRange(min=2), default=20, show_default=True, help="Rows on which to compare.")
@click.option("--channels-last", is_flag=True, help="Images are stored as (n, H, W, C).")
@common
def fresh(
    before: tuple[str, ...],
    after: tuple[str, ...],
    data: str,
    activation: str,
    blocks: str | None,
    rows: int,
    channels_last: bool,
    as_json: bool,
    quiet: bool,
) -> int:
    """Test whether a pretrained network would learn a fresh task faster than from scratch.

    Compares tangent kernels before and after pre-training, without labels and without training, in a second or two.
    Files hold whole networks: dense layers, or filters before them.

    \b
    Example:
      eigenalign fresh --before init.pt --after pretrained.pt --data rows.npy
    """  # noqa: D301
    from reports.transfer import fresh_task_of_files
    from reports.transfer.fresh_files import parse_blocks
    from reports.views.fresh_task import view

    found = fresh_task_of_files(
        before,
        after,
        data,
        activation=activation,
        blocks=parse_blocks(blocks),
        rows=rows,
        channels_last=channels_last,
    )
    show(view(found), as_json)
    return DONE
