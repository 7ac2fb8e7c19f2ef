"""Beyond the figures of WIDER FACE: breakdowns, kinds of errors, plots, and the HTML report."""
