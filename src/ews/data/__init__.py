"""Datasets: from a source in the manifest to one documented, memory-mappable folder format.

Training reads that format with :mod:`ews.data.dataset`; :mod:`ews.data.prepare` makes it. This
module imports neither. A change in the downloader rebuilds nothing; one in a reader rebuilds the
datasets that it reads.
"""

# Kind of source -> its reader, ``read(archive, ...) -> Raw``.
REGISTRY: dict[str, str] = {
    "digits": "ews.data.digits:read",
    "cifar_binary": "ews.data.cifar_binary:read",
    "image_folder": "ews.data.image_folder:read",
    # The published corrupted test set of another source: ews.pipeline.corrupt.official takes files out of it.
    "cifar_c": "ews.pipeline.corrupt.official:read",
}
