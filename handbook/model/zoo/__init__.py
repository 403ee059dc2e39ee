"""The architecture zoo: published configurations of public models, and what follows from them."""
