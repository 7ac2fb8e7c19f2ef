"""Licence, version and citation are said alike wherever they stand; the workflows are YAML that names real commands."""

import hashlib
import re
import tomllib

import pytest
import yaml
from conftest import ROOT

import manyfaces

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def read(path):
    return (ROOT / path).read_text(encoding="utf-8")


def test_the_licence_is_the_unchanged_text_of_apache_2():
    # The digest of https://www.apache.org/licenses/LICENSE-2.0.txt, as package indices and distributions carry it.
    assert hashlib.sha256((ROOT / "LICENSE").read_bytes()).hexdigest() == (
        "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30")


def test_the_licence_is_named_alike():
    for package in "", "weights_package/":
        project = tomllib.loads(read(f"{package}pyproject.toml"))["project"]
        assert project["license"] == yaml.safe_load(read("CITATION.cff"))["license"] == "Apache-2.0"
        assert project["license-files"] == ["LICENSE"] and read(f"{package}LICENSE") == read("LICENSE")
    for page in "README.md", "CONTRIBUTING.md", "docs/licence.md":
        assert "(../LICENSE)" in read(page) or "(LICENSE)" in read(page), page


def test_each_extra_has_a_row_in_the_table_of_the_page():
    rows = re.findall(r"^\| (`[^|]+`) \|", read("docs/install.md").partition("## Extras")[2], re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert named == set(tomllib.loads(read("pyproject.toml"))["project"]["optional-dependencies"])


def test_the_citation_has_what_the_schema_requires():
    """Required keys and their kinds by version 1.2.0 of the Citation File Format."""
    citation = yaml.safe_load(read("CITATION.cff"))
    assert citation["cff-version"] == "1.2.0" and citation["type"] == "software"
    assert all(isinstance(citation[key], str) and citation[key] for key in ("message", "title", "abstract", "version"))
    assert citation["authors"] and all(set(author) & {"name", "family-names"} for author in citation["authors"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", citation["date-released"])


def test_version_and_date_are_those_of_the_changelog():
    citation, text = yaml.safe_load(read("CITATION.cff")), read("CHANGELOG.md")
    releases = re.findall(r"^## \[([^]]+)\](?: - (\S+))?$", text, re.MULTILINE)
    assert releases[0] == ("Unreleased", "")
    assert releases[1] == (manyfaces.__version__, citation["date-released"])
    assert citation["version"] == manyfaces.__version__
    kinds = set(re.findall(r"^### (.*)$", text, re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_the_version_has_a_release_note():
    assert read(f"docs/releases/{manyfaces.__version__}.md").startswith(f"# manyfaces {manyfaces.__version__}\n")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_run_what_exists(path):
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert {"name", "jobs", "permissions"} <= set(workflow) and ("on" in workflow or True in workflow)
    targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@v\d+\.\d+\.\d+", step["uses"]) for step in steps if "uses" in step)
    commands = [step["run"] for step in steps if "run" in step]
    assert commands
    for command in commands:
        first, *rest = command.split()
        assert first != "make" or set(rest) <= targets, command
        assert not first.startswith(".") or (ROOT / first).is_file(), command


def test_there_is_a_workflow_for_changes_and_one_for_tags():
    assert [path.name for path in WORKFLOWS] == ["ci.yml", "release.yml"]
