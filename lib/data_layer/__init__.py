"""From roidb to minibatch: augment, encode, assemble, load ahead."""
