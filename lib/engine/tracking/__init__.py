"""What records a training while it runs: CSV files, TensorBoard, curves and page, MLflow, Weights & Biases."""
