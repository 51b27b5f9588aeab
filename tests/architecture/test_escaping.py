"""Words of users, plug-ins and runs become text in every page: nothing of ours turns them into markup."""

import re

from tests.architecture.test_house import ROOT, tracked

IN_PAGES = re.compile(r"dangerouslySetInnerHTML|\b(inner|outer)HTML\b|insertAdjacentHTML|document\.write")
IN_TEMPLATES = re.compile(r"\{\{[^}]*\|\s*safe\b|autoescape\s+false|\bMarkup\(")


def test_the_dashboard_never_writes_markup_itself() -> None:
    files = tracked("dashboard/src/*.ts", "dashboard/src/*.tsx")
    assert len(files) > 50
    found = {str(p.relative_to(ROOT)): m[0] for p in files if (m := IN_PAGES.search(p.read_text(encoding="utf-8")))}
    assert found == {}


def test_a_page_within_a_page_runs_nothing() -> None:
    lines = [line for p in tracked("dashboard/src/*.tsx") for line in p.read_text(encoding="utf-8").splitlines()]
    assert [line for line in lines if re.search("srcdoc", line, re.IGNORECASE) and 'sandbox=""' not in line] == []


def test_no_template_leaves_the_escape_out() -> None:
    files = tracked("*.j2", "api/*.py", "experiments/*.py", "gpulab/*.py", "docs_site/*.py")
    found = {str(p.relative_to(ROOT)): m[0] for p in files if (m := IN_TEMPLATES.search(p.read_text(encoding="utf-8")))}
    assert found == {}
