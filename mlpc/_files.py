"""Files that are there whole or not at all: written beside their place, then moved into it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def as_path(path: object) -> Path:
    """`path` as a Path; TypeError where it is neither text nor a path."""
    import os
    from pathlib import Path

    if not isinstance(path, (str, os.PathLike)) or not isinstance(os.fspath(path), str):
        raise TypeError(f"path must be a str or os.PathLike, got {path!r}")
    return Path(path)


def write(path: Path, data: bytes) -> None:
    """Put a file with this content at `path`: after a crash there is the old one or the new one, never a part."""
    import contextlib
    import os
    import secrets
    import shutil
    from pathlib import Path

    target = Path(os.path.realpath(path))  # a link stays a link
    if target.exists() and not target.is_file():  # a device or a pipe stays what it is; of a folder there is an error
        path.write_bytes(data)
        return
    temporary = target.with_name(f".mlpc.{secrets.token_hex(8)}")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileNotFoundError):
            shutil.copymode(target, temporary)  # who may read the old one may read the new one
        temporary.replace(target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError) and error.filename is not None:  # the caller does not know that one
            raise OSError(error.errno, error.strerror, str(path)) from None
        raise
    with contextlib.suppress(OSError):  # the name is in the folder, which is synchronised by itself where that can be
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
