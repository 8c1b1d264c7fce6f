"""A law with the second moments of a file: the moments, the rows that are drawn, the prediction, and bad files."""

import os

import numpy as np
import pytest

import simulate
import theory
from theory.errors import InvalidInput
from theory.setting import Data, Ensemble, Network, Setting, Training, moments_file

RNG = np.random.default_rng(5)
ROWS = RNG.standard_normal((40, 4)) * (0.5, 1.0, 2.0, 3.0) @ RNG.standard_normal((4, 4)) + (1.0, 0.0, 2.0, 0.0)
WITH_A_CONSTANT = np.insert(ROWS, 2, 7.0, axis=1)
IMAGES = RNG.standard_normal((6, 2, 5, 4))


def saved(tmp_path, array, name="rows.npy"):
    np.save(tmp_path / name, array)
    return str(tmp_path / name)


def covariance(data):
    return (data.law_basis * np.array(data.eigenvalues)) @ data.law_basis.T


@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("scale", [True, False])
def test_rows_have_the_moments_that_the_data_themselves_have(tmp_path, center, scale):
    path = saved(tmp_path, WITH_A_CONSTANT)
    law = Data(kind="gaussian", moments_of=path, center=center, scale=scale)
    real = simulate.population(Setting(data=Data(kind="array", path=path, samples=8, center=center, scale=scale)))
    found = simulate.population(Setting(data=law))
    np.testing.assert_allclose(found.second_moment, real.second_moment, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found.mean, real.mean, atol=1e-12)
    assert (law.dimension, found.dropped, bool(law.law_mean)) == (4, 1, not center)


def test_a_second_moment_stands_for_its_rows(tmp_path):
    centred = ROWS - ROWS.mean(axis=0)
    path = saved(tmp_path, centred.T @ centred / len(ROWS))
    one = Data(kind="gaussian", moments_of=path, scale=False)
    other = Data(kind="gaussian", moments_of=saved(tmp_path, ROWS, "other.npy"), scale=False)
    np.testing.assert_allclose(covariance(one), covariance(other), rtol=1e-12, atol=1e-12)
    assert one.law_mean == ()


@pytest.mark.parametrize("held", [1, 200, moments_file.HELD])
def test_patches_of_images_by_a_plain_loop(tmp_path, held, monkeypatch):
    """The moments are those of a plain loop, whether one image, two or all are held in memory at a time."""
    monkeypatch.setattr(moments_file, "HELD", held)
    law = Data(kind="gaussian", moments_of=saved(tmp_path, IMAGES), patch=(2, 3), scale=False, center=False)
    patches = np.array([image[:, i : i + 2, j : j + 3].ravel() for image in IMAGES for i in range(4) for j in range(2)])
    mean = patches.mean(axis=0)
    np.testing.assert_allclose(covariance(law), patches.T @ patches / len(patches) - np.outer(mean, mean), atol=1e-12)
    np.testing.assert_allclose(law.law_basis @ law.law_mean, mean, atol=1e-12)
    usual = Data(kind="gaussian", moments_of=saved(tmp_path, IMAGES))
    assert usual.dimension == 2 * 3 * 3


def test_rows_are_drawn_from_the_file_s_moments(tmp_path):
    law = Data(kind="gaussian", moments_of=saved(tmp_path, ROWS), center=False, samples=40_000)
    x = simulate.rows(Setting(data=Data(**{**law_keys(law), "fixed": True})))
    mean = law.law_basis @ law.law_mean
    # six standard errors of entries whose variance is at most twice the square of the largest eigenvalue
    allowed = 6 * np.sqrt(2 / len(x)) * max(law.eigenvalues)
    assert np.abs(np.cov(x.T) - covariance(law)).max() < allowed
    assert np.abs(x.mean(axis=0) - mean).max() < 6 * np.sqrt(max(law.eigenvalues) / len(x))


def law_keys(law):
    return {"kind": law.kind, "moments_of": law.moments_of, "center": law.center, "samples": law.samples}


def test_the_prediction_is_that_of_the_spectrum(tmp_path):
    law = Data(kind="gaussian", moments_of=saved(tmp_path, ROWS), samples=9)
    given = Data(kind="gaussian", spectrum=law.eigenvalues, samples=9)
    of_file, of_spectrum = (
        theory.predict(Setting(data=data, training=Training(learning_rate=0.02, steps=(0, 7)))) for data in (law, given)
    )
    for one, other in zip(of_file.readings, of_spectrum.readings, strict=True):
        np.testing.assert_array_equal(one.tau, other.tau)
        np.testing.assert_array_equal(one.sigma, other.sigma)


