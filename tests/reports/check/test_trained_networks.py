"""Acceptance on real trainings: untrained layers show no orientation, trained ones do, with effect sizes and intervals.

Settings were chosen on seed 999; seed 0 is the one that counts.
"""

import numpy as np
import pytest
from scipy import stats

import simulate
from reports.check import check
from theory.setting import Data, Ensemble, Labels, Network, Setting, Training

pytestmark = pytest.mark.slow

RANDOM, REAL = Labels(kind="classes"), Labels(kind="real")


def mlp_on_digits(labels: Labels) -> Setting:
    return Setting(
        data=Data(kind="digits", samples=600),
        labels=labels,
        network=Network(kind="mlp", hidden=(256,), init_variance=(0.2, 1.0)),
        training=Training(learning_rate=0.1, momentum=0.9, batch_size=50, steps=(0, 600), loss="cross-entropy"),
        ensemble=Ensemble(replicas=1, seed=0, dtype="float32"),
    )


def filters_on_photographs(labels: Labels) -> Setting:
    return Setting(
        data=Data(kind="photographs", patch=(3, 3), crop=(10, 10), samples=128),
        labels=labels,
        network=Network(kind="conv", filters=128, kernel=(3, 3), hidden=(16,), init_variance=0.5),
        training=Training(learning_rate=0.05, momentum=0.9, batch_size=32, steps=(0, 300), loss="cross-entropy"),
        ensemble=Ensemble(replicas=1, seed=0, dtype="float32"),
    )


def trained(setting: Setting, replicas: int) -> tuple[np.ndarray, dict[int, np.ndarray]]:
    """The rows or images of all replicas together, and the first-layer weights of each at every reading."""
    inputs = simulate.replica_inputs(setting, range(replicas))
    weights = {step: parameters[0].numpy() for step, parameters in simulate.train(setting, inputs).items()}
    if setting.network.kind == "conv":
        weights = {step: w.reshape(*w.shape[:2], -1, *setting.network.kernel) for step, w in weights.items()}
    return inputs.x.flatten(0, 1).numpy(), weights


def test_untrained_layers_show_no_orientation():
    """200 untrained networks: p ≤ 1 % and p ≤ 10 % no oftener than 1 % and 10 % (binomial, 1e-6), none "aligned"."""
    setting = filters_on_photographs(RANDOM)
    inputs = simulate.replica_inputs(setting, range(200))
    images, weights = inputs.x[0].numpy(), inputs.parameters[0].numpy()
    found = [check(w.reshape(-1, 3, 3, 3), images, seed=r) for r, w in enumerate(weights)]
    pvalues = np.array([one.random_basis.pvalue for one in found])
    for level in (0.01, 0.1):
        assert stats.binom.sf(np.sum(pvalues <= level) - 1, len(pvalues), level) > 1e-6
    assert stats.kstest(pvalues, "uniform").pvalue > 1e-6
    assert {one.verdict for one in found} == {"undecided"}
    isotropic = np.array([one.isotropic for one in found])
    assert stats.binom.sf(np.sum(isotropic <= 0.01) - 1, len(isotropic), 0.01) > 1e-6
    print(f"\n200 untrained: p <= .01 in {np.mean(pvalues <= 0.01):.4f}, p <= .1 in {np.mean(pvalues <= 0.1):.3f}")


@pytest.mark.parametrize("labels", [RANDOM, REAL], ids=["random labels", "real labels"])
@pytest.mark.parametrize("build", [mlp_on_digits, filters_on_photographs])
def test_trained_layers_are_oriented_by_their_data(build, labels, capsys):
    """Six networks together: nearer to alignment than random bases at 1 %, M's interval below that of a random basis.

    What one network alone says is printed. Untrained, all are undecided.
    """
    samples, weights = trained(build(labels), 6)
    for step, layers in weights.items():
        rows = [check(layer, samples) for layer in layers] + [check(list(layers), samples)]
        with capsys.disabled():
            for found in rows:
                low, high = found.interval
                basis = found.random_basis
                print(
                    f"\n{build.__name__}, {labels.kind}, step {step}, {found.networks} networks: {found.verdict}, "
                    f"effect {basis.effect:.3f} (p {basis.pvalue:.3f}), M {found.misalignment:.3g}, without noise "
                    f"{low:.3g} to {high:.3g}, random {basis.without_noise:.3g}, exactly aligned p "
                    f"{found.aligned.pvalue:.3f}, f {found.shape}",
                    end="",
                )
        together = rows[-1]
        if step == 0:
            assert {found.verdict for found in rows} == {"undecided"}
        else:
            assert together.random_basis.pvalue <= 0.01
            assert together.random_basis.effect > 0.05
            assert together.verdict != "not aligned"
            assert together.interval[1] < together.random_basis.without_noise
