"""Files of manyfaces: exported nets that its wheel does not hold, and all weights for Keras. manyfaces finds them."""
