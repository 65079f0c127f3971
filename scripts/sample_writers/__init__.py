"""Writers of the binary samples: one small markup in, many file formats out."""
