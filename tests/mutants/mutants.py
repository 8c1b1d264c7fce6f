"""The mutants of a module: one operator, comparison, number or branch of it changed, by the operators of cosmic-ray."""

from __future__ import annotations

import ast
import difflib
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

from tests.mutants.areas import lines, stubs

# Of all that cosmic-ray can exchange, what leaves a program that runs and computes something else. A shift of floats
# or a name that nobody knows ends in a TypeError at once, which says nothing of the tests.
OPERATORS = re.compile(
    r"core/(ReplaceBinaryOperator_(Add_Sub|Sub_Add|Mul_Div|Div_Mul|Mul_Add|Pow_Mul|FloorDiv_Mul|Mod_Add|MatMul_Add)"
    r"|ReplaceComparisonOperator_(Lt_LtE|LtE_Lt|Gt_GtE|GtE_Gt|Eq_NotEq|NotEq_Eq|Is_IsNot|IsNot_Is|Lt_Gt|Gt_Lt)"
    r"|ReplaceUnaryOperator_Delete_(USub|Not|Invert)|AddNot|ReplaceTrueWithFalse|ReplaceFalseWithTrue"
    r"|ReplaceAndWithOr|ReplaceOrWithAnd|ReplaceBreakWithContinue|ReplaceContinueWithBreak|ExceptionReplacer"
    r"|NumberReplacer|ZeroIterationForLoop)"
)
# lines that no run of a program goes by, and those that change no number
UNTOUCHED = ("TYPE_CHECKING", "__name__ ==", "@dataclass(")


@dataclass(frozen=True)
class Mutant:
    """One change of one module: the operator of cosmic-ray, and which of the places that it may change."""

    module: Path
    operator: str
    occurrence: int
    line: int

    def code(self, root: Path) -> str:
        """The module's text with the change."""
        source = (root / self.module).read_text(encoding="utf-8")
        changed = mutate_code(source, get_operator(self.operator)(), self.occurrence)
        assert changed is not None, self
        return str(changed)

    def diff(self, root: Path) -> str:
        """The change, as a unified diff without context."""
        source = (root / self.module).read_text(encoding="utf-8")
        lines = difflib.unified_diff(
            source.splitlines(), self.code(root).splitlines(), str(self.module), self.operator, n=0, lineterm=""
        )
        return "\n".join(lines)


def mutants(root: Path, module: Path) -> Iterator[Mutant]:
    """Every place of a module that an operator may change, on the lines of its area; markers of arguments are none."""
    source = (root / module).read_text(encoding="utf-8")
    texts, allowed, unread = source.splitlines(), lines(root, module), stubs(source)
    nodes = list(ast_nodes(get_ast(source)))
    for name in sorted(filter(OPERATORS.fullmatch, operator_names())):
        operator = get_operator(name)()
        places = [(node, start) for node in nodes for start, _ in operator.mutation_positions(node)]
        for occurrence, (node, (line, _)) in enumerate(places):
            marker = node.parent is not None and node.parent.type == "parameters"
            here = (allowed is None or line in allowed) and line not in unread
            if here and not marker and not any(word in texts[line - 1] for word in UNTOUCHED):
                yield Mutant(module, name, occurrence, line)


def sample(root: Path, paths: tuple[Path, ...], size: int, seed: int) -> list[Mutant]:
    """Up to `size` distinct mutants of these modules that change the program, all equally likely to be chosen."""
    every = [mutant for path in paths for mutant in mutants(root, path)]
    random.Random(seed).shuffle(every)
    chosen: dict[tuple[Path, str], Mutant] = {}
    for mutant in every:
        if len(chosen) == size:
            break
        program = _program(mutant.code(root))
        if program not in (None, _program((root / mutant.module).read_text(encoding="utf-8"))):
            chosen.setdefault((mutant.module, program), mutant)
    return sorted(chosen.values(), key=lambda mutant: (mutant.module, mutant.line, mutant.operator, mutant.occurrence))


def _program(source: str) -> str | None:
    """What runs of a module: its tree without annotations; None where it is no program at all."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            node.annotation = None
        elif isinstance(node, ast.FunctionDef):
            node.returns = None
    return ast.dump(tree)
