"""Object storage in a folder, for deployments without S3: a file appears under its name whole, or not at all."""

import os
from pathlib import Path
from secrets import token_hex

from django.core.files.base import File
from django.core.files.storage import FileSystemStorage

from orderflow.private_files import FILE_MODE, make_folder


class FolderStorage(FileSystemStorage):
    """Django's own writes in place and under a lock: a frozen process would block every later one, and a killed
    one leave half a file where a whole one was."""

    def _save(self, name: str, content: "File[bytes]") -> str:
        path = Path(self.path(name))
        make_folder(path.parent)
        temporary = path.with_name(f".{path.name}.{token_hex(4)}.tmp")
        try:
            with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE), "wb") as file:
                for chunk in content.chunks():
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        return name
