# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calico's selector language: check a selector and evaluate it against labels. Pure: no input, no output.

The grammar is that of projectcalico/calico:libcalico-go/lib/selector.
"""

from __future__ import annotations

import re
import typing as t

Labels = t.Mapping[str, str]
Predicate = t.Callable[[Labels], bool]
_LABEL = r"[a-zA-Z0-9_./-]{1,512}"
_SYMBOLS = re.compile(r"==|!=|&&|\|\||[(){},!]")
_STRING = re.compile(r"\"([^\"]*)\"|'([^']*)'")
_CALL = re.compile(rf"(has)\(\s*({_LABEL})\s*\)|(all|global)\(\s*\)")
_OPERATOR = re.compile(r"(contains)|(starts\s*with)|(ends\s*with)|(not\s*in\b)|(in\b)")
_OPERATOR_NAMES = ("contains", "starts with", "ends with", "not in", "in")


class SelectorError(ValueError):
    """What is wrong with a selector, and where."""


class Token(t.NamedTuple):
    """One word of a selector: C(kind) is the symbol or operator itself, or label, string, has, all, global, end."""

    kind: str
    value: str
    position: int


def _next_token(text: str, position: int, after_label: bool) -> tuple[Token, int]:
    """The token at a position and where the next one begins."""
    symbol = _SYMBOLS.match(text, position)
    if symbol:
        return Token(symbol.group(), "", position), symbol.end()
    if text[position] in "\"'":
        string = _STRING.match(text, position)
        if not string:
            raise SelectorError(f"the string that begins at character {position + 1} has no end")
        return Token("string", string.group(1) or string.group(2) or "", position), string.end()
    if after_label:
        operator = _OPERATOR.match(text, position)
        if operator and operator.lastindex:
            return Token(_OPERATOR_NAMES[operator.lastindex - 1], "", position), operator.end()
        raise SelectorError(f"character {position + 1} should begin an operator such as == or 'in', not '{text[position:][:12]}'")
    call = _CALL.match(text, position)
    if call:
        return Token(call.group(1) or call.group(3), call.group(2) or "", position), call.end()
    label = re.compile(_LABEL).match(text, position)
    if label:
        return Token("label", label.group(), position), label.end()
    raise SelectorError(f"'{text[position]}' at character {position + 1} has no meaning here")


def _tokens(text: str) -> list[Token]:
    tokens: list[Token] = []
    position = 0
    while True:
        while position < len(text) and text[position] in " \t":
            position += 1
        if position >= len(text):
            return [*tokens, Token("end", "", position)]
        token, position = _next_token(text, position, bool(tokens) and tokens[-1].kind == "label")
        tokens.append(token)


class _Parser:
    """Recursive descent: || binds weakest, then &&, then !."""

    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._index = 0

    def _take(self, *kinds: str) -> Token | None:
        token = self._tokens[self._index]
        if token.kind not in kinds:
            return None
        self._index += 1
        return token

    def _expect(self, what: str, *kinds: str) -> Token:
        token = self._take(*kinds)
        if token is None:
            found = self._tokens[self._index]
            shown = "the end" if found.kind == "end" else f"'{found.value or found.kind}'"
            raise SelectorError(f"{what} is expected at character {found.position + 1}, but there is {shown}")
        return token

    def parse(self) -> Predicate:
        if self._take("end"):
            return lambda dummy: True
        predicate = self._any_of()
        self._expect("the end, && or ||", "end")
        return predicate

    def _any_of(self) -> Predicate:
        parts = [self._all_of()]
        while self._take("||"):
            parts.append(self._all_of())
        return parts[0] if len(parts) == 1 else lambda labels: any(part(labels) for part in parts)

    def _all_of(self) -> Predicate:
        parts = [self._operation()]
        while self._take("&&"):
            parts.append(self._operation())
        return parts[0] if len(parts) == 1 else lambda labels: all(part(labels) for part in parts)

    def _operation(self) -> Predicate:
        if self._take("!"):
            negated = self._operation()
            return lambda labels: not negated(labels)
        if self._take("("):
            inner = self._any_of()
            self._expect(")", ")")
            return inner
        token = self._expect("a label, has(), all() or (", "label", "has", "all", "global")
        if token.kind == "has":
            return lambda labels: token.value in labels
        if token.kind == "all":
            return lambda dummy: True
        if token.kind == "global":
            return lambda dummy: False
        return self._comparison(token.value)

    def _comparison(self, label: str) -> Predicate:
        operator = self._expect(f"an operator after the label {label}", "==", "!=", *_OPERATOR_NAMES).kind
        if operator in ("in", "not in"):
            values = self._set()
            if operator == "in":
                return lambda labels: labels.get(label) in values
            return lambda labels: labels.get(label) not in values
        value = self._expect("a string in quotes", "string").value
        if operator == "==":
            return lambda labels: labels.get(label) == value
        if operator == "!=":
            return lambda labels: labels.get(label) != value
        if operator == "contains":
            return lambda labels: label in labels and value in labels[label]
        if operator == "starts with":
            return lambda labels: label in labels and labels[label].startswith(value)
        return lambda labels: label in labels and labels[label].endswith(value)

    def _set(self) -> frozenset[str | None]:
        self._expect("{", "{")
        values: set[str | None] = set()
        while True:
            string = self._take("string")
            if string is None:
                break
            values.add(string.value)
            if not self._take(","):
                break
        self._expect("}", "}")
        return frozenset(values)


def parse_selector(text: str) -> Predicate:
    """The selector as a function of labels. An empty selector matches everything.

    :raises SelectorError: when it is not in the language.
    """
    return _Parser(text).parse()
