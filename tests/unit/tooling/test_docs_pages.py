# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the documentation says that the code says too: both must say the same."""

from __future__ import annotations

import ast
import re

import pytest
from ansible_collections.podnet.cni.tests.unit.fixtures.facts import Lab
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils.plan.test_rules import CASES
from tooling.docs import markup, modules, pages, refusals, rules, variables
from tooling.places import ROOT

HEADER = "from x import BLOCKER, WARNING, Finding\n"


@pytest.fixture(scope="module")
def known():
    return {rule.id: rule for rule in refusals.rules()}


def test_pages_are_up_to_date():
    assert pages.outdated() == [], "bring them up to date with: PYTHONPATH=tests python3 -m tooling.launch tooling.docs"


def test_ids_are_unique():
    ids = [rule.id for rule in refusals.rules()]
    assert len(ids) == len(set(ids)) > 50


def test_the_page_has_every_finding_that_is_written_down():
    page = (ROOT / "docs" / "refusals.md").read_text(encoding="utf-8")
    sources = [*(rules.PLAN / "rules").glob("*.py"), rules.PLAN / "routing.py", rules.PLAN / "gate.py"]
    written = {name for path in sources for name in re.findall(r'(?:Finding|refuse)\(\s*"([a-z0-9-]+)",', path.read_text(encoding="utf-8"))}
    assert len(written) > 50
    assert {name for name in written if f"\n### {name}\n" not in page} == set()


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.id}-{case.rule.__name__}")
def test_what_a_rule_really_says_is_on_the_page(case, known):
    lab = Lab()
    case.change(lab)
    (finding,) = [found for found in case.rule(lab.situation) if found.id == case.id]
    assert known[finding.id].function == case.rule.__name__
    assert any(
        variant.severity == finding.severity and fits(variant.why, finding.why) and fits(variant.remedy, finding.remedy)
        for variant in known[finding.id].variants
    ), finding


def fits(shown, said):
    """Whether a text is the shown one with its words filled in."""
    words = sorted({word for word in rules.WORDS.values() if word}, key=len, reverse=True)
    pieces = re.split(rf"(?<!\w)({'|'.join(re.escape(word) for word in words)})(?!\w)", shown)
    return re.fullmatch("".join(".+" if number % 2 else re.escape(piece) for number, piece in enumerate(pieces)), said) is not None


def test_the_gate_of_the_playbook_judges_a_settled_batch():
    tasks = (ROOT / "roles" / "gate" / "tasks" / "main.yml").read_text(encoding="utf-8")
    calls = re.findall(r"podnet\.cni\.gate\((.*?)\) *(?:\||\}\}|$)", tasks, re.MULTILINE)
    assert calls and all(call.endswith(", true") for call in calls), calls


def read(monkeypatch, tmp_path, text):
    (tmp_path / "one.py").write_text(HEADER + text)
    monkeypatch.setattr(rules, "PLAN", tmp_path)
    return rules.read_rules(["one.py"])


def variants_of(found):
    return {rule.id: [tuple(variant) for variant in rule.variants] for rule in found}


def test_conditions_make_variants_that_go_together(monkeypatch, tmp_path):
    found = read(
        monkeypatch,
        tmp_path,
        'def rule(s):\n    """About."""\n'
        '    yield Finding("a" if x else "b", BLOCKER if x and y else WARNING, s, "e", "why" + (" x" if x else ""), "r" if y else "t", "src")\n',
    )
    assert variants_of(found) == {
        "a": [("blocker", "why x", "r"), ("warning", "why x", "t")],
        "b": [("warning", "why", "r"), ("warning", "why", "t")],
    }


def test_loops_over_tables_and_helpers_are_followed(monkeypatch, tmp_path):
    found = read(
        monkeypatch,
        tmp_path,
        'def rule(s):\n    """About."""\n'
        '    def refuse(identifier, why, severity=BLOCKER):\n        return Finding(identifier, severity, s, "e", why, "r", "src")\n'
        '    for name, level in ((one, BLOCKER), (two, WARNING)):\n        yield Finding("loop", level, s, f"{name}", "w", "r", "src")\n'
        '    yield refuse("first", "w1")\n    yield refuse("second", "w2", WARNING)\n',
    )
    assert variants_of(found) == {
        "loop": [("blocker", "w", "r"), ("warning", "w", "r")],
        "first": [("blocker", "w1", "r")],
        "second": [("warning", "w2", "r")],
    }
    assert {rule.about for rule in found} == {"About."}


