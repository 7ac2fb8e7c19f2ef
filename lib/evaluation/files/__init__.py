"""Files of WIDER FACE's protocol: predictions, the official ground truth, and what predictions may have lost."""
