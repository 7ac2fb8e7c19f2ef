"""A shipped detector learns from a user's own annotated photographs: `manyfaces train PHOTOS ANNOTATIONS`."""
