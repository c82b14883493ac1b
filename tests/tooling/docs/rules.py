# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the rules of the preflight and the gates can say, read from their source.

A finding is made by a call with texts in it. The texts are read without running the rules, so that none can be missed because nobody
thought of the facts that it needs. What a text fills in at run time is shown as a word in capitals.
"""

from __future__ import annotations

import ast
import dataclasses
import itertools
import typing as t
from pathlib import Path

from tooling.places import ROOT

PLAN = ROOT / "plugins" / "module_utils" / "_plan"
FIELDS = ("id", "severity", "subject", "evidence", "why", "remedy", "source", "nodes")
SHOWN = ("id", "severity", "why", "remedy")
SEVERITIES = {"BLOCKER": "blocker", "WARNING": "warning", "INFO": "info"}

# What is filled in, as the source of its expression, and the word for it. A file's name before it where two files mean different things.
WORDS = {
    "FELIX_FALLBACK": "1460",
    "config_name(flannel)": "ConfigMap NAMESPACE/NAME",
    "daemonset['namespace']": "NAMESPACE",
    "desired": "N",
    "first": "FILE",
    "flannel['daemonset']['namespace']": "NAMESPACE",
    "found['namespace']": "NAMESPACE",
    "gate.py: name": "NODE",
    "kind": "BACKEND",
    "listed(natural({*there, *wanted}), 99)": "NAMES",
    "listed(packages)": "PACKAGES",
    "min(mtus.values())": "MTU",
    "owner['kind']": "OWNER",
    "pods.py: name": "NAMESPACE/NAME",
    "pool.get('blockSize') or 26": "SIZE",
    "pool['name']": "NAME",
    "problem[1:]": "The reason is told with the finding",
    "problem[:1].upper()": "",
    "remedy": "What to do is told with the finding, since it depends on the backend",
    "remedy[1:]": "What to do is told with the finding, since it depends on the owner",
    "remedy[:1].upper()": "",
    "session['node']": "NODE",
    "calico.py: situation.mode.backend": "BACKEND",
    "VARIABLE": "podnet_calico_routing",
    "VXLAN_OVERHEAD": "50",
    "largest": "N",
    "largest + VXLAN_OVERHEAD": "N",
    "listed(modes.MODES)": "one of those, which are told with the finding",
    "modes.DEFAULT": "bgp",
    "routing.py: remedy": "What to do is told with the finding",
    "routing.py: why": "Which mode suits the cluster, why, and how many bytes it saves, is told with the finding",
    "situation.mode.name": "MODE",
    "there": "MODE",
    "situation.settings.host_of(names[0])": "HOST",
    "suggestion": "N",
    "why": "the reason is told with the finding",
}
# The gate of the playbook always judges a batch that has settled (roles/gate/tasks/main.yml).
ASSUMED = {"settled": True}

Names = t.Mapping[str, ast.expr]
Truths = t.Mapping[str, bool]
Function = t.Union[ast.FunctionDef, ast.AsyncFunctionDef]


class Unknown(Exception):
    """The source has a form that this reader does not know."""


class Variant(t.NamedTuple):
    """One form of a finding."""

    severity: str
    why: str
    remedy: str


@dataclasses.dataclass(frozen=True)
class Rule:
    """A finding that may come up: where it is made, and what it says in each of its variants."""

    file: str
    function: str
    about: str
    id: str
    variants: tuple[Variant, ...]

    @property
    def severities(self) -> list[str]:
        """The severities that it may have, the worst first."""
        found = {variant.severity for variant in self.variants}
        return [severity for severity in SEVERITIES.values() if severity in found]


@dataclasses.dataclass
class Source:
    """One file of rules."""

    path: Path
    tree: ast.Module

    @classmethod
    def read(cls, path: Path) -> Source:
        """Parse it."""
        return cls(path, ast.parse(path.read_text(encoding="utf-8")))

    def functions(self) -> t.Iterator[Function]:
        """Every function, those inside of others too."""
        return (node for node in ast.walk(self.tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))


def read_rules(names: t.Sequence[str]) -> list[Rule]:
    """The rules of some files of C(_plan), in the order of the files and of what is in them."""
    sources = [Source.read(PLAN / name) for name in names]
    return [rule for source in sources for function in source.functions() for rule in _rules_of(source, function, sources)]


def asked_after_moves() -> set[tuple[str, str]]:
    """File and function of the rules that are asked when all nodes have moved."""
    for node in Source.read(PLAN / "preflight.py").tree.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == "AFTER_MOVES":
            elements = node.value.elts if isinstance(node.value, ast.Tuple) else []
            pairs = [ast.unparse(element).split(".") for element in elements]
            return {(f"rules/{module}.py", function) for module, function in pairs}
    raise Unknown("preflight.py has no AFTER_MOVES")


def _rules_of(source: Source, function: Function, sources: t.Sequence[Source]) -> t.Iterator[Rule]:
    """The findings that a function makes itself, by id."""
    variants: dict[str, list[Variant]] = {}
    for call, loops in _finding_calls(function):
        fields = dict(zip(FIELDS, call.args)) | {word.arg: word.value for word in call.keywords if word.arg}
        for names in _bindings(function, fields, loops, sources):
            for values in _variants(source, fields, names):
                kept = variants.setdefault(values["id"], [])
                variant = Variant(values["severity"], values["why"], values["remedy"])
                if variant not in kept:
                    kept.append(variant)
    file = source.path.relative_to(PLAN).as_posix()
    about = _about(source, function) if variants else ""
    for identifier, found in variants.items():
        yield Rule(file, function.name, about, identifier, tuple(found))


def _about(source: Source, function: Function) -> str:
    """First sentence of the documentation of the function, or of the one around it."""
    text = ast.get_docstring(function)
    if text is None:
        around = [outer for outer in source.functions() if outer is not function and function in ast.walk(outer)]
        text = ast.get_docstring(around[0]) if around else None
    if not text:
        raise Unknown(f"{source.path.name}: {function.name} has no documentation")
    return text.split("\n\n")[0].replace("\n", " ").strip()


def _finding_calls(function: Function) -> t.Iterator[tuple[ast.Call, list[ast.For]]]:
    """Calls of C(Finding) in a function, with the loops around them; not those of functions inside of it."""

    def walk(node: ast.AST, loops: list[ast.For]) -> t.Iterator[tuple[ast.Call, list[ast.For]]]:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Finding":
            yield node, loops
        inner = [*loops, node] if isinstance(node, ast.For) else loops
        for child in ast.iter_child_nodes(node):
            if not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield from walk(child, inner)

    for statement in function.body:
        if not isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield from walk(statement, [])


def _bindings(function: Function, fields: Names, loops: t.Iterable[ast.For], sources: t.Sequence[Source]) -> t.Iterator[Names]:
    """What the names in the shown fields stand for: rows of a loop over a table, or arguments of the calls of this function."""
    used = {name.id for field in SHOWN for name in ast.walk(fields[field]) if isinstance(name, ast.Name)}
    tables: list[list[dict[str, ast.expr]]] = [_rows(loop, used) for loop in loops]
    parameters = [argument.arg for argument in function.args.args]
    if used & set(parameters) - {"situation"} and any(_calls_of(function.name, sources)):
        tables.append([_arguments(function, call) for call in _calls_of(function.name, sources)])
    for combination in itertools.product(*(table for table in tables if table)):
        yield {name: value for row in combination for name, value in row.items()}


def _rows(loop: ast.For, used: t.Container[str]) -> list[dict[str, ast.expr]]:
    """The rows of a loop over a table that is written down; empty for any other loop."""
    if not isinstance(loop.target, ast.Tuple) or not isinstance(loop.iter, ast.Tuple):
        return []
    names = [element.id if isinstance(element, ast.Name) else "" for element in loop.target.elts]
    rows = [row for row in loop.iter.elts if isinstance(row, ast.Tuple)]
    return [{name: value for name, value in zip(names, row.elts) if name in used} for row in rows]


def _calls_of(name: str, sources: t.Iterable[Source]) -> t.Iterator[ast.Call]:
    for source in sources:
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name:
                yield node


def _arguments(function: Function, call: ast.Call) -> dict[str, ast.expr]:
    """What each parameter of a function is in one call."""
    names = [argument.arg for argument in function.args.args]
    defaults = function.args.defaults
    values = dict(zip(names[len(names) - len(defaults) :], defaults))
    return values | dict(zip(names, call.args)) | {word.arg: word.value for word in call.keywords if word.arg}


def _variants(source: Source, fields: Names, names: Names) -> t.Iterator[dict[str, str]]:
    """The shown fields for every combination of the conditions in them."""
    conditions = sorted({text for field in SHOWN for text in _conditions(fields[field], names)} - set(ASSUMED))
    for values in itertools.product((True, False), repeat=len(conditions)):
        truths = {**dict(zip(conditions, values)), **ASSUMED}
        yield {field: _text(source, fields[field], names, truths) for field in SHOWN}


def _conditions(node: ast.expr, names: Names) -> t.Iterator[str]:
    for inner in ast.walk(node):
        if isinstance(inner, ast.IfExp):
            yield from _atoms(inner.test)
        if isinstance(inner, ast.Name) and inner.id in names and not _is_itself(names[inner.id], inner.id):
            yield from _conditions(names[inner.id], names)


def _is_itself(node: ast.expr, name: str) -> bool:
    return any(isinstance(inner, ast.Name) and inner.id == name for inner in ast.walk(node))


def _atoms(test: ast.expr) -> t.Iterator[str]:
    """The conditions that a condition is made of."""
    if isinstance(test, ast.BoolOp):
        for value in test.values:
            yield from _atoms(value)
    elif isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        yield from _atoms(test.operand)
    else:
        yield ast.unparse(test)


def _holds(test: ast.expr, truths: Truths) -> bool:
    if isinstance(test, ast.BoolOp):
        judge: t.Callable[[t.Iterable[bool]], bool] = all if isinstance(test.op, ast.And) else any
        return judge(_holds(value, truths) for value in test.values)
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return not _holds(test.operand, truths)
    return truths[ast.unparse(test)]


def _text(source: Source, node: ast.expr, names: Names, truths: Truths) -> str:
    """The text of a field."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.IfExp):
        return _text(source, node.body if _holds(node.test, truths) else node.orelse, names, truths)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _text(source, node.left, names, truths) + _text(source, node.right, names, truths)
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(source, part, names, truths) for part in node.values)
    if isinstance(node, ast.FormattedValue):
        return _text(source, node.value, names, truths)
    if isinstance(node, ast.Name) and node.id in SEVERITIES:
        return SEVERITIES[node.id]
    if isinstance(node, ast.Name) and node.id in names and not _is_itself(names[node.id], node.id):
        return _text(source, names[node.id], names, truths)
    return _word(source, node)


def _word(source: Source, node: ast.expr) -> str:
    """The word for what is filled in."""
    text = ast.unparse(node)
    for key in (f"{source.path.name}: {text}", text):
        if key in WORDS:
            return WORDS[key]
    raise Unknown(f"{source.path}, line {node.lineno}: no word for what is filled in by {{{text}}}; give one in WORDS of {Path(__file__).name}")
