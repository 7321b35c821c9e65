"""One file of source that needs no package of this project: a module and what it uses of others, in one."""

import ast
import importlib.util
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

OWN = ("essen", "pipeline")


@dataclass(frozen=True)
class Module:
    """The source of a module, and what its top level defines and imports.

    Attributes:
        name: dotted.
        text: the source.
    """

    name: str
    text: str

    @cached_property
    def lines(self) -> list[str]:
        """The lines of the source."""
        return self.text.splitlines()

    @cached_property
    def definitions(self) -> dict[str, ast.stmt]:
        """Functions, classes and assigned names of the top level, in order."""
        found: dict[str, ast.stmt] = {}
        for node in ast.parse(self.text).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                found[node.name] = node
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                for name in (part for target in targets for part in ast.walk(target)):
                    if isinstance(name, ast.Name):
                        found[name.id] = node
        return found

    @cached_property
    def imports(self) -> dict[str, ast.Import | ast.ImportFrom]:
        """The import of each name that the top level imports."""
        return {
            alias.asname or alias.name.partition(".")[0]: node
            for node in ast.parse(self.text).body
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in node.names
        }


@dataclass
class Collection:
    """What goes into the file.

    Attributes:
        left_out: modules that no definition is taken from.
        modules: all that were read, each after those that it needs.
        names: what is taken of each.
        imports: lines for other packages.
    """

    left_out: frozenset[str]
    modules: dict[str, Module] = field(default_factory=dict)
    names: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    imports: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))


def self_contained(name: str, left_out: Iterable[str] = ()) -> str:
    """Return a module's source together with every definition of this project that it uses, directly or not.

    Nothing else is taken along. An import inside a function falls away, as what it names stands in the file; where its
    module is left out, an error that says so takes its place.

    Args:
        name: of the module, dotted.
        left_out: modules that are imported inside functions alone and that nobody will ask for.

    Raises:
        ValueError: two modules define the same name, or an import gives a name of ours another.
    """
    found = Collection(frozenset(left_out))
    entry = _read(name)
    for definition in entry.definitions:
        _take(found, entry, definition)
    ordered = _ordered(found, entry, {})
    _check_unique(found)
    docstring = ast.get_docstring(ast.parse(entry.text), clean=False)
    parts = [f'"""{docstring}"""', "\n".join(_import_lines(found))]
    parts += ["\n\n\n".join(_definitions(module, found)) for module in ordered if found.names[module.name]]
    return "\n\n\n".join(parts).replace("\n\n\n", "\n\n", 1) + "\n"


def _read(name: str) -> Module:
    spec = importlib.util.find_spec(name)
    assert spec is not None and spec.origin is not None  # the name comes from an import of the project
    return Module(name, Path(spec.origin).read_text(encoding="utf-8"))


def _is_own(node: ast.AST) -> bool:
    return isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in OWN


def _take(found: Collection, module: Module, name: str) -> None:
    """Add a definition and all that it needs."""
    found.modules.setdefault(module.name, module)
    if name not in module.definitions:  # a package that passes on what its modules define
        _take_import(found, module.imports[name], name)
        return
    if name in found.names[module.name]:
        return
    node = module.definitions[name]
    found.names[module.name].add(name)
    for part in ast.walk(node):
        if isinstance(part, ast.Name) and part.id in module.definitions:
            _take(found, module, part.id)
        elif isinstance(part, ast.Name) and part.id in module.imports:
            _take_import(found, module.imports[part.id], part.id)
        elif isinstance(part, ast.ImportFrom) and _is_own(part) and part.module not in found.left_out:
            for alias in part.names:
                _take_import(found, part, alias.asname or alias.name)


def _take_import(found: Collection, node: ast.Import | ast.ImportFrom, name: str) -> None:
    alias = next(each for each in node.names if (each.asname or each.name.partition(".")[0]) == name)
    if isinstance(node, ast.ImportFrom) and _is_own(node):
        assert node.module is not None
        if alias.asname is not None:
            raise ValueError(f"{node.module}.{alias.name} is imported as {alias.asname}; import it by its own name")
        _take(found, found.modules.get(node.module) or _read(node.module), name)
    elif isinstance(node, ast.ImportFrom):
        found.imports[f"from {node.module} import"].add(ast.unparse(alias))
    else:
        found.imports["import"].add(ast.unparse(alias))


def _ordered(found: Collection, module: Module, done: dict[str, Module]) -> list[Module]:
    """Return the modules, each after all that it imports."""
    done[module.name] = module
    before: list[Module] = []
    for node in ast.walk(ast.parse(module.text)):
        if isinstance(node, ast.ImportFrom) and node.module in found.modules and node.module not in done:
            before += _ordered(found, found.modules[node.module], done)
    return [*before, module]


def _check_unique(found: Collection) -> None:
    owners: dict[str, str] = {}
    for module, names in found.names.items():
        for name in names:
            if owners.setdefault(name, module) != module:
                raise ValueError(f"{owners[name]} and {module} both define {name}; one file cannot hold both")


def _import_lines(found: Collection) -> list[str]:
    lines = [f"import {name}" for name in found.imports["import"]]
    lines += [f"{head} {', '.join(sorted(names))}" for head, names in found.imports.items() if head != "import"]
    return sorted(lines)


def _definitions(module: Module, found: Collection) -> list[str]:
    """Return the source of what is taken of a module, with the comments above it."""
    nodes = {id(node): node for name, node in module.definitions.items() if name in found.names[module.name]}
    return [_source(module, node, found.left_out) for node in nodes.values()]


def _source(module: Module, node: ast.stmt, left_out: frozenset[str]) -> str:
    decorators = node.decorator_list if isinstance(node, ast.FunctionDef | ast.ClassDef) else []
    first = min([node.lineno, *(decorator.lineno for decorator in decorators)]) - 1
    lines = dict(enumerate(module.lines[first : node.end_lineno], start=first))
    for part in ast.walk(node):
        if isinstance(part, ast.ImportFrom) and _is_own(part):
            assert part.end_lineno is not None
            for number in range(part.lineno - 1, part.end_lineno):
                del lines[number]
            if part.module in left_out:
                reason = f"this file was written for a model without {part.module}"
                lines[part.lineno - 1] = f'{" " * part.col_offset}raise ImportError("{reason}")'
            elif not lines.get(part.end_lineno, "kept").strip():
                del lines[part.end_lineno]
    while first and module.lines[first - 1].startswith("#"):
        first -= 1
        lines[first] = module.lines[first]
    return "\n".join(lines[number] for number in sorted(lines))
