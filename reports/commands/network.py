"""`eigenalign check` and `init`: your own network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from reports.commands.group import DONE, common, eigenalign, show


@eigenalign.command()
@click.option(
    "--weights",
    multiple=True,
    required=True,
    metavar="FILE[:KEY]",
    help="Weights of the layer; repeat for each independent training.",
)
@click.option("--data", required=True, metavar="FILE[:KEY]|DIR", help="Input of the layer: rows, images, activations.")
@click.option(
    "--init",
    "initial",
    multiple=True,
    metavar="FILE[:KEY]",
    help="The weights before training, one for each --weights: tells how much of them is left.",
)
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), default=None, help="Also write an HTML page.")
@click.option("--transposed", is_flag=True, help="Keras/JAX layout of the weights: (inputs, outputs), (kh, kw, C, m).")
@click.option("--channels-last", is_flag=True, help="Images are stored as (n, H, W, C).")
@click.option(
    "--dilation", type=click.IntRange(min=1), default=1, show_default=True, help="Dilation of the convolution."
)
@click.option(
    "--group", default="1/1", metavar="J/G", show_default=True, help="Group J of a convolution with G groups."
)
@click.option("--center", is_flag=True, help="Subtract the mean of the data.")
@click.option(
    "--ridge",
    type=float,
    default=0.0,
    metavar="SHARE",
    help="Regularise weights of deficient rank: this share of their mean variance.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the tests.")
@common
def check(
    weights: tuple[str, ...],
    data: str,
    html: Path | None,
    group: str,
    as_json: bool,
    quiet: bool,
    **options: Any,
) -> int:
    """Test whether a trained layer is aligned with its data."""
    from reports.check import check_files
    from reports.check.weights import parse_group
    from reports.views.check import view

    found = check_files(weights, data, group=parse_group(group), progress=not quiet, **options)
    if html is not None:
        from reports.files import write_atomically
        from reports.views.check_page import html as page

        try:
            write_atomically(html, page(found, [*weights, data]))
        except OSError as error:
            raise click.FileError(str(html), hint=error.strerror or "cannot be written") from None
    show(view(found), as_json)
    return DONE


@eigenalign.command()
@click.option(
    "--data", default=None, metavar="FILE[:KEY]|DIR", help="Draw from the data: rows or images that the layer will see."
)
@click.option(
    "--setting",
    "setting_file",
    default=None,
    metavar="FILE",
    help="Draw from the closed form of a setting, or from an ensemble of it.",
)
@click.option("--store", default=None, metavar="DIR", help="Draw from an ensemble kept by `simulate`.")
@click.option("--shape", required=True, metavar="M,D|M,C,KH,KW", help="Shape of the weights, in PyTorch's layout.")
@click.option("--norm", type=float, default=None, metavar="X", help="Frobenius norm; default: torch's, sqrt(M/3).")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="File to write, .npy or .safetensors."
)
@click.option(
    "--time", type=float, default=None, metavar="U", help="With --data: training time, eta t s_max; default 1.2564…"
)
@click.option(
    "--initial",
    type=float,
    default=None,
    metavar="C",
    help="With --data: weight of the initial weights, sigma_0² n/(sigma_y² eta t); default 0.",
)
@click.option("--center", is_flag=True, default=None, help="With --data: subtract the mean.")
@click.option("--channels-last", is_flag=True, default=None, help="With --data: images are stored as (n, H, W, C).")
@click.option(
    "--dilation", type=click.IntRange(min=1), default=None, help="With --data: dilation of the convolution; default 1."
)
@click.option("--formula", default=None, help="With --setting: use this closed form.")
@click.option("--replicas", type=click.IntRange(min=1), default=None, help="With --setting: replicas of the ensemble.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the draw.")
@common
def init(
    data: str | None,
    setting_file: str | None,
    store: str | None,
    shape: str,
    norm: float | None,
    out: Path,
    seed: int,
    as_json: bool,
    quiet: bool,
    **options: Any,
) -> int:
    """Draw first-layer weights aligned with the data, as after training on random labels."""
    from reports.init import draw_layer, frobenius
    from reports.init_files import check_suffix, law_from, parse_shape, save
    from reports.views.init import view

    check_suffix(out)
    sizes = parse_shape(shape)
    wanted = frobenius(norm, sizes)
    sources = {"data": data, "setting": setting_file, "store": store}
    given = {name: value for name, value in options.items() if value is not None}
    law = law_from(sources, sizes, given, progress=not quiet)
    try:
        saved = save(out, draw_layer(law, sizes, norm=wanted, seed=seed), law, seed=seed)
    except OSError as error:
        raise click.FileError(str(out), hint=error.strerror or "cannot be written") from None
    show(view(saved), as_json)
    return DONE
