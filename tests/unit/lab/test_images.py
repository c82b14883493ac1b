# Copyright: (c) 2026, the podnet.cni authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
import json
import stat
import tarfile
from pathlib import Path

import pytest
from podnet_lab import images, parts

DIGESTS = {layer: hashlib.sha256(layer.encode()).hexdigest() for image in images.IMAGES for layer in image.layers}


@pytest.fixture
def programs(tmp_path: Path) -> dict[str, Path]:
    """Folders with empty programs of every part."""
    folders = {}
    for part in parts.all_parts().values():
        folders[part.name] = tmp_path / "programs" / part.name
        folders[part.name].mkdir(parents=True)
        for name in part.binaries:
            (folders[part.name] / name).write_text(f"{part.name}/{name}")
            (folders[part.name] / name).chmod(0o755)
    return folders


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder shaped like Calico's source, with the modes that a Go module's files have."""
    folder = tmp_path / "calico"
    for name, text in {
        "node/filesystem/etc/rc.local": "exit 0\n",
        "node/filesystem/etc/service/available/bird/run": "#!/bin/sh\n",
        "node/filesystem/sbin/start_runit": "#!/bin/sh\n",
        "confd/etc/calico/confd/conf.d/bird.toml": "",
        "confd/etc/calico/confd/templates/bird_ipam.cfg.template": '  krt_tunnel = "{{$data.ipip}}"; {{- /* tunnel */}}\n  accept;\n',
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
        (folder / name).chmod(0o444)
    return folder


def test_config_of_an_image() -> None:
    image = images.Image(("a:1",), ("base", "tools"), entrypoint=("/program",), environment=("A=b",), user="999")
    config = json.loads(images.image_config(image, {"base": "11", "tools": "22"}))
    assert config["os"] == "linux"
    assert config["rootfs"] == {"type": "layers", "diff_ids": ["sha256:11", "sha256:22"]}
    assert len(config["history"]) == 2
    assert config["config"] == {"Cmd": None, "Entrypoint": ["/program"], "Env": [images.PATH_VARIABLE, "A=b"], "User": "999"}


def test_manifest_of_the_archive() -> None:
    configs = [images.image_config(image, DIGESTS) for image in images.IMAGES]
    entries = json.loads(images.archive_manifest(images.IMAGES, configs))
    assert [entry["RepoTags"] for entry in entries] == [list(image.names) for image in images.IMAGES]
    assert entries[0]["Layers"] == ["base.tar", "tools.tar"]
    assert entries[0]["Config"] == hashlib.sha256(configs[0]).hexdigest() + ".json"


def test_every_image_has_one_name_and_something_to_run() -> None:
    names = [name for image in images.IMAGES for name in image.names]
    assert len(names) == len(set(names)) == 6
    assert all(image.command or image.entrypoint for image in images.IMAGES)


def test_templates_lose_the_attribute_that_debians_bird_lacks() -> None:
    text = 'krt_tunnel = "";  # a\nkrt_tunnel="{{$data.ipip}}";\naccept;\n'
    assert images.without_kernel_tunnel(text) == "preference = preference;  # a\npreference = preference;\naccept;\n"


def test_layers(programs: dict[str, Path], source: Path, tmp_path: Path) -> None:
    layers = tmp_path / "layers"
    images.fill_layers(layers, programs, source)
    assert {path.name for path in layers.iterdir()} == {layer for image in images.IMAGES for layer in image.layers} - {"base"}
    node = layers / "calico-node"
    for name in ("etc/rc.local", "etc/service/available/bird/run", "usr/sbin/start_runit", "usr/bin/calico-node"):
        assert stat.S_IMODE((node / name).stat().st_mode) == 0o755, name
    assert "krt_tunnel" not in (node / "etc/calico/confd/templates/bird_ipam.cfg.template").read_text()
    assert (node / "etc/calico/confd/config").is_dir()
    assert (layers / "tools/opt/bin/flanneld").read_text() == "flannel/flannel"
    assert (layers / "tools/opt/cni/flannel").read_text() == "flannel-cni-plugin/flannel"


def test_the_cni_image_carries_what_calicos_installer_would_overwrite(programs: dict[str, Path], source: Path, tmp_path: Path) -> None:
    layers = tmp_path / "layers"
    images.fill_layers(layers, programs, source)
    plugins = layers / "calico-cni/opt/cni/bin"
    assert {"calico", "calico-ipam", "install", "flannel", "host-local", "portmap"} <= {path.name for path in plugins.iterdir()}
    assert (plugins / "calico").samefile(plugins / "calico-ipam")


def test_archive(programs: dict[str, Path], source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PODNET_CACHE", str(tmp_path / "cache"))
    base = tmp_path / "base"
    (base / "dev").mkdir(parents=True)
    (base / "dev/null").touch()
    (base / "etc").mkdir()
    (base / "etc/passwd").touch()
    path = images.build_archive(programs, base, source)
    assert [found.name for found in path.parent.iterdir()] == ["images.tar"]
    with tarfile.open(path) as archive:
        names = set(archive.getnames())
        for entry in json.load(archive.extractfile("manifest.json")):
            assert {entry["Config"], *entry["Layers"]} <= names
            config = json.load(archive.extractfile(entry["Config"]))
            for layer, diff_id in zip(entry["Layers"], config["rootfs"]["diff_ids"], strict=True):
                assert hashlib.sha256(archive.extractfile(layer).read()).hexdigest() == diff_id.removeprefix("sha256:")
        with tarfile.open(fileobj=archive.extractfile("base.tar")) as layer:
            assert layer.getnames() == [".", "./dev", "./etc", "./etc/passwd"]
