"""Public files that the recipes need: their addresses, sizes and checksums as data, and how they are fetched."""
