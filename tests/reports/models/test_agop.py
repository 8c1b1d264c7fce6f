"""Layers against their AGOP: sensitivities by hand, no more than by chance before training, seen after it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from reports.check import check
from reports.check.files import printable
from reports.models import check_model
from reports.models.agop import AgopAgreement, agreement, aligned_with, without_each
from reports.models.batches import batches_of
from reports.models.layers import taps
from reports.models.sensitivity import sensitivities
from reports.views.models import view
from tests.reports.command_line import run_quietly
from tests.reports.models.networks import Sentences, convolutional, images, nn, tokens
from theory.errors import InvalidInput
from theory.features import correlation
from theory.symmetry import haar


def perceptron(seed: int = 0, outputs: int = 3) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(6, 12), nn.ReLU(inplace=True), nn.Linear(12, 8), nn.Tanh(), nn.Linear(8, outputs))


X = torch.randn(40, 6, generator=torch.Generator().manual_seed(1)).double()


def seen(model, data, **options):
    found, _ = taps(model)
    return sensitivities(model, found, batches_of(data, model), **options)


def row_by_row(model, rows: torch.Tensor = X) -> np.ndarray:
    """The AGOP by the inputs."""
    found = np.zeros((6, 6))
    for row in rows:
        x = row[None].clone().requires_grad_()
        for output in model(x)[0]:
            (gradient,) = torch.autograd.grad(output, x, retain_graph=True)
            found += np.outer(gradient[0], gradient[0]) / len(rows)
    return found


@pytest.mark.parametrize("frozen", [False, True])
def test_the_agop_is_that_of_the_jacobian_row_by_row(frozen):
    model = perceptron().double()
    for parameter in model.parameters():
        parameter.requires_grad_(not frozen)
    (first, *_, last) = seen(model, X)
    w = model[0].weight.detach().numpy()
    np.testing.assert_allclose(w.T @ first @ w, row_by_row(model), rtol=1e-10)
    np.testing.assert_allclose(last, np.eye(3), rtol=1e-12)
    assert all(parameter.grad is None for parameter in model.parameters())
    in_parts = seen(model, [X[:7], X[7:]])
    np.testing.assert_allclose(in_parts[0], first, rtol=1e-12)


def test_random_signs_stand_for_many_outputs():
    model = perceptron(outputs=40).double()
    w = model[0].weight.detach().numpy()
    drawn = np.array([np.diag(w.T @ seen(model, X[:6], seed=seed)[0] @ w) for seed in range(40)])
    true = np.diag(row_by_row(model, X[:6]))
    error = drawn.std(axis=0, ddof=1) / 40**0.5
    assert (np.abs(drawn.mean(axis=0) - true) < 8 * error).all()
    assert (error < 0.2 * true).all()


def test_filters_are_seen_at_every_place():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 3, 2), nn.Tanh(), nn.Flatten(), nn.Linear(12, 2)).double()
    x = torch.randn(5, 2, 3, 3).double()
    z = model[0](x).detach().requires_grad_()
    expected = np.zeros((3, 3))
    for c in range(2):
        (gradient,) = torch.autograd.grad(model[1:](z)[:, c].sum(), z)
        for sample in gradient.numpy():
            for row in range(2):
                for column in range(2):
                    expected += np.outer(sample[:, row, column], sample[:, row, column])
    np.testing.assert_allclose(seen(model, x)[0], expected / (5 * 4), rtol=1e-12)


def test_groups_embeddings_and_attention_are_left_undecided():
    found = check_model(convolutional(), images(), against="agop", layers=["3*", "6"])
    assert {layer.name: layer.agop is None for layer in found.layers} == {"3 (1/2)": True, "3 (2/2)": True, "6": True}
    assert found.layers[0].aligned_with == "undecided"
    sentences = check_model(Sentences(), [{"tokens": tokens()}], against="agop")
    agop = {layer.name: layer.agop for layer in sentences.layers}
    assert agop["embed"] is None
    assert agop["block.linear1"] is not None
    assert agop["head"] is None  # an output's gradient by itself is 1


def test_untrained_layers_are_alike_by_chance_alone():
    """Fewer than ten of 60 tests at level .01 reject; ten have a probability below 1e-6 if the level is kept."""
    rejected = 0
    for seed in range(60):
        model = perceptron(seed).double()
        found = agreement([model[0].weight.detach().numpy()], [seen(model, X)[0]], seed=seed)
        rejected += found.verdict == "aligned"
    assert rejected < 10


def test_what_the_output_looks_at_is_seen():
    generator = np.random.default_rng(0)
    u, _, v = np.linalg.svd(generator.standard_normal((20, 6)), full_matrices=False)
    w, k = u * np.arange(1, 7.0) @ v, u * np.arange(1, 7.0) ** 2 @ u.T
    found = agreement([w], [k])
    assert found.verdict == "aligned"
    assert found.effect > 0.8
    assert agreement([w], [3 * np.eye(20)]) is None
    assert agreement([w], [u * np.arange(6, 0, -1.0) ** 2 @ u.T]).verdict != "aligned"
    wide = agreement([w.T], [v.T * np.arange(1, 7.0) ** 2 @ v])  # fewer units than dimensions
    assert wide.verdict == "aligned"
    assert agreement([w], [0 * k]) is None
    assert agreement([w[:1]], [k[:1, :1]]) is None


@pytest.mark.parametrize(
    ("verdict", "pvalue", "high", "expected"),
    [
        ("aligned", 0.005, 1.0, "both"),
        ("partly aligned", 0.5, 0.4, "data"),
        ("aligned", 0.5, 0.6, "data"),
        ("not aligned", 0.005, 1.0, "AGOP"),
        ("undecided", 0.005, 1.0, "AGOP"),
        ("not aligned", 0.5, 0.4, "neither"),
        ("not aligned", 0.5, 0.6, "undecided"),  # what is not seen is not excluded
        ("undecided", 0.5, 0.4, "undecided"),
    ],
)
def test_data_agop_both_or_neither(verdict, pvalue, high, expected):
    assert aligned_with(verdict, AgopAgreement(0.9, 0.5, 0.8, pvalue, (-0.2, high))) == expected
    assert aligned_with(verdict, None) == ("data" if verdict in ("aligned", "partly aligned") else "undecided")


def test_what_is_left_without_each_unit_is_what_a_smaller_layer_has():
    """The correlations by hand, and the closed form of chance by 20,000 rotations."""
    generator = np.random.default_rng(0)
    w, root = generator.standard_normal((7, 4)) * np.arange(1, 5), generator.standard_normal((7, 7))
    k = root @ root.T
    likeness, chance = without_each(w, k)
    for unit in range(7):
        fewer, behind = np.delete(w, unit, 0), np.delete(np.delete(k, unit, 0), unit, 1)
        expected = correlation(fewer.T @ fewer, fewer.T @ behind @ fewer, traceless=True)
        np.testing.assert_allclose(likeness[unit + 1], expected, rtol=1e-10)
        np.testing.assert_allclose(chance[unit + 1], without_each(fewer, behind)[1][0], rtol=1e-10)
    frames = haar(generator, 7, 20000)
    turned = w.T @ (frames @ k @ frames.mT) @ w
    n, a = (x - np.trace(x, axis1=-2, axis2=-1)[..., None, None] / 4 * np.eye(4) for x in (w.T @ w, turned))
    product, square = np.sum(n * a, axis=(1, 2)), np.sum(a * a, axis=(1, 2))
    expected = product.mean() / np.sqrt(np.sum(n * n) * square.mean())
    error = np.std(product / product.mean() - square / square.mean() / 2) / 20000**0.5
    assert abs(chance[0] / expected - 1) < 6 * error < 0.02


def test_the_interval_is_there_for_units_or_networks_and_holds_the_effect():
    generator = np.random.default_rng(1)
    layers = [generator.standard_normal((8, 5)) for _ in range(3)]
    behind = [k @ k.T for k in generator.standard_normal((3, 8, 8))]
    for count in (1, 2, 3):
        found = agreement(layers[:count], behind[:count])
        assert found.interval[0] < found.effect < found.interval[1] <= 1
    assert agreement([layers[0][:3]], [behind[0][:3, :3]]).interval is None


def half_width(found: AgopAgreement) -> float:
    """The half-width from the lower end, which is that of an interval for √(1 − effect)."""
    distance = (1 - found.effect) ** 0.5
    return 2 * distance * ((1 - found.interval[0]) ** 0.5 - distance)


def test_the_interval_has_the_larger_error_and_a_longer_lower_end():
    """Copies of one network have the error of units, networks unlike each other that of pairs of them."""
    generator = np.random.default_rng(2)
    w, root = generator.standard_normal((40, 5)), generator.standard_normal((40, 40))
    u = np.linalg.svd(w, full_matrices=False)[0]
    behind = [root @ root.T, u * np.arange(1, 6.0) @ u.T, u * np.arange(5, 0, -1.0) @ u.T]
    one, same, unlike = (agreement([w] * len(ks), ks) for ks in (behind[:1], behind[:1] * 3, behind))
    pairs = np.array([agreement([w] * 2, behind[:i] + behind[i + 1 :]).effect for i in range(3)])
    fewer = stats.t.isf(0.025, 39) * 3**0.5 / stats.t.isf(0.025, 117)
    of_units, of_networks = half_width(one) / fewer, stats.t.isf(0.025, 2) * pairs.std() * 2**0.5
    for found, expected in ((same, of_units), (unlike, of_networks)):
        assert abs(half_width(found) / expected - 1) < 0.1  # chance is drawn anew
        assert found.interval[1] == pytest.approx(min(1, found.effect + half_width(found)))


def test_training_on_real_labels_joins_the_agop():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 24), nn.ReLU(), nn.Linear(24, 1)).double()
    x = torch.randn(400, 6).double()
    steps = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(300):
        steps.zero_grad()
        (model(x) - (x[:, :1] * x[:, 1:2])).square().mean().backward()
        steps.step()
    found = check(model, x, against="agop", layers="0")
    assert found.layers[0].agop.verdict == "aligned"
    table, record = str(found), view(found).value["layers"][0]
    assert "aligned with" in table
    assert record["aligned_with"] == found.layers[0].aligned_with in ("both", "AGOP")
    assert record["agop"]["pvalue"] == 0.005
    assert "aligned with" not in str(check(model, x, layers="0"))
    assert printable(found.summary)


@pytest.mark.parametrize(
    ("model", "data", "against", "line"),
    [
        (perceptron(), X, "weights", "against = 'weights': must be 'data' or 'agop'"),
        (perceptron(), iter([X]), "agop", "data = 'a generator': can be read once only"),
    ],
)
def test_what_is_refused(model, data, against, line):
    with pytest.raises(InvalidInput) as caught:
        check_model(model, data, against=against)
    assert str(caught.value).startswith(line)


def test_the_command_shows_it_of_models_alone(tmp_path, capfd):
    torch.save(perceptron().state_dict(), tmp_path / "net.pt")
    np.save(tmp_path / "x.npy", X.numpy())
    arguments = ["--data", str(tmp_path / "x.npy"), "--against", "agop"]
    model = ["check", "--model", str(tmp_path / "net.pt"), "--forward", "0 relu 2 tanh 4"]
    status, out, _ = run_quietly(capfd, *model, *arguments)
    assert status == 0
    assert "aligned with" in out
    np.save(tmp_path / "w.npy", np.ones((5, 6)))
    status, _, err = run_quietly(capfd, "check", "--weights", str(tmp_path / "w.npy"), *arguments)
    assert status == 2
    assert "against = 'agop': belongs to --model" in err
