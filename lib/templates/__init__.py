"""Templates (anchors of free width and height): clustered from the faces of a data set, read, compared, drawn."""
