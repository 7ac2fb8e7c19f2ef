"""The page of `manyfaces report`, one HTML file: report.py and sections.py say what is on it, page.py writes HTML."""
