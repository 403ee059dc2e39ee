"""Those who judge typed answers: by vectors, by a cross-encoder, by a chat model, or nobody."""
