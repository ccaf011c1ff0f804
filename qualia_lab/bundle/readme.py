"""The README.txt of a bundle: what it holds, how to run it again, how to verify it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qualia_lab.bundle.manifest import DATA, MANIFEST
from qualia_lab.escaping import one_line

if TYPE_CHECKING:
    from qualia_lab.bundle.manifest import BundleManifest

_TEXT = """\
{notebook}, with the data that it shows

{page}
    the notebook as a page: open it in a browser; it needs no network.
{notebook}
    the notebook. Its cells read the folder {data}, not the store, which was
    {store}
{data}
    a snapshot of {content}{artifacts}.
{manifest}
    what was chosen, which versions, and the SHA-256 of each file.

To run the notebook again, with qualia-lab {version} installed, in this folder:

    qualia execute {notebook}

or open it in Jupyter and run all cells. Neither the store nor the network is needed.

To verify that no file was changed, and that running the notebook gives the same outputs:

    qualia verify .

This runs the code of the notebook: do so only if you trust the one who gave it to you. To compare only the files:

    qualia verify . --no-execute

Made with {versions}.
"""


def readme_text(manifest: BundleManifest) -> str:
    """Return the text of README.txt."""
    versions = manifest.versions
    return _TEXT.format(
        notebook=manifest.notebook,
        page=manifest.page,
        data=DATA,
        manifest=MANIFEST,
        store=one_line(manifest.tracking_uri, 500),
        content=manifest.content,
        artifacts=", and the artifacts that the notebook shows" if manifest.run_ids else "",
        version=versions["qualia-lab"],
        versions=", ".join(f"{name} {version}" for name, version in versions.items()),
    )
