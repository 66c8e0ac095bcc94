"""Tests the rooms of the package: the arrows between them, import circles, and the packages of a wheel."""

import ast
import tomllib
from functools import cache
from pathlib import Path

import pytest
from conftest import ROOT
from setuptools import find_packages

PACKAGE = ROOT / "dhnet"
GROUND = {"config", "errors", "json_files"}  # modules that every room may import
ALLOWED = {
    "layers": set(),
    "priors": {"layers"},
    "network": {"layers", "priors"},
    "data": set(),
    "evaluation": {"data", "network"},
    "training": {"data", "evaluation", "network"},
    "export": {"data", "evaluation", "layers", "network", "priors"},
    "research": {"data", "evaluation", "export", "layers", "network", "priors", "training"},
}
FILES = sorted(PACKAGE.rglob("*.py"))


def name(path: Path) -> str:
    """Returns a file's module, such as `dhnet.data.feed`."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name(path): path for path in FILES}


@cache
def imports(module: str) -> frozenset[str]:
    """Returns the modules of the package that a module imports, at its top or inside a function."""
    path = MODULES[module]
    package = module.split(".") if path.stem == "__init__" else module.split(".")[:-1]
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                inner = f"{origin}.{alias.name}"
                found.add(inner if inner in MODULES else origin)
    return frozenset(found & MODULES.keys())


def room(module: str) -> str:
    """Returns the room of a module, or the module's own name where it lies beside the rooms."""
    return module.split(".")[1] if "." in module else ""


def test_every_folder_of_the_package_is_a_known_room_that_says_what_it_is():
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders == set(ALLOWED)
    for folder in folders:
        assert ast.get_docstring(ast.parse((PACKAGE / folder / "__init__.py").read_text())), folder


@pytest.mark.parametrize("name_of_room", ALLOWED)
def test_a_room_imports_only_the_rooms_that_it_may(name_of_room):
    may = {name_of_room, *ALLOWED[name_of_room], *GROUND}
    inside = [module for module in MODULES if room(module) == name_of_room]
    assert inside
    wrong = [f"{module} imports {other}" for module in inside for other in imports(module) if room(other) not in may]
    assert wrong == []


def test_modules_that_every_room_may_import_import_no_room():
    for module in GROUND:
        assert {room(other) for other in imports(f"dhnet.{module}")} <= GROUND


def test_there_is_no_import_circle():
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " → ".join([*path[path.index(module) :], module])
        if module not in done:
            for other in imports(module):
                visit(other, (*path, module))
            done.add(module)

    for module in MODULES:
        visit(module, ())


def test_a_wheel_holds_every_room_and_the_source_of_the_kernels():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    packages = set(find_packages(str(ROOT), include=settings["packages"]["find"]["include"]))
    assert packages == {module for module, path in MODULES.items() if path.stem == "__init__"}
    for package, patterns in settings["package-data"].items():
        for pattern in patterns:
            assert list((ROOT / package.replace(".", "/")).glob(pattern)), f"{package}: {pattern}"
    assert "kernels.c" in settings["package-data"]["dhnet.network.native"]
