"""Alignment without any tolerance: eigenspaces, containment, twirl and misalignment of exact matrices, in SymPy.

Entries are rational or algebraic numbers; K is the field they generate. An irreducible factor q of the minimal
polynomial p over K carries deg q conjugate eigenvalues λ, all with one multiplicity, and the spectral projector

    P_λ = N(λ) / p'(λ),   N(λ) = (p(A) − p(λ)) / (A − λ) = Σ_b λ^b Σ_a c_{a+b+1} A^a   (p = Σ_j c_j x^j)

is a polynomial in λ with matrices over K as coefficients, computed modulo q. Sums over conjugates and tests for zero
therefore stay in K: no root is ever extracted to decide containment or to twirl. Eigenvalues are written out only if
requested. Derived in theory/derivations.md, section 3.4.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import Any

import sympy
from sympy.polys.constructor import construct_domain
from sympy.polys.matrices import DomainMatrix

from theory.errors import InvalidInput

Polynomial = list[Any]  # a polynomial Σ_j a_j λ^j as [a_0, a_1, …]: coefficients in K, or matrices over K


@dataclass(frozen=True)
class ExactEigenspace:
    """One eigenspace of an exact symmetric matrix.

    Attributes
    ----------
    eigenvalue : sympy.Expr
    multiplicity : int
    projector : sympy.Matrix, shape (d, d)
        The spectral projector, entries polynomials in the eigenvalue.
    """

    eigenvalue: sympy.Expr
    multiplicity: int
    projector: sympy.Matrix


def exact_eigenspaces(matrix: sympy.Matrix, /) -> tuple[ExactEigenspace, ...]:
    """The eigenspaces of a symmetric matrix with rational or algebraic entries, eigenvalues ascending.

    Raises
    ------
    InvalidInput
        If `matrix` is not square, symmetric and of real algebraic numbers (floats are not exact), or an eigenvalue is
        of degree 3 or more over a field other than ℚ, where SymPy cannot name it.

    Examples
    --------
    >>> first, second = exact_eigenspaces(sympy.Matrix([[0, 1], [1, 1]]))
    >>> first.eigenvalue, second.multiplicity
    (1/2 - sqrt(5)/2, 1)
    >>> exact_eigenspaces(sympy.diag(2, 1, 2))[1].projector
    Matrix([
    [1, 0, 0],
    [0, 0, 0],
    [0, 0, 1]])
    """
    (a,) = _over_one_field(matrix=matrix)
    spaces = [
        ExactEigenspace(root, conjugates.multiplicity, _evaluate_matrix(conjugates.projector, root))
        for conjugates in _conjugates(a)
        for root in _roots(conjugates.factor)
    ]
    return tuple(sorted(spaces, key=lambda space: space.eigenvalue.evalf(50)))


def exact_containment(first: sympy.Matrix, second: sympy.Matrix, /) -> tuple[bool, ...]:
    """Whether each eigenspace of A = `first`, in ascending order, lies in one of B = `second`: B P_i = c_i P_i.

    Exact, no tolerance. Raises InvalidInput as `exact_eigenspaces` does.

    Examples
    --------
    >>> exact_containment(sympy.diag(1, 2, 2), sympy.diag(5, 3, 4))
    (True, False)
    """
    a, b = _over_one_field(first=first, second=second)
    found = [(root, _contained(conjugates, b)) for conjugates in _conjugates(a) for root in _roots(conjugates.factor)]
    return tuple(held for _, held in sorted(found, key=lambda pair: pair[0].evalf(50)))


def exact_aligned(first: sympy.Matrix, second: sympy.Matrix, /) -> bool:
    """Whether B = `second` is aligned with A = `first` (arXiv:2006.10455, section 2). Exact, no root extracted.

    Examples
    --------
    >>> a = sympy.Matrix([[0, 1], [1, 1]])
    >>> exact_aligned(a, a**3 - 7 * a), exact_aligned(a, sympy.diag(1, 2)), exact_aligned(sympy.eye(2), a)
    (True, False, False)
    """
    a, b = _over_one_field(first=first, second=second)
    return all(_contained(conjugates, b) for conjugates in _conjugates(a))


def exact_twirl(first: sympy.Matrix, second: sympy.Matrix, /) -> sympy.Matrix:
    """Π(B) = Σ_i (tr(P_i B) / m_i) P_i, the average of B over the orthogonal group that commutes with A. Exact.

    Its entries lie in the field of the entries of A and B, for any eigenvalues.

    Examples
    --------
    >>> exact_twirl(sympy.Matrix([[0, 1], [1, 1]]), sympy.diag(1, 0))
    Matrix([
    [ 3/5, -1/5],
    [-1/5,  2/5]])
    """
    a, b = _over_one_field(first=first, second=second)
    terms = []
    for conjugates in _conjugates(a):
        weight = [_trace(coefficient * b) / a.domain(conjugates.multiplicity) for coefficient in conjugates.projector]
        product = _product(weight, conjugates.projector, conjugates.factor)
        sums = _power_sums(conjugates.factor, a.domain)
        terms += [power * coefficient for power, coefficient in zip(sums, product, strict=True)]
    return reduce(lambda x, y: x + y, terms).to_Matrix()


def exact_misalignment_squared(first: sympy.Matrix, second: sympy.Matrix, /) -> sympy.Expr:
    """M(A, B)² = Σ_i sqrt(tr(P_i B) tr(P_i B⁻¹)) − d (arXiv:2006.10455, Def. 2). Exact.

    Raises InvalidInput as `exact_eigenspaces` does, and unless B = `second` is positive definite.

    Examples
    --------
    >>> exact_misalignment_squared(sympy.diag(1, 2), sympy.Matrix([[2, 1], [1, 2]]))
    -2 + 4*sqrt(3)/3
    """
    a, b = _over_one_field(first=first, second=second)
    _require_positive_definite(b)
    inverse = b.inv()
    total: sympy.Expr = sympy.Integer(-a.shape[0])
    for conjugates in _conjugates(a):
        traces = [_trace(coefficient * b) for coefficient in conjugates.projector]
        inverse_traces = [_trace(coefficient * inverse) for coefficient in conjugates.projector]
        product = _product(traces, inverse_traces, conjugates.factor)
        coefficients = [a.domain.to_sympy(value) for value in product]
        total += sum(sympy.sqrt(_evaluate(coefficients, root)) for root in _roots(conjugates.factor))
    return sympy.expand(total)


@dataclass(frozen=True)
class _Conjugates:
    """The eigenspaces of conjugate eigenvalues: `factor` is monic and irreducible over K, `projector` P_λ mod it."""

    factor: sympy.Poly
    multiplicity: int
    projector: Polynomial


def _conjugates(a: DomainMatrix) -> list[_Conjugates]:
    """The spectral decomposition of A, one entry per irreducible factor of its characteristic polynomial."""
    x = sympy.Symbol("x")
    _, powers = sympy.Poly.from_list(a.charpoly(), x, domain=a.domain).factor_list()
    factors = [(factor.monic(), multiplicity) for factor, multiplicity in powers]
    # A is diagonalizable, being symmetric: its minimal polynomial has each factor once
    minimal = reduce(lambda p, q: p * q, [factor for factor, _ in factors])
    c = _coefficients(minimal)
    matrix_powers = [DomainMatrix.eye(a.shape[0], a.domain).to_dense()]
    for _ in range(len(c) - 2):
        matrix_powers.append(matrix_powers[-1] * a)
    numerator = [
        reduce(lambda m, n: m + n, [c[i + j + 1] * matrix_powers[i] for i in range(len(c) - 1 - j)])
        for j in range(len(c) - 1)
    ]
    return [
        _Conjugates(q, multiplicity, _product(_coefficients(minimal.diff(x).rem(q).invert(q)), numerator, q))
        for q, multiplicity in factors
    ]


def _contained(conjugates: _Conjugates, b: DomainMatrix) -> bool:
    """Whether B P_λ = c P_λ; it holds for all conjugates or for none, since B has its entries in K."""
    value = [_trace(coefficient * b) / b.domain(conjugates.multiplicity) for coefficient in conjugates.projector]
    scaled = _product(value, conjugates.projector, conjugates.factor)
    return all(b * p == s for p, s in zip(conjugates.projector, scaled, strict=True))


def _product(left: Polynomial, right: Polynomial, modulus: sympy.Poly) -> Polynomial:
    """The product of two polynomials in λ modulo q, scalars on the left; exactly deg q coefficients."""
    q = _coefficients(modulus)
    degree = len(q) - 1
    zero = right[0] - right[0]
    product = [zero] * max(len(left) + len(right) - 1, degree)
    for i, x in enumerate(left):
        for j, y in enumerate(right):
            product[i + j] = product[i + j] + x * y
    for top in range(len(product) - 1, degree - 1, -1):  # λ^degree = −Σ_j q_j λ^j
        for j in range(degree):
            product[top - degree + j] = product[top - degree + j] - q[j] * product[top]
    return product[:degree]


def _power_sums(modulus: sympy.Poly, domain: Any) -> list[Any]:
    """Σ_λ λ^j over the roots of q, j = 0 … deg q − 1 (Newton's identities)."""
    q = _coefficients(modulus)
    degree = len(q) - 1
    sums = [domain(degree)]
    for j in range(1, degree):
        terms = [q[degree - i] * sums[j - i] for i in range(1, j)]
        sums.append(-reduce(lambda x, y: x + y, terms, domain(j) * q[degree - j]))
    return sums


def _roots(modulus: sympy.Poly) -> list[sympy.Expr]:
    """The real roots of a factor: rational numbers, radicals of degree 2, or roots of an integer polynomial."""
    degree = modulus.degree()
    if degree <= 2:
        expression = modulus.as_expr()
        return [sympy.radsimp(root) for root in sympy.roots(expression, *expression.free_symbols, multiple=True)]
    if not modulus.domain.is_QQ:
        rule = "must have eigenvalues of degree at most 2 over the field of its entries, unless that is the rationals"
        raise InvalidInput("matrix", str(modulus.as_expr()), rule)
    return list(modulus.real_roots())


def _evaluate(coefficients: list[Any], root: sympy.Expr) -> sympy.Expr:
    value = sum((c * root**j for j, c in enumerate(coefficients)), start=sympy.Integer(0))
    return value if root.has(sympy.CRootOf) else sympy.radsimp(sympy.expand(value))


def _evaluate_matrix(projector: Polynomial, root: sympy.Expr) -> sympy.Matrix:
    layers = [layer.to_Matrix() for layer in projector]
    return sympy.Matrix(*layers[0].shape, lambda i, j: _evaluate([layer[i, j] for layer in layers], root))


def _coefficients(polynomial: sympy.Poly) -> list[Any]:
    """Ascending coefficients, as elements of the domain K."""
    return list(reversed(polynomial.rep.to_list()))


def _trace(matrix: DomainMatrix) -> Any:
    return sum((matrix[i, i].element for i in range(matrix.shape[0])), start=matrix.domain.zero)


def _over_one_field(**matrices: sympy.Matrix) -> list[DomainMatrix]:
    """The matrices over the one field that all entries generate; raises InvalidInput unless real symmetric."""
    entries = []
    for name, matrix in matrices.items():
        if not isinstance(matrix, sympy.MatrixBase):
            raise InvalidInput(name, type(matrix).__name__, "must be a SymPy matrix")
    shape = next(iter(matrices.values())).shape if matrices else None
    for name, matrix in matrices.items():
        if matrix.shape[0] != matrix.shape[1] or not matrix.shape[0] or matrix.shape != shape:
            raise InvalidInput(f"{name}.shape", matrix.shape, "must be (d, d) with d >= 1, the same for all")
        for entry in matrix:
            if entry.has(sympy.Float) or not entry.is_algebraic or not entry.is_real:
                raise InvalidInput(name, entry, "must have real rational or algebraic entries (no floats)")
        entries += list(matrix)
    field, elements = construct_domain(entries, extension=True, field=True)
    size = shape[0] if shape else 0
    found = []
    for k, name in enumerate(matrices):
        flat = elements[k * size * size : (k + 1) * size * size]
        rows = [flat[i * size : (i + 1) * size] for i in range(size)]
        if any(rows[i][j] != rows[j][i] for i in range(size) for j in range(i)):
            raise InvalidInput(name, "A ≠ Aᵀ", "must be symmetric")
        found.append(DomainMatrix(rows, (size, size), field))
    return found


def _require_positive_definite(b: DomainMatrix) -> None:
    """All roots of the characteristic polynomial are real; they are positive iff its signs alternate (Descartes)."""
    coefficients = [b.domain.to_sympy(c) * (-1) ** j for j, c in enumerate(b.charpoly())]
    if not all(c.is_positive for c in coefficients):
        rank = b.rank()
        value = f"rank {rank} in dimension {b.shape[0]}" if rank < b.shape[0] else "a negative eigenvalue"
        raise InvalidInput("second", value, "must be positive definite")
