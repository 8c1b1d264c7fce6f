"""The statements of arXiv:2006.10455 that we know of. No measured number stands in these texts."""

from __future__ import annotations

from reports.statements.statement import Question, Statement

# The statements on alignment: definitions, Proposition 1 and its figures.
ALIGNMENT = (
    Statement(
        "Definition 2",
        "Misalignment is the least Jeffreys divergence between a Gaussian with the covariance of the weights and one "
        "whose covariance is aligned with the data.",
        "`theory.misalignment` has the closed form, over eigenspaces of any multiplicity; the claims on alignment use "
        "it, corrected for the sampling error of few weight vectors.",
        "Some plots of the paper show its square, and they do not always say so; ours name what they show.",
        (Question("A3", "photograph patches"), Question("A6", "", "$M^2$")),
    ),
    Statement(
        "Definition 3",
        "The transfer function maps the standard deviation of the data along an eigenvector to that of the weights.",
        "`theory.eigenspaces` reads it from second moments, by eigenspace. It presupposes alignment, or distinct "
        "eigenvalues: otherwise it depends on the choice of eigenvectors.",
        "Nothing.",
        (
            Question(
                "B1",
            ),
        ),
    ),
    Statement(
        "Proposition 1",
        "With Gaussian data, isotropic Gaussian initial weights and labels independent of the data, first-layer "
        "weights have mean zero and a covariance aligned with that of the data, at every time of training.",
        "An exact randomization test on networks and on all linear models with a closed form; one negative control per "
        "hypothesis, which the test must reject; the same for data with a mean.",
        "Nothing: the theorem holds for every network, and each finding is a test with stated power.",
        (
            Question("A3", "ReLU network, Gaussian data"),
            Question("A3", "deep tanh network"),
            Question("A4"),
            Question("A5", "mean in two eigenspaces"),
        ),
    ),
    Statement(
        "Proof of Proposition 1",
        "Training commutes with rotations of the inputs, and the average over the rotations that commute with the "
        "covariance of the data is aligned with it.",
        "Replicas trained in given and in rotated coordinates; the average in closed form, over Haar draws and over a "
        "whole finite group. Optimizers that are not equivariant are the controls.",
        "Nothing.",
        (Question("A1"), Question("A2")),
    ),
    Statement(
        "Figure 2",
        "On CIFAR-10 the filters' misalignment with the eigenvectors of the patches stays low during training, on "
        "random and on real labels; against a random basis it grows.",
        "Filters on crops of two photographs, standardised by channel, at reduced size, against random bases. The "
        "paper's net on CIFAR-10 is trained by `--budget paper --cifar10 DIR`.",
        "CIFAR-10 comes with no package: the paper's own curves were not compared. Images are standardised per "
        "channel, as there.",
        (Question("A6"),),
    ),
    Statement(
        "Figure 3",
        "Eigenvectors of the weights look like those of the data, some only after data eigenspaces are merged.",
        "Dense networks on patches of photographs and, from the full budget on, a wide residual network with batch "
        "normalisation and filters of the paper's size on crops, at reduced size; as many trainings as the statistical "
        "power needs; the share of each data eigenvector within its weight eigenspace. WRN-28-4 on CIFAR-10 is trained "
        "by `--budget paper --cifar10 DIR`.",
        "CIFAR-10 comes with no package: the paper's own eigenvectors were not compared. Batches, learning rate and "
        "length of its trainings are not given; batch normalisation lets the rows of a batch interact.",
        (Question("A7"),),
    ),
)
# The statements on the transfer function.
SHAPE = (
    Statement(
        "Figure 4, left",
        "The transfer function is a function: five seeds of one setting lie on one curve.",
        "The scatter between networks against the width: it must fall, except for weights of rank one. For networks "
        "of the paper's widths it is compared with that of as many independent neurons.",
        "How far the paper's own seeds scatter is not readable from its figure.",
        (Question("B1"), Question("B5", "middle, diagonal as deviations")),
    ),
    Statement(
        "Figure 4, centre and right",
        "On CIFAR-10 the transfer function rises over training by orders of magnitude at middle eigenvalues, on "
        "random and on real labels; on random labels it peaks between the ends.",
        "Filters on crops of photographs, on the paper's axis, from usual initial weights and from ones as small as "
        "the tail of the paper's curves; the position of the peak with an interval.",
        "CIFAR-10 comes with no package. The axis and the initial weights were inferred from the ticks and the tail of "
        "the published curves; photographs have another spectrum, and a peak elsewhere does not refute the paper.",
        (Question("B3"),),
    ),
    Statement(
        "Figure 20 (and Figure 4, left)",
        "In three panels of networks of two hidden layers the transfer function falls; rises, then falls below its "
        "initial value; rises and levels off.",
        "The paper's own networks, widths and data law against values read off its figure. Learning rate and number of "
        "updates were fitted on the middle panel; the right one is predicted with both, the left one with the rate.",
        "Learning rate, stopping time and batches are not given. The caption calls one diagonal the covariance and the "
        "axis: as standard deviations it agrees, as variances it does not.",
        (Question("B5"),),
    ),
    Statement(
        "Section on deeper layers",
        "Deeper layers align with the activations of the layer below.",
        "Second layers against the activations of the first, on Gaussian data and on digits; untrained layers are the "
        "control.",
        "Which layers and networks the paper shows could not be checked against its text.",
        (Question("B4"),),
    ),
)
# The statements on pre-training and what comes after.
TRANSFER = (
    Statement(
        "Figure 1",
        "After training on random labels VGG16 learns a new task on CIFAR-10 faster in two settings and more slowly in "
        "two others.",
        "Positive and negative transfer in dense networks on digits. VGG16 on CIFAR-10, with few and with "
        "many random classes upstream, is trained by `--budget paper --cifar10 DIR`.",
        "CIFAR-10 comes with no package; learning rates and scales of the four settings are not given, and the numbers "
        "of random classes are known second-hand. No curve of the figure was compared.",
        (Question("C1"), Question("C3", "factor")),
    ),
    Statement(
        "Figure 5",
        "A first layer drawn from a Gaussian with the covariance of the pretrained one, rescaled, gives most of its "
        "gain.",
        "The share of the gain, with an interval, on digits and on photographs, with new random labels and with the "
        "photographs' own; a random basis and a layer without its covariance are the controls. The paper's net on "
        "CIFAR-10, on real and on random labels, is trained by `--budget paper --cifar10 DIR`.",
        "CIFAR-10 comes with no package, so the published share is compared with that on other images. How long the "
        "paper pretrains is not given.",
        (Question("C2"),),
    ),
    Statement(
        "Figures 6 to 8",
        "Upper layers specialise: the share of active units drops at the switch of tasks, and wider upper layers "
        "restore the gain.",
        "Dense networks on digits, by the width of the upper layer: gain, and share of active units before and after "
        "upstream training.",
        "The networks, axes and values of these figures could not be checked against the text.",
        (Question("C3", "factor"),),
    ),
    Statement(
        "Table 1",
        "Transferring more layers helps.",
        "The gain by the number of layers kept, and of layers drawn in turn, on digits.",
        "The values of the table are for CIFAR-10, which comes with no package; they were not compared.",
        (Question("C7"),),
    ),
    Statement(
        "Text on the scale of the initial weights",
        "The scale of the initial weights decides between positive and negative transfer.",
        "Dense networks on digits at half of He's standard deviation, at He's and at twice He's.",
        "The scales of the paper's four settings are not given.",
        (Question("C4"),),
    ),
    Statement(
        "Text on the stages of upstream training",
        "Early epochs give most of the benefit; late ones specialise.",
        "Networks taken from one upstream training after different numbers of epochs, compared in pairs.",
        "The paper's own numbers of epochs could not be checked against the text.",
        (Question("C6"),),
    ),
    Statement(
        "Text on other networks and data",
        "ResNet-18 and ImageNet-like data show the same.",
        "Alignment in a small residual network with batch normalisation; no transfer: treatments act "
        "on layers, and normalisations lie between them. The images come with no package.",
        "Whether transfer shows the same was not examined here.",
        (Question("A7", "residual network"),),
    ),
)
STATEMENTS = (*ALIGNMENT, *SHAPE, *TRANSFER)  # all statements, in the order of the report
