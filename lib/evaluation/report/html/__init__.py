"""The page of tools/report.py, one HTML file: report.py says what is on it, page.py how it is written."""
