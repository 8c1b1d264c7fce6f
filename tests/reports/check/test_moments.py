"""The streamed second moment against plain loops, whatever the blocks; its sampling errors; what never varies."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy import stats

from reports.check import moments
from reports.check.data import chunks, open_samples, samples
from reports.check.moments import DataMoment, data_moment
from reports.check.weights import filters
from reports.testing.strategies import seeds
from tests.processes import python
from theory.eigenspaces import eigenspaces
from theory.errors import InvalidInput


def layer(*shape: int):
    return filters(np.ones(shape))


def patches(images: np.ndarray, kernel: tuple[int, int], dilation: int = 1) -> np.ndarray:
    """Every patch, one by one, as rows."""
    (count, channels, height, width), (down, across) = images.shape, kernel
    rows = []
    for n in range(count):
        for y in range(height - dilation * (down - 1)):
            for x in range(width - dilation * (across - 1)):
                row = [
                    float(images[n, c, y + dilation * i, x + dilation * j])
                    for c in range(channels)
                    for i in range(down)
                    for j in range(across)
                ]
                rows.append(row)
    return np.array(rows)


@given(seeds, st.tuples(*(st.integers(1, 3) for _ in range(4))), st.tuples(st.integers(0, 3), st.integers(0, 3)))
def test_patches_agree_with_loops(seed, sizes, room):
    rng = np.random.default_rng(seed)
    count, channels, down, across = sizes
    dilation = int(rng.integers(1, 3))
    shape = (dilation * (down - 1) + 1 + room[0], dilation * (across - 1) + 1 + room[1])
    images = rng.integers(0, 5, (count, channels, *shape)).astype(np.uint8)
    rows = patches(images, (down, across), dilation)
    kept = np.ptp(rows, axis=0) > 0
    stream = samples(images, layer(4, channels, down, across))
    if not kept.any():
        with pytest.raises(InvalidInput, match="never vary"):
            data_moment(stream, dilation=dilation)
        return
    found = data_moment(stream, dilation=dilation)
    assert (found.vectors, found.samples, found.dropped) == (len(rows), count, int((~kept).sum()))
    np.testing.assert_array_equal(found.varies, kept)
    np.testing.assert_allclose(found.second_moment, rows[:, kept].T @ rows[:, kept] / len(rows), atol=1e-12)
    np.testing.assert_allclose(found.mean, rows[:, kept].mean(axis=0), atol=1e-12)
    centred = found.centre()
    np.testing.assert_allclose(centred.second_moment, np.cov(rows[:, kept].T, bias=True).reshape(2 * (kept.sum(),)),
                               atol=1e-12)  # fmt: skip
    assert abs(centred.mean_share) < 1e-20


@pytest.mark.parametrize("held", [1, 50, 1000])
def test_blocks_change_nothing(monkeypatch, held):
    """With little memory, images are read one by one and large images in strips; the moments are the same."""
    images = np.random.default_rng(0).standard_normal((7, 2, 6, 5))
    whole = data_moment(samples(images, layer(3, 2, 3, 2)))
    monkeypatch.setattr(moments, "_HELD", held)
    parts = data_moment(samples(images, layer(3, 2, 3, 2)))
    assert parts.vectors == whole.vectors
    np.testing.assert_allclose(parts.second_moment, whole.second_moment, rtol=1e-12)
    np.testing.assert_array_equal(parts.varies, whole.varies)


@pytest.mark.parametrize("kind", ["float16", "float32", "uint8", "int64", "bool", "bfloat16"])
def test_every_type_of_number(kind):
    rng = np.random.default_rng(0)
    values = torch.from_numpy(rng.integers(0, 2, (30, 5)) * 1.0).to(getattr(torch, kind))
    plain = values.double().numpy()
    np.testing.assert_allclose(data_moment(samples(values, layer(9, 5))).second_moment, plain.T @ plain / 30)


def test_layouts_of_images():
    images = np.random.default_rng(0).standard_normal((6, 3, 5, 4))
    want = data_moment(samples(images, layer(2, 3, 2, 2))).second_moment
    last = data_moment(samples(images.transpose(0, 2, 3, 1), layer(2, 3, 2, 2), channels_last=True))
    assert samples(images, layer(2, 3, 2, 2)).shape == images.shape[1:]
    np.testing.assert_allclose(last.second_moment, want)
    rows = data_moment(samples(patches(images, (2, 2)), layer(2, 3, 2, 2)))
    np.testing.assert_allclose(rows.second_moment, want)
    flat = data_moment(samples(images, layer(2, 60)))
    np.testing.assert_allclose(flat.second_moment, images.reshape(6, 60).T @ images.reshape(6, 60) / 6)
    grey = data_moment(samples(images[:, 0], layer(2, 1, 2, 2)))
    np.testing.assert_allclose(grey.second_moment, data_moment(samples(images[:, :1], layer(2, 1, 2, 2))).second_moment)
    flat_filters = layer(2, 1, 1, 2)  # one row high, as those of signals are
    grey, coloured = (data_moment(samples(each, flat_filters)).second_moment for each in (images[:, 0], images[:, :1]))
    np.testing.assert_allclose(grey, coloured)
    signals = data_moment(samples(images[:, :, 0], layer(2, 3, 2)))
    np.testing.assert_allclose(signals.second_moment, patches(images[:, :, :1], (1, 2)).T @ patches(
        images[:, :, :1], (1, 2)) / 18)  # fmt: skip


def test_a_group_of_channels():
    images = np.random.default_rng(0).standard_normal((6, 4, 5, 4))
    grouped = filters(np.arange(1.0, 33).reshape(4, 2, 2, 2), group=(2, 2))
    np.testing.assert_array_equal(grouped.vectors[0], np.arange(17.0, 25))
    want = patches(images[:, 2:], (2, 2))
    np.testing.assert_allclose(data_moment(samples(images, grouped)).second_moment, want.T @ want / len(want))


def test_a_folder_of_images(tmp_path):
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (5, 6, 7, 3), dtype=np.uint8)
    for i, picture in enumerate(pictures):
        folder = tmp_path / "ab"[i % 2]
        folder.mkdir(exist_ok=True)
        Image.fromarray(picture).save(folder / f"{i}.png")
    images = pictures.transpose(0, 3, 1, 2) / 255
    found = data_moment(open_samples(str(tmp_path), layer(4, 3, 2, 2)))
    np.testing.assert_allclose(found.second_moment, data_moment(samples(images, layer(4, 3, 2, 2))).second_moment)
    dense = data_moment(open_samples(str(tmp_path), layer(4, 126)))
    np.testing.assert_allclose(dense.second_moment, images.reshape(5, -1).T @ images.reshape(5, -1) / 5)
    green = filters(np.ones((3, 1, 2, 2)), group=(2, 3))
    of_one_channel = data_moment(samples(images[:, 1:2], layer(4, 1, 2, 2))).second_moment
    np.testing.assert_allclose(data_moment(open_samples(str(tmp_path), green)).second_moment, of_one_channel)
    Image.fromarray(rng.integers(0, 256, (9, 8, 3), dtype=np.uint8)).save(tmp_path / "large.png")
    assert data_moment(open_samples(str(tmp_path), layer(4, 3, 2, 2))).vectors == found.vectors + 8 * 7


def test_standard_errors_of_eigenvalues():
    """(λ̂ − λ)/SE is near N(0, 1): Σ z² over 150 repetitions lies within the 1e-7 tails of χ².

    The errors come from 64 groups, so that Σ z² is divided by the variance of t_63.
    """
    rng, repetitions, variances = np.random.default_rng(0), 150, np.array([1.0, 3.0, 9.0])
    scores = []
    for _ in range(repetitions):
        found = data_moment(samples(rng.standard_normal((640, 3)) * np.sqrt(variances), layer(4, 3)))
        error = found.standard_errors
        scores.append((np.diag(found.second_moment) - variances) / error)
    total = np.sum(np.square(scores)) / (63 / 61)
    count = repetitions * 3
    assert stats.chi2.sf(total, count) > 1e-7
    assert stats.chi2.cdf(total, count) > 1e-7


def test_equal_eigenvalues_are_joined_and_distant_ones_are_not():
    rows = np.random.default_rng(1).standard_normal((4000, 5)) * np.sqrt([1, 1, 4, 4, 16])
    assert data_moment(samples(rows, layer(9, 5))).eigenspaces().multiplicity == (2, 2, 1)


def test_a_double_eigenvalue_is_joined():
    """A double eigenvalue is missed in at most 5 % of 200 samples, by the binomial tail at 1e-6.

    Without the tails of errors from 64 groups it would be 1.1 %.
    """
    rng = np.random.default_rng(3)
    missed = 0
    for _ in range(200):
        found = data_moment(samples(rng.standard_normal((320, 3)) * [1, 1, 4], layer(4, 3)))
        missed += found.eigenspaces().multiplicity != (2, 1)
    assert stats.binom.cdf(missed, 200, 0.05) < 1 - 1e-6


def test_a_long_run_of_neighbours_is_not_one_eigenvalue():
    """Thirty eigenvalues from 1 to 10, none told from its neighbour: one run, but the ends differ."""
    variances = np.geomspace(1, 10, 30)
    found = data_moment(samples(np.random.default_rng(4).standard_normal((600, 30)) * np.sqrt(variances), layer(9, 30)))
    spaces, known = found.eigenspaces(), found.known_eigenspaces()
    assert known.multiplicity == (30,)
    assert 4 <= len(spaces.multiplicity) <= 15
    errors = found.standard_errors
    values = np.linalg.eigvalsh(found.second_moment)
    for s in spaces.slices:
        a, b = s.start, s.stop - 1
        assert values[b] - values[a] <= 3 * np.hypot(errors[a], errors[b]) or a == b
        if b + 1 < 30:
            assert values[b + 1] - values[a] > 3 * np.hypot(errors[a], errors[b + 1])


def test_patches_of_one_image_are_no_independent_samples():
    """Constant images: patches repeat each other, and the error is that of as many numbers as there are images."""
    values = np.random.default_rng(2).standard_normal(2000)
    images = np.broadcast_to(values[:, None, None, None], (2000, 1, 6, 6))
    error = data_moment(samples(images, layer(4, 1, 1, 1))).standard_errors[0]
    assert abs(error / np.sqrt(np.var(values**2) / 2000) - 1) < 0.5  # 30 times smaller were patches counted


def in_a_process(lines: str) -> list[float]:
    """Numbers that a process of its own prints last on stderr; `peak()` is its largest memory so far, in MB.

    Not `ru_maxrss`: on Linux a child's begins at what its parent held when it was forked.
    """
    code = (
        "import re, sys, time\nstart = time.time()\n"
        "peak = lambda: int(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1]) * 1024 / 1e6\n"
    )
    done = python(code + lines, check=True)
    return [float(word) for word in done.stderr.splitlines()[-1].split()]


@pytest.fixture
def needs_proc() -> None:
    if not Path("/proc/self/status").exists():
        pytest.skip("reads its memory from /proc")


def cifar_like(path: Path, count: int) -> Path:
    rng = np.random.default_rng(0)
    array = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(count, 3, 32, 32))
    for start in range(0, count, 1000):
        array[start : start + 1000] = rng.standard_normal((len(array[start : start + 1000]), 3, 32, 32))
    array.flush()
    return path


def test_memory_does_not_grow_with_the_data(tmp_path, needs_proc):
    """49 MB of images, whose patches would be 780 MB: no more than 100 MB above what 1 MB of images takes."""
    small, large = (str(cifar_like(tmp_path / f"{count}.npy", count)) for count in (80, 4000))
    before, after = in_a_process(
        "import numpy as np\n"
        "from reports.check.data import open_samples\n"
        "from reports.check.moments import data_moment\n"
        "from reports.check.weights import filters\n"
        "layer = filters(np.ones((4, 3, 3, 3)))\n"
        f"data_moment(open_samples({small!r}, layer))\n"
        "before = peak()\n"
        f"assert data_moment(open_samples({large!r}, layer)).samples == 4000\n"
        "print(before, peak(), file=sys.stderr)"
    )
    assert after < before + 100


@pytest.mark.slow
def test_cifar_in_a_minute_and_a_gigabyte(tmp_path, needs_proc):
    path, weights = cifar_like(tmp_path / "x.npy", 50_000), tmp_path / "w.npy"
    np.save(weights, np.random.default_rng(1).standard_normal((256, 3, 3, 3)))
    arguments = ["check", "--weights", str(weights), "--data", str(path), "--json"]
    peak, seconds = in_a_process(
        f"from reports.cli import main\nassert main({arguments}) == 0\n"
        "print(peak(), time.time() - start, file=sys.stderr)"
    )
    print(f"\n50,000 × 3 × 32 × 32, 256 filters: {seconds:.1f} s, {peak:.0f} MB")
    assert seconds < 60
    assert peak < 1000


def test_channels_in_the_last_place_are_noticed():
    images = np.ones((4, 5, 6, 3))
    with pytest.raises(InvalidInput, match=r"images with their channels last \(--channels-last\)"):
        samples(images, layer(2, 3, 2, 2))
    with pytest.raises(InvalidInput) as found:
        samples(images, layer(2, 4, 2, 2), channels_last=True)
    assert "--channels-last" not in str(found.value)


def in_groups(seed: int, dimension: int = 3, counts: tuple[int, ...] = (3, 5, 9, 4)) -> DataMoment:
    """Moments of few rows in groups of unequal size."""
    rng = np.random.default_rng(seed)
    rows = [rng.standard_normal((n, dimension)) * 1.5 ** np.arange(dimension) + 0.3 for n in counts]
    moments, means = np.stack([x.T @ x / len(x) for x in rows]), np.stack([x.mean(axis=0) for x in rows])
    return DataMoment(moments, means, np.array(counts), sum(counts), np.full(dimension, True))


def test_errors_are_those_between_groups_by_hand():
    data = in_groups(0)
    values, basis = np.linalg.eigh(sum(n * a for n, a in zip(data.counts, data.groups, strict=True)) / 21)
    squares = sum(
        n * (basis.T @ a @ basis - np.diag(values)) ** 2 for n, a in zip(data.counts, data.groups, strict=True)
    )
    entries = np.sqrt(squares / 3 / 21)
    np.testing.assert_allclose(data.standard_errors, np.diag(entries))
    mean = sum(n * m for n, m in zip(data.counts, data.means, strict=True)) / 21
    squares = sum(n * ((m - mean) @ basis) ** 2 for n, m in zip(data.counts, data.means, strict=True))
    np.testing.assert_allclose(data.mean_errors(basis), np.sqrt(squares / 3 / 21))
    noise = data.basis_noise(data.exact_eigenspaces)
    assert noise is not None
    np.testing.assert_allclose(np.sum(noise.scatter.reshape(4, 3, 3) ** 2, axis=0), entries**2)


def test_rotations_are_by_distances_less_their_errors():
    """Θ_ij is the error over λ_j − λ_i, whose size is reduced by its own error, and 0 where that is larger."""
    met = set()
    for seed in range(12):
        data = in_groups(seed, 4)
        values, errors = np.linalg.eigvalsh(data.second_moment), data.standard_errors
        for spaces in (data.exact_eigenspaces, data.known_eigenspaces()):
            noise = data.basis_noise(spaces)
            if noise is None:
                assert len(spaces.multiplicity) == 1
                continue
            place = np.repeat(np.arange(len(spaces.multiplicity)), spaces.multiplicity)
            for i, j in np.ndindex(4, 4):
                least = abs(values[j] - values[i]) - np.hypot(errors[i], errors[j])
                wanted = 0.0
                if place[i] != place[j] and least > 0:
                    wanted = np.sign(values[j] - values[i]) / least / 2
                assert noise.half_inverse[i, j] == pytest.approx(wanted)
                met.add(int(np.sign(wanted)))
        assert data.basis_noise(eigenspaces(np.eye(4))) is None  # nothing is turned within a single eigenspace
    assert met == {-1, 0, 1}


def test_runs_of_eigenvalues_are_joined_by_hand():
    """M joins a run while its ends are within three errors; exact alignment joins it while neighbours are."""
    sizes = set()
    for seed in range(30):
        data = in_groups(seed, 5, (4, 6, 5, 9, 7, 8))
        values, errors = np.linalg.eigvalsh(data.second_moment), data.standard_errors
        for spaces, chained in ((data.eigenspaces(), False), (data.known_eigenspaces(), True)):
            runs = [[0]]
            for i in range(1, 5):
                a = i - 1 if chained else runs[-1][0]
                if values[i] - values[a] <= 3 * np.hypot(errors[a], errors[i]):
                    runs[-1].append(i)
                else:
                    runs.append([i])
            assert spaces.multiplicity == tuple(map(len, runs))
            np.testing.assert_allclose(spaces.eigenvalues, [values[run].mean() for run in runs])
            spread = [np.abs(values[run] - values[run].mean()).max() for run in runs]
            np.testing.assert_allclose(spaces.spread, spread, atol=1e-12)
            widest = max(np.ptp(values[run]) for run in runs)
            assert spaces.gap == pytest.approx(max(widest, data.exact_eigenspaces.gap))
            sizes |= set(map(len, runs))
    assert len(sizes) > 2


@pytest.mark.parametrize(("count", "groups"), [(3, 3), (10, 10), (64, 64), (100, 50), (640, 64), (641, 59)])
def test_rows_are_dealt_to_64_groups_at_most(count, groups):
    found = data_moment(samples(np.random.default_rng(0).standard_normal((count, 3)), layer(4, 3)))
    assert len(found.counts) == groups
    assert found.counts.max() - found.counts[:-1].min() <= -(-count // 64)


def test_blocks_are_as_large_as_they_may_be(tmp_path):
    stream = samples(np.arange(30.0).reshape(10, 3), layer(4, 3))
    assert [(start, len(block)) for start, block in chunks(stream, 4)] == [(0, 4), (4, 4), (8, 2)]
    for i, side in enumerate((6, 7, 7)):
        Image.fromarray(np.zeros((side, 6, 3), dtype=np.uint8)).save(tmp_path / f"{i}.png")
    stream = open_samples(str(tmp_path), layer(4, 3, 2, 2))
    assert [(start, len(block)) for start, block in chunks(stream, 4)] == [(0, 1), (1, 1), (2, 1)]
