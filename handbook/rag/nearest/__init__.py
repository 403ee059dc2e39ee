"""Vector indexes written to be read: exact search, and four ways to look at less of the data.

`exact` is everybody's oracle. `kmeans` and `ivf` look into a few cells only, `hnsw` walks a graph, `product`
and `rabitq` make vectors small, `coded` puts small vectors into cells. The app searches through LanceDB; what
is here shows what such an index does, and is NumPy only.

Distances are squared Euclidean throughout. Between unit vectors that is 2 - 2 cos, so the order is that of
the cosine.
"""
