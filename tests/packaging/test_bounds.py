"""Only libraries whose private names the code uses have an upper bound, and each bound names them."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import sys
from collections.abc import Iterator

import pytest
from packaging.requirements import Requirement

from tests.packaging.distributions import ROOT
from tests.test_code_quality import MODULES

PYPROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
# Each line with one requirement: its text, and the names in its comment.
LINES = re.findall(r'^  "([A-Za-z][^"]*[<>=][^"]*)",(?: # (.*))?$', PYPROJECT, re.MULTILINE)
BOUNDED = {
    Requirement(text).name: comment.removeprefix("private: ")
    for text, comment in LINES
    if any(each.operator in ("<", "<=", "==", "~=") for each in Requirement(text).specifier)
}
# The module of each bounded library, where the name differs.
LIBRARIES = {"strawberry-graphql": "strawberry", "graphql-core": "graphql"}

CODE = {module: path.read_text(encoding="utf-8") for module, path in MODULES.items()}


def overridden() -> Iterator[tuple[str, str]]:
    """Yield each private method of a library that a class of the gateway overrides, after the library's module."""
    for module in MODULES.keys() - {"gateway.__main__"}:
        for kind in vars(importlib.import_module(module)).values():
            if not inspect.isclass(kind) or kind.__module__ != module:
                continue
            for base in kind.__mro__[1:]:
                library = base.__module__.partition(".")[0]
                if library not in ("gateway", "schema") and library not in sys.stdlib_module_names:
                    shared = vars(kind).keys() & vars(base).keys()
                    yield from ((library, name) for name in shared if re.match(r"_[a-z]", name))


def used_of_others() -> set[str]:
    """Return the private attributes that the code reads, and no class of the gateway defines."""
    nodes = [node for text in CODE.values() for node in ast.walk(ast.parse(text))]
    defined = {node.name for node in nodes if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))}
    defined |= {node.attr for node in nodes if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)}
    defined |= {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    defined |= {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return {
        node.attr
        for node in nodes
        if isinstance(node, ast.Attribute) and re.match(r"_[a-z]", node.attr) and node.attr not in defined
    }


@pytest.mark.parametrize("name", BOUNDED)
def test_each_upper_bound_names_private_names_that_the_code_uses(name: str) -> None:
    names = re.findall(r"\w+", BOUNDED[name].partition(" of ")[0])
    assert names
    users = [text for text in CODE.values() if re.search(rf"(?:from|import) {LIBRARIES.get(name, name)}\b", text)]
    assert [each for each in names if not any(re.search(rf"\b{each}\b", text) for text in users)] == []


def test_libraries_whose_private_methods_are_overridden_have_an_upper_bound() -> None:
    bounded = {LIBRARIES.get(name, name): comment for name, comment in BOUNDED.items()}
    found = set(overridden())
    assert ("uvicorn", "_start_asgi_task") in found
    # Python sets these in abstract classes and protocols.
    found = {(library, name) for library, name in found if name not in ("_abc_impl", "_is_protocol")}
    assert [pair for pair in sorted(found) if pair[1] not in bounded.get(pair[0], "")] == []


def test_no_other_private_name_of_a_library_is_used() -> None:
    """``_exit`` and ``_replace`` are documented."""
    named = {word for comment in BOUNDED.values() for word in re.findall(r"\w+", comment)}
    assert used_of_others() - named == {"_exit", "_replace"}
