"""The engine's compiled kernels: one C++ file, built at first use, and plain torch beside each of them."""
