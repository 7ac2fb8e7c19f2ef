"""Detection in very many images: from a source to a folder of Parquet files, one row per image, each exactly once.

sources -> plan (parts of a few hundred images) -> an engine's workers -> one Parquet file per part. The driver alone
writes, and a part that exists is finished. So exactness rests on these files and not on an engine.

This package needs pyarrow, and for several machines Ray: the extra `bulk`.
"""
