"""The page that finds faces in a browser: its files, its runtime, its addresses.

`site_files` is the one table of what is served: address -> file. `manyfaces web` serves it or writes it into a folder,
and `manyfaces serve` answers the same addresses beside its own. Nothing outside the table can be asked for.
"""

from .headers import HEADERS, MEDIA_TYPES, headers_of
from .runtime import runtime_folder
from .site import RUNTIME, SERVICE, browser_models, page_folder, site_files

__all__ = ["HEADERS", "MEDIA_TYPES", "RUNTIME", "SERVICE", "browser_models", "headers_of", "page_folder",
           "runtime_folder", "site_files"]
