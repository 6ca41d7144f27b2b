"""Boards and rules as files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import yaml

from egops.errors import InputError
from egops.monitoring.install import alerts_content, boards_content, carry_out
from egops.monitoring.targets.files import Files
from egops.monitoring.values import values
from egops.plan import Action

if TYPE_CHECKING:
    from pathlib import Path

    from egops.monitoring.targets import Content
    from egops.plan import Plan


def install(folder: Path, content: Content, *, dry_run: bool = False) -> Plan:
    target = Files(folder)
    plan = target.plan(content, overwrite=False)
    list(carry_out(target, plan, overwrite=False, dry_run=dry_run))
    return plan


def test_boards_are_written_once(tmp_path: Path) -> None:
    folder = tmp_path / "boards"

    install(folder, boards_content(()))
    again = install(folder, boards_content(()))

    assert json.loads((folder / "egops-xds.json").read_text("utf-8"))["uid"] == "egops-xds"
    assert {change.action for change in again.changes} == {Action.NONE}
    assert len(list(folder.iterdir())) == 5


def test_rules_are_written_as_a_rule_file(tmp_path: Path) -> None:
    install(tmp_path, alerts_content(values(), "default"))

    groups = yaml.safe_load((tmp_path / "egops-rules.yaml").read_text("utf-8"))["groups"]
    assert groups == alerts_content(values(), "default").groups


def test_a_dry_run_makes_not_even_the_folder(tmp_path: Path) -> None:
    install(tmp_path / "new", boards_content(()), dry_run=True)

    assert not (tmp_path / "new").exists()


def test_only_files_named_like_ours_are_removed(tmp_path: Path) -> None:
    install(tmp_path, boards_content(()))
    (tmp_path / "mine.json").write_text("{}", "utf-8")
    target = Files(tmp_path)

    list(carry_out(target, target.removal("dashboards"), overwrite=False, dry_run=False))

    assert [path.name for path in tmp_path.iterdir()] == ["mine.json"]


def test_a_file_where_the_folder_should_be_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("", "utf-8")

    with pytest.raises(InputError, match="is not a folder"):
        Files(path)
