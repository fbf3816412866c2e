"""The files of an append-only file, and the manifest that says which of them count."""

from __future__ import annotations

from pathlib import Path

from shoal.node.persistence.aof_manifest import Manifest, parse_manifest
from shoal.node.runtime.disk import Disk, write_all
from shoal.node.server.config import Config


class AppendOnlyFiles:
    """The folder, and the manifest as it stands in it.

    A set of files is changed by making what is new first, then replacing the manifest, then deleting what is
    old. The manifest is written beside the one that counts, made durable, and given its name; so is the
    folder. Whatever fails or wherever the machine stops, the manifest on disk names files that are
    whole, and those that no manifest names harm nobody.
    """

    def __init__(self, config: Config, disk: Disk) -> None:
        self._config = config
        self.disk = disk
        self.manifest = Manifest()

    @property
    def folder(self) -> Path:
        return Path(self._config.dir) / self._config.appenddirname

    def path(self, name: str) -> Path:
        """Where a file of the set lies."""
        return self.folder / name

    @property
    def manifest_path(self) -> Path:
        return self.folder / f"{self._config.appendfilename}.manifest"

    @property
    def filename(self) -> str:
        """What the names of all files begin with."""
        return self._config.appendfilename

    def temporary_base(self, writer_pid: int) -> Path:
        """Where a process writes a base until it is whole."""
        return self.folder / f"temp-rewriteaof-bg-{writer_pid}.aof"

    @property
    def temporary_increment(self) -> Path:
        """Where commands gather while there is no base yet that they could follow."""
        return self.folder / f"temp-{self._config.appendfilename}.incr"

    def make_folder(self) -> None:
        self.disk.make_folder(self.folder)

    def load(self) -> None:
        """Read the manifest, if there is one. ManifestError, OSError."""
        if self.disk.exists(self.manifest_path):
            self.manifest = parse_manifest(self.disk.read(self.manifest_path))

    def save(self, manifest: Manifest) -> None:
        """Make this the set that counts, durably. On OSError the old one still is."""
        temporary = self.folder / f"temp-{self._config.appendfilename}.manifest"
        fd = self.disk.create(temporary)
        try:
            write_all(self.disk, fd, manifest.format())
            self.disk.sync(fd)
        finally:
            self.disk.close(fd)
        self.disk.rename(temporary, self.manifest_path)
        self.disk.sync_folder(self.folder)
        self.manifest = manifest

    def size(self) -> int:
        """How large the files that count are together."""
        return sum(self.disk.size(self.path(file.name)) for file in self.manifest.files)

    def adopt_old_style(self) -> bool:
        """Take in a single file, as Redis before 7.0 wrote it; False if there is none to take.

        The manifest is written first. If the machine stops before the file is in the folder, the next
        start finds a manifest whose only file is still outside, and goes on.
        """
        name = self._config.appendfilename
        outside, inside = Path(self._config.dir) / name, self.path(name)
        manifest = self.manifest
        began = manifest == Manifest().adopting(name) and not self.disk.exists(inside)
        if not self.disk.exists(outside) or not (manifest.is_empty or began):
            return False
        self.make_folder()
        self.save(Manifest().adopting(name))
        self.disk.rename(outside, inside)
        self.disk.sync_folder(self.folder)
        return True
