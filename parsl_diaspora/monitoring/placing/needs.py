"""What a function is, and what it needs, as far as its code tells before it has ever run."""

from __future__ import annotations

import dis
import hashlib
import sys
import threading
from collections.abc import Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any

MOST_HELPERS = 50
_EVERYWHERE = frozenset(sys.stdlib_module_names) | {"parsl", "parsl_diaspora", "__main__", "__mp_main__"}

#: Packages that go by another name than the module, for where this host does not have them.
_WELL_KNOWN = {
    "Bio": "biopython",
    "cv2": "opencv-python",
    "dateutil": "python-dateutil",
    "PIL": "pillow",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}


def identity_of(function: Any) -> str:
    """Name and hash of a function: one that was changed is another one, one that was moved is not.

    Example:
        >>> identity_of(identity_of).partition("#")[0]
        'parsl_diaspora.monitoring.placing.needs.identity_of'
    """
    name = getattr(function, "__qualname__", None) or type(function).__qualname__
    module = getattr(function, "__module__", None) or ""
    code = getattr(function, "__code__", None)
    if not isinstance(code, CodeType):
        return f"{module}.{name}"
    digest = hashlib.sha256()
    _hash_code(code, digest)
    return f"{module}.{name}#{digest.hexdigest()[:8]}"


def modules_of(function: Any) -> frozenset[str]:
    """Top-level modules beyond the standard library that a function uses, with helpers of its own module.

    Found are imports inside the code, and modules that it names and that were imported around it.

    Example:
        >>> def train():
        ...     import sklearn.svm, json
        >>> sorted(modules_of(train))
        ['sklearn']
    """
    home = getattr(function, "__module__", None) or ""
    found: set[str] = set()
    waiting: list[Any] = [function]
    seen: set[CodeType] = set()
    while waiting and len(seen) < MOST_HELPERS:
        each = waiting.pop()
        code = getattr(each, "__code__", None)
        if not isinstance(code, CodeType) or code in seen:
            continue
        seen.add(code)
        for inner in _codes(code):
            found.update(_imports(inner))
            for value in _named(inner, each):
                if isinstance(value, ModuleType):
                    found.add(value.__name__.partition(".")[0])
                elif isinstance(value, FunctionType) and value.__module__ == home:
                    waiting.append(value)
    return frozenset(found - _EVERYWHERE - {home.partition(".")[0]})


class Distributions:
    """Which packages a module may come from, by the names under which managers list them.

    Example:
        >>> sorted(Distributions().of("sklearn"))
        ['scikit-learn', 'sklearn']
    """

    def __init__(self) -> None:
        self._known: dict[str, list[str]] = {}

    def read_soon(self) -> None:
        """Read this host's packages in a thread of its own: it takes a fifth of a second."""
        threading.Thread(target=self._read, name="diaspora-distributions", daemon=True).start()

    def of(self, module: str) -> frozenset[str]:
        """Names of packages, any of which brings the module."""
        names = {module, _WELL_KNOWN.get(module, module), *self._known.get(module, ())}
        return frozenset(name.replace("_", "-").lower() for name in names)

    def _read(self) -> None:
        from importlib.metadata import packages_distributions

        try:
            self._known = dict(packages_distributions())
        except Exception:  # noqa: BLE001 - a damaged package of the program's environment: the names are guessed
            self._known = {}


def _hash_code(code: CodeType, digest: Any) -> None:
    digest.update(code.co_code)
    for name in code.co_names:
        digest.update(name.encode())
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            _hash_code(constant, digest)
        else:
            digest.update(repr(_ordered(constant)).encode())


def _ordered(constant: Any) -> Any:
    return sorted(constant, key=repr) if isinstance(constant, frozenset) else constant


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _imports(code: CodeType) -> Iterator[str]:
    """Names in absolute imports: their level is the constant loaded two instructions before."""
    before: list[Any] = [None, None]
    for instruction in dis.get_instructions(code):
        if instruction.opname == "IMPORT_NAME" and not before[0]:
            yield str(instruction.argval).partition(".")[0]
        before = [before[1], instruction.argval]


def _named(code: CodeType, function: Any) -> Iterator[Any]:
    """Values of the names that a code object uses: of its module, and of functions around it."""
    names = getattr(function, "__globals__", {})
    yield from (names[name] for name in code.co_names if name in names)
    for cell in getattr(function, "__closure__", None) or ():
        try:
            yield cell.cell_contents
        except ValueError:  # not filled yet
            continue
