"""Numbers in fewer bits: codes, blocks, and the layers that compute with them."""
