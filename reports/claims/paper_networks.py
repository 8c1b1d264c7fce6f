"""The paper's own networks on CIFAR-10, which the paper budget trains where it is given the images.

The net of Figures 2, 4 and 5 has 256 filters 3×3×3, then 64 units, then 10 classes; batches of 256, momentum 0.9, a
learning rate of 0.01 divided by 3 at each third of training, cross-entropy. Its initial law is not given: He's is ours,
and so are tiny filters, which begin where the curves of Figure 4 end.
How long it is trained before the switch of tasks of Figure 5 is not given either: 40 epochs, as in Figure 4, are ours.
Everything here was fixed before any of it was run.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from reports.claims.claim import Context
from simulate.datasets import read_images
from theory.errors import InvalidInput
from theory.setting import Data, Ensemble, Labels, Network, Setting, Training

CLAIMS = ("A6", "A7", "B3", "C1", "C2", "C3")  # the claims that have cases on the paper's own networks
IMAGES, CLASSES = 50_000, 10  # of the five batches
BATCH = 256  # the number of images in a batch: 195 updates per epoch of all images
EPOCHS = (0, 5, 10, 20, 40)
NETWORKS = 12  # the number of independent trainings of the net of filters, whatever the budget multiplies others by
LABELS: tuple[tuple[str, Literal["classes", "real"]], ...] = (("random", "classes"), ("real", "real"))
HE = 2.0  # the init variance of He's law
TINY = 0.002  # the standard deviation of tiny filters at the start, where the tails of the curves of Figure 4 lie
RATE = 0.01
WIDE_NETWORKS = 70  # the number of trainings of WRN-28-4 behind Figure 3


def checked(budget: str, cifar10: Path | None) -> Path | None:
    """The folder of CIFAR-10's binary batches as an absolute path, once its files are seen to hold what cases need.

    Raises
    ------
    InvalidInput
        If a folder is given for any budget other than "paper", or is missing, is no such folder, or holds too few
        images or classes.
    """
    if cifar10 is None:
        return None
    given = str(cifar10)
    if budget != "paper":
        raise InvalidInput("cifar10", given, f"belongs to the budget 'paper', not to {budget!r}")
    folder = cifar10.absolute()
    try:
        images, labels = read_images(Data(kind="cifar10", path=str(folder)), real_labels=True)
    except InvalidInput as error:
        raise InvalidInput("cifar10", given, error.rule) from None
    except OSError as error:
        raise InvalidInput("cifar10", given, f"cannot be read ({error.strerror})") from None
    assert labels is not None
    if len(images) < IMAGES:
        raise InvalidInput("cifar10", given, f"must hold {IMAGES} images in data_batch_*.bin, not {len(images)}")
    if labels.max() != CLASSES - 1:
        raise InvalidInput("cifar10", given, f"must hold {CLASSES} classes, and the last is {labels.max()}")
    return folder


def images(context: Context, samples: int) -> Data:
    """Data of `samples` images from the folder that the context names, standardised by channel as in the paper."""
    if context.cifar10 is None:
        raise InvalidInput("cifar10", None, "must name the folder of CIFAR-10's binary batches")
    return Data(kind="cifar10", path=str(context.cifar10), samples=samples, scale="channels")


def is_paper(setting: Setting) -> bool:
    """Whether a case is one of these: no other is trained on CIFAR-10."""
    return setting.data.kind == "cifar10"


def thirds(steps: int | tuple[int, ...], rate: float = RATE) -> Training:
    """Batches of 256, momentum 0.9, cross-entropy; the rate is divided by 3 at each third of training."""
    last = steps if isinstance(steps, int) else steps[-1]
    return Training(
        loss="cross-entropy",
        learning_rate=rate,
        drops=((last // 3, 1 / 3), (2 * last // 3, 1 / 3)),
        momentum=0.9,
        batch_size=BATCH,
        steps=steps,
    )


def filter_network(*, tiny: bool = False) -> Network:
    """256 filters 3×3×3, 64 units, and the output layer, from He's law; or the filters from a tiny one."""
    return Network(kind="conv", filters=256, hidden=(64,), init_variance=(27 * TINY**2, HE, HE) if tiny else HE)


def along_training(context: Context, labels: Literal["classes", "real"], *, tiny: bool = False) -> Setting:
    """The net of filters on all images with random or real labels, read at five epochs: Figures 2 and 4."""
    epoch = IMAGES // BATCH
    return Setting(
        data=images(context, IMAGES),
        labels=Labels(kind=labels),
        network=filter_network(tiny=tiny),
        training=thirds(tuple(epoch * each for each in EPOCHS)),
        ensemble=Ensemble(replicas=NETWORKS, dtype="float32"),
    )


def wide_residual(context: Context) -> Setting:
    """WRN-28-4 with a stem of filters 5×5 on all images with random labels, read after 40 epochs: Figure 3.

    Learning rate, drops and length are those of the net of filters: the paper's are not known.
    """
    return Setting(
        data=images(context, IMAGES),
        labels=Labels(kind="classes"),
        network=Network(kind="resnet", kernel=(5, 5), init_variance=HE),
        training=thirds((0, EPOCHS[-1] * (IMAGES // BATCH))),
        ensemble=Ensemble(replicas=WIDE_NETWORKS, dtype="float32"),
    )
