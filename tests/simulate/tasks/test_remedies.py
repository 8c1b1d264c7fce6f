"""Remedies leave of a network what they say they leave."""

from __future__ import annotations

import pytest
import torch

from simulate.networks import forward, layer_outputs
from simulate.tasks.remedies import Between, rescaled, revived
from simulate.transfer.measures import norms
from theory.setting import Network


def network_with_dead_units(*, bias: bool) -> Between:
    """Two replicas of a network of two hidden layers, some of whose units see only what is negative."""
    network = Network(kind="mlp", hidden=(5, 4), bias=bias)
    generator = torch.Generator().manual_seed(1)
    shapes = ((5, 3), (4, 5), (2, 4))

    def drawn(*, centred: bool):
        found = []
        for shape in shapes:
            found.append(torch.randn(2, *shape, generator=generator, dtype=torch.float64))
            if bias:
                b = torch.randn(2, shape[0], generator=generator, dtype=torch.float64)
                found.append(0 * b if centred else b)
        return tuple(found)

    rows = torch.randn(2, 7, 3, generator=generator, dtype=torch.float64)
    rows[..., 0] = 3.0
    trained = drawn(centred=False)
    trained[0][..., 1:] *= 0.3
    trained[0][0, 3:, 0], trained[0][1, 3:, 0] = 0.2, 0.2
    for r, unit in ((0, 2), (1, 0), (1, 1)):
        trained[0][r, unit] = torch.tensor([-1.0, 0.0, 0.0])
    trained[1 + bias][:, 3] = -1.0
    if bias:
        trained[1][0, 2] = trained[1][1, 0] = trained[1][1, 1] = -0.1
        trained[3][:, 3] = -0.1
    return Between(network, drawn(centred=True), drawn(centred=True), trained, rows)


def dead(between: Between, parameters) -> list[list[list[int]]]:
    outputs = list(layer_outputs(between.network, parameters, between.rows))[:-1]
    return [[(~(h[r] > 0).any(0)).nonzero().flatten().tolist() for h in outputs] for r in range(2)]


@pytest.mark.parametrize("bias", [False, True])
def test_revived_units_are_drawn_anew_and_outputs_stay(bias):
    between = network_with_dead_units(bias=bias)
    before, step = dead(between, between.trained), 1 + bias
    assert all(0 < len(units) < 4 for replica in before for units in replica)
    found = revived(between)
    torch.testing.assert_close(
        forward(between.network, found, between.rows), forward(between.network, between.trained, between.rows)
    )
    for r in range(2):
        for layer, units in enumerate(before[r]):
            incoming, outgoing = found[layer * step][r], found[(layer + 1) * step][r]
            next_dead = before[r][layer + 1] if layer == 0 else []
            for unit in range(len(incoming)):
                source = between.new if unit in units else between.trained
                below = [] if layer == 0 or unit in units else before[r][0]
                assert all(
                    incoming[unit, column] == (0 if column in below else source[layer * step][r, unit, column])
                    for column in range(incoming.shape[1])
                )
                cut = [row for row in range(len(outgoing)) if row not in next_dead]
                assert bool((outgoing[cut, unit] == 0).all()) == (unit in units)
                if bias:
                    assert bool(found[layer * step + 1][r, unit] == 0) == (unit in units)
    assert between.trained[0][0, 2, 0] == -1.0  # what is given stays as it is


@pytest.mark.parametrize("bias", [False, True])
def test_rescaled_layers_have_their_norms_and_the_function_its_sign(bias):
    between = network_with_dead_units(bias=bias)
    found = rescaled(between)
    torch.testing.assert_close(norms(found[:: 1 + bias]), norms(between.initial[:: 1 + bias]))
    before, after = (forward(between.network, w, between.rows) for w in (between.trained, found))
    factors = (norms(between.initial[:: 1 + bias]) / norms(between.trained[:: 1 + bias])).prod(1)
    torch.testing.assert_close(after, before * factors[:, None, None])


def test_layers_of_zeros_stay_zeros():
    between = network_with_dead_units(bias=False)
    between.trained[0][...] = 0
    assert (rescaled(between)[0] == 0).all()
