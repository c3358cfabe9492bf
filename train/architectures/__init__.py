"""The networks, one builder per file: `build(input_shape, weights) -> keras.Model` with one logit."""
