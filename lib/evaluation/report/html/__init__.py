"""The page of tools/report.py, one HTML file: report.py and sections.py say what is on it, page.py writes HTML."""
