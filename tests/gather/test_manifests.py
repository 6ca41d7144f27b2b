"""Objects from files, and what is told when a file is not what it should be."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import orjson
import pytest

from egops.errors import InputError
from egops.gatewayapi import CONFIG_MAP, ENVOY_GATEWAY, GATEWAY, SERVICE
from egops.gather.manifests import load

SERVICE_YAML = """\
apiVersion: v1
kind: Service
metadata: {name: %s, namespace: shop}
spec:
  ports:
  - port: 80
"""


def service(name: str) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "shop"}}


def test_documents_keep_file_and_line(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("# head\n" + SERVICE_YAML % "one" + "---\n" + SERVICE_YAML % "two")

    one, two = load([str(file)]).resources[SERVICE]

    assert (one.origin.line, two.origin.line) == (2, 9)
    assert two.at("spec", "ports", 0, "port").line == 14
    assert two.at().line == 9


def test_json_lists_keep_lines(tmp_path: Path) -> None:
    file = tmp_path / "list.json"
    document = {"apiVersion": "v1", "kind": "List", "items": [service("one"), service("two")]}
    file.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2))

    two = load([str(file)]).resources[SERVICE][1]

    line = two.at("metadata", "name").line
    assert file.read_text().splitlines()[line - 1].strip() == '"name": "two",'


def test_typed_lists_give_their_kind_to_their_items(tmp_path: Path) -> None:
    file = tmp_path / "list.json"
    bare = {"metadata": {"name": "one", "namespace": "shop"}}
    file.write_bytes(orjson.dumps({"apiVersion": "v1", "kind": "ServiceList", "items": [bare]}))

    assert load([str(file)]).resources[SERVICE][0].name == "one"


def test_folders_globs_and_gzip_are_read_once(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.yml").write_text(SERVICE_YAML % "one")
    (tmp_path / "b.yaml").write_bytes(gzip.compress((SERVICE_YAML % "two").encode()))
    (tmp_path / "ignored.txt").write_text("not yaml: [")
    (tmp_path / "sub" / "loop").symlink_to(tmp_path)

    found = load([str(tmp_path), str(tmp_path / "*.yaml")])

    assert sorted(resource.name for resource in found.resources[SERVICE]) == ["one", "two"]
    assert found.broken == []


def test_what_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        load([str(tmp_path / "nothing.yaml")])
    with pytest.raises(InputError, match="no file matches"):
        load([str(tmp_path / "*.yaml")])


def test_a_broken_document_is_located_and_the_rest_is_read(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("kind: [\n---\n" + SERVICE_YAML % "one")

    found = load([str(file)])

    assert [resource.name for resource in found.resources[SERVICE]] == ["one"]
    assert [(broken.file, broken.line) for broken in found.broken] == [(str(file), 2)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- 1\n", "a list is no object"),
        ("just text\n", "a str is no object"),
        ("a: 1\n", "apiVersion and kind missing"),
        ("apiVersion: v1\nkind: Service\nmetadata: {}\n", "Service without metadata.name"),
        ("kind: Service\nmetadata: {name: {{ .Release.Name }}}\n", "a template"),
    ],
)
def test_what_is_no_object_is_told(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(text)

    (broken,) = load([str(file)]).broken

    assert message in broken.message


def test_the_same_name_twice_is_told_and_the_first_is_judged(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    other = SERVICE_YAML.replace("port: 80", "port: 81") % "one"
    file.write_text(SERVICE_YAML % "one" + "---\n" + SERVICE_YAML % "one" + "---\n" + other)

    found = load([str(file)])

    assert len(found.resources[SERVICE]) == 1
    (broken,) = found.broken
    assert broken.line == 15
    assert f"{file}:1" in broken.message


def test_kinds_that_egops_does_not_read_are_counted(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("apiVersion: example.com/v1\nkind: Thing\nmetadata: {name: x}\n")

    assert load([str(file)]).foreign == {"Thing.example.com": 1}


def test_a_file_without_permission_is_told(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        (tmp_path / "dir.yaml").mkdir()
        (tmp_path / "gone.yaml").symlink_to(tmp_path / "nowhere")
        found = load([str(tmp_path)])
        assert [broken.message for broken in found.broken] == ["a link that leads nowhere"]
        return
    file = tmp_path / "a.yaml"
    file.write_text(SERVICE_YAML % "one")
    file.chmod(0)
    (broken,) = load([str(file)]).broken
    assert "Permission denied" in broken.message


def test_gzip_of_garbage_is_told(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_bytes(b"\x1f\x8b" + b"garbage" * 9)

    (broken,) = load([str(file)]).broken

    assert "cannot read" in broken.message


def test_names_with_unicode_are_names(tmp_path: Path) -> None:
    file = tmp_path / "ü.yaml"
    file.write_text(SERVICE_YAML % "größe")

    assert load([str(file)]).resources[SERVICE][0].name == "größe"


def test_the_configuration_in_the_config_map_is_an_object(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: envoy-gateway-config, namespace: eg}\n"
        "data:\n  envoy-gateway.yaml: |\n    gateway: {controllerName: example.com/x}\n"
    )

    found = load([str(file)])

    assert len(found.resources[CONFIG_MAP]) == 1
    (config,) = found.resources[ENVOY_GATEWAY]
    assert config.body["gateway"] == {"controllerName": "example.com/x"}


def test_an_omitted_namespace_is_default(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: g}\n"
    )

    assert load([str(file)]).resources[GATEWAY][0].ref.namespace == "default"


@pytest.mark.parametrize("indent", [0, orjson.OPT_INDENT_2])
@pytest.mark.parametrize("form", ["list", "array"])
def test_every_item_of_a_json_file_has_its_own_line(tmp_path: Path, indent: int, form: str) -> None:
    file = tmp_path / "many.json"
    made = [{**service(f"s{n}"), "x": ['a"]},{', {"items": [1, [2]]}]} for n in range(20)]
    document = {"metadata": {"items": []}, "apiVersion": "v1", "kind": "List", "items": made}
    file.write_bytes(orjson.dumps(document if form == "list" else made, option=indent))
    lines = file.read_text().splitlines()

    found = load([str(file)]).resources[SERVICE]

    assert len(found) == 20
    for one in found:
        assert f'"{one.name}"' in lines[one.at("metadata", "name").line - 1]
        assert one.at().line == 1 if indent == 0 else lines[one.at().line - 1].strip() == "{"
