"""`eigenalign check` and `init`: your own network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from reports.commands.group import DONE, UNCONVINCED, common, eigenalign, show


@eigenalign.command(short_help="Test whether a layer, or a model, is aligned with its data.")
@click.option(
    "--weights",
    multiple=True,
    metavar="FILE[:KEY]",
    help="Weights of the layer; repeat for each independent training.",
)
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="FILE[:PREFIX]",
    help="A whole model: an exported program (.pt2), or weights with --forward; repeat for each training.",
)
@click.option("--data", metavar="FILE[:KEY]|DIR", help="Input of the layer or the model: rows, images, activations.")
@click.option(
    "--forward", metavar="STEPS", help="With --model: the steps between weights, 'conv1(padding=1) relu flatten fc1'."
)
@click.option("--layers", multiple=True, metavar="PATTERN", help="With --model: only these layers, such as 'conv*'.")
@click.option("--list", "listed", is_flag=True, help="With --model: list the layers without checking them.")
@click.option(
    "--largest", type=click.IntRange(min=1), default=None, help="With --model: skip layers of more dimensions."
)
@click.option("--device", default=None, metavar="NAME", help="With --model: where it runs, such as cuda.")
@click.option(
    "--against",
    type=click.Choice(["data", "agop"]),
    default="data",
    show_default=True,
    help="With --model: compare layers with more than the data; agop: also with the gradients of the outputs.",
)
@click.option("--over", is_flag=True, help="Treat the CHECKPOINTS, or the files of a folder, as one run, in order.")
@click.option("--strict", is_flag=True, help="Exit with 1 unless every verdict is the one expected.")
@click.option("--expect", default=None, metavar="VERDICT", help="With --strict: the verdict expected; default aligned.")
@click.option(
    "--init",
    "initial",
    multiple=True,
    metavar="FILE[:KEY]",
    help="Weights before training, one for each --weights or --model: shows how much of them is left.",
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
@click.argument("checkpoints", nargs=-1, metavar="[CHECKPOINTS]...")
@common
def check(
    weights: tuple[str, ...],
    models: tuple[str, ...],
    checkpoints: tuple[str, ...],
    data: str | None,
    html: Path | None,
    listed: bool,
    over: bool,
    strict: bool,
    expect: str | None,
    as_json: bool,
    quiet: bool,
    **options: Any,
) -> int:
    """Test whether a trained layer, or every layer of a model, is aligned with its data.

    A layer takes seconds, a large model minutes. Exits with 0; with --strict, with 1 if a verdict is not the one
    expected; with 2 for bad input.

    \b
    Example:
      eigenalign check --weights model.pt:0.weight --data data.npy
      eigenalign check --model model.pt2 --data images.npy
      eigenalign check --over step0.pt:0.weight step9.pt:0.weight --data data.npy
    """  # noqa: D301
    from reports.commands.checked import expected, judge, list_layers
    from reports.files import require_apart

    if (bool(weights), bool(models), over).count(True) != 1:
        raise click.UsageError("exactly one of --weights, --model and --over is needed")
    if over and not checkpoints:
        raise click.UsageError("--over needs the files of checkpoints, in their order, or a folder of them")
    if checkpoints and not over:
        rule = (
            "only --over takes files without an option; repeat other options for several values: --layers a --layers b"
        )
        raise click.UsageError(f"{checkpoints[0]}: {rule}")
    verdict = expected(strict, expect)
    if listed:
        show(list_layers(models, options["forward"]), as_json)
        return DONE
    if data is None:
        raise click.UsageError("--data is needed")
    if html is not None:
        require_apart("html", html, [*weights, *models, *checkpoints, data])
    found = judge(weights, models, checkpoints, data, options, progress=not quiet)
    if html is not None:
        from reports.files import write_atomically

        try:
            write_atomically(html, found.page([*weights, *models, *checkpoints, data]))
        except OSError as error:
            raise click.FileError(str(html), hint=error.strerror or "cannot be written") from None
    show(found.view, as_json)
    return UNCONVINCED if verdict is not None and not found.verdicts <= {verdict} else DONE


@eigenalign.command(short_help="Draw a first layer as training on random labels leaves it.")
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
    """Draw a first layer with the covariance that training on random labels leaves.

    It takes seconds. On digits its gain over usual weights is one of scale: isotropic weights gain as much if their
    outputs have the same size. Only where digits were few and noisy did the directions add some 3 points of accuracy.

    \b
    Example:
      eigenalign init --data data.npy --shape 256,784 --out first.npy
    """  # noqa: D301
    from reports.files import require_apart
    from reports.init import draw_layer, frobenius
    from reports.init_files import check_suffix, law_from, parse_shape, save
    from reports.views.init import view

    check_suffix(out)
    require_apart("out", out, [source for source in (data, setting_file) if source is not None])
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
