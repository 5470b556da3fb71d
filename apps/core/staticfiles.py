"""Static files with content hashes in their names, so that browsers may keep them for ever."""

from whitenoise.storage import CompressedManifestStaticFilesStorage


class ForgivingManifestStorage(CompressedManifestStaticFilesStorage):  # type: ignore[misc]
    """A file that was not collected keeps its plain name instead of failing the page; ES modules import each other by
    hashed names too."""

    manifest_strict = False
    support_js_module_import_aggregation = True
