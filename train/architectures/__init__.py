"""The networks, one builder per file: `build(size, weights, **options) -> keras.Model`, with its last layer."""
