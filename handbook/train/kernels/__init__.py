"""What training does between its products: in plain torch (`twin`), in C++ where a compiler is (`native`)."""
