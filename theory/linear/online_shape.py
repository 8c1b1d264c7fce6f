"""The shape of f in online training: no peak to leading order in η (theory/derivations.md, section 1.7).

With additive noise (`theory.linear.diffusion`), λ = 0 and u = ηts,

    τ = σ_0² e^{−2u} + (ησ_y²/2B)(1 − e^{−2u}),

a monotone function of s: it rises where the labels' noise ησ_y²/(2B) is above the initial variance σ_0², falls where
it is below. A rise followed by a fall needs labels that are reused, that is a finite n. The terms of order η that this
neglects make τ rise with s: where the initial weights have decayed, falling becomes falling, then rising.
"""

from __future__ import annotations

from theory.errors import NoClosedForm
from theory.linear import online
from theory.linear.hypotheses import init_variances, label_variance, not_plain_descent
from theory.setting import Setting
from theory.shape import FALLS, FLAT, RISES, shape_of


def leading_shape(initial: float, rate: float, sigma_y2: float, batch_size: int) -> str:
    """Rises, falls or flat: the sign of ησ_y²/(2B) − σ_0², at any t > 0. To leading order in η.

    >>> leading_shape(0.01, 0.1, 1.0, 4), leading_shape(0.1, 0.1, 1.0, 4), leading_shape(0.0125, 0.1, 1.0, 4)
    ('rises', 'falls', 'flat')
    """
    noise = rate * sigma_y2 / (2 * batch_size)
    return RISES if noise > initial else FALLS if noise < initial else FLAT


def predicted_online_shapes(setting: Setting) -> tuple[tuple[str, str], ...]:
    """(to leading order, exactly) for each step of the setting: shapes of τ over the eigenvalues of Σ.

    The exact one is read from `theory.linear.online.variances` at the eigenvalues themselves, σ ascending. Isotropic
    init, plain gradient descent without decay and drops.

    Raises
    ------
    NoClosedForm
        If the setting lies outside that regime.

    Examples
    --------
    >>> from theory.setting import Data, Training
    >>> setting = Setting(
    ...     data=Data(kind="gaussian", spectrum=(0.5, 1.0, 2.0), samples="online"),
    ...     training=Training(learning_rate=0.1, batch_size=2, sampling="fresh", steps=(0, 3, 100)),
    ... )
    >>> predicted_online_shapes(setting)
    (('flat', 'flat'), ('falls', 'falls'), ('falls', 'rises'))
    """
    if (reason := online.refusal(setting) or not_plain_descent(setting)) is not None:
        raise NoClosedForm("setting", setting.network.kind, f"no closed form of the shape: {reason}")
    size, sigma_y2 = setting.batch_rows, label_variance(setting.labels)
    initial = float(init_variances(setting, len(setting.data.eigenvalues))[0])
    leading = leading_shape(initial, setting.training.learning_rate, sigma_y2, size)
    return tuple(
        (leading if reading.step else FLAT, shape_of(reading.tau) if reading.step else FLAT)
        for reading in online.predict(setting).readings
    )
