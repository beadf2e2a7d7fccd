"""What a chapter's or a study's code depends on: the syntax of all that it names, in turn, in studies and course.

A function, a class or a constant that it cannot reach makes nothing stale; neither do docstrings, comments and blank
lines. Where a module is used as a whole, as in `getattr(course, name)`, all of it counts. Other packages count by their
import; their versions stand in requirements.txt, that of torch in each row.
"""
import ast
import functools
import hashlib
from collections import defaultdict
from pathlib import Path

FOLDERS = {"course": "chapters/course", "studies": "studies"}  # what is followed, from the root of the book
IMPORTS = ast.Import, ast.ImportFrom


def is_text(node) -> bool:
    """A docstring, or another text that does nothing."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def syntax(code: str) -> str:
    """Of a cell, whatever its comments and docstrings; what is no Python counts as it is written."""
    try:
        return repr([tree(node) for node in ast.parse(code).body])
    except SyntaxError:
        return code


def tree(node):
    """Syntax as nested tuples, without places and docstrings, and the same in every version of Python."""
    if isinstance(node, list):
        return tuple(tree(x) for x in node if not is_text(x))
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = [(name, tree(x)) for name, x in ast.iter_fields(node) if x is not None and name not in ("kind", "ctx")]
    return type(node).__name__, *[(name, x) for name, x in fields if x != ()]


@functools.cache
def written(node) -> str:
    return repr(tree(node))


def dotted(node) -> list[str]:
    """['course', 'networks', 'UNet'] for `course.networks.UNet`; empty for anything but names joined by points."""
    if isinstance(node, ast.Attribute):
        return (start := dotted(node.value)) and [*start, node.attr]
    return [node.id] if isinstance(node, ast.Name) else []


def bound_by(node) -> list[str]:
    """The names that a statement at the top of a module binds; none if it may change anything else too."""
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return [node.name]
    if isinstance(node, IMPORTS):
        return [alias.asname or alias.name.partition(".")[0] for alias in node.names]
    if isinstance(node, (ast.Assign, ast.AnnAssign)):
        targets = [x for t in getattr(node, "targets", None) or [node.target] for x in getattr(t, "elts", [t])]
        return [x.id for x in targets] if all(isinstance(x, ast.Name) for x in targets) else []
    return []


class Module:
    """The top of a file: {name: statements that bind it}, and all other statements."""

    def __init__(self, name: str, code: str, file: str):
        self.name, self.package = name, name if file == "__init__.py" else name.rpartition(".")[0]
        self.bound, self.loose = defaultdict(list), []
        for node in ast.parse(code, file).body:
            for bound in bound_by(node):
                self.bound[bound].append(node)
            if not bound_by(node) and not is_text(node):
                self.loose.append(node)


parsed = functools.cache(Module)


def files(root: Path) -> list[Path]:
    """The modules of `course` from its folder, without suffix; systems and editors lay other files there."""
    folder = root / FOLDERS["course"]
    found = (path.relative_to(folder).with_suffix("") for path in folder.rglob("*.py"))
    return sorted(path for path in found if all(part.isidentifier() for part in path.parts))


class Reach:
    """Collects in `parts` the syntax of what can be reached from the names given to `follow`."""

    def __init__(self, root: Path):
        self.root, self.modules, self.seen, self.parts = root, {}, set(), set()

    def path(self, name: str) -> Path | None:
        """The file of a module that is followed; None for other packages, and for the engine."""
        package, *rest = name.split(".")
        if name.startswith("studies.engine"):
            return None
        path = self.root.joinpath(FOLDERS.get(package, "none"), *rest)
        return next((p for p in (path.with_suffix(".py"), path / "__init__.py") if p.is_file()), None)

    def module(self, name: str) -> Module | None:
        if name not in self.modules and (path := self.path(name)):
            self.modules[name] = module = parsed(name, path.read_text(encoding="utf-8-sig"), path.name)
            for node in module.loose:  # executed by the import
                self.parts.add(written(node))
                self.visit(node, module)
            for path in files(self.root) if name == "course" else ():  # the package imports them
                self.module(".".join(["course", *path.parts]).removesuffix(".__init__"))
            if name.startswith("course."):
                self.module("course")
        return self.modules.get(name)

    def follow(self, name: str, member: str, rest: list[str] = ()) -> None:
        """`member` of the module `name`, and what is asked of it by points."""
        within, module = f"{name}.{member}", self.module(name)
        if self.path(within) and not (module and member in module.bound):
            return self.follow(within, rest[0], rest[1:]) if rest else self.whole(within)
        if module is None:  # no file: other packages, and the engine
            self.parts.add(within)
        elif member not in module.bound:  # it comes from a star import, or out of a loose statement
            self.whole(name)
        elif (name, member, *rest) not in self.seen:
            self.seen.add((name, member, *rest))
            for node in module.bound[member]:
                self.use(node, member, module, rest)

    def whole(self, name: str) -> None:
        """Every name of a module; of a package, those of its modules too."""
        if (name, "*") in self.seen or not self.path(name):
            return
        self.seen.add((name, "*"))
        for member in list(self.module(name).bound):
            self.follow(name, member)
        for within in [m for m in self.modules if m.startswith(f"{name}.")]:
            self.whole(within)

    def use(self, node, name: str, module: Module, rest: list[str] = ()) -> None:
        """A statement that binds `name`: its syntax, and all that it names; for an import, what it brings."""
        if not isinstance(node, IMPORTS):
            self.parts.add(f"({name!r}, {written(node)})")
            return self.visit(node, module)
        for alias in node.names:
            if name != (alias.asname or alias.name.partition(".")[0]):
                continue
            source = alias.name if alias.asname else name
            if isinstance(node, ast.ImportFrom):
                above = module.package.rsplit(".", node.level - 1)[0] if node.level else ""
                source = ".".join(filter(None, [above, node.module]))
            if source.partition(".")[0] not in FOLDERS:
                self.parts.add(repr((source, tree(alias))))
            elif isinstance(node, ast.ImportFrom) and alias.name != "*":
                self.follow(source, alias.name, rest)
            elif rest:
                self.follow(source, rest[0], rest[1:])
            else:
                self.whole(source)

    def visit(self, node, module: Module) -> None:
        """All names below a node."""
        for child in ast.iter_child_nodes(node):
            if isinstance(child, IMPORTS):
                for alias in child.names:
                    self.use(child, alias.asname or alias.name.partition(".")[0], module)
            elif names := dotted(child):
                if names[0] in module.bound:
                    self.follow(module.name, names[0], names[1:])
                elif "*" in module.bound:
                    self.follow(module.name, "*")
            else:
                self.visit(child, module)


def of_study(name: str, root: Path) -> str:
    """Of the study `name`: 12 hexadecimal digits, the same as long as its rows stay what they are."""
    reach = Reach(root)
    reach.follow(f"studies.{name}", "run")
    return hashlib.sha256("\n".join(sorted(reach.parts)).encode()).hexdigest()[:12]


def of_notebook(code: str, root: Path) -> list[str]:
    """The syntax in studies and course that a notebook's code can reach; all of course where the code is no Python."""
    reach = Reach(root)
    try:
        module = reach.modules["notebook"] = Module("notebook", code, "notebook")
    except SyntaxError:
        reach.whole("course")
        return sorted(reach.parts)
    for name, nodes in list(module.bound.items()):
        module.loose += [node for node in nodes if not isinstance(node, IMPORTS)]
        sources = {(getattr(node, "module", "") or node.names[0].name).partition(".")[0] for node in nodes
                   if isinstance(node, IMPORTS)}
        if not sources & set(FOLDERS):  # its own code, and other packages
            del module.bound[name]
    for node in module.loose:
        reach.visit(node, module)
    return sorted(reach.parts)
