"""What the public need not know about the machine that serves it."""

from __future__ import annotations

import re

from model.checkpoints.zoo import weights_folder

# An absolute path's folders, where a path can begin: not in the middle of one or of an address.
_FOLDERS = re.compile(r"""(?:(?<=[\s('"`])|^)/(?:[^\s/'"`()]+/)+""")


def without_folders(text: object) -> str:
    """A message with files called by their names, without the folders they lie in.

    Messages name whole paths, which helps whoever runs the server.

    >>> without_folders("The checkpoint /srv/studio/weights/roads has no config.json.")
    'The checkpoint roads has no config.json.'
    """
    # First, as its path may have spaces in it.
    return _FOLDERS.sub("", str(text).replace(f"{weights_folder()}/", ""))
