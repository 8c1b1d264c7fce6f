"""The closed form away from the kernel limit: one hidden layer of any width on many Gaussian rows of many directions.

The equations are those of `theory.network.dmft.solver`, derived in theory/derivations.md, section 2.7; an average over
output weights is taken by `theory.network.dmft.average`. Neglected are terms of relative order 1/d and 1/n, the
most along directions that hold a large share λ/tr Σ of a row's variance. The error of the Monte Carlo is estimated;
both are declared.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from theory.errors import NoClosedForm
from theory.linear.hypotheses import anisotropic_init
from theory.linear.population import not_centred_law, population_readings, spaces
from theory.network.dmft.average import Average, average, rounds, rows_needed, work_of
from theory.network.dmft.coarse import updates_of
from theory.network.dmft.levels import LEVELS, Levels, levels_of, with_explicit
from theory.network.dmft.problem import DOMINANT, MOST_EXPLICIT, Problem, problem_of
from theory.network.dmft.solver import traced
from theory.prediction import Form, Prediction
from theory.setting import Setting

ASSUMPTIONS = (
    "averaged over many independent Gaussian rows, centred, in many dimensions",
    "one hidden layer of fixed width; SGD with momentum and weight decay, full batches or mini-batches",
    "random labels, independent of x; squared error or cross-entropy",
    "Gaussian weights, independent, first layer isotropic",
    "training is stable for output weights of ordinary length: those that one network in 10⁴ exceeds are left out",
)
# What the form neglects, in words.
NEGLECTED = "terms of relative order λ/tr Σ and 1/n: the share of each single direction and of each single row"
# What the form also neglects where output weights are trained, in words.
NEGLECTED_OUTPUTS = "how the rows' past acts back on the fluctuations of the output layer"
NAME = "network-dmft"  # the name of the form in the catalogue
SEED = 0  # the seed of the Monte Carlo, the same for every prediction
# c in the error of order 1/d: errors over the directions were at most 3 times the largest direction's share
# of the terms' sizes.
SHARE = 4.0
# c in the bias c (T m/N)² of the Monte Carlo: about 1 of the sizes of the terms was measured, in one case 3.7 (1.1).
BIAS = 3.0
# c in the bias c T m/N of the Monte Carlo along explicit directions: the largest that was seen along others.
BIAS_EXPLICIT = 1.6
SURE = 3.0  # how many standard errors of the Monte Carlo the declared error includes
LARGEST_SCATTER = 0.02  # the largest standard error of the Monte Carlo along directions of the bulk, relative to τ
SCATTER_EXPLICIT = 0.06  # the largest standard error of the Monte Carlo along explicit directions, relative to τ
FEWEST = 15.0  # the fewest effective directions, and the fewest rows
FEW = 50.0  # the effective directions below which a prediction warns that small changes of τ may be a quarter off
LARGEST_WORK = 4e12  # the most floating-point operations of a prediction, some minutes of a core
LARGEST_MEMORY = 2**31  # the most bytes of memory that a prediction may take
MOST_AS_ONE = 16  # the most updates that are computed as one


def refusal(setting: Setting) -> str | None:
    """Why the form does not apply: the first hypothesis that fails; None if all hold."""
    reason = _not_one_hidden_layer(setting) or not_centred_law(setting) or anisotropic_init(setting)
    if reason is not None:
        return reason
    if setting.data.kind != "gaussian":
        return f"data.kind = {setting.data.kind!r}: derived for Gaussian rows"
    if min(setting.network.layer_variances) == 0:
        return "network.init_variance: without initial weights in both layers nothing moves in the limit"
    return _outside(problem_of(setting))


def _not_one_hidden_layer(setting: Setting) -> str | None:
    """Why the setting is not one hidden layer, trained by SGD on random labels; None if it is."""
    network, training, labels = setting.network, setting.training, setting.labels
    if network.kind != "mlp" or len(network.widths) != 1:
        mlp = network.kind == "mlp"
        shown = f"network.hidden = {list(network.widths)}" if mlp else f"network.kind = {network.kind!r}"
        return f"{shown}: this form is for {'' if mlp else 'an mlp of '}one hidden layer"
    if training.optimizer != "sgd":
        return f"training.optimizer = {training.optimizer!r}: derived for gradient descent"
    if training.l1 != 0:
        return f"training.l1 = {training.l1:g}: derived without it"
    if labels.kind not in ("gaussian", "rademacher", "classes"):
        return f"labels.kind = {labels.kind!r}: labels must be independent of x"
    return None


def _outside(problem: Problem) -> str | None:
    """Why the limit is too inaccurate or too expensive; None if it is neither."""
    directions, samples = problem.effective_dimension, problem.samples
    beside = f" beside {problem.explicit} that dominate" if problem.explicit else ""
    if directions < FEWEST:
        rule = f"only {directions:.3g} effective directions (Σ λ)²/Σ λ²{beside}; errors of order 1/d_eff need"
        return f"data.spectrum: {rule} {FEWEST:g}"
    if problem.largest_share > DOMINANT:
        rule = f"one direction has {problem.largest_share:.0%} of the variance of rows{beside}, more than"
        return f"data.spectrum: {rule} {DOMINANT:.0%}, and at most {MOST_EXPLICIT} directions may"
    if samples < FEWEST:
        return f"data.samples: only {samples} rows, errors of order 1/n need {FEWEST:g}"
    if not problem.fresh and samples > directions**2:
        rule = f"{samples} rows for {directions:.3g} effective directions: from d² on levels of degree 2 are learnt"
        return f"data.samples: {rule}, which this limit takes for noise"
    if problem.both and samples < 4 * problem.width:
        return f"network.hidden: {problem.width} neurons for {samples} rows, and a trained output layer needs n >= 4 m"
    if not _affordable(problem, by := stepping(problem)):
        work, memory = cost(problem, by)
        rule = f"about {work / 1e10 / 60:.0f} minutes of a core and {memory / 2**30:.1f} GiB, more than is ventured"
        rule += f", even if {by} are taken as one" if by > 1 else ""
        return f"training.steps: {problem.training.readings[-1]} updates of {problem.width} neurons would take {rule}"
    return None


def stepping(problem: Problem) -> int:
    """How many updates are computed as one: 1 if the cost allows it, otherwise as few as possible, at most 16.

    Batches that are drawn anew must remain batches.
    """
    drawn = problem.training.sampling == "fresh" and not problem.fresh and problem.batch < 1
    most = min(MOST_AS_ONE, int(0.5 / problem.batch)) if drawn else MOST_AS_ONE
    sizes = range(1, max(1, most) + 1)
    return next((by for by in sizes if _affordable(problem, by)), sizes[-1])


def _affordable(problem: Problem, by: int) -> bool:
    work, memory = cost(problem, by)
    return work <= LARGEST_WORK and memory <= LARGEST_MEMORY


def cost(problem: Problem, by: int = 1) -> tuple[float, float]:
    """Upper bounds for the floating-point operations and bytes of a prediction, with `by` updates computed as one."""
    t = updates_of(problem.training.readings[-1], by)
    k, rows, past = min(len(problem.eigenvalues), LEVELS), rows_needed(problem, t), t * problem.width
    # twice as many updates as one take an eighth of the work
    runs = (1 if by == 1 else 9 / 8) * rounds(problem)[-1] * (2 if problem.explicit else 1)
    memory = 8.0 * past * (2 * rows + k * past)
    if not problem.fresh:
        memory += 4 * traced(problem) * past * t
    return runs * work_of(problem, t, rows), memory


def predict(setting: Setting, rows: np.ndarray | None = None) -> Prediction:
    """τ at every step of the setting, averaged over rows, labels, weights and batches, for n, d → ∞ at fixed n/d and m.

    Any width, relu, erf, tanh or identity, squared error or cross-entropy, SGD with momentum, Nesterov's too, decay and
    drops, full batches, shuffled epochs, fresh or drawn batches, online; with biases or without; the first layer
    trained or both. The kernel may change arbitrarily. For every eigenvalue λ of Σ

        τ(λ) = s_0² tr P Pᵀ/m + (λ/n) tr Γ C_g Γᵀ/m ,

    the remaining part of the initial weights and the part written by labels; along dominant directions, the mean square
    of a drawn path. The declared error, relative to τ, is c max(λ_max/tr Σ, 1/n) of their sizes, λ_max and tr of the
    other directions, the `bias` and three standard errors of the Monte Carlo, whose seed is fixed, and the
    extrapolation if several updates were computed as one.

    Memory: what `cost` says; for 400 updates of 8 neurons some 0.3 GB, and some minutes of a core.

    Raises
    ------
    NoClosedForm
        If training diverges for some output weights, or the random error exceeds 2 % of τ, or 6 % along dominant
        directions.
    """
    return prediction_of(setting, *limit(setting))


def prediction_of(setting: Setting, problem: Problem, found: Average) -> Prediction:
    """The prediction from what `limit` gives."""
    order, _, multiplicity = spaces(np.array(setting.data.eigenvalues))
    place = np.empty(len(order), int)
    place[order] = np.repeat(np.arange(len(multiplicity)), multiplicity)
    return FORM.asymptotic(
        population_readings(setting, (tau[place] for tau in found.tau)),
        order="1/d",
        error_budget=error_budget(problem, found),
        neglected=(NEGLECTED, *([NEGLECTED_OUTPUTS] if problem.both else []), accuracy(problem, found)),
    )


@dataclass(frozen=True, eq=False)
class Solved:
    """The limit at the eigenvalues that are solved for.

    Attributes
    ----------
    problem : Problem
        The constants of the setting.
    levels : Levels
        The nodes that stand for its eigenvalues.
    at_nodes : Average
        The law of the weights at the nodes, at every step of the setting.
    """

    problem: Problem
    levels: Levels
    at_nodes: Average

    @property
    def average(self) -> Average:
        """The average at the distinct eigenvalues of the setting, without the deviations of single draws."""
        found, across = self.at_nodes, self.levels.interpolation.T
        return replace(
            found,
            remembered=found.remembered @ across,
            written=found.written @ across,
            amplitude=found.amplitude @ across,
            error=np.abs(found.error @ across),
            stepping=None if found.stepping is None else np.abs(found.stepping @ across),
            deviations=None,
        )


def solved(setting: Setting, explicit: int | None = None) -> Solved:
    """The limit, with this many eigenvalues explicit; by default those that dominate.

    Raises
    ------
    NoClosedForm
        As for `predict`.
    """
    problem = problem_of(setting)
    if explicit is not None:
        problem = replace(problem, explicit=explicit)
    levels = levels_of(problem.eigenvalues[problem.bulk], problem.multiplicity[problem.bulk], LEVELS)
    directions = 0
    if problem.explicit:
        size = problem.multiplicity[-problem.explicit :]
        levels, directions = with_explicit(levels, problem.eigenvalues[-problem.explicit :], size), int(size.sum())
    reduced = replace(problem, eigenvalues=levels.nodes, multiplicity=levels.weights, explicit=directions)
    by = stepping(problem)
    found = Solved(problem, levels, average(reduced, setting.training.readings, seed=SEED, by=by))
    scatter = found.average.error / found.average.tau
    for part, most in (
        (scatter[:, problem.bulk], LARGEST_SCATTER),
        (scatter[:, problem.bulk.stop :], SCATTER_EXPLICIT),
    ):
        if not np.all(part <= most):
            rule = f"leaves {np.max(part):.1%} of τ to the draws of weights, more than {most:.0%}"
            raise NoClosedForm("network.init_variance", setting.network.layer_variances[1], rule)
    return found


def limit(setting: Setting) -> tuple[Problem, Average]:
    """The constants of the setting, and the law of its weights at every step, averaged over output weights.

    Raises
    ------
    NoClosedForm
        As for `predict`.
    """
    found = solved(setting)
    return found.problem, found.average


def accuracy(problem: Problem, found: Average) -> str:
    """The accuracy of the limit at this size, in words: the declared error of τ, and its random part."""
    chance = SURE * float(np.max(found.error / found.tau))
    said = (
        f"in all up to {error_budget(problem, found):.1%} of τ (declared), including {chance:.1%} for Monte Carlo noise"
    )
    if found.stepping is not None:
        by, most = stepping(problem), float(np.max(found.stepping / found.tau))
        said += f" and {most:.1%} for {by} updates computed as one, and extrapolated to single ones"
    if problem.effective_dimension >= FEW:
        return said
    few = f"with {problem.effective_dimension:.3g} effective directions small changes of τ may be a quarter off"
    return f"{said}; {few}, and `dmft-measured` is more accurate"


def error_budget(problem: Problem, found: Average) -> float:
    """The declared relative error of τ: c max(λ_max/tr Σ, 1/n) of the largest term, the bias, three errors, and the
    extrapolation.

    A direction has a finite share of the variance of rows, which the limit neglects unless it is explicit. The terms
    are the lost part of the initial weights and the written part, in absolute value.
    """
    share = SHARE * max(problem.largest_share, 1 / problem.samples)
    stepped = 0.0 if found.stepping is None else found.stepping
    known = share * _size(problem, found) + bias(problem, found)
    return float(np.max((known + SURE * found.error + stepped) / found.tau))


def bias(problem: Problem, found: Average) -> np.ndarray:
    """The bias that the Monte Carlo may have, (R, k): c (T m/N)² of the largest term, or c T m/N if explicit.

    R, the response to T m numbers in a row's past, is fitted to averages over N rows; the first order is extrapolated
    away, but along explicit directions.
    """
    share = np.full(found.tau.shape[1], BIAS * found.past**2)
    share[problem.bulk.stop :] = BIAS_EXPLICIT * found.past
    return share * _size(problem, found)


def _size(problem: Problem, found: Average) -> np.ndarray:
    """The largest term over directions, (R, 1)."""
    return np.max(np.abs(found.remembered - problem.s0) + found.written, axis=1, keepdims=True)


FORM = Form(
    name=NAME,
    title="one hidden layer of any width away from the kernel limit, averaged over Gaussian X: n, d → ∞",
    status="asymptotic",
    assumptions=ASSUMPTIONS,
    refusal=refusal,
    predict=predict,
)
