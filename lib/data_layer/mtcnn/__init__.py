"""Training samples of MTCNN: crops that are made once, kept in a folder of TFRecord files, and loaded in batches."""