def test_a_text_that_fills_in_something_unknown_is_refused(monkeypatch, tmp_path):
    with pytest.raises(rules.Unknown, match=r"line 4: no word for what is filled in by \{nobody\.knows\}; give one in WORDS"):
        read(monkeypatch, tmp_path, 'def rule(s):\n    """About."""\n    yield Finding("a", BLOCKER, s, "e", f"w {nobody.knows}", "r", "src")\n')


def test_a_rule_without_documentation_is_refused(monkeypatch, tmp_path):
    with pytest.raises(rules.Unknown, match="rule has no documentation"):
        read(monkeypatch, tmp_path, 'def rule(s):\n    yield Finding("a", BLOCKER, s, "e", "w", "r", "src")\n')


def test_a_part_is_put_between_its_marks_only():
    text = "a\n<!-- begin: x -->\nold\n<!-- end: x -->\nb\n"
    once = pages.fill(text, "x", "new \\1")
    assert once == "a\n<!-- begin: x -->\nnew \\1\n<!-- end: x -->\nb\n"
    assert pages.fill(once, "x", "new \\1") == once
    with pytest.raises(pages.NoPlace, match="README.md: there must be one place between '<!-- begin: y -->'"):
        pages.fill(text, "y", "new", "README.md")
    with pytest.raises(pages.NoPlace):
        pages.fill(text + text, "x", "new")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("V(true) and C(a b)", "`true` and `a b`"),
        ("see M(podnet.cni.cni_probe)", "see [`podnet.cni.cni_probe`](modules.md#cni_probe)"),
        ("as P(podnet.cni.migration_plan#filter) makes it", "as `podnet.cni.migration_plan` makes it"),
        ("E(KUBECONFIG) or O(state=absent)", "`KUBECONFIG` or `state=absent`"),
        ("I(so) and B(so)", "*so* and **so**"),
        ("L(a page,https://example.net/x)", "[a page](https://example.net/x)"),
        ("a < b and 5 * 3", "a &lt; b and 5 \\* 3"),
        ("with `a < b` | c", "with `a < b` \\| c"),
        ("C(f(x)) of MTU (large)", "`f(x)` of MTU (large)"),
    ],
)
def test_markup(text, expected):
    assert markup.markdown(text) == expected


def test_every_module_has_documentation_and_works_in_check_mode():
    for name in modules.names():
        about = modules.documentation(name)
        fragment = "podnet.cni._attributes.facts" in about["extends_documentation_fragment"]
        support = (about.get("attributes") or {}).get("check_mode", {}).get("support")
        assert fragment or support == "full", name
        assert f"podnet.cni.{name}:" in about["examples"], name


def defaults_of_roles():
    """Every C(podnet_NAME | default(VALUE)) of roles and playbooks, with the place where it stands."""
    for path in sorted([*(ROOT / "roles").glob("*/defaults/main.yml"), *(ROOT / "playbooks").glob("*.yml")]):
        for name, value in re.findall(r"\b(podnet_\w+) \| default\((\[.*?\]|'.*?'|\w+)\)", path.read_text(encoding="utf-8")):
            yield path.relative_to(ROOT).as_posix(), name, value


def test_roles_have_the_defaults_that_are_documented():
    options = variables.options()
    found = list(defaults_of_roles())
    assert len(found) > 30
    wrong = []
    for place, name, value in found:
        if name not in options or value in ("omit", "hostvars"):
            continue
        real = {"true": True, "false": False}.get(value, value)
        real = ast.literal_eval(real) if isinstance(real, str) else real
        if real != options[name].get("default"):
            wrong.append((place, name, real, options[name].get("default")))
    assert wrong == []


def test_every_variable_of_the_table_is_read_by_a_role_or_playbook():
    texts = [
        path.read_text(encoding="utf-8")
        for path in [*(ROOT / "roles").glob("*/*/*.yml"), *(ROOT / "playbooks").glob("*.yml")]
        if path.parent.name != "meta"
    ]
    texts.append((ROOT / "plugins" / "module_utils" / "_plan" / "arguments.py").read_text(encoding="utf-8"))
    unread = [name for name in variables.options() if not any(re.search(rf"\b{name}\b", text) for text in texts)]
    assert unread == []