def test_networks_feel_the_spectrum_alone(tmp_path):
    """f on the file's eigenvectors and on random ones is one function: the difference is noise."""
    law = Data(kind="gaussian", moments_of=saved(tmp_path, ROWS), samples=12)
    found = []
    for seed, data in enumerate((law, Data(kind="gaussian", spectrum=law.eigenvalues, samples=12))):
        run = simulate.run(
            Setting(
                data=data,
                network=Network(kind="mlp", hidden=(8,)),
                training=Training(learning_rate=0.1, steps=20),
                ensemble=Ensemble(replicas=400, seed=seed),
            )
        )
        spaces = theory.eigenspaces(run.data_moment)
        found.append(np.array([theory.weight_variances(spaces, m) for m in run.readings[0].second_moments]))
    one, other = found
    error = np.sqrt(one.var(axis=0, ddof=1) / len(one) + other.var(axis=0, ddof=1) / len(other))
    assert np.abs((one.mean(axis=0) - other.mean(axis=0)) / error).max() < 5.5


def test_a_file_that_changes_is_read_again_and_is_another_ensemble(tmp_path):
    law = Data(kind="gaussian", moments_of=saved(tmp_path, np.diag([1.0, 3.0])), scale=False)
    before = simulate.digest(Setting(data=law))
    assert law.eigenvalues == (1.0, 3.0)
    saved(tmp_path, np.diag([1.0, 4.0]))
    os.utime(law.moments_of, ns=(1, 1))
    assert law.eigenvalues == (1.0, 4.0)
    assert simulate.digest(Setting(data=law)) != before


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ({"spectrum": (1.0, 2.0)}, "data.spectrum = (1.0, 2.0): must be left out: data.moments_of determines it"),
        ({"mean": (1.0,)}, "data.mean = (1.0,): must be left out"),
        ({"rotate": False}, "data.rotate = False: must be left out"),
        ({"kind": "digits"}, "data.moments_of = "),
        ({"scale": "channels"}, "data.scale = 'channels': must be true or false"),
        ({"patch": (2, 2)}, "data.patch = (2, 2): belongs to images"),
        ({"crop": (8, 8)}, "data.crop = (8, 8): belongs to data.kind 'photographs'"),
    ],
)
def test_keys_that_do_not_go_together(tmp_path, keys, why):
    with pytest.raises(InvalidInput) as error:
        Data(**{"kind": "gaussian", "moments_of": saved(tmp_path, ROWS), **keys})
    assert why in str(error.value)


@pytest.mark.parametrize(
    ("array", "keys", "why"),
    [
        (np.zeros((4, 3)), {}, "every row is the same"),
        (np.ones((4, 3)), {}, "every row is the same"),
        (np.ones(4), {}, "must hold rows (n, d), a second moment (d, d) or images (n, C, H, W), not (4,)"),
        (np.ones((2, 3, 4)), {}, "must hold rows"),
        (np.array([[1.0, np.nan]]), {}, "must hold finite numbers, and entry (0, 1) is not"),
        (np.array([["a", "b"]]), {}, "must hold real numbers"),
        (np.array([[1.0j, 2.0]]), {}, "must hold real numbers"),
        (np.array([[{}]]), {}, "Object arrays cannot be loaded"),
        (np.zeros((0, 3)), {}, "is empty"),
        (np.array([[1e71, 0.0], [0.0, 1.0]]), {}, "must lie between 1e-70 and 1e+70"),
        (np.array([[1.0, 2.0], [2.0, 1.0]]), {}, "without negative eigenvalues, and one is -1"),
        (np.eye(2), {"center": False}, "data.center = False: needs rows"),
        (IMAGES, {"patch": (6, 2)}, "data.patch = (6, 2): must not exceed the images, 5 × 4"),
    ],
)
def test_files_that_hold_no_moments(tmp_path, array, keys, why):
    with pytest.raises(InvalidInput) as error:
        Data(kind="gaussian", moments_of=saved(tmp_path, array), **keys)
    assert why in str(error.value)


@pytest.mark.parametrize("path", ["missing.npy", "a\0b", "."])
def test_no_file(tmp_path, path):
    with pytest.raises(InvalidInput, match=r"data\.moments_of"):
        Data(kind="gaussian", moments_of=path if "\0" in path else str(tmp_path / path))
