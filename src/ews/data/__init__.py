"""Datasets: from a source in the manifest to one documented, memory-mappable folder format.

Training reads that format with :mod:`ews.data.dataset`; :mod:`ews.data.prepare` makes it. This
module imports neither. A change in the downloader rebuilds nothing; one in a reader rebuilds the
datasets that it reads (:mod:`ews.data.reader_registry`).
"""
