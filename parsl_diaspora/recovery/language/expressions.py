"""Small expressions over the evidence, as ``memory_peak > 0.9 * memory_limit and attempt < 3``.

They are read once, when a policy is loaded, and become plain functions: names that there are, comparisons,
``and``, ``or``, ``not``, sums and products of numbers, and a few functions. Nothing else can be written in
them, so they can neither reach into the program nor take long. What depends on something that is not known
is not known itself, and then the expression does not hold.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

from parsl_diaspora.sizes import UNITS

Evidence = Mapping[str, Any]
Part = Callable[[Evidence], Any]

LONGEST = 500
_NUMBERS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
}
_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.In: lambda part, whole: part in whole,
    ast.NotIn: lambda part, whole: part not in whole,
}
FUNCTIONS: dict[str, tuple[int, Callable[..., Any]]] = {
    "min": (2, min),
    "max": (2, max),
    "abs": (1, abs),
    "lower": (1, lambda text: str(text).lower()),
    "startswith": (2, lambda text, start: str(text).startswith(start)),
    "endswith": (2, lambda text, end: str(text).endswith(end)),
}
KNOWN = "known"


class ExpressionError(ValueError):
    """An expression cannot be read."""


class NotKnown(Exception):
    """The answer depends on something that nobody has told."""


class Expression:
    """One expression.

    Args:
        text: of it.
        names: that it may use.

    Raises:
        ExpressionError: it does not parse, or uses what there is not.

    Example:
        >>> hungry = Expression("memory_peak > 2 * GB", ["memory_peak"])
        >>> hungry.holds({"memory_peak": 3_000_000_000}), hungry.holds({"memory_peak": None})
        (True, False)
    """

    def __init__(self, text: str, names: Mapping[str, Any] | list[str]) -> None:
        if len(text) > LONGEST:
            raise ExpressionError(f"it is longer than {LONGEST} characters")
        try:
            tree = ast.parse(text.strip(), mode="eval")
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            where = f" at column {error.offset}" if isinstance(error, SyntaxError) and error.offset else ""
            raise ExpressionError(f"it does not parse{where}") from error
        self.text = text
        self.names: set[str] = set()
        self._known_names = names
        try:
            self._part = self._read(tree.body)
        except RecursionError:
            raise ExpressionError("it is nested too deep") from None

    def holds(self, evidence: Evidence) -> bool:
        """Whether it is known to hold. Never raises."""
        try:
            return bool(self._part(evidence))
        except (NotKnown, TypeError, ValueError, ArithmeticError, RecursionError):  # a text for a number, say
            return False

    def unknown(self, evidence: Evidence) -> list[str]:
        """Names that it uses and that nobody has told."""
        return sorted(name for name in self.names if evidence.get(name) is None)

    def _read(self, node: ast.expr) -> Part:
        reader = _READERS.get(type(node))
        if reader is None:
            raise ExpressionError(f"{ast.unparse(node)!r} cannot be used in an expression")
        return reader(self, node)

    def _name(self, node: ast.Name) -> Part:
        name = node.id
        if (size := UNITS.get(name)) is not None:
            return lambda evidence: size
        if name not in self._known_names:
            raise ExpressionError(f"there is no {name!r}")
        self.names.add(name)

        def value(evidence: Evidence) -> Any:
            if (found := evidence.get(name)) is None:
                raise NotKnown(name)
            return found

        return value

    def _constant(self, node: ast.Constant) -> Part:
        value = node.value
        if not isinstance(value, bool | int | float | str):
            raise ExpressionError(f"{ast.unparse(node)!r} is no number, text or truth value")
        return lambda evidence: value

    def _list(self, node: ast.List | ast.Tuple) -> Part:
        parts = [self._read(each) for each in node.elts]
        return lambda evidence: [part(evidence) for part in parts]

    def _all_or_any(self, node: ast.BoolOp) -> Part:
        parts = [self._read(each) for each in node.values]
        settles = isinstance(node.op, ast.Or)  # the value that needs no look at the other parts

        def value(evidence: Evidence) -> bool:
            unknown: NotKnown | None = None
            for part in parts:
                try:
                    if bool(part(evidence)) is settles:
                        return settles
                except NotKnown as error:
                    unknown = error
            if unknown is not None:
                raise unknown
            return not settles

        return value

    def _unary(self, node: ast.UnaryOp) -> Part:
        part = self._read(node.operand)
        if isinstance(node.op, ast.Not):
            return lambda evidence: not part(evidence)
        if isinstance(node.op, ast.USub):
            return lambda evidence: -_number(part(evidence))
        raise ExpressionError(f"{ast.unparse(node)!r} cannot be used in an expression")

    def _binary(self, node: ast.BinOp) -> Part:
        compute = _NUMBERS.get(type(node.op))
        if compute is None:
            raise ExpressionError(f"{ast.unparse(node)!r} is neither a sum nor a product")
        left, right = self._read(node.left), self._read(node.right)
        return lambda evidence: compute(_number(left(evidence)), _number(right(evidence)))

    def _compare(self, node: ast.Compare) -> Part:
        parts = [self._read(each) for each in (node.left, *node.comparators)]
        tests: list[Callable[[Any, Any], bool]] = []
        for each in node.ops:
            if (test := _COMPARISONS.get(type(each))) is None:
                raise ExpressionError("'is' cannot be used in an expression: write '==', or known(NAME)")
            tests.append(test)

        def value(evidence: Evidence) -> bool:
            values = [part(evidence) for part in parts]
            return all(test(values[at], values[at + 1]) for at, test in enumerate(tests))

        return value

    def _call(self, node: ast.Call) -> Part:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if node.keywords or (name != KNOWN and name not in FUNCTIONS):
            names = ", ".join((KNOWN, *FUNCTIONS))
            raise ExpressionError(f"there is no function {ast.unparse(node.func)!r}; there are {names}")
        if name == KNOWN:
            return self._is_known(node)
        needed, function = FUNCTIONS[name]
        if len(node.args) != needed:
            raise ExpressionError(f"{name}() takes {needed} values, not {len(node.args)}")
        parts = [self._read(each) for each in node.args]
        return lambda evidence: function(*[part(evidence) for part in parts])

    def _is_known(self, node: ast.Call) -> Part:
        (argument,) = node.args if len(node.args) == 1 else (None,)
        if not isinstance(argument, ast.Name) or argument.id not in self._known_names:
            raise ExpressionError(f"{KNOWN}() takes the name of a piece of evidence")
        name = argument.id
        return lambda evidence: evidence.get(name) is not None


_READERS: dict[type[ast.expr], Callable[[Expression, Any], Part]] = {
    ast.Name: Expression._name,
    ast.Constant: Expression._constant,
    ast.List: Expression._list,
    ast.Tuple: Expression._list,
    ast.BoolOp: Expression._all_or_any,
    ast.UnaryOp: Expression._unary,
    ast.BinOp: Expression._binary,
    ast.Compare: Expression._compare,
    ast.Call: Expression._call,
}


def _number(value: Any) -> int | float:
    if not isinstance(value, int | float):  # a text times a number may be a very long text
        raise TypeError(f"{value!r} is no number")
    return value
